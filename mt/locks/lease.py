"""Leases: exclusion for file systems without locks, by files that one process alone can make (O_EXCL).

`NAME.lease` is a directory of numbered claims; the greatest number counts.  Its
holder touches it now and then; who gives it back makes `N.free` beside it.  To
take a lease is to make the claim with the next number, which one process can.
A claim is never taken away from the directory while it counts, so nobody can
remove a newer claim than the one that he judged.

What it survives: death of the holder on this host is proved (pid, start token,
boot, pid namespace) and the lease taken at once; a holder elsewhere that was
not seen to touch its claim for the lease time, on the *contender's* monotonic
clock, is taken to be gone: no clocks of two machines are compared.  What it does
not do: a paused holder that resumes still believes that it holds; it looks with
`lost` before what it does shows, and what it guards must bear two at once.

The package filelock has a lease too, but it takes an expired one over only
where two names can be exchanged, which network file systems refuse.
"""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mt.errors import NotPermitted, StoreError, why
from mt.journal import boot_id, start_token
from mt.locks.alive import Watched
from mt.locks.filelock import Held, Holder, busy_with, me, short
from mt.trace import trace

#: seconds without a sign after which a holder is taken to be gone: attributes are up to a minute old on a client
#: that caches them.  The AREA of a store may say another time; each claim carries its own
LEASE = 90.0
#: claims that were given back and are kept, for contenders who see an old list of the directory
_KEPT = 16
_FREE = ".free"


class Claim(NamedTuple):
    """The claim that counts: its number (0 when there was none yet) and whether it was given back."""

    number: int
    free: bool


def lease_time(path: str) -> float:
    """The lease time of a store's leases: what its AREA says, else LEASE."""
    try:
        with open(os.path.join(os.path.dirname(path), "..", "AREA"), encoding="utf-8") as f:
            return max(float(json.load(f)["lease"]), 0.1)
    except (OSError, ValueError, KeyError, TypeError):
        return LEASE


@contextmanager
def leased(path: str, *, wait: float | bool = True, what: str = "") -> Iterator[Lease]:
    """Hold the lease for the block; `mt.locks.filelock.held` calls this and says what is raised."""
    seconds = lease_time(path)
    number = _acquire(path, wait, what, seconds)
    trace("lock", path, op="acquire", claim=number)
    lease = Lease(path, number, seconds)
    try:
        yield lease
    finally:
        trace("lock", path, op="release", claim=number)
        lease.release()


class Lease(Held):
    """A lease that we hold; a thread touches its claim until it is given back or lost."""

    def __init__(self, path: str, number: int, seconds: float) -> None:
        self.path = path
        self.number = number
        self._pid = os.getpid()
        self._stop = threading.Event()
        beat = min(seconds / 4, 10.0)
        self._thread = threading.Thread(target=self._beats, args=(beat,), name="mt-lease", daemon=True)
        self._thread.start()

    def lost(self) -> bool:
        """Whether somebody has taken it meanwhile, because we gave no sign for too long; asks the disk."""
        try:
            now = current(self.path)
            return now.number > self.number or (now.number == self.number and now.free)
        except OSError:
            return True

    def _beats(self, beat: float) -> None:
        mine = os.path.join(self.path, str(self.number))
        while not self._stop.wait(beat):
            try:
                os.utime(mine)
            except FileNotFoundError:
                return  # somebody has taken it and has swept up
            except OSError:
                continue  # a disk that is away for a moment

    def release(self) -> None:
        """Give it back; only in the process that took it."""
        if self._pid != os.getpid():
            return
        self._stop.set()
        try:
            _make(os.path.join(self.path, f"{self.number}{_FREE}"), b"")
        except OSError:
            pass  # it expires
        self._thread.join()


def current(path: str) -> Claim:
    """The claim that counts now.

    A client may show a list of the directory that is old, 20 s on sshfs; what is
    not in it is asked for by name, which makes most of them ask the server.
    """
    try:
        names = set(os.listdir(path))
    except FileNotFoundError:
        return Claim(0, True)
    number = max((int(n) for n in names if n.isdigit()), default=0)
    while _is_there(path, number + 1):
        number += 1
    return Claim(number, not number or f"{number}{_FREE}" in names or _is_there(path, f"{number}{_FREE}"))


