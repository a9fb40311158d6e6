"""The tables of main.db and of a run's db, as ordered migrations counted by `PRAGMA user_version`.

A db of an older version is brought up to date when it is next written; one of
a newer version is refused and never touched.  Nothing is lost by refusing: a
run's db is only the fold of its journals.  A change of a table is a new entry
at the end of its tuple; entries that were released are never edited.

Every table of a run is a *join*: each row is the greatest of the events that
name its key, so `writer` and `seq` (the id of the event that won) stand in it.
"""

from __future__ import annotations

import sqlite3

from mt.errors import StoreError

Migration = tuple[str, ...]

_CASE_COLUMNS = """
    test TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL, gen INTEGER NOT NULL,
    state TEXT NOT NULL, status TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, job TEXT NOT NULL,
    start REAL NOT NULL, "end" REAL NOT NULL, secs REAL NOT NULL, cpu REAL NOT NULL, rss INTEGER NOT NULL,
    dir TEXT NOT NULL, comment TEXT NOT NULL, reason TEXT NOT NULL, token TEXT NOT NULL,
    writer TEXT NOT NULL, seq INTEGER NOT NULL"""

_RUN_1: Migration = (
    f"CREATE TABLE cases ({_CASE_COLUMNS}, PRIMARY KEY (test, item)) WITHOUT ROWID",
    "CREATE INDEX cases_status ON cases (status, state)",
    f"CREATE TABLE attempts ({_CASE_COLUMNS}, PRIMARY KEY (test, item, attempt)) WITHOUT ROWID",
    # began is the earliest start that was told of, for an end that does not know its start
    """CREATE TABLE steps (
        test TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL, name TEXT NOT NULL,
        number INTEGER NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL, exits TEXT NOT NULL,
        pid INTEGER NOT NULL, start REAL NOT NULL, secs REAL NOT NULL, cpu REAL NOT NULL, rss INTEGER NOT NULL,
        log TEXT NOT NULL, comment TEXT NOT NULL,
        began REAL NOT NULL, ended INTEGER NOT NULL, t REAL NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (test, item, attempt, name)) WITHOUT ROWID""",
    """CREATE TABLE vals (
        test TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL,
        category TEXT NOT NULL, variable TEXT NOT NULL, value TEXT NOT NULL, expected TEXT NOT NULL,
        tol TEXT NOT NULL, units TEXT NOT NULL, comment TEXT NOT NULL, status TEXT NOT NULL, type TEXT NOT NULL,
        t REAL NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (test, item, attempt, category, variable)) WITHOUT ROWID""",
    # a key's columns stand first: SQLite 3.40's integrity_check sees NULLs in a WITHOUT ROWID table otherwise
    """CREATE TABLE said (writer TEXT NOT NULL, seq INTEGER NOT NULL, t REAL NOT NULL,
        test TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL,
        state TEXT NOT NULL, status TEXT NOT NULL, comment TEXT NOT NULL, log TEXT NOT NULL,
        PRIMARY KEY (writer, seq)) WITHOUT ROWID""",
    "CREATE INDEX said_case ON said (test, item, attempt)",
    """CREATE TABLE notes (writer TEXT NOT NULL, seq INTEGER NOT NULL, t REAL NOT NULL,
        test TEXT NOT NULL, item TEXT NOT NULL, attempt INTEGER NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (writer, seq)) WITHOUT ROWID""",
    "CREATE INDEX notes_case ON notes (test, item, attempt)",
    """CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL,
        t REAL NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE test_meta (test TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        t REAL NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (test, key)) WITHOUT ROWID""",
    """CREATE TABLE counts (test TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL, n INTEGER NOT NULL,
        PRIMARY KEY (test, state, status)) WITHOUT ROWID""",
    """CREATE TABLE totals (state TEXT NOT NULL, status TEXT NOT NULL, n INTEGER NOT NULL,
        PRIMARY KEY (state, status)) WITHOUT ROWID""",
    # at: bytes that are folded; seen: the size at that look, greater when the last line was torn
    "CREATE TABLE offsets (file TEXT PRIMARY KEY, at INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE bad (file TEXT NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (file, at)) WITHOUT ROWID""",
    # rev counts the folds that changed something; last_end is the latest end of a case
    "CREATE TABLE info (key TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID",
)

