"""The evaluator: forms in, a value out, without Python's stack and without an end that never comes.

Every evaluation in progress is a generator on a list.  A generator that needs
the value of an inner form yields the generator which computes it; the loop in
`Interpreter._drive` runs that one and sends the value back.  Calls in tail
position reuse their generator, so loops run in constant space; other calls may
nest `depth` deep; and all of them together may take `steps` steps.
"""

from __future__ import annotations

from mt.errors import MtError
from mt.scheme.reader import parse
from mt.scheme.values import UNSPECIFIED, Form, SchemeError, Symbol, datum, listed, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from typing import Any

    Work = Generator[Any, Any, Any]

STEPS = 2_000_000
DEPTH = 10_000
_SHOWN = 160


class Frame:
    """The variables of one call, and where to look for others."""

    __slots__ = ("outer", "own")

    def __init__(self, own: dict[str, object], outer: Frame | None) -> None:
        self.own = own
        self.outer = outer


class Closure:
    """A procedure written in Scheme; `rest` names the list of the arguments beyond `names`."""

    __slots__ = ("body", "frame", "name", "names", "rest")

    def __init__(self, name: str, names: list[str], rest: str, body: list[object], frame: Frame) -> None:
        self.name = name
        self.names = names
        self.rest = rest
        self.body = body
        self.frame = frame

    def __repr__(self) -> str:
        shown = [*self.names, *([".", self.rest] if self.rest else [])]
        return f"#<procedure ({' '.join([self.name or '?', *shown])})>"

    def bind(self, args: list[object]) -> Frame:
        """The frame of a call; raises SchemeError for a wrong number of arguments."""
        n = len(self.names)
        if len(args) < n or (len(args) > n and not self.rest):
            wanted = f"at least {n}" if self.rest else str(n)
            raise SchemeError(f"{self.name or 'this procedure'} takes {wanted} arguments, not {len(args)}")
        own: dict[str, object] = dict(zip(self.names, args, strict=False))
        if self.rest:
            own[self.rest] = listed(args[n:])
        return Frame(own, self.frame)


class Higher:
    """A built-in that calls procedures: a generator function of the interpreter and the arguments."""

    def __init__(self, function: Callable[..., Work], name: str) -> None:
        self.function = function
        self.name = name

    def __repr__(self) -> str:
        return f"#<procedure {self.name}>"


class Tail:
    """What a special form leaves to be evaluated in its place."""

    __slots__ = ("form", "frame")

    def __init__(self, form: object, frame: Frame) -> None:
        self.form = form
        self.frame = frame


