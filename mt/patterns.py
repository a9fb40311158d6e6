"""Matching names against patterns, compiled once (spec/runs.md 2.2, 2.3).

Pure leaves: text in, answer out, nothing read.  Two kinds of match exist
because areas rely on both: the *memory match* (regular expressions, `~`) picks
what to run, the *glob match* (LIKE and GLOB of SQL) picks among what is
recorded.  For commas, `/`, `%`, `*` they agree.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Match = Callable[[str], object]

_PLAIN = re.compile(r"[\w/:@=, -]*")


def _anything(_text: str) -> bool:
    return True


def memory_part(text: str) -> Match:
    """The match of one part of a test pattern, by the four rules of spec/runs.md 2.2.

    Text that is no regular expression is matched as it stands, wildcards aside:
    a typing slip must not end a command that reads thousands of tests.
    """
    if text.startswith("~"):
        inner = memory_part(text[1:])
        return lambda s: not inner(s)
    if text in ("%", "*"):
        return _anything
    if _PLAIN.fullmatch(text):
        return text.__eq__
    wild, flags = ("%", re.I | re.S) if "%" in text else ("*", re.S)
    try:
        return re.compile(text.replace(wild, ".*"), flags).fullmatch
    except re.error:
        return re.compile(".*".join(map(re.escape, text.split(wild))), flags).fullmatch


def glob_part(text: str) -> Match:
    """The match of one part as SQL does it (spec/runs.md 2.3).

    With `%` it is LIKE (no case, `_` is any one character), else GLOB (`*`, `?`,
    `[..]`).  Beside `%` a `*` is a wildcard too, because both are accepted everywhere.
    """
    if text in ("%", "*"):
        return _anything
    if "%" in text:
        body = "".join({"%": ".*", "*": ".*", "_": "."}.get(c) or re.escape(c) for c in text)
        return re.compile(body, re.I | re.S).fullmatch
    if not re.search(r"[*?[]", text):
        return text.__eq__
    from fnmatch import translate

    return re.compile(translate(text.replace("[^", "[!"))).fullmatch


class Glob:
    """A pattern for a target or a run name; the parts of a target are matched one by one.

    A pattern with as many `/` as the text can only match part by part; one with
    fewer (`ubuntu/%`) may span parts.
    """

    __slots__ = ("_choices", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._choices = [(piece.count("/"), self._compile(piece)) for piece in text.split(",") if piece]

    @staticmethod
    def _compile(piece: str) -> tuple[tuple[Match, ...], Match]:
        return tuple(map(glob_part, piece.split("/"))), glob_part(piece)

    def matches(self, text: str) -> bool:
        """Whether any piece of the comma list matches the whole text."""
        parts = text.split("/")
        for slashes, (each, whole) in self._choices:
            if slashes == len(parts) - 1:
                if all(match(part) for match, part in zip(each, parts, strict=True)):
                    return True
            elif whole(text):
                return True
        return False


def like(pattern: str, text: str) -> bool:
    """Whether text matches a pattern with `%` or `*`; compile a `Glob` to ask more than once."""
    return Glob(pattern).matches(text)


def is_wild(text: str) -> bool:
    """Whether a word is a pattern rather than a name."""
    return re.search(r"[%*?\[,~]", text) is not None


def tag_match(expr: str, tags: Iterable[str]) -> bool:
    """Whether one of the tags fully matches one pattern of a comma list; case counts, `%` is anything."""
    patterns = [memory_part(p.strip().replace("%", "*")) for p in expr.split(",") if p.strip()]
    return any(match(tag) for tag in tags for match in patterns)


class Piece(NamedTuple):
    """One piece of a test pattern; `item` is None where no `/` was written, "" for the top record."""

    test: str
    item: str | None

    @property
    def text(self) -> str:
        """The piece as written."""
        return self.test if self.item is None else f"{self.test}/{self.item}"

    @property
    def is_literal(self) -> bool:
        """Whether its test part is a plain name."""
        return bool(self.test) and _is_name(self.test)


def _is_name(text: str) -> bool:
    return re.search(r"[%*~?\[\]()|+^$\\{}]", text) is None


def cut(text: str) -> list[Piece]:
    """The pieces of a pattern: cut at commas, then each at its first `/`; empty ones are dropped."""
    pieces = []
    for word in text.split(","):
        word = word.strip()
        if word:
            test, slash, item = word.partition("/")
            pieces.append(Piece(test, item if slash else None))
    return pieces


class _Items:
    """What the pieces of one test name say of its items."""

    __slots__ = ("every", "names", "others")

    def __init__(self) -> None:
        self.every = False
        self.names: set[str] = set()
        self.others: list[Match] = []

    def add(self, item: str | None, part: Callable[[str], Match]) -> None:
        if item is None or item in ("%", "*"):
            self.every = True
        elif _PLAIN.fullmatch(item):
            self.names.add(item)
        else:
            self.others.append(part(item))

    def match(self, item: str | None) -> bool:
        if item is None or self.every or item in self.names:
            return True
        return any(match(item) for match in self.others)


class TestPattern:
    """A comma list of `TEST[/ITEM]`, compiled once (spec/runs.md 2.2).

    Plain names are looked up rather than tried one by one, so a pattern of
    thousands of names costs the same as one.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name
    __slots__ = ("_named", "_others", "pieces", "text")

    def __init__(self, text: str, part: Callable[[str], Match] = memory_part) -> None:
        self.text = text
        self.pieces = tuple(cut(text))
        self._named: dict[str, _Items] = {}
        others: dict[str, _Items] = {}
        for piece in self.pieces:
            table = self._named if _PLAIN.fullmatch(piece.test) else others
            table.setdefault(piece.test, _Items()).add(piece.item, part)
        self._others = [(part(test), items) for test, items in others.items()]

    @classmethod
    def glob(cls, text: str) -> TestPattern:
        """The match used on what is recorded (spec/runs.md 2.3): no `~`, no regular expressions."""
        return cls(text, glob_part)

    def matches(self, test: str, item: str | None = None) -> bool:
        """Whether a case is meant; an item of None is not known yet and always fits, "" is the top record."""
        named = self._named.get(test)
        if named is not None and named.match(item):
            return True
        return any(match(test) and items.match(item) for match, items in self._others)

    def names_test(self, test: str) -> bool:
        """Whether any piece names this test, whatever it says of items."""
        return test in self._named or any(match(test) for match, _ in self._others)

    def __repr__(self) -> str:
        return f"TestPattern({self.text!r})"
