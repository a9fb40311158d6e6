"""Who could not be reached a while ago, and is left alone until then: engines, hosts of one, kinds of jobs.  Pure.

An engine with a queue is one place; an engine with hosts is as many places as it
has hosts, because one that is down says nothing of the others.  The pause until
the next attempt doubles.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

#: seconds: the first pause, and the longest
FIRST, LONGEST = 1.0, 30.0


class Place(NamedTuple):
    """An engine, or a host of it."""

    engine: str
    host: str = ""

    def __str__(self) -> str:
        """As people know it."""
        return f"{self.engine} on {self.host}" if self.host else self.engine


class Absences:
    """What is known of places; one of which nothing is known is there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._until: dict[Hashable, float] = {}
        self._pause: dict[Hashable, float] = {}

    def missed(self, place: Hashable) -> None:
        """It could not be reached."""
        pause = self._pause.get(place, FIRST)
        self._until[place] = self.clock() + pause
        self._pause[place] = min(pause * 2, LONGEST)

    def found(self, place: Hashable) -> None:
        """It is there."""
        self._until.pop(place, None)
        self._pause.pop(place, None)

    def away(self, place: Hashable) -> bool:
        """Whether it should be left alone now."""
        return self.clock() < self._until.get(place, -math.inf)


def places(engine: str, hosts: Iterable[tuple[str, int]]) -> list[Place]:
    """Where jobs of an engine can go."""
    return [Place(engine, host) for host, _ in hosts] or [Place(engine)]
