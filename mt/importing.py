"""Take over the history in a `megatest.db`: its runs become runs of the area, through journals like any other.

First everything is read, in one transaction, into one journal per run beside
the store; only when all of it could be read do the runs come into being, each
by one rename.  So a damaged file leaves nothing behind, and death in between
leaves whole runs and no half ones: the next import goes on.

A run is taken over once.  Its `run` event says from which file and number it
came (`imported`), and a run that the area has is left alone, or only gets the
cases that it lacks.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple
from zlib import crc32

from mt import db, olddb
from mt.errors import StoreError, why
from mt.fold import Folder, refresh
from mt.journal import event_line, host_name, row_fields
from mt.model import CaseKey, CaseRow, RunKey, RunRow
from mt.oldrows import OldRun, OldTest, Reader
from mt.patterns import Glob
from mt.queries import cases, find_runs, run_of
from mt.states import LIVE

#: what cannot name a run: it would be no single directory, or a pattern
_BAD_NAME = re.compile(r"^\.{0,2}$|[/%*\x00-\x1f\x7f]")


class Choice(NamedTuple):
    """Which runs, by patterns of target and name, and what becomes of those whose name is taken.

    With `merge` such a run gets the cases it lacks; with a `suffix` it becomes
    a run of its own, whose name ends in it.
    """

    target: str = "%"
    name: str = "%"
    merge: bool = False
    suffix: str = ""


class Imported(NamedTuple):
    """What became of one run: its number there, what it is here, and how many records of each kind came.

    `what` is `new`, `merged`, `known` (taken over before, or written from this
    very area), `taken` (the area has another run of that name), `deleted` or `bad name`.  `tops` are records of
    iterated tests, which follow from their items; `gone` are deleted records;
    `cut` are cases that ran when they were read, and now count as interrupted.
    """

    number: int
    run: RunKey
    what: str
    cases: int = 0
    tops: int = 0
    gone: int = 0
    cut: int = 0
    steps: int = 0
    values: int = 0


class _Plan(NamedTuple):
    """A run to be taken over: what it will be, and the cases and tests that are there already."""

    old: OldRun
    key: RunKey
    what: str
    have: frozenset[CaseKey] = frozenset()
    tests: frozenset[str] = frozenset()


def import_db(store: db.Store, path: str, choice: Choice | None = None, *, dry: bool = False) -> list[Imported]:
    """Take over the runs of a megatest.db that are chosen; gives what became of each, in the order of their numbers.

    With `dry` everything is read and counted, and nothing is written.  Raises
    StoreError for a file that is damaged or no megatest.db, BusyError for one
    that is locked.
    """
    source = os.path.abspath(path)
    home = store.tmp_path(f"import-{host_name()}-{os.getpid()}-{time.time_ns():x}")
    try:
        with olddb.opened(path) as conn, olddb.errors(path):
            reader = Reader(conn)
            plans = list(_plans(store, reader, source, choice or Choice()))
            if not dry:
                os.makedirs(home)
            done = [_stage(reader, plan, source, None if dry else home) for plan in plans]
        if not dry:
            _publish(store, plans, home, source)
    except OSError as e:
        raise StoreError(f"cannot import '{path}': {why(e)}") from e
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return done


def keys_of(path: str) -> list[str]:
    """The names of the keys in a megatest.db."""
    with olddb.opened(path) as conn:
        return olddb.keys(conn)


# -- deciding


def _plans(store: db.Store, reader: Reader, source: str, choice: Choice) -> Iterator[_Plan]:
    target, name = Glob(choice.target), Glob(choice.name)
    own = store.area_id in reader.mark.split()
    here = {run.key: run for run in find_runs(store)}
    coming: set[RunKey] = set()
    for old in reader.runs():
        if not (target.matches(old.target) and name.matches(old.name)):
            continue
        plan = _plan(store, here, old, source, choice)
        if own and RunKey(old.target, old.name) in here:
            plan = plan._replace(what="known")
        if plan.what in ("new", "merged") and plan.key in coming:
            plan = plan._replace(what="taken")
        coming.add(plan.key)
        yield plan


def _plan(store: db.Store, here: Mapping[RunKey, RunRow], old: OldRun, source: str, choice: Choice) -> _Plan:
    """What becomes of one run."""
    key = RunKey(old.target, old.name)
    if old.state == "deleted":
        return _Plan(old, key, "deleted")
    if _BAD_NAME.search(old.name):
        return _Plan(old, key, "bad name")
    if choice.suffix and key in here and not _is_ours(store, here[key], source, old):
        key = RunKey(old.target, old.name + choice.suffix)
    if key not in here or _is_bare(store, here[key].id):
        return _Plan(old, key, "new")
    ours = _is_ours(store, here[key], source, old)
    if choice.merge:
        have = frozenset(row.key for row in cases(store, here[key].id))
        return _Plan(old, key, "merged", have, frozenset(key.test for key in have))
    return _Plan(old, key, "known" if ours else "taken")


def _is_ours(store: db.Store, run: RunRow, source: str, old: OldRun) -> bool:
    """Whether a run was taken over from this very run; an import that died may have left it unfolded."""
    refresh(store, run.id)
    said = (run_of(store, run.id) or run).said.get("imported")
    return isinstance(said, dict) and (said.get("file"), said.get("run")) == (source, old.id)


def _is_bare(store: db.Store, run_id: int) -> bool:
    """Whether a run has no journals at all: an import died between its name and its cases."""
    from mt.journals import look

    seen = look(store.journal_dir(run_id))
    return not seen.sizes and not seen.drops


# -- writing


class _Sink:
    """The journal of one run in the making; counts and writes nothing without a path."""

    def __init__(self, path: str | None) -> None:
        self._file = open(path, "wb") if path else None
        self.seq = 0
        self.now = round(time.time(), 6)

    def put(self, kind: str, fields: Mapping[str, Any]) -> None:
        """One event; it was told now unless it says when."""
        self.seq += 1
        if self._file:
            self._file.write(event_line(kind, self.seq, {"t": self.now, **fields}))

    def row(self, kind: str, row: NamedTuple) -> None:
        """A whole row as one event."""
        self.put(kind, row_fields(row))

    def close(self) -> None:
        """All of it is on the disk afterwards."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def _stage(reader: Reader, plan: _Plan, source: str, home: str | None) -> Imported:
    """Write the journal of one run beside the store; gives the counts."""
    tally = dict.fromkeys(("cases", "tops", "gone", "cut", "steps", "values"), 0)
    if plan.what in ("new", "merged"):
        with closing(_Sink(os.path.join(home, f"{plan.old.id}.ndjson") if home else None)) as sink:
            if plan.what == "new":
                sink.put("run", _run_event(plan, source))
                for name, key, value in reader.metas(plan.old.id):
                    sink.put("meta", {"test": name, "key": key, "value": value, "t": plan.old.start})
            for test in reader.tests(plan.old.id):
                _take(sink, test, plan, tally)
    return Imported(plan.old.id, plan.key, plan.what, **tally)


