"""Who holds something that several hosts share: a process, its boot, its pid namespace, and the command it runs."""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple

from mt.journal import boot_id, host_name, start_token
from mt.team import user_name

#: seconds without a sign of life after which a holder on another host counts as gone, and between two signs:
#: times of files are up to a minute old on a client that caches them
LEASE, BEAT = 90.0, 10.0


class Owner(NamedTuple):
    """Who holds a token, as it said itself; `child` is the command that runs under it, pid 0 when it did not say."""

    pid: int = 0
    start: str = ""
    boot: str = ""
    space: str = ""
    host: str = ""
    user: str = ""
    command: str = ""
    since: float = 0.0
    lease: float = LEASE
    child: int = 0
    child_start: str = ""

    def __str__(self) -> str:
        """`ann, pid 4711 on n12`."""
        return f"{self.user}, pid {self.pid} on {self.host}" if self.pid else "another process"

    def is_alive(self) -> bool | None:
        """Whether it or its command lives; None when this process cannot know: another host, another pid namespace."""
        if not self.pid or not self.boot or self.boot != boot_id() or self.space != pid_space():
            return None
        pairs = ((self.pid, self.start), (self.child, self.child_start))
        return any(start != "" and start_token(pid) == start and not is_zombie(pid) for pid, start in pairs if pid)


def myself(command: str, lease: float = LEASE) -> Owner:
    """This process as the owner of a token."""
    user = user_name(os.getuid())
    now = round(time.time(), 3)
    return Owner(os.getpid(), start_token(), boot_id(), pid_space(), host_name(), user, command[:200], now, lease)


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has asked how: its files are closed, though its pid is still there."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            stat = f.read()
    except OSError:
        return False
    return stat[stat.rfind(b")") + 1 :].split()[:1] in ([b"Z"], [b"X"])


def pid_space() -> str:
    """The pid namespace of this process; empty where it cannot be told."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def write_owner(fd: int, owner: Owner) -> None:
    """Say in an open file who we are; a disk that takes no more must not stop the work."""
    body = json.dumps(owner._asdict()).encode() + b"\n"
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, body, 0)
    except OSError:
        return


def read_owner(body: bytes) -> Owner | None:
    """What a holder said; None when it was nothing that can be read."""
    try:
        said = json.loads(body)
        return Owner(**{n: type(d)(said[n]) for n, d in Owner._field_defaults.items() if n in said})
    except (ValueError, TypeError, AttributeError):
        return None
