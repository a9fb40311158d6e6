"""What is recorded of a run decides what the same command does next (spec/runs.md 4.5).

Ended cases are kept; interrupted, lost and unjudged ones run again; a case
whose worker still lives is adopted; one whose worker is provably dead is
interrupted, and what it left running is ended first.
"""

from __future__ import annotations

import glob
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mt.journal import host_name
from mt.locks.alive import is_alive
from mt.model import CaseKey, CaseRow
from mt.pipeline import proc
from mt.states import LIVE

Again = Callable[[CaseRow], bool]


class History(NamedTuple):
    """The recorded rows, which of them count as ended, and which run right now under living workers."""

    rows: dict[CaseKey, CaseRow]
    kept: dict[CaseKey, tuple[str, str]]
    living: list[CaseRow]
    dead: list[CaseRow]


def never(row: CaseRow) -> bool:
    """The plain `mt run`: nothing that has a verdict runs again."""
    return False


def runs_again(row: CaseRow) -> bool:
    """Whether the same command runs this case again by itself: it has no verdict."""
    if row.state in ("NOT_STARTED", "INCOMPLETE", "DELETED", "LOST"):
        return True
    return row.state == "COMPLETED" and row.status in ("INFRA", "n/a")


def sort_out(rows: Iterable[CaseRow], alive: Callable[[CaseRow], bool], again: Again = never) -> History:
    """Decide about every recorded case; `again` names ended ones that shall run once more."""
    history = History({}, {}, [], [])
    for row in rows:
        history.rows[row.key] = row
        if row.state in LIVE:
            (history.living if alive(row) else history.dead).append(row)
        elif not runs_again(row) and not again(row):
            history.kept[row.key] = (row.state, row.status)
    return history


class Alive:
    """Whether the worker of a row lives: it holds the lock on its own journal as long as it does."""

    def __init__(self, journal_dir: str) -> None:
        self.journal_dir = journal_dir
        self.seen: dict[tuple[str, int], bool] = {}

    def __call__(self, row: CaseRow) -> bool:
        """Asked once per worker; make a new one to look again."""
        if row.state == "LAUNCHED":
            return True  # handed to a launcher: nothing here can prove that it will not begin
        who = (row.host, row.pid)
        if who not in self.seen:
            paths = glob.glob(
                os.path.join(glob.escape(self.journal_dir), f"{glob.escape(row.host)}-{row.pid}-*.ndjson")
            )
            self.seen[who] = any(is_alive(p) for p in paths)
        return self.seen[who]


def interrupted(row: CaseRow) -> CaseRow:
    """The row of a case whose worker is dead."""
    return row._replace(
        gen=row.gen + 1, state="INCOMPLETE", status="DEAD", end=time.time(), comment=f"its worker (pid {row.pid}) died"
    )


def end_leftovers(rows: Iterable[CaseRow]) -> int:
    """Kill what dead workers of this host left running; gives how many processes there were."""
    marks = [b"MT_TEST_RUN_DIR=" + os.fsencode(r.dir) + b"\0" for r in rows if r.dir and r.host == host_name()]
    if not marks:
        return 0
    found: set[int] = set()
    for mark in marks:
        found |= proc.marked(mark)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    return len(found)


def counts(rows: Mapping[CaseKey, CaseRow], keys: Iterable[CaseKey]) -> dict[tuple[str, str], int]:
    """{(state, status): n} over some cases, for the verdict of a command."""
    found: dict[tuple[str, str], int] = {}
    for key in keys:
        row = rows.get(key)
        how = (row.state, row.status) if row else ("NOT_STARTED", "n/a")
        found[how] = found.get(how, 0) + 1
    return found
