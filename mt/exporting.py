"""Write what an area records as a `megatest.db` of Megatest 1.65, for scripts that read one (spec/runs.md 6.1, 6.5).

The file is made beside its place and takes it by rename, so a reader sees the
old one or the new one.  A file that mt did not write is never replaced
unawares: it may be the only record of what the old program ran.  Numbers of
tests are those of `queries.numbers`, which the old listings show too.

A file of ours says of which area it is and after which fold of each run it was
written (vars of metadat), so only runs that changed since are written again,
into a copy; when none did, nothing is written.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple
from zlib import crc32

from mt import db, db_main, olddb, queries, team
from mt.errors import AnswerNo, MtError, StoreError, why
from mt.fold import refresh
from mt.model import RunRow
from mt.oldrecords import add_run, forget_runs, insert
from mt.states import LIVE

#: vars of metadat: the fold of a run after which it was written, and a sum of the metadata of tests
_RUN, _META = "EXPORT_RUN_", "EXPORT_META"
#: changes when the same records would be written otherwise
_FORMAT = 1
_METAS = ("testname", "author", "owner", "description", "reviewed", "tags", "jobgroup")


def is_ours(path: str) -> bool:
    """Whether mt wrote this file; False for one that is no megatest.db."""
    try:
        with olddb.opened(path) as conn, olddb.errors(path):
            return bool(conn.execute("SELECT 1 FROM metadat WHERE var = ?", (olddb.MARK,)).fetchone())
    except StoreError:
        return False


def export_db(store: db.Store, path: str, keys: Sequence[str], *, force: bool = False) -> int:
    """Write all runs of the area to path; gives the number of records.

    Raises AnswerNo for a file that mt did not write (unless `force`), StoreError
    when the file cannot be written.
    """
    if not force and db.has_bytes(path) and not is_ours(path):
        raise AnswerNo(
            f"'{path}' was not written by mt", hint=f"mt db import {path}, then mt db export --force {path}"
        )  # fmt: skip
    made = f"{path}.{os.getpid()}.tmp"
    wanted = _wanted(store, keys)
    have = _present(path, wanted)
    try:
        if have == wanted.marks:
            with olddb.opened(path) as conn, olddb.errors(path):
                return _count(conn)
        _forget(made)
        team.make_file(made)
        if have:
            shutil.copyfile(path, made)
        with olddb.errors(path, "write"):
            done = _make(store, made, wanted, have)
        with open(made, "rb") as f:
            os.fsync(f.fileno())
        os.replace(made, path)
        db.forget_wal(path)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e
    finally:
        _forget(made)
    return done


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


# -- what is to be written


class _Wanted(NamedTuple):
    """What the file shall hold: runs by id, metadata of tests, and the marks that say so."""

    keys: tuple[str, ...]
    runs: dict[int, RunRow]
    metas: list[tuple[str, ...]]
    marks: dict[str, str]


def _wanted(store: db.Store, keys: Sequence[str]) -> _Wanted:
    for run in queries.find_runs(store):
        refresh(store, run.id)
    with db_main.reading(store) as conn:
        revs = {run_id: rev for run_id, rev in db_main.facts(conn, "id, rev")}
    runs = {run.id: run for run in queries.find_runs(store)}
    metas = [tuple(said.get(name, "") for name in _METAS) for said in _named(db_main.test_meta(store))]
    marks = {f"{_RUN}{run.id}": _mark(run, revs.get(run.id)) for run in runs.values()}
    about = {olddb.MARK: f"{_FORMAT} {store.area_id} {'/'.join(keys)}", _META: str(crc32(repr(metas).encode()))}
    return _Wanted(tuple(keys), runs, metas, {**about, **marks})


def _named(metas: dict[str, dict[str, str]]) -> Iterator[dict[str, str]]:
    for test, said in sorted(metas.items()):
        yield {"jobgroup": "default", **{n: v for n, v in said.items() if v}, "testname": test}


def _mark(run: RunRow, rev: object) -> str:
    """What changes when a run does; one with cases that run changes all the time, since their seconds do."""
    live = any(state in LIVE and n for (state, _), n in db_main.unpack(run.counts).items())
    return f"{rev} {run.state} {time.time()}" if live else f"{rev} {run.state}"


def _present(path: str, wanted: _Wanted) -> dict[str, str]:
    """The marks of the file that is there; none when it must be made anew."""
    if not db.has_bytes(path):
        return {}
    try:
        with olddb.opened(path) as conn, olddb.errors(path):
            marks = dict(conn.execute("SELECT var, val FROM metadat WHERE var LIKE 'EXPORT%'"))
            return marks if marks.get(olddb.MARK) == wanted.marks[olddb.MARK] else {}
    except MtError:
        return {}


# -- writing


def _make(store: db.Store, path: str, wanted: _Wanted, have: Mapping[str, str]) -> int:
    """Bring the file at path, which is a copy or not there yet, to what is wanted; gives the number of records."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            conn.execute(f"PRAGMA {pragma}")
        conn.execute("BEGIN")
        if not have:
            olddb.create(conn, wanted.keys)
        stale = [n for n, mark in have.items() if n.startswith(_RUN) and wanted.marks.get(n) != mark]
        forget_runs(conn, (int(n.removeprefix(_RUN)) for n in stale))
        for run in wanted.runs.values():
            name = f"{_RUN}{run.id}"
            if have.get(name) != wanted.marks[name]:
                add_run(conn, store, run, wanted.keys)
        conn.execute("DELETE FROM test_meta")
        insert(conn, "test_meta", _METAS, wanted.metas)
        conn.execute("DELETE FROM metadat")
        insert(conn, "metadat", ("var", "val"), [("MEGATEST_VERSION", olddb.VERSION), *wanted.marks.items()])
        conn.execute("COMMIT")
        return _count(conn)


def _count(conn: sqlite3.Connection) -> int:
    tables = ("runs", "tests", "test_steps", "test_data", "test_meta")
    return sum(int(conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in tables)  # noqa: S608 - the names above
