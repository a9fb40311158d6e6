"""Which tests belong to a plan, and which of their items: select, grow by prerequisites, expand (spec/runs.md 2).

Pure: specifications come in through a callable, so nothing here reads a disk.
A waiton that does not exist, or that is the test itself, is dropped and told
as a `Problem`; a circle of waitons is an error, because no order could exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from mt.config import Problem
from mt.errors import ConfigError, NothingSelected
from mt.patterns import memory_part
from mt.selectors import Piece, TestPattern, find_cycle, grow, tag_match
from mt.testspec import Item, TestSpec, item_path, wait_problems

#: warnings that Megatest said too, or that change what a run does (spec/config.md T42, 2.2)
_ALSO = ("WARNING:", "time limit:")


class Selection(NamedTuple):
    """What a user asks for: a test pattern, a tag expression, and whether names of no test are an error."""

    patterns: str = "%"
    tags: str | None = None
    unknown_ok: bool = False


class CycleError(ConfigError):
    """Tests wait on each other in a circle."""


class Picked(NamedTuple):
    """A test of the plan: its waitons that exist, and why it is here."""

    name: str
    spec: TestSpec
    waitons: tuple[str, ...]
    why: str
    depth: int


class Choice(NamedTuple):
    """The tests of a plan in start order, the pattern their items must match, and what was left out."""

    tests: list[Picked]
    pattern: TestPattern
    problems: list[Problem]


def choose(names: Iterable[str], spec: Callable[[str], TestSpec], want: Selection) -> Choice:
    """Select tests by pattern and tags and pull in their prerequisites (spec/runs.md 2.2, 2.5).

    Tests come by priority, then prerequisites first, then in the order of
    `names`.  Raises NothingSelected with the nearest names, and CycleError.
    """
    known = {name: n for n, name in enumerate(names)}
    pattern = TestPattern(want.patterns)
    if not want.unknown_ok:
        _refuse_unknown(pattern.pieces, known)
    first = [n for n in known if pattern.names_test(n)]
    if want.tags:
        first = [n for n in first if tag_match(want.tags, spec(n).tags)]
    if not first:
        raise _nothing(want, known)

    def look(name: str) -> TestSpec | None:
        return spec(name) if name in known else None

    try:
        grown = grow(want.patterns, first, look)
    except ConfigError as e:
        circle = _circle(first, look)
        if not circle:
            raise
        where = spec(circle[0]).config.where("requirements", "waiton")
        raise CycleError("cycle: " + " -> ".join(circle), hint="take one waiton out of the circle", where=where) from e
    tests = [_picked(name, spec(name), known) for name in grown.tests]
    depths = _depths(tests)
    reasons = _Reasons(pattern.pieces)
    tests = [t._replace(why=reasons.of(t.name, grown.pulled, spec), depth=depths[t.name]) for t in tests]
    tests.sort(key=lambda t: (-t.spec.priority, t.depth, known[t.name]))
    return Choice(tests, grown.pattern, [p for t in tests for p in _problems(t.spec, known)])


def _problems(spec: TestSpec, known: dict[str, int]) -> Iterator[Problem]:
    """What is wrong with a test of the plan; what is merely doubtful in its file is for `mt check`."""
    yield from (p for p in spec.problems if p.level == "error" or p.text.startswith(_ALSO))
    yield from wait_problems(spec, known)


def _picked(name: str, spec: TestSpec, known: dict[str, int]) -> Picked:
    return Picked(name, spec, tuple(w for w in dict.fromkeys(spec.waitons) if w in known and w != name), "", 0)


def _depths(tests: Sequence[Picked]) -> dict[str, int]:
    """How many prerequisites lie below each test at most; tests come dependents first."""
    depths: dict[str, int] = {}
    for test in reversed(tests):
        depths[test.name] = 1 + max((depths[w] for w in test.waitons), default=-1)
    return depths


def _refuse_unknown(pieces: Iterable[Piece], known: dict[str, int]) -> None:
    for piece in pieces:
        if not piece.is_literal or piece.test in known:
            continue
        if "." in piece.test and any(map(memory_part(piece.test), known)):
            continue
        raise NothingSelected(f"no test is called '{piece.test}'", hint=_near(piece.test, known))


def _nothing(want: Selection, known: dict[str, int]) -> NothingSelected:
    tags = f" with tags '{want.tags}'" if want.tags else ""
    word = TestPattern(want.patterns).pieces[0].test if want.patterns.strip(", ") else ""
    return NothingSelected(f"no test matches '{want.patterns}'{tags}", hint=_near(word.strip("%*~"), known))


def _near(word: str, known: dict[str, int]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, 3, 0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    shown = ", ".join(list(known)[:5])
    return f"tests: {shown}{', ...' if len(known) > 5 else ''}" if known else "this area has no tests"


def _circle(first: Iterable[str], look: Callable[[str], TestSpec | None]) -> list[str]:
    waits: dict[str, list[str]] = {}
    queue = list(first)
    for name in queue:  # grows while it is walked
        spec = look(name)
        if spec is not None and name not in waits:
            waits[name] = [w for w in spec.waitons if w != name]
            queue.extend((*waits[name], *spec.waitors))
    return find_cycle(waits)


class _Reasons:
    """Why a test is in the plan, in words."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = [(memory_part(p.test), p.text) for p in pieces]

    def of(self, name: str, pulled: dict[str, str], spec: Callable[[str], TestSpec]) -> str:
        """`matches 'a%'`, `prerequisite of b` or `wanted with b`."""
        by = pulled.get(name)
        if by is not None:
            return f"prerequisite of {by}" if name in spec(by).waitons else f"wanted with {by}"
        return next((f"matches '{text}'" for match, text in self.pieces if match(name)), "")


def keep(test: str, items: Sequence[Item], pattern: TestPattern) -> tuple[list[str], list[int]]:
    """The item paths of a test that the pattern matches, and the place of each in `items`.

    An item path that comes twice is one case: nothing could tell the two apart.
    """
    first: dict[str, int] = {}
    for n, item in enumerate(items):
        first.setdefault(item_path(item), n)
    if not takes_all(pattern):
        first = {path: n for path, n in first.items() if pattern.matches(test, path)}
    return list(first), list(first.values())


def takes_all(pattern: TestPattern) -> bool:
    """Whether a pattern matches whatever there is."""
    return any(p.test in ("%", "*") and p.item in (None, "%", "*") for p in pattern.pieces)
