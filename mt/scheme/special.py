"""The special forms: what does not evaluate all of its parts (spec/config.md 1.7, 6.5).

Each is a generator of (interpreter, form, frame).  It yields evaluations it
needs, and returns a value or a `Tail`, which is evaluated in its place.
"""

from __future__ import annotations

from mt.scheme.evaluate import Closure, Frame, Tail
from mt.scheme.values import UNSPECIFIED, Form, Pair, Symbol, datum, is_true, listed, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mt.scheme.evaluate import Interpreter, Work


def _body(forms: list[object], frame: Frame) -> Tail:
    """Several forms as one that stands in tail position."""
    if not forms:
        raise ValueError("no body")
    if len(forms) == 1:
        return Tail(forms[0], frame)
    first = forms[0]
    line, source = (first.line, first.source) if isinstance(first, Form) else (0, "")
    return Tail(Form((Symbol("begin"), *forms), source, line), frame)


def _quote(it: Interpreter, form: Form, frame: Frame) -> Work:
    yield from ()
    (_, item) = form
    return datum(item)


def _if(it: Interpreter, form: Form, frame: Frame) -> Work:
    if len(form) not in (3, 4):
        raise ValueError("if takes two or three parts")
    if is_true((yield it.evaluate(form[1], frame))):
        return Tail(form[2], frame)
    return Tail(form[3], frame) if len(form) == 4 else UNSPECIFIED


def _and(it: Interpreter, form: Form, frame: Frame) -> Work:
    for item in form[1:-1]:
        if not is_true((yield it.evaluate(item, frame))):
            return False
    return Tail(form[-1], frame) if len(form) > 1 else True


def _or(it: Interpreter, form: Form, frame: Frame) -> Work:
    for item in form[1:-1]:
        value = yield it.evaluate(item, frame)
        if is_true(value):
            return value
    return Tail(form[-1], frame) if len(form) > 1 else False


def _when(it: Interpreter, form: Form, frame: Frame) -> Work:
    if is_true((yield it.evaluate(form[1], frame))) == (form[0] == "when"):
        return _body(form[2:], frame)
    return UNSPECIFIED


def _clause(item: object) -> Form:
    if not isinstance(item, Form) or not item:
        raise ValueError("a clause is a list")
    return item


def _cond(it: Interpreter, form: Form, frame: Frame) -> Work:
    for item in form[1:]:
        clause = _clause(item)
        value: object = True
        if not (isinstance(clause[0], Symbol) and clause[0] == "else"):
            value = yield it.evaluate(clause[0], frame)
        if not is_true(value):
            continue
        if len(clause) == 1:
            return value
        if isinstance(clause[1], Symbol) and clause[1] == "=>":
            receiver = yield it.evaluate(clause[2], frame)
            return (yield it.apply(receiver, [value]))
        return _body(clause[1:], frame)
    return UNSPECIFIED


def _case(it: Interpreter, form: Form, frame: Frame) -> Work:
    value = yield it.evaluate(form[1], frame)
    for item in form[2:]:
        clause = _clause(item)
        chosen = clause[0]
        if isinstance(chosen, Form):
            hit = any(same(datum(d), value) for d in chosen)
        else:
            hit = isinstance(chosen, Symbol) and chosen == "else"
        if hit:
            return _body(clause[1:], frame)
    return UNSPECIFIED


def _name(item: object) -> Symbol:
    if not isinstance(item, Symbol):
        raise ValueError("a name is missing")
    return item


def _bindings(item: object) -> list[tuple[Symbol, object]]:
    if not isinstance(item, Form):
        raise ValueError("bindings are a list")
    made = []
    for pair in item:
        (name, value) = _clause(pair)
        made.append((_name(name), value))
    return made


def _let(it: Interpreter, form: Form, frame: Frame) -> Work:
    loop = form[1] if isinstance(form[1], Symbol) else None
    at = 2 if loop is not None else 1
    bindings = _bindings(form[at])
    own: dict[str, object] = {}
    for name, item in bindings:
        own[name] = yield it.evaluate(item, frame)
    if loop is None:
        return _body(form[at + 1 :], Frame(own, frame))
    outer = Frame({}, frame)
    closure = Closure(loop, [n for n, _ in bindings], "", _nonempty(form[at + 1 :]), outer)
    outer.own[loop] = closure
    return _body(closure.body, closure.bind(list(own.values())))


def _let_star(it: Interpreter, form: Form, frame: Frame) -> Work:
    for name, item in _bindings(form[1]):
        frame = Frame({name: (yield it.evaluate(item, frame))}, frame)
    return _body(form[2:], Frame({}, frame))


