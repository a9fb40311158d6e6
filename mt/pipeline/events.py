"""Cases of a run as they reach a state or status: what `mt on` waits for.

An event is written as a trigger's key is: `STATE/STATUS`, `STATE/`, `/STATUS`;
one lone word is a state when mt knows it as one, else a status.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mt import queries
from mt.db import Store
from mt.errors import UsageError
from mt.fold import refresh
from mt.locks.filelock import is_held
from mt.model import CaseKey, CaseRow
from mt.pipeline.triggers import Change, Hit, command_line
from mt.states import LIVE, STATES

#: a look may take this part of the time, at most
_SHARE = 0.1


class Event(NamedTuple):
    """A state, a status, or both; the one that does not matter is empty."""

    state: str
    status: str

    @property
    def key(self) -> str:
        """As a trigger's key."""
        return f"{self.state}/{self.status}"

    def fits(self, row: CaseRow) -> bool:
        """Whether a case is there now."""
        return self.state in ("", row.state) and self.status in ("", row.status)


def events_of(text: str) -> tuple[Event, ...]:
    """The events of a comma list; raises UsageError for one that names nothing."""
    made = []
    for word in text.split(","):
        state, slash, status = word.strip().partition("/")
        if not slash and state not in STATES:
            state, status = "", state
        if not state and not status:
            raise UsageError(f"bad event '{text}'", hint="STATE/STATUS, STATE/ or /STATUS, as COMPLETED/FAIL")
        made.append(Event(state, status))
    return tuple(made)


class Watch:
    """The cases of one run that reach one of some events, each write once.

    `takes` says which cases count.  What lasts shorter than the time between two
    looks may be missed; how a case ends never is.
    """

    def __init__(
        self, store: Store, run_id: int, events: Sequence[Event], takes: Callable[[CaseRow], bool] = lambda row: True
    ) -> None:
        self.store = store
        self.run_id = run_id
        self.events = events
        self.takes = takes
        self._seen: dict[CaseKey, tuple[int, int]] = {}
        self._numbers: dict[CaseKey, int] = {}

    def now(self) -> list[tuple[Event, CaseRow]]:
        """What has happened since the last look; at the first look, what is so already."""
        refresh(self.store, self.run_id)
        states = sorted({e.state for e in self.events}) if all(e.state for e in self.events) else ()
        statuses = sorted({e.status for e in self.events}) if all(e.status for e in self.events) else ()
        found = []
        for row in queries.cases(self.store, self.run_id, states=states, statuses=statuses):
            event = next((e for e in self.events if e.fits(row)), None)
            if event and self.takes(row) and self._seen.get(row.key) != (row.attempt, row.gen):
                self._seen[row.key] = (row.attempt, row.gen)
                found.append((event, row))
        return found

    def all(self, interval: float) -> Iterator[tuple[Event, CaseRow]]:
        """What happens until nobody drives the run any more and no case of it is alive."""
        while True:
            driven = self.is_driven()
            begun = time.monotonic()
            yield from self.now()
            if not driven:
                return
            time.sleep(max(interval, (time.monotonic() - begun) / _SHARE))

    def is_driven(self) -> bool:
        """Whether anything can still happen by itself."""
        if is_held(self.store.lock_path(f"run.{self.run_id}")):
            return True
        refresh(self.store, self.run_id)
        return any(state in LIVE for state, _ in queries.counts(self.store, self.run_id))

    def change(self, row: CaseRow) -> Change:
        """What a command is told of a case, as triggers are."""
        if row.key not in self._numbers:
            self._numbers = queries.numbers(self.store, self.run_id)
        when = row.end or row.start or time.time()
        return Change(row.test, row.item, self._numbers.get(row.key, 0), row.state, row.status, when, row.dir)


def words_for(command: Sequence[str], key: str, change: Change) -> list[str]:
    """A command with the arguments of a trigger; a lone word with blanks is shell text, where they are `$1` to `$8`."""
    given = command_line(Hit(key, "", ""), change)[4:]
    if len(command) == 1 and any(c in command[0] for c in " \t\n"):
        return ["/bin/sh", "-c", command[0], "mt-on", *given]
    return [*command, *given]