def _run_event(plan: _Plan, source: str) -> dict[str, Any]:
    old = plan.old
    event: dict[str, Any] = {"owner": old.owner, "comment": old.comment, "imported": {"file": source, "run": old.id}}
    if old.state == "locked":
        event["frozen"] = {"by": old.owner or "unknown", "t": old.start, "why": "it was locked when it was imported"}
    if old.status not in ("", "n/a"):
        event["set_status"] = {"by": old.owner or "unknown", "t": old.start, "status": old.status}
    return event


def _take(sink: _Sink, test: OldTest, plan: _Plan, tally: dict[str, int]) -> None:
    """Count one record, and write its events."""
    row = test.row
    if row.state == "DELETED":
        tally["gone"] += 1
    elif test.is_top:
        tally["tops"] += 1
        if (row.comment or test.log) and row.test not in plan.tests:
            _say(sink, test, row.state, row.status, row.comment)
    elif row.key not in plan.have:
        tally["cut"] += row.state in LIVE
        tally["cases"] += 1
        tally["steps"] += len(test.steps)
        tally["values"] += len(test.values)
        _tell(sink, test, _interrupted(row) if row.state in LIVE else row)


def _tell(sink: _Sink, test: OldTest, row: CaseRow) -> None:
    """The events of a case."""
    sink.row("case", row)
    for step, told in test.steps:
        sink.put("step", {**row_fields(step), "t": told})
    for value in test.values:
        sink.row("value", value)
    if test.log:
        _say(sink, test, "", "", "")
    if test.facts:
        sink.put("note", {"test": row.test, "item": row.item, "attempt": 1, "text": test.facts, "t": row.start})


def _say(sink: _Sink, test: OldTest, state: str, status: str, comment: str) -> None:
    """What a record said of itself; that of a top record has an empty item."""
    about = {"test": test.row.test, "item": test.row.item, "attempt": 1}
    said = {"state": state, "status": status, "comment": comment, "log": test.log}
    sink.put("result", {**about, **said, "t": test.row.end or test.row.start})


def _interrupted(row: CaseRow) -> CaseRow:
    """A case that ran when it was read: nobody of ours drives it."""
    reason = f"it was {row.state}/{row.status} on {row.host or 'an unknown host'} when it was imported"
    return row._replace(state="INCOMPLETE", end=row.start + row.secs, reason=reason)


def _publish(store: db.Store, plans: list[_Plan], home: str, source: str) -> None:
    """Let the runs come into being: name and number, then all of the journal at once, then the db."""
    mark = f"{crc32(source.encode('utf-8', 'surrogateescape')):08x}-{time.time_ns():x}"
    for plan in plans:
        staged = os.path.join(home, f"{plan.old.id}.ndjson")
        if not db.has_bytes(staged):
            continue
        begun = plan.old.start or None
        run_id = store.create_run(plan.key, owner=plan.old.owner, comment=plan.old.comment, begun=begun)
        writer = f"import-{plan.old.id}-{mark}"
        os.rename(staged, os.path.join(store.journal_dir(run_id), f"{writer}.ndjson"))
        with Folder(store, run_id) as folder:
            folder.settle()