class Interpreter:
    """One set of global names, and the programs that run in it.

    `builtins` adds procedures (any Python callables; lists they return become
    Scheme lists, None has no value) and variables.  `load` gives the text of a
    file for `(load ...)`, `show` takes what `(print ...)` prints; without them
    files are read as named and printing goes to stderr.
    """

    def __init__(
        self,
        builtins: Mapping[str, object] | None = None,
        *,
        load: Callable[[str], str] | None = None,
        show: Callable[[str], object] | None = None,
        steps: int = STEPS,
        depth: int = DEPTH,
    ) -> None:
        from mt.scheme.library import LIBRARY
        from mt.scheme.special import SPECIAL

        self.globals = Frame({**LIBRARY, **(builtins or {})}, None)
        self.special = SPECIAL
        self.load = load or _read
        self.show = show or _talk
        self.limit = steps
        self.depth = depth
        self.steps = 0
        self.form: Form | None = None  # the call that a built-in was given; tells it where it is

    @property
    def where(self) -> str:
        """`file:line` of the call that is being evaluated."""
        return self.form.where if self.form is not None else ""

    def define(self, name: str, value: object) -> None:
        """Set a global variable or procedure."""
        self.globals.own[name] = value

    def run(self, text: str, source: str) -> object:
        """The value of the last form of a program; raises SchemeError with the file and line of what is wrong."""
        self.steps = 0
        self.form = None
        try:
            return self._drive(self.sequence(parse(text, source), self.globals))
        except SchemeError as e:
            e.where = e.where or f"{source}:1"
            raise

    def call(self, procedure: object, *args: object) -> object:
        """Call a procedure from Python: for built-ins that are given one."""
        return self._drive(self.apply(procedure, list(args)))

    def _drive(self, first: Work) -> object:
        """Run generators until the first one has its value."""
        stack = [first]
        value: object = None
        try:
            while True:
                try:
                    inner = stack[-1].send(value)
                except StopIteration as done:
                    stack.pop()
                    value = done.value
                    if not stack:
                        return value
                    continue
                stack.append(inner)
                value = None
                if len(stack) > self.depth:
                    raise self.wrong(f"calls are nested more than {self.depth} deep")
        except RecursionError as e:
            raise self.wrong("data or procedures are nested too deep") from e
        except MemoryError as e:
            raise self.wrong("out of memory") from e
        finally:
            while stack:
                stack.pop().close()

    def tick(self, form: Form | None) -> None:
        """Count one step; raises SchemeError when there were too many."""
        self.steps += 1
        self.form = form
        if self.steps > self.limit:
            raise self.wrong(f"this takes more than {self.limit} steps; an endless loop?", form)

    def wrong(self, what: str, form: Form | None = None) -> SchemeError:
        """An error in the form at hand."""
        form = form if form is not None else self.form
        return SchemeError(what, where=form.where if form is not None else None)

    def sequence(self, forms: Iterable[object], frame: Frame) -> Work:
        """Evaluate forms one after another; the value is that of the last."""
        value: object = UNSPECIFIED
        for form in forms:
            value = yield self.evaluate(form, frame)
        return value

    def evaluate(self, form: object, frame: Frame) -> Work:
        """The value of one form."""
        while True:
            if not isinstance(form, Form):
                return self.atom(form, frame)
            if not form:
                raise self.wrong("there is nothing to call in ()", form)
            self.tick(form)
            head = form[0]
            rule = self.special.get(head) if type(head) is Symbol else None
            if rule is not None:
                made = yield from self._guard(rule, form, frame)
                if type(made) is not Tail:
                    return made
                form, frame = made.form, made.frame
                continue
            procedure, args = yield from self._operands(form, frame)
            if type(procedure) is not Closure:
                return (yield from self._builtin(procedure, args, form))
            try:
                frame = procedure.bind(args)
            except SchemeError as e:
                raise self.wrong(f"{e.what} in {source_text(form)}", form) from e
            for inner in procedure.body[:-1]:
                yield self.evaluate(inner, frame)
            form = procedure.body[-1]

    def _guard(self, rule: Callable[..., Work], form: Form, frame: Frame) -> Work:
        """A special form; what it finds missing or misshapen is the program's fault."""
        try:
            return (yield from rule(self, form, frame))
        except (ValueError, IndexError, TypeError) as e:
            raise self.wrong(f"wrong syntax in {source_text(form)}", form) from e

    def _operands(self, form: Form, frame: Frame) -> Work:
        """The procedure and the arguments of a call, evaluated from left to right."""
        head = form[0]
        if isinstance(head, Form):
            procedure = yield self.evaluate(head, frame)
        else:
            procedure = self._procedure(head, form, frame)
        args = []
        for item in form[1:]:
            if type(item) is Form:
                args.append((yield self.evaluate(item, frame)))
            elif type(item) is Symbol:
                args.append(self.variable(item, frame, form))
            else:
                args.append(item)
        return procedure, args

    def _procedure(self, head: object, form: Form, frame: Frame) -> object:
        if type(head) is not Symbol:
            return head
        place = self.home(head, frame)
        if place is None:
            raise self.wrong(f'unknown procedure "{head}" in {source_text(form)}', form)
        return place.own[head]

    def apply(self, procedure: object, args: list[object]) -> Work:
        """Call a procedure with arguments that are values already."""
        self.tick(self.form)
        if type(procedure) is Closure:
            return (yield from self.sequence(procedure.body, procedure.bind(args)))
        form = self.form if self.form is not None else Form()
        return (yield from self._builtin(procedure, args, form))

    def _builtin(self, procedure: Any, args: list[object], form: Form) -> Work:
        self.form = form
        try:
            if type(procedure) is Higher:
                return (yield from procedure.function(self, *args))
            if not callable(procedure):
                raise SchemeError(f"{to_text(procedure, write=True)} is not a procedure")
            return as_value(procedure(*args))
        except MtError as e:
            raise self._placed(e, form) from e
        except (ValueError, ArithmeticError) as e:
            raise self.wrong(f"{e} in {source_text(form)}", form) from e
        except (TypeError, LookupError, AttributeError) as e:
            raise self.wrong(f"wrong arguments in {source_text(form)}", form) from e

    def _placed(self, error: MtError, form: Form) -> MtError:
        """An error that does not say where yet, with the call that made it."""
        if error.where or not isinstance(error, SchemeError):
            return error
        return self.wrong(f"{error.what} in {source_text(form)}", form)

    def atom(self, item: object, frame: Frame) -> object:
        """The value of what is not a list."""
        return self.variable(item, frame, None) if type(item) is Symbol else item

    def variable(self, name: str, frame: Frame, form: Form | None) -> object:
        """What a name stands for; raises SchemeError for an unknown one."""
        place = self.home(name, frame)
        if place is None:
            raise self.wrong(f'unknown variable "{name}"' + (f" in {source_text(form)}" if form else ""), form)
        return place.own[name]

    def home(self, name: str, frame: Frame | None) -> Frame | None:
        """The innermost frame that has a name."""
        while frame is not None:
            if name in frame.own:
                return frame
            frame = frame.outer
        return None


def as_value(made: object) -> object:
    """What a Python callable returned, as a Scheme value."""
    if isinstance(made, list | tuple) and not isinstance(made, Form):
        return listed(as_value(m) for m in made)
    return UNSPECIFIED if made is None else made


def source_text(form: object) -> str:
    """A form as it may have been written, shortened, for messages."""
    text = to_text(datum(form), write=True)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 4] + " ..."


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _talk(text: str) -> None:
    import sys

    sys.stderr.write(text)
