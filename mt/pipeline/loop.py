"""The run loop: start what may start, wait for what happens, and say what ended.

It knows neither tests nor files: the plan says what may start, the crew runs
it, the limits say how much at once.  It yields a `Beat` at least twice a
second, with the cases that ended since the last one, so that later stages can
store and show them.  A case that ends may be tried again before its dependants
hear of it (retries).
"""

from __future__ import annotations

import heapq
import math
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mt import retries
from mt.errors import StoreError
from mt.model import CaseKey, CaseRow
from mt.pipeline.case import Order
from mt.pipeline.crew import Answer, Crew, Died
from mt.pipeline.fates import is_blameless
from mt.pipeline.interrupts import Interrupts
from mt.pipeline.limits import Limits
from mt.pipeline.plan import Closed, Move, NeedItems, Plan, Ready
from mt.states import LIVE, verdict
from mt.testspec import Item

_BEAT = 0.5
_QUICK_BEAT = 0.1


class Beat(NamedTuple):
    """Rows that ended, recorded by their workers (`ran`) or the controller's to record (`decided`); and talk.

    `queued` cases were handed to batch engines and have not begun; `running` ones have.
    """

    ran: tuple[CaseRow, ...] = ()
    decided: tuple[CaseRow, ...] = ()
    running: int = 0
    said: str = ""
    queued: int = 0


class Policy(NamedTuple):
    """What the user allows: retries, of which outcomes, and how many bad ends stop the run.

    `retry` is what the command says and `usual` what the area does; what a test
    says of itself stands between the two.  `clean`: a new attempt begins in an empty directory.  `leave`: come back as
    soon as nothing is left to start; what runs goes on alone.  `one_pass`: even
    when cases still wait for others.  `spare`: a signal ends the command, and not what runs (spec/runs.md 4.1).
    """

    retry: retries.Retry = retries.Retry(0)
    usual: retries.Retry = retries.Retry()
    max_bad: int | None = None
    clean: bool = True
    leave: bool = False
    one_pass: bool = False
    spare: bool = False


