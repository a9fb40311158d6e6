"""The store of an area: where its files are, how a db is opened, and how a run gets its id.

`Store(home)` is a handful of paths and no open file; connections are opened by
those who fold (`connect`) or ask (`reader`).  Every failure of SQLite becomes
one line: a db that cannot be read is never repaired in place and never
modified, because `mt db rebuild` makes it again from the journals.

How a db is opened depends on the storage mode of the area (mt/storage.py),
which a store reads from AREA and checks against this host when it is opened,
and once more under each lock, since somebody may change it meanwhile.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mt import db_schema, storage, team
from mt.errors import BusyError, MtError, NotPermitted, StoreError, why
from mt.locks.filelock import Held, held, short
from mt.model import RunKey
from mt.storage import DIRECT, NFS, SINGLE

#: the version of the layout of .mtdb, in the file AREA
LAYOUT = 1
_DIRS = ("journal", "ctl", "kill", "locks", "batch", "tmp")
#: bytes of a db up to which a reader on a network disk takes all of it at once
_IN_MEMORY = 256 << 20
_GARBAGE = ("file is not a database", "malformed", "not a database", "file is encrypted")


class OldVersion(StoreError):
    """A db that the next fold, or `mt db migrate`, brings up to date."""


class Unmade(OldVersion):
    """A db whose tables nobody has made yet: whoever began it is about to, or died before."""


class Store:
    """The `.mtdb` of the area at `home`; `create` makes it when it is not there.

    Raises StoreError where there is none (without `create`) or its layout is
    newer or its storage mode does not fit this host, NotPermitted where it
    cannot be made, BusyError while somebody changes its mode.  Without `check`
    the mode is not looked at: for who changes it.
    """

    def __init__(self, home: str, *, create: bool = False, check: bool = True) -> None:
        self.home = home
        self.root = os.path.join(home, ".mtdb")
        #: the group that owns the area, whose members may write all that is made in it; None when there is none
        self.group = _make_area(self.root) if create else team.group_of(self.root)
        team.join(self.group)
        self._area = read_area(self.root)
        self.area_id = self._area.id
        self.mode = self._area.choice.mode
        if check and self._area.changing:
            raise _changing(self._area.choice.mode)
        if check:
            storage.check(self._area.choice, self.root)

    @property
    def choice(self) -> storage.Choice:
        """The storage mode, why it was chosen, and for what kind of mount."""
        return self._area.choice

    def check_mode(self) -> None:
        """Raise BusyError when the storage mode was changed since this store was opened; costs one stat."""
        try:
            if _area_file(self.root) == self._area.file:
                return
            now = read_area(self.root)
        except OSError:
            return
        if now.changing or now.choice.mode != self.mode:
            raise _changing(now.choice.mode)
        self._area = now

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
        """The lock `name`: `run.<id>`, `<id>.db` or `main.db`; a lease where locks do not work."""
        kind = "lease" if self.mode == SINGLE else "lock"
        return os.path.join(self.root, "locks", f"{name}.{kind}")

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

    def need_write(self) -> None:
        """Raise NotPermitted, with what forbids it, where this process may not write in the store."""
        if not os.access(self.root, os.W_OK):
            raise team.refusal(self.root, f"cannot write in the area '{self.home}'")

    def writable(self) -> bool:
        """Whether this process may write in the store at all."""
        return os.access(os.path.join(self.root, "locks"), os.W_OK) and os.access(self.root, os.W_OK)


def _make_area(root: str) -> int | None:
    """Make the directories and the file AREA; two processes at once give one area.

    Gives the group that owns it.  Raises NotPermitted where we may not write.
    """
    path = os.path.join(root, "AREA")
    home = os.path.dirname(root)
    try:
        new = not os.path.exists(path)
        mode, group = _wishes(home) if new else (None, None)
        owner = team.of_area(home, group)
        team.join(owner)
        team.make_directory(root, owner)
        for name in _DIRS:
            os.makedirs(os.path.join(root, name), exist_ok=True)
        if not os.access(root, os.W_OK):
            raise team.refusal(root, f"cannot write in the area '{home}'")
        if new:
            import uuid

            choice = storage.choose(root, mode)
            _publish(root, path, {"id": str(uuid.uuid4()), "layout": LAYOUT, **choice._asdict()})
    except OSError as e:
        kind = NotPermitted if isinstance(e, PermissionError) or e.errno == 30 else StoreError
        raise kind(f"cannot make the store '{root}': {why(e)}") from e
    return owner


def _wishes(home: str) -> tuple[str | None, str | None]:
    """The area's `[db] mode` and `[db] group`; the area is only read when its file seems to say anything."""
    try:
        with open(os.path.join(home, "megatest.config"), encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError:
        return None, None
    if "[db]" not in text and "[include" not in text:
        return None, None
    from mt.area import Area

    try:
        area = Area.open(home)
    except MtError:
        return None, None  # whoever reads the area says what is wrong with it
    return area.setting("db", "mode"), area.setting("db", "group")


def _publish(root: str, path: str, said: dict[str, object]) -> None:
    """Give the area its file, as one of several who try."""
    import uuid

    temporary = os.path.join(root, "tmp", f"AREA.{uuid.uuid4()}")
    with open(temporary, "w", encoding="utf-8") as f:
        json.dump(said, f)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        _publish_unlinked(root, temporary, path)
    finally:
        forget(temporary)


def _publish_unlinked(root: str, temporary: str, path: str) -> None:
    """The same on a file system without links: who makes the directory may rename, after 5 s anybody."""
    import select
    import time

    claim = os.path.join(root, "tmp", "AREA.claim")
    try:
        os.mkdir(claim)
    except OSError:
        until = time.monotonic() + 5
        while not os.path.exists(path) and time.monotonic() < until:
            select.poll().poll(20)
    if not os.path.exists(path):
        os.rename(temporary, path)


class Facts(NamedTuple):
    """What AREA says: the area's id, its storage mode, whether somebody changes it now; and which file that was."""

    id: str
    choice: storage.Choice
    changing: bool
    file: tuple[int, int, int]


def read_area(root: str) -> Facts:
    """Read the AREA of a store; one that says no mode is of a local disk.  Raises StoreError, NotPermitted."""
    path = os.path.join(root, "AREA")
    try:
        with open(path, encoding="utf-8") as f:
            said = json.load(f)
            found = os.fstat(f.fileno())
        layout, area_id = int(said["layout"]), str(said["id"])
        choice = storage.Choice(*(str(said.get(n, "")) for n in storage.Choice._fields))
    except FileNotFoundError:
        raise StoreError(f"nothing is recorded in '{os.path.dirname(root)}' yet", hint="mt run") from None
    except PermissionError as e:
        raise NotPermitted(f"cannot read '{root}/AREA': {why(e)}") from e
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise StoreError(f"cannot read '{root}/AREA': {type(e).__name__.lower()}") from e
    if layout > LAYOUT:
        raise StoreError(f"cannot use '{root}': its layout {layout} is newer than {LAYOUT}, the newest this mt knows")
    if not choice.mode:
        choice = storage.Choice(DIRECT, "made before modes were recorded", "")
    if choice.mode not in storage.MODES:
        raise StoreError(f"cannot use '{root}': its storage mode '{choice.mode}' is none that this mt knows")
    return Facts(area_id, choice, bool(said.get("changing")), (found.st_ino, found.st_mtime_ns, found.st_size))


def _area_file(root: str) -> tuple[int, int, int]:
    found = os.stat(os.path.join(root, "AREA"))
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def write_area(root: str, choice: storage.Choice, *, changing: bool, lease: float | None = None) -> None:
    """Give the area another storage mode, by rename; raises StoreError.  Everybody must have been stopped."""
    path = os.path.join(root, "AREA")
    temporary = os.path.join(root, "tmp", f"AREA.{os.getpid()}")
    try:
        with open(path, encoding="utf-8") as f:
            said = json.load(f)
        said.pop("changing", None)
        said |= choice._asdict() | ({"changing": True} if changing else {}) | ({"lease": lease} if lease else {})
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump(said, f)
            f.flush()
            os.fsync(f.fileno())
        os.rename(temporary, path)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e


def _changing(mode: str) -> BusyError:
    return BusyError("the storage mode of the area is being changed, or was just now", hint=f"mt db mode {mode}")


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


def _store_error(path: str, e: sqlite3.Error) -> MtError:
    text = str(e).lower()
    if "locked" in text:
        return BusyError(f"cannot use '{short(path)}': {text}", hint="somebody reads or writes it for long")
    broken = any(word in text for word in _GARBAGE) or "no such table" in text or "no such column" in text
    return StoreError(f"cannot use '{short(path)}': {text}", hint=mend(path) if broken else None)


def connect(path: str, steps: tuple[db_schema.Migration, ...], mode: str = DIRECT) -> sqlite3.Connection:
    """Open a db for writing in autocommit mode, made or migrated as needed; hold its lock while calling.

    In the mode single-writer `path` is that of a live copy (mt/live.py), never in the area.

    Raises StoreError for a db that is newer or that is no db, without changing it.
    """
    if path != ":memory:" and not os.path.exists(path):
        forget_wal(path)
        _make_file(path)
    conn: sqlite3.Connection | None = None
    try:
        with sql_errors(path):
            conn = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
            db_schema.check_version(conn, steps, short(path), mend(path))
            tune(conn, mode)
            db_schema.migrate(conn, steps, short(path), mend(path))
        return conn
    except BaseException:
        if conn is not None:
            conn.close()
        raise


def _make_file(path: str) -> None:
    """Make a db's file with the rights of its team: SQLite would give them to its maker alone.  Raises StoreError."""
    try:
        team.make_file(path)
    except OSError as e:
        raise StoreError(f"cannot make '{short(path)}': {why(e)}") from e


class Kept:
    """A db that is opened for writing once and kept; opened again when a rebuild has put another in its place.

    Opening and closing a db costs milliseconds (the last one to close moves the
    WAL into the db), a transaction on an open one microseconds.  `mt.live.Live`
    does the same where the db in the area is only a copy.
    """

    def __init__(self, path: str, steps: tuple[db_schema.Migration, ...], mode: str = DIRECT) -> None:
        self.path = path
        self._mode = mode
        self._steps = steps
        self._conn: sqlite3.Connection | None = None
        self._file: File = ()

    def opened(self) -> sqlite3.Connection:
        """The connection; hold the db's lock, because it may have to be made."""
        if self._conn is None or not self.is_same():
            self.close()
            self._conn = connect(self.path, self._steps, self._mode)
            self._file = file_of(self.path)
        return self._conn

    @property
    def current(self) -> sqlite3.Connection | None:
        """The connection if there is one, whatever has become of the db at its path."""
        return self._conn

    def is_same(self) -> bool:
        """Whether it is open and still the db at its path."""
        return self._conn is not None and file_of(self.path) == self._file

    def owes(self) -> bool:
        """Whether something was written that the db at its path has not: never, they are one."""
        return False

    def is_due(self) -> bool:
        """Whether it is time to put back what is owed."""
        return False

    def put_back(self, lock: Held, *, force: bool = False) -> bool:
        """Bring what was written to the db at its path; gives whether it is there."""
        return True

    def close(self) -> None:
        """Close it; a later `opened` opens it again."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None


File = tuple[int, ...]


def file_of(path: str) -> File:
    """Which file is at a path, whatever is written into it; zeros when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def copy_of(path: str) -> File:
    """The same for a file that is only ever replaced: numbers of files may come again at once."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def tune(conn: sqlite3.Connection, mode: str = DIRECT) -> None:
    """Choose how a db is written, by the storage mode; the only place where a journal mode is chosen.

    On a local disk a commit that a power failure takes back is folded again from
    the journals, hence synchronous=NORMAL.  On a network disk the client's cache
    must be written before the lock is given to another host, and memory that is
    mapped is not shared.  A live copy is lost with its process: nothing to guard.
    """
    journal, synchronous = {DIRECT: ("WAL", "NORMAL"), NFS: ("TRUNCATE", "FULL"), SINGLE: ("MEMORY", "OFF")}[mode]
    if mode == NFS:
        conn.execute("PRAGMA mmap_size = 0")
    (now,) = conn.execute(f"PRAGMA journal_mode = {journal}").fetchone()
    if mode == NFS and now != "truncate":
        raise sqlite3.OperationalError(f"its journal mode stays {now}: somebody has it open, the database is locked")
    conn.execute(f"PRAGMA synchronous = {synchronous}")
    conn.execute("PRAGMA cache_size = -65536")
    conn.execute("PRAGMA temp_store = MEMORY")


def forget_wal(path: str) -> None:
    """Remove the side files of a db that is gone or about to be replaced: they must never meet another db."""
    for side in ("-wal", "-shm", "-journal"):
        forget(path + side)


def forget(path: str) -> None:
    """Remove a file that may be gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def reader(path: str, steps: tuple[db_schema.Migration, ...], mode: str = DIRECT) -> sqlite3.Connection:
    """Open a db for reading only; works in a directory that cannot be written.

    In the mode single-writer nothing is locked: the db is never written, only
    replaced.  In the mode direct-nfs who reads keeps writers out, so a db that is
    not huge is read into memory at once.  Raises StoreError when it is missing, newer, older or no db.
    """
    if not os.path.exists(path):
        raise StoreError(f"cannot read '{short(path)}': no such file", hint=mend(path))
    with sql_errors(path):
        conn = immutable(path) if mode == SINGLE else _recovered(path)
        try:
            found = db_schema.check_version(conn, steps, short(path), mend(path))
        except BaseException:
            conn.close()
            raise
    if found < len(steps):
        conn.close()
        kind = OldVersion if found else Unmade
        raise kind(f"cannot read '{short(path)}': its version {found} is old", hint="mt db migrate")
    if mode == NFS and os.path.getsize(path) <= _IN_MEMORY:
        with sql_errors(path):
            return in_memory(conn)
    return conn


def unlocked(path: str) -> sqlite3.Connection:
    """A new file that nobody else knows, written without locks, which its file system may not have."""
    _make_file(path)
    conn = sqlite3.connect(f"{_uri(path)}?nolock=1", uri=True, isolation_level=None)
    conn.execute("PRAGMA journal_mode = OFF")
    conn.execute("PRAGMA synchronous = OFF")
    return conn


def immutable(path: str) -> sqlite3.Connection:
    """A reader that takes no lock and looks for no journal."""
    uri = f"{_uri(path)}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _uri(path: str) -> str:
    """A path as SQLite reads URIs; the three characters are all that it would read otherwise."""
    name = os.path.abspath(path)
    for char, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        name = name.replace(char, code)
    return f"file:{name}"


def in_memory(conn: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of a db in memory; the connection that is given is closed."""
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        conn.backup(memory)
    except BaseException:
        memory.close()
        raise
    finally:
        conn.close()
    return memory


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
    uri = _uri(path)
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
        return immutable(path)
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
        return in_memory(sqlite3.connect(copy))


@contextmanager
def locked(store: Store, name: str, *, wait: float | bool = True, what: str = "") -> Iterator[Held]:
    """Hold the lock of a db (`main.db`, `3.db`) for the block; raises BusyError too when the mode was changed."""
    with held(store.lock_path(name), wait=wait, what=what) as lock:
        store.check_mode()
        yield lock


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
