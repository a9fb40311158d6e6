"""The store of an area: where its files are, how a db is opened, and how a run gets its id.

`Store(home)` is a handful of paths and no open file; connections are opened by
those who fold (`connect`) or ask (`reader`).  Every failure of SQLite becomes
one line: a db that cannot be read is never repaired in place and never
modified, because `mt db rebuild` makes it again from the journals.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from mt import db_schema
from mt.errors import NotPermitted, StoreError, why
from mt.locks.filelock import held, short
from mt.model import RunKey

#: the version of the layout of .mtdb, in the file AREA
LAYOUT = 1
_DIRS = ("journal", "ctl", "kill", "locks", "tmp")
_GARBAGE = ("file is not a database", "malformed", "not a database", "file is encrypted")


class OldVersion(StoreError):
    """A db that the next fold, or `mt db migrate`, brings up to date."""


class Store:
    """The `.mtdb` of the area at `home`; `create` makes it when it is not there.

    Raises StoreError where there is none (without `create`) or its layout is
    newer, NotPermitted where it cannot be made.
    """

    def __init__(self, home: str, *, create: bool = False) -> None:
        self.home = home
        self.root = os.path.join(home, ".mtdb")
        if create:
            _make_area(self.root)
        self.area_id = _read_area(self.root)

    def run_id(self, key: RunKey) -> int | None:
        """The id of a run, None when there is no such run."""
        from mt import db_main

        return db_main.run_id(self, key)

    def create_run(self, key: RunKey, *, owner: str, comment: str = "", begun: float | None = None) -> int:
        """The id of a run, which is registered when it is new; safe for several processes at once.

        An id is never used twice, even when main.db was lost in between.
        `begun` (seconds since 1970) is for a run that was begun elsewhere.
        """
        from mt import db_main

        return db_main.create_run(self, key, owner=owner, comment=comment, begun=begun)

    @property
    def main_path(self) -> str:
        """main.db."""
        return os.path.join(self.root, "main.db")

    def run_db_path(self, run_id: int) -> str:
        """The db of a run."""
        return os.path.join(self.root, f"{run_id}.db")

    def journal_dir(self, run_id: int) -> str:
        """Where the journals of a run are."""
        return os.path.join(self.root, "journal", str(run_id))

    def ctl_dir(self, run_id: int) -> str:
        """Where requests to a run's controller are."""
        return os.path.join(self.root, "ctl", str(run_id))

    def kill_dir(self, run_id: int) -> str:
        """Where the control files of a run's cases are."""
        return os.path.join(self.root, "kill", str(run_id))

    def lock_path(self, name: str) -> str:
        """The lock `name`: `run.<id>`, `<id>.db` or `main.db`."""
        return os.path.join(self.root, "locks", f"{name}.lock")

    def tmp_path(self, name: str) -> str:
        """A path for a file that is still being made, on the same file system."""
        return os.path.join(self.root, "tmp", name)

    def run_key(self, run_id: int) -> RunKey | None:
        """Target and name of a run from its run.json, which outlives every db; None when there is none."""
        facts = self.run_facts(run_id)
        return RunKey(str(facts["target"]), str(facts["run"])) if facts else None

    def run_facts(self, run_id: int) -> dict[str, object] | None:
        """What run.json says: target, run, id, owner, comment, t; None when there is none that can be read."""
        try:
            with open(os.path.join(self.journal_dir(run_id), "run.json"), encoding="utf-8") as f:
                facts = json.load(f)
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) and "target" in facts and "run" in facts else None

    def run_ids_on_disk(self) -> list[int]:
        """The ids of all runs that have journals, ascending: main.db is not asked."""
        try:
            names = os.listdir(os.path.join(self.root, "journal"))
        except OSError:
            return []
        return sorted(int(n) for n in names if n.isdigit())

    def writable(self) -> bool:
        """Whether this process may write in the store at all."""
        return os.access(os.path.join(self.root, "locks"), os.W_OK) and os.access(self.root, os.W_OK)


def _make_area(root: str) -> None:
    """Make the directories and the file AREA; two processes at once give one area."""
    path = os.path.join(root, "AREA")
    try:
        for name in _DIRS:
            os.makedirs(os.path.join(root, name), exist_ok=True)
        if os.path.exists(path):
            return
        import uuid

        temporary = os.path.join(root, "tmp", f"AREA.{uuid.uuid4()}")
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump({"id": str(uuid.uuid4()), "layout": LAYOUT}, f)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
    except OSError as e:
        kind = NotPermitted if isinstance(e, PermissionError) or e.errno == 30 else StoreError
        raise kind(f"cannot make the store '{root}': {why(e)}") from e


def _read_area(root: str) -> str:
    try:
        with open(os.path.join(root, "AREA"), encoding="utf-8") as f:
            said = json.load(f)
        layout, area_id = int(said["layout"]), str(said["id"])
    except FileNotFoundError:
        raise StoreError(f"nothing is recorded in '{os.path.dirname(root)}' yet", hint="mt run") from None
    except PermissionError as e:
        raise NotPermitted(f"cannot read '{root}/AREA': {why(e)}") from e
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise StoreError(f"cannot read '{root}/AREA': {type(e).__name__.lower()}") from e
    if layout > LAYOUT:
        raise StoreError(f"cannot use '{root}': its layout {layout} is newer than {LAYOUT}, the newest this mt knows")
    return area_id


