"""A counting semaphore on a shared disk: at most N holders over all users and hosts that use one directory.

A token is kept by flock and by a record that its holder touches (`tokens`):
the kernel frees it when its last holder dies, also when that is a command that
outlived us; a holder out of reach of working locks loses it when it gives no
sign of life for its lease.  It survives kill -9 of anybody at any instruction.
It does not survive a holder on a disk without locks between hosts that is
stopped for longer than its lease: that one is told when it goes on.

Who waits polls, from 10 ms up to a second, each time by chance a little
longer or shorter, and shows by a shared lock on `want` that it does.  Who asks
for several gets all or none: attempts are made one after another under the
lock `gate`, from the lowest number up, and keep nothing when they fail.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from typing import NamedTuple

from mt.errors import BusyError, UsageError
from mt.locks import tokens
from mt.locks.owners import LEASE, Owner, myself, read_owner
from mt.locks.teamfiles import directory_of, lock, make_directory, name_of, open_lock, refusal, unlock
from mt.trace import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

#: seconds: the first and the longest pause between two attempts; patience with the gate, whose holder may be stopped
_SHORTEST, _LONGEST, _GATE = 0.01, 1.0, 1.0


class Row(NamedTuple):
    """A token that somebody has; `alive` is False where this process cannot know whether he lives."""

    name: str
    token: int
    owner: Owner
    alive: bool


class Held:
    """Tokens that are ours until `give`."""

    def __init__(self, name: str, owner: Owner, held: list[tokens.Token]) -> None:
        self.name = name
        self.owner = owner
        self.tokens = held

    @property
    def numbers(self) -> list[int]:
        """Which tokens, ascending; a board or a licence may be chosen by it."""
        return [token.number for token in self.tokens]

    def descriptors(self) -> list[int]:
        """The open files whose locks keep the tokens: a process that inherits them keeps the tokens too."""
        return [token.lock_fd for token in self.tokens if token.lock_fd >= 0]

    def belongs_to(self, child: int) -> None:
        """Say which command runs under the tokens, so that they are not taken while it lives."""
        from mt.journal import start_token

        self.owner = self.owner._replace(child=child, child_start=start_token(child))
        for token in self.tokens:
            token.say(self.owner)

    def beat(self) -> list[int]:
        """Give a sign of life; gives the numbers of tokens that were lost meanwhile."""
        return [token.number for token in self.tokens if not token.beat()]

    def give(self) -> None:
        """Give all back; a second time is nothing."""
        held, self.tokens = self.tokens, []
        for token in reversed(held):
            token.give()
        if held:
            trace("lock", self.name, op="give", tokens=[token.number for token in held])

    def __enter__(self) -> Held:
        """Give them back at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.give()