_RUN_2: Migration = (
    # the first event that told of a case, and its place there: the order in which cases were registered
    """CREATE TABLE born (test TEXT NOT NULL, item TEXT NOT NULL,
        t REAL NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL,
        PRIMARY KEY (test, item)) WITHOUT ROWID""",
    # read all journals once more: what comes twice changes nothing, and the new table is filled
    "DELETE FROM offsets",
)

_COPIED = (
    'test, item, attempt, gen, state, status, host, pid, job, start, "end", secs, cpu, rss, dir, comment, reason, token'
)


def _with_queued(table: str, key: str) -> Migration:
    """A table of cases again, with a column for the seconds between hand-over and start before `writer`."""
    columns = _CASE_COLUMNS.replace("token TEXT NOT NULL,", "token TEXT NOT NULL, queued REAL NOT NULL,")
    return (
        f"ALTER TABLE {table} RENAME TO old_{table}",
        f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID",
        f"INSERT INTO {table} SELECT {_COPIED}, 0.0, writer, seq FROM old_{table}",  # noqa: S608 - names of this module
        f"DROP TABLE old_{table}",
    )


_RUN_3: Migration = (
    *_with_queued("cases", "test, item"),
    "CREATE INDEX cases_status ON cases (status, state)",
    *_with_queued("attempts", "test, item, attempt"),
)

_MAIN_1: Migration = (
    """CREATE TABLE runs (id INTEGER PRIMARY KEY, target TEXT NOT NULL, name TEXT NOT NULL,
        state TEXT NOT NULL, status TEXT NOT NULL, owner TEXT NOT NULL, start REAL NOT NULL, "end" REAL NOT NULL,
        counts TEXT NOT NULL, comment TEXT NOT NULL, rev INTEGER NOT NULL)""",
    "CREATE UNIQUE INDEX runs_key ON runs (target, name)",
    "CREATE INDEX runs_start ON runs (start)",
    """CREATE TABLE test_meta (test TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        t REAL NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (test, key)) WITHOUT ROWID""",
)

# said: what `run` events tell of a run beyond owner and comment, as a JSON object: frozen, set_status
_MAIN_2: Migration = ("ALTER TABLE runs ADD COLUMN said TEXT NOT NULL DEFAULT '{}'",)

#: what a run's db and main.db went through
RUN: tuple[Migration, ...] = (_RUN_1, _RUN_2, _RUN_3)
MAIN: tuple[Migration, ...] = (_MAIN_1, _MAIN_2)


def version(conn: sqlite3.Connection) -> int:
    """The schema version of an open db; 0 for a new one."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def check_version(conn: sqlite3.Connection, steps: tuple[Migration, ...], shown: str, mend: str) -> int:
    """The version, when it is one that this program knows; raises StoreError for a newer one."""
    found = version(conn)
    if found > len(steps):
        raise StoreError(
            f"cannot use '{shown}': its version {found} is newer than {len(steps)}, the newest this mt knows", hint=mend
        )
    return found


def migrate(conn: sqlite3.Connection, steps: tuple[Migration, ...], shown: str, mend: str) -> int:
    """Bring an open db (autocommit) to the newest version in one transaction; gives the version it had."""
    found = check_version(conn, steps, shown, mend)
    if found == len(steps):
        return found
    conn.execute("BEGIN IMMEDIATE")
    try:
        now = version(conn)
        for step in steps[now:]:
            for statement in step:
                conn.execute(statement)
        conn.execute(f"PRAGMA user_version = {len(steps)}")
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    return found
