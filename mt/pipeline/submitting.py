"""Submit jobs for the lots of a fleet: what is refused, who is away, and which host is next.

Who cannot be reached is tried later; what is refused would be refused again, so
it is told once, with a hint, and cases of that kind stay runnable.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Sequence

from mt.errors import MtError, StoreError
from mt.launchers.base import Job, notice
from mt.launchers.calling import Answer, Asking, explain, trouble_of
from mt.launchers.words import Choice
from mt.pipeline import absences
from mt.pipeline.lots import Lot
from mt.pipeline.pilot import order_in
from mt.pipeline.yard import Sending, Yard
from mt.replacing import replacing

#: seconds that a submission may take; Slurm says after 50 that its munge is away
_SUBMIT = 60.0
#: seconds that we wait for an answer, and submit without looking at anything else; the same when cases run here
AT_ONCE, BRIEF = 2.0, 0.2


class Submitting(Yard):
    """A fleet that can submit."""

    def begin_look(self) -> None:
        """From now on others wait for us; so long that they do not mind."""
        self.until = time.monotonic() + (BRIEF if self.others() else AT_ONCE)

    def is_away(self, choice: Choice) -> bool:
        """Whether nothing can be submitted now, as far as is known."""
        bad = self.useless.get(choice, ())
        hosts = [host for host in choice.hosts if host[0] not in bad]
        return self.absences.away(choice) or all(map(self.absences.away, absences.places(choice.engine, hosts)))

    def _is_busy(self, place: absences.Place) -> bool:
        """Whether a place is away, or has not answered yet."""
        return place in self.sending or self.absences.away(place)

    def launch(self, lot: Lot, many: int) -> None:
        """Submit the jobs of a lot: one for each order, an array, or so many pilots."""
        if lot.way == "job":
            self._submit_each(lot, [(0, task) for task in range(lot.share)])
        elif lot.way == "array":
            self._submit_each(lot, [(lot.share, None)])
        elif lot.engine.task_number[0]:
            self._submit_each(lot, [(many, None)])
        else:
            self._submit_each(lot, [(0, None)] * many)

    def _submit_each(self, lot: Lot, jobs: Sequence[tuple[int, int | None]]) -> None:
        """Submit one after another, until one is not taken or others have waited long enough for us."""
        before = len(lot.subs)
        lot.unsent = 0
        for n, (tasks, task) in enumerate(jobs):
            if not self.leaving and (time.monotonic() >= self.until or self.urgency()):
                lot.unsent = len(jobs) - n
                break
            if not self.submit(lot, tasks, task):
                break
        if len(lot.subs) > before:
            lot.tries += 1
            if lot.share:
                self.name_jobs(lot)

    def submit(self, lot: Lot, tasks: int, task: int | None = None) -> bool:
        """Submit one job or array, where the engine has hosts to one after another; False when none has it in hand."""
        choice = lot.choice
        while not (choice in self.refused or self.absences.away(choice)) and (host := self.host(lot)) is not None:
            if self._send(lot, host, tasks, task):
                return True
            if not host:
                break
        return False

    def resubmit(self, lot: Lot, numbers: Iterable[int]) -> None:
        """Submit what nobody took when it was handed over: nothing was tried yet."""
        self._submit_each(lot, [(lot.share, None)] if lot.way == "array" else [(0, number) for number in numbers])

    def _send(self, lot: Lot, host: str, tasks: int, task: int | None) -> bool:
        """Start a submission; whose answer lets us wait is heard later (`hear_sent`), and until then gets no other."""
        choice, made = lot.choice, lot.engine
        words = () if task is None else (str(task),)
        python = choice.python or sys.executable
        job = Job(
            self.name, (python, "-m", "mt.pipeline.pilot", lot.bag.path, *words), lot.bag.out, self.world.home,
            choice.ask, tasks, self.most(choice) if tasks > self.most(choice) else 0,
            notice(choice.notice, choice.ask.time), host,
        )  # fmt: skip
        lot.scripts += 1
        path = os.path.join(lot.bag.path, f"job-{os.getpid():x}-{lot.scripts}.sh")
        place, at = absences.Place(made.name, host), time.monotonic()
        try:
            with replacing(path) as name, open(name, "w", encoding="utf-8", errors="surrogateescape") as f:
                f.write(made.text(job))
            asking = Asking([made.submit(job, path)], seconds=_SUBMIT, env=self.env, cwd=lot.bag.path)
        except StoreError:
            raise
        except MtError as e:
            return self._refuse(lot, place, e.what, known=True)
        sending = Sending(lot, tasks, task, at, asking)
        patience = _SUBMIT if self.leaving else max(self.until - at, 0.0)
        answers = asking.wait(patience, lambda: self.urgency() > 1)
        if answers is None:
            self.sending[place] = sending
            return True  # it is in hand
        return self._told(place, sending, answers[0])

    def hear_sent(self) -> bool:
        """The answers of submissions that were slow; tells whether there was one."""
        heard = False
        for place, sending in list(self.sending.items()):
            answers = sending.asking.done()
            if answers is None:
                continue
            del self.sending[place]
            heard = True
            if self._told(place, sending, answers[0]):
                sending.lot.tries += 1
                if sending.lot.share:
                    self.name_jobs(sending.lot)
                if self.cancelled:
                    self.owe(sending.lot.engine, sending.lot.roots())
        return heard

    def _told(self, place: absences.Place, sending: Sending, answer: Answer) -> bool:
        """Take the answer to a submission; tells whether there is a job now."""
        lot = sending.lot
        found = None if answer.status else re.search(lot.engine.job_id, answer.out, re.MULTILINE)
        if found is None:
            return self._failed(lot, place, answer)
        lot.submitted(found[1], sending.tasks, sending.at, sending.task)
        for known in (place, lot.choice):
            self.absences.found(known)
            self.rebuffs.pop(known, None)
            self.accepted.add(known)
        self.polls_of(lot).hurry()
        return True

    def _failed(self, lot: Lot, place: absences.Place, answer: Answer) -> bool:
        """Who cannot be reached is tried later; what is refused would be refused again."""
        text, trouble = explain(lot.engine, answer), trouble_of(lot.engine, answer)
        if not answer.status:
            text = f"its answer has no job id: {text}"
        elif trouble is not None and trouble.passing:
            self.absences.missed(place)
            lot.note("trouble", what=f"{place}: {text}" if place.host else text)
            self.tell(f"{place}: {text}; trying again")
            return False
        return self._refuse(lot, place, text, trouble.hint if trouble else "", known=trouble is not None)

    def _refuse(self, lot: Lot, place: absences.Place, text: str, hint: str = "", *, known: bool) -> bool:
        """Nothing more is submitted there for now, or at all; where there is nothing else, cases of this kind end."""
        choice = lot.choice
        lot.note("refused", why=f"{place}: {text}" if place.host else text)
        if self._is_final(choice, place, known=known):
            bad = self.useless.setdefault(choice, set())
            bad.add(place.host)
            if bad >= {host for host, _ in choice.hosts}:
                self.refused[choice] = f"{choice.engine} did not take its job: {text}"
            same = re.sub(rf"(?<![\w.-]){re.escape(place.host)}(?![\w.-])", "", text) if place.host else text
            self.tell(f"{place} did not take a job: {text}", once=same)
        else:
            key = place if place.host else choice
            self.absences.missed(key)
            if key not in self.accepted:
                return False  # asked once more before anybody is told
            self.tell(f"{place} did not take a job: {text}; trying again", once=f"{place} {choice.text}: again")
        if hint:
            self.tell(f"hint: {hint}")
        return False

    def _is_final(self, choice: Choice, place: absences.Place, *, known: bool) -> bool:
        """Whether a refusal is the last word: where such jobs run none is, where some did it must be said often.

        One that nobody knows might be a moment's, so it must be said twice.
        """
        runs = any(
            lot.engine.apart(one) == place.host for lot in self.lots if lot.choice == choice for one in lot.roots()
        )
        if runs:
            return False
        key = place if place.host else choice
        times = self.rebuffs[key] = self.rebuffs.get(key, 0) + 1
        return times > (choice.lost if key in self.accepted else 0 if known else 1)

    def host(self, lot: Lot) -> str | None:
        """The host for a job: the one with most room; None when all are full or away, "" where the engine chooses.

        A slot is one for all kinds of cases, so pilots of others that have nothing to do make room.
        """
        choice = lot.choice
        if not choice.hosts:
            return None if self._is_busy(absences.Place(choice.engine)) else ""
        from mt.launchers.ssh import next_host

        busy: dict[str, int] = {}
        for one in (one for other in self.lots if other.engine.name == choice.engine for one in other.open()):
            name = lot.engine.apart(one)
            busy[name] = busy.get(name, 0) + 1
        bad = self.useless.get(choice, ())
        there = [
            (name, n) for name, n in choice.hosts
            if name not in bad and not self._is_busy(absences.Place(choice.engine, name))
        ]  # fmt: skip
        found = next_host(there, busy)
        if there and not found:
            self._make_room(lot)
        return found or None

    def _make_room(self, wanting: Lot) -> None:
        """Close bags of the same engine in which nothing is free, so that pilots that wait for more leave."""
        for lot in self.lots:
            if lot is wanting or lot.engine.name != wanting.engine.name or lot.share or lot.closed:
                continue
            if not set(lot.orders) - lot.bag.taken():
                lot.close()
                self.polls_of(lot).hurry()

    def name_jobs(self, lot: Lot) -> None:
        """Record the jobs of cases that are dealt out; those that have begun say more themselves."""
        for number, (key, entry) in lot.orders.items():
            job = lot.taker(number)
            if job is not None and key in self.where and lot.named.get(number) != job:
                lot.named[number] = job
                row = self._launched(lot, number, order_in(entry), entry.sent)
                self.world.emit("case", row._replace(job=f"{lot.engine.name}:{job}"))
