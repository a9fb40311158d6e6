"""MT_TRACE=FILE: one JSON object per event that matters (spec/architecture.md 1).

Kinds: call, lock, spawn, fs, sync, fold.  With MT_TRACE unset a call costs one
look at a module constant; tests read the file in place of strace.  A process
is named by host, pid and start: the same pid exists on several hosts.
"""

from __future__ import annotations

import os

PATH = os.environ.get("MT_TRACE", "")


def trace(ev: str, what: str, **more: object) -> None:
    """Append one event; a trace that cannot be written never disturbs the work."""
    if not PATH:
        return
    import json
    import time

    row = {"t": round(time.time(), 6), "ev": ev, "what": what, "pid": os.getpid(), "host": os.uname().nodename}
    row |= {"start": _start(), **more}
    try:
        fd = os.open(PATH, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            os.write(fd, (json.dumps(row, default=str) + "\n").encode())
        finally:
            os.close(fd)
    except OSError:
        pass


def _start() -> int:
    """When this process began, in kernel ticks since the boot; 0 where there is no /proc."""
    try:
        with open("/proc/self/stat", "rb") as f:
            stat = f.read()
        return int(stat[stat.rindex(b")") :].split()[20])
    except (OSError, ValueError, IndexError):
        return 0
