"""A number of places that several processes share: who holds one has a lock on its file, which dies with the holder.

So `max_concurrent_jobs` and `[jobgroups]` count what runs in all runs of an
area (spec/runs.md 4.4), without a server and without anything to clean up.
Nobody waits here: a place is free now or it is not.
"""

from __future__ import annotations

import fcntl
import os
from urllib.parse import quote

from mt.errors import StoreError, why


class Places:
    """At most `size` holders of a name at once; `held` are the descriptors of ours, in the order of their taking.

    A descriptor may be handed to another process, which then holds the place
    as well until it closes it.  Where the file system has no locks every place
    is free: then nothing is counted beyond this process.
    """

    def __init__(self, directory: str, name: str, size: int) -> None:
        self.directory = directory
        self.name = quote(name, safe="")
        self.size = size
        self.held: dict[int, None] = {}
        self.unlocked = 0  # places taken on a file system without locks
        self._open: dict[int, int] = {}  # place -> descriptor, also of those that we do not hold

    def __len__(self) -> int:
        """How many are ours."""
        return len(self.held) + self.unlocked

    def take(self) -> bool:
        """Take one more place; False when all are taken.  Raises StoreError when a file cannot be made."""
        for number in range(self.size):
            fd = self._file(number)
            if fd in self.held:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:
                self.unlocked += 1
                return True
            self.held[fd] = None
            return True
        return False

    def give(self, keep: int) -> None:
        """Give back all but so many."""
        while len(self) > keep and self.unlocked:
            self.unlocked -= 1
        while len(self) > keep:
            fcntl.flock(self.held.popitem()[0], fcntl.LOCK_UN)

    def close(self) -> None:
        """Close all files: what was not handed on is free then."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()
        self.held.clear()
        self.unlocked = 0

    def _file(self, number: int) -> int:
        fd = self._open.get(number)
        if fd is None:
            path = os.path.join(self.directory, f"{self.name}.{number}")
            try:
                os.makedirs(self.directory, exist_ok=True)
                fd = self._open[number] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as e:
                raise StoreError(f"cannot use '{path}': {why(e)}") from e
        return fd
