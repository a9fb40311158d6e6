"""What is ready and has not started: in which order, and what holds it back.

A case waits for its turn; or for room in its job group (parked); or because it
is exclusive and another run has it (held); or for the pause before its next
attempt (later).  Cases that batch engines run wait in a lane of their own: they
need no slot of this host, so they never stand behind those that do.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable

from mt.model import CaseKey
from mt.pipeline.plan import Plan


class Lane:
    """Cases that are ready to start in one place, first things first."""

    def __init__(self) -> None:
        self.heap: list[tuple[object, int]] = []
        self.parked: dict[str, deque[int]] = {}  # by job group: ready, but the group is full

    def waits(self) -> bool:
        """Whether something is ready and waits only for room."""
        return bool(self.heap) or any(self.parked.values())


class Waitlist:
    """All cases that are ready to start.

    `full` tells whether a job group has no room, `claim` takes an exclusive
    case unless another run has it, `far` tells who goes to a batch engine.
    """

    def __init__(
        self, plan: Plan, full: Callable[[str], bool], claim: Callable[[CaseKey], bool], far: Callable[[CaseKey], bool]
    ) -> None:
        self.plan = plan
        self.full = full
        self.claim = claim
        self.is_far = far
        self.here = Lane()
        self.far = Lane()
        self.held: list[int] = []  # exclusive, and running in another run
        self.later: dict[int, float] = {}  # case -> when it is tried again: what the machine spoiled waits a little
        self.places: dict[CaseKey, int] = {}

    def startable(self) -> bool:
        """Whether something is ready and waits only for room."""
        return bool(self.held) or self.here.waits() or self.far.waits()

    def prefer(self, order: Iterable[CaseKey]) -> None:
        """Start ready cases in this order; those it does not name come last."""
        self.places = {key: n for n, key in enumerate(order)}

    def put(self, number: int) -> None:
        """A case is ready: an order asked for comes first, then the plan's."""
        key = self.plan.cases[number]
        place = self.places.get(key, len(self.places)) if self.places else 0
        lane = self.far if self.is_far(key) else self.here
        heapq.heappush(lane.heap, ((place, self.plan.rank(number)), number))

    def pick(self, lane: Lane) -> int | None:
        """The first ready case of a lane whose job group has room and that no other run holds."""
        while (number := self.first_with_room(lane)) is not None:
            if not self.is_exclusive(number) or self.claim(self.plan.cases[number]):
                return number
            self.held.append(number)
        return None

    def first_with_room(self, lane: Lane) -> int | None:
        """The first ready case of a lane whose job group has room; those that are passed over are parked."""
        for group, waiting in lane.parked.items():
            if waiting and not self.full(group):
                return waiting.popleft()
        while lane.heap:  # here all groups are full in which something is parked
            number = heapq.heappop(lane.heap)[1]
            group = self.plan.group(number)
            if not group or not (lane.parked.get(group) or self.full(group)):
                return number
            lane.parked.setdefault(group, deque()).append(number)
        return None

    def is_exclusive(self, number: int) -> bool:
        """Whether a case must not run in two runs at once."""
        return "exclusive" in self.plan.spec_of(number).modes

    def look_again(self) -> None:
        """What other runs held may be free now."""
        held, self.held = self.held, []
        for number in held:
            self.put(number)

    def put_later(self, number: int, pause: float) -> None:
        """A case is ready again in so many seconds."""
        self.later[number] = time.monotonic() + pause

    def hurry(self, numbers: Iterable[int]) -> None:
        """Those of these cases that pause need wait no longer."""
        self.later.update({n: 0.0 for n in numbers if n in self.later})

    def wake(self) -> None:
        """Queue the cases whose pause is over."""
        now = time.monotonic()
        for number in [n for n, due in self.later.items() if due <= now]:
            del self.later[number]
            self.put(number)

    def give_up_pausing(self) -> list[int]:
        """Nothing is tried again any more; gives what would have been."""
        given_up = list(self.later)
        self.later.clear()
        return given_up

    def next_due(self) -> float | None:
        """Seconds until a pause is over; None when nothing pauses."""
        return max(min(self.later.values()) - time.monotonic(), 0.0) if self.later else None
