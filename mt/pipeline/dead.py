"""Look for cases that count as running and do not run, in runs that nobody drives (spec/runs.md 3.6).

A controller sees to the cases of its own run; this is for runs whose controller
died and that nobody has started again.  What lives goes on (`adopted` by whoever
drives the run next).  A worker that is provably dead leaves an interrupted case,
which the same run command starts again; what it left running is ended.  One of
which nobody can prove anything, and that gave no sign of life while we looked,
leaves a LOST case, with the evidence.  One that was LOST and shows life again
is running again, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mt.db import Store
from mt.errors import BusyError
from mt.fold import refresh
from mt.journal import drop
from mt.locks.alive import living
from mt.locks.filelock import held
from mt.model import CaseRow, RunRow
from mt.pipeline.bag import bags_of, tidy_over
from mt.pipeline.byhand import record
from mt.pipeline.history import PATIENCE, end_leftovers, eyes, interrupted, lost
from mt.queries import cases, find_runs
from mt.states import LIVE


class Found(NamedTuple):
    """A case that was looked at: as it was, as it is recorded now (the same when it lives), and the evidence."""

    run: RunRow
    was: CaseRow
    now: CaseRow
    evidence: str


def bury_dead(store: Store) -> list[tuple[RunRow, CaseRow]]:
    """Record cases of all runs whose workers are provably dead as interrupted; gives each as it was, with its run."""
    return [(found.run, found.was) for found in recover(store, find_runs(store), 0.0) if found.now != found.was]


def recover(store: Store, runs: Iterable[RunRow], patience: float = PATIENCE, *, dry: bool = False) -> list[Found]:
    """Look at the running and lost cases of runs that nobody drives; without `patience` nothing becomes LOST.

    With `dry` nothing is recorded.  Waits for signs of life no longer than `patience` seconds for each run.
    """
    found: list[Found] = []
    for run in runs:
        try:
            with held(store.lock_path(f"run.{run.id}"), wait=False, what="looks for dead cases"):
                found += _of_run(store, run, patience, dry=dry)
        except BusyError:
            continue
    return found


def _of_run(store: Store, run: RunRow, patience: float, *, dry: bool) -> list[Found]:
    """The same of one run, whose lock is held: nobody starts it meanwhile."""
    refresh(store, run.id)
    look = eyes(store, run.id)
    rows = list(cases(store, run.id, states=(*LIVE, "LOST")))
    silent = {path for row in rows if look.judge(row).word == "silent" for path in look.journals(row)}
    touched = living(silent, patience) if silent and patience else set()
    found = []
    for row in rows:
        health = look.judge(row)
        alive = health.word == "alive" or any(path in touched for path in look.journals(row))
        now, evidence = row, health.evidence
        if alive and row.state == "LOST":
            now = row._replace(gen=row.gen + 1, state="RUNNING", comment="")
            evidence = "came back: it shows life again"
        elif not alive and health.word == "dead" and row.state != "LOST":
            now = interrupted(row)
        elif not alive and health.word == "silent" and patience and row.state != "LOST":
            now = lost(row, f"none for {patience:g} s, {health.evidence}")
            evidence = now.comment
        found.append(Found(run, row, now, evidence))
    if not dry:
        _record(store, run.id, [one for one in found if one.now != one.was])
        tidy_over(bags_of(store.root, run.id), (one.now.token for one in found if one.now.state != "INCOMPLETE"))
    return found


def _record(store: Store, run_id: int, found: list[Found]) -> None:
    """Record what was found, with its evidence as notes; end what the dead left running on this host."""
    if not found:
        return
    end_leftovers([one.was for one in found if one.now.state == "INCOMPLETE"])
    texts = [(one.was, f"{one.was.state} to {one.now.state}: {one.evidence}") for one in found]
    notes = [("note", {"test": r.test, "item": r.item, "attempt": r.attempt, "text": text}) for r, text in texts]
    drop(store.journal_dir(run_id), notes)
    record(store, run_id, [one.now for one in found])
