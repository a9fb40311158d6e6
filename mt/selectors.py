"""Which tests, items, targets and runs are meant: ids, item maps, prerequisites (spec/runs.md 2).

Pure: text and specifications in, answer out.  The matching itself is in
`patterns`; its names are offered here too, for whoever selects needs both.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from mt.errors import ConfigError, UsageError
from mt.patterns import Glob, Piece, TestPattern, cut, is_wild, like, tag_match
from mt.states import STATES, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "Glob", "Grown", "Id", "ItemMaps", "Needs", "Piece", "TestPattern", "cut", "find_cycle", "grow", "is_wild",
    "item_rule", "like", "map_item", "parse_id", "tag_match",
]  # fmt: skip

Lines = tuple[tuple[str, str], ...]


class Id(NamedTuple):
    """What an id names; None is "not said".  `words` are the states or statuses after a colon."""

    target: str | None = None
    run: str | None = None
    test: str | None = None
    item: str | None = None
    words: tuple[str, ...] = ()

    @property
    def pattern(self) -> str:
        """Test and item as a test pattern; `%` when no test is said."""
        if self.test is None:
            return "%"
        return self.test if self.item is None else f"{self.test}/{self.item}"

    def accepts(self, state: str, status: str) -> bool:
        """Whether a case in this state and status is meant."""
        return not self.words or any(w in (state, status, f"{state}/{status}") for w in self.words)

    def __str__(self) -> str:
        suffix = ":" + ",".join(self.words) if self.words else ""
        case = "" if self.test is None else self.pattern
        if self.target is None and self.run is None:
            return case + suffix
        return f"{self.target or ''}//{self.run or ''}" + (f"//{case}" if case else "") + suffix


def parse_id(text: str) -> Id:
    """`TARGET//RUN//TEST/ITEM:STATUS`, or its prefixes, or bare `TEST/ITEM`.

    A suffix counts only when its words are states or statuses (a comma list, or
    STATE/STATUS), for item paths may hold colons.  Raises UsageError when there
    is nothing in it.
    """
    body, words = _suffix(text.strip())
    if not body and not words:
        raise UsageError("an id is empty", hint="ids look like TARGET//RUN//TEST/ITEM")
    if "//" not in body:
        target = run = None
        case = body
    else:
        parts = body.split("//", 2)
        target, run, case = parts[0] or None, parts[1] or None, parts[2] if len(parts) > 2 else ""
    test, slash, item = case.partition("/")
    return Id(target, run, test or None, item if slash else None, words)


def _suffix(text: str) -> tuple[str, tuple[str, ...]]:
    head, colon, tail = text.rpartition(":")
    words = tuple(tail.split(","))
    if colon and all(_is_word(w) for w in words):
        return head, words
    return text, ()


def _is_word(word: str) -> bool:
    if word in STATES or word in STATUSES:
        return True
    state, _, status = word.partition("/")
    return state in STATES and status in STATUSES


@lru_cache(maxsize=1024)
def item_rule(pattern: str) -> re.Pattern[str]:
    """The regular expression of one item map line; raises ConfigError when it is none.

    Maps are written for an engine that knows some things that `re` does not, such as `[[:digit:]]`.
    """
    try:
        if "[:" in pattern or "(?" in pattern:
            from mt.scheme.patterns import compile_pattern

            return compile_pattern(pattern)
        return re.compile(pattern)
    except (re.error, ValueError) as e:
        raise ConfigError(f"bad item map '{pattern}': {e}") from e


def map_item(lines: Lines, item: str) -> str:
    """The waiton's item path for my item path (spec/runs.md 2.6, spec/config.md T50).

    Lines `(regex, replacement)` are applied in order, each to its first hit
    only.  The result may hold `%`: then it is a pattern for the waiton's items.
    Raises ConfigError for a line that is no regular expression or that matches
    the empty text.
    """
    if not item:
        return item
    for pattern, replacement in lines:
        hit = item_rule(pattern).search(item)
        if hit is None:
            continue
        if not hit.group():
            raise ConfigError(f"item map '{pattern}' matches nothing in '{item}'", hint="make it match some text")
        item = item[: hit.start()] + _fill(hit, replacement) + item[hit.end() :]
    return item


def _fill(hit: re.Match[str], replacement: str) -> str:
    """The replacement with `\\1`..`\\9` filled in; a group that took no part is empty."""

    def group(ref: re.Match[str]) -> str:
        number = int(ref.group(1))
        return (hit.group(number) or "") if number <= hit.re.groups else ""

    return re.sub(r"\\([1-9])", group, replacement)


class ItemMaps(NamedTuple):
    """The item maps of one test: `general` for every waiton, `some` for waitons that match a pattern."""

    general: Lines = ()
    some: tuple[tuple[str, Lines], ...] = ()

    def lines(self, waiton: str) -> Lines:
        """The map towards one waiton: the general one wins, else the first pattern that fits (T51)."""
        if self.general or not self.some:
            return self.general
        return next((lines for pattern, lines in self.some if TestPattern(pattern).names_test(waiton)), ())


class Needs(Protocol):
    """What `grow` asks of a test's specification."""

    @property
    def waitons(self) -> tuple[str, ...]:
        """Tests that must end first."""
        ...

    @property
    def waitors(self) -> tuple[str, ...]:
        """Tests that are pulled in without an order."""
        ...

    @property
    def modes(self) -> frozenset[str]:
        """Words of `[requirements] mode`."""
        ...

    @property
    def itemmaps(self) -> ItemMaps:
        """How my item paths translate into those of my waitons."""
        ...


