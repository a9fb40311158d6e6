"""Who waits on whom, and what may start now: the plan of a run (spec/runs.md 4.2, 4.3).

Pure: no clock, no disk, no processes.  The run loop tells what ended and is
told what follows:

    plan = Plan.of(area.tests(), area.spec, Selection("smoke/%"))
    moves = plan.begin(recorded)
    ...                                  # start each Ready, record each Closed, evaluate each NeedItems
    moves = plan.ended(case, "COMPLETED", "PASS")

How a prerequisite decides, in the words of the table of spec/runs.md 4.3:

* *met*: it ended with PASS, WARN, CHECK, WAIVED or SKIP, whatever the state.
* *fail*: it ended with any other verdict, also KILLED/KILLED and ARCHIVED/FAIL
  (the sane rule there): the case is closed COMPLETED/PREQ_FAIL, at once.  In
  mode normal one bad item of the waiton is enough.
* *discard*: it was never able to run (ZERO_ITEMS): COMPLETED/PREQ_DISCARDED.
* *blocked*: it ended without a verdict (LOST, INFRA, INCOMPLETE that is not
  INCOMPLETE/FAIL, STUCK): NOT_STARTED/BLOCKED, which the next run starts again.
  **Deviation:** the table fails dependents of INCOMPLETE/KILLED for good; an
  interruption says nothing about the test, so here they are only blocked.
* Mode toplevel asks only that the prerequisite is over, however that came
  about; also when it could not run (D5 there: start it).

Discard and blocked wait for the remaining prerequisites, and fail wins over
discard over blocked, so the outcome does not depend on the order of endings.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from mt.config import Problem
from mt.model import CaseKey
from mt.pipeline.expand import Choice, CycleError, Selection, choose, keep
from mt.pipeline.graph import AFTER, BLOCKED, CLOSED, DISCARD, ENDED, ISSUED, OK, WAITING, Graph
from mt.pipeline.links import Links, Test, Wait
from mt.pipeline.moves import CLOSING, ZERO, Closed, Move, NeedItems, Ready, outcome
from mt.selectors import ITEMWISE, TestPattern
from mt.testspec import Item, TestSpec

__all__ = ["Closed", "CycleError", "Item", "Move", "NeedItems", "Plan", "Problem", "Ready", "Selection", "Wait"]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the collector of cycles away: it would look again and again at objects that all stay, for half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Plan:
    """The cases of a run and what each waits for; `cases[n]` is the key of case n."""

    def __init__(self) -> None:
        self.cases: list[CaseKey] = []
        self.problems: list[Problem] = []
        self._tests: dict[str, Test] = {}
        self._list: list[Test] = []
        self._which = array("i")  # case -> its item's place in the test's items, -1 for none
        self._graph = Graph()
        self._links = Links(self._graph, self.cases)
        self.late: list[int] = []  # cases that `assume` made in place of items that are not known
        self._zeros: set[int] = set()  # cases that stand for "no item is wanted"
        self._recorded: Mapping[CaseKey, tuple[str, str]] = {}
        self._names: Iterable[str] = ()
        self._spec: Callable[[str], TestSpec]

    @classmethod
    def of(cls, names: Iterable[str], spec: Callable[[str], TestSpec], want: Selection) -> Plan:
        """The plan for what is wanted; raises NothingSelected and CycleError."""
        plan = cls()
        plan._names = names
        plan._spec = spec
        with _undisturbed():
            plan._take(choose(names, spec, want))
        return plan

    # -- what is in it -----------------------------------------------------------------------------------------

    def spec_of(self, case: int) -> TestSpec:
        """The specification of a case's test."""
        return self._home(case).picked.spec

    def item_of(self, case: int) -> Item:
        """The item variables of a case with their values; empty for a test without items."""
        test, n = self._home(case), self._which[case]
        return test.items[n] if test.items is not None and n >= 0 else ()

    def reason(self, case: int) -> str:
        """Why the case is in the plan."""
        return self._home(case).picked.why

    def rank(self, case: int) -> tuple[float, int, int]:
        """The place of a case in the start order: priority, prerequisites first, then the order of names."""
        picked = self._home(case).picked
        return (-picked.spec.priority, picked.depth, case)

    def group(self, case: int) -> str:
        """The job group of a case, or an empty text."""
        return self._home(case).picked.spec.jobgroup

    def left(self) -> int:
        """How many cases have not ended; a test whose items are not known counts as one."""
        return self._graph.left + sum(not t.known for t in self._list)

    def unexpanded(self) -> list[str]:
        """Tests whose items are not known yet."""
        return [t.name for t in self._list if not t.known]

    def _home(self, case: int) -> Test:
        return self._list[self._graph.home[case]]

    def waits(self, case: int) -> list[Wait]:
        """What a case waits for, one entry for each of its test's waitons."""
        test = self._home(case)
        return [self._links.waits(test, case, self._tests[w]) for w in test.picked.waitons]

    def waitons(self, case: int) -> list[str]:
        """The names of what a case waits for: cases, or tests where the test as a whole is meant."""
        return [name for wait in self.waits(case) for name in self._links.sources(wait)]

    def waiting(self, case: int) -> list[str]:
        """What a case still waits for, or what closed it, in words; empty once it may start."""
        if self._graph.state[case] in (ISSUED, ENDED):
            return []
        test = self._home(case)
        return [words for w in test.picked.waitons for words in self._links.blockers(test, case, self._tests[w])]

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """(what is waited for, what waits, mode) by name; a test that is meant as a whole stands for its cases."""
        for test in self._list:
            for waiton in test.picked.waitons:
                yield from self._links.edges(test, self._tests[waiton])

    # -- what happens ------------------------------------------------------------------------------------------

    def begin(self, recorded: Mapping[CaseKey, tuple[str, str]] | None = None) -> Iterator[Move]:
        """Start the plan; `recorded` are cases that have ended before and are kept, as (state, status).

        All else waits.  The moves come in start order.
        """
        self._recorded = recorded or {}
        for case, key in enumerate(self.cases) if recorded else ():
            self._note_recorded(case, key)
        self._link_all()
        return self._moves(ordered=True)

    def ended(self, case: int, state: str, status: str) -> Iterator[Move]:
        """A case has ended; gives what follows.  A case that had ended before changes nothing: see `reopen`."""
        if self._graph.state[case] >= ENDED:
            return iter(())
        said = outcome(state, status)
        self._graph.end(case, BLOCKED if said is None else said)
        return self._moves()

    def expanded(self, test: str, items: Sequence[Item] | None) -> Iterator[Move]:
        """The items of a test have been evaluated; None for a test that turns out to have none to iterate over."""
        found = self._tests[test]
        if found.known:
            return iter(())
        new = self._fill(found, items)
        self._links.arrived(found)
        for waiton in found.picked.waitons:
            other = self._tests[waiton]
            if found.iterated and other.iterated and found.modes & ITEMWISE:
                self._links.wait_items(found, other)
        for case in new:
            said = self._kept(self.cases[case])
            if said is not None:
                self._graph.end(case, said)
        self._graph.flush()
        self._graph.start(new)
        return self._moves()

    def assume(self, test: str) -> Iterator[Move]:
        """Count a test whose items are not known as one case, to look ahead without evaluating anything."""
        case = self._stand_in(self._tests[test])
        self.late.append(case)
        self._graph.flush()
        self._graph.start(range(case, case + 1))
        return self._moves()

    def add(self, want: Selection) -> Iterator[Move]:
        """Join a second request to the plan: gives the moves of its new cases; raises as `of` does."""
        first = len(self.cases)
        with _undisturbed():
            revived = self._take(choose(self._names, self._spec, want))
        for case in range(first, len(self.cases)):
            self._note_recorded(case, self.cases[case])
        self._decide_again(revived, ())
        return self._moves(ordered=True)

    def reopen(self, cases: Iterable[int]) -> tuple[list[int], Iterator[Move]]:
        """Cases that have ended run again: gives all cases that wait once more, and the moves.

        What was closed because of them waits again too; what already runs or
        ran because of them is left alone.  A retry before `ended` was said
        needs no reopening.
        """
        state = self._graph.state
        again = [c for c in dict.fromkeys(cases) if state[c] >= ENDED and c not in self._zeros]
        dragged = self._decide_again({self._home(c).name for c in again}, again)
        return again + dragged, self._moves(ordered=True)

    def _decide_again(self, tests: set[str], again: Collection[int]) -> list[int]:
        """Let cases wait again, and what was closed below these tests; gives what of the latter really waits now."""
        graph = self._graph
        dragged = {c for c in self._below(tests) if graph.state[c] == CLOSED} if tests else set()
        dragged.difference_update(again)
        was = {case: graph.outcome[case] for case in dragged}
        for case in (*again, *dragged):
            graph.mark(case, WAITING)
        self._link_all()
        still = {c for c, said in graph.done if said and was.get(c) == AFTER[said]}
        graph.done = [d for d in graph.done if d[0] not in still]
        return sorted(dragged - still)

    def _below(self, tests: set[str]) -> Iterator[int]:
        """The cases of all tests that wait, directly or not, for one of these."""
        for test in sorted(self._list, key=lambda t: t.picked.depth):
            if tests.intersection(test.picked.waitons):
                tests.add(test.name)
                yield from (c for c in self._graph.cases_of[test.number] if c not in self._zeros)

    def _moves(self, *, ordered: bool = False) -> Iterator[Move]:
        """What the graph has collected, as moves; deferred tests that cannot run are closed as a whole."""
        graph = self._graph
        moves: list[Move] = []
        while graph.done or graph.opened:
            done, graph.done = graph.done, []
            if ordered:
                done.sort()
            moves.extend(self._move(case, said) for case, said in done)
            opened, graph.opened = graph.opened, []
            for number, said in opened:
                self._open(self._list[number], said, moves)
        return iter(moves)

    def _move(self, case: int, said: int) -> Move:
        if said == OK:
            return Ready(case)
        if case in self._zeros:
            return Closed(case, *ZERO)
        return Closed(case, *CLOSING[said])

    def _open(self, test: Test, said: int, moves: list[Move]) -> None:
        if test.asked:
            return
        if said == OK:
            test.asked = True
            moves.append(NeedItems(test.name))
            return
        case = self._stand_in(test)
        self._graph.close(case, said)
        self._graph.flush()

    # -- making cases ------------------------------------------------------------------------------------------

    def _take(self, choice: Choice) -> set[str]:
        """Add what was chosen; gives the names of tests that had no items to run and now have some."""
        self.problems.extend(p for p in choice.problems if p not in self.problems)
        revived = set()
        for picked in choice.tests:
            test = self._tests.get(picked.name)
            if test is not None:
                if self._widen(test, choice.pattern):
                    revived.add(picked.name)
                continue
            test = Test(self._graph.add_test(), picked, choice.pattern)
            self._tests[picked.name] = test
            self._list.append(test)
            if not picked.spec.items_deferred:
                self._fill(test, picked.spec.items)
        return revived

    def _fill(self, test: Test, items: Sequence[Item] | None) -> range:
        """Make the cases of a test, or the one that says that it has none."""
        test.known = True
        test.items = items
        if items is None:
            paths, which = ([""], [-1]) if test.patterns[-1].matches(test.name, "") else ([], [])
        else:
            paths, which = self._kept_items(test, items)
            test.iterated = bool(paths)
        made = self._append(test, paths or [""], which or [-1])
        if not paths:
            self._none(test, made[0])
        return made

    def _stand_in(self, test: Test) -> int:
        """One case in place of items that are not known."""
        test.known = True
        (case,) = self._append(test, [""], [-1])
        self._links.arrived(test)
        return case

    def _kept_items(self, test: Test, items: Sequence[Item]) -> tuple[list[str], list[int]]:
        if len(test.patterns) == 1:
            return keep(test.name, items, test.patterns[0])
        found: dict[str, int] = {}
        for pattern in test.patterns:
            found.update(zip(*keep(test.name, items, pattern), strict=True))
        return list(found), list(found.values())

    def _append(self, test: Test, paths: list[str], which: list[int]) -> range:
        name = test.name
        self.cases.extend([CaseKey(name, path) for path in paths])
        self._which.extend(which)
        test.index = None
        return self._graph.add_cases(test.number, len(paths))

    def _none(self, test: Test, case: int) -> None:
        """No item of the test is wanted: its one case is closed, and those that wait for it are discarded."""
        test.zero = case
        self._zeros.add(case)
        self._graph.done.append((case, DISCARD))
        self._graph.end(case, DISCARD)
        self._graph.mark(case, CLOSED, DISCARD)

    def _widen(self, test: Test, pattern: TestPattern) -> bool:
        """A second request wants the test too: make what it adds; tells whether there was nothing before."""
        test.patterns.append(pattern)
        zero = test.zero
        if not test.known:
            return False
        if test.items is None:
            if zero < 0 or not pattern.matches(test.name, ""):
                return False
            self._graph.mark(zero, WAITING)
            self._zeros.remove(zero)
            self._graph.done = [d for d in self._graph.done if d[0] != zero]
        else:
            have = self._links.index(test)
            found = zip(*keep(test.name, test.items, pattern), strict=True)
            pairs = [(path, n) for path, n in found if path not in have]
            if not pairs:
                return False
            if zero >= 0:
                self._graph.cases_of[test.number].remove(zero)
                test.iterated = True
            self._append(test, [path for path, _ in pairs], [n for _, n in pairs])
        test.zero = -1
        return zero >= 0

    def _link_all(self) -> None:
        """Make all edges anew from what waits on what; what has ended is fed, what runs is left alone."""
        graph, links = self._graph, self._links
        links.cut(self._list)
        for test in self._list:
            for waiton in test.picked.waitons if test.zero < 0 else ():
                links.wait(test, self._tests[waiton])
        graph.flush()
        for test in self._list:
            test.index = None
            if test.known:
                graph.start(graph.cases_of[test.number])
            elif test.sink < 0:
                graph.opened.append((test.number, OK))

    def _note_recorded(self, case: int, key: CaseKey) -> None:
        said = self._kept(key)
        if said is not None and self._graph.state[case] == WAITING:
            self._graph.mark(case, ENDED, said)

    def _kept(self, key: CaseKey) -> int | None:
        """The outcome of a case that ended before; what was recorded without running is decided again."""
        record = self._recorded.get(key)
        return None if record is None or record[0] == "NOT_STARTED" else outcome(*record)
