"""Files that several users and hosts share: safe names, rights as a team's directory asks for, flock where it is."""

from __future__ import annotations

import fcntl
import os
import stat

from mt.errors import MtError, NotPermitted, StoreError, why
from mt.team import is_shared

_BUSY = (11, 13)  # EAGAIN, EACCES: what a lock that somebody holds answers


def directory_of(directory: str, name: str) -> str:
    """The directory of a semaphore: every name has one of its own, whatever its letters."""
    from urllib.parse import quote

    safe = quote(name, safe=" ")
    if len(safe) > 200:
        from hashlib import sha256

        safe = f"{safe[:140]}~{sha256(name.encode(errors='surrogateescape')).hexdigest()[:40]}"
    return os.path.join(directory, f"{safe}.sem")


def name_of(directory: str) -> str:
    """The name of the semaphore in a directory, as far as the directory tells it."""
    from urllib.parse import unquote

    return unquote(os.path.basename(directory).removesuffix(".sem"))


def refusal(directory: str, e: OSError) -> MtError:
    """The one line for a semaphore whose files cannot be used."""
    denied = isinstance(e, PermissionError) or e.errno == 30
    text = f"cannot use semaphore '{name_of(directory)}' in '{os.path.dirname(directory)}': {why(e)}"
    if denied:
        return NotPermitted(text, hint="a team shares a directory that its group may write (chmod g+ws DIR)")
    return StoreError(text)


def make_directory(directory: str) -> None:
    """Make a semaphore's directory; below one with setgid that its group may write, the group may write it too."""
    if os.path.isdir(directory):
        return
    os.makedirs(directory, exist_ok=True)
    if is_shared(os.path.dirname(directory)):
        _open_to_group(directory, os.stat(directory), 0o2070)


def open_file(path: str, flags: int) -> int:
    """Open a file of a semaphore, made if need be; what is made obeys the umask, or its team's directory."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        found = os.fstat(fd)
        if not found.st_mode & stat.S_IWGRP and is_shared(os.path.dirname(path)):
            _open_to_group(fd, found, 0o060)
    except OSError:
        os.close(fd)
        raise
    return fd


def _open_to_group(where: int | str, found: os.stat_result, bits: int) -> None:
    if found.st_uid == os.geteuid():
        os.chmod(where, stat.S_IMODE(found.st_mode) | bits)


def open_lock(path: str) -> int:
    """Open a lock file, made if need be; a teammate's that only he may write is opened for reading."""
    try:
        return open_file(path, os.O_RDWR | os.O_CREAT)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def lock(fd: int, *, shared: bool = False) -> bool | None:
    """Try to lock an open file at once; None where the file system has no locks."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as e:
        return False if e.errno in _BUSY else None
    return True


def unlock(fd: int) -> None:
    """Give a lock back, also in the name of all who have this open file."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError:
        return
