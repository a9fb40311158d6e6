"""Ask an engine about all jobs of a run with one query, seldom, and never wait for the answer.

The pause between two queries grows while nothing changes (features.md B20).  A
query that fails, hangs or answers rubbish says nothing: the jobs are as they
were, and nobody counts as gone because of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mt.errors import MtError
from mt.launchers.base import Argv, Engine, Unreadable, Word
from mt.launchers.calling import Answer, Asking, explain, fits

#: seconds after which a query has failed
LIMIT = 60.0
_GROWTH = 1.5


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
        self.answered = 0.0  # when the last query began that was answered
        self._asking: Asking | None = None
        self._groups: list[list[str]] = []
        self._began = 0.0

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
        try:
            answers = self._asking.done()
        except MtError as e:
            answers, self.trouble, self._asking = None, e.what, None
        if answers is None:
            return None
        self._asking = None
        return self._read(answers)

    def stop(self) -> None:
        """End a query that is under way."""
        if self._asking is not None:
            self._asking.stop()
            self._asking = None

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
        if not asked:
            return None
        self.answered = self._began
        return Seen(words, frozenset(asked), self._began)
