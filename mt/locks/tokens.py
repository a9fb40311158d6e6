"""The tokens of a semaphore on the disk: their files, and what their holders say of themselves.

A semaphore is the directory `NAME.sem`.  Token number 3 is the file `3.lock`,
whose flock keeps it, and the record `3.GENERATION`, which says who has it:
made exclusively by each new holder with a number one higher, so that only one
can have it even where flock lies or is missing; `free` in it gives it back.
The greatest generation counts.  Its holder touches it now and then: that is a
sign of life for those who share neither kernel nor working locks with it.

What survives what: a holder's death frees its flock at once, on every host
where locks work.  A record without its holder counts until its death is
proven (pid, start token, boot and pid namespace of this host) or until it was
seen unchanged for its lease, by the watcher's own clock; clocks of two
machines are never compared.
"""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

from mt.journal import boot_id
from mt.locks.owners import Owner, read_owner, write_owner
from mt.locks.teamfiles import lock, open_file, open_lock, unlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FREE = b"free\n"
_RECORD = re.compile(r"([0-9]+)\.([0-9]+)", re.ASCII)


class Seen(NamedTuple):
    """A record as it was read: its generation (0: none yet), whether it is free, and its last sign of life."""

    generation: int = 0
    free: bool = True
    owner: Owner = Owner()
    touched: int = 0


def generations(directory: str) -> dict[int, list[int]]:
    """The generations of each token's records, ascending."""
    found: dict[int, list[int]] = {}
    for name in os.listdir(directory):
        if match := _RECORD.fullmatch(name):
            found.setdefault(int(match[1]), []).append(int(match[2]))
    for each in found.values():
        each.sort()
    return found


def look(directory: str, number: int, known: list[int]) -> Seen:
    """The newest of a token's records; opened anew each time, so that network disks show what is new."""
    if not known:
        return Seen()
    generation = known[-1]
    try:
        fd = os.open(os.path.join(directory, f"{number}.{generation}"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Seen(generation, free=False)  # a newer one is there by now
    except PermissionError:
        return Seen(generation, free=False, touched=_touched(directory, number, generation))
    try:
        body = os.read(fd, 65536)
        touched = os.fstat(fd).st_mtime_ns
    finally:
        os.close(fd)
    return Seen(generation, body == _FREE, read_owner(body) or Owner(), touched)


def _touched(directory: str, number: int, generation: int) -> int:
    try:
        return os.stat(os.path.join(directory, f"{number}.{generation}")).st_mtime_ns
    except OSError:
        return 0


class Watch:
    """What has been seen of records whose holders are out of reach, by our own monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._seen: dict[int, tuple[tuple[int, int], float]] = {}

    def is_free(self, number: int, seen: Seen, kernel: bool | None) -> bool:
        """Whether a token may be taken; `kernel`: its flock is ours (None: there are no locks here).

        A record of this boot is also free when the kernel has given us the lock
        and its holder is in a namespace that we cannot look into.
        """
        if seen.free:
            return True
        alive = seen.owner.is_alive()
        if alive is not None:
            return not alive
        if kernel and seen.owner.boot and seen.owner.boot == boot_id():
            return True
        mark = (seen.generation, seen.touched)
        now = self.clock()
        known = self._seen.get(number)
        if known is None or known[0] != mark:
            self._seen[number] = (mark, now)
            return False
        return now - known[1] >= max(seen.owner.lease, 0.1)


class Token:
    """A token that this process holds."""

    def __init__(self, directory: str, number: int, lock_fd: int, record: int, generation: int) -> None:
        self.directory = directory
        self.number = number
        self.lock_fd = lock_fd  # -1 where there are no locks
        self.record = record
        self.generation = generation

    def beat(self) -> bool:
        """Give a sign of life; False when the token was taken from us, after we gave none for too long."""
        try:
            os.utime(self.record)
            return os.fstat(self.record).st_nlink > 0
        except OSError:
            return False

    def say(self, owner: Owner) -> None:
        """Say anew who holds it."""
        write_owner(self.record, owner)

    def give(self) -> None:
        """Give it back, also when others have inherited its lock."""
        try:
            if os.fstat(self.record).st_nlink:
                os.ftruncate(self.record, 0)
                os.pwrite(self.record, _FREE, 0)
        except OSError:
            pass  # it will be free when its lease is over
        os.close(self.record)
        if self.lock_fd >= 0:
            unlock(self.lock_fd)
            os.close(self.lock_fd)


def take(
    directory: str, number: int, known: list[int], owner: Owner, watch: Watch, *, locking: bool = True
) -> Token | None:
    """Take one token if it is free now; `known` are the generations of its records, as listed a moment ago."""
    fd, kernel = -1, None
    if locking:
        fd = open_lock(os.path.join(directory, f"{number}.lock"))
        kernel = lock(fd)
    token = None
    try:
        if kernel is not False:
            seen = look(directory, number, known)
            if watch.is_free(number, seen, kernel):
                token = _claim(directory, number, fd, owner, seen.generation + 1)
    finally:
        if token is None and fd >= 0:
            os.close(fd)
    return token


def _claim(directory: str, number: int, fd: int, owner: Owner, generation: int) -> Token | None:
    """Make the next record of a token, unless somebody else is quicker."""
    path = os.path.join(directory, f"{number}.{generation}")
    try:
        record = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return None
    write_owner(record, owner)
    known = generations(directory).get(number, [])
    if known and known[-1] > generation:  # we came late: others have had it since we looked
        os.close(record)
        _forget(path)
        return None
    for old in known:
        if old < generation:
            _forget(os.path.join(directory, f"{number}.{old}"))
    return Token(directory, number, fd, record, generation)


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
