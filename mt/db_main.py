"""main.db: the list of runs with what they roll up to, and the metadata of tests.

Everything in it can be made again: which runs exist from their run.json, how
they went from their own db.  So a lost main.db is filled anew when it is next
written, and a lost row comes back the same way.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from mt import db, live
from mt.db_schema import MAIN, RUN
from mt.errors import BusyError, StoreError, why
from mt.locks.filelock import is_held
from mt.model import RunKey, RunRow
from mt.states import roll_run
from mt.storage import SINGLE

Counts = Mapping[tuple[str, str], int]

MetaRow = tuple[str, str, str, float, str, int]

UPSERT_TEST_META = (
    "INSERT INTO test_meta VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (test, key) DO UPDATE"
    " SET value = excluded.value, t = excluded.t, writer = excluded.writer, seq = excluded.seq"
    " WHERE (excluded.t, excluded.writer, excluded.seq) > (t, writer, seq)"
)

_COLUMNS = 'id, target, name, state, status, owner, start, "end", counts, comment, said'


class Writer:
    """main.db for somebody who writes it often; the connection stays open, the lock does not."""

    def __init__(self, store: db.Store) -> None:
        self._store = store
        self._kept = live.kept(store, store.main_path, MAIN)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction under the lock; a new main.db first learns of all runs that are on the disk.

        So does one that an overtaken writer may have put back old.
        """
        path = self._store.main_path
        with db.locked(self._store, "main.db") as lock, db.sql_errors(path):
            fresh = self._store.mode == SINGLE or not db.has_bytes(path)
            conn = self._kept.opened()
            with db.transaction(conn):
                if fresh:
                    adopt(self._store, conn)
                yield conn
            if not self._kept.put_back(lock, force=True):
                raise BusyError(f"cannot write '{path}': somebody else writes it, we were too slow")

    def update_run(
        self,
        run_id: int,
        counts: Counts,
        info: Mapping[str, float],
        said: Mapping[str, Any],
        metas: Iterable[MetaRow] = (),
    ) -> None:
        """Store what a run rolls up to, unless a later fold (greater `rev` of its `info`) was stored before.

        `said` is what `run` events told (`db_run.said_of_run`); `metas` is metadata of tests.
        """
        controlled = is_controlled(self._store, run_id)
        with self.writing() as conn:
            if self._store.mode == SINGLE:  # a fold that went on from an older copy counts from there
                info = {**info, "rev": max(info.get("rev", 0), run_rev(conn, run_id))}
            _update(conn, run_id, counts, controlled, info, said)
            conn.executemany(UPSERT_TEST_META, metas)

    def close(self) -> None:
        """Close the connection."""
        self._kept.close()


@contextmanager
def writing(store: db.Store) -> Iterator[sqlite3.Connection]:
    """main.db in one write transaction under its lock, opened for it."""
    with closing(Writer(store)) as writer, writer.writing() as conn:
        yield conn


@contextmanager
def reading(store: db.Store) -> Iterator[sqlite3.Connection]:
    """main.db for questions; one that is missing or old is made first, in memory where nothing can be written."""
    path = store.main_path
    try:
        if not db.has_bytes(path):
            raise db.OldVersion("no main.db")
        conn = db.reader(path, MAIN, store.mode)
    except db.OldVersion:
        conn = _made(store)
    with db.sql_errors(path), closing(conn):
        yield conn


def _made(store: db.Store) -> sqlite3.Connection:
    if store.writable():
        with writing(store):
            pass
        return db.reader(store.main_path, MAIN, store.mode)
    conn = db.connect(":memory:", MAIN)
    adopt(store, conn)
    return conn


def adopt(store: db.Store, conn: sqlite3.Connection, above: int = 0) -> None:
    """Register the runs on disk with an id greater than `above` that main.db does not know."""
    known = {i for (i,) in conn.execute("SELECT id FROM runs")}
    for run_id in store.run_ids_on_disk():
        facts = store.run_facts(run_id) if run_id > above and run_id not in known else None
        if facts:
            _insert(conn, run_id, facts)
            _roll_again(store, conn, run_id)


