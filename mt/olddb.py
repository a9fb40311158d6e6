"""The `megatest.db` of Megatest 1.65: its tables, and how one is opened for reading (spec/runs.md 6.1).

Older versions lack some columns, and areas have such files of any age, so a
reader asks which columns there are.  A file that somebody else writes is read
in one transaction and never written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from mt import db
from mt.errors import BusyError, StoreError

#: what `-version` of the old program said, kept in metadat
VERSION = "1.6506"
#: the var of metadat that tells that mt wrote the file
MARK = "EXPORT"

#: the columns that stand around the key columns of a run
_RUN_COLUMNS = """runname TEXT DEFAULT 'norun', contour TEXT DEFAULT '', state TEXT DEFAULT '', status TEXT DEFAULT '',
    owner TEXT DEFAULT '', event_time TIMESTAMP DEFAULT (strftime('%s','now')), comment TEXT DEFAULT '',
    fail_count INTEGER DEFAULT 0, pass_count INTEGER DEFAULT 0, last_update INTEGER DEFAULT (strftime('%s','now'))"""
_UPDATED = "last_update INTEGER DEFAULT (strftime('%s','now'))"

#: table -> columns after `id INTEGER PRIMARY KEY`, for all but runs
TABLES: dict[str, str] = {
    "keys": "fieldname TEXT, fieldtype TEXT, UNIQUE (fieldname)",
    "run_stats": f"run_id INTEGER, state TEXT, status TEXT, count INTEGER, {_UPDATED}",
    "tests": f"""run_id INTEGER DEFAULT -1, testname TEXT DEFAULT 'noname', host TEXT DEFAULT 'n/a',
        cpuload REAL DEFAULT -1, diskfree INTEGER DEFAULT -1, uname TEXT DEFAULT 'n/a',
        rundir TEXT DEFAULT '/tmp/badname', shortdir TEXT DEFAULT '/tmp/badname', item_path TEXT DEFAULT '',
        state TEXT DEFAULT 'NOT_STARTED', status TEXT DEFAULT 'FAIL', attemptnum INTEGER DEFAULT 0,
        final_logf TEXT DEFAULT 'logs/final.log', logdat TEXT DEFAULT '', run_duration INTEGER DEFAULT 0,
        comment TEXT DEFAULT '', event_time TIMESTAMP DEFAULT (strftime('%s','now')),
        fail_count INTEGER DEFAULT 0, pass_count INTEGER DEFAULT 0, archived INTEGER DEFAULT 0, {_UPDATED},
        UNIQUE (run_id, testname, item_path)""",
    "test_steps": f"""test_id INTEGER, stepname TEXT, state TEXT DEFAULT 'NOT_STARTED', status TEXT DEFAULT 'n/a',
        event_time TIMESTAMP, comment TEXT DEFAULT '', logfile TEXT DEFAULT '', {_UPDATED},
        UNIQUE (test_id, stepname, state)""",
    "test_data": f"""test_id INTEGER, category TEXT DEFAULT '', variable TEXT, value REAL, expected REAL, tol REAL,
        units TEXT, comment TEXT DEFAULT '', status TEXT DEFAULT 'n/a', type TEXT DEFAULT '', {_UPDATED},
        UNIQUE (test_id, category, variable)""",
    "test_rundat": """test_id INTEGER, update_time TIMESTAMP, cpuload INTEGER DEFAULT -1, diskfree INTEGER DEFAULT -1,
        diskusage INTEGER DEFAULT -1, run_duration INTEGER DEFAULT 0""",
    "test_meta": """testname TEXT DEFAULT '', owner TEXT DEFAULT '', author TEXT DEFAULT '',
        description TEXT DEFAULT '', reviewed TIMESTAMP, iterated TEXT DEFAULT '', avg_runtime REAL, avg_disk REAL,
        tags TEXT DEFAULT '', jobgroup TEXT DEFAULT 'default', UNIQUE (testname)""",
    "metadat": "var TEXT, val TEXT, UNIQUE (var)",
    "tasks_queue": """action TEXT DEFAULT '', owner TEXT, state TEXT DEFAULT 'new', target TEXT DEFAULT '',
        name TEXT DEFAULT '', testpatt TEXT DEFAULT '', keylock TEXT, params TEXT, creation_time TIMESTAMP,
        execution_time TIMESTAMP""",
    "archive_disks": """archive_area_name TEXT, disk_path TEXT, last_df INTEGER DEFAULT -1, last_df_time TIMESTAMP,
        creation_time TIMESTAMP""",
    "archive_blocks": """archive_disk_id INTEGER, disk_path TEXT, last_du INTEGER DEFAULT -1, last_du_time TIMESTAMP,
        creation_time TIMESTAMP""",
    "archive_allocations": """archive_block_id INTEGER, testname TEXT, item_path TEXT, creation_time TIMESTAMP""",
    "archives": """test_id INTEGER, state TEXT DEFAULT 'new', status TEXT DEFAULT 'n/a',
        archive_type TEXT DEFAULT 'bup', du INTEGER, archive_path TEXT""",
    "extradat": "run_id INTEGER, key TEXT, val TEXT",
    "access_log": "user TEXT, accessed TIMESTAMP, args TEXT",
}

#: words that are no key, because they are columns of runs (spec/runs.md 6.1)
NO_KEYS = frozenset(
    "id runname contour state status owner event_time comment fail_count pass_count last_update".split()
)
_NEEDED = {"runs": ("id", "runname"), "tests": ("id", "run_id", "testname")}


def quoted(name: str) -> str:
    """A column name that may be any text."""
    return '"' + name.replace('"', '""') + '"'


def create(conn: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Make all tables in an empty db; `keys` become columns of runs, and the rows of keys."""
    columns = "".join(f"{quoted(key)} TEXT DEFAULT '', " for key in keys)
    unique = ", ".join(quoted(key) for key in ("runname", *keys))
    conn.execute(f"CREATE TABLE runs (id INTEGER PRIMARY KEY, {columns}{_RUN_COLUMNS}, UNIQUE ({unique}))")
    for table, rest in TABLES.items():
        conn.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {rest})")
    conn.executemany("INSERT INTO keys (fieldname, fieldtype) VALUES (?, 'TEXT')", [(key,) for key in keys])


