"""Environments by name in one SQLite file: what -envcap keeps and -envdelta compares (spec/runs.md 5.17)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from mt.errors import MtError, UsageError, why

_TABLE = (
    "CREATE TABLE IF NOT EXISTS envvars (id INTEGER PRIMARY KEY, context TEXT NOT NULL, var TEXT NOT NULL,"
    " val TEXT NOT NULL, CONSTRAINT envvars_constraint UNIQUE (context, var))"
)


def save(path: str, context: str, values: Mapping[str, str]) -> None:
    """Keep an environment under a name, in place of what had that name; a new file is its owner's alone.

    Raises MtError when the file cannot be written or is no database.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as e:
        raise MtError(f"cannot write '{path}': {why(e)}") from e
    with _opened(path) as conn, conn:
        conn.execute(_TABLE)
        conn.execute("DELETE FROM envvars WHERE context = ?", (context,))
        rows = [(context, *map(_stored, pair)) for pair in values.items()]
        conn.executemany("INSERT INTO envvars (context, var, val) VALUES (?, ?, ?)", rows)


def load(path: str, *contexts: str) -> list[dict[str, str]]:
    """The environments that are kept under these names; raises UsageError for a name or a file that is not there."""
    if not os.path.exists(path):
        raise UsageError(f"cannot read '{path}': no such file", hint="megatest -envcap NAME makes it")
    with _opened(path) as conn:
        found = [dict(_read(conn, context)) for context in contexts]
    for context, values in zip(contexts, found, strict=True):
        if not values:
            raise UsageError(f"no environment is called '{context}' in '{path}'", hint=f"megatest -envcap {context}")
    return found


def names(path: str) -> list[str]:
    """The names in a file; none where there is no file."""
    if not os.path.exists(path):
        return []
    with _opened(path) as conn:
        return [str(name) for (name,) in conn.execute("SELECT DISTINCT context FROM envvars ORDER BY context")]


def _read(conn: sqlite3.Connection, context: str) -> Iterator[tuple[str, str]]:
    for var, val in conn.execute("SELECT var, val FROM envvars WHERE context = ? ORDER BY var", (context,)):
        yield _told(var), _told(val)


def _stored(text: str) -> str | bytes:
    """Text as it is; bytes that are no UTF-8 as such."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def _told(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=20)) as conn:
            yield conn
    except sqlite3.Error as e:
        raise MtError(f"cannot use '{path}': {e}") from e