def _roll_again(store: db.Store, conn: sqlite3.Connection, run_id: int) -> None:
    """What a run rolls up to, from its own db as it stands; a db that cannot be read leaves the row as it is."""
    try:
        with closing(db.reader(store.run_db_path(run_id), RUN, store.mode)) as run:
            counts = {(s, t): n for s, t, n in run.execute("SELECT state, status, n FROM totals")}
            info = dict(run.execute("SELECT key, value FROM info"))
            told = dict(run.execute("SELECT key, value FROM meta ORDER BY key"))
            metas = run.execute("SELECT test, key, value, t, writer, seq FROM test_meta").fetchall()
    except (StoreError, BusyError, sqlite3.Error):
        return
    said = {n: json.loads(v) for n, v in told.items()}
    _update(conn, run_id, counts, is_controlled(store, run_id), info, said)
    conn.executemany(UPSERT_TEST_META, metas)


def _insert(conn: sqlite3.Connection, run_id: int, facts: Mapping[str, object]) -> None:
    conn.execute(
        "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, 'NOT_STARTED', 'n/a', ?, ?, 0, '{}', ?, 0, '{}')",
        (
            run_id,
            str(facts["target"]),
            str(facts["run"]),
            str(facts.get("owner", "")),
            _number(facts.get("t")),
            str(facts.get("comment", "")),
        ),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def run_id(store: db.Store, key: RunKey) -> int | None:
    """The id of a run; asks the disk where there is no main.db."""
    if not db.has_bytes(store.main_path):
        return next((i for i in store.run_ids_on_disk() if store.run_key(i) == key), None)
    with reading(store) as conn:
        return _known(conn, key)


def _known(conn: sqlite3.Connection, key: RunKey) -> int | None:
    found = conn.execute("SELECT id FROM runs WHERE target = ? AND name = ?", key).fetchone()
    return int(found[0]) if found else None


def create_run(store: db.Store, key: RunKey, *, owner: str, comment: str = "", begun: float | None = None) -> int:
    """See `Store.create_run`.  Directory first, then run.json by rename, then the row: death between loses nothing."""
    with writing(store) as conn:
        newest = conn.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()[0]
        adopt(store, conn, newest)
        found = _known(conn, key)
        if found is None:
            found = _reserve(store, conn)
            if store.mode == SINGLE:
                found = _claimed(store, key, found)
            facts = {"target": key.target, "run": key.name, "id": found, "owner": owner, "comment": comment}
            facts["t"] = round(time.time() if begun is None else begun, 3)
            if store.run_key(found) != key:
                _write_json(os.path.join(store.journal_dir(found), "run.json"), facts)
            _insert(conn, found, facts)
        _make_run_dirs(store, found)
    return found


def _reserve(store: db.Store, conn: sqlite3.Connection) -> int:
    """A new id: greater than any in main.db, on disk, or in `journal/last`, and its directory made.

    A run whose journals somebody has removed by hand may have left bags, of
    which jobs are still in a queue: its id never comes back either.

    Whoever makes the directory has the id, with or without the lock.
    """
    last = os.path.join(store.root, "journal", "last")
    try:
        with open(last, encoding="ascii") as f:
            used = int(f.read())
    except (OSError, ValueError):
        used = 0
    newest = conn.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()[0]
    new: int = max([used, newest, *store.run_ids_on_disk(), *_with_bags(store)]) + 1
    while not _made_directory(store.journal_dir(new)):
        new += 1
    _write_json(last, new)
    return new


def _with_bags(store: db.Store) -> list[int]:
    """The ids of runs, there or not, that jobs of batch engines have worked for."""
    try:
        return [int(name) for name in os.listdir(os.path.join(store.root, "batch")) if name.isdigit()]
    except OSError:
        return []


def _made_directory(path: str) -> bool:
    """Whether we have made it; False when it was there."""
    try:
        os.mkdir(path)
    except OSError as e:
        if os.path.lexists(path):
            return False
        raise StoreError(f"cannot make '{path}': {why(e)}") from e
    return True


def _claim_of(store: db.Store, key: RunKey) -> str:
    """The directory that holds a file named as the id of a run, where locks do not work."""
    import hashlib

    return os.path.join(store.root, "journal", "keys", hashlib.sha256(str(key).encode()).hexdigest()[:32])


def _claimed(store: db.Store, key: RunKey, mine: int) -> int:
    """The one id of a run, for two who create it at once without a lock between them.

    A directory that holds the id is renamed to a name made of the key, which
    fails when there is one already: one winner, and nothing half made is seen.
    """
    path = _claim_of(store, key)
    made = store.tmp_path(f"claim.{mine}")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.makedirs(os.path.join(made, str(mine)))
        try:
            os.rename(made, path)
        except OSError:
            os.rmdir(os.path.join(made, str(mine)))
            os.rmdir(made)
        first = min(int(n) for n in os.listdir(path))
        if first != mine:
            os.rmdir(store.journal_dir(mine))
        return first
    except (OSError, ValueError) as e:
        raise StoreError(f"cannot make '{path}': {e}") from e


def _make_run_dirs(store: db.Store, run_id: int) -> None:
    for path in (os.path.join(store.journal_dir(run_id), "drop"), store.ctl_dir(run_id), store.kill_dir(run_id)):
        os.makedirs(path, exist_ok=True)


def _write_json(path: str, what: object) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump(what, f)
        os.rename(temporary, path)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e


def update_run(
    store: db.Store, run_id: int, *, counts: Counts, info: Mapping[str, float], said: Mapping[str, Any] | None = None
) -> None:
    """See `Writer.update_run`; for somebody who does it once."""
    with closing(Writer(store)) as writer:
        writer.update_run(run_id, counts, info, said or {})


def _update(
    conn: sqlite3.Connection,
    run_id: int,
    counts: Counts,
    controlled: bool,
    info: Mapping[str, float],
    said: Mapping[str, Any],
) -> None:
    state, status = roll_run(counts, controlled=controlled)
    packed = json.dumps({f"{s}/{t}": n for (s, t), n in sorted(counts.items())})
    rev = int(info.get("rev", 0))
    told = (_text(said.get("owner")), _text(said.get("comment")), _rest(said))
    conn.execute(
        'UPDATE runs SET state = ?, status = ?, "end" = ?, counts = ?, rev = ?, owner = coalesce(?, owner),'
        " comment = coalesce(?, comment), said = coalesce(?, said) WHERE id = ? AND rev <= ?",
        (state, status, info.get("last_end", 0.0), packed, rev, *told, run_id, rev),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _rest(said: Mapping[str, Any]) -> str | None:
    """What was told besides owner and comment, as main.db keeps it; None when nothing was told at all."""
    rest = {n: v for n, v in sorted(said.items()) if n not in ("owner", "comment")}
    return json.dumps(rest) if said else None


def is_controlled(store: db.Store, run_id: int) -> bool:
    """Whether a controller drives this run now."""
    return is_held(store.lock_path(f"run.{run_id}"))


def forget_run(store: db.Store, run_id: int) -> None:
    """Take a run out of main.db; its files are the caller's business."""
    import shutil

    with writing(store) as conn:
        row = one_run(conn, run_id)
        if row is not None:
            shutil.rmtree(_claim_of(store, RunKey(row.target, row.name)), ignore_errors=True)
        conn.execute("DELETE FROM runs WHERE id = ?", (run_id,))


def select_runs(
    conn: sqlite3.Connection,
    *,
    target: str = "%",
    name: str = "%",
    since: float = 0.0,
    order: str = "start",
    owner: str | None = None,
) -> Iterator[RunRow]:
    """Runs by pattern (`%` and `_` as in LIKE, else `*?[]` as in GLOB), as they were last stored; see `now`.

    `order` is a column of RunRow, with `-` in front for downwards; equal ones go by id.
    """
    column = order.lstrip("-")
    if column not in ("id", "target", "name", "state", "status", "owner", "start", "end"):
        raise ValueError(f"cannot order runs by {order!r}")
    down = "DESC" if order.startswith("-") else "ASC"
    found = conn.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE {match('target', target)} AND {match('name', name)} AND start >= ?"  # noqa: S608 - columns of a fixed list
        f' AND owner LIKE ? ORDER BY "{column}" {down}, id {down}',
        (target, name, since, owner or "%"),
    )
    return map(run_row, found)


def now(store: db.Store, run: RunRow) -> RunRow:
    """A run as it is now: a RUNNING one whose controller is gone, however it went, runs no more.

    An end that is not the end, because the run goes on or has not begun, is left out.
    """
    if run.state == "RUNNING" and not is_controlled(store, run.id):
        state, status = roll_run(unpack(run.counts), controlled=False)
        run = run._replace(state=state, status=status)
    return run if run.state in ("COMPLETED", "INCOMPLETE") else run._replace(end=0.0)


def one_run(conn: sqlite3.Connection, run_id: int) -> RunRow | None:
    """A run by its id."""
    found = conn.execute(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (run_id,)).fetchone()  # noqa: S608 - fixed columns
    return run_row(found) if found else None


def run_rev(conn: sqlite3.Connection, run_id: int) -> int:
    """The fold of a run that its row was stored after; 0 when none was."""
    found = conn.execute("SELECT rev FROM runs WHERE id = ?", (run_id,)).fetchone()
    return int(found[0]) if found else 0


def shows(conn: sqlite3.Connection, run_id: int, counts: Counts) -> bool:
    """Whether the row of a run has these counts."""
    found = one_run(conn, run_id)
    return found is not None and unpack(found.counts) == dict(counts)


def facts(conn: sqlite3.Connection, columns: str) -> Iterator[tuple[object, ...]]:
    """Columns of all runs by id."""
    return conn.execute(f"SELECT {columns} FROM runs ORDER BY id")  # noqa: S608 - the caller's own words


def match(column: str, pattern: str) -> str:
    """The SQL test of a column against a bound pattern: LIKE when it has a `%`, else GLOB (spec/runs.md 2.3)."""
    return f"{column} LIKE ?" if "%" in pattern else f"{column} GLOB ?"


def run_row(row: tuple[object, ...]) -> RunRow:
    """A RunRow from the columns of `runs`."""
    values = list(row)
    values[8], values[10] = json.loads(str(values[8])), json.loads(str(values[10]))
    return RunRow(*values)  # type: ignore[arg-type]  # the columns of the table, in order


def unpack(counts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """{(state, status): n} from the {"STATE/STATUS": n} of a RunRow."""
    return {(s, t): n for (s, _, t), n in ((k.partition("/"), n) for k, n in counts.items())}


def update_test_meta(store: db.Store, rows: Iterable[MetaRow]) -> None:
    """Store metadata of tests, (test, key, value, time, writer, seq) each; the latest wins."""
    with writing(store) as conn:
        conn.executemany(UPSERT_TEST_META, rows)


def test_meta(store: db.Store, test: str | None = None) -> dict[str, dict[str, str]]:
    """{test: {key: value}} of `[test_meta]`, of one test or of all that ever ran."""
    found: dict[str, dict[str, str]] = {}
    with reading(store) as conn:
        for name, key, value in conn.execute(
            "SELECT test, key, value FROM test_meta WHERE ? IS NULL OR test = ? ORDER BY test, key", (test, test)
        ):
            found.setdefault(name, {})[key] = value
    return found