class Semaphore:
    """The semaphore `name` with `size` tokens in `directory`.

    Holders need not agree on its size: each uses the tokens up to his own.
    `locking` False is for file systems of which it is known that their locks
    do not work; without it that is found out.  Raises UsageError for an empty
    name or no tokens, NotPermitted or StoreError where files cannot be made.
    """

    def __init__(
        self, directory: str, name: str, size: int, *, locking: bool = True, lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        if not name:
            raise UsageError("a semaphore needs a name")
        if size < 1:
            raise UsageError(f"semaphore '{name}': it needs at least one token, not {size}")
        self.name = name
        self.size = size
        self.locking = locking
        self.lease = lease
        self.clock = clock
        self.home = directory_of(os.path.abspath(directory), name)
        self.watch = tokens.Watch(clock)

    def take(self, count: int = 1, command: str = "") -> Held | None:
        """Take so many tokens now, or none."""
        if not 1 <= count <= self.size:
            raise UsageError(f"semaphore '{self.name}': it has {self.size} tokens, not {count}")
        try:
            make_directory(self.home)
            with self._gate():
                return self._take(count, myself(command, self.lease))
        except OSError as e:
            raise refusal(self.home, e) from e

    def _take(self, count: int, owner: Owner) -> Held | None:
        held = Held(self.name, owner, [])
        known = tokens.generations(self.home)
        try:
            for number in range(1, self.size + 1):
                each = known.get(number, [])
                token = tokens.take(self.home, number, each, owner, self.watch, locking=self.locking)
                if token is not None:
                    held.tokens.append(token)
                if len(held.tokens) == count:
                    trace("lock", self.name, op="take", tokens=held.numbers)
                    return held
        except BaseException:
            held.give()
            raise
        held.give()
        return None

    def wait(
        self, count: int = 1, patience: float | None = None, command: str = "",
        waits: Callable[[], None] = lambda: None,
    ) -> Held:  # fmt: skip
        """Take so many tokens, as soon as there are so many; `waits` is called once if that is not now.

        `patience` is in seconds, None for ever.  Raises BusyError with the names of holders.
        """
        begin, pause = self.clock(), _SHORTEST
        held = self.take(count, command)
        if held is not None:
            return held
        if patience == 0:
            raise self.busy()
        waits()
        with self._wanted():
            while held is None:
                left = None if patience is None else patience - (self.clock() - begin)
                if left is not None and left <= 0:
                    raise self.busy()
                nap = random.uniform(pause / 2, pause)  # noqa: S311 - only against crowds
                time.sleep(nap if left is None else min(nap, left))
                pause = min(pause * 1.5, _LONGEST)
                held = self.take(count, command)
        return held

    def busy(self) -> BusyError:
        """The error that says who has the tokens."""
        found = self.rows()
        names = ", ".join(dict.fromkeys(str(row.owner) for row in found[:3])) + (", ..." if len(found) > 3 else "")
        said = f"held by {names}" if found else "somebody else wants them too"
        return BusyError(f"no token of semaphore '{self.name}' is free: {said}", hint=f"mt sem '{self.name}' --list")

    @contextmanager
    def _wanted(self) -> Iterator[None]:
        try:
            fd = open_lock(os.path.join(self.home, "want"))
        except OSError as e:
            raise refusal(self.home, e) from e
        try:
            lock(fd, shared=True)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """One attempt at a time; without locks, or when its holder is stopped, we go on without it."""
        fd = open_lock(os.path.join(self.home, "gate")) if self.locking else -1
        try:
            until = self.clock() + _GATE
            while fd >= 0 and lock(fd) is False and self.clock() < until:
                time.sleep(random.uniform(0.0005, 0.004))  # noqa: S311 - only against crowds
            yield
            if fd >= 0:
                unlock(fd)
        finally:
            if fd >= 0:
                os.close(fd)

    def rows(self) -> list[Row]:
        """The tokens that somebody has now, ascending; works where nothing may be written."""
        return rows(self.home)


def rows(home: str) -> list[Row]:
    """The tokens of the semaphore in a directory that somebody has; none when there is no such semaphore.

    A holder's lock is looked for by taking it for an instant: an attempt that
    comes at this moment is made under the gate, and so are we if we may.
    """
    try:
        gate = _look_gate(home)
        try:
            known = tokens.generations(home)
            found = (_row(home, number, known.get(number, [])) for number in _numbers(home, known))
            return [row for row in found if row is not None]
        finally:
            if gate >= 0:
                os.close(gate)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise refusal(home, e) from e


def _look_gate(home: str) -> int:
    try:
        fd = os.open(os.path.join(home, "gate"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    until = time.monotonic() + _GATE
    while lock(fd, shared=True) is False and time.monotonic() < until:
        time.sleep(0.002)
    return fd


def _numbers(home: str, known: Iterable[int]) -> list[int]:
    found = set(known)
    found.update(int(n[:-5]) for n in os.listdir(home) if n.endswith(".lock") and n[:-5].isdecimal())
    return sorted(found)


def _row(home: str, number: int, known: list[int]) -> Row | None:
    """Who has a token: by its record; or its lock is held by one who writes none, but a word in the lock's own file."""
    seen = tokens.look(home, number, known)
    locked, said = _look_lock(os.path.join(home, f"{number}.lock"))
    if locked:
        return Row(name_of(home), number, (said or Owner()) if seen.free else seen.owner, True)
    alive = seen.owner.is_alive()
    if seen.free or alive is False:  # the next one who comes takes it
        return None
    return Row(name_of(home), number, seen.owner, alive is True)


def _look_lock(path: str) -> tuple[bool, Owner | None]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False, None
    try:
        return lock(fd, shared=True) is False, read_owner(os.read(fd, 65536))
    finally:
        os.close(fd)


def all_rows(directory: str) -> list[Row]:
    """The tokens of all semaphores in a directory that somebody has."""
    try:
        names = sorted(n for n in os.listdir(directory) if n.endswith(".sem"))
    except FileNotFoundError:
        return []
    return [row for name in names for row in rows(os.path.join(directory, name))]
