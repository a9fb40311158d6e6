"""See what becomes of the jobs of a fleet: ask the engines, find cases that no job will run, say why one ended."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from functools import partial

from mt.errors import StoreError
from mt.launchers.base import Engine, Word
from mt.model import CaseKey, CaseRow
from mt.pipeline import control, fates, ways
from mt.pipeline.cancelling import Cancelling
from mt.pipeline.lots import Lot, last_line
from mt.pipeline.pilot import TOLD, order_in

#: seconds between two looks at the bags
_REVIEW = 1.0
#: seconds to wait for the engine's word about a job that is dead, for a claimed case to begin, and for a journal of a
#: job on another host to be seen here
_WORD, _BEGIN, _UNSEEN = 15.0, 5.0, 60.0
#: seconds after which jobs that no engine lists and that take nothing count as gone
_QUIET = 120.0
#: seconds that what a site does after each job may take
_EPILOG = 600.0
#: seconds between a submission of pilots and one of more of them
_GROW = 2.0


class Reviewing(Cancelling):
    """A fleet that looks after its jobs."""

    def ended(self, row: CaseRow) -> None:
        """A case is over."""
        place = self.where.pop(row.key, None)
        for times in (self.noticed, self.claimed):
            times.pop(row.key, None)
        self.puzzles.discard((row.job.partition(":")[0], row.job.partition(":")[2]))
        if row.state == "KILLED":  # now that it is recorded
            control.forget(os.path.join(self.world.setup.kill_dir, control.control_name(row.key)))
        if place is None:
            return
        if row.secs:
            total, n = self.spent.get(place.lot.choice, (0.0, 0))
            self.spent[place.lot.choice] = (total + row.secs, n + 1)
        place.lot.leave(place.number, row.job.partition(":")[2])
        place.lot.orders.pop(place.number, None)

    def look(self, living: Mapping[CaseKey, CaseRow]) -> list[CaseRow]:
        """Ask the engines if it is time, and see to cases whose jobs cannot run them; gives rows that end cases."""
        self.begin_look()
        if self.hear_sent():
            self.reviewed = 0.0  # there is more to submit
        for name, polls in self.polls.items():
            mine = [lot for lot in self.lots if lot.engine.name == name]
            seen = polls.step(self.name, partial(self._to_ask, mine))
            if polls.trouble:
                self.tell(f"{name} cannot be asked: {polls.trouble}; jobs go on, asking again")
            if seen is not None and any([lot.hear(seen) for lot in mine]):
                polls.freshen()
                for lot in mine if polls.engine.stuck else ():
                    self.owe(lot.engine, lot.stuck(seen))
        self.cancel_owed()
        now = time.monotonic()
        if now - self.reviewed < _REVIEW:
            return []
        self.reviewed = now
        self.turn += 1  # another lot begins each time, as none has more than its share of a look
        turn = self.turn % max(len(self.lots), 1)
        rows = [row for lot in self.lots[turn:] + self.lots[:turn] for row in self._review(lot, living, now)]
        self._drop_used_up()
        return rows

    def _drop_used_up(self) -> None:
        """Forget lots that nothing will come of any more."""
        sending = {sending.lot for sending in self.sending.values()}
        for lot in list(self.lots):
            if (lot.share or lot.closed) and not lot.orders and not lot.jobs() and lot not in sending:
                with suppress(StoreError):
                    lot.bag.tidy()
                self.lots.remove(lot)

    def _review(self, lot: Lot, living: Mapping[CaseKey, CaseRow], now: float) -> list[CaseRow]:
        waiting = {
            number: row for number, (key, _) in lot.orders.items()
            if (row := living.get(key)) is not None and row.state == "LAUNCHED" and self.where.get(key) == (lot, number)
        }  # fmt: skip
        if not waiting:
            return []
        taken = lot.bag.taken()
        rows = [end for n, row in waiting.items() if n in taken and (end := self._begun(lot, n, row, now))]
        free = {n: row for n, row in waiting.items() if n not in taken}
        killed = self._killed(lot, free)
        for row in killed:
            free.pop(self.where[row.key].number)
        rows += killed
        if lot.choice in self.refused:
            return rows + self._withdraw(lot, free, self.refused[lot.choice])
        if lot.blind:
            self._doubt(lot, taken, now)
        stranded = {n: row for n, row in free.items() if lot.taker(n) is None}
        if self.cancelled or self.is_away(lot.choice):
            return rows
        if stranded:
            rows += self._again(lot, stranded, taken)
        elif free and lot.unsent:
            self.launch(lot, min(lot.unsent, len(free)))
        elif free and not lot.share:
            self._grow(lot, len(free), now)
        return rows

    def _begun(self, lot: Lot, number: int, row: CaseRow, now: float) -> CaseRow | None:
        """A case that a job has taken should begin at once; when it does not, its taker may be dead."""
        since = self.claimed.setdefault(row.key, now)
        claim = lot.bag.claimed(number)
        if claim is None or number in lot.back:
            return None
        if lot.is_nobodys(claim):  # an earlier controller has withdrawn it, and died before it could record that
            self._anew(lot, number, row)
            return None
        taker = row._replace(state="RUNNING", host=claim.host, pid=claim.pid, job=claim.job)
        if now - since < _BEGIN or not self._is_dead(lot, taker, claim.writer, now - since):
            return None
        return self.blame(taker)

    def _is_dead(self, lot: Lot, taker: CaseRow, writer: str, waited: float) -> bool:
        """Whether the taker of a case that does not begin is dead, as far as anybody can know.

        A directory that another host writes may be shown late, so a journal that is not there proves nothing at once.
        """
        over = fates.is_over(lot.word(taker.job.partition(":")[2]))
        word = self.world.sight(writer)
        if word == "missing":
            return over or waited >= _UNSEEN
        return word == "dead" or (word == "silent" and (over or waited >= self.world.patience))

    def _anew(self, lot: Lot, number: int, row: CaseRow) -> None:
        """Hand a case over once more whose order nobody will run."""
        entry = lot.orders.pop(number).entry
        self.where.pop(row.key)
        self.claimed.pop(row.key, None)
        self.take(order_in(entry)._replace(gen=row.gen), lot.choice)

    def _killed(self, lot: Lot, free: Mapping[int, CaseRow]) -> list[CaseRow]:
        """Cases that somebody wants killed before they began."""
        kill_dir = self.world.setup.kill_dir
        try:
            names = set(os.listdir(kill_dir))
        except OSError:
            return []
        rows = []
        for number, row in free.items() if names else ():
            path = os.path.join(kill_dir, control.control_name(row.key))
            if os.path.basename(path) in names and (by := control.kill_asked(path)) and lot.withdraw(number):
                rows.append(over_now(row, "KILLED", "KILLED", f"killed before it began: {by}"))
                if lot.sole and (job := lot.taker(number)):
                    self.owe(lot.engine, [job])
        return rows

    def _withdraw(self, lot: Lot, free: Mapping[int, CaseRow], why: str) -> list[CaseRow]:
        """Take orders back that nobody has begun, and end their cases as what the machine could not do."""
        return [over_now(row, "COMPLETED", "INFRA", why) for n, row in free.items() if lot.withdraw(n)]

    def _doubt(self, lot: Lot, taken: Set[int], now: float) -> None:
        """Of an engine that does not list our jobs: do they live?"""
        if lot.newly(taken) or self._takers(lot):
            lot.moved = now
        elif now - lot.moved > _QUIET:
            lot.give_up()

    def _again(self, lot: Lot, stranded: Mapping[int, CaseRow], taken: Set[int]) -> list[CaseRow]:
        """No job will take these: submit more, unless that has not helped before."""
        under_way = {sending.task for sending in self.sending.values() if sending.lot is lot}
        if under_way and lot.way != "job":
            return []
        if lot.share and (unsent := [n for n in stranded if not lot.given(n)]):
            self.resubmit(lot, [n for n in unsent if n not in under_way])
            return []
        if lot.share:
            return self._share_again(lot, stranded, taken)
        if lot.got_on(taken):
            lot.tries = 0
        if lot.tries > lot.choice.lost and lot.trust_no_list(self._takers(lot)):
            self.tell(f"{lot.engine.name} does not list jobs that run: whether others have vanished it cannot tell")
            return []
        if lot.tries > lot.choice.lost:
            return self._hopeless(
                lot, stranded, next((w for sub in reversed(lot.subs) for w in sub.over.values()), None)
            )
        secs = self.mean(lot.choice, ())
        self.launch(lot, ways.pilots(len(stranded), secs, self.most(lot.choice)))
        return []

    def _takers(self, lot: Lot) -> set[str]:
        """The jobs that hold an order of a lot now and are known to live."""
        claims = filter(None, map(lot.bag.claimed, lot.bag.taken() & lot.orders.keys()))
        return {claim.job.partition(":")[2] for claim in claims if self.world.sight(claim.writer) == "alive"}

    def _share_again(self, lot: Lot, stranded: Mapping[int, CaseRow], taken: Set[int]) -> list[CaseRow]:
        """Cases whose own jobs are over before they took them go into new bags, or end when that does not help."""
        rows, hopeless = [], {}
        got_on = set() if lot.sole else lot.parts(taken)
        for number, row in stranded.items():
            given = lot.given(number)
            word = lot.word(given)
            if number % lot.share not in got_on:  # else its job got on, and was too short for all
                self.tries[row.key] = self.tries.get(row.key, 0) + 1
            if word.fate == "cancelled" and lot.sole and lot.withdraw(number):
                job = f"{lot.engine.name}:{given}"
                rows.append(fates.ended(row._replace(job=job), word, own=True, ours=False))
            elif self.tries.get(row.key, 0) > lot.choice.lost:
                hopeless[number] = row
            elif lot.withdraw(number):
                self._anew(lot, number, row)
        if hopeless:
            rows += self._hopeless(lot, hopeless, lot.word(lot.given(next(iter(hopeless)))))
        return rows

    def _hopeless(self, lot: Lot, orders: Mapping[int, CaseRow], word: Word | None) -> list[CaseRow]:
        """Jobs were submitted for these again and again, and none has begun one."""
        said = last_line(lot.bag.out) or (word and (word.said or word.fate)) or ""
        text = f"jobs of {lot.engine.name} end before they take a case" + (f": {said}" if said else "")
        self.tell(f"{text}; see {lot.bag.out}", once=text)
        return self._withdraw(lot, orders, text)

    def _grow(self, lot: Lot, free: int, now: float) -> None:
        """More pilots, when all that there are run and the rest would take them too long."""
        if now - lot.grown < _GROW:
            return
        running = sum(1 for one in lot.open() if lot.word(one).fate == "running")
        if running < lot.jobs():
            return
        total, n = self.spent.get(lot.choice, (0.0, 0))
        secs = total / n if n else now - lot.grown
        extra = ways.more(free, running, secs, self.most(lot.choice))
        if extra:
            self.launch(lot, extra)

    def blame(self, row: CaseRow) -> CaseRow | None:
        """The last row of a case whose worker is dead or was told to end; None while the engine's word is awaited."""
        place = self.where.get(row.key)
        if place is None:
            return fates.ended(row, Word(fates.GONE, ""), own=False, ours=self.cancelled)
        lot = place.lot
        polls = self.polls_of(lot)
        now = time.monotonic()
        since = self.noticed.setdefault(row.key, now)
        if since == now:
            polls.hurry()
        job = row.job.partition(":")[2]
        last, before = polls.heard(job)
        over = fates.is_over(lot.word(job))
        if not (self.cancelled or over or before > since) and now - since < _WORD:
            return None
        word = lot.word(job) if over or last > since else Word(fates.UNKNOWN, "")
        if now - since < self._wait_for(lot.engine, word) and not self.cancelled:
            self.puzzles.add((lot.engine.name, job))
            return None  # that it has ended, and how, is known soon
        self.puzzles.discard((lot.engine.name, job))
        if row.state == "RUNNING":
            lot.bag.say([{"revoke": place.number}])  # should its worker come back, from a host that was cut off
        return fates.ended(row, word, own=lot.sole, ours=self.cancelled)

    def _wait_for(self, made: Engine, word: Word) -> float:
        """Seconds after which the engine will not know better how a job has ended."""
        if made.ending and re.search(made.ending, word.said):
            return _EPILOG
        return made.late if word.fate in (fates.GONE, "running") else 0.0

    def _to_ask(self, lots: Sequence[Lot]) -> list[str]:
        """The ids of all jobs of some lots that may still run or begin, or of which more is to be known."""
        ids, names = dict.fromkeys(open_jobs(lots)), {lot.engine.name for lot in lots}
        return [*ids, *(job for name, job in self.puzzles if name in names and job not in ids)]

    def is_over(self, row: CaseRow) -> bool:
        """Whether the engine says that the job of a running case is over, whatever the case itself says."""
        place = self.where.get(row.key)
        return place is not None and fates.is_over(place.lot.word(row.job.partition(":")[2]))

    def unexplained(self, row: CaseRow) -> bool:
        """Whether an ended case was ended by its engine, whose word is wanted."""
        return row.state == "INCOMPLETE" and row.comment == TOLD and bool(row.token) and not self.cancelled


def over_now(row: CaseRow, state: str, status: str, comment: str) -> CaseRow:
    """The row with which a case ends that its controller ends."""
    return row._replace(gen=row.gen + 1, state=state, status=status, comment=comment, end=time.time())


def open_jobs(lots: Sequence[Lot]) -> list[str]:
    """The ids of all jobs of some lots that may still run or begin."""
    return [one for lot in lots for one in lot.open()]
