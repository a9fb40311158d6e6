"""A worker shows that it lives by a lock on its own journal; the kernel takes it away at its death.

No heartbeat, no pid that may have been reused: whoever can lock the file
exclusively knows that its writer is gone.  The lock is shared, so that looking
and writing do not disturb each other.  It survives an exec only where the
descriptor is handed on (it is close-on-exec), and a *forked* child holds it too
until it closes its copy: a child that goes on alone closes what it inherits.
On file systems without flock between hosts it only tells about this host.
"""

from __future__ import annotations

import fcntl
import os

from mt.errors import StoreError, why


def keep_alive(path: str) -> int:
    """Hold a shared lock on the file as long as the descriptor that is given stays open.

    Creates the file when it is not there.  An open `mt.journal.Journal` holds
    its file in the same way.  A compaction takes journals nobody holds; this
    waits for one that is under way and then makes the file anew.  Raises StoreError.
    """
    try:
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if _is_same(fd, path):
                return fd
            os.close(fd)
    except OSError as e:
        raise StoreError(f"cannot lock journal '{path}': {why(e)}") from e


def _is_same(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def is_alive(path: str) -> bool:
    """Whether some process holds `keep_alive` on this file; False when there is no such file."""
    fd = take_dead(path)
    if fd is None:
        return os.path.exists(path)
    os.close(fd)
    return False


def take_dead(path: str) -> int | None:
    """An exclusive lock on a journal whose writer is gone, as a descriptor to close; None while it lives.

    Also None when the file is gone or cannot be opened.  While it is held,
    `keep_alive` on this path waits.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
