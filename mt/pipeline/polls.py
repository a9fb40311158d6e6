"""Ask an engine about all jobs of a run with one query, seldom, and never wait for the answer.

The pause between two queries grows while nothing changes (features.md B20).  A
query that fails, hangs or answers rubbish says nothing: the jobs are as they
were, and nobody counts as gone because of it.  Of jobs that are not listed any
more the engine's memory is asked, where it has one: it tells how they ended.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mt.errors import MtError
from mt.launchers.base import OVER, Argv, Engine, Unreadable, Word
from mt.launchers.calling import Answer, Asking, explain, fits

#: seconds after which a query has failed
LIMIT = 60.0
_GROWTH = 1.5
#: seconds for the last query of a run, and of one that was interrupted
_AT_LAST, _IN_HASTE = 5.0, 0.5


class Seen(NamedTuple):
    """What an engine said: words of jobs, the ids it was asked for with an answer, and when the query began."""

    words: Mapping[str, Word]
    asked: frozenset[str]
    began: float


class Polls:
    """The queries of one engine; `step` is called again and again."""

    def __init__(
        self, engine: Engine, pauses: tuple[float, float], env: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.first, self.longest = pauses
        self.env = env
        self.clock = clock
        self.pause = self.first
        self.due = clock() + self.first
        self.trouble = ""
        self._heard: dict[str, tuple[float, float]] = {}
        self._asking: Asking | None = None
        self._groups: list[list[str]] = []
        self._began = 0.0
        self._seen: Seen | None = None  # while the engine's memory is asked for what is not in it

    def heard(self, job: str) -> tuple[float, float]:
        """When the last two queries began that were answered for a job; 0 for none, and for what is no job."""
        try:
            return self._heard.get(self.engine.apart(job), (0.0, 0.0))
        except MtError:
            return 0.0, 0.0

    def hurry(self) -> None:
        """Somebody waits for the answer: ask soon."""
        self.pause = self.first
        self.due = min(self.due, self.clock() + self.first / 4)

    def freshen(self) -> None:
        """Something has changed: more may change soon."""
        self.pause = self.first
        self.due = min(self.due, self.clock() + self.first)

    def step(self, name: str, jobs: Callable[[], Sequence[str]]) -> Seen | None:
        """Start a query about `jobs` when it is time for one, or give the answer of the one that has ended."""
        now = self.clock()
        if self._asking is None:
            ids = jobs() if now >= self.due else ()
            if ids:
                self._start(name, ids, now)
            return None
        answers = self._asking.done()
        if answers is None:
            return None
        self._asking = None
        seen, self._seen = self._seen, None
        return self._told(seen, answers[0]) if seen else self._remember(self._read(answers))

    def stop(self) -> None:
        """End a query that is under way."""
        if self._asking is not None:
            self._asking.stop()
            self._asking = None

    def last(self, name: str, ids: Sequence[str], *, hasty: bool = False) -> Seen | None:
        """Ask once more and wait a little for the answer; None when there is none.  Without ids a name will do."""
        self.stop()
        self._seen = None
        self._start(name, ids or [""], self.clock())
        end = self.clock() + (_IN_HASTE if hasty else _AT_LAST)
        while self._asking is not None and self.clock() < end:
            try:
                answers = self._asking.done()
            except MtError:
                return None
            if answers is not None:
                self._asking = None
                return self._read(answers)
            select.poll().poll(5)
        self.stop()
        return None

    def _start(self, name: str, ids: Sequence[str], now: float) -> None:
        groups: dict[str, list[str]] = {}
        for one in ids:
            groups.setdefault(self.engine.apart(one), []).append(one)
        self._groups = list(groups.values())
        commands: list[Argv] = [argv for group in self._groups for argv in self.engine.poll(name, group)]
        if len(commands) != len(self._groups):
            self._groups = [list(ids)] * len(commands)
        self._began = now
        self.pause = min(self.pause * _GROWTH, self.longest)
        self.due = now + self.pause
        try:
            self._asking = Asking(commands, seconds=LIMIT, env=self.env)
        except MtError as e:
            self.trouble = e.what

    def _read(self, answers: Sequence[Answer]) -> Seen | None:
        words: dict[str, Word] = {}
        asked: set[str] = set()
        self.trouble = ""
        for group, answer in zip(self._groups, answers, strict=True):
            if answer.status and not (self.engine.missing and fits(self.engine.missing, answer)):
                self.trouble = explain(self.engine, answer)
                continue
            try:
                words.update(self.engine.read(answer.out))  # with `missing`, there is still what is known of others
            except Unreadable as e:
                self.trouble = f"cannot understand what '{self.engine.programs[-1]}' says: {e}"
                continue
            asked.update(group)
        for place in {self.engine.apart(one) for one in asked}:
            self._heard[place] = (self._began, self._heard.get(place, (0.0, 0.0))[0])
        return Seen(words, frozenset(asked), self._began) if asked else None

    def _remember(self, seen: Seen | None) -> Seen | None:
        """An answer, unless jobs are not in it of which the engine's memory can tell: that is asked first."""
        missing = sorted(seen.asked.difference(seen.words)) if seen else []
        if seen is None or not missing or self.engine.past is None:
            return seen
        try:
            self._asking, self._seen = Asking([self.engine.past(missing)], seconds=LIMIT, env=self.env), seen
        except MtError:
            return seen
        return None

    def _told(self, seen: Seen, answer: Answer) -> Seen:
        """An answer with what the engine's memory says of jobs that are not listed; it may know nothing of them yet."""
        if answer.status or self.engine.read_past is None:
            return seen
        try:
            past = self.engine.read_past(answer.out)
        except Unreadable:
            return seen
        known = {one: word for one, word in past.items() if word.fate in OVER}
        return seen._replace(words={**known, **seen.words})
