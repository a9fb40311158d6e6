"""What all runs of an area may do together at once: its jobs, and the cases of its job groups (spec/runs.md 4.4).

Each running case has a place among the jobs of the area and one in its group;
the worker that runs it may hold them too, so that they stay taken when the
controller dies first.  A run that finds no place waits for the others, and
they let it in: who has gone on for a while, and sees that somebody waits,
leaves the next place to him.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from mt.locks.places import Place, Places

#: seconds: how long a run goes on before it lets others have a place, and for how long it then takes none;
#: the loop of a run that waits looks twice a second
TURN, ASIDE = 5.0, 0.6


class Pool:
    """The places of one name, with one that was taken and waits to be used."""

    def __init__(self, places: Places, clock: Callable[[], float]) -> None:
        self.places = places
        self.clock = clock
        self.spare: Place | None = None
        self.turn = clock()
        self.aside = 0.0

    def room(self) -> bool:
        """Whether there is a place for one more case; it is ours from then on."""
        if self.spare is None:
            now = self.clock()
            if now < self.aside:
                return False
            self.spare = self.places.take()
            if self.spare is not None and self.places.wanting:
                self.turn = now
            self.places.want(self.spare is None)
        return self.spare is not None

    def use(self) -> Place | None:
        """Take the place for a case; None when the case goes on without one."""
        place, self.spare = self.spare, None
        return place

    def give(self, place: Place) -> None:
        """A case needs its place no more."""
        self.places.give(place)
        now = self.clock()
        if now - self.turn >= TURN and self.places.wanted():
            self.turn, self.aside = now, now + ASIDE

    def settle(self) -> None:
        """Give back what was taken and not used."""
        if self.spare is not None:
            self.places.give(self.spare)
            self.spare = None


class Use(NamedTuple):
    """A place that a case uses."""

    pool: Pool
    place: Place


class Shared:
    """The limits of an area (`jobs` None: as many as they like) as one of its runs sees them.

    `directory` is that of the area's locks: the places are the semaphores `jobs`
    and `group.NAME` in it, and `what` is said of us when somebody lists them.
    A run within a test of the same area (`nested`) may always run one case: the
    test that waits for it has a place already, and would wait for ever.
    """

    def __init__(
        self, directory: str, jobs: int | None = None, groups: Mapping[str, int] | None = None, *,
        nested: bool = False, what: str = "", clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        limited = jobs is not None and jobs > 0
        self.jobs = Pool(Places(directory, "jobs", jobs or 0, what), clock) if limited else None
        self.groups = {
            name: Pool(Places(directory, f"group.{name}", size, what), clock) for name, size in (groups or {}).items()
        }
        self.nested = nested
        self.used: dict[tuple[int | None, str], list[list[Use]]] = {}

    def room(self, running: int) -> bool:
        """Whether one more case may start."""
        return self.jobs is None or self.jobs.room() or (self.nested and not running)

    def room_in(self, group: str, running: int) -> bool:
        """Whether one more case of a group may start."""
        pool = self.groups.get(group)
        return pool is None or pool.room() or (self.nested and not running)

    def start(self, case: int | None, group: str, *, far: bool = False) -> list[int]:
        """A case starts; gives the descriptors that keep its places, for the worker that runs it.

        One that runs `far` from here has a place in its group only.
        """
        jobs = None if far else self.jobs
        pools = [pool for pool in (jobs, self.groups.get(group)) if pool is not None]
        uses = [Use(pool, place) for pool in pools if (place := pool.use()) is not None]
        self.used.setdefault((case, group), []).append(uses)
        return [use.place.fd for use in uses if use.place.fd >= 0]

    def end(self, case: int | None, group: str) -> None:
        """A case has ended."""
        for use in self._forget(case, group):
            use.pool.give(use.place)

    def _forget(self, case: int | None, group: str) -> list[Use]:
        found = self.used.get((case, group))
        uses = found.pop() if found else []
        if not found:
            self.used.pop((case, group), None)
        return uses

    def settle(self) -> None:
        """Give back what was taken for cases that did not start after all."""
        for pool in (self.jobs, *self.groups.values()):
            if pool is not None:
                pool.settle()

    def close(self) -> None:
        """Give all back, but for what others hold as well."""
        for pool in (self.jobs, *self.groups.values()):
            if pool is not None:
                pool.spare = None
                pool.places.close()