def _is_there(path: str, name: int | str) -> bool:
    try:
        os.close(os.open(os.path.join(path, str(name)), os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _acquire(path: str, wait: float | bool, what: str, seconds: float) -> int:
    """Take the lease; gives the number of our claim."""
    end = None if wait is True else time.monotonic() + float(wait)
    watch = LeaseWatch(path)
    pause = 5.0
    try:
        os.makedirs(path, exist_ok=True)
        while True:
            claim = watch.look()
            if not watch.held and _claim(path, claim.number + 1, what, seconds):
                return claim.number + 1
            if end is not None and time.monotonic() >= end:
                raise busy_with(path, _said(path, claim.number))
            select.poll().poll(pause)
            pause = min(pause * 1.5, 250.0)
    except PermissionError as e:
        raise NotPermitted(f"cannot lock '{short(path)}': {why(e)}") from e
    except OSError as e:
        kind = NotPermitted if e.errno == 30 else StoreError
        raise kind(f"cannot lock '{short(path)}': {why(e)}") from e


def _claim(path: str, number: int, what: str, seconds: float) -> bool:
    """Make a claim, if nobody was faster, and sweep up behind it."""
    mine = os.path.join(path, str(number))
    try:
        body = me(what)._asdict() | {"ns": pid_namespace(), "lease": seconds}
        if not _make(mine, json.dumps(body).encode()):
            return False
    except PermissionError:
        if os.path.lexists(mine):
            return False  # how some file systems call a file that is there
        raise
    if current(path).number > number:
        return False  # an old list of the directory had shown us a number that was used up
    for name in os.listdir(path):
        digits = name.removesuffix(_FREE)
        if digits.isdigit() and int(digits) <= number - _KEPT:
            _forget(os.path.join(path, name))
    return True


def _make(path: str, body: bytes) -> bool:
    """Make a file, as the only one; False when it is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(fd, body)
    finally:
        os.close(fd)
    return True


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def pid_namespace() -> int:
    """The number of our pid namespace; pids can only be compared within one.  0 where it cannot be told."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


class LeaseWatch:
    """Looks at a lease again and again; `held` is what the last look says.

    Only who watches can see that a holder elsewhere gives no sign any more: the
    first looks believe it.  How long is long enough the claim says itself.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.held = False
        self._number = -1
        self._sign: Watched | None = None

    def look(self) -> Claim:
        """Look; gives the claim that counts."""
        claim = current(self.path)
        if claim.number != self._number:
            self._number = claim.number
            self._sign = Watched(os.path.join(self.path, str(claim.number)))
        self.held = not claim.free and not is_dead(self.path, claim.number) and self._gives_signs()
        return claim

    def is_held(self) -> bool:
        """Look; gives whether it is held."""
        self.look()
        return self.held

    def _gives_signs(self) -> bool:
        said = _facts(self.path, self._number).get("lease")
        patience = said if isinstance(said, int | float) else LEASE
        return self._sign is None or self._sign.alive(patience)


def is_dead(path: str, number: int) -> bool:
    """Whether the holder of a claim was a process of this host that is surely gone."""
    said = _facts(path, number)
    boot, space = boot_id(), pid_namespace()
    if not said or not boot or not space or said.get("boot") != boot or said.get("ns") != space:
        return False
    pid = said.get("pid")
    return isinstance(pid, int) and start_token(pid) != said.get("start")


def _facts(path: str, number: int) -> dict[str, object]:
    try:
        with open(os.path.join(path, str(number)), encoding="utf-8") as f:
            said = json.load(f)
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _said(path: str, number: int) -> Holder:
    try:
        return Holder.of(_facts(path, number))
    except (TypeError, ValueError):
        return Holder()


def is_leased(path: str) -> bool:
    """Whether the lease is held, as far as one look tells: by a process that is not provably dead."""
    claim = current(path)
    return not claim.free and not is_dead(path, claim.number)


def lease_holder(path: str) -> Holder | None:
    """Who holds the lease, as far as one look tells; None when nobody does."""
    claim = current(path)
    return _said(path, claim.number) if not claim.free and not is_dead(path, claim.number) else None
