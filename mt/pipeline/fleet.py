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
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from mt.errors import MtError, StoreError
from mt.launchers import engine
from mt.launchers.base import Ask, Engine, Job, Word
from mt.launchers.calling import Answer, call, explain, trouble_of
from mt.launchers.words import Choice, over
from mt.model import CaseKey, CaseRow
from mt.pipeline import absences, control, fates, ways
from mt.pipeline.absences import Absences
from mt.pipeline.bag import CLAIMS, Bag, Entry, Terms, bags_of, order_of, token_of
from mt.pipeline.case import Order, Setup
from mt.pipeline.jobs import job_name
from mt.pipeline.lots import Lot, Share, last_line
from mt.pipeline.pilot import TOLD, order_in
from mt.pipeline.polls import Polls
from mt.replacing import replacing
from mt.stdio import say

#: cases that may be handed over and not have ended
MOST_HANDED = 20_000
#: jobs at once where neither the launcher, nor the command, nor the area says how many
MOST_JOBS = 100
#: seconds: how long a submission may take; how long we gather cases that become ready; between two looks at the bags
_SUBMIT, _GATHER, _REVIEW = 30.0, 0.25, 1.0
#: seconds to wait for the engine's word about a job that is dead, and for a claimed case to begin
_WORD, _BEGIN = 15.0, 5.0
#: seconds between a submission of pilots and one of more of them
_GROW = 2.0


class World(NamedTuple):
    """What a fleet needs to know of the run it serves.

    `choice` is the engine of a case or None, `expected` its seconds or None,
    `emit` records a row, `health` tells `alive`, `dead` or `silent` of the
    worker that a row names, `jobs` is how many jobs there may be at once, `env`
    the environment of the run.
    """

    setup: Setup
    home: str
    root: str
    suite: str
    choice: Callable[[str, str], Choice | None]
    read: Callable[[str], Choice | None]
    expected: Callable[[CaseKey], float | None]
    emit: Callable[[str, Any], object]
    health: Callable[[CaseRow], str]
    jobs: int
    env: Mapping[str, str]
    setvars: Sequence[tuple[str, str]] = ()


class Waiting(NamedTuple):
    """A case that is ready and not yet in a bag; `since` is when it came, by our clock."""

    order: Order
    since: float


class Place(NamedTuple):
    """Where a case is that was handed over."""

    lot: Lot
    number: int


