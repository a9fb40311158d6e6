"""A worker shows that it lives: by a lock on its own journal, which the kernel takes away, and by touching it.

The lock (`keep_alive`, `look`) is for file systems whose locks work, and
for this host: no heartbeat, no pid that may have been reused: whoever can lock the file
exclusively knows that its writer is gone.  The lock is shared, so that looking
and writing do not disturb each other.  It survives an exec only where the
descriptor is handed on (it is close-on-exec), and a *forked* child holds it too
until it closes its copy: a child that goes on alone closes what it inherits.
On file systems without flock between hosts it only tells about this host.

There, and for workers of other hosts, `Watched` and `living` judge by the times
of the file, which a worker touches twice a second while a case runs.  The times
are only compared with each other, the observer's monotonic clock says for how
long nothing changed: the clocks of two machines are never compared.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from collections.abc import Iterable

from mt.errors import StoreError, why

#: what flock answers on a file system that has no locks
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
#: and when somebody has the lock; anything else says nothing (NFS wants a descriptor that may write: EBADF)
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
#: how often a lock is asked for where there seems to be none, and milliseconds between
_TRIES, _PAUSE = 5, 100
#: the words of `look`
HELD, FREE, MISSING, UNTOLD = "held", "free", "missing", "untold"


def keep_alive(path: str) -> int:
    """Hold a shared lock on the file as long as the descriptor that is given stays open.

    Creates the file when it is not there.  An open `mt.journal.Journal` holds
    its file in the same way.  A compaction takes journals nobody holds; this
    waits for one that is under way and then makes the file anew.  Where there
    are no locks it is only opened.  Raises StoreError.
    """
    try:
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            if not _shared(fd) or _is_same(fd, path):
                return fd
            os.close(fd)
    except OSError as e:
        raise StoreError(f"cannot lock journal '{path}': {why(e)}") from e


def _shared(fd: int) -> bool:
    """Take the shared lock; False on a file system that has none.

    A server that is short of locks for a moment is asked again: without one we
    would look dead to all others.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            return True
        except OSError as e:
            if e.errno not in NO_LOCKS:
                raise
            if e.errno != errno.ENOLCK:
                break
        if tries_left:
            select.poll().poll(_PAUSE)
    return False


def _is_same(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def is_alive(path: str) -> bool:
    """Whether some process is known to hold `keep_alive` on this file; not to know it proves no death (`look`)."""
    return look(path) == HELD


def look(path: str) -> str:
    """What the lock on a journal tells of its writer.

    HELD: it lives.  FREE: it is gone.  MISSING: there is no such file, as far
    as this host can see.  UNTOLD: nobody can say, because there are no locks or
    we may not ask.
    """
    fd, word = _ask(path)
    if fd is not None:
        os.close(fd)
    return word


def take_dead(path: str) -> int | None:
    """An exclusive lock on a journal whose writer is gone, as a descriptor to close; None when that is not certain.

    While it is held, `keep_alive` on this path waits.
    """
    return _ask(path)[0]


def _ask(path: str) -> tuple[int | None, str]:
    """The lock, where we get it, and what `look` says."""
    try:
        fd = _opened(path)
    except FileNotFoundError:
        return None, MISSING
    except OSError:
        return None, UNTOLD
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(fd)
        return None, HELD if e.errno in _HELD else UNTOLD
    return fd, FREE


def _opened(path: str) -> int:
    """The file for reading and, where we may, for writing: NFS gives an exclusive lock only to those who can write."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


class Watched:
    """A file that a living process touches; whether it does, only repeated looks tell."""

    def __init__(self, path: str) -> None:
        self.path = path
        #: whether it was seen to change since the first look: proof that its writer lives
        self.changed = False
        self._seen = _times(path)
        self._since = time.monotonic()

    def alive(self, patience: float) -> bool:
        """Look; False once nothing changed for so many seconds of our own clock.  A file that is gone is dead."""
        now = _times(self.path)
        if now is None:
            return False
        if now != self._seen:
            self.changed = True
            self._seen = now
            self._since = time.monotonic()
        return time.monotonic() - self._since < patience


def _times(path: str) -> tuple[int, int, int] | None:
    """What a touch or a write changes.  The file is opened by name: that makes a network client ask its server."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def living(paths: Iterable[str], patience: float) -> set[str]:
    """Those files that somebody touches now: waits until each has changed, or for `patience` seconds without."""
    waiting = {path: Watched(path) for path in paths}
    found: set[str] = set()
    pause = 20.0
    while waiting:
        for path, watched in list(waiting.items()):
            alive = watched.alive(patience)
            if watched.changed:
                found.add(path)
            if watched.changed or not alive:
                del waiting[path]
        if waiting:
            select.poll().poll(pause)
            pause = min(pause * 1.5, 250.0)
    return found
