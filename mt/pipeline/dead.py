"""Find cases that count as running and whose worker is provably dead, in runs that nobody drives (spec/runs.md 3.6).

A controller sees to the cases of its own run; this is for runs whose controller
died and that nobody has started again.  What such a case left running is ended,
and it becomes an interrupted one, which the same run command starts again.
"""

from __future__ import annotations

from mt.db import Store
from mt.errors import BusyError
from mt.fold import refresh
from mt.locks.filelock import held
from mt.model import CaseRow, RunRow
from mt.pipeline.byhand import record
from mt.pipeline.history import Alive, end_leftovers, interrupted
from mt.queries import cases, find_runs
from mt.states import LIVE


def bury_dead(store: Store) -> list[tuple[RunRow, CaseRow]]:
    """Record dead cases of all runs as interrupted; gives each as it was, with its run."""
    found: list[tuple[RunRow, CaseRow]] = []
    for run in find_runs(store):
        try:
            with held(store.lock_path(f"run.{run.id}"), wait=False, what="looks for dead cases"):
                found += [(run, row) for row in _of_run(store, run.id)]
        except BusyError:
            continue
    return found


def _of_run(store: Store, run_id: int) -> list[CaseRow]:
    """The same of one run, whose lock is held: nobody starts it meanwhile."""
    refresh(store, run_id)
    alive = Alive(store.journal_dir(run_id))
    dead = [row for row in cases(store, run_id, states=LIVE) if not alive(row)]
    if dead:
        end_leftovers(dead)
        record(store, run_id, map(interrupted, dead))
    return dead
