"""How long a plan will take: play it through with expected durations (spec/architecture.md 6.10).

Pure: the same plan, durations and slots give the same schedule.  Playing uses
up the plan.  Every case is taken to pass, for a failure only makes a run
shorter.  A test whose items are not known yet counts as one case.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from mt.model import CaseKey, CaseRow
from mt.pipeline.plan import Move, NeedItems, Plan, Ready
from mt.states import verdict

Rank = Callable[[int], tuple[float, ...]]


class Timed(NamedTuple):
    """When a case is expected to run, in seconds from the start; `after` is what its start waited for, or -1.

    `held` says what for: "prerequisite", "slot" or "group".
    """

    case: int
    start: float
    end: float
    after: int
    held: str


class Schedule(NamedTuple):
    """All cases that will run, in start order; `total` is the expected end, `work` the sum, both in seconds."""

    rows: list[Timed]
    total: float
    work: float

    def critical(self) -> list[Timed]:
        """The chain that decides the end: each row ends just when the next one can start."""
        by_case = {row.case: row for row in self.rows}
        row = max(self.rows, key=lambda r: r.end, default=None)
        chain = []
        while row is not None:
            chain.append(row)
            row = by_case.get(row.after)
        return chain[::-1]


class Expected:
    """Seconds a case will take: its own, else the mean of its test's cases, else of all, else one second."""

    def __init__(self, plan: Plan, known: Mapping[CaseKey, float]) -> None:
        self.plan = plan
        self.known = known
        sums: dict[str, tuple[float, int]] = {}
        for key, secs in known.items():
            total, n = sums.get(key.test, (0.0, 0))
            sums[key.test] = (total + secs, n + 1)
        self.means = {test: total / n for test, (total, n) in sums.items()}
        self.mean = sum(known.values()) / len(known) if known else 1.0

    def of(self, case: int) -> float:
        """The expected duration of a case."""
        key = self.plan.cases[case]
        secs = self.known.get(key)
        return self.means.get(key.test, self.mean) if secs is None else secs


class Record(NamedTuple):
    """How often a case ended with a verdict, how often a bad one, and how long it took on average."""

    ended: int
    bad: int
    secs: float


def records(rows: Iterable[CaseRow]) -> dict[CaseKey, Record]:
    """The records of all cases from their rows in several runs; what has no verdict is left out."""
    found: dict[CaseKey, Record] = {}
    for row in rows:
        said = verdict(row.state, row.status)
        if said in ("good", "bad") and not row.status.startswith("PREQ_"):
            old = found.get(row.key, Record(0, 0, 0.0))
            secs = (old.secs * old.ended + row.secs) / (old.ended + 1)
            found[row.key] = Record(old.ended + 1, old.bad + (said == "bad"), secs)
    return found


def first_to_fail(plan: Plan, past: Mapping[CaseKey, Record], expected: Expected) -> Rank:
    """A start order that finds failures soon: the likeliest failure for each second comes first.

    Durations below a tenth of a second count as that: they say more of the
    machine than of the case.  The rate is (bad + 1/2) / (ended + 1), so a case that never ran is as likely
    to fail as not.  Prerequisites still come before what waits for them.
    """

    def rank(case: int) -> tuple[float, ...]:
        record = past.get(plan.cases[case], Record(0, 0, 0.0))
        rate = (record.bad + 0.5) / (record.ended + 1)
        return (-rate / max(expected.of(case), 0.1), *plan.rank(case))

    return rank


def play(
    plan: Plan,
    secs: Callable[[int], float],
    slots: int,
    groups: Mapping[str, int] | None = None,
    rank: Rank | None = None,
) -> Schedule:
    """Play a plan that was not begun through to its end; raises nothing that `Plan` does not."""
    return _Play(plan, secs, max(slots, 1), groups or {}, rank or plan.rank).schedule()


class _Play:
    """One simulation: `ready` waits for a slot, `parked` for its group, `running` ends in order."""

    def __init__(
        self, plan: Plan, secs: Callable[[int], float], slots: int, groups: Mapping[str, int], rank: Rank
    ) -> None:
        self.plan = plan
        self.secs = secs
        self.slots = slots
        self.groups = {name: max(n, 1) for name, n in groups.items()}
        self.rank = rank
        self.now = 0.0
        self.ready: list[tuple[tuple[float, ...], int]] = []
        self.running: list[tuple[float, int]] = []
        self.parked: dict[str, list[tuple[tuple[float, ...], int]]] = {}
        self.in_group: dict[str, int] = {}
        self.after = array("i")  # case -> what its readiness waited for
        self.since = array("d")  # case -> when it was ready
        self.held: dict[int, str] = {}
        self.rows: list[Timed] = []

    def schedule(self) -> Schedule:
        """Play to the end."""
        self._take(self.plan.begin(), -1)
        self._start(-1)
        while self.running:
            self.now, case = heapq.heappop(self.running)
            self._leave(case)
            self._take(self.plan.ended(case, "COMPLETED", "PASS"), case)
            self._start(case)
        work = sum(row.end - row.start for row in self.rows)
        return Schedule(self.rows, self.now, work)

    def _take(self, moves: Iterator[Move], cause: int) -> None:
        queue = list(moves)
        for move in queue:  # grows while it is walked
            if isinstance(move, Ready):
                self._grow(move.case)
                self.after[move.case], self.since[move.case] = cause, self.now
                heapq.heappush(self.ready, (self.rank(move.case), move.case))
            elif isinstance(move, NeedItems):
                queue.extend(self.plan.assume(move.test))

    def _grow(self, case: int) -> None:
        missing = max(len(self.plan.cases), case + 1) - len(self.after)
        if missing > 0:
            self.after.extend([-1] * missing)
            self.since.extend([0.0] * missing)

    def _start(self, freed: int) -> None:
        while self.ready and len(self.running) < self.slots:
            entry = heapq.heappop(self.ready)
            case = entry[1]
            group = self.plan.group(case)
            if group in self.groups:
                if self.in_group.get(group, 0) >= self.groups[group]:
                    heapq.heappush(self.parked.setdefault(group, []), entry)
                    self.held[case] = "group"
                    continue
                self.in_group[group] = self.in_group.get(group, 0) + 1
            self._run(case, freed)

    def _run(self, case: int, freed: int) -> None:
        end = self.now + self.secs(case)
        heapq.heappush(self.running, (end, case))
        if self.since[case] < self.now:
            self.rows.append(Timed(case, self.now, end, freed, self.held.pop(case, "slot")))
        else:
            after = self.after[case]
            self.rows.append(Timed(case, self.now, end, after, "prerequisite" if after >= 0 else ""))

    def _leave(self, case: int) -> None:
        group = self.plan.group(case)
        if group not in self.groups:
            return
        self.in_group[group] -= 1
        if self.parked.get(group):
            heapq.heappush(self.ready, heapq.heappop(self.parked[group]))
