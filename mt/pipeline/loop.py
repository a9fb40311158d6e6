"""The run loop: start what may start, wait for what happens, and say what ended.

It knows neither tests nor files: the plan says what may start, the crew runs
it, the limits say how much at once.  It yields a `Beat` at least twice a
second, with the cases that ended since the last one, so that later stages can
store and show them.

    waitlist   what is ready, and what holds it back
    starting   moves it from there to workers, launchers and batch engines
    course     what became of each case, what follows, what is tried again (`retrying`)
    contract   what the loop takes, gives and asks
"""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Iterable, Iterator, Mapping

from mt.errors import StoreError
from mt.model import CaseKey, CaseRow
from mt.pipeline.contract import Beat, Desk, Policy
from mt.pipeline.course import Course
from mt.pipeline.crew import Answer, Crew, Died
from mt.pipeline.interrupts import Interrupts
from mt.pipeline.limits import Limits
from mt.pipeline.plan import Plan
from mt.pipeline.starting import Starting
from mt.pipeline.waitlist import Waitlist
from mt.states import LIVE

_BEAT = 0.5
_QUICK_BEAT = 0.1


class Loop:
    """One run being driven; `beats()` is the whole of it."""

    def __init__(
        self, plan: Plan, crew: Crew, limits: Limits, interrupts: Interrupts, desk: Desk, policy: Policy,
        recorded: Mapping[CaseKey, CaseRow],
    ) -> None:  # fmt: skip
        self.plan = plan
        self.crew = crew
        self.limits = limits
        self.interrupts = interrupts
        self.desk = desk
        self.policy = policy
        self.poll = select.poll()
        self.waits = Waitlist(plan, limits.group_full, desk.claim, desk.elsewhere.far)
        self.course = Course(plan, desk, policy, recorded, self.waits)
        self.starting = Starting(self.course, crew, limits, desk, self.listen, clean=policy.clean)
        self.drained = False
        self.calm = 0  # looks since an adopted case has ended
        self.left: list[int] = []
        self.level = 0
        self.looked = time.monotonic()

    # -- the loop -------------------------------------------------------------------------------

    def beats(self, kept: Mapping[CaseKey, tuple[str, str]], adopt: Iterable[CaseKey]) -> Iterator[Beat]:
        """Drive the plan to its end: `kept` cases count as ended, `adopt`ed ones run already."""
        self.poll.register(self.interrupts.reader, select.POLLIN)
        self.adopt(set(adopt))
        self.course.take(self.plan.begin(kept))
        while True:
            self.starting.start()
            yield self.beat()
            if self.is_over():
                if self.requested():
                    continue
                break
            if self.policy.leave and self.nothing_to_start():
                if self.requested() and not self.nothing_to_start():
                    continue
                self.release()
                yield self.beat()
                break
            self.wait()
            if self.level >= 3:
                yield self.beat()
                break
        self.crew.dismiss()

    def adopt(self, keys: set[CaseKey]) -> None:
        """Cases that run already, elsewhere."""
        number_of = {c: n for n, c in enumerate(self.plan.cases)} if keys else {}
        self.course.adopting = {c: number_of[c] for c in keys if c in number_of}
        gone = [
            f"{key} goes on, though another run has taken {what} meanwhile"
            for key, number in self.course.adopting.items()
            for what in self.starting.take_up(key, number)
        ]
        more = f"; and {len(gone) - 3} more" if len(gone) > 3 else ""
        self.course.said = "; ".join(gone[:3]) + more

    def beat(self) -> Beat:
        """What ended since the last beat."""
        course = self.course
        queued = self.desk.elsewhere.queued() if course.faraway else 0
        done = Beat(tuple(course.ran), tuple(course.decided), len(course.running) - queued, course.said, queued)
        course.said = ""
        course.ran.clear()
        course.decided.clear()
        return done

    # -- is there more to do? -------------------------------------------------------------------

    def is_over(self) -> bool:
        """Whether nothing runs and nothing more will start by itself."""
        if self.course.running or self.course.adopting:
            return False
        return bool(self.course.draining) or not (self.waits.startable() or self.waits.later)

    def requested(self) -> bool:
        """Answer what others asked; tells whether that gave new work."""
        for act in self.desk.orders():
            act(self)
        return bool(self.waits.startable() and not self.course.draining)

    def nothing_to_start(self) -> bool:
        """Whether all that is left runs already, or was left out by an interrupt."""
        course = self.course
        if course.draining:
            return True
        if course.faraway and self.desk.elsewhere.kept_back():
            return False
        if self.policy.one_pass:
            return bool(self.limits.room()) or not self.waits.startable()
        if self.waits.startable():
            return False
        return self.plan.left() <= len(course.running.keys() | set(course.adopting.values()))

    def release(self) -> None:
        """Let what runs go on alone, as soon as it is recorded that it has begun."""
        self.desk.elsewhere.leave_far()
        waiting = {self.plan.cases[n] for n in self.course.running}
        while waiting and self.crew.members:
            waiting = {key for key in waiting if (row := self.desk.last_word(key)) and row.state == "NOT_STARTED"}
            if waiting:
                self.poll.poll(20)
        self.crew.release()
        self.course.running.clear()

    # -- what happens ---------------------------------------------------------------------------

    def wait(self) -> None:
        """Sleep until a worker or a signal has something to say, or it is time to look around."""
        pause = self.pause()
        events = self.poll.poll(math.ceil(self.nap(pause) * 1000))
        for fd, _ in events:
            if fd == self.interrupts.reader:
                self.interrupts.drain()
            else:
                self.hear(fd)
        self.obey()
        if not events or time.monotonic() - self.looked >= pause:  # also when workers never fall silent
            self.look_around()
            self.looked = time.monotonic()

    def pause(self) -> float:
        """Seconds between two looks around: fewer where what we wait for is told by no descriptor."""
        course, waits = self.course, self.waits
        if course.adopting or waits.held or (not course.running and waits.startable()):
            return min(_QUICK_BEAT * 1.1**self.calm, _BEAT)
        return _BEAT

    def nap(self, pause: float) -> float:
        """Seconds to sleep at most: until the next look around, or until something may start by itself."""
        nap = min(max(self.looked + pause - time.monotonic(), 0.0), pause)
        if self.limits.spacing and self.waits.startable():
            nap = min(nap, self.limits.pause() or nap)
        due = self.waits.next_due()
        return nap if due is None else min(nap, due)

    def look_around(self) -> None:
        """Now and then: ended adopted cases, requests of others, exclusive cases that are free again."""
        self.hear_of_others()
        for act in self.desk.orders():
            act(self)
        if self.course.draining and not self.drained:
            self.drained = True
            self.desk.elsewhere.drain()
        if self.course.faraway:
            more = self.waits.startable() or self.plan.left() > len(self.course.running)
            self.desk.elsewhere.no_more(far=more)
        self.waits.look_again()

    def hear_of_others(self) -> None:
        """Cases that run elsewhere and have ended."""
        ended = self.desk.elsewhere.ended() if self.course.adopting else []
        self.calm = 0 if ended else min(self.calm + 1, 20)
        for row in ended:
            number = self.course.adopting.pop(row.key, None)
            if number is not None:
                self.starting.freed(number)
                self.course.over(number, row)

    def listen(self, fd: int) -> None:
        """There is one more worker to be heard."""
        self.poll.register(fd, select.POLLIN)

    def hear(self, fd: int) -> None:
        """A worker spoke, or is gone."""
        for heard in self.crew.hear(fd):
            if isinstance(heard, Answer):
                self.starting.freed(heard.number)
                self.course.over(heard.number, heard.row)
            else:
                self.bereaved(heard)
        if fd not in self.crew.members:
            self.poll.unregister(fd)

    def bereaved(self, dead: Died) -> None:
        """A worker died.  What it had recorded counts; a case without an end is interrupted and tried once more.

        Raises StoreError when it left because it could not record.
        """
        if dead.status:
            raise StoreError(dead.error)
        if dead.number is None:
            return
        self.starting.freed(dead.number)
        key = self.plan.cases[dead.number]
        last = self.desk.last_word(key)
        row = self.course.recorded[key]
        if last is not None and last.attempt == row.attempt and last.state not in (*LIVE, "NOT_STARTED"):
            self.course.over(dead.number, last)
            return
        if last is not None and last.attempt == row.attempt:
            row = last
        self.desk.clean_up(row)
        row = row._replace(gen=row.gen + 1, state="INCOMPLETE", status="DEAD", comment=dead.error, end=time.time())
        self.course.decided.append(row)
        self.course.over(dead.number, row, recorded=True)

    # -- what people want -----------------------------------------------------------------------

    def obey(self) -> None:
        """Act on new signals: drain, cancel, leave (DESIGN.md section 4)."""
        level, course = self.interrupts.level, self.course
        if level == self.level:
            return
        self.level = level
        course.draining = course.draining or f"interrupted by {self.interrupts.by}"
        cut, running = course.draining, len(course.running)
        if self.policy.spare and level < 3:
            self.policy = self.policy._replace(leave=True)
            course.said = f"{cut}: {running} running cases go on, no more start"
        elif level == 1:
            course.said = f"{cut}: {running} running cases end, no more start; again to end them now"
        elif level == 2:
            course.said = f"{self.interrupts.by}: running cases are ended; again to leave them"
            self.cancel()
        elif level >= 3:
            self.left = self.crew.leave()
            course.said = f"left {len(course.faraway)} cases to their jobs: see mt jobs" if course.faraway else ""

    def ask(self, what: str, by: str) -> None:
        """Somebody asked from outside to drain or to cancel."""
        course = self.course
        course.draining = course.draining or f"{what} asked by {by}"
        course.said = f"{what} asked by {by}: {len(course.running)} running cases end, no more start"
        if what == "cancel":
            self.cancel()

    def cancel(self) -> None:
        """End everything that runs."""
        self.crew.cancel()
        self.desk.elsewhere.cancel()


def describe_left(pids: Iterable[int]) -> str:
    """What still lives, for the third interrupt."""
    alive = [p for p in pids if os.path.exists(f"/proc/{p}")]
    return f"left {len(alive)} workers alive: pids {', '.join(map(str, alive))}" if alive else ""