def mend(path: str) -> str:
    """The command that makes this db again."""
    name = os.path.basename(path).removesuffix(".db")
    return "mt db rebuild --main" if name == "main" else f"mt db rebuild {name}"


@contextmanager
def sql_errors(path: str) -> Iterator[None]:
    """Turn what SQLite raises within the block into a StoreError about the db at path."""
    try:
        yield
    except sqlite3.Error as e:
        raise _store_error(path, e) from e


def _store_error(path: str, e: sqlite3.Error) -> StoreError:
    text = str(e).lower()
    broken = any(word in text for word in _GARBAGE) or "no such table" in text or "no such column" in text
    return StoreError(f"cannot use '{short(path)}': {text}", hint=mend(path) if broken else None)


def connect(path: str, steps: tuple[db_schema.Migration, ...]) -> sqlite3.Connection:
    """Open a db for writing in autocommit mode, made or migrated as needed; hold its lock while calling.

    Raises StoreError for a db that is newer or that is no db, without changing it.
    """
    if path != ":memory:" and not os.path.exists(path):
        forget_wal(path)
    conn: sqlite3.Connection | None = None
    try:
        with sql_errors(path):
            conn = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
            db_schema.check_version(conn, steps, short(path), mend(path))
            tune(conn)
            db_schema.migrate(conn, steps, short(path), mend(path))
        return conn
    except BaseException:
        if conn is not None:
            conn.close()
        raise


class Kept:
    """A db that is opened for writing once and kept; opened again when a rebuild has put another in its place.

    Opening and closing a db costs milliseconds (the last one to close moves the
    WAL into the db), a transaction on an open one microseconds.
    """

    def __init__(self, path: str, steps: tuple[db_schema.Migration, ...]) -> None:
        self.path = path
        self._steps = steps
        self._conn: sqlite3.Connection | None = None
        self._file = (0, 0)

    def opened(self) -> sqlite3.Connection:
        """The connection; hold the db's lock, because it may have to be made."""
        if self._conn is None or not self.is_same():
            self.close()
            self._conn = connect(self.path, self._steps)
            self._file = _identity(self.path)
        return self._conn

    def is_same(self) -> bool:
        """Whether it is open and still the db at its path."""
        return self._conn is not None and _identity(self.path) == self._file

    def close(self) -> None:
        """Close it; a later `opened` opens it again."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def tune(conn: sqlite3.Connection) -> None:
    """Choose how a db is written: WAL, for a local disk.

    The only place where a journal mode is chosen.  A commit that a power failure
    takes back is folded again from the journals, hence synchronous=NORMAL.
    """
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute("PRAGMA cache_size = -65536")
    conn.execute("PRAGMA temp_store = MEMORY")


def forget_wal(path: str) -> None:
    """Remove the side files of a db that is gone or about to be replaced: they must never meet another db."""
    for side in ("-wal", "-shm"):
        try:
            os.unlink(path + side)
        except FileNotFoundError:
            pass


def reader(path: str, steps: tuple[db_schema.Migration, ...]) -> sqlite3.Connection:
    """Open a db for reading only; works in a directory that cannot be written.

    Raises StoreError when it is missing, newer, older or no db.
    """
    if not os.path.exists(path):
        raise StoreError(f"cannot read '{short(path)}': no such file", hint=mend(path))
    with sql_errors(path):
        conn = _recovered(path)
        try:
            found = db_schema.check_version(conn, steps, short(path), mend(path))
        except BaseException:
            conn.close()
            raise
    if found < len(steps):
        conn.close()
        raise OldVersion(f"cannot read '{short(path)}': its version {found} is old", hint="mt db migrate")
    return conn


def _recovered(path: str) -> sqlite3.Connection:
    """A reader of one of our dbs; a write that died in the middle is taken back first, which a reader cannot do."""
    try:
        return open_reader(path)
    except sqlite3.OperationalError as e:
        if "readonly" not in str(e):
            raise
    from contextlib import closing

    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as conn:
        db_schema.version(conn)
    return open_reader(path)


def open_reader(path: str, wait: float = 20) -> sqlite3.Connection:
    """Open any SQLite file for reading only, whatever its version; waits so many seconds for one who writes.

    Raises sqlite3.Error.
    """
    from urllib.parse import quote

    uri = "file:" + quote(os.path.abspath(path))
    conn = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        db_schema.version(conn)
        conn.execute("PRAGMA cache_size = -65536")
        return conn
    except sqlite3.OperationalError as e:
        conn.close()
        if "locked" in str(e) or os.access(os.path.dirname(os.path.abspath(path)), os.W_OK):
            raise
    if not has_bytes(path + "-wal"):
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
    return _copied(path)


def has_bytes(path: str) -> bool:
    """Whether there is a file that is not empty; SQLite takes an empty one for a new db."""
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def _copied(path: str) -> sqlite3.Connection:
    """A db with an unfinished WAL that may not be touched: read from a copy, in memory."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mt-") as home:
        copy = os.path.join(home, "copy.db")
        shutil.copyfile(path, copy)
        shutil.copyfile(path + "-wal", copy + "-wal")
        disk = sqlite3.connect(copy)
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            disk.backup(memory)
        finally:
            disk.close()
    return memory


@contextmanager
def locked(store: Store, name: str, *, wait: float | bool = True, what: str = "") -> Iterator[None]:
    """Hold the lock of a db (`main.db`, `3.db`) for the block."""
    with held(store.lock_path(name), wait=wait, what=what):
        yield


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: all of the block or nothing."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield conn
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")
