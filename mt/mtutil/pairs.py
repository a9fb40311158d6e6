"""Values of the form `key=value; key=value`, as `[areas]`, `[contours]` and rules have them (spec/runs.md 1.8).

Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class Pairs(NamedTuple):
    """The pairs in order; a piece without `=` is a pair with None."""

    items: tuple[tuple[str, str | None], ...]

    def get(self, key: str) -> str | None:
        """The value of the first pair with that key; None when there is none, or it is empty."""
        return next((value for name, value in self.items if name == key and value), None)

    def names(self, key: str) -> tuple[str, ...] | None:
        """A value that is a comma list; None when it is not given."""
        value = self.get(key)
        return None if value is None else tuple(n for n in (piece.strip() for piece in value.split(",")) if n)


def read(text: str) -> Pairs:
    """Read a value; empty pieces count nothing."""
    return Pairs(tuple(_pair(piece) for piece in text.split(";") if piece.strip()))


def _pair(piece: str) -> tuple[str, str | None]:
    key, sign, value = piece.partition("=")
    return key.strip(), value.strip() if sign else None
