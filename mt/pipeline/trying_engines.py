"""Prove that a batch engine works: one job is listed, begins, answers and ends, and a second one is cancelled."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mt.durations import shown
from mt.errors import LaunchError, MtError
from mt.launchers import engine
from mt.launchers.base import Ask, Job, Word
from mt.launchers.calling import call, explain
from mt.pipeline.fates import is_over
from mt.pipeline.inquiry import listed
from mt.pipeline.starters import missing, state_of
from mt.pipeline.thrift import size
from mt.pipeline.trying import Check, Trial
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mt.launchers.words import Choice
    from mt.pipeline.trying import Hello

#: seconds: how long the engine's commands may take, between two questions, and until a job must be listed
_LIMIT, _ASK, _APPEARS = 60.0, 1.0, 20.0
#: seconds that the engine gets to cancel what is in its queue when we were interrupted
_PARTING = 2.0
#: the name of all jobs of trials
NAME = "mt-try"


class Sent(NamedTuple):
    """A job that was accepted: its id, the ids of its tasks, or its own, and when (monotonic seconds)."""

    job: str
    ids: list[str]
    at: float


class EngineTrial(Trial):
    """Jobs of a batch engine."""

    def __init__(self, choice: Choice, directory: str, patience: float, env: Mapping[str, str]) -> None:
        super().__init__(directory, patience, env)
        self.choice = choice
        self.made = engine(choice.engine)
        self.engine = choice.engine
        self.limit = min(_LIMIT, max(patience, _PARTING))  # seconds for a command that asks or cancels
        self.open: list[Sent] = []
        self.asked_at = 0.0
        self.words: dict[str, Word] = {}
        self.trouble = ""
        self.seen: set[str] = set()
        self.cancelled: set[str] = set()
        #: whether the first job has shown that a second one is of no use
        self.failed = False

    def checks(self) -> Iterator[Check]:
        """All of them; what still is in a queue afterwards is cancelled.

        Somebody who interrupts us is not kept waiting by an engine that hangs.
        """
        limit = self.limit
        try:
            yield from self._checks()
        except KeyboardInterrupt:
            limit = _PARTING
            raise
        finally:
            jobs = [sent.job for sent in self.open]
            try:
                self.cancel(jobs, limit)
            except MtError as e:
                say(f"cannot cancel {self.engine} job {', '.join(jobs)}: {e.what}")

    def _checks(self) -> Iterator[Check]:
        absent = missing(self.made, self.env)
        if absent:
            yield Check("programs", "fail", None, f"no {', '.join(absent)} on PATH", fatal=True)
            return
        yield Check("programs", "ok", None, ", ".join(self.made.programs))
        version = state_of(self.made, self.env)
        yield Check("version", "ok" if version.ok else "warn", None, version.said)
        hosts = [name for name, _ in self.choice.hosts] or [""]
        for number, host in enumerate(hosts):
            where = f" on {host}" if len(hosts) > 1 else ""
            yield from self._one(f"one{number}", host, where)
        if not self.failed:
            yield from self._second(hosts[0])

    def _one(self, name: str, host: str, where: str) -> Iterator[Check]:
        """A job that is to begin, answer and end."""
        begun = time.monotonic()
        with open(os.path.join(self.directory, "ask"), "w", encoding="ascii"):
            pass
        try:
            sent = self.submit(name, host)
        except MtError as e:
            self.failed = True
            yield Check(f"submit{where}", "fail", time.monotonic() - begun, e.what, fatal=True)
            return
        yield Check(f"submit{where}", "ok", time.monotonic() - begun, f"accepted as job {sent.job}")
        yield Check(f"resources{where}", *_resources(self.choice.ask))
        yield self._listed(sent, where)
        hello = self._begun(sent, f"{name}.0.hello")
        secs = time.monotonic() - begun
        if hello is None:
            self.failed = True
            yield Check(f"start{where}", "fail", secs, self._why_not(sent))
            return
        yield Check(f"start{where}", "ok", secs, f"on {hello['host']}, as process {hello['pid']}")
        yield from self.of_hello(hello, f"{name}.0", asked_memory=self.choice.ask.memory, where=where)
        yield _cores(hello, self.choice.ask.cores, where)
        yield self._knows(hello, sent.job, where)
        yield self._ended(sent, f"end{where}")

    def _second(self, host: str) -> Iterator[Check]:
        """A job, or an array where there are arrays, that does nothing until it is cancelled."""
        tasks = 2 if self.made.task_number[0] and self.made.arrays > 1 else 0
        begun = time.monotonic()
        try:
            sent = self.submit("two", host, tasks=tasks, hold=True)
        except MtError as e:
            yield Check("array" if tasks else "cancel", "fail", time.monotonic() - begun, e.what)
            return
        first = self.wait(lambda: next((h for n in range(max(tasks, 1)) if (h := self.told(f"two.{n}.hello"))), None))
        if tasks:
            yield self._array(sent, first, time.monotonic() - begun)
        begun = time.monotonic()
        try:
            self.cancel([sent.job])
        except MtError as e:
            yield Check("cancel", "fail", time.monotonic() - begun, e.what)
            return
        check = self._ended(sent, "cancel")
        if check.result == "ok" and first is not None:
            told = self.told(f"two.{first['task']}.end")
            note = f"{told['signal']} reached it" if told else "it was ended without a signal that it could have heard"
            check = check._replace(note=f"{check.note}; {note}")
        yield check if first is not None else check._replace(note=f"{check.note}; it had not begun")

    # -- single checks --------------------------------------------------------------------------------

    def _listed(self, sent: Sent, where: str) -> Check:
        begun = time.monotonic()
        word = self.wait(lambda: self.word(sent.ids[0]), min(self.patience, _APPEARS))
        secs = time.monotonic() - begun
        if word is None:
            note = self.trouble or f"{self.engine} does not list the job that it accepted"
            return Check(f"queue{where}", "fail", secs, note)
        return Check(f"queue{where}", "ok", secs, f"{word.fate}: {word.said}" if word.said else word.fate)

    def _begun(self, sent: Sent, name: str) -> Hello | None:
        """What the job tells when it has begun; None when it is over before, or out of time."""
        over = {"over": True}

        def look() -> Hello | None:
            found = self.told(name)
            if found is None and self.is_over(sent, sent.ids[0]):
                return self.wait(lambda: self.told(name), 2 * _ASK) or over
            return found

        found = self.wait(look)
        return None if found is over else found

    def _why_not(self, sent: Sent) -> str:
        word = self.words.get(sent.ids[0])
        said = word.said or word.fate if word else "it is not listed"
        printed = self.last_output()
        if word is None and self.trouble:
            return f"it has not begun after {shown(self.patience)}, and {self.engine} {self.trouble}"
        if word is None or is_over(word):
            told = printed or f"it told nothing: is '{self.directory}' on a disk that its host shares?"
            return f"it ended before it could say that it had begun ({said}): {told}"
        return f"it has not begun after {shown(self.patience)}: {said}; a longer --timeout may help"

    def _knows(self, hello: Hello, job: str, where: str) -> Check:
        ok = hello["job"] == f"{self.engine}:{job}"
        note = f"it calls itself {hello['job']}" + ("" if ok else f" and was accepted as {self.engine}:{job}")
        return Check(f"job id{where}", "ok" if ok else "fail", None, note)

    def _array(self, sent: Sent, first: Hello | None, secs: float) -> Check:
        if first is None:
            return Check("array", "fail", secs, f"no task began in {shown(secs)}")
        wanted = f"{self.engine}:{self.made.task(sent.job, first['task'])}"
        if first["job"] != wanted:
            return Check("array", "fail", secs, f"task {first['task']} calls itself {first['job']}, and is {wanted}")
        return Check("array", "ok", secs, f"task {first['task']} of 2 began as {first['job']}")

    def _ended(self, sent: Sent, what: str) -> Check:
        begun = time.monotonic()
        over = self.wait(lambda: all(self.is_over(sent, one) for one in sent.ids) or None)
        word = self.words.get(sent.ids[0])
        said = (word.said or word.fate) if word else "not listed any more"
        secs = time.monotonic() - begun
        if not over:
            return Check(what, "fail", secs, self.trouble or f"{self.engine} still says {said}")
        self.open.remove(sent)
        return Check(what, "ok", secs, said)

    # -- what the engine does -----------------------------------------------------------------------------

    def submit(self, name: str, host: str, *, tasks: int = 0, hold: bool = False) -> Sent:
        """Submit a job of ours; raises LaunchError that says why it was not taken."""
        command = self.command(self.choice.python or sys.executable, name, hold=hold)
        job = Job(NAME, command, self.out, self.directory, self.choice.ask, tasks, 0, 0, host)
        path = os.path.join(self.directory, f"{name}.sh")
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(self.made.text(job))
        with _later() as caught:
            answer = call(
                self.made.submit(job, path), seconds=_LIMIT, env=self.env, cwd=self.directory,
                enough=lambda: bool(caught),
            )  # fmt: skip
            found = None if answer.status else re.search(self.made.job_id, answer.out, re.MULTILINE)
            if found is None:
                raise LaunchError(explain(self.made, answer))
            ids = [self.made.task(found[1], n) for n in range(tasks)] if tasks else [found[1]]
            self.open.append(Sent(found[1], ids, time.monotonic()))
        self.asked_at = 0.0
        return self.open[-1]

    def cancel(self, jobs: Sequence[str], limit: float = 0.0) -> None:
        """End jobs; raises LaunchError when the engine does not take it."""
        for argv in self.made.cancel(jobs) if jobs else ():
            answer = call(argv, seconds=limit or self.limit, env=self.env)
            if answer.status:
                raise LaunchError(explain(self.made, answer))
        self.cancelled.update(jobs)
        self.asked_at = 0.0

    def word(self, ident: str) -> Word | None:
        """What the engine says of a job, asked at most once a second for all that are open; None for nothing."""
        now = time.monotonic()
        if now - self.asked_at >= _ASK:
            try:
                ids = [one for sent in self.open for one in sent.ids]
                self.words = listed(self.made, ids, self.env, NAME, self.limit)
                self.trouble = ""
            except MtError as e:
                self.trouble = f"cannot be asked: {e.what}"
            self.seen.update(self.words)
            self.asked_at = time.monotonic()
        return self.words.get(ident)

    def is_over(self, sent: Sent, ident: str) -> bool:
        """Whether a job has ended: the engine says so, or does not list it any more."""
        word = self.word(ident)
        if word is None:
            known = ident in self.seen or sent.job in self.cancelled or time.monotonic() - sent.at > _APPEARS
            return known and not self.trouble
        return is_over(word)


@contextmanager
def _later() -> Iterator[list[int]]:
    """Let the first interrupt wait until the id of a job that was just accepted is known: it must be cancelled.

    Gives the list that a signal goes into.
    """
    caught: list[int] = []

    def heard(number: int, frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)
        if caught:
            raise KeyboardInterrupt


def _resources(ask: Ask) -> tuple[str, None, str]:
    """What was asked for and taken, as the rest of a check."""
    said = [f"{ask.cores} cores"] * bool(ask.cores) + [f"{size(ask.memory)} memory"] * bool(ask.memory)
    said += [f"{shown(ask.time)}"] * bool(ask.time) + [f"{n} {v}" for n, v in (("queue", ask.queue),) if v]
    said += [f"account {ask.account}"] * bool(ask.account) + [f"licences {ask.licences}"] * bool(ask.licences)
    said += [" ".join(ask.flags)] * bool(ask.flags)
    return ("ok", None, f"taken: {', '.join(said)}") if said else ("skip", None, "nothing was asked for")


def _cores(hello: Hello, asked: int, where: str) -> Check:
    """Whether the job may use as many processors as it asked for."""
    granted: dict[str, int] = hello["granted"]
    seen = ", ".join([*(f"{name} {value}" for name, value in granted.items()), f"{hello['cores']} usable"])
    if not asked:
        return Check(f"cores{where}", "skip", None, f"none were asked for; {seen}")
    enough = asked in granted.values() or hello["cores"] >= asked
    return Check(f"cores{where}", "ok" if enough else "warn", None, f"asked {asked}: {seen}")
