"""Directories below a root, reached and removed without following a link on the way.

What is looked at by name may be another thing when it is removed: somebody, or
a test, puts a link in its place.  So the way down from the root is opened part
by part, each part within the one before (`dir_fd`), and what is removed is
named within the last of them.  A link on the way is refused, a link at the end
is removed itself.  The root is taken as it is: an area's disks may be links.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress

from mt.errors import MtError, NotPermitted, StoreError, why

#: a directory as a place to start from, whatever may be read in it; a link is refused
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK_ON_THE_WAY = (errno.ELOOP, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def tail_of(root: str, path: str) -> str:
    """What leads from a root to a path below it; raises ValueError for any other path."""
    tail = os.path.relpath(path, root)
    if tail == ".." or tail.startswith("../") or os.path.isabs(tail):
        raise ValueError(f"'{path}' is not below '{root}'")
    return "" if tail == "." else tail


@contextmanager
def opened(root: str, tail: str) -> Iterator[int]:
    """The directory `tail` below a root, as a descriptor for `dir_fd`; raises OSError, ELOOP or ENOTDIR for a link."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in filter(None, tail.split("/")):
            inner = os.open(part, _PLACE, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def remove(root: str, tail: str) -> None:
    """Remove whatever is at `tail` below a root, a directory with all that is in it; nothing there is fine.

    Directories that forbid it are made writable.  Raises OSError.
    """
    head, name = os.path.split(tail)
    with opened(root, head) as fd:
        _remove(name, fd)


def empty(root: str, tail: str) -> None:
    """Remove all that is in the directory `tail` below a root; raises OSError."""
    with opened(root, tail) as place:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
        try:
            for name in os.listdir(fd):
                _remove(name, fd)
        finally:
            os.close(fd)


def prune(root: str, tail: str, keep: Container[str]) -> int:
    """Remove all files below `tail` but those of these names, and what is empty then; gives the bytes freed."""
    freed = 0
    with opened(root, tail) as place:
        for folder, folders, files, fd in os.fwalk(".", topdown=False, dir_fd=place):
            for name in (*files, *folders):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    with suppress(OSError):  # something is kept in it
                        os.rmdir(name, dir_fd=fd)
                elif os.path.normpath(os.path.join(folder, name)) not in keep:
                    os.unlink(name, dir_fd=fd)
                    freed += found.st_size
    return freed


def refusal(path: str, e: OSError, *, verb: str = "remove") -> MtError:
    """The error that says why something below a root could not be removed."""
    inner = f" ('{e.filename}')" if isinstance(e.filename, str) and e.filename not in ("", path) else ""
    if e.errno in _LINK_ON_THE_WAY:
        return NotPermitted(f"cannot {verb} '{path}': there is a link in its path{inner}", hint="mend the link")
    kind = NotPermitted if e.errno in _FORBIDDEN else StoreError
    return kind(f"cannot {verb} '{path}': {why(e)}{inner}")


def _remove(name: str, fd: int) -> None:
    try:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=fd)
        return
    try:
        shutil.rmtree(name, dir_fd=fd)
    except PermissionError:
        _open_up(name, fd)
        shutil.rmtree(name, dir_fd=fd)


def _open_up(name: str, fd: int) -> None:
    """Let the owner write in a directory and all below it."""
    _allow(name, fd)
    for _, folders, _, inner in os.fwalk(name, dir_fd=fd):
        for folder in folders:
            _allow(folder, inner)


def _allow(name: str, fd: int) -> None:
    """Let the owner do everything in a directory; a link is left alone."""
    try:
        place = os.open(name, _PLACE, dir_fd=fd)
    except OSError as e:
        if e.errno in _LINK_ON_THE_WAY:
            return
        raise
    try:
        os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(os.fstat(place).st_mode) | 0o700)
    except PermissionError:
        return  # somebody else's: what is in it may go all the same, or its removal says why not
    finally:
        os.close(place)
