"""The job that `mt launcher try` starts: it tells where it runs and what it sees there, answers once, and leaves.

    python -m mt.pipeline.probing DIR NAME ENGINE SECONDS [hold]

It imports what a job of a run imports, so that what is missing on the host
shows here.  The files in DIR are used as those of a bag are: what it reads was
there before it was started and grows, what it writes appears whole.

    DIR/token       made before it was started; it gives the text back
    DIR/ask         empty at first; when a line appears it is answered
    DIR/NAME.T.hello, NAME.T.answer, NAME.T.end    what it tells, T its task
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import mt
from mt.launchers import ENGINES, engine
from mt.pipeline.pilot import job_of
from mt.replacing import replacing

#: seconds between two looks, at first and at most
_SOON, _LATE = 0.02, 0.5
#: variables in which engines tell a job what it has, with what one of their units is in bytes, cores or seconds
MEMORY = {"SLURM_MEM_PER_NODE": 1 << 20}
CORES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "LSB_DJOB_NUMPROC", "NSLOTS", "NCPUS", "PBS_NCPUS")
_CGROUPS = ("memory.max", "memory.limit_in_bytes")
_UNLIMITED = 1 << 60
#: signals that tell a job to end
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU}


def facts(name: str, env: Mapping[str, str]) -> dict[str, Any]:
    """What a job can tell of itself and its host; limits in bytes and cores, where there are any."""
    found: dict[str, Any] = {
        "host": socket.gethostname(), "pid": os.getpid(), "time": time.time(), "mt": mt.__version__,
        "python": sys.version.split()[0], "program": sys.executable, "where": os.path.dirname(mt.__file__),
        "cores": len(os.sched_getaffinity(0)),
    }  # fmt: skip
    found["job"], found["task"] = job_of(engine(name), env) if name in ENGINES else ("", 0)
    found["memory"] = {k: int(env[k]) * unit for k, unit in MEMORY.items() if env.get(k, "").isdigit()} | _limits()
    found["granted"] = {k: int(env[k]) for k in CORES if env.get(k, "").isdigit()}
    return found


def _limits() -> dict[str, int]:
    """What limits the memory of this process: its own limits, and those of its control groups."""
    found = {}
    for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_RSS"):
        soft = resource.getrlimit(getattr(resource, name))[0]
        if 0 <= soft < _UNLIMITED:
            found[name] = soft
    try:
        with open("/proc/self/cgroup", encoding="ascii") as f:
            paths = [line.rstrip("\n").split(":", 2) for line in f]
    except (OSError, ValueError):
        return found
    for _, kinds, path in paths:
        if kinds in ("", "memory"):
            found.update(_cgroup(os.path.join("/sys/fs/cgroup", kinds, path.lstrip("/"))))
    return found


def _cgroup(path: str) -> dict[str, int]:
    """The limit of the nearest group that has one."""
    while len(path) >= len("/sys/fs/cgroup"):
        for name in _CGROUPS:
            try:
                with open(os.path.join(path, name), encoding="ascii") as f:
                    text = f.read().strip()
            except OSError:
                continue
            if text.isdigit() and int(text) < _UNLIMITED:
                return {"cgroup": int(text)}
        path = os.path.dirname(path)
    return {}


def tell(path: str, said: Mapping[str, Any]) -> None:
    """Write a file that appears whole."""
    with replacing(path) as made, open(made, "w", encoding="utf-8") as f:
        json.dump(said, f)


def read(path: str) -> str:
    """The text of a file; empty when it is not there, or cannot be read now."""
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def main(directory: str, name: str, made: str, seconds: float, *, hold: bool) -> int:
    """Tell, answer, and leave; with `hold` stay until somebody says so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    said = facts(made, os.environ)
    said["token"] = read(os.path.join(directory, "token"))
    begin = os.path.join(directory, f"{name}.{said['task']}")
    tell(f"{begin}.hello", said)
    until, pause = time.monotonic() + seconds, _SOON
    answered = hold
    while time.monotonic() < until and os.path.isdir(directory):
        caught = signal.sigtimedwait(_ENDING, pause)
        if caught is not None:
            tell(f"{begin}.end", {"signal": signal.Signals(caught.si_signo).name})
            return 0
        pause = min(pause * 1.5, _LATE)
        asked = "" if answered else read(os.path.join(directory, "ask"))
        if asked.endswith("\n"):
            tell(f"{begin}.answer", {"text": asked})
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), hold=sys.argv[5:] == ["hold"]))
