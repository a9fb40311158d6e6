"""Exclusive locks that name their holder: who has it, on which host, since when, doing what.

A path `NAME.lock` is a lock of the kernel, a path `NAME.lease` a lease
(mt/locks/lease.py) for file systems without locks; `held`, `is_held`, `holder`
and `watcher` take both, and `Store.lock_path` gives the one that the storage
mode of an area is for.  A lock on a file system that has none is a lease, too.

The lock is flock(2) through the package `filelock`.  It belongs to the open
file, so the kernel releases it when its holder dies, however it dies; the lock
file itself stays.  A forked child that keeps the descriptor keeps the lock;
an exec'd one does not (close-on-exec).  Beside the file stands `NAME.holder`,
written by rename after the lock is taken and removed before it is given back.
It is a hint for messages only: it may outlive a killed holder, and whether the
lock is held is always asked of the kernel.  On NFS the server releases the lock
of a host that is lost when its NFS lease lapses, typically after 90 s.

Locks of a store, in the order in which they may be taken: `run.<id>.lock` <
`<id>.db.lock` < `main.db.lock`.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from mt.errors import BusyError, NotPermitted, StoreError, why
from mt.journal import boot_id, host_name, start_token
from mt.locks.alive import NO_LOCKS
from mt.team import user_name
from mt.trace import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from filelock import BaseFileLock as _Lock

#: how long an attempt that does not want to wait bears with one that only looks, in seconds
_GRACE = 0.3


class Holder(NamedTuple):
    """Who holds a lock, as it said itself; `since` is seconds since 1970, pid 0 when it did not say."""

    pid: int = 0
    host: str = ""
    start: str = ""
    boot: str = ""
    user: str = ""
    command: str = ""
    what: str = ""
    since: float = 0.0

    def __str__(self) -> str:
        """`pid 4711 on n12`."""
        return f"pid {self.pid} on {self.host}" if self.pid else "another process"

    @classmethod
    def of(cls, said: Mapping[str, object]) -> Holder:
        """The holder that wrote this; raises TypeError or ValueError for what no holder wrote."""
        return cls(**{n: type(d)(said[n]) for n, d in cls._field_defaults.items() if n in said})


class Held:
    """What `held` gives: `lost` says whether somebody else has it by now, which only a lease allows."""

    def lost(self) -> bool:
        """Never: the kernel takes a lock from nobody who lives."""
        return False


def is_lease(path: str) -> bool:
    """Whether a path stands for a lease."""
    return path.endswith(".lease")


@contextmanager
def held(path: str, *, wait: float | bool = True, what: str = "") -> Iterator[Held]:
    """Hold the lock or lease for the block; `wait` is for ever, not at all, or at most so many seconds.

    Raises BusyError with the name of the holder, NotPermitted where the file
    cannot be written, StoreError for other failures of the file system.
    """
    try:
        lock = None if is_lease(path) else _acquire(path, wait)
    except _NoLocksHere:
        lock = None
    if lock is None:
        from mt.locks.lease import leased

        with leased(_lease_of(path), wait=wait, what=what) as lease:
            yield lease
        return
    try:
        _write_holder(path, what)
        trace("lock", path, op="acquire")
        try:
            yield Held()
        finally:
            _remove_holder(path)
    finally:
        trace("lock", path, op="release")
        lock.release()


class _NoLocksHere(Exception):
    """The file system has no locks at all."""


def _lease_of(path: str) -> str:
    return path if is_lease(path) else f"{path.removesuffix('.lock')}.lease"


def _new(path: str, mode: int) -> _Lock:
    """A lock of the package filelock; it must not make do with a marker that a dead host would leave for ever."""
    import filelock

    try:
        return filelock.FileLock(path, mode=mode, fallback_to_soft=False)
    except TypeError:  # one that is old has no such option
        return filelock.FileLock(path, mode=mode)


def _acquire(path: str, wait: float | bool) -> _Lock:
    import filelock

    patience = -1.0 if wait is True else 0.0 if wait is False else float(wait)
    mode = 0o666 if os.path.exists(path) else 0o666 & ~_umask()
    lock = _new(path, mode)
    try:
        try:
            lock.acquire(timeout=patience, poll_interval=0.01)
        except filelock.Timeout:
            if patience or _lives_here(read_holder(path)):
                raise
            lock.acquire(timeout=_GRACE, poll_interval=0.01)
    except filelock.Timeout:
        raise busy(path) from None
    except PermissionError as e:
        raise NotPermitted(f"cannot lock '{short(path)}': {why(e)}") from e
    except NotImplementedError:
        raise _NoLocksHere from None
    except OSError as e:
        if e.errno in NO_LOCKS:
            raise _NoLocksHere from None
        kind = NotPermitted if e.errno == 30 else StoreError
        raise kind(f"cannot lock '{short(path)}': {why(e)}") from e
    return lock


def _umask() -> int:
    """The umask of this process, read without changing it where /proc tells."""
    try:
        with open("/proc/self/status", encoding="utf-8") as f:
            return next((int(line.split()[1], 8) for line in f if line.startswith("Umask:")), 0o022)
    except OSError:
        return 0o022


def busy(path: str) -> BusyError:
    """The error that says who holds this lock."""
    return busy_with(path, read_holder(path) or Holder())


def busy_with(path: str, said: Holder) -> BusyError:
    """The same for a holder that is known."""
    return BusyError(f"cannot lock '{short(path)}': held by {said}", hint="mt lock show")


def short(path: str) -> str:
    """A path of the store from `.mtdb` on, as messages show it."""
    at = path.rfind("/.mtdb/")
    return path[at + 1 :] if at >= 0 else path


def is_held(path: str) -> bool:
    """Whether any process, this one too, holds the lock now; of a lease: as far as one look tells, see `watcher`.

    Looking takes a shared lock for an instant; `held` without waiting bears with that.
    """
    if is_lease(path):
        return _is_leased(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as e:
        return e.errno not in NO_LOCKS or _is_leased(_lease_of(path))
    finally:
        os.close(fd)
    return False


def _is_leased(path: str) -> bool:
    from mt.locks.lease import is_leased

    return is_leased(path)


def watcher(path: str) -> Callable[[], bool]:
    """`is_held` for somebody who asks again and again: sees too that a lease has run out, because nobody renews it."""
    if not is_lease(path):
        return lambda: is_held(path)
    from mt.locks.lease import LeaseWatch

    return LeaseWatch(path).is_held


def holder(path: str) -> Holder | None:
    """Who holds the lock now; None when nobody does.  A holder that has not said who it is has pid 0."""
    if is_lease(path):
        from mt.locks.lease import lease_holder

        return lease_holder(path)
    return (read_holder(path) or Holder()) if is_held(path) else None


def read_holder(path: str) -> Holder | None:
    """What the last holder wrote of itself, held or not; None when there is nothing to read."""
    try:
        with open(f"{path}.holder", encoding="utf-8") as f:
            return Holder.of(json.load(f))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _lives_here(said: Holder | None) -> bool:
    """Whether the holder is surely a living process of this host."""
    return said is not None and said.boot == boot_id() != "" and start_token(said.pid) == said.start != ""


def _write_holder(path: str, what: str) -> None:
    """Say who we are; a disk that takes no more hints must not stop the work."""
    said = me(what)
    temporary = f"{path}.{said.pid}.{said.host}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump(said._asdict(), f)
        os.rename(temporary, f"{path}.holder")
    except (OSError, ValueError):
        _forget(temporary)


def me(what: str) -> Holder:
    """This process as a holder, doing `what`."""
    return _process(os.getpid())._replace(what=what, since=round(time.time(), 3))


@lru_cache(maxsize=1)
def _process(pid: int) -> Holder:
    """What does not change while a process lives; the pid makes it a forked child's own."""
    from mt.environ import veiled

    command = " ".join([os.path.basename(sys.argv[0] or "python"), *veiled(sys.argv[1:])])[:200]
    return Holder(pid, host_name(), start_token(), boot_id(), user_name(os.getuid()), command)


def _remove_holder(path: str) -> None:
    _forget(f"{path}.holder")


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
