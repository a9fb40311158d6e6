"""Cases that our own workers do not run: given to batch engines and launchers, or adopted after a crash."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mt import retries
from mt.errors import MtError, why
from mt.model import CaseKey, CaseRow
from mt.pipeline import control, history
from mt.pipeline.adopted import Adopted
from mt.pipeline.case import Order
from mt.pipeline.ground import Ground
from mt.pipeline.sending import Sender
from mt.states import LIVE

if TYPE_CHECKING:
    from mt.pipeline.fleet import Fleet


class RunElsewhere:
    """The real `contract.Elsewhere` of one run; both `sender` and `fleet` are None where the area has none."""

    def __init__(self, ground: Ground, living: Sequence[CaseRow], sender: Sender | None, fleet: Fleet | None) -> None:
        self.ground = ground
        self.sender = sender
        self.fleet = fleet
        self.adopted = Adopted(ground, living, fleet)
        self.news: list[CaseRow] = []  # cases that have ended, to be told
        for row in fleet.adopt(living) if fleet else ():
            self.news.append(self.adopted.decide(history.interrupted(row)))
            self.adopted.forget(row.key)

    def ended(self) -> list[CaseRow]:
        """Those that have ended since the last call."""
        if self.fleet is not None:
            self.hand_over()
            self.news += [self.adopted.decide(row) for row in self.fleet.look(self.adopted.living)]
        self.ground.folder.fold()
        for unlaunched in self.sender.failed() if self.sender else ():
            self.give_up(unlaunched)
        self.news += self.adopted.ended()
        ended, self.news = self.news, []
        for row in ended:
            self.adopted.forget(row.key)
            if self.fleet is not None:
                self.fleet.ended(row)
        return ended

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
            kill_dir = self.ground.store.kill_dir(self.ground.run_id)
            control.forget(os.path.join(kill_dir, control.control_name(CaseKey(order.test, order.item))))  # of earlier
            self.fleet.take(order, choice)

    def hand_over(self, *, at_once: bool = False) -> None:
        """Let the fleet submit jobs for what it was given; what it could not hand over has ended."""
        for row in self.fleet.hand_over(at_once=at_once) if self.fleet else ():
            if row.state in LIVE:
                self.adopted.put(row)
            else:
                self.news.append(self.adopted.decide(row))

    def no_more(self, *, far: bool) -> None:
        """Tell the fleet whether there is more to come."""
        if self.fleet and not far:
            self.fleet.no_more()
        elif self.fleet:
            self.fleet.more()

    def queued(self) -> int:
        """How many cases that were handed over have not begun, as of the last look."""
        return self.adopted.queued() if self.fleet else 0

    def forgiven(self, case: CaseKey) -> int:
        """How often a case runs again by itself because its batch engine ended its job: as its launcher says."""
        choice = self.fleet.world.choice(case.test, case.item) if self.fleet else None
        return choice.lost if choice else retries.LOST

    def drain(self) -> None:
        """Take back what no job has begun."""
        if self.fleet:
            self.news += [self.adopted.decide(row) for row in self.fleet.drain(self.adopted.living)]

    def kept_back(self) -> bool:
        """Whether cases wait for room on their engine, so that nobody would hand them over if we left."""
        return self.fleet is not None and self.fleet.is_busy()

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
            self.adopted.put(row)
        return row is not None

    def unlaunched(self, order: Order, comment: str) -> CaseRow:
        """A case whose launcher could not even be tried: recorded as INFRA, like one whose worker gets no directory."""
        row = CaseRow(order.test, order.item, order.attempt, order.gen + 2, "COMPLETED", "INFRA", comment=comment)
        row = row._replace(start=time.time(), end=time.time())
        self.ground.journal.emit_row("case", row)
        return row

    def cancel(self) -> None:
        """Ask for the end of what launchers have started."""
        if self.sender:
            self.sender.cancel()
        if self.fleet:
            self.news += [self.adopted.decide(row) for row in self.fleet.cancel(self.adopted.living)]

    def give_up(self, row: CaseRow) -> None:
        """A case could not be launched: record it, unless it has begun all the same."""
        last = self.adopted.last_word(row.key)
        if last is None or (last.attempt, last.state) == (row.attempt, "LAUNCHED"):
            self.ground.journal.emit_row("case", row)
            self.ground.folder.fold()
