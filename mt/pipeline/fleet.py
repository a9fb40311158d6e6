"""The jobs of a run on batch engines: hand cases over, see what becomes of their jobs, end them in few calls.

Cases go into bags (`bag.py`), jobs are submitted that take them out (`pilot.py`),
in one of three ways (`ways.py`).  How a case goes is read from the journals, by
the desk, as for any other worker.  The engine is asked seldom, and only for
what the case cannot tell: that its job will never run, or died before it.

What if we die here?  A case is recorded as handed over, with its token, before
its order is in the bag, and the order is in the bag before a job is submitted:
the next controller finds bag, orders, claims and jobs on the disk, adopts what
runs, and submits jobs for what none will take.  A job too many finds nothing
to do and leaves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mt.errors import MtError, StoreError
from mt.launchers import engine
from mt.launchers.base import WAITING, Ask, Engine, notice
from mt.launchers.words import Choice
from mt.model import CaseKey, CaseRow
from mt.pipeline import ways
from mt.pipeline.bag import Bag, Entry, Terms, bags_left, bags_of, order_of
from mt.pipeline.case import Order
from mt.pipeline.lots import Lot, Share
from mt.pipeline.polls import Seen
from mt.pipeline.reviewing import Reviewing, open_jobs, over_now
from mt.pipeline.yard import Place, Waiting, World

#: cases that may be handed over and not have ended
MOST_HANDED = 20_000
#: jobs at once where neither the launcher, nor the command, nor the area says how many
MOST_JOBS = 100
#: seconds: how long we gather cases that become ready
_GATHER = 0.25

__all__ = ["MOST_HANDED", "MOST_JOBS", "Fleet", "World"]


class Fleet(Reviewing):
    """All jobs of one run."""

    # -- handing over ------------------------------------------------------------------------------

    def is_busy(self) -> bool:
        """Whether there are cases for which no job was accepted yet: nobody would submit one if we left."""
        if self.sending or any(self.ready.values()):
            return True
        open_lots = [lot for lot in self.lots if lot.choice not in self.refused]
        return any(lot.unsent or (lot.orders and not lot.subs) or lot.ungiven() for lot in open_lots)

    def room(self) -> int:
        """How many more cases may be handed over."""
        return MOST_HANDED - len(self.where) - sum(map(len, self.ready.values()))

    def hand_over(self, *, at_once: bool = False) -> list[CaseRow]:
        """Put what is ready into bags and submit jobs for it; gives the rows of what was handed over, or refused.

        Where jobs are no pilots, cases that become ready within a moment go together, unless `at_once`.
        """
        now = time.monotonic()
        rows: list[CaseRow] = []
        self.leaving = at_once
        self.begin_look()
        for choice, waiting in list(self.ready.items()):
            if choice in self.refused:
                rows += [self.unlaunched(w.order, self.refused[choice]) for w in waiting]
                del self.ready[choice]
            elif waiting and not self.is_away(choice):
                rows += self._hand_over(choice, waiting, now + at_once * _GATHER * 4)
        for lot in self.lots if at_once else ():
            if lot.unsent:
                self.launch(lot, lot.unsent)
        return rows

    def _hand_over(self, choice: Choice, waiting: list[Waiting], now: float) -> list[CaseRow]:
        made = engine(choice.engine)
        flying = next((lot for lot in self.lots if lot.choice == choice and not lot.share and not lot.closed), None)
        secs = self.mean(choice, waiting)
        most = self.most(choice)
        arrays = made.arrays if made.task_number[0] else 0
        shape = ways.shape(choice.way, len(waiting), secs, most, arrays=arrays, flying=flying is not None)
        if shape.way != "pilot" and now - waiting[-1].since < _GATHER and now - waiting[0].since < 4 * _GATHER:
            return []
        if shape.way == "pilot" and flying is not None:
            self.ready.pop(choice)
            return self.fill(flying, [w.order for w in waiting])
        many = len(waiting)
        if shape.way == "job":
            many = min(many, most - self.jobs(choice))
        elif shape.way == "array" and ways.is_long(secs):
            many = min(many, arrays) if self.jobs(choice) < most else 0
        if many <= 0:
            return []
        self.ready[choice] = waiting[many:]
        if not self.ready[choice]:
            del self.ready[choice]
        share = {"pilot": 0, "array": min(shape.jobs, many), "job": many}[shape.way]
        lot = self.open_lot(choice, made, shape.way, share)
        rows = self.fill(lot, [w.order for w in waiting[:many]])
        self.launch(lot, shape.jobs)
        return rows

    def open_lot(self, choice: Choice, made: Engine, way: str, share: int) -> Lot:
        """A new bag for cases of one kind."""
        s = self.world.setup
        terms = Terms(
            self.world.home, s.run.target, s.run.name, s.run_id, s.contour, s.old, self.world.env,
            self.world.setvars, made.name, way, share, choice.ask.time,
            notice(choice.notice, choice.ask.time), choice.idle, choice.text, choice.ask._asdict(),
        )  # fmt: skip
        name = f"{time.time_ns() // 1_000_000:x}{os.urandom(2).hex()}"
        lot = Lot(Bag.make(bags_of(self.world.root, s.run_id), name, terms), made, choice, way, share)
        self.lots.append(lot)
        return lot

    def fill(self, lot: Lot, orders: Sequence[Order]) -> list[CaseRow]:
        """Record cases as handed over, then put their orders into a bag."""
        now, first = time.time(), lot.bag.count
        entries, rows = [], []
        for number, order in enumerate(orders, first):
            row = self._launched(lot, number, order, now)
            self.world.emit("case", row)
            rows.append(row)
            entry = Entry(list(order._replace(gen=row.gen)), self.world.expected(row.key) or 0.0, now)
            entries.append(entry)
            lot.orders[number] = Share(row.key, entry)
            self.where[row.key] = Place(lot, number)
        lot.bag.add(entries)
        return rows

    def unlaunched(self, order: Order, comment: str) -> CaseRow:
        """A case whose job could not be submitted: it stays runnable."""
        row = CaseRow(order.test, order.item, order.attempt, order.gen + 2, "COMPLETED", "INFRA", comment=comment)
        return row._replace(start=time.time(), end=time.time())

    # -- adopting ----------------------------------------------------------------------------------

    def adopt(self, rows: Iterable[CaseRow]) -> list[CaseRow]:
        """Take over what an earlier controller has handed over; gives those that it recorded but never handed over."""
        orphans = []
        found: dict[str, Lot | None] = {}
        for row in rows:
            named = order_of(row.token)
            if named is None:
                continue
            if named[0] not in found:
                found[named[0]] = self._found(named[0])
            lot = found[named[0]]
            if lot is not None and named[1] in lot.orders:
                self.where[row.key] = Place(lot, named[1])
            elif row.state == "LAUNCHED" and self._take_back(*named):
                orphans.append(row)
        self._settle(found)
        return orphans

    def _settle(self, found: dict[str, Lot | None]) -> None:
        """See to it that nothing runs of earlier bags but what is adopted, and that their idle jobs leave."""
        for bag in bags_left(bags_of(self.world.root, self.world.setup.run_id)):
            if bag.name not in found:
                found[bag.name] = self._found(bag.name)
                if found[bag.name] is None:  # nobody can run what is in it
                    with suppress(StoreError):
                        bag.tidy()
        for lot in filter(None, found.values()):
            ours = {number for place, number in self.where.values() if place is lot}
            for number in lot.orders.keys() - ours - lot.bag.taken():
                lot.withdraw(number)
            lot.orders = {number: share for number, share in lot.orders.items() if number in ours}

    def _take_back(self, name: str, number: int) -> bool:
        """Whether an order that cannot be adopted will not run: it was never in its bag, or it is withdrawn."""
        bag = Bag(os.path.join(bags_of(self.world.root, self.world.setup.run_id), name))
        try:
            if bag.withdraw(number):
                return True
        except StoreError:
            return bag.is_over
        claim = bag.claimed(number)
        return claim is not None and not claim.writer  # by a controller that died before it could record that

    def _found(self, name: str) -> Lot | None:
        bag = Bag(os.path.join(bags_of(self.world.root, self.world.setup.run_id), name))
        if bag.is_over:
            return None  # all its orders have ended: what still runs of it is known by its journal
        try:
            bag.say([{"closed": True}])  # what comes now goes into bags of ours
            terms = bag.terms()
            choice = self._read(terms)
            lot = Lot.found(bag, engine(terms.engine), choice._replace(ask=_ask(terms.ask)))
        except (MtError, ImportError, KeyError, ValueError, TypeError):
            return None  # it is no bag of ours
        self.lots.append(lot)
        if lot.subs:
            self.accepted.add(lot.choice)
        self.polls_of(lot).hurry()
        return lot

    def _read(self, terms: Terms) -> Choice:
        """The launcher of a bag; of one that is not understood any more jobs can at least be asked about and ended."""
        try:
            return self.world.read(terms.launcher or terms.engine) or Choice(terms.engine)
        except MtError:
            return Choice(terms.engine)

    # -- the end -----------------------------------------------------------------------------------

    def cancel(self, living: Mapping[CaseKey, CaseRow]) -> list[CaseRow]:
        """End all jobs, with as few calls as possible; gives rows that end what had not begun."""
        self.cancelled = True
        rows = self._kept_back("KILLED", "cancelled before it began")
        for lot in self.lots:
            self.owe(lot.engine, lot.roots())
            with suppress(StoreError):  # a full disk keeps no job from being ended
                lot.bag.say([{"stop": "cancelled by its controller"}])
        self.cancel_owed(at_once=True)
        for lot in self.lots:
            rows += self._back(lot, living, "KILLED", "cancelled before it began")
        return rows

    def drain(self, living: Mapping[CaseKey, CaseRow]) -> list[CaseRow]:
        """Let what has begun end; gives rows that end what has not."""
        rows = self._kept_back("n/a", "its run was stopped before it began")
        self.no_more()
        for lot in self.lots:
            back = self._back(lot, living, "n/a", "its run was stopped before it began")
            ended = {row.key for row in back}
            if not any(key in living and key not in ended for key, _ in lot.orders.values()):
                self.owe(lot.engine, lot.roots())
            rows += back
        return rows

    def _kept_back(self, status: str, comment: str) -> list[CaseRow]:
        """The rows that end what no bag has."""
        rows = [_over_unbegun(w.order, status, comment) for waiting in self.ready.values() for w in waiting]
        self.ready.clear()
        return rows

    def _back(self, lot: Lot, living: Mapping[CaseKey, CaseRow], status: str, comment: str) -> list[CaseRow]:
        """Take back all orders of a lot that nobody has begun; their cases run again with the next command."""
        free = {n: row for n, (key, _) in lot.orders.items() if (row := living.get(key)) and row.state == "LAUNCHED"}
        return [over_now(row, "INCOMPLETE", status, comment) for n, row in free.items() if lot.withdraw(n)]

    def no_more(self) -> None:
        """Nothing new will come, as far as is known: pilots may leave when nothing is free."""
        for lot in self.lots:
            if not lot.closed:
                lot.close()
        self.last = True

    def more(self) -> None:
        """There is more after all."""
        self.last = False

    def finish(self) -> None:
        """The run is over: end what still waits in a queue, and tidy up what is of no use any more."""
        self.no_more()
        self.hear_sent()
        for sending in self.sending.values():
            sending.asking.stop()
        for name, polls in self.polls.items():
            mine = [lot for lot in self.lots if lot.engine.name == name]
            made = engine(name)
            wanted = made.named or any(lot.jobs() for lot in mine)
            seen = polls.last(self.name, open_jobs(mine), hasty=self.urgency() > 0) if wanted else None
            if seen is not None:
                for lot in mine:
                    lot.hear(seen)
                self._end_strays(made, seen)
        for lot in self.lots:
            idle = [one for one in lot.open() if lot.word(one).fate not in ("running", "suspended")]
            if idle and not lot.orders and not self.cancelled:
                self.owe(lot.engine, lot.roots())
        self.cancel_owed(at_once=True, last=True)
        for ending in self.ending.values():
            ending.asking.stop()
        for polls in self.polls.values():
            polls.stop()
        for lot in self.lots:
            if not lot.orders:
                with suppress(StoreError):  # all is recorded: the next run of it, or mt recover, tidies up
                    lot.bag.tidy()

    def _end_strays(self, made: Engine, seen: Seen) -> None:
        """Cancel what waits under our name and is in no lot: its answer was lost, or it was requeued after its end."""
        if made.named and not any(lot.orders for lot in self.lots):
            known = {one for lot in self.lots for sub in lot.subs for one in sub.ids}
            waiting = [one for one, word in seen.words.items() if word.fate in WAITING and one not in known]
            self.owe(made, waiting)


def _ask(fields: Mapping[str, Any]) -> Ask:
    """What a job asked, as the log of its bag tells."""
    known = {name: value for name, value in fields.items() if name in Ask._fields}
    return Ask(**{**known, "flags": tuple(known.get("flags", ()))})


def _over_unbegun(order: Order, status: str, comment: str) -> CaseRow:
    row = CaseRow(order.test, order.item, order.attempt, order.gen + 1, "INCOMPLETE", status, comment=comment)
    return row._replace(start=time.time(), end=time.time())
