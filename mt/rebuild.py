"""Make a db again from its journals, or compare the two; and upkeep: migrate, vacuum, sizes.

A rebuilt db is made beside the old one and takes its place by rename, under the
fold lock: whoever dies, there is the old db or the new one.  The old one may be
anything: gone, of a newer version, random bytes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from mt import db, db_main, db_run, db_schema, fold, journals, live, team
from mt.db_schema import MAIN, RUN, Migration
from mt.errors import BusyError, StoreError, why
from mt.locks.filelock import Held
from mt.storage import DIRECT, SINGLE

Row = tuple[Any, ...]

#: the tables that follow from the journals alone
TABLES = (
    "cases", "attempts", "born", "steps", "vals", "said", "notes", "meta", "test_meta", "counts", "totals", "bad",
)  # fmt: skip


def rebuild_run(store: db.Store, run_id: int) -> int:
    """Make a run's db again; gives the number of events.  Raises StoreError when the run has no journals."""
    directory = store.journal_dir(run_id)
    if not os.path.isdir(directory):
        raise StoreError(f"cannot rebuild run {run_id}: it has no journals", hint="mt runs")
    made = live.new_file(store, f"{run_id}.db")
    path = store.run_db_path(run_id)
    try:
        with db.locked(store, f"{run_id}.db", what="rebuild") as lock, db.sql_errors(made):
            done = _make(directory, made, _rev(store, run_id) + 1)
            _replace(store, made, path, lock)
    except OSError as e:
        raise StoreError(f"cannot rebuild '{path}': {why(e)}") from e
    finally:
        db.forget(made)
    with fold.Folder(store, run_id) as folder:
        folder.settle()
    return done


def _rev(store: db.Store, run_id: int) -> int:
    """How often the run was folded as main.db knows it: the rebuilt one must count on from there."""
    try:
        with db_main.reading(store) as conn:
            return db_main.run_rev(conn, run_id)
    except StoreError:
        return 0


