"""End cases that still run, before their files go: ask for a kill, wait a while, record what did not end.

Nothing is killed from here: the worker of a case sees its control file, ends
the process tree and records the end (spec/runs.md 4.11, 5.5).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from mt.db import Store
from mt.fold import refresh
from mt.model import CaseRow
from mt.pipeline.byhand import record
from mt.pipeline.control import ask_kill
from mt.pipeline.history import end_leftovers, eyes, interrupted
from mt.pipeline.naming import owner
from mt.queries import cases
from mt.states import LIVE

#: seconds between two looks at whether a case has ended
_LOOK = 0.1


def ended(
    store: Store, run_id: int, rows: Sequence[CaseRow], patience: float, *, pause: Callable[[float], None] = time.sleep
) -> list[CaseRow]:
    """The rows as they are when none of them runs any more.

    Those that run are asked to end and get `patience` seconds together; what
    has not ended then is recorded as FAILEDKILL.  Of those whose workers are
    dead already, what they left running is ended.
    """
    living = [row for row in rows if row.state in LIVE]
    if not living:
        return list(rows)
    dead = _bury(store, run_id, living)
    asked = [row for row in living if row.key not in dead]
    for row in asked:
        ask_kill(store.kill_dir(run_id), row.key, owner(), "its record is being removed")
    record(store, run_id, [row._replace(gen=row.gen + 1, state="KILLREQ", status="n/a") for row in asked])
    until = time.monotonic() + patience
    left = list(_live(store, run_id, asked))
    while left and time.monotonic() < until:
        pause(_LOOK)
        left = list(_live(store, run_id, left))
    record(store, run_id, [row._replace(gen=row.gen + 1, state="FAILEDKILL", status="n/a") for row in left])
    recorded = {row.key: row for row in cases(store, run_id)}
    return [recorded[row.key] for row in rows if row.key in recorded]


def _bury(store: Store, run_id: int, living: Sequence[CaseRow]) -> set[object]:
    """Record that cases without a worker were interrupted; gives which."""
    alive = eyes(store, run_id)
    dead = [row for row in living if not alive(row)]
    end_leftovers(dead)
    record(store, run_id, map(interrupted, dead))
    return {row.key for row in dead}


def _live(store: Store, run_id: int, rows: Sequence[CaseRow]) -> Iterator[CaseRow]:
    """Those of the rows that still run, as they are recorded now; of a worker that died meanwhile none runs."""
    refresh(store, run_id)
    now = [found for row in rows for found in cases(store, run_id, key=row.key) if found.state in LIVE]
    gone = _bury(store, run_id, now) if now else set()
    return (row for row in now if row.key not in gone)
