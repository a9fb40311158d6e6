"""The built-in procedures that every program has: those that call others, and all the rest (spec/config.md 1.7)."""

from __future__ import annotations

from mt.scheme.evaluate import Closure, Higher
from mt.scheme.lists import LISTS, items_of
from mt.scheme.numeric import NUMERIC
from mt.scheme.reader import parse
from mt.scheme.textual import TEXTUAL, string_of
from mt.scheme.values import UNSPECIFIED, Pair, SchemeError, is_true, listed, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.scheme.evaluate import Interpreter, Work


def _apply(it: Interpreter, procedure: object, *args: object) -> Work:
    if not args:
        raise ValueError("apply takes a list")
    return (yield it.apply(procedure, [*args[:-1], *items_of(args[-1])]))


def _map(it: Interpreter, procedure: object, *lists: object) -> Work:
    made = []
    for args in zip(*[items_of(one) for one in lists], strict=False):
        made.append((yield it.apply(procedure, list(args))))
    return listed(made)


def _for_each(it: Interpreter, procedure: object, *lists: object) -> Work:
    for args in zip(*[items_of(one) for one in lists], strict=False):
        yield it.apply(procedure, list(args))
    return UNSPECIFIED


def _filter(it: Interpreter, procedure: object, items: object) -> Work:
    kept = []
    for item in items_of(items):
        if is_true((yield it.apply(procedure, [item]))):
            kept.append(item)
    return listed(kept)


def _remove(it: Interpreter, procedure: object, items: object) -> Work:
    kept = []
    for item in items_of(items):
        if not is_true((yield it.apply(procedure, [item]))):
            kept.append(item)
    return listed(kept)


def _fold(it: Interpreter, procedure: object, start: object, items: object) -> Work:
    for item in items_of(items):
        start = yield it.apply(procedure, [item, start])
    return start


def _any(it: Interpreter, procedure: object, items: object) -> Work:
    for item in items_of(items):
        value = yield it.apply(procedure, [item])
        if is_true(value):
            return value
    return False


def _every(it: Interpreter, procedure: object, items: object) -> Work:
    value: object = True
    for item in items_of(items):
        value = yield it.apply(procedure, [item])
        if not is_true(value):
            return False
    return value


def _sort(it: Interpreter, items: object, less: object) -> Work:
    """Stable merge sort; the order may be given first, as some programs do."""
    if not isinstance(items, Pair | tuple):
        items, less = less, items
    runs = [[item] for item in items_of(items)]
    while len(runs) > 1:
        merged = []
        for at in range(0, len(runs), 2):
            right = runs[at + 1] if at + 1 < len(runs) else []
            merged.append((yield _merge(it, runs[at], right, less)))
        runs = merged
    return listed(runs[0] if runs else [])


def _merge(it: Interpreter, left: list[object], right: list[object], less: object) -> Work:
    made: list[object] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if is_true((yield it.apply(less, [right[j], left[i]]))):
            made.append(right[j])
            j += 1
        else:
            made.append(left[i])
            i += 1
    return made + left[i:] + right[j:]


def _print(it: Interpreter, *args: object) -> Work:
    yield from ()
    it.show("".join(to_text(a) for a in args) + "\n")
    return UNSPECIFIED


def _display(it: Interpreter, value: object, *port: object) -> Work:
    yield from ()
    it.show(to_text(value))
    return UNSPECIFIED


def _newline(it: Interpreter, *port: object) -> Work:
    yield from ()
    it.show("\n")
    return UNSPECIFIED


def _load(it: Interpreter, path: object) -> Work:
    from mt.errors import why

    name = string_of(path)
    try:
        text = it.load(name)
    except OSError as e:
        raise SchemeError(f"cannot load '{name}': {why(e)}") from e
    return (yield it.sequence(parse(text, name), it.globals))


def _error(*args: object) -> object:
    raise SchemeError(" ".join(to_text(a, write=n > 0) for n, a in enumerate(args)))


LIBRARY: dict[str, object] = {
    **NUMERIC,
    **LISTS,
    **TEXTUAL,
    "procedure?": lambda v: callable(v) or isinstance(v, Closure | Higher),
    "error": _error,
    "apply": Higher(_apply, "apply"),
    "map": Higher(_map, "map"),
    "for-each": Higher(_for_each, "for-each"),
    "filter": Higher(_filter, "filter"),
    "remove": Higher(_remove, "remove"),
    "fold": Higher(_fold, "fold"),
    "any": Higher(_any, "any"),
    "every": Higher(_every, "every"),
    "sort": Higher(_sort, "sort"),
    "print": Higher(_print, "print"),
    "display": Higher(_display, "display"),
    "newline": Higher(_newline, "newline"),
    "load": Higher(_load, "load"),
}