class Desk(Protocol):
    """What the loop asks of the world around it."""

    def skip(self, case: CaseKey, number: int) -> str:
        """Why a case need not run (its [skip] section), or empty."""
        ...

    def items(self, test: str) -> Sequence[Item] | None:
        """The items of a test that were to be computed late; None when it has none."""
        ...

    def register(self, cases: Iterable[CaseKey]) -> None:
        """New cases of the plan are to be recorded as waiting."""
        ...

    def claim(self, case: CaseKey) -> bool:
        """Whether an exclusive case may start now: no other run has it."""
        ...

    def release(self, case: CaseKey) -> None:
        """The exclusive case has ended."""
        ...

    def adopted(self) -> list[CaseRow]:
        """Cases of an earlier controller's workers that have ended since the last call."""
        ...

    def about(self, case: CaseKey, number: int) -> tuple[int, tuple[Any, ...] | None]:
        """The number of a case's record and its earlier run, for triggers and waivers."""
        ...

    def send(self, order: Order) -> bool:
        """Whether a launcher of the area takes the case; else our own workers run it."""
        ...

    def far(self, case: CaseKey) -> bool:
        """Whether a batch engine is to run the case."""
        ...

    def far_room(self) -> int:
        """How many more cases may be given to batch engines."""
        ...

    def hand(self, order: Order) -> None:
        """Give a case to its batch engine, together with others at the next `hand_over`."""
        ...

    def hand_over(self) -> None:
        """All that may be handed to batch engines now was."""
        ...

    def no_more(self, *, far: bool) -> None:
        """Nothing is left to start, as far as is known (or, with `far`, there is more after all)."""
        ...

    def queued(self) -> int:
        """How many cases that were handed to batch engines have not begun."""
        ...

    def forgiven(self, case: CaseKey) -> int:
        """How often a case runs again by itself because its batch engine ended its job."""
        ...

    def drain(self) -> None:
        """No more cases may begin: take back what batch engines have not begun."""
        ...

    def kept_back(self) -> bool:
        """Whether cases that were given to batch engines still wait for room there."""
        ...

    def leave_far(self) -> None:
        """We are leaving: hand over what was kept back, so that it goes on without us."""
        ...

    def cancel(self) -> None:
        """End what launchers have started."""
        ...

    def last_word(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case whose worker has just died."""
        ...

    def clean_up(self, row: CaseRow) -> None:
        """End what a dead worker's case left running."""
        ...

    def orders(self) -> Iterable[Callable[[Loop], None]]:
        """What others ask of this run meanwhile."""
        ...


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
        self.recorded = dict(recorded)
        self.heap: list[tuple[object, int]] = []
        self.places: dict[CaseKey, int] = {}
        self.parked: dict[str, list[int]] = {}  # ready, but their job group is full
        self.far_heap: list[tuple[object, int]] = []  # the same of cases that batch engines run
        self.far_parked: dict[str, list[int]] = {}
        self.faraway: set[int] = set()  # cases that were handed to batch engines and have not ended
        self.drained = False
        self.calm = 0  # looks since an adopted case has ended
        self.busy_elsewhere: list[int] = []  # ready, but exclusive and running in another run
        self.running: dict[int, str] = {}  # case -> job group
        self.adopting: dict[CaseKey, int] = {}
        self.tries: dict[int, int] = {}
        self.later: dict[int, float] = {}  # case -> when it is tried again: what the machine spoiled waits a little
        self.bump = 0  # added to attempts after a takeover from a dead controller with living workers
        self.bad = 0
        self.draining = ""
        self.left: list[int] = []
        self.level = 0
        self.said = ""
        self.looked = time.monotonic()
        self.poll = select.poll()
        self.decided: list[CaseRow] = []
        self.ran: list[CaseRow] = []

    # -- the loop -------------------------------------------------------------------------------

    def beats(self, kept: Mapping[CaseKey, tuple[str, str]], adopt: Iterable[CaseKey]) -> Iterator[Beat]:
        """Drive the plan to its end: `kept` cases count as ended, `adopt`ed ones run already."""
        self.poll.register(self.interrupts.reader, select.POLLIN)
        adopt = set(adopt)
        number_of = {c: n for n, c in enumerate(self.plan.cases)} if adopt else {}
        self.adopting = {c: number_of[c] for c in adopt if c in number_of}
        for key, number in self.adopting.items():
            self.take_up(key, number)
        self.take(self.plan.begin(kept))
        while True:
            self.start()
            yield self.beat()
            if not self.running and not self.adopting and not ((self.startable() or self.later) and not self.draining):
                if self.requested():
                    continue
                break
            if self.policy.leave and self.nothing_to_start():
                if self.requested():
                    continue
                self.release()
                yield self.beat()
                break
            self.wait()
            if self.level >= 3:
                yield self.beat()
                break
        self.crew.dismiss()

    def take_up(self, key: CaseKey, number: int) -> None:
        """An adopted case that a batch engine runs counts in its group, as it did for who handed it over."""
        if self.recorded[key].token:
            group = self.plan.group(number)
            self.limits.start(group, number, far=True)
            self.running[number] = group
            self.faraway.add(number)

    def beat(self) -> Beat:
        """What ended since the last beat."""
        queued = self.desk.queued() if self.faraway else 0
        done = Beat(tuple(self.ran), tuple(self.decided), len(self.running) - queued, self.said, queued)
        self.said = ""
        self.ran.clear()
        self.decided.clear()
        return done

    def startable(self) -> bool:
        """Whether something is ready and waits only for room."""
        here = self.heap or self.busy_elsewhere or any(self.parked.values())
        return bool(here or self.far_heap or any(self.far_parked.values()))

    def requested(self) -> bool:
        """Answer what others asked; tells whether that gave new work."""
        for act in self.desk.orders():
            act(self)
        return bool(self.startable() and not self.draining)

    def nothing_to_start(self) -> bool:
        """Whether all that is left runs already, or was left out by an interrupt."""
        if self.draining:
            return True
        if self.faraway and self.desk.kept_back():
            return False
        if self.policy.one_pass:
            return bool(self.limits.room()) or not self.startable()
        return not self.startable() and self.plan.left() <= len(self.running.keys() | set(self.adopting.values()))

    def release(self) -> None:
        """Let what runs go on alone, as soon as it is recorded that it has begun."""
        self.desk.leave_far()
        waiting = {self.plan.cases[n] for n in self.running}
        while waiting and self.crew.members:
            waiting = {key for key in waiting if (row := self.desk.last_word(key)) and row.state == "NOT_STARTED"}
            if waiting:
                self.poll.poll(20)
        self.crew.release()
        self.running.clear()

    # -- what may start -------------------------------------------------------------------------

    def take(self, moves: Iterable[Move]) -> None:
        """Follow the plan's moves: queue what is ready, note what is decided, expand what was late."""
        for move in moves:
            if isinstance(move, Ready):
                key = self.plan.cases[move.case]
                if key not in self.adopting:
                    self.queue(move.case)
            elif isinstance(move, Closed):
                self.close(move.case, move.state, move.status, move.comment)
            elif isinstance(move, NeedItems):
                self.expand(move.test)

    def queue(self, number: int) -> None:
        """A case is ready: an order asked for comes first, then the plan's."""
        key = self.plan.cases[number]
        place = self.places.get(key, len(self.places)) if self.places else 0
        heap = self.far_heap if self.desk.far(key) else self.heap
        heapq.heappush(heap, ((place, self.plan.rank(number)), number))

    def prefer(self, order: Iterable[CaseKey]) -> None:
        """Start ready cases in this order; those it does not name come last."""
        self.places = {key: n for n, key in enumerate(order)}

    def expand(self, test: str) -> None:
        """Compute a test's items now, and go on with its cases."""
        before = len(self.plan.cases)
        moves = list(self.plan.expanded(test, self.desk.items(test)))
        self.desk.register(self.plan.cases[before:])
        self.take(moves)

    def close(self, number: int, state: str, status: str, comment: str) -> None:
        """A case is decided without running."""
        row = self.next_row(number)._replace(state=state, status=status, comment=comment)
        self.decided.append(row)
        self.recorded[row.key] = row

    def next_row(self, number: int) -> CaseRow:
        """The row with which a case would start: its attempt and generation follow what is recorded."""
        key = self.plan.cases[number]
        old = self.recorded.get(key)
        if old is None:
            return CaseRow(key.test, key.item, 1 + self.bump, 1)
        fresh = old.state == "NOT_STARTED"
        attempt = old.attempt if fresh else old.attempt + 1
        return CaseRow(key.test, key.item, attempt + (self.bump if fresh else 0), old.gen + 1)

    def start(self) -> None:
        """Start as much as there is room for."""
        if self.later:
            self.try_later()
        while (self.heap or self.parked) and not self.draining and not self.limits.room():
            number = self.pick(self.heap, self.parked)
            if number is None:
                break
            if not self.skipped(number):
                self.launch(number, self.plan.cases[number])
        if self.far_heap or self.far_parked:
            self.start_far()
        self.limits.settle()

    def start_far(self) -> None:
        """Give batch engines all that they may have: how much of it runs at once is theirs to say."""
        room = self.desk.far_room()
        while room > 0 and not self.draining:
            number = self.pick(self.far_heap, self.far_parked)
            if number is None:
                break
            if not self.skipped(number):
                self.launch(number, self.plan.cases[number], far=True)
                room -= 1
        self.desk.hand_over()

    def skipped(self, number: int) -> bool:
        """Whether a ready case need not run; then that is recorded."""
        reason = self.desk.skip(self.plan.cases[number], number)
        if reason:
            self.close(number, "COMPLETED", "SKIP", reason)
            self.take(self.plan.ended(number, "COMPLETED", "SKIP"))
        return bool(reason)

    def pick(self, heap: list[tuple[object, int]], parked: dict[str, list[int]]) -> int | None:
        """The first ready case whose job group has room and that no other run holds."""
        for group, waiting in parked.items():
            if waiting and not self.limits.group_full(group):
                return waiting.pop()
        while heap:
            number = heapq.heappop(heap)[1]
            group = self.plan.group(number)
            if group and self.limits.group_full(group):
                parked.setdefault(group, []).insert(0, number)
            elif "exclusive" in self.plan.spec_of(number).modes and not self.desk.claim(self.plan.cases[number]):
                self.busy_elsewhere.append(number)
            else:
                return number
        return None

    def launch(self, number: int, key: CaseKey, *, far: bool = False) -> None:
        """Give one case to a worker, to its launcher or, `far` from here, to a batch engine."""
        row = self.next_row(number)
        group = self.plan.group(number)
        record, before = self.desk.about(key, number)
        order = Order(
            number, key.test, key.item, self.plan.item_of(number), row.attempt, row.gen, self.policy.clean,
            record, before,
        )  # fmt: skip
        places = self.limits.start(group, number, far=far)
        if far:
            self.desk.hand(order)
            self.adopting[key] = number
            self.faraway.add(number)
        elif self.desk.send(order):
            self.adopting[key] = number
        elif not self.crew.order(order, lambda fd: self.poll.register(fd, select.POLLIN), places):
            self.limits.end(group, number)
            self.wait_for_room(number, key)
            return
        self.running[number] = group
        self.recorded[key] = row._replace(state="RUNNING")

    def wait_for_room(self, number: int, key: CaseKey) -> None:
        """This host has no room for one more worker: be content with as many as there are."""
        if "exclusive" in self.plan.spec_of(number).modes:
            self.desk.release(key)
        self.queue(number)
        self.limits.slots = len(self.running)
        self.said = f"no room for more than {self.limits.slots} workers (ulimit): going on with these"

    # -- what happens ---------------------------------------------------------------------------

    def wait(self) -> None:
        """Sleep until a worker or a signal has something to say, or a beat is over."""
        quick = self.adopting or self.busy_elsewhere or (self.startable() and not self.running)
        patience = min(_QUICK_BEAT * 1.1**self.calm, _BEAT) if quick else _BEAT
        if self.limits.spacing and self.startable():
            patience = min(patience, self.limits.pause() or patience)
        if self.later:
            patience = min(patience, max(min(self.later.values()) - time.monotonic(), 0.0))
        events = self.poll.poll(math.ceil(patience * 1000))
        for fd, _ in events:
            if fd == self.interrupts.reader:
                self.interrupts.drain()
            else:
                self.hear(fd)
        self.obey()
        if not events or quick or time.monotonic() - self.looked >= _BEAT:  # also when workers never fall silent
            self.look_around()
            self.looked = time.monotonic()

    def look_around(self) -> None:
        """Now and then: ended adopted cases, requests of others, exclusive cases that are free again."""
        ended = self.desk.adopted() if self.adopting else []
        self.calm = 0 if ended else min(self.calm + 1, 20)
        for row in ended:
            number = self.adopting.pop(row.key, None)
            if number is not None:
                if number in self.running:
                    self.freed(number)
                self.over(number, row)
        for act in self.desk.orders():
            act(self)
        if self.draining and not self.drained:
            self.drained = True
            self.desk.drain()
        if self.faraway:
            self.desk.no_more(far=self.startable() or self.plan.left() > len(self.running))
        for number in self.busy_elsewhere:
            self.queue(number)
        self.busy_elsewhere = []

    def hear(self, fd: int) -> None:
        """A worker spoke, or is gone."""
        for heard in self.crew.hear(fd):
            if isinstance(heard, Answer):
                self.freed(heard.number)
                self.over(heard.number, heard.row)
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
        self.freed(dead.number)
        key = self.plan.cases[dead.number]
        last = self.desk.last_word(key)
        row = self.recorded[key]
        if last is not None and last.attempt == row.attempt and last.state not in (*LIVE, "NOT_STARTED"):
            self.over(dead.number, last)
            return
        if last is not None and last.attempt == row.attempt:
            row = last
        self.desk.clean_up(row)
        row = row._replace(gen=row.gen + 1, state="INCOMPLETE", status="DEAD", comment=dead.error, end=time.time())
        self.decided.append(row)
        self.over(dead.number, row, recorded=True)

    def freed(self, number: int) -> None:
        """A slot is free again."""
        self.limits.end(self.running.pop(number), number, far=number in self.faraway)
        self.faraway.discard(number)
        if "exclusive" in self.plan.spec_of(number).modes:
            self.desk.release(self.plan.cases[number])

    def over(self, number: int, row: CaseRow, *, recorded: bool = False) -> None:
        """A case has ended: retry it, or let the plan go on."""
        self.recorded[row.key] = row
        if not recorded:
            self.ran.append(row)
        kind = verdict(row.state, row.status)
        if self.again(number, kind, row):
            self.try_again(number, row)
            return
        if kind == "bad":
            self.bad += 1
            if self.policy.max_bad is not None and self.bad >= self.policy.max_bad and not self.draining:
                self.draining = f"{self.bad} failed, and that is the most that was allowed"
        if row.state != "INCOMPLETE" or not self.draining:
            self.take(self.plan.ended(number, row.state, row.status))

    def again(self, number: int, kind: str, row: CaseRow) -> bool:
        """Whether a case that ended like this is to be tried again now."""
        if self.draining or kind == "good":
            return False
        tried = self.tries.get(number, 0)
        policy = self.policy.retry
        if policy.times != 0:
            own = retries.read(self.plan.spec_of(number).config, "requirements")
            policy = policy.over(own).over(self.policy.usual)
        if is_blameless(row) and policy.times is None:
            return tried < self.desk.forgiven(row.key)
        if row.status == "DEAD" and row.state == "INCOMPLETE":
            return tried < max(policy.times or 0, 1)
        return row.state != "KILLED" and policy.allows(kind, tried)

    def try_again(self, number: int, row: CaseRow) -> None:
        """Let a case wait for its next attempt: its turn, and before that a pause if the machine was to blame."""
        tried = self.tries.get(number, 0)
        self.tries[number] = tried + 1
        if row.status == "INFRA" or row.state == "LOST":
            self.later[number] = time.monotonic() + retries.pause(tried)
        else:
            self.queue(number)

    def try_later(self) -> None:
        """Queue the cases whose pause is over; in a run that is cut short they stay as they ended."""
        now = time.monotonic()
        for number, due in list(self.later.items()):
            if self.draining:
                del self.later[number]
                row = self.recorded[self.plan.cases[number]]
                self.take(self.plan.ended(number, row.state, row.status))
            elif due <= now:
                del self.later[number]
                self.queue(number)

    def run_again(self, numbers: Iterable[int]) -> None:
        """Ended cases are asked for once more: they and what was closed because of them wait again."""
        numbers = list(numbers)
        self.later.update({n: 0.0 for n in numbers if n in self.later})
        waiting, moves = self.plan.reopen(numbers)
        for number in waiting:
            row = self.next_row(number)
            self.decided.append(row)
            self.recorded[row.key] = row
        self.take(moves)

    # -- interrupts -----------------------------------------------------------------------------

    def obey(self) -> None:
        """Act on new signals: drain, cancel, leave (DESIGN.md section 4)."""
        level = self.interrupts.level
        if level == self.level:
            return
        self.level = level
        self.draining = self.draining or f"interrupted by {self.interrupts.by}"
        if self.policy.spare and level < 3:
            self.policy = self.policy._replace(leave=True)
            self.said = f"{self.draining}: {len(self.running)} running cases go on, no more start"
        elif level == 1:
            self.said = f"{self.draining}: {len(self.running)} running cases end, no more start; again to end them now"
        elif level == 2:
            self.said = f"{self.interrupts.by}: running cases are ended; again to leave them"
            self.cancel()
        elif level >= 3:
            self.left = self.crew.leave()
            self.said = f"left {len(self.faraway)} cases to their jobs: see mt jobs" if self.faraway else ""

    def ask(self, what: str, by: str) -> None:
        """Somebody asked from outside to drain or to cancel."""
        self.draining = self.draining or f"{what} asked by {by}"
        self.said = f"{what} asked by {by}: {len(self.running)} running cases end, no more start"
        if what == "cancel":
            self.cancel()

    def cancel(self) -> None:
        """End everything that runs."""
        self.crew.cancel()
        self.desk.cancel()


def describe_left(pids: Iterable[int]) -> str:
    """What still lives, for the third interrupt."""
    alive = [p for p in pids if os.path.exists(f"/proc/{p}")]
    return f"left {len(alive)} workers alive: pids {', '.join(map(str, alive))}" if alive else ""