@contextmanager
def errors(path: str, doing: str = "read") -> Iterator[None]:
    """Turn what SQLite raises within the block into one line about this file.  Raises BusyError, StoreError."""
    try:
        yield
    except sqlite3.Error as e:
        text = str(e).lower()
        if "locked" in text or "busy" in text:
            raise BusyError(f"cannot {doing} '{path}': somebody else is writing it", hint="try again later") from e
        raise StoreError(f"cannot {doing} '{path}': {text}") from e


@contextmanager
def opened(path: str, *, wait: float = 5.0) -> Iterator[sqlite3.Connection]:
    """A megatest.db in one read transaction; waits so many seconds for somebody who writes it.

    Works for files that may not be written, and for those in WAL mode.  Raises
    StoreError for what is no such db, BusyError.
    """
    with errors(path):
        try:
            with open(path, "rb"):
                pass
        except OSError as e:
            raise StoreError(f"cannot read '{path}': {(e.strerror or str(e)).lower()}") from e
        with closing(db.open_reader(path, wait)) as conn:
            conn.text_factory = _text
            conn.execute("BEGIN")
            _check(conn, path)
            yield conn


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _check(conn: sqlite3.Connection, path: str) -> None:
    """Raise StoreError unless the tables that a megatest.db must have are there."""
    for table, names in _NEEDED.items():
        known = columns(conn, table)
        missing = [name for name in names if name not in known]
        if not known:
            raise StoreError(f"cannot read '{path}': it is no megatest.db, it has no table {table}")
        if missing:
            raise StoreError(f"cannot read '{path}': its table {table} has no column {missing[0]}")


def columns(conn: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table in their order; empty when there is none."""
    return [str(row[1]) for row in conn.execute(f"PRAGMA table_info({quoted(table)})")]


def keys(conn: sqlite3.Connection) -> list[str]:
    """The keys in their order: as the table keys has them, else the columns of runs that are nothing else."""
    known = columns(conn, "runs")
    listed = (
        [str(n) for (n,) in conn.execute("SELECT fieldname FROM keys ORDER BY id")] if columns(conn, "keys") else []
    )
    found = [name for name in dict.fromkeys(listed) if name in known]
    return found or [name for name in known if name not in NO_KEYS]


def chosen(conn: sqlite3.Connection, table: str, wanted: Mapping[str, str], alias: str = "") -> str:
    """The columns of a SELECT: each of `wanted`, or its SQL default where this db has no such column."""
    known = set(columns(conn, table))
    prefix = f"{alias}." if alias else ""
    return ", ".join(f"{prefix}{quoted(n)}" if n in known else usual for n, usual in wanted.items())


def number(value: Any) -> float:
    """A time or a count, whatever type it was stored with; 0 for what is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return 0.0
    return found if abs(found) < 1e18 else 0.0


def text(value: Any) -> str:
    """A value as text; a whole number that was stored as a real one has no fraction."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.15g}" if float(f"{value:.15g}") == value else repr(value)
    return _text(value) if isinstance(value, bytes) else str(value)
