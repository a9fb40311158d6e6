"""The world around the run loop: the area, the store, the requests of others, other runs.

The loop itself knows none of them (`loop.Desk` says what it asks).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mt import queries, retries
from mt.area import Area
from mt.db import Store
from mt.environ import Env
from mt.errors import BusyError, MtError, why
from mt.fold import Folder
from mt.journal import Journal
from mt.locks.alive import Watched
from mt.locks.filelock import held
from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline import control, history, skip
from mt.pipeline.aftermath import Aftermath
from mt.pipeline.case import Order
from mt.pipeline.loop import Loop
from mt.pipeline.plan import Plan, Selection
from mt.pipeline.sending import Sender
from mt.states import LIVE
from mt.stdio import say
from mt.testspec import Item

if TYPE_CHECKING:
    from mt.pipeline.fleet import Fleet

Again = Callable[[CaseRow], bool]

#: seconds between two looks whether adopted cases live; so many that ended at once are read with all others
_LOOK, _MANY = 1.0, 200


class Ground(NamedTuple):
    """What one controlled run stands on."""

    area: Area
    store: Store
    run_id: int
    run: RunKey
    journal: Journal
    folder: Folder


class RunDesk:
    """The real Desk of one run."""

    def __init__(
        self,
        ground: Ground,
        plan: Plan,
        living: Sequence[CaseRow],
        after: Aftermath,
        sender: Sender | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        self.ground = ground
        self.after = after
        self.sender = sender
        self.fleet = fleet
        self.ended: list[CaseRow] = []  # cases that ended without a worker, to be told
        self.unexplained: dict[CaseKey, CaseRow] = {}  # ended by their engine, which is asked why
        self.looked = 0.0
        self.plan = plan
        self.living = {row.key: row for row in living}
        if fleet is not None:
            self.ended = [self.decide(history.interrupted(row)) for row in fleet.adopt(living)]
            for row in self.ended:
                del self.living[row.key]
        self.claims: dict[CaseKey, ExitStack] = {}
        self.watched: dict[str, Watched] = {}
        self.patience = ground.area.seconds("setup", "lost-after", history.PATIENCE) or history.PATIENCE
        self.ctl_dir = ground.store.ctl_dir(ground.run_id)
        self.journal_dir = ground.store.journal_dir(ground.run_id)

    # -- what may be skipped, and late items ----------------------------------------------------

    def skip(self, case: CaseKey, number: int) -> str:
        """The reason of the test's [skip] section, or empty."""
        spec = self.plan.spec_of(number)
        if spec.skip is None:
            return ""
        if spec.dynamic:
            spec = self.ground.area.case_spec(case.test, env_of(self.ground.area, case, self.plan.item_of(number)))
        if spec.skip is None:
            return ""
        kind, value = spec.skip
        everywhere = kind == "prevrunning"
        return skip.reason(kind, value, spec.dir, lambda: self.others(case, everywhere=everywhere), time.time())

    def others(self, case: CaseKey, *, everywhere: bool) -> Iterator[CaseRow]:
        """Rows of the same case in all other runs of this target, or of all targets."""
        for run in queries.find_runs(self.ground.store, None if everywhere else self.ground.run.target):
            if run.id != self.ground.run_id:
                yield from queries.cases(self.ground.store, run.id, key=case)

    def items(self, test: str) -> Sequence[Item] | None:
        """Run the deferred commands of a test's item lists now; None when it has none after all."""
        return self.ground.area.items(test)

    def register(self, cases: Iterable[CaseKey]) -> None:
        """Record new cases as waiting, one event for each test."""
        by_test: dict[str, list[str]] = {}
        for key in cases:
            by_test.setdefault(key.test, []).append(key.item)
        with self.ground.journal.batch() as journal:
            for test, items in by_test.items():
                journal.emit("cases", test=test, items=items, attempt=1, gen=0, state="NOT_STARTED", status="n/a")

    # -- exclusive cases ------------------------------------------------------------------------

    def claim(self, case: CaseKey) -> bool:
        """Take the area-wide lock of an exclusive case, if it is free."""
        stack = ExitStack()
        path = self.ground.store.lock_path("only." + control.control_name(case).removesuffix(".ctl"))
        try:
            stack.enter_context(held(path, wait=False, what=f"exclusive case {case}"))
        except BusyError:
            return False
        self.claims[case] = stack
        return True

    def release(self, case: CaseKey) -> None:
        """Give the lock back."""
        stack = self.claims.pop(case, None)
        if stack is not None:
            stack.close()

    # -- workers of an earlier controller, and our own dead ones ---------------------------------

    def adopted(self) -> list[CaseRow]:
        """Adopted cases that have ended: by their own verdict, because their worker died, or because it is lost."""
        if self.fleet is not None:
            self.hand_over()
            self.ended += [self.decide(row) for row in self.fleet.look(self.living)]
        news = self.ground.folder.fold()
        for unlaunched in self.sender.failed() if self.sender else ():
            self.give_up(unlaunched)
        now = time.monotonic()
        if news or now - self.looked >= _LOOK:
            self.ended += self.told()
        if now - self.looked >= _LOOK:
            self.looked = now
            self.ended += self.died()
        ended, self.ended = self.ended, []
        for row in ended:
            self.living.pop(row.key, None)
            self.unexplained.pop(row.key, None)
            if self.fleet is not None:
                self.fleet.ended(row)
        return ended

    def told(self) -> list[CaseRow]:
        """Adopted cases that are recorded as over."""
        ended = []
        live = {row.key: row for row in queries.cases(self.ground.store, self.ground.run_id, states=LIVE)}
        gone = [key for key in self.living if key not in live and key not in self.unexplained]
        many = len(gone) > _MANY
        rows = {row.key: row for row in queries.cases(self.ground.store, self.ground.run_id)} if many else {}
        for key in gone:
            row, old = rows.get(key) if many else self.recorded(key), self.living[key]
            if row is None or row.state == "NOT_STARTED" or (row.attempt, row.gen) < (old.attempt, old.gen):
                continue  # what we told of it is not folded yet
            if self.fleet is not None and self.fleet.unexplained(row):
                self.unexplained[key] = row
            else:
                ended.append(row)
        for key in self.living.keys() & live.keys():
            self.living[key] = live[key]
        return ended

    def died(self) -> list[CaseRow]:
        """Adopted cases whose worker is dead or shows no sign of life."""
        ended = []
        look = history.eyes(self.ground.store, self.ground.run_id)
        for key, row in [*self.living.items()]:
            if key in self.unexplained:
                end = self.fleet.blame(self.unexplained[key]) if self.fleet else None
            else:
                end = self._end_of(row, look)
            if end is not None:
                ended.append(self.decide(end))
        return ended

    def _end_of(self, row: CaseRow, look: history.Alive) -> CaseRow | None:
        """The row that ends a case which cannot go on; None when it may."""
        if row.state == "LAUNCHED":
            return None
        health = look.judge(row)
        if health.word == "dead":
            last = self.last_word(row.key) or row  # it may have ended between the two looks
            if last.state not in LIVE:
                return None  # `told` finds it
            history.end_leftovers([last])
            return self.fleet.blame(last) if self.fleet and last.token else history.interrupted(last)
        if self.fleet and row.token and self.fleet.is_over(row) and not self.shows_life(look.journals(row)):
            return self.fleet.blame(row)  # a host that is cut off holds its locks, and says nothing any more
        if health.word == "silent" and not self.shows_life(look.journals(row)):
            return history.lost(row, f"none for {self.patience:g} s, {health.evidence}")
        return None

    def decide(self, row: CaseRow) -> CaseRow:
        """Record what became of a case whose worker did not tell."""
        self.ground.journal.emit_row("case", row)
        return row

    def shows_life(self, journals: Sequence[str]) -> bool:
        """Whether a journal that nobody can ask about was touched within our patience."""
        for path in journals:
            self.watched.setdefault(path, Watched(path))
        return any(self.watched[path].alive(self.patience) for path in journals)

    # -- cases that batch engines run -------------------------------------------------------------

    def far(self, case: CaseKey) -> bool:
        """Whether a batch engine is to run the case."""
        return self.fleet is not None and self.fleet.world.choice(case.test, case.item) is not None

    def far_room(self) -> int:
        """How many more cases may be given to batch engines."""
        return self.fleet.room() if self.fleet else 0

    def hand(self, order: Order) -> None:
        """Give a case to its batch engine, together with others at the next `hand_over`."""
        choice = self.fleet.world.choice(order.test, order.item) if self.fleet else None
        if self.fleet and choice:
            self.fleet.take(order, choice)

    def hand_over(self, *, at_once: bool = False) -> None:
        """Let the fleet submit jobs for what it was given; what it could not hand over has ended."""
        for row in self.fleet.hand_over(at_once=at_once) if self.fleet else ():
            if row.state in LIVE:
                self.living[row.key] = row
            else:
                self.ended.append(self.decide(row))

    def no_more(self, *, far: bool) -> None:
        """Tell the fleet whether there is more to come."""
        if self.fleet and not far:
            self.fleet.no_more()
        elif self.fleet:
            self.fleet.more()

    def queued(self) -> int:
        """How many cases that were handed over have not begun, as of the last look."""
        return sum(row.state == "LAUNCHED" for row in self.living.values()) if self.fleet else 0

    def forgiven(self, case: CaseKey) -> int:
        """How often a case runs again by itself because its batch engine ended its job: as its launcher says."""
        choice = self.fleet.world.choice(case.test, case.item) if self.fleet else None
        return choice.lost if choice else retries.LOST

    def drain(self) -> None:
        """Take back what no job has begun."""
        if self.fleet:
            self.ended += [self.decide(row) for row in self.fleet.drain(self.living)]

    def kept_back(self) -> bool:
        """Whether cases wait for room on their engine, so that nobody would hand them over if we left."""
        return self.fleet is not None and any(self.fleet.ready.values())

    def leave_far(self) -> None:
        """Hand over what was kept back to be handed over with more."""
        if self.fleet:
            self.hand_over(at_once=True)
            self.fleet.no_more()

    # -- cases that launchers start --------------------------------------------------------------

    def send(self, order: Order) -> bool:
        """Let the area's launcher start a case, if it has one for it; from then on it is adopted."""
        if self.sender is None:
            return False
        try:
            row = self.sender.send(order)
        except MtError as e:
            row = self.unlaunched(order, e.what)
        except OSError as e:
            row = self.unlaunched(order, f"cannot use '{e.filename or '.'}': {why(e)}")
        if row is not None:
            self.living[row.key] = row
        return row is not None

    def unlaunched(self, order: Order, comment: str) -> CaseRow:
        """A case whose launcher could not even be tried: recorded as INFRA, like one whose worker gets no directory."""
        row = CaseRow(order.test, order.item, order.attempt, order.gen + 2, "COMPLETED", "INFRA", comment=comment)
        row = row._replace(start=time.time(), end=time.time())
        self.ground.journal.emit_row("case", row)
        return row

    def about(self, case: CaseKey, number: int) -> tuple[int, tuple[Any, ...] | None]:
        """What a worker cannot look up (`Aftermath.about`)."""
        return self.after.about(case, self.plan.spec_of(number))

    def cancel(self) -> None:
        """Ask for the end of what launchers have started."""
        if self.sender:
            self.sender.cancel()
        if self.fleet:
            self.ended += [self.decide(row) for row in self.fleet.cancel(self.living)]

    def give_up(self, row: CaseRow) -> None:
        """A case could not be launched: record it, unless it has begun all the same."""
        last = self.last_word(row.key)
        if last is None or (last.attempt, last.state) == (row.attempt, "LAUNCHED"):
            self.ground.journal.emit_row("case", row)
            self.ground.folder.fold()

    def last_word(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case after everything that was written has been folded."""
        self.ground.folder.fold()
        return self.recorded(key)

    def recorded(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case now."""
        return next(iter(queries.cases(self.ground.store, self.ground.run_id, key=key)), None)

    def clean_up(self, row: CaseRow) -> None:
        """End what a dead worker's case left running."""
        history.end_leftovers([row])

    # -- requests -------------------------------------------------------------------------------

    def orders(self) -> Iterator[Callable[[Loop], None]]:
        """What others ask of this run; each file is removed once it has been followed."""
        for path, body in control.requests(self.ctl_dir):
            yield partial(self.follow, path=path, body=body)

    def follow(self, loop: Loop, *, path: str, body: Mapping[str, Any]) -> None:
        """Follow one request; one that cannot be followed is said and dropped."""
        kind, by = str(body.get("kind")), str(body.get("by", "somebody"))
        try:
            if kind == "run":
                self.join(loop, body)
            elif kind in (control.DRAIN, control.CANCEL):
                loop.ask(kind, by)
            else:
                say(f"request '{os.path.basename(path)}' asks for something unknown: '{kind}'")
        except MtError as e:
            say(f"request of {by}: {e.what}")
        control.forget(path)

    def join(self, loop: Loop, body: Mapping[str, Any]) -> None:
        """Take the cases of another `mt run` or `mt rerun` into this run."""
        want = Selection(str(body.get("patterns") or "%"), body.get("tags"))
        again = again_of(body.get("again"))
        before = len(self.plan.cases)
        moves = list(self.plan.add(want))
        fresh = self.plan.cases[before:]
        self.register(c for c in fresh if c not in loop.recorded)
        loop.take(moves)
        loop.run_again([n for n, key in enumerate(self.plan.cases) if wanted(loop.recorded.get(key), again)])


def again_of(said: Any) -> Again:
    """Which ended cases run again, from a request; none without one.

    {"ids": [[test, item], ...]}, {"statuses": [...]} of states and statuses,
    {"ended": [...]} of statuses of what is over, {"all": true}.
    """
    if not isinstance(said, Mapping):
        return history.never
    ids = {CaseKey(*pair) for pair in said.get("ids") or ()}
    if said.get("all"):
        return lambda row: True
    words = frozenset(said.get("statuses") or ())
    ended = frozenset(said.get("ended") or ())
    return lambda row: (
        row.key in ids
        or row.status in words
        or row.state in words
        or (row.status in ended and row.state in ("COMPLETED", "KILLED"))
    )


def wanted(row: CaseRow | None, again: Again) -> bool:
    """Whether a recorded case is over and is asked for again."""
    return row is not None and row.state not in LIVE and row.state != "NOT_STARTED" and again(row)


def env_of(area: Area, key: CaseKey, item: Item) -> Env:
    """The area's environment with the names of one case."""
    return area.env.child({"MT_TEST_NAME": key.test, "MT_ITEMPATH": key.item, **dict(item)}, source="item")
