"""How busy hosts are, for `#MTLOWESTLOAD` (spec/config.md 2.1): load per processor, asked by ssh.

All hosts that must be asked are asked at once, within one time limit; one that
does not answer is out until it is asked again.  An answer counts for some
seconds, and each choice makes its host a bit busier at once, so that many cases
started in one breath spread over the hosts.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

#: seconds for which an answer counts
KEEP = 10.0
#: seconds for all hosts together to answer
LIMIT = 5.0
#: what a host is asked: its load, then how many processors it has
QUESTION = "uptime; getconf _NPROCESSORS_ONLN"

_AVERAGE = re.compile(r"load averages?:\s*([0-9]+(?:[.,][0-9]+)?)")


class Load(NamedTuple):
    """The load of the last minute, and the processors to share it."""

    average: float
    processors: int

    @property
    def each(self) -> float:
        """Load per processor."""
        return self.average / self.processors


Ask = Callable[[Sequence[str]], Mapping[str, Load]]


def read_load(text: str) -> Load | None:
    """What a host said to `QUESTION`; None when there is no load in it, one processor when that is not told."""
    found = _AVERAGE.search(text)
    if found is None:
        return None
    last = text.split()[-1]
    return Load(float(found[1].replace(",", ".")), max(int(last), 1) if last.isdigit() else 1)


def is_here(host: str) -> bool:
    """Whether a name means this very machine."""
    mine = os.uname().nodename
    return host in ("localhost", mine, mine.partition(".")[0])


def own_load() -> Load:
    """The load of this machine."""
    return Load(os.getloadavg()[0], os.cpu_count() or 1)


def ask(hosts: Sequence[str]) -> dict[str, Load]:
    """The loads of those hosts that answer in time."""
    away = [host for host in hosts if not is_here(host) and not host.startswith("-")]
    found = {host: own_load() for host in hosts if is_here(host)}
    if away:
        answers = ((host, read_load(text)) for host, text in _answers(away).items())
        found.update((host, load) for host, load in answers if load)
    return found


def _answers(hosts: Sequence[str]) -> dict[str, str]:
    """What each host printed; no terminal, so nobody is asked for a password."""
    import subprocess

    asked = {
        host: subprocess.Popen(
            ["ssh", host, QUESTION],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        for host in hosts
    }
    deadline = time.monotonic() + LIMIT
    said = {}
    for host, process in asked.items():
        try:
            said[host], _ = process.communicate(timeout=max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            _end(process.pid)
            process.communicate()
    return said


def _end(group: int) -> None:
    import signal

    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Loads:
    """The loads of hosts, remembered for a while."""

    def __init__(self, asking: Ask = ask, clock: Callable[[], float] = time.monotonic, keep: float = KEEP) -> None:
        self._ask = asking
        self._clock = clock
        self._keep = keep
        self._known: dict[str, tuple[float, Load | None]] = {}

    def lowest(self, hosts: Sequence[str]) -> str | None:
        """The least busy of the hosts that answer, the first named of equals; None when none does."""
        now = self._clock()
        old = [host for host in hosts if host not in self._known or now - self._known[host][0] >= self._keep]
        if old:
            fresh = self._ask(old)
            self._known.update((host, (self._clock(), fresh.get(host))) for host in old)
        loads = {host: load for host in hosts if (load := self._known[host][1])}
        if not loads:
            return None
        best = min(loads, key=lambda host: loads[host].each)
        self._known[best] = (self._known[best][0], loads[best]._replace(average=loads[best].average + 1))
        return best
