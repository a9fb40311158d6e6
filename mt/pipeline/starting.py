"""Start what may start, as much as there is room for: here, by a launcher of the area, or by a batch engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mt.model import CaseKey
from mt.pipeline.case import Order
from mt.pipeline.contract import Desk
from mt.pipeline.course import Course
from mt.pipeline.crew import Crew
from mt.pipeline.limits import Limits


class Starting:
    """Moves cases from waiting to running, and frees their room when they have ended.

    `enrol` is told the descriptor of each new worker; `clean`: a new attempt
    begins in an empty directory.
    """

    def __init__(
        self, course: Course, crew: Crew, limits: Limits, desk: Desk, enrol: Callable[[int], None], *, clean: bool
    ) -> None:
        self.course = course
        self.waits = course.waits
        self.plan = course.plan
        self.crew = crew
        self.limits = limits
        self.desk = desk
        self.enrol = enrol
        self.clean = clean

    def start(self) -> None:
        """Start as much as there is room for."""
        waits, here, far = self.waits, self.waits.here, self.waits.far
        if waits.later:
            self.course.try_later()
        while (here.heap or here.parked) and not self.course.draining and not self.limits.room():
            number = waits.pick(here)
            if number is None:
                break
            if not self.skipped(number):
                self.launch(number, self.plan.cases[number])
        if far.heap or far.parked:
            self.start_far()
        self.limits.settle()

    def start_far(self) -> None:
        """Give batch engines all that they may have: how much of it runs at once is theirs to say."""
        room = self.desk.elsewhere.far_room()
        while room > 0 and not self.course.draining:
            number = self.waits.pick(self.waits.far)
            if number is None:
                break
            if not self.skipped(number):
                self.launch(number, self.plan.cases[number], far=True)
                room -= 1
        self.desk.elsewhere.hand_over()

    def skipped(self, number: int) -> bool:
        """Whether a case that was picked need not run; then it holds up nobody else's."""
        skipped = self.course.skipped(number)
        if skipped and "exclusive" in self.plan.spec_of(number).modes:
            self.desk.release(self.plan.cases[number])
        return skipped

    def launch(self, number: int, key: CaseKey, *, far: bool = False) -> None:
        """Give one case to a worker, to its launcher or, `far` from here, to a batch engine."""
        course, elsewhere = self.course, self.desk.elsewhere
        row = course.next_row(number)
        group = self.plan.group(number)
        record, before = self.desk.about(key, number)
        order = Order(
            number, key.test, key.item, self.plan.item_of(number), row.attempt, row.gen, self.clean, record, before
        )
        places = self.limits.start(group, number, far=far)
        if far:
            elsewhere.hand(order)
            course.adopting[key] = number
            course.faraway.add(number)
        elif elsewhere.send(order):
            course.adopting[key] = number
        elif not self.crew.order(order, self.enrol, places):
            self.limits.end(group, number)
            self.wait_for_room(number, key)
            return
        course.running[number] = group
        course.recorded[key] = row._replace(state="RUNNING")

    def wait_for_room(self, number: int, key: CaseKey) -> None:
        """This host has no room for one more worker: be content with as many as there are."""
        if self.waits.is_exclusive(number):
            self.desk.release(key)
        self.waits.put(number)
        self.limits.slots = len(self.course.running)
        self.course.said = f"no room for more than {self.limits.slots} workers (ulimit): going on with these"

    def take_up(self, key: CaseKey, number: int) -> Iterator[str]:
        """An adopted case has again what it had from who started it; gives what another run has taken meanwhile.

        A worker that lives holds its places itself.  Those of a case that a batch
        engine runs, and the claim of an exclusive one, are held by its controller.
        """
        if self.course.recorded[key].token:
            group = self.plan.group(number)
            if not self.limits.take_up(group, number):
                yield f"its place in job group '{group}'"
            self.course.running[number] = group
            self.course.faraway.add(number)
        if self.waits.is_exclusive(number) and not self.desk.claim(key):
            yield "its claim to be the only one"

    def freed(self, number: int) -> None:
        """A case has ended: what it took up is free again."""
        if number in self.course.running:  # but for the workers of an earlier controller
            self.limits.end(self.course.running.pop(number), number, far=number in self.course.faraway)
            self.course.faraway.discard(number)
        if self.waits.is_exclusive(number):
            self.desk.release(self.plan.cases[number])
