"""Which disk a run directory goes to: the one with most space of those that can be used (spec/config.md 2.3).

The choice is pure; looking at a disk is the one effect, and comes in as a
function so that a test can invent disks.  Sizes are KiB, as areas write them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mt.clock import Clock, SystemClock
from mt.errors import ConfigError, why

MINSPACE = 10000.0

#: gives the free KiB of a directory; raises OSError or ValueError when it cannot say
Probe = Callable[[str], float]


class Disk(NamedTuple):
    """A disk as seen now: `free` in KiB, None when it cannot be used; `reason` says why not."""

    name: str
    path: str
    free: float | None
    reason: str = ""


def free_space(path: str) -> float:
    """The KiB that a user may still write, asked of the file system."""
    seen = os.statvfs(path)
    return seen.f_bavail * seen.f_frsize / 1024


def script_space(script: str, env: Mapping[str, str], cwd: str) -> Probe:
    """A probe that asks `[setup] free-space-script`: called with the path, prints a number of KiB."""

    def probe(path: str) -> float:
        import subprocess

        line = f'{script} "$1"'
        done = subprocess.run(
            ["/bin/sh", "-c", line, script, path],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(f"free-space-script '{script}' ended with status {done.returncode}")
        words = done.stdout.split()
        if not words:
            raise ValueError(f"free-space-script '{script}' printed no number")
        return float(words[0])

    return probe


def look(name: str, path: str, probe: Probe) -> Disk:
    """A disk as it is now; anything that makes it unusable becomes its reason, never an error."""
    path = path.strip()
    reason = _unusable(path)
    if reason:
        return Disk(name, path, None, reason)
    try:
        return Disk(name, path, probe(path))
    except OSError as e:
        return Disk(name, path, None, why(e))
    except ValueError as e:
        return Disk(name, path, None, str(e))


def _unusable(path: str) -> str:
    if not path.startswith("/"):
        return "not an absolute path"
    if not os.path.isdir(path):
        return "no such directory"
    return "" if os.access(path, os.W_OK | os.X_OK) else "not writable"


def choose(disks: Iterable[Disk], minspace: float = MINSPACE) -> Disk:
    """The disk with strictly most space, the first of equals; it must have more than `minspace`.

    Raises ConfigError, which names what was wrong with each disk.
    """
    seen = list(disks)
    usable = [(d.free, -place, d) for place, d in enumerate(seen) if d.free is not None]
    best = max(usable, default=None)
    if best is not None and best[0] > minspace:
        return best[2]
    said = "; ".join(f"{d.name} '{d.path}': {d.reason or f'{d.free:.0f} KiB free'}" for d in seen)
    raise ConfigError(
        f"no valid disks found: {said or 'the section [disks] is empty'}",
        hint=f"name a directory with more than {minspace:.0f} KiB free in [disks], or lower [setup] minspace",
    )


class Chooser:
    """Chooses again and again, looking at each disk at most once in `keep` seconds.

    A run of thousands of cases asks for each; a script that walks a quota
    server must not be started for each.
    """

    def __init__(
        self, minspace: float = MINSPACE, probe: Probe = free_space, *, clock: Clock | None = None, keep: float = 5.0
    ) -> None:
        self._minspace = minspace
        self._probe = probe
        self._clock = clock or SystemClock()
        self._keep = keep
        self._seen: dict[tuple[str, str], tuple[float, Disk]] = {}

    def look(self, disks: Iterable[tuple[str, str]]) -> list[Disk]:
        """Each named disk as it was at most `keep` seconds ago."""
        now = self._clock.mono()
        found = []
        for name, path in disks:
            old = self._seen.get((name, path))
            if old is None or now - old[0] > self._keep:
                old = self._seen[name, path] = (now, look(name, path, self._probe))
            found.append(old[1])
        return found

    def choose(self, disks: Iterable[tuple[str, str]]) -> Disk:
        """The best of the named disks; raises ConfigError when none will do."""
        return choose(self.look(disks), self._minspace)
