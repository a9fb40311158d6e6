"""What of the machine kept a step from being judged: seen by mt itself, no rule needed (spec/features.md B7).

Three things are certainly not the test's: a command that could not be started
for want of memory, processes or files (`proc.spawn` tells); a SIGKILL that we
did not send, while the kernel counted a kill for want of memory; and a full disk
under the run directory.  Nothing here is looked at unless a step failed, but for
one counter, which costs a microsecond a step where the kernel keeps one for our
group of processes, and is read only for steps that last where it does not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from mt.infra import SHELL_SIGNAL

#: bytes below which the disk of a run directory counts as full
LEAST = 1 << 20
#: bytes of the end of a log in which rules search
TAIL = 1 << 20
_KILLED = (-signal.SIGKILL, SHELL_SIGNAL + signal.SIGKILL)
_MACHINE = "/proc/vmstat"
_GROUPS = "/sys/fs/cgroup"


class Kills:
    """Counts what the kernel ended for want of memory: in our group of processes, else on the whole machine.

    Made before the workers are forked; each opens the counter itself at its
    first step, because the place of a process in the groups is its own.
    """

    def __init__(self, paths: Callable[[], Iterable[str]] | None = None) -> None:
        self._paths = paths or counters
        self._fd = -2  # not looked for yet; -1: there is none

    def at_once(self) -> int | None:
        """The count where that is cheap, else None: then `count` tells it."""
        if self._fd == -2:
            self._fd = self._open()
        return self._read(self._fd) if self._fd >= 0 else None

    def count(self) -> int | None:
        """The count, whatever it costs; None where the kernel does not tell."""
        found = self.at_once()
        if found is not None:
            return found
        try:
            fd = os.open(_MACHINE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return self._read(fd)
        finally:
            os.close(fd)

    def _open(self) -> int:
        for path in self._paths():
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            if self._read(fd) is not None:
                return fd
            os.close(fd)
        return -1

    @staticmethod
    def _read(fd: int) -> int | None:
        try:
            words = os.pread(fd, 1 << 16, 0).split()
            return int(words[words.index(b"oom_kill") + 1])
        except (OSError, ValueError, IndexError):
            return None


def counters() -> list[str]:
    """Files in which the kernel may count for our group: where /proc/self/cgroup says, or as a container sees it."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as f:
            lines = [line.rstrip("\n").split(":", 2) for line in f]
    except OSError:
        return []
    found: list[str] = []
    for _, controllers, group in (line for line in lines if len(line) == 3):
        if "memory" in controllers.split(","):
            found += [f"{_GROUPS}/memory{group}/memory.oom_control", f"{_GROUPS}/memory/memory.oom_control"]
        elif not controllers:
            found += [f"{_GROUPS}{group}/memory.events", f"{_GROUPS}/memory.events"]
    return found


def ended_by_kernel(exits: Iterable[int], before: int | None, kills: Kills) -> str:
    """Whether one of these stages was ended for want of memory, in words; `before` is the count when it began."""
    if before is None or not any(code in _KILLED for code in exits):
        return ""
    now = kills.count()
    return "the kernel ended it for want of memory" if now is not None and now > before else ""


def full(directory: str) -> str:
    """Whether the disk under a directory is full, in words."""
    try:
        seen = os.statvfs(directory)
    except OSError:
        return ""
    free = (seen.f_bavail if os.geteuid() else seen.f_bfree) * seen.f_frsize
    if free < LEAST:
        return f"the disk of the run directory is full: {free // 1024} KiB left"
    if seen.f_files and not seen.f_ffree:
        return "the disk of the run directory takes no more files"
    return ""


def tail(path: str, start: int = 0) -> str:
    """The end of a log, of what stands after `start`; empty when it cannot be read."""
    try:
        with open(path, "rb") as f:
            f.seek(max(os.fstat(f.fileno()).st_size - TAIL, start))
            return f.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
