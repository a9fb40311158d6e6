"""What is recorded of a run decides what the same command does next (spec/runs.md 4.5).

Ended cases are kept; interrupted, lost and unjudged ones run again; a case
whose worker still lives is adopted; one whose worker is provably dead is
interrupted, and what it left running is ended first.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mt import queries, team
from mt.area import Area
from mt.db import Store
from mt.errors import StoreError, why
from mt.journal import boot_id, host_name, start_token
from mt.locks.alive import HELD, MISSING, UNTOLD, look
from mt.model import CaseKey, CaseRow
from mt.pipeline import proc
from mt.states import LIVE
from mt.stdio import say
from mt.storage import SINGLE

#: seconds without a sign of life after which a case is lost, where nothing proves its end; `[setup] lost-after`
PATIENCE = 120.0

Again = Callable[[CaseRow], bool]


def patience(area: Area) -> float:
    """How many seconds an area waits for a sign of life where nothing proves an end."""
    return area.seconds("setup", "lost-after", PATIENCE) or PATIENCE


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
    """What is known of a worker: `alive`, `dead` (proven), `silent` (nobody here can prove either) or `missing`."""

    word: str
    evidence: str = ""


class Alive:
    """Whether the worker of a row lives: it holds the lock on its own journal as long as it does.

    Where locks do not work between hosts (`locks` false), or the lock cannot be
    asked for, the answer about a worker of another host is `silent`: whether its
    journal is touched is for those who can wait (`mt.locks.alive.Watched`).
    Asked once per worker, and the journals are listed once; make a new one to
    look again.  `folded` gives the names of journals that were read: one of
    them that a network client does not list yet is asked for by its name.
    Raises StoreError when the directory of journals is there and cannot be read.
    """

    def __init__(
        self, journal_dir: str, *, locks: bool = True, folded: Callable[[], Iterable[str]] = tuple[str, ...]
    ) -> None:
        self.journal_dir = journal_dir
        self.locks = locks
        self.folded = folded
        self.seen: dict[tuple[str, int], Health] = {}
        self._listed: _Journals | None = None
        self._read: _Journals | None = None

    def __call__(self, row: CaseRow) -> bool:
        """Whether it is not proven that the worker is dead."""
        return self.judge(row).word != "dead"

    def judge(self, row: CaseRow) -> Health:
        """What is known of the worker of a row that counts as running; never `missing`."""
        if row.state == "LAUNCHED":
            return Health("alive", "handed to a launcher: nothing here can prove that it will not begin")
        who = (row.host, row.pid)
        if who not in self.seen:
            self.seen[who] = self._judge({path: look(path) for path in self.journals(row)}, *who)
        return self.seen[who]

    def writer(self, name: str) -> Health:
        """What is known of the writer of a journal, by its name; looks anew at each call.

        `alive`: its lock is held, or it is a process of this host that lives.
        `dead`: nobody holds its lock, or it is of this host and its process is
        gone.  `silent`: it is of another host, and locks tell nothing about
        that one, or this one cannot be asked for.  `missing`: there is no such
        file, as far as this host can see; that proves nothing, because what
        another host has just made may be long in coming.  For the same reason
        the file is opened by its name and not looked for in a listing.
        """
        path = os.path.join(self.journal_dir, f"{name}.ndjson")
        word = look(path)
        if word == MISSING:
            return Health("missing", f"there is no journal '{path}'")
        return self._judge({path: word}, *_who(name))

    def journals(self, row: CaseRow) -> list[str]:
        """The journals that the worker of a row may have: one, unless its pid came back."""
        who = (row.host, row.pid)
        if self._listed is None:
            self._listed = _by_writer(self.journal_dir, _names(self.journal_dir))
        if who in self._listed:
            return self._listed[who]
        if self._read is None:
            self._read = _by_writer(self.journal_dir, self.folded())
        return self._read.get(who, [])

    def _judge(self, words: Mapping[str, str], host: str, pid: int) -> Health:
        """What the words of `look` about all journals that a process may have tell of it."""
        here, said = host == host_name(), set(words.values())
        if HELD in said and (self.locks or here):  # the locks of its own kernel are right everywhere
            return Health("alive", "it holds its journal")
        if not words or (self.locks and UNTOLD not in said):
            return Health("dead", f"nobody holds the journal of pid {pid} on {host}")
        if not here:
            what = "locks do not work here" if not self.locks else "its lock cannot be asked for"
            return Health("silent", f"{what}, and pid {pid} is on {host}")
        if any(map(_runs_here, words)):
            return Health("alive", f"pid {pid} lives on this host")
        return Health("dead", f"pid {pid} of this host is gone")


_Journals = dict[tuple[str, int], list[str]]


def _names(directory: str) -> list[str]:
    """What is in the directory of journals now; a failure to read it must not look like the death of all workers."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise StoreError(f"cannot read '{directory}': {why(e)}") from e


def _by_writer(directory: str, names: Iterable[str]) -> _Journals:
    """{(host, pid): paths} of those names that are journals of a worker."""
    found: _Journals = {}
    for name in names:
        stem, dot, end = name.rpartition(".")
        if dot and end == "ndjson" and (who := _who(stem)) != _NOBODY:
            found.setdefault(who, []).append(os.path.join(directory, name))
    return found


_NOBODY = ("", 0)


def _who(writer: str) -> tuple[str, int]:
    """The host and the pid in the name of a writer, `HOST-PID-TOKEN`, whose host may have any `-`; else ("", 0)."""
    host, pid, token = [*writer.rsplit("-", 2), "", ""][:3]
    return (host, int(pid)) if host and token and pid.isascii() and pid.isdigit() else _NOBODY


def eyes(store: Store, run_id: int) -> Alive:
    """Who tells whether workers of a run live, as far as the storage mode of its area allows."""
    return Alive(store.journal_dir(run_id), locks=store.mode != SINGLE, folded=lambda: queries.folded(store, run_id))


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
