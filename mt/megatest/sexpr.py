"""Values as Scheme writes and pretty-prints them: the output of -dumpmode sexp and sexpr (spec/runs.md 5.9, 5.11).

Pure.  A list or tuple is a list, a `Pair` is a dotted pair, text is a string
with its quotes, a number is a number, None is `#f`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: columns that a line may fill before it is broken
WIDTH = 79
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


class Pair(NamedTuple):
    """`(key . value)`."""

    key: object
    value: object


def written(value: object) -> str:
    """A value on one line, so that `read` gives it back."""
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, bool) or value is None:
        return "#t" if value else "#f"
    if isinstance(value, Pair):
        return f"({written(value.key)} . {written(value.value)})"
    if isinstance(value, list | tuple):
        return f"({' '.join(map(written, value))})"
    return str(value)


def pretty(value: object, at: int = 0) -> str:
    """A value on as many lines as it needs, each member of a long list on a line of its own below the first."""
    return "".join(_pieces(value, at, 0))


def _pieces(value: object, at: int, closing: int) -> Iterator[str]:
    """The text of a value that begins in column `at` and is followed by `closing` parentheses."""
    flat = _flat(value, WIDTH - at - closing)
    if flat is not None or isinstance(value, Pair) or not isinstance(value, list | tuple):
        yield written(value) if flat is None else flat
        return
    members: Sequence[object] = value
    for n, member in enumerate(members):
        yield "(" if n == 0 else "\n" + " " * (at + 1)
        yield from _pieces(member, at + 1, closing + 1 if n == len(members) - 1 else 0)
    yield ")"


def _flat(value: object, room: int) -> str | None:
    """A value on one line when it fits into so many columns; a long list is not written only to be measured."""
    if isinstance(value, list | tuple) and 2 * len(value) > room:
        return None
    if isinstance(value, list | tuple) and not isinstance(value, Pair):
        left = room - 2
        parts = []
        for member in value:
            part = _flat(member, left)
            if part is None:
                return None
            parts.append(part)
            left -= len(part) + 1
        return f"({' '.join(parts)})"
    text = written(value)
    return text if len(text) <= room else None
