"""The tables of the old megatest.db as a schema for SQLite or PostgreSQL (spec/runs.md 6.1, `mtutil db`).

Pure.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: table -> columns `name type [default]`, and the columns that are unique together
_TABLES: tuple[tuple[str, str, str], ...] = (
    ("keys", "fieldname text, fieldtype text", "fieldname"),
    (
        "runs",
        "runname text norun, contour text '', state text '', status text '', owner text '', event_time time,"
        " comment text '', fail_count int 0, pass_count int 0, last_update time",
        "runname",
    ),
    ("run_stats", "run_id int, state text, status text, count int 0, last_update time", "run_id, state, status"),
    (
        "tests",
        "run_id int -1, testname text noname, host text n/a, cpuload real -1, diskfree int -1, uname text n/a,"
        " rundir text /tmp/badname, shortdir text /tmp/badname, item_path text '', state text NOT_STARTED,"
        " status text n/a, attemptnum int 0, final_logf text logs/final.log, logdat text '', run_duration int 0,"
        " comment text '', event_time time, fail_count int 0, pass_count int 0, archived int 0, last_update time",
        "run_id, testname, item_path",
    ),
    (
        "test_steps",
        "test_id int, stepname text, state text NOT_STARTED, status text n/a, event_time time, comment text '',"
        " logfile text '', last_update time",
        "test_id, stepname, state",
    ),
    (
        "test_data",
        "test_id int, category text '', variable text, value real, expected real, tol real, units text,"
        " comment text '', status text n/a, type text '', last_update time",
        "test_id, category, variable",
    ),
    (
        "test_rundat",
        "test_id int, update_time time, cpuload real -1, diskfree int -1, diskusage int -1, run_duration int 0",
        "",
    ),
    (
        "test_meta",
        "testname text '', owner text '', author text '', description text '', reviewed time, iterated text '',"
        " avg_runtime real, avg_disk real, tags text '', jobgroup text default",
        "testname",
    ),
    ("metadat", "var text, val text", "var"),
    (
        "tasks_queue",
        "action text '', owner text, state text new, target text '', name text '', testpatt text '', keylock text,"
        " params text, creation_time time, execution_time time",
        "",
    ),
    (
        "archive_disks",
        "archive_area_name text, disk_path text, last_df int -1, last_df_time time, creation_time time",
        "archive_area_name, disk_path",
    ),
    (
        "archive_blocks",
        "archive_disk_id int, disk_path text, last_du int -1, last_du_time time, creation_time time",
        "archive_disk_id, disk_path",
    ),
    ("archive_allocations", "archive_block_id int, testname text, item_path text, creation_time time", ""),
    ("archives", "test_id int, state text new, status text n/a, archive_type text bup, du int, archive_path text", ""),
    ("extradat", "run_id int, key text, val text", ""),
    ("access_log", 'user text, accessed time, args text', ""),
)  # fmt: skip
#: words of _TABLES -> types of SQLite and PostgreSQL
_TYPES = {
    "sqlite3": {"id": "INTEGER PRIMARY KEY", "text": "TEXT", "int": "INTEGER", "real": "REAL", "time": "TIMESTAMP"},
    "pg": {
        "id": "SERIAL PRIMARY KEY", "text": "TEXT", "int": "INTEGER", "real": "DOUBLE PRECISION", "time": "BIGINT",
    },
}  # fmt: skip
_NOW = {"sqlite3": "(strftime('%s','now'))", "pg": "(extract(epoch from now())::bigint)"}
KINDS = {"sqlite3schema": "sqlite3", "pgschema": "pg"}


def schema(kind: str, keys: Iterable[str] = ()) -> str:
    """The statements for `sqlite3` or `pg`; `keys` are the names of the area's keys, columns of `runs`."""
    names = tuple(keys)
    head = "-- The tables of megatest.db; runs has a column for each key of the area."
    return "\n".join([head, *(_table(kind, *table, names) for table in _TABLES)])


def _table(kind: str, name: str, columns: str, unique: str, keys: tuple[str, ...]) -> str:
    types = _TYPES[kind]
    lines = [f"id {types['id']}"]
    if name == "runs":
        lines += [f"{_quoted(key)} {types['text']} DEFAULT ''" for key in keys]
        unique = ", ".join([unique, *map(_quoted, keys)])
    lines += [_column(kind, column.split()) for column in columns.split(", ")]
    if unique:
        lines.append(f"CONSTRAINT {name}_unique UNIQUE ({_names(unique)})")
    return f"CREATE TABLE IF NOT EXISTS {name} (\n    " + ",\n    ".join(lines) + "\n);"


def _column(kind: str, words: list[str]) -> str:
    name, type_, *default = words
    text = f"{_quoted(name)} {_TYPES[kind][type_]}"
    if type_ == "time":
        return f"{text} DEFAULT {_NOW[kind]}"
    if not default:
        return text
    return f"{text} DEFAULT {_literal(default[0]) if type_ == 'text' else default[0]}"


def _literal(word: str) -> str:
    return "''" if word == "''" else f"'{word}'"


def _names(text: str) -> str:
    return ", ".join(_quoted(name) for name in text.split(", "))


def _quoted(name: str) -> str:
    """Names that are words of SQL, or of a user, stand in quotes."""
    name = name.strip('"')
    is_plain = name.replace("_", "a").isalnum() and name.islower() and name.isascii() and name not in ("user", "key")
    return name if is_plain else '"' + name.replace('"', '""') + '"'
