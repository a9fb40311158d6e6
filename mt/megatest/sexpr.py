"""Values as Scheme writes and pretty-prints them: the output of -dumpmode sexp and sexpr (spec/runs.md 5.9, 5.11).

Pure.  A list or tuple is a list, a `Pair` is a dotted pair, text is a string
with its quotes, a number is a number, None is `#f`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

#: columns that a line may fill before it is broken
WIDTH = 79
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_SPECIAL = re.compile(r'[\\"\n\t\r]').search


class Pair(NamedTuple):
    """`(key . value)`."""

    key: object
    value: object


def written(value: object) -> str:
    """A value on one line, so that `read` gives it back."""
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"' if _SPECIAL(value) else f'"{value}"'
    if isinstance(value, Pair):
        return f"({written(value[0])} . {written(value[1])})"
    if isinstance(value, bool) or value is None:
        return "#t" if value else "#f"
    if isinstance(value, list | tuple):
        return f"({' '.join(map(written, value))})"
    return str(value)


def pretty(value: object) -> str:
    """A value on as many lines as it needs, each member of a long list on a line of its own below the first."""
    pieces: list[str] = []
    _put(value, 0, 0, pieces.append)
    return "".join(pieces)


def _put(value: object, at: int, closing: int, put: Callable[[str], object]) -> None:
    """Write a value that begins in column `at` and is followed by `closing` parentheses."""
    if not isinstance(value, list | tuple) or isinstance(value, Pair):
        put(written(value))
        return
    flat = _flat(value, WIDTH - at - closing)
    if flat is not None:
        put(flat)
        return
    last = len(value) - 1
    between = "\n" + " " * (at + 1)
    for n, member in enumerate(value):
        put(between if n else "(")
        _put(member, at + 1, closing + 1 if n == last else 0, put)
    put(")")


def _flat(value: Sequence[object], room: int) -> str | None:
    """A list on one line when it fits into so many columns; one that is too long is not written to the end."""
    if 2 * len(value) > room:
        return None
    left = room - 2
    parts = []
    for member in value:
        nested = isinstance(member, list | tuple) and not isinstance(member, Pair)
        part = _flat(member, left) if nested else written(member)  # type: ignore[arg-type]  # a list, as just asked
        if part is None or len(part) > left:
            return None
        parts.append(part)
        left -= len(part) + 1
    return f"({' '.join(parts)})"
