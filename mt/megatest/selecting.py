"""Which runs and tests an old command means: target, run name, pattern, state, status (spec/runs.md 2.1 to 2.4, 5.1).

What was recorded is matched as SQL did it (LIKE with `%`, else GLOB); an
iterated test has a top record beside its items, rolled up from them, and
commands may mean either.  All commands that operate on runs, and all that list
them, ask here:

    for run, rows in select(args, store): ...
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mt.megatest.talk import Refused
from mt.megatest.words import comma_list
from mt.model import CaseRow
from mt.patterns import TestPattern, is_wild

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mt.area import Area
    from mt.config import Config
    from mt.db import Store
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args
    from mt.model import RunRow
    from mt.queries import Top


class Wanted(NamedTuple):
    """What was asked for; a target or run name of None means every one, as no states and no statuses do."""

    target: str | None
    name: str | None
    tests: TestPattern
    states: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()

    def accepts(self, row: CaseRow) -> bool:
        """Whether a record is meant."""
        if (self.states and row.state not in self.states) or (self.statuses and row.status not in self.statuses):
            return False
        return self.tests.matches(row.test, row.item)


def select(
    args: Args,
    store: Store,
    area: Area | None = None,
    *,
    tops: bool = False,
    all_runs: bool = False,
    deleted: bool = False,
) -> Iterator[tuple[RunRow, list[CaseRow]]]:
    """The runs that are meant, oldest first, each with its records that are meant, by test and item (5.1).

    With `tops` the rolled-up records of iterated tests are among them (see
    `is_top`).  A locked run shows no tests unless `all_runs`.  Runs of which
    everything was removed, and removed tests, only come with `deleted`.  The
    area is needed where a -modepatt may be given.  What is new in the journals
    of a run is folded before its records are read.
    """
    want = wanted(args, area)
    for run in runs(store, want.target, want.name, deleted=deleted):
        shown = all_runs or not is_locked(run)
        yield run, records(store, run.id, want, tops=tops, deleted=deleted) if shown else []


def wanted(args: Args, area: Area | None = None, *, name: str | None = None, colon: bool = True) -> Wanted:
    """What the options ask for; `name` in place of -runname, `colon` lets :state and :status count too (2.1)."""
    from mt.megatest.prepare import run_name, target_of

    state = args.value(":state", "-state") if colon else args.value("-state")
    status = args.value(":status", "-status") if colon else args.value("-status")
    tests = TestPattern.glob(pattern(args, area))
    return Wanted(target_of(args), name or run_name(args), tests, comma_list(state), comma_list(status))


def pattern(args: Args, area: Area | None = None) -> str:
    """The test pattern of a command that lists or operates on what is recorded (2.4).

    A key that was named (-modepatt, --modepatt) counts as in a run.  The key
    TESTPATT, which nobody named, does not: what a target runs when nothing is
    said must hide nothing of what has run, nor spare it from `-testpatt %`.
    Raises Refused (0, as ever) when --modepatt names a key that is not there.
    """
    asked = args.value("-testpatt", "-runtests") or "%"
    if args.value("-itempatt"):
        asked = f"{asked}/{args.value('-itempatt')}"
    forced = args.value("--modepatt")
    key = forced or args.value("-modepatt")
    value = run_variable(area, args, key) if area is not None and key else None
    if forced and value is None:
        raise Refused(0, "there is no test pattern for this run")
    return value if value and (forced or asked == "%") else asked


def run_variable(area: Area, args: Args, key: str) -> str | None:
    """A value of runconfigs.config for the area's target, else of [default]."""
    if area.runconfigs is not None:
        return area.run_variable(key)
    found = run_variables(area, args)
    return found.get("default", key) if found is not None else None


def run_variables(area: Area, args: Args) -> Config | None:
    """runconfigs.config: what counts for the area's target, all of it without one; None when there is no such file."""
    from mt.config import Reading, read
    from mt.opening import RUNCONFIGS

    path = os.path.join(area.home, RUNCONFIGS)
    if area.target is not None or not os.path.exists(path):
        return area.runconfigs
    switches: dict[str, str | bool] = {**args.values, **dict.fromkeys(args.flags, True)}
    return read(path, Reading(area.home, env=area.env.as_dict(), bare_export=True, args=switches))


