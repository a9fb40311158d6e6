"""A lot: a bag of orders with the jobs that were submitted for it, and what the engine has said of them.

It runs nothing: the fleet submits and asks, and tells the lot, which writes all
of it into the bag's log, so that the next controller finds it there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, NamedTuple

from mt.errors import StoreError
from mt.launchers.base import Engine, Word
from mt.launchers.words import Choice
from mt.model import CaseKey
from mt.pipeline.bag import Bag, Claim, Entry, Reader
from mt.pipeline.fates import GONE, is_over
from mt.pipeline.jobs import LEFT
from mt.pipeline.polls import Seen
from mt.trace import trace

#: answered queries, and of the shortest pauses between two of them after the submission (10 s where nothing is said
#: of them), after which a job that is not listed is gone
_MISSED, _APPEARS = 2, 5
_NEVER = "accepted and never listed"
#: bytes at the end of what a job has printed, in which its last line is
_END = 4000
#: seconds after which the log tells of another reason why a job waits
_REASONS = 60.0


class Submission:
    """One job or array as it was submitted; `task` is the share that a single job was given, else None."""

    def __init__(self, job: str, ids: list[str], at: float, task: int | None = None) -> None:
        self.job = job
        self.ids = ids  # of its tasks, or its own
        self.at = at
        self.task = task
        self.seen: set[str] = set()
        self.over: dict[str, Word] = {}
        self.missed: dict[str, int] = {}

    def open(self) -> list[str]:
        """The ids of what may still run or begin."""
        return [one for one in self.ids if one not in self.over] if self.over else self.ids


class Share(NamedTuple):
    """The order of a case in a lot."""

    key: CaseKey
    entry: Entry


class Lot:
    """A bag and its jobs; `choice` says how its jobs are submitted."""

    def __init__(self, bag: Bag, engine: Engine, choice: Choice, way: str, share: int) -> None:
        self.bag = bag
        self.engine = engine
        self.choice = choice
        self.way = way
        self.share = share
        self.orders: dict[int, Share] = {}
        self.subs: list[Submission] = []
        self.of_task: dict[int, list[Submission]] = {}  # those of single jobs, by the share they were given
        self.words: dict[str, Word] = {}
        self.tries = 0  # times that jobs were submitted since anything of the lot has begun
        self.grown = time.monotonic()
        self.closed = False
        self.unsent = 0  # pilots that are still to be submitted
        self.scripts = 0
        self.back: set[int] = set()  # orders that we have withdrawn
        self.took: set[str] = set()  # jobs that have run a case
        self.listed: set[str] = set()  # jobs that the engine has ever told of
        self.named: dict[int, str] = {}  # the job that was recorded for an order
        self.takers: dict[int, str] = {}  # the jobs that took orders, as far as we have looked
        self.moved = self.grown  # when the last one was taken, as far as we have seen
        self.blind = False  # the engine does not list jobs that run: that one is not listed says nothing
        self._told: dict[str, tuple[float, Word]] = {}  # what the log says of jobs, and since when

    # -- what is recorded -----------------------------------------------------------------------

    def submitted(self, job: str, tasks: int, at: float, task: int | None = None, *, log: bool = True) -> Submission:
        """A job has been accepted."""
        ids = [self.engine.task(job, n) for n in range(tasks)] if tasks else [job]
        sub = Submission(job, ids, at, task)
        self.subs.append(sub)
        if task is not None:
            self.of_task.setdefault(task, []).append(sub)
        self.grown = at
        if log:
            self.bag.log(
                "submitted", id=job, tasks=tasks, task=task, engine=self.engine.name, launcher=self.choice.text,
                way=self.way, ask=self.choice.ask._asdict(),
            )  # fmt: skip
        return sub

    @classmethod
    def found(cls, bag: Bag, engine: Engine, choice: Choice) -> Lot:
        """The lot of a bag that another controller has made, as far as its files tell."""
        terms, reader = bag.terms(), Reader(bag)
        reader.look()
        lot = cls(bag, engine, choice, terms.way, terms.share)
        lot.closed = True  # new orders go into new bags
        bag.count = reader.many
        lot.orders = {n: Share(CaseKey(e.order[1], e.order[2]), e) for n, e in reader.entries.items()}
        now = time.monotonic()
        for line in bag.logged():
            if line.get("e") == "submitted":
                lot.submitted(str(line["id"]), int(line.get("tasks") or 0), now, line.get("task"), log=False)
        return lot

    def note(self, event: str, **fields: Any) -> None:
        """Log something that only people need: a full disk keeps nobody from going on."""
        self._note_all(event, [fields])

    def _note_all(self, event: str, lines: Iterable[Mapping[str, Any]]) -> None:
        try:
            self.bag.log_all(event, lines)
        except StoreError as e:
            trace("fs", self.bag.path, failed=e.what)

    def close(self) -> None:
        """No more orders will come."""
        self.bag.say([{"closed": True}])
        self.closed = True

    def withdraw(self, number: int) -> bool:
        """Take an order back that nobody has taken; what that means for its case is still to be recorded.

        One that an earlier controller has taken back, and died, is taken back as well.
        """
        if number in self.back:
            return False
        if not self.bag.withdraw(number) and not self.is_nobodys(self.bag.claimed(number)):
            return False
        self.back.add(number)
        return True

    @staticmethod
    def is_nobodys(claim: Claim | None) -> bool:
        """Whether an order was taken back."""
        return claim is not None and not claim.writer

    # -- jobs -----------------------------------------------------------------------------------

    def open(self) -> Iterator[str]:
        """The ids of all jobs and tasks that may still run or begin."""
        for sub in self.subs:
            yield from sub.open()

    def roots(self) -> list[str]:
        """The ids of submissions of which something is open: what to cancel."""
        return [sub.job for sub in self.subs if sub.open()]

    def jobs(self) -> int:
        """How many jobs or tasks are open."""
        return sum(len(sub.open()) for sub in self.subs)

    def taker(self, number: int) -> str | None:
        """The id of an open job that will take this order; None when there is none (any more)."""
        if not self.share:
            return next(self.open(), None)
        mine = number % self.share
        for sub in reversed(self.of_task.get(mine, self.subs)):
            one = sub.ids[0] if sub.task == mine else "" if sub.task is not None else next(iter(sub.ids[mine:]), "")
            if one and one not in sub.over:
                return one
        return None

    @property
    def sole(self) -> bool:
        """Whether each job or task has one order only, so that what ends it has to do with that."""
        return self.way == "job" or (self.way == "array" and self.share >= self.bag.count)

    def given(self, number: int) -> str:
        """The id of the last job that was accepted for this order, whatever became of it; empty when none was."""
        mine = number % self.share
        for sub in reversed(self.of_task.get(mine, self.subs)):
            if sub.task == mine:
                return sub.ids[0]
            if sub.task is None and mine < len(sub.ids):
                return sub.ids[mine]
        return ""

    def word(self, job: str) -> Word:
        """What was said of a job last."""
        return self.words.get(job, Word("", ""))

    def hear(self, seen: Seen) -> bool:
        """Take an answer of the engine; tells whether a job has got further."""
        changed = False
        told: list[tuple[str, Word]] = []
        for sub in self.subs:
            for one in sub.ids if sub.at < seen.began else ():
                word = seen.words.get(one)
                if word is None and one in seen.asked and one not in sub.over:
                    word = self._missing(sub, one, seen.began)
                    changed = changed or sub.missed[one] < _MISSED  # the next look will tell
                elif word is not None:
                    sub.seen.add(one)
                    self.listed.add(one)
                    sub.missed.pop(one, None)
                old = self.words.get(one)
                forgetful = word is not None and is_over(word) and one not in sub.over  # it gives an id twice
                if word is None or (word == old and not forgetful):
                    continue
                changed = changed or forgetful or not _same(word, old)
                self._take(sub, one, word)
                if self._is_news(one, word, seen.began):
                    told.append((one, word))
        if told:
            self._note_all("word", [{"job": one, **word._asdict()} for one, word in told])
        return changed

    def _is_news(self, one: str, word: Word, now: float) -> bool:
        """Whether the log is to tell of a word: of reasons to wait, which change all the time, only now and then."""
        since, last = self._told.get(one, (0.0, None))
        if word == last or (_same(word, last) and now - since < _REASONS):
            return False
        self._told[one] = (now, word)
        return True

    def stuck(self, seen: Seen) -> list[str]:
        """The jobs that are over and yet stay in the queue."""
        mine = [one for sub in self.subs for one in sub.over if one in seen.words]
        return [one for one in mine if re.search(self.engine.stuck, seen.words[one].said)]

    def _missing(self, sub: Submission, one: str, now: float) -> Word | None:
        """A job that was asked for and is not listed: gone when that stays so."""
        missed = sub.missed[one] = sub.missed.get(one, 0) + 1
        if self.blind or missed < _MISSED or (one not in sub.seen and now - sub.at < _APPEARS * self.choice.poll[0]):
            return None
        return Word(GONE, "" if one in sub.seen else _NEVER)

    def trust_no_list(self, living: Set[str]) -> bool:
        """Count again on jobs that were given up because nobody listed them, when some of them are seen to live.

        False when there are none, and when this has not helped.
        """
        unlisted = [(sub, one) for sub in self.subs for one, word in sub.over.items() if word.fate == GONE]
        if self.blind or not any(one in living for _, one in unlisted):
            return False
        self.blind = True
        for sub, one in unlisted:
            del sub.over[one]
        return True

    def give_up(self) -> None:
        """Nothing shows that any job lives whose engine does not list it: count on none."""
        self.blind = False
        self.tries = 0
        for sub in self.subs:
            for one in list(sub.open()):
                self._take(sub, one, Word(GONE, _NEVER))

    def ungiven(self) -> list[int]:
        """The numbers of orders that have a share of their own, for which no job was accepted yet."""
        return [number for number in self.orders if not self.given(number)] if self.share else []

    def newly(self, taken: Set[int]) -> list[str]:
        """The jobs that have taken orders since this was asked last."""
        fresh = taken - self.takers.keys()
        claims = {number: self.bag.claimed(number) for number in fresh}
        self.takers.update({n: claim.job.partition(":")[2] for n, claim in claims.items() if claim})
        return [self.takers[n] for n in fresh if n in self.takers]

    def got_on(self, taken: Set[int]) -> bool:
        """Whether a job that the engine knows has taken an order since this was asked last."""
        return any([job in self.listed for job in self.newly(taken)])

    def parts(self, taken: Set[int]) -> set[int]:
        """The shares whose last jobs have taken an order of them."""
        self.newly(taken)
        found = {n % self.share for n, job in self.takers.items() if job and job == self.given(n)}
        return found | {n % self.share for n in self.orders if self.given(n) in self.took}

    def _take(self, sub: Submission, one: str, word: Word) -> None:
        self.words[one] = word
        if is_over(word):
            sub.over[one] = word
        else:
            sub.over.pop(one, None)

    def leave(self, number: int, job: str) -> None:
        """The case of an order has ended: a job that had only that one is leaving, and counts no more.

        `job` has run it, so there was such a job, whatever the engine says.
        """
        one = self.given(number) if self.sole else ""
        self.took.add(job)
        for sub in self.subs:
            if job in sub.ids:
                sub.seen.add(job)
            if one in sub.ids and one not in sub.over:
                sub.over[one] = Word(LEFT, "")
                self.note("word", job=one, fate=LEFT, said="", host="")

    def last_output(self) -> str:
        """The last line that any job of the lot has printed, for people."""
        return last_line(self.bag.out)


def _same(word: Word, other: Word | None) -> bool:
    """Whether two words mean the same for a job, whatever reasons they give."""
    return other is not None and (word.fate, word.host) == (other.fate, other.host)


def last_line(directory: str) -> str:
    """The last line of the newest file of a directory that has one."""
    import os

    try:
        found = sorted(os.scandir(directory), key=lambda e: e.stat().st_mtime, reverse=True)
    except OSError:
        return ""
    for entry in found[:20]:
        try:
            with open(entry.path, "rb") as f:
                f.seek(max(os.fstat(f.fileno()).st_size - _END, 0))
                lines = f.read(_END).decode("utf-8", "replace").split("\n")
        except OSError:
            continue
        kept = [line.strip() for line in lines if line.strip()]
        if kept:
            return kept[-1][:200]
    return ""
