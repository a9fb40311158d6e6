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

from mt import team
from mt.db import Store
from mt.journal import boot_id, host_name, start_token
from mt.locks.alive import is_alive
from mt.model import CaseKey, CaseRow
from mt.pipeline import proc
from mt.states import LIVE
from mt.stdio import say
from mt.storage import SINGLE

#: seconds without a sign of life after which a case is lost, where nothing proves its end; `[setup] lost-after`
PATIENCE = 120.0

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


class Health(NamedTuple):
    """What is known of the worker of a case: `alive`, `dead` (proven) or `silent` (nobody here can prove either)."""

    word: str
    evidence: str = ""


class Alive:
    """Whether the worker of a row lives: it holds the lock on its own journal as long as it does.

    Where locks do not work (`locks` false), or nobody of this host can ask, the
    answer is `silent`: whether its journal is touched is for those who can wait
    (`mt.locks.alive.Watched`).  Asked once per worker; make a new one to look again.
    """

    def __init__(self, journal_dir: str, *, locks: bool = True) -> None:
        self.journal_dir = journal_dir
        self.locks = locks
        self.seen: dict[tuple[str, int], Health] = {}

    def __call__(self, row: CaseRow) -> bool:
        """Whether it is not proven that the worker is dead."""
        return self.judge(row).word != "dead"

    def judge(self, row: CaseRow) -> Health:
        """What is known of the worker of a row that counts as running."""
        if row.state == "LAUNCHED":
            return Health("alive", "handed to a launcher: nothing here can prove that it will not begin")
        who = (row.host, row.pid)
        if who not in self.seen:
            self.seen[who] = self._look(row, self.journals(row))
        return self.seen[who]

    def journals(self, row: CaseRow) -> list[str]:
        """The journals that the worker of a row may have: one, unless its pid came back."""
        stem = f"{glob.escape(row.host)}-{row.pid}-*.ndjson"
        return glob.glob(os.path.join(glob.escape(self.journal_dir), stem))

    def _look(self, row: CaseRow, journals: list[str]) -> Health:
        if any(map(is_alive, journals)):
            return Health("alive", "it holds its journal")
        if self.locks or not journals:
            return Health("dead", f"nobody holds the journal of pid {row.pid} on {row.host}")
        if row.host != host_name():
            return Health("silent", f"locks do not work here, and pid {row.pid} is on {row.host}")
        if any(map(_runs_here, journals)):
            return Health("alive", f"pid {row.pid} lives on this host")
        return Health("dead", f"pid {row.pid} of this host is gone")


def eyes(store: Store, run_id: int) -> Alive:
    """Who tells whether workers of a run live, as far as the storage mode of its area allows."""
    return Alive(store.journal_dir(run_id), locks=store.mode != SINGLE)


def _runs_here(journal: str) -> bool:
    """Whether the process that a journal is named after lives in this boot of this host, or where there is no /proc."""
    _, pid, token = os.path.basename(journal).removesuffix(".ndjson").rsplit("-", 2)
    return not start_token() or token == start_token(pid) + boot_id()[:4]


def interrupted(row: CaseRow) -> CaseRow:
    """The row of a case whose worker is dead."""
    return row._replace(
        gen=row.gen + 1, state="INCOMPLETE", status="DEAD", end=time.time(), comment=f"its worker (pid {row.pid}) died"
    )


def lost(row: CaseRow, evidence: str) -> CaseRow:
    """The row of a case of whose worker there is no sign of life: neither failed nor running (DESIGN.md section 4)."""
    return row._replace(gen=row.gen + 1, state="LOST", status="n/a", comment=f"no sign of life: {evidence}")


def end_leftovers(rows: Iterable[CaseRow]) -> int:
    """Kill what dead workers of this host left running; gives how many processes there were."""
    here = [r.dir for r in rows if r.dir and r.host == host_name()]
    if not here:
        return 0
    _tell_of_others(here)
    marks = [b"MT_TEST_RUN_DIR=" + os.fsencode(path) + b"\0" for path in here]
    found: set[int] = set()
    for mark in marks:
        found |= proc.marked(mark)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    return len(found)


def _tell_of_others(directories: Iterable[str]) -> None:
    """Say whose processes we can neither see nor end: the kernel shows what a process belongs to only to its user."""
    owners = set()
    for path in directories:
        try:
            owners.add(os.stat(path).st_uid)
        except OSError:
            continue
    for uid in owners - {os.geteuid()} if os.geteuid() else ():
        name = team.user_name(uid)
        say(f"what a dead worker of {name} may have left running only {name} can end: pgrep -u {name}")


def counts(rows: Mapping[CaseKey, CaseRow], keys: Iterable[CaseKey]) -> dict[tuple[str, str], int]:
    """{(state, status): n} over some cases, for the verdict of a command."""
    found: dict[tuple[str, str], int] = {}
    for key in keys:
        row = rows.get(key)
        how = (row.state, row.status) if row else ("NOT_STARTED", "n/a")
        found[how] = found.get(how, 0) + 1
    return found