# -- the area


class Opened(NamedTuple):
    """An area that is only looked at, and the target that is meant, a pattern; None means every one."""

    area: Area
    target: str | None


def open_to_list(args: Args, talk: Talk) -> Opened:
    """Open the area for a command that lists; a target that does not fit its keys is told and counts as none (2.1)."""
    from mt.megatest.prepare import open_area, target_of

    target = target_of(args)
    try:
        area = open_area(args, talk, target)
    except Refused as e:
        if e.status != 3:
            raise
        area = open_area(args, talk)
    values = (target or "").split("/")
    if target and (len(values) != len(area.keys) or not all(values)):
        talk.error(f"Invalid target, '{target}' should be {'/'.join(area.keys)} without empty parts")
        target = None
    return Opened(area, target)


def store_of(area: Area) -> Store | None:
    """The records of an area; None where nothing was ever recorded."""
    from mt.db import Store

    return Store(area.home) if os.path.exists(os.path.join(area.db_dir, "AREA")) else None


# -- runs


def runs(store: Store, target: str | None, name: str | None, *, deleted: bool = False) -> list[RunRow]:
    """Runs by patterns of target and name, oldest first, folded; without those that are gone unless `deleted`."""
    from mt.fold import refresh
    from mt.queries import find_runs

    for run in find_runs(store, target, name):
        refresh(store, run.id)
    return [run for run in find_runs(store, target, name) if deleted or not is_gone(run)]


def is_gone(run: RunRow) -> bool:
    """Whether a run had tests and all of them were removed (5.5; a test that waits holds its run, D12)."""
    states = {key.partition("/")[0] for key, n in run.counts.items() if n}
    return states == {"DELETED"}


def is_locked(run: RunRow) -> bool:
    """Whether a run was locked by -lock, or frozen (5.4)."""
    return bool(run.said.get("frozen"))


# -- tests


def records(store: Store, run_id: int, want: Wanted, *, tops: bool = False, deleted: bool = False) -> list[CaseRow]:
    """The records of a run that are meant, by test and item; nothing is folded."""
    from mt.queries import cases

    names = exact_tests(want.tests)
    if not tops:
        found = cases(store, run_id, tests=names, states=want.states, statuses=want.statuses)
        rows: Iterable[CaseRow] = found
    else:
        every = list(cases(store, run_id, tests=names))
        rows = sorted([*every, *top_records(store, run_id, every)], key=lambda row: row[:2])
    return [row for row in rows if want.accepts(row) and (deleted or row.state != "DELETED")]


def exact_tests(tests: TestPattern) -> list[str] | None:
    """The names of the tests that can be meant, when no piece of the pattern has a wildcard in its test part."""
    names = {piece.test for piece in tests.pieces}
    return None if any(is_wild(name) for name in names) else sorted(names)


def is_top(row: CaseRow) -> bool:
    """Whether a record is the top record of an iterated test, which no event may name."""
    return row.attempt == 0


def top_records(store: Store, run_id: int, rows: Iterable[CaseRow]) -> list[CaseRow]:
    """The top records of the iterated tests among these cases, which must be all of their tests.

    Where a test is, and since when, is what its items say.
    """
    from mt.queries import tops

    first: dict[str, tuple[float, str]] = {}
    for row in rows:
        if row.item:
            start, where = first.get(row.test, (0.0, ""))
            begun = min(start, row.start) if start and row.start else start or row.start
            first[row.test] = (begun, where or _above(row))
    return [_top(top, *first[top.test]) for top in tops(store, run_id) if top.items and top.test in first]


def _top(top: Top, start: float, where: str) -> CaseRow:
    return CaseRow(top.test, "", attempt=0, state=top.state, status=top.status, start=start, dir=where)


def _above(row: CaseRow) -> str:
    """The directory of the test in which an item's directory is."""
    return row.dir.removesuffix(f"/{row.item}") if row.dir.endswith(f"/{row.item}") else ""
