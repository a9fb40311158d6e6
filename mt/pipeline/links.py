"""The edges between the tests of a plan: modes, item maps, counterparts (spec/runs.md 4.2, 2.6).

What one test waits for in another is one of these:

* *whole*: all its cases together decide (modes normal and toplevel; and item by
  item, when one of the two has no items).
* a *counterpart*: the case whose item path is mine, through the item map.
* *several*: the mapped path holds `%`, and all cases that it matches decide.
* *none*: there is no counterpart.  itemwait then takes the test as a whole,
  itemmatch is content with any case that went well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mt.model import CaseKey
from mt.patterns import memory_part
from mt.pipeline.expand import Picked
from mt.pipeline.graph import ALL, ANY, BLOCKED, DISCARD, ENDED, FAIL, FIRST, OVER, Graph
from mt.selectors import ITEMWISE, TestPattern, map_item
from mt.testspec import Item

_WORDS = {BLOCKED: "ended without a verdict", DISCARD: "has no items to run", FAIL: "ended badly"}


class Wait(NamedTuple):
    """One thing a case waits for: `cases` of `test`; `whole` when the test as such was meant."""

    test: str
    cases: Sequence[int]
    mode: str
    whole: bool


class Test:
    """A test of the plan; `items` is None when it has none or they are not known."""

    __test__ = False
    __slots__ = ("asked", "index", "items", "iterated", "known", "mode", "modes", "number", "patterns", "pending",
                 "picked", "sink", "zero")  # fmt: skip

    def __init__(self, number: int, picked: Picked, pattern: TestPattern) -> None:
        self.number = number
        self.picked = picked
        self.modes = picked.spec.modes
        self.mode = next((m for m in ("toplevel", "itemwait", "itemmatch") if m in self.modes), "normal")
        self.patterns = [pattern]
        self.items: Sequence[Item] | None = None
        self.known = False  # its cases exist
        self.iterated = False  # its cases are items
        self.asked = False  # its items have been asked for
        self.zero = -1  # the case that stands for "no items match"
        self.sink = -1  # the node that whole prerequisites feed
        self.pending: list[Test] = []  # tests that wait item by item for items that are not known yet
        self.index: dict[str, int] | None = None  # item path -> case

    @property
    def name(self) -> str:
        """Its name."""
        return self.picked.name


class Links:
    """Makes the edges of a graph from what tests say of each other."""

    def __init__(self, graph: Graph, cases: list[CaseKey]) -> None:
        self.graph = graph
        self.cases = cases
        self.joins: dict[tuple[int, int], int] = {}

    def cut(self, tests: Iterable[Test]) -> None:
        """Forget all edges."""
        self.graph.cut()
        self.joins = {}
        for test in tests:
            test.sink = -1
            test.pending = []

    def wait(self, test: Test, other: Test) -> None:
        """Make the edges of one test towards one waiton."""
        if test.modes & ITEMWISE:
            if not other.known:
                other.pending.append(test)
                self.graph.hold(self._sink(test))
                return
            if other.iterated and not test.known:
                self.graph.link_join(self._count(other, FIRST), self._sink(test))
                return
            if other.iterated and test.iterated:
                self.wait_items(test, other)
                return
        lax = "toplevel" in test.modes
        cases = self.graph.cases_of[other.number]
        if len(cases) == 1:
            self.graph.link(cases[0], self._sink(test), int(lax))
        else:
            self.graph.link_join(self._count(other, OVER if lax else ALL), self._sink(test))

    def wait_items(self, test: Test, other: Test) -> None:
        """Make the edges of each item of a test towards its counterpart; both have items."""
        graph, keys = self.graph, self.cases
        lines = test.picked.spec.itemmaps.lines(other.name)
        index = self.index(other)
        lax = int("toplevel" in test.modes)
        several: dict[str, int] = {}
        for case in graph.cases_of[test.number]:
            path = keys[case].item
            wanted = map_item(lines, path) if lines else path
            source = index.get(wanted)
            if source is not None:
                graph.link(source, case << 1, lax)
                continue
            join = several.get(wanted)
            if join is None:
                join = several[wanted] = self._several(test, other, wanted)
            graph.link_join(join, case << 1)

    def _several(self, test: Test, other: Test, wanted: str) -> int:
        """A join over the cases that a mapped path with `%` matches, or over the whole test when there are none."""
        found = matched(self.index(other), wanted)
        if not found:
            soft = "itemmatch" in test.modes and "itemwait" not in test.modes
            lax = "toplevel" in test.modes
            return self._count(other, OVER if lax else ANY if soft else ALL)
        join = self.graph.join(OVER if "toplevel" in test.modes else ALL)
        for case in found:
            self.graph.link(case, join << 1 | 1)
        return join

    def _sink(self, test: Test) -> int:
        """What whole prerequisites of a test feed: its only case, or a gate in front of all its cases."""
        if test.sink < 0:
            cases = self.graph.cases_of[test.number]
            if len(cases) == 1:
                test.sink = cases[0] << 1
            else:
                test.sink = self.graph.gate(test.number)
        return test.sink

    def _count(self, test: Test, kind: int) -> int:
        """The join of this kind over all cases of a test."""
        join = self.joins.get((test.number, kind))
        if join is None:
            join = self.joins[test.number, kind] = self.graph.count(test.number, kind)
        return join

    def index(self, test: Test) -> dict[str, int]:
        """The cases of a test by item path."""
        if test.index is None:
            keys = self.cases
            test.index = {keys[c].item: c for c in self.graph.cases_of[test.number]}
        return test.index

    def arrived(self, test: Test) -> None:
        """The cases of a test have become known: make the edges that waited for that."""
        self.graph.grown(test.number)
        pending, test.pending = test.pending, []
        for other in pending:
            self.wait(other, test)
            self.graph.release(self._sink(other))

    def waits(self, test: Test, case: int, other: Test) -> Wait:
        """What a case waits for in one waiton, as `wait` links it."""
        cases = self.graph.cases_of[other.number]
        if not (test.modes & ITEMWISE and test.iterated and other.iterated):
            return Wait(other.name, cases, test.mode, True)
        lines = test.picked.spec.itemmaps.lines(other.name)
        path = map_item(lines, self.cases[case].item) if lines else self.cases[case].item
        index = self.index(other)
        found = [index[path]] if path in index else matched(index, path)
        return Wait(other.name, found or cases, test.mode, not found)

    def sources(self, wait: Wait) -> list[str]:
        """The names of what is waited for: cases, or the test where it is meant as a whole."""
        return [wait.test] if wait.whole else [str(self.cases[c]) for c in wait.cases]

    def edges(self, test: Test, other: Test) -> Iterator[tuple[str, str, str]]:
        """(what is waited for, what waits, mode); a test that waits as a whole stands for all its cases."""
        if not (test.modes & ITEMWISE and test.iterated and other.iterated):
            yield other.name, test.name, test.mode
            return
        for case in self.graph.cases_of[test.number]:
            for source in self.sources(self.waits(test, case, other)):
                yield source, str(self.cases[case]), test.mode

    def blockers(self, test: Test, case: int, other: Test) -> list[str]:
        """What in one waiton has not ended, or ended so that the case cannot run, in words."""
        if not other.known:
            return [f"{other.name}: its items are not known yet"]
        wait = self.waits(test, case, other)
        graph = self.graph
        open_ = [c for c in wait.cases if graph.state[c] < ENDED]
        bad = [] if "toplevel" in test.modes else [c for c in wait.cases if c not in open_ and graph.outcome[c]]
        said = [f"{self.cases[c]} {_WORDS[graph.outcome[c]]}" for c in bad[:3]]
        if len(bad) > 3:
            said.append(f"and {len(bad) - 3} more of {other.name}")
        if len(open_) == 1 or not wait.whole:
            said.extend(f"{self.cases[c]} has not ended" for c in open_)
        elif open_:
            said.append(f"{other.name}: {len(open_)} of {len(wait.cases)} items have not ended")
        return said


def matched(index: dict[str, int], wanted: str) -> list[int]:
    """The cases that a mapped path with `%` stands for; none when it holds no `%`."""
    if "%" not in wanted:
        return []
    match = memory_part(wanted)
    return [case for path, case in index.items() if match(path)]
