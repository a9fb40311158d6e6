"""Options, directives in scripts, and lengths of time, as several engines write them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Sequence

Options = list[tuple[str, str]]


class Usage(Exception):
    """A command was called wrongly."""


def split_options(words: Sequence[str], valued: Iterable[str], bare: Iterable[str]) -> tuple[Options, list[str]]:
    """Options up to the first other word, and the rest; an option is one word (`-terse`), its value the next."""
    options: Options = []
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        if word in valued:
            if not rest:
                raise Usage(word)
            options.append((word, rest.pop(0)))
        elif word in bare:
            options.append((word, ""))
        else:
            raise Usage(word)
    return options, rest


def split_short_options(words: Sequence[str], valued: str, bare: str) -> tuple[Options, list[str]]:
    """The same in the way of getopt: one letter each, a value may be attached (`-lselect=1`)."""
    options: Options = []
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            rest.insert(0, word)
            break
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in valued:
                if not letters and not rest:
                    raise Usage(f"-{letter}")
                options.append((f"-{letter}", letters or rest.pop(0)))
                break
            if letter not in bare:
                raise Usage(f"-{letter}")
            options.append((f"-{letter}", ""))
    return options, rest


def directives(script: str, prefix: str) -> list[str]:
    """The words of the directives before the first command of a script."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith(prefix):
            words += shlex.split(line[len(prefix) :], comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return words


def indices(text: str) -> list[int]:
    """`1-10:2,15` as numbers; raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        span, _, step = part.partition(":")
        first, dash, last = span.partition("-")
        found += range(int(first), int(last if dash else first) + 1, int(step or 1))
    if not found or found != sorted(set(found)):
        raise ValueError(text)
    return found


def spans(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of numbers that follow each other, as first and last."""
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            yield numbers[start], numbers[i - 1]
            start = i


def hms(seconds: float) -> str:
    """Seconds as 00:00:00, hours without end."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def date(when: float, form: str = "%a %b %e %H:%M:%S %Y") -> str:
    """A time of day, as ctime() writes it where nothing else is said."""
    return time.strftime(form, time.localtime(when))


def table(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    """Columns of fixed widths, cells that are too wide cut off."""
    return "".join(" ".join(f"{c[:w]:{w}}" for c, w in zip(row, widths, strict=True)) + "\n" for row in rows)


def escape(text: str) -> str:
    """Text in XML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