class Grown(NamedTuple):
    """A pattern with its prerequisites: `tests` are dependents first, `pulled` says who asked for whom."""

    pattern: TestPattern
    tests: tuple[str, ...]
    pulled: dict[str, str]
    unknown: tuple[tuple[str, str], ...]


ITEMWISE = frozenset(("itemwait", "itemmatch"))


def grow(pattern: str, chosen: Iterable[str], look: Callable[[str], Needs | None]) -> Grown:
    """Extend a pattern by what the chosen tests wait on (spec/runs.md 2.5).

    `chosen` are the tests that the user picked: what they say of items is never
    changed.  `look(name)` gives a specification, or None for a test that does
    not exist: such pairs are returned in `unknown` and waited for by nobody.
    Each test is handled after all that wait on it, so that its own waitons see
    every item that is wanted of it.  Raises ConfigError for a cycle, with its path.
    """
    first = dict.fromkeys(chosen)
    needs, pulled, unknown = _reach(first, look)
    ordered = _dependents_first(needs)
    asked = _Asked(pattern)
    for test, by in pulled.items():
        if test in needs[by].waitors:
            asked.add(Piece(test, None))
    for test in ordered:
        for waiton in needs[test].waitons:
            if waiton in needs and waiton not in first and waiton != test:
                asked.extend(test, waiton, needs[test])
    return Grown(TestPattern(asked.text()), tuple(ordered), pulled, tuple(unknown))


def _reach(
    first: Iterable[str], look: Callable[[str], Needs | None]
) -> tuple[dict[str, Needs], dict[str, str], list[tuple[str, str]]]:
    """All tests reached from the first ones, who pulled each of the others, and names that are no tests."""
    needs: dict[str, Needs] = {}
    pulled: dict[str, str] = {}
    unknown: list[tuple[str, str]] = []
    missing: set[str] = set()
    for name in first:
        spec = look(name)
        if spec is not None:
            needs[name] = spec
    queue = list(needs)
    for test in queue:  # grows while it is walked
        for name in (*needs[test].waitons, *needs[test].waitors):
            if name in needs:
                continue
            spec = None if name in missing else look(name)
            if spec is None:
                missing.add(name)
                unknown.append((test, name))
                continue
            needs[name] = spec
            pulled[name] = test
            queue.append(name)
    return needs, pulled, unknown


def _dependents_first(needs: dict[str, Needs]) -> list[str]:
    """Every test before its waitons, otherwise in the order of `needs`; raises ConfigError for a cycle."""
    waits = {t: [w for w in dict.fromkeys(n.waitons) if w in needs and w != t] for t, n in needs.items()}
    left = dict.fromkeys(needs, 0)
    for waitons in waits.values():
        for w in waitons:
            left[w] += 1
    ready = [t for t, n in left.items() if n == 0]
    for test in ready:  # grows while it is walked
        for w in waits[test]:
            left[w] -= 1
            if left[w] == 0:
                ready.append(w)
    if len(ready) < len(needs):
        path = " -> ".join(find_cycle({t: waits[t] for t in needs if left[t] > 0}))
        raise ConfigError(f"tests wait on each other: {path}", hint="take one waiton out of the circle")
    return ready


def find_cycle(waits: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle of `waits`, as `[a, b, a]`; empty when there is none."""
    done: set[str] = set()
    for start in waits:
        path: dict[str, None] = {}
        stack = [(start, iter(waits[start]))] if start not in done else []
        path[start] = None
        while stack:
            test, rest = stack[-1]
            after = next((w for w in rest if w in waits and w not in done), None)
            if after is None:
                stack.pop()
                done.add(test)
                path.pop(test, None)
            elif after in path:
                circle = list(path)
                return [*circle[circle.index(after) :], after]
            else:
                path[after] = None
                stack.append((after, iter(waits[after])))
    return []


class _Asked:
    """The pieces of a growing pattern, by test name."""

    def __init__(self, pattern: str) -> None:
        self.own = cut(pattern)
        self.added: list[list[Piece]] = []
        self.items: dict[str, dict[str | None, None]] = {}
        self.wild = TestPattern(",".join(p.text for p in self.own if not p.is_literal))
        self.itemwise = False
        for piece in self.own:
            self._note(piece)

    def _note(self, piece: Piece) -> bool:
        """Whether the piece says something new."""
        items = self.items.setdefault(piece.test, {})
        fresh = piece.item not in items
        items[piece.item] = None
        return fresh

    def add(self, *pieces: Piece) -> None:
        """Put pieces in front, as far as they are new."""
        fresh = [p for p in pieces if self._note(p)]
        if fresh:
            self.added.append(fresh)

    def extend(self, test: str, waiton: str, needs: Needs) -> None:
        """Add what one test wants of one waiton."""
        if not needs.modes & ITEMWISE:
            self.add(Piece(waiton, None))
            return
        self.itemwise = True
        lines = needs.itemmaps.lines(waiton)
        wanted = [Piece(waiton, map_item(lines, item)) for item in self._of(test)]
        self.add(*wanted, Piece(waiton, ""))

    def _of(self, test: str) -> list[str]:
        """The item parts asked of a test, without that of its top record; `%` stands for all."""
        said = self.items.get(test, {})
        parts = [item for item in said if item]
        if None in said or not said or self.wild.names_test(test):
            parts.append("%")
        return list(dict.fromkeys(parts))

    def text(self) -> str:
        """The pattern: what was added last comes first, what the user wrote last."""
        pieces = [p for group in reversed(self.added) for p in group]
        for piece in self.own:
            pieces.append(piece)
            if self.itemwise and piece.is_literal and piece.item is not None:
                pieces.append(Piece(piece.test, ""))
        return ",".join(dict.fromkeys(p.text for p in pieces))