class Fleet:
    """All jobs of one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ready: dict[Choice, list[Waiting]] = {}
        self.lots: list[Lot] = []
        self.where: dict[CaseKey, Place] = {}
        self.polls: dict[str, Polls] = {}
        self.tries: dict[CaseKey, int] = {}
        self.refused: dict[Choice, str] = {}
        self.spent: dict[Choice, tuple[float, int]] = {}
        self.absences = Absences()
        self.useless: dict[Choice, set[str]] = {}  # hosts that refuse such jobs
        self.noticed: dict[CaseKey, float] = {}  # when we began to wait for a word, or for the begin of a claimed case
        self.puzzles: set[tuple[str, str]] = set()  # jobs that are gone, while their end has not been told yet
        self.reviewed = 0.0
        self.cancelled = False
        self.last = False
        self.said: set[str] = set()
        self.owed: dict[absences.Place, list[str]] = {}  # jobs that are still to be cancelled

    # -- handing over ---------------------------------------------------------------------------

    def room(self) -> int:
        """How many more cases may be handed over."""
        return MOST_HANDED - len(self.where) - sum(map(len, self.ready.values()))

    def take(self, order: Order, choice: Choice) -> None:
        """A case is ready; it goes into a bag at the next `hand_over`."""
        self.ready.setdefault(choice, []).append(Waiting(order, time.monotonic()))

    def hand_over(self, *, at_once: bool = False) -> list[CaseRow]:
        """Put what is ready into bags and submit jobs for it; gives the rows of what was handed over, or refused.

        Where jobs are no pilots, cases that become ready within a moment go together, unless `at_once`.
        """
        now = time.monotonic()
        rows: list[CaseRow] = []
        for choice, waiting in list(self.ready.items()):
            if choice in self.refused:
                rows += [self.unlaunched(w.order, self.refused[choice]) for w in waiting]
                del self.ready[choice]
            elif waiting and not self.is_away(choice):
                rows += self._hand_over(choice, waiting, now + at_once * _GATHER * 4)
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
            self.world.setvars, made.name, way, share, choice.ask.time, choice.notice, choice.idle,
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

    def _launched(self, lot: Lot, number: int, order: Order, now: float) -> CaseRow:
        s = self.world.setup
        where = os.path.join(s.linktree, s.run.target, s.run.name, order.test, order.item).rstrip("/")
        return CaseRow(
            order.test, order.item, order.attempt, order.gen + 1, "LAUNCHED", "LAUNCHED", start=now, dir=where,
            token=token_of(lot.bag, number),
        )  # fmt: skip

    def unlaunched(self, order: Order, comment: str) -> CaseRow:
        """A case whose job could not be submitted: it stays runnable."""
        row = CaseRow(order.test, order.item, order.attempt, order.gen + 2, "COMPLETED", "INFRA", comment=comment)
        return row._replace(start=time.time(), end=time.time())

    def mean(self, choice: Choice, waiting: Sequence[Waiting]) -> float | None:
        """Seconds that a case of this kind takes, as measured in this run, else as expected, else None."""
        total, n = self.spent.get(choice, (0.0, 0))
        if n:
            return total / n
        known = [secs for w in waiting[:200] if (secs := self.world.expected(CaseKey(w.order.test, w.order.item)))]
        return sum(known) / len(known) if known else None

    def most(self, choice: Choice) -> int:
        """How many jobs of a kind there may be at once."""
        slots = sum(n for _, n in choice.hosts)
        return min(filter(None, (slots, choice.jobs or self.world.jobs)))

    def jobs(self, choice: Choice) -> int:
        """How many jobs of a kind are open."""
        return sum(lot.jobs() for lot in self.lots if lot.choice == choice)

    # -- submitting -----------------------------------------------------------------------------

    def is_away(self, choice: Choice) -> bool:
        """Whether nothing can be submitted now, as far as is known."""
        bad = self.useless.get(choice, ())
        hosts = [host for host in choice.hosts if host[0] not in bad]
        return self.absences.all_away(absences.places(choice.engine, hosts))

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
        """Submit one after another, until one is not taken."""
        before = len(lot.subs)
        for tasks, task in jobs:
            if not self.submit(lot, tasks, task):
                break
        if len(lot.subs) > before:
            lot.tries += 1
            if lot.share:
                self.name_jobs(lot)

    def submit(self, lot: Lot, tasks: int, task: int | None = None) -> bool:
        """Submit one job or array, where the engine has hosts to one after another; False when nobody took it."""
        while lot.choice not in self.refused and (host := self.host(lot)) is not None:
            if self._send(lot, host, tasks, task):
                return True
            if not host:
                break
        return False

    def resubmit(self, lot: Lot, numbers: Iterable[int]) -> None:
        """Submit what nobody took when it was handed over: nothing was tried yet."""
        self._submit_each(lot, [(lot.share, None)] if lot.way == "array" else [(0, number) for number in numbers])

    def _send(self, lot: Lot, host: str, tasks: int, task: int | None) -> bool:
        choice, made = lot.choice, lot.engine
        words = () if task is None else (str(task),)
        python = choice.python or sys.executable
        job = Job(
            self.name, (python, "-m", "mt.pipeline.pilot", lot.bag.path, *words), lot.bag.out, self.world.home,
            choice.ask, tasks, self.most(choice) if tasks > self.most(choice) else 0, int(choice.notice), host,
        )  # fmt: skip
        path = os.path.join(lot.bag.path, f"job-{len(lot.subs)}.sh")
        place, at = absences.Place(made.name, host), time.monotonic()
        try:
            with replacing(path) as name, open(name, "w", encoding="utf-8", errors="surrogateescape") as f:
                f.write(made.text(job))
            answer = call(made.submit(job, path), seconds=_SUBMIT, env=self.env, cwd=lot.bag.path)
        except StoreError:
            raise
        except MtError as e:
            return self._refuse(lot, place, e.what)
        found = None if answer.status else re.search(made.job_id, answer.out, re.MULTILINE)
        if found is None:
            return self._failed(lot, place, answer, time.monotonic() - at)
        lot.submitted(found[1], tasks, at, task)
        self.absences.found(place)
        self.polls_of(lot).hurry()
        return True

    def _failed(self, lot: Lot, place: absences.Place, answer: Answer, took: float) -> bool:
        """Who cannot be reached is tried later; what is refused would be refused again."""
        text = explain(lot.engine, answer)
        trouble = trouble_of(lot.engine, answer)
        if (trouble is None and answer.status) or (trouble is not None and not trouble.passing):
            return self._refuse(lot, place, text, trouble.hint if trouble else "")
        self.absences.missed(place, took)
        lot.bag.log("trouble", what=f"{place}: {text}" if place.host else text)
        self.tell(f"{place}: {text}; trying again")
        return False

    def _refuse(self, lot: Lot, place: absences.Place, text: str, hint: str = "") -> bool:
        """Nothing more is submitted there; where there is nothing else, cases of this kind end."""
        choice = lot.choice
        bad = self.useless.setdefault(choice, set())
        bad.add(place.host)
        lot.bag.log("refused", why=f"{place}: {text}" if place.host else text)
        if bad >= {host for host, _ in choice.hosts}:
            self.refused[choice] = f"{choice.engine} did not take its job: {text}"
        same = re.sub(rf"(?<![\w.-]){re.escape(place.host)}(?![\w.-])", "", text) if place.host else text
        self.tell(f"{place} did not take a job: {text}", once=same)
        if hint:
            self.tell(f"hint: {hint}")
        return False

    def host(self, lot: Lot) -> str | None:
        """The host for a job: the one with most room; None when all are full or away, "" where the engine chooses.

        A slot is one for all kinds of cases, so pilots of others that have nothing to do make room.
        """
        choice = lot.choice
        if not choice.hosts:
            return None if self.is_away(choice) else ""
        from mt.launchers.ssh import next_host

        def away(name: str) -> bool:
            return self.absences.away(absences.Place(choice.engine, name))

        busy: dict[str, int] = {}
        for one in (one for other in self.lots if other.engine.name == choice.engine for one in other.open()):
            name = lot.engine.apart(one)
            busy[name] = busy.get(name, 0) + 1
        bad = self.useless.get(choice, ())
        there = [(name, n) for name, n in choice.hosts if name not in bad and not away(name)]
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
                lot.bag.say([{"closed": True}])
                lot.closed = True
                self.polls_of(lot).hurry()

    def name_jobs(self, lot: Lot) -> None:
        """Record the jobs of cases that are dealt out; those that have begun say more themselves."""
        for number, (key, entry) in lot.orders.items():
            job = lot.taker(number)
            if job is not None and key in self.where:
                row = self._launched(lot, number, order_in(entry), entry.sent)
                self.world.emit("case", row._replace(job=f"{lot.engine.name}:{job}"))

    @property
    def name(self) -> str:
        """The name of all jobs of the run, for people and for queries by name."""
        return job_name(self.world.suite, self.world.setup.run_id, self.world.root)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of the engine's commands, without what would make squeue list only some of our jobs."""
        return {k: v for k, v in self.world.env.items() if not k.startswith("SQUEUE_")}

    def polls_of(self, lot: Lot) -> Polls:
        """The queries of an engine."""
        name = lot.engine.name
        if name not in self.polls:
            self.polls[name] = Polls(lot.engine, lot.choice.poll, self.env)
        return self.polls[name]

    def tell(self, text: str, once: str = "") -> None:
        """Say something once, or one of what comes to the same."""
        if (once or text) not in self.said:
            self.said.add(once or text)
            say(text)

    # -- adopting -------------------------------------------------------------------------------

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
        for entry in _bags_left(bags_of(self.world.root, self.world.setup.run_id)):
            if entry not in found:
                found[entry] = self._found(entry)
        for lot in filter(None, found.values()):
            ours = {number for place, number in self.where.values() if place is lot}
            for number in lot.orders.keys() - ours - lot.bag.taken():
                lot.bag.withdraw(number)
            lot.orders = {number: share for number, share in lot.orders.items() if number in ours}

    def _take_back(self, name: str, number: int) -> bool:
        """Whether an order that cannot be adopted will not run: it was never in its bag, or we have withdrawn it."""
        bag = Bag(os.path.join(bags_of(self.world.root, self.world.setup.run_id), name))
        try:
            return bag.withdraw(number)
        except StoreError:
            return not os.path.isdir(bag.path)

    def _found(self, name: str) -> Lot | None:
        bag = Bag(os.path.join(bags_of(self.world.root, self.world.setup.run_id), name))
        try:
            terms = bag.terms()
            told = next((line for line in bag.logged() if line.get("e") == "submitted"), {})
            choice = self.world.read(str(told.get("launcher") or terms.engine)) or Choice(terms.engine)
            ask = {**told.get("ask", {}), "time": terms.secs}
            lot = Lot.found(bag, engine(terms.engine), choice._replace(ask=over(_ask(ask), choice.ask)))
        except (MtError, ImportError, KeyError, ValueError, TypeError):
            return None  # it is no bag of ours
        self.lots.append(lot)
        self.polls_of(lot).hurry()
        bag.say([{"closed": True}])  # what comes now goes into bags of ours
        return lot

    # -- looking --------------------------------------------------------------------------------

    def ended(self, row: CaseRow) -> None:
        """A case is over."""
        place = self.where.pop(row.key, None)
        self.noticed.pop(row.key, None)
        if place is None:
            return
        if row.secs:
            total, n = self.spent.get(place.lot.choice, (0.0, 0))
            self.spent[place.lot.choice] = (total + row.secs, n + 1)
        place.lot.leave(place.number, row.job.partition(":")[2])
        place.lot.orders.pop(place.number, None)
        place.lot.tries = 0

    def look(self, living: Mapping[CaseKey, CaseRow]) -> list[CaseRow]:
        """Ask the engines if it is time, and see to cases whose jobs cannot run them; gives rows that end cases."""
        for name, polls in self.polls.items():
            mine = [lot for lot in self.lots if lot.engine.name == name]
            seen = polls.step(self.name, partial(self._to_ask, mine))
            if polls.trouble:
                self.tell(f"{name} cannot be asked: {polls.trouble}; jobs go on, asking again")
            if seen is not None and any([lot.hear(seen) for lot in mine]):
                polls.freshen()
                for lot in mine if polls.engine.stuck else ():
                    self.owe(lot.engine, lot.stuck(seen))
        self._cancel_owed()
        now = time.monotonic()
        if now - self.reviewed < _REVIEW:
            return []
        self.reviewed = now
        return [row for lot in list(self.lots) for row in self._review(lot, living, now)]

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
        stranded = {n: row for n, row in free.items() if lot.taker(n) is None}
        if stranded and not self.is_away(lot.choice) and not self.cancelled:
            rows += self._again(lot, stranded)
        elif free and not lot.share:
            self._grow(lot, len(free), now)
        return rows

    def _begun(self, lot: Lot, number: int, row: CaseRow, now: float) -> CaseRow | None:
        """A case that a job has taken should begin at once; when it does not, its taker may be dead."""
        since = self.noticed.setdefault(row.key, now)
        claim = lot.bag.claimed(number)
        if now - since < _BEGIN or claim is None:
            return None
        taker = row._replace(state="RUNNING", host=claim.host, pid=claim.pid, job=claim.job)
        if claim.host and self.world.health(taker) == "alive":
            return None
        return self.blame(taker)

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
            if os.path.basename(path) in names and (by := control.kill_asked(path)) and lot.bag.withdraw(number):
                control.forget(path)
                rows.append(_over(row, "KILLED", "KILLED", f"killed before it began: {by}"))
                if lot.way != "pilot" and (job := lot.taker(number)):
                    self.owe(lot.engine, [job])
        return rows

    def _withdraw(self, lot: Lot, free: Mapping[int, CaseRow], why: str) -> list[CaseRow]:
        """Take orders back that nobody has begun, and end their cases as what the machine could not do."""
        return [_over(row, "COMPLETED", "INFRA", why) for n, row in free.items() if lot.bag.withdraw(n)]

    def _again(self, lot: Lot, stranded: Mapping[int, CaseRow]) -> list[CaseRow]:
        """No job will take these: submit more, unless that has not helped before."""
        if lot.share and (unsent := [n for n in stranded if not lot.given(n)]):
            self.resubmit(lot, unsent)
            return []
        if lot.share:
            return self._share_again(lot, stranded)
        if lot.tries > lot.choice.lost:
            return self._hopeless(
                lot, stranded, next((w for sub in reversed(lot.subs) for w in sub.over.values()), None)
            )
        secs = self.mean(lot.choice, ())
        self.launch(lot, ways.pilots(len(stranded), secs, self.most(lot.choice)))
        return []

    def _share_again(self, lot: Lot, stranded: Mapping[int, CaseRow]) -> list[CaseRow]:
        """Cases whose own jobs are over before they took them go into new bags, or end when that does not help."""
        rows = []
        for number, row in stranded.items():
            word = lot.word(lot.given(number))
            tries = self.tries[row.key] = self.tries.get(row.key, 0) + 1
            if word.fate == "cancelled" and lot.sole and lot.bag.withdraw(number):
                job = f"{lot.engine.name}:{lot.given(number)}"
                rows.append(fates.ended(row._replace(job=job), word, own=True, ours=False))
            elif tries > lot.choice.lost:
                rows += self._hopeless(lot, {number: row}, word)
            elif lot.bag.withdraw(number):
                entry = lot.orders.pop(number).entry
                self.where.pop(row.key)
                self.take(order_in(entry)._replace(gen=row.gen), lot.choice)
        return rows

    def _hopeless(self, lot: Lot, orders: Mapping[int, CaseRow], word: Word | None) -> list[CaseRow]:
        """Jobs were submitted for these again and again, and none has begun one."""
        said = last_line(lot.bag.out) or (word and (word.said or word.fate)) or ""
        text = f"jobs of {lot.engine.name} end before they take a case" + (f": {said}" if said else "")
        self.tell(f"{text}; see {lot.bag.out}", once=text)
        return self._withdraw(lot, orders, text)

    def _grow(self, lot: Lot, free: int, now: float) -> None:
        """More pilots, when all that there are run and the rest would take them too long."""
        if now - lot.grown < _GROW or self.is_away(lot.choice):
            return
        running = sum(1 for one in lot.open() if lot.word(one).fate == "running")
        if running < lot.jobs():
            return
        total, n = self.spent.get(lot.choice, (0.0, 0))
        secs = total / n if n else now - lot.grown
        extra = ways.more(free, running, secs, self.most(lot.choice))
        if extra:
            self.launch(lot, extra)

    # -- what became of a job ---------------------------------------------------------------------

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
        if word.fate in (fates.GONE, "running") and now - since < lot.engine.late and not self.cancelled:
            self.puzzles.add((lot.engine.name, job))
            return None  # that it has ended, and how, is known soon
        self.puzzles.discard((lot.engine.name, job))
        if row.state == "RUNNING":
            lot.bag.say([{"revoke": place.number}])  # should its worker come back, from a host that was cut off
        return fates.ended(row, word, own=lot.sole, ours=self.cancelled)

    def _to_ask(self, lots: Sequence[Lot]) -> list[str]:
        """The ids of all jobs of some lots that may still run or begin, or of which more is to be known."""
        ids, names = _open(lots), {lot.engine.name for lot in lots}
        return [*ids, *(job for name, job in self.puzzles if name in names and job not in ids)]

    def is_over(self, row: CaseRow) -> bool:
        """Whether the engine says that the job of a running case is over, whatever the case itself says."""
        place = self.where.get(row.key)
        return place is not None and fates.is_over(place.lot.word(row.job.partition(":")[2]))

    def unexplained(self, row: CaseRow) -> bool:
        """Whether an ended case was ended by its engine, whose word is wanted."""
        return row.state == "INCOMPLETE" and row.comment == TOLD and bool(row.token) and not self.cancelled

    # -- the end ----------------------------------------------------------------------------------

    def cancel(self, living: Mapping[CaseKey, CaseRow]) -> list[CaseRow]:
        """End all jobs, with as few calls as possible; gives rows that end what had not begun."""
        self.cancelled = True
        rows = [_ended_unbegun(w.order) for waiting in self.ready.values() for w in waiting]
        self.ready.clear()
        for lot in self.lots:
            lot.bag.say([{"stop": "cancelled by its controller"}])
            self.owe(lot.engine, lot.roots())
        self._cancel_owed(at_once=True)
        for lot in self.lots:
            rows += self._back(lot, living, "KILLED", "cancelled before it began")
        return rows

    def drain(self, living: Mapping[CaseKey, CaseRow]) -> list[CaseRow]:
        """Let what has begun end; gives rows that end what has not."""
        rows = [_ended_unbegun(w.order) for waiting in self.ready.values() for w in waiting]
        self.ready.clear()
        self.no_more()
        for lot in self.lots:
            rows += self._back(lot, living, "n/a", "its run was stopped before it began")
            ended = {row.key for row in rows}
            if not any(key in living and key not in ended for key, _ in lot.orders.values()):
                self.owe(lot.engine, lot.roots())
        return rows

    def _back(self, lot: Lot, living: Mapping[CaseKey, CaseRow], status: str, comment: str) -> list[CaseRow]:
        """Take back all orders of a lot that nobody has begun; their cases run again with the next command."""
        free = {n: row for n, (key, _) in lot.orders.items() if (row := living.get(key)) and row.state == "LAUNCHED"}
        return [_over(row, "INCOMPLETE", status, comment) for n, row in free.items() if lot.bag.withdraw(n)]

    def owe(self, made: Engine, jobs: Iterable[str]) -> None:
        """Jobs that are to be cancelled, all of one place with one call."""
        for job in jobs:
            self.owed.setdefault(absences.Place(made.name, made.apart(job)), []).append(job)

    def _cancel_owed(self, *, at_once: bool = False) -> None:
        """Cancel jobs; what could not be done now is tried again with the next looks."""
        for place, jobs in list(self.owed.items()):
            if self.absences.away(place) and not at_once:
                continue
            made, at = engine(place.engine), time.monotonic()
            answers = [call(argv, seconds=_SUBMIT, env=self.env) for argv in made.cancel(list(dict.fromkeys(jobs)))]
            bad = next((a for a in answers if a.status and (t := trouble_of(made, a)) and t.passing), None)
            for lot in self.lots:
                if lot.engine.name == place.engine and (ours := set(lot.roots()).intersection(jobs)):
                    lot.bag.log("cancelled", jobs=sorted(ours))
            if bad is None:
                del self.owed[place]
                continue
            self.absences.missed(place, time.monotonic() - at)
            self.tell(f"{place} could not be told to end the jobs: {explain(made, bad)}; trying again")

    def no_more(self) -> None:
        """Nothing new will come, as far as is known: pilots may leave when nothing is free."""
        for lot in self.lots if not self.last else ():
            if not lot.closed:
                lot.bag.say([{"closed": True}])
                lot.closed = True
        self.last = True

    def more(self) -> None:
        """There is more after all."""
        self.last = False

    def finish(self) -> None:
        """The run is over: end what still waits in a queue, and tidy up what is of no use any more."""
        self.no_more()
        for name, polls in self.polls.items():
            mine = [lot for lot in self.lots if lot.engine.name == name]
            seen = polls.last(self.name, _open(mine)) if any(lot.jobs() for lot in mine) else None
            if seen is not None:
                for lot in mine:
                    lot.hear(seen)
        for lot in self.lots:
            idle = [one for one in lot.open() if lot.word(one).fate not in ("running", "suspended")]
            if idle and not lot.orders and not self.cancelled:
                self.owe(lot.engine, lot.roots())
        self._cancel_owed(at_once=True)
        for polls in self.polls.values():
            polls.stop()
        for lot in self.lots:
            if not lot.orders:
                lot.bag.tidy()


def _ask(fields: Mapping[str, Any]) -> Ask:
    """What a job asked, as the log of its bag tells."""
    known = {name: value for name, value in fields.items() if name in Ask._fields}
    return Ask(**{**known, "flags": tuple(known.get("flags", ()))})


def _bags_left(above: str) -> list[str]:
    """The names of bags that no controller has tidied up."""
    try:
        return sorted(name for name in os.listdir(above) if os.path.isdir(os.path.join(above, name, CLAIMS)))
    except OSError:
        return []


def _open(lots: Sequence[Lot]) -> list[str]:
    """The ids of all jobs of some lots that may still run or begin."""
    return [one for lot in lots for one in lot.open()]


def _over(row: CaseRow, state: str, status: str, comment: str) -> CaseRow:
    return row._replace(gen=row.gen + 1, state=state, status=status, comment=comment, end=time.time())


def _ended_unbegun(order: Order) -> CaseRow:
    row = CaseRow(order.test, order.item, order.attempt, order.gen + 1, "INCOMPLETE", "KILLED")
    return row._replace(comment="cancelled before it began", start=time.time(), end=time.time())
