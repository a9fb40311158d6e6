"""The live copy of a db, for file systems without locks: written on a local disk, put back into the area by rename.

In the mode single-writer the db in the area is never opened for writing, so
whoever reads it needs no lock and sees a whole db.  A process that folds takes
the db's lease, goes on from the copy in the area (unless it is the one that the
process itself has put there), writes its own live copy under /tmp, and puts it
back by SQLite's backup into a new file and a rename.

Two who hold the lease, because one was paused and resumes, do no harm: each db
and its offsets are one whole, journals are only appended in this mode, so the
next fold goes on from whichever copy was put back last and reads what it lacks.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing

from mt import db, db_schema, storage
from mt.errors import StoreError, why
from mt.journal import host_name, start_token
from mt.locks.filelock import Held, short
from mt.trace import trace

#: the part of the time that may be spent on putting back a large db again and again while a run is driven
_SHARE = 0.2


def kept(store: db.Store, path: str, steps: tuple[db_schema.Migration, ...]) -> db.Kept:
    """A db of the store for somebody who writes it, by the storage mode of the area."""
    return Live(store, path, steps) if store.mode == storage.SINGLE else db.Kept(path, steps, store.mode)


class Live(db.Kept):
    """A live copy of the db at `path`, private to this object; `close` removes it and loses what is owed."""

    def __init__(self, store: db.Store, path: str, steps: tuple[db_schema.Migration, ...]) -> None:
        super().__init__(path, steps, storage.SINGLE)
        self._store = store
        self._copy = ""
        self._changes = 0  # of the connection when the area had all of it
        self._next = 0.0  # when it may be put back again

    def opened(self) -> sqlite3.Connection:
        """The connection to the live copy; hold the lease.  One that somebody else has overtaken is made anew."""
        if self._conn is None or not self.is_same():
            self.close()
            self._file = db.copy_of(self.path)
            self._copy = _new_file(self._store, os.path.basename(self.path))
            found = _pull(self.path, self._copy, self._steps) if self._file else 0
            self._conn = db.connect(self._copy, self._steps, storage.SINGLE)
            self._changes = self._conn.total_changes if found == len(self._steps) else -1
        return self._conn

    def is_same(self) -> bool:
        """Whether it is open, and the copy in the area is the one that it came from or that it was put to."""
        return self._conn is not None and db.copy_of(self.path) == self._file

    def owes(self) -> bool:
        """Whether something was written since it was last put back."""
        return self._conn is not None and self._conn.total_changes != self._changes

    def is_due(self) -> bool:
        """Whether it owes, and putting it back now does not take too much of the time."""
        return self.owes() and time.monotonic() >= self._next

    def put_back(self, lock: Held, *, force: bool = False) -> bool:
        """Put the copy in the area; not when the lease was lost nor, without `force`, when it is not due."""
        if self._conn is None:
            return False
        if not force and not self.is_due():
            return not self.owes()
        begin = time.monotonic()
        if not publish(self._store, self._conn, self.path, lock):
            return False
        now = time.monotonic()
        self._next = now + (now - begin) / _SHARE
        self._file = db.copy_of(self.path)
        self._changes = self._conn.total_changes
        return True

    def close(self) -> None:
        """Close and remove the live copy."""
        super().close()
        if self._copy:
            db.forget(self._copy)
            self._copy = ""


def _pull(path: str, copy: str, steps: tuple[db_schema.Migration, ...]) -> int:
    """Copy the db of the area, of any version that is known; gives the version.  Raises StoreError."""
    with db.sql_errors(path), closing(db.immutable(path)) as there, closing(sqlite3.connect(copy)) as here:
        found = db_schema.check_version(there, steps, short(path), db.mend(path))
        there.backup(here)
    return found


def publish(store: db.Store, conn: sqlite3.Connection, path: str, lock: Held) -> bool:
    """Put a db into the area as a whole; False when the lease was lost meanwhile.  Raises StoreError."""
    made = store.tmp_path(f"{os.path.basename(path)}.{host_name()}.{os.getpid()}-{start_token()}.{time.time_ns():x}")
    try:
        with db.sql_errors(made), closing(db.unlocked(made)) as there:
            conn.backup(there)
        with open(made, "rb") as f:
            os.fsync(f.fileno())
        if lock.lost():
            trace("lock", path, op="lost")
            return False
        os.rename(made, path)
    except FileNotFoundError:
        return False  # swept up by somebody with our host's name to whom our pid says nothing
    except OSError as e:
        raise StoreError(f"cannot write '{short(path)}': {why(e)}") from e
    finally:
        db.forget(made)
    trace("sync", path, size=os.path.getsize(path))
    return True


def _new_file(store: db.Store, name: str) -> str:
    """A new file for a live copy; those of dead processes of ours are swept."""
    home = storage.live_home(store.area_id)
    _sweep(home, ".db.")
    _sweep(store.tmp_path(""), f".db.{host_name()}.")
    try:
        fd, path = tempfile.mkstemp(prefix=f"{name}.{os.getpid()}-{start_token()}.", dir=home)
    except OSError as e:
        raise StoreError(f"cannot make a file in '{home}': {why(e)}") from e
    os.close(fd)
    return path


def _sweep(home: str, mark: str) -> None:
    """Remove the files whose name goes on after the mark with the pid and start token of a dead process."""
    for left in os.listdir(home):
        pid, _, start = left.partition(mark)[2].partition(".")[0].partition("-")
        if pid.isdigit() and start_token(pid) != start:
            db.forget(os.path.join(home, left))


def new_file(store: db.Store, name: str) -> str:
    """A path for a db that is being made: on a local disk in the mode single-writer, else on the disk of the store."""
    return _new_file(store, name) if store.mode == storage.SINGLE else store.tmp_path(f"{name}.{os.getpid()}")
