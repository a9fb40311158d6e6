"""How much may run at once: slots, job groups, the machine's load, and make's job server.

With nothing running one case may always start, so the run always moves
(spec/style.md 1.3); only where the area itself says how much may run at once
in all its runs together does it wait for the others.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping

from mt.pipeline.sharing import Shared


class Limits:
    """Counts what runs; `room` says whether one more case may start, and what holds it back otherwise."""

    def __init__(
        self,
        slots: int,
        groups: Mapping[str, int] | None = None,
        max_load: float | None = None,
        tokens: JobServer | None = None,
        load: Callable[[], float] = lambda: os.getloadavg()[0],
        shared: Shared | None = None,
        spacing: float = 0.0,
    ) -> None:
        self.slots = max(slots, 1)
        self.groups = dict(groups or {})
        self.max_load = max_load
        self.tokens = tokens
        self.load = load
        self.shared = shared
        self.spacing = spacing
        self.last = 0.0
        self.running = 0
        self.in_group: dict[str, int] = {}

    def room(self) -> str:
        """Empty when one more case may start now, else what holds it back."""
        if self.running >= self.slots:
            return f"all {self.slots} slots are taken"
        if self.pause() > 0:
            return f"launch-delay is {self.spacing:g} s"
        if self.running and self.max_load is not None and self.load() > self.max_load:
            return f"the load of this machine is over {self.max_load:g}"
        if self.shared is not None and not self.shared.room(self.running):
            return "other runs of this area do all that may be done at once"
        if self.running and self.tokens is not None and not self.tokens.take():
            return "make's job server has no token"
        return ""

    def group_full(self, group: str) -> bool:
        """Whether a job group has as many running cases as it may have."""
        limit, running = self.groups.get(group), self.in_group.get(group, 0)
        if limit is None:
            return False
        return running >= limit or (self.shared is not None and not self.shared.room_in(group, running))

    def pause(self) -> float:
        """Seconds until one more may start, by the spacing of launches that the area asks for."""
        return max(self.last + self.spacing - time.monotonic(), 0.0) if self.spacing else 0.0

    def start(self, group: str, case: int | None = None, *, far: bool = False) -> list[int]:
        """One more runs; gives the descriptors that keep its places among all runs, for the worker that runs it.

        One that runs `far` from here, by a batch engine, takes its place in its group and nothing else: no slot of
        this host, and none of what the area's runs may do together, for how many jobs there are is the engine's to
        say (`Fleet.most`) and cases wait in the bags of few jobs.
        """
        if not far:
            self.running += 1
            self.last = time.monotonic()
        if group:
            self.in_group[group] = self.in_group.get(group, 0) + 1
        return self.shared.start(case, group, far=far) if self.shared is not None else []

    def take_up(self, group: str, case: int) -> bool:
        """A case runs far away since before our time; False when its place in its group is taken by another run.

        It counts in its group all the same, so that no new one joins it over the limit.
        """
        running = self.in_group.get(group, 0)
        placed = not group or self.shared is None or self.shared.room_in(group, running)
        self.start(group, case, far=True)
        return placed

    def settle(self) -> None:
        """Nothing more starts for now: give back what was taken for a case that did not start after all."""
        if self.shared is not None:
            self.shared.settle()

    def end(self, group: str, case: int | None = None, *, far: bool = False) -> None:
        """One has ended; its places are free, and its token goes back to make."""
        if not far:
            self.running -= 1
        if group:
            self.in_group[group] -= 1
        if self.shared is not None:
            self.shared.end(case, group)
            self.shared.settle()
        if self.tokens is not None:
            self.tokens.give(keep=max(self.running - 1, 0))

    def close(self) -> None:
        """Give everything back."""
        if self.tokens is not None:
            self.tokens.give(keep=0)
        if self.shared is not None:
            self.shared.close()


class JobServer:
    """make's job server: one token for each job beyond the first (GNU make manual, job slots).

    The pipe is opened anew, so that not waiting for a token changes nothing for
    make and its other children.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer
        self.held: list[bytes] = []

    def take(self) -> bool:
        """Take one token if there is one."""
        try:
            token = os.read(self.reader, 1)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return False
        if token:
            self.held.append(token)
        return bool(token)

    def give(self, keep: int) -> None:
        """Give back all tokens but `keep`."""
        while len(self.held) > keep:
            token = self.held.pop()
            try:
                os.write(self.writer, token)
            except OSError:
                return


def job_server(makeflags: str) -> JobServer | None:
    """The job server that MAKEFLAGS names, if it can be reached; None otherwise."""
    found = re.findall(r"--jobserver-(?:auth|fds)=(\S+)", makeflags)
    if not found:
        return None
    where = found[-1]
    try:
        if where.startswith("fifo:"):
            reader = os.open(where[5:], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            return JobServer(reader, os.open(where[5:], os.O_WRONLY | os.O_CLOEXEC))
        old_reader, old_writer = (int(n) for n in where.split(","))
        if old_reader < 0 or old_writer < 0:
            return None
        reader = os.open(f"/proc/self/fd/{old_reader}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return JobServer(reader, old_writer)
    except (OSError, ValueError):
        return None


def slots(asked: int | None, configured: str | None, *, served: bool) -> int:
    """How many cases at once: as asked, else as configured, else as many as this process has processors.

    Under a job server of make the tokens are the limit.  A configured value
    that is no number counts as not set (spec/config.md 2.3).
    """
    if asked:
        return asked
    try:
        number = int(float((configured or "").replace(" ", "")))
    except ValueError:
        number = 0
    if number > 0:
        return number
    return 4096 if served else len(os.sched_getaffinity(0))
