"""Break a lock whose holder is gone although the file system still says that it is held.

A flock dies with its holder, so on a local disk there is never anything to
break.  A file server may keep a lock of a host that is no more.  Then the lock
file is put away: who comes next makes a new one, and a holder that lives after
all keeps a lock that nobody asks for.  That is why what is held through this
very kernel is never broken.  A lease of a dead process of this host is free
anyway, and one of a dead host after its time: to break it is to give it back in
its holder's name, who finds that out when he looks whether he has it still.
"""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import quote

from mt.errors import BusyError, NotPermitted, StoreError, why
from mt.journal import boot_id, host_name, start_token
from mt.locks.filelock import Holder, holder, is_held, is_lease, read_holder, short
from mt.trace import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Judged(NamedTuple):
    """What is known of a lock: whether it is held, by whom (as he said), by which processes here, and if he is gone."""

    held: bool
    said: Holder
    here: tuple[int, ...]
    gone: bool


def lock_name(text: str) -> str:
    """The name of a lock, for `Store.lock_path`: any text is one, and `run.3.lock` is the same as `run.3`."""
    return quote(text.removesuffix(".lock").removesuffix(".lease"), safe=" ")


def descriptors(path: str) -> list[int]:
    """The open files of this process at a path: a child that inherits them keeps the lock on them; of a lease none."""
    found: list[int] = []
    if is_lease(path):
        return found
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.path.samestat(os.fstat(int(name)), os.stat(path)):
                found.append(int(name))
        except OSError:
            continue
    return found


def judge(path: str) -> Judged:
    """Look at a lock; a holder is gone when its process, or its boot of this host, is over."""
    said = holder(path) or read_holder(path) or Holder()
    if not is_held(path):
        return Judged(False, said, (), True)
    here: tuple[int, ...] = (said.pid,) if alive(said) else ()
    if not is_lease(path):
        here = tuple(sorted(set(_holders(path))))
    return Judged(True, said, here, not here and alive(said) is False)


def alive(said: Holder) -> bool | None:
    """Whether the process that a holder named lives; None when that cannot be known here."""
    if not said.pid or not said.boot or said.host != host_name():
        return None
    return said.boot == boot_id() and start_token(said.pid) == said.start != ""


def _holders(path: str) -> Iterator[int]:
    """The processes through which this kernel holds a lock on a file: those that have it open, those that took it."""
    target = os.stat(path)
    yield from _takers(target)
    me = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != me and _has_open(name, target):
            yield int(name)


def _has_open(pid: str, target: os.stat_result) -> bool:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for name in names:
        try:
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), target) and _is_locked(pid, name):
                return True
        except OSError:
            continue
    return False


def _is_locked(pid: str, fd: str) -> bool:
    """Whether an open file of a process has a lock on it, rather than being one who waits or looks."""
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii", errors="replace") as f:
        return any(line.startswith("lock:") for line in f)


def _takers(target: os.stat_result) -> Iterator[int]:
    """Who took the locks on a file, as the kernel lists them; a taker may be dead and its child have the lock now."""
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as f:
            lines = [line.split() for line in f if "->" not in line]
    except OSError:
        return
    device = f"{os.major(target.st_dev):02x}:{os.minor(target.st_dev):02x}:{target.st_ino}"
    for words in lines:
        if len(words) > 5 and words[5] == device:
            yield int(words[4])


def break_lock(path: str, *, force: bool = False) -> Judged:
    """Put a lock away; gives what was known of it before.

    Raises BusyError when a living process of this host holds it, or, without
    `force`, when nothing proves that its holder is gone.
    """
    found = judge(path)
    if found.here:
        pids = ", ".join(map(str, found.here))
        raise BusyError(f"cannot break '{short(path)}': held on this host by pid {pids}", hint=f"kill {found.here[0]}")
    if not found.gone and not force:
        raise BusyError(
            f"cannot break '{short(path)}': nothing proves that {found.said} is gone",
            hint="--force breaks it; if its holder lives, two then do at once what only one may",
        )
    try:
        if found.held:
            _put_away(path)
        if os.path.lexists(f"{path}.holder"):
            os.unlink(f"{path}.holder")
    except OSError as e:
        kind = NotPermitted if isinstance(e, PermissionError) or e.errno == 30 else StoreError
        raise kind(f"cannot break '{short(path)}': {why(e)}") from e
    trace("lock", path, op="break")
    return found


def _put_away(path: str) -> None:
    if not is_lease(path):
        os.unlink(path)
        return
    from mt.locks.lease import current

    os.close(os.open(os.path.join(path, f"{current(path).number}.free"), os.O_WRONLY | os.O_CREAT, 0o666))