def _letrec(it: Interpreter, form: Form, frame: Frame) -> Work:
    inner = Frame({}, frame)
    for name, item in _bindings(form[1]):
        inner.own[name] = _named((yield it.evaluate(item, inner)), name)
    return _body(form[2:], inner)


def _nonempty(forms: list[object]) -> list[object]:
    if not forms:
        raise ValueError("no body")
    return forms


def _named(value: object, name: str) -> object:
    if isinstance(value, Closure) and not value.name:
        value.name = name
    return value


def _closure(name: str, formals: object, body: list[object], frame: Frame) -> Closure:
    if isinstance(formals, Symbol):
        return Closure(name, [], formals, _nonempty(body), frame)
    if not isinstance(formals, Form):
        raise ValueError("arguments are a list")
    names = [_name(n) for n in formals]
    rest = ""
    if len(names) > 1 and names[-2] == ".":
        rest = names[-1]
        names = names[:-2]
    return Closure(name, [*names], rest, _nonempty(body), frame)


def _lambda(it: Interpreter, form: Form, frame: Frame) -> Work:
    yield from ()
    return _closure("", form[1], form[2:], frame)


def _define(it: Interpreter, form: Form, frame: Frame) -> Work:
    head = form[1]
    if isinstance(head, Form):
        name = _name(head[0])
        formals: object = Form(head[1:], head.source, head.line)
        if len(head) == 3 and head[1] == "." and isinstance(head[1], Symbol):
            formals = head[2]
        frame.own[name] = _closure(name, formals, form[2:], frame)
        return UNSPECIFIED
    name = _name(head)
    if len(form) > 3:
        raise ValueError("define takes one value")
    value = (yield it.evaluate(form[2], frame)) if len(form) == 3 else UNSPECIFIED
    frame.own[name] = _named(value, name)
    return UNSPECIFIED


def _set(it: Interpreter, form: Form, frame: Frame) -> Work:
    (_, name, item) = form
    value = yield it.evaluate(item, frame)
    place = it.home(_name(name), frame)
    if place is None:
        raise it.wrong(f'unknown variable "{name}" in (set! {name} ...)', form)
    place.own[_name(name)] = value
    return UNSPECIFIED


def _begin(it: Interpreter, form: Form, frame: Frame) -> Work:
    for item in form[1:-1]:
        yield it.evaluate(item, frame)
    return Tail(form[-1], frame) if len(form) > 1 else UNSPECIFIED


def _do(it: Interpreter, form: Form, frame: Frame) -> Work:
    """`(do ((name start next)...) (test result...) body...)`."""
    variables = [_clause(v) for v in _clause_or_empty(form[1])]
    test = _clause(form[2])
    inner = Frame({}, frame)
    for v in variables:
        inner.own[_name(v[0])] = yield it.evaluate(v[1], frame)
    while not is_true((yield it.evaluate(test[0], inner))):
        for item in form[3:]:
            yield it.evaluate(item, inner)
        following = Frame(dict(inner.own), frame)
        for v in variables:
            if len(v) > 2:
                following.own[_name(v[0])] = yield it.evaluate(v[2], inner)
        inner = following
        it.tick(form)
    return _body(test[1:], inner) if len(test) > 1 else UNSPECIFIED


def _clause_or_empty(item: object) -> Form:
    if not isinstance(item, Form):
        raise ValueError("variables are a list")
    return item


def _quasiquote(it: Interpreter, form: Form, frame: Frame) -> Work:
    (_, item) = form
    return (yield _filled(it, item, frame))


def _filled(it: Interpreter, item: object, frame: Frame) -> Work:
    """A quasiquoted form with its unquoted parts evaluated; one level, as rules need."""
    if not isinstance(item, Form):
        return item
    if len(item) == 2 and item[0] == "unquote":
        return (yield it.evaluate(item[1], frame))
    made: list[object] = []
    for part in item:
        if isinstance(part, Form) and len(part) == 2 and part[0] == "unquote-splicing":
            spliced = yield it.evaluate(part[1], frame)
            made.extend(spliced if isinstance(spliced, Pair) else ())
        else:
            made.append((yield _filled(it, part, frame)))
    return listed(made)


SPECIAL: dict[str, Callable[[Interpreter, Form, Frame], Work]] = {
    "quote": _quote,
    "quasiquote": _quasiquote,
    "if": _if,
    "and": _and,
    "or": _or,
    "when": _when,
    "unless": _when,
    "cond": _cond,
    "case": _case,
    "let": _let,
    "let*": _let_star,
    "letrec": _letrec,
    "letrec*": _letrec,
    "lambda": _lambda,
    "define": _define,
    "set!": _set,
    "begin": _begin,
    "do": _do,
}