def _make(directory: str, path: str, rev: int) -> int:
    """Fold all journals into a new db without side files; drops wait for the next fold."""
    db.forget(path)
    team.make_file(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            conn.execute(f"PRAGMA {pragma}")
        done = fold_into(conn, directory)
        db_run.count_on(conn, rev)
    with open(path, "rb") as f:
        os.fsync(f.fileno())
    return done


def fold_into(conn: sqlite3.Connection, directory: str, upto: Mapping[str, journals.Done] | None = None) -> int:
    """Fold journals into an empty db; with `upto`, only what lies before these offsets."""
    db_schema.migrate(conn, RUN, "", "")
    seen = journals.look(directory)
    if upto is not None:
        seen = seen._replace(sizes={n: min(size, upto.get(n, journals.Done()).at) for n, size in seen.sizes.items()})

    def commit(batch: db_run.Batch, after: Mapping[str, journals.Done]) -> list[db_main.MetaRow]:
        with db.transaction(conn):
            batch.save(conn)
            db_run.save_offsets(conn, after)
        return []

    done, _ = fold.join(directory, seen, {}, commit)
    return done


def _replace(store: db.Store, made: str, path: str, lock: Held) -> None:
    """Put a db into the place of another, whose side files must never meet the new one."""
    if store.mode == SINGLE:
        with closing(sqlite3.connect(made)) as conn:
            if not live.publish(store, conn, path, lock):
                raise BusyError(f"cannot write '{path}': somebody else writes it, we were too slow")
        return
    db.forget_wal(path)
    os.rename(made, path)
    db.forget_wal(path)


def rebuild_main(store: db.Store) -> int:
    """Make main.db again from the run.json and the db of every run; gives the number of runs."""
    path = store.main_path
    made = live.new_file(store, "main.db")
    try:
        with db.locked(store, "main.db", what="rebuild") as lock, db.sql_errors(made):
            db.forget(made)
            team.make_file(made)
            with closing(sqlite3.connect(made, isolation_level=None)) as conn:
                db_schema.migrate(conn, MAIN, "", "")
                with db.transaction(conn):
                    db_main.adopt(store, conn)
                    count = sum(1 for _ in db_main.facts(conn, "id"))
            _replace(store, made, path, lock)
    except OSError as e:
        raise StoreError(f"cannot rebuild '{path}': {why(e)}") from e
    finally:
        db.forget(made)
    return count


# -- comparing


class Difference(NamedTuple):
    """Rows of a table that only the db has, and that only the journals give; `what` is for a failed look."""

    table: str
    only_db: int
    only_journals: int
    what: str = ""


def check_db(path: str, steps: tuple[Migration, ...], mode: str = DIRECT) -> list[Difference]:
    """What SQLite's own check finds wrong with a db, a version that is not the newest included."""
    try:
        with db.sql_errors(path), closing(db.reader(path, steps, mode)) as conn:
            found = [str(line) for (line,) in conn.execute("PRAGMA integrity_check(20)")]
    except StoreError as e:
        return [Difference("", 0, 0, e.what)]
    return [Difference("", 0, 0, line) for line in found if line != "ok"]


def compare_run(store: db.Store, run_id: int) -> list[Difference]:
    """Where a run's db is not what its journals say, as far as they are folded.  Waits for a fold that is under way."""
    if not store.writable():
        return _compare(store, run_id)
    with db.locked(store, f"{run_id}.db", what="check"):
        return _compare(store, run_id)


def _compare(store: db.Store, run_id: int) -> list[Difference]:
    path = store.run_db_path(run_id)
    with (
        db.sql_errors(path),
        closing(db.reader(path, RUN, store.mode)) as conn,
        closing(sqlite3.connect("", isolation_level=None)) as again,
    ):
        fold_into(again, store.journal_dir(run_id), db_run.offsets(conn))
        return list(_differences(conn, again))


def _differences(conn: sqlite3.Connection, again: sqlite3.Connection) -> Iterator[Difference]:
    for table in TABLES:
        ask = f"SELECT * FROM {table}"  # noqa: S608 - one of the names above
        key = _key(conn, table)
        order = ", ".join(f'"{name}"' for _, name in key)
        here = conn.execute(f"{ask} ORDER BY {order}")
        there = again.execute(f"{ask} ORDER BY {order}")
        mine, theirs = _apart(here, there, [place for place, _ in key])
        if mine or theirs:
            yield Difference(table, mine, theirs)


def _key(conn: sqlite3.Connection, table: str) -> list[tuple[int, str]]:
    """Places and names of the columns of a table's primary key, which every table here has, in its order."""
    columns = [
        (rank, place, name) for place, name, _, _, _, rank in conn.execute(f"PRAGMA table_info({table})") if rank
    ]
    return [(place, name) for _, place, name in sorted(columns)]


def _apart(here: Iterator[Row], there: Iterator[Row], key: Sequence[int]) -> tuple[int, int]:
    """Count the rows that are only here and only there, both in the order of their key."""
    mine = theirs = 0
    a, b = next(here, None), next(there, None)
    while a is not None or b is not None:
        if a == b:
            a, b = next(here, None), next(there, None)
        elif b is None or (a is not None and [a[n] for n in key] < [b[n] for n in key]):
            mine, a = mine + 1, next(here, None)
        elif a is None or [a[n] for n in key] != [b[n] for n in key]:
            theirs, b = theirs + 1, next(there, None)
        else:
            mine, theirs = mine + 1, theirs + 1
            a, b = next(here, None), next(there, None)
    return mine, theirs


def compare_main(store: db.Store) -> list[Difference]:
    """Where main.db is not what run.json and db of each run say; states are left out, they follow from counts."""
    columns = "id, target, name, owner, counts, comment, said"
    with closing(db.connect(":memory:", MAIN)) as again, db_main.reading(store) as conn:
        db_main.adopt(store, again)
        mine, theirs = _apart(db_main.facts(conn, columns), db_main.facts(again, columns), [0])
    return [Difference("runs", mine, theirs)] if mine or theirs else []
