"""A number of places that several processes share: who holds one has a lock on its file, which dies with the holder.

So `max_concurrent_jobs` and `[jobgroups]` count what runs in all runs of an
area (spec/runs.md 4.4), without a server and without anything to clean up.
Nobody waits here: a place is free now or it is not.

They are the tokens of a semaphore (`semaphore`), so that `mt sem NAME` lists
them and counts with them; but taken for each case, hence by flock alone, in
microseconds.  Where locks hold only within a host each host counts for itself;
where the file system has none at all every place is free, and nothing is
counted beyond this process.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from mt.errors import StoreError, why
from mt.locks.owners import myself, write_owner
from mt.locks.teamfiles import directory_of, lock, make_directory, open_lock, unlock


class Place(NamedTuple):
    """A place that is ours: its number, and the descriptor whose lock keeps it; -1 where there are no locks.

    A process to which the descriptor is handed holds the place as well, until
    it closes it or somebody gives the place back.
    """

    number: int
    fd: int


class Places:
    """At most `size` holders of a name at once; `what` tells others what we do with them."""

    def __init__(self, directory: str, name: str, size: int, what: str = "") -> None:
        self.home = directory_of(directory, name)
        self.size = size
        self.owner = myself(what)
        self.held: set[int] = set()
        self.wanting = False
        self._open: dict[str, int] = {}  # file -> descriptor, also of places that we do not hold

    def take(self) -> Place | None:
        """Take one more place; None when all are taken.  Raises StoreError when a file cannot be made."""
        for number in range(1, self.size + 1):
            if number in self.held:
                continue
            fd = self._file(f"{number}.lock")
            got = lock(fd)
            if got is None:
                return Place(0, -1)
            if got:
                self.held.add(number)
                write_owner(fd, self.owner._replace(since=round(time.time(), 3)))
                return Place(number, fd)
        return None

    def give(self, place: Place) -> None:
        """Give one back, also in the name of those to whom it was handed on."""
        if place.fd >= 0:
            self.held.discard(place.number)
            unlock(place.fd)

    def want(self, wanting: bool) -> None:
        """Show others that we wait for a place, or no longer do."""
        if wanting and not self.wanting:
            self.wanting = lock(self._file("want"), shared=True) is True
        elif self.wanting and not wanting:
            unlock(self._file("want"))
            self.wanting = False

    def wanted(self) -> bool:
        """Whether somebody else waits for a place."""
        if self.wanting:
            return False
        fd = self._file("want")
        free = lock(fd)
        if free:
            unlock(fd)
        return free is False

    def close(self) -> None:
        """Close all files: what was not handed on is free then."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()
        self.held.clear()
        self.wanting = False

    def _file(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is None:
            path = os.path.join(self.home, name)
            try:
                make_directory(self.home)
                fd = self._open[name] = open_lock(path)
            except OSError as e:
                raise StoreError(f"cannot use '{path}': {why(e)}") from e
        return fd
