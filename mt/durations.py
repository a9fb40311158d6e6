"""Lengths of time as people write them: `1d 1h 1m 10s` (spec/config.md 2.2)."""

from __future__ import annotations

import re
from typing import NamedTuple

#: unit -> seconds; M is a month and y a year of twelve of them, as areas have always counted
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2628000, "y": 31536000}

_WORD = re.compile(r"(?:[0-9]+[smhdwMy])+|[0-9]+", re.ASCII)
_PART = re.compile(r"([0-9]+)([smhdwMy]?)", re.ASCII)
_PLAIN = re.compile(r"[0-9]+[smhdwMy]", re.ASCII)


class Duration(NamedTuple):
    """A length of time in seconds; `doubts` says which words were read kindly or not at all."""

    seconds: int
    doubts: tuple[str, ...] = ()


def hms(text: str) -> int:
    """The seconds of a text such as `1h 30m`: the sum of its words, words of another form counting nothing."""
    return read_duration(text).seconds


def read_duration(text: str) -> Duration:
    """The seconds of a text and what is doubtful in it, for a warning.

    Megatest counted only words that are digits and one unit: `1h2m` and `10`
    were 0, a limit that kills at once.  Here `1h2m` is 3720, a bare number is
    seconds, and both are doubts that a caller can tell the user.
    """
    seconds = 0
    doubts: list[str] = []
    for word in text.split():
        if not _WORD.fullmatch(word):
            doubts.append(f"'{word}' is no duration and counts nothing")
            continue
        seconds += sum(int(n) * UNITS[unit or "s"] for n, unit in _PART.findall(word))
        if word.isdigit():
            doubts.append(f"'{word}' has no unit; read as seconds")
        elif not _PLAIN.fullmatch(word):
            doubts.append(f"'{word}' has no blanks between its parts; read as their sum")
    return Duration(seconds, tuple(doubts))


def shown(seconds: float) -> str:
    """A length of time for people, in its two largest units: `1h 2m`, `3.4s`; `hms` reads whole ones back."""
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(p for p in parts[:2] if p[0] != "0" or len(p) > 2)
