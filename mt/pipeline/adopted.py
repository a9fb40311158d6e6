"""How cases go that our own workers do not run: what the journals tell, and who shows no sign of life.

A case is adopted when a worker of an earlier controller runs it, or when it was
given to a launcher or a batch engine.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from mt import queries
from mt.locks.alive import Watched
from mt.model import CaseKey, CaseRow
from mt.pipeline import history
from mt.pipeline.ground import Ground
from mt.states import LIVE
from mt.storage import SINGLE

if TYPE_CHECKING:
    from mt.pipeline.fleet import Fleet

#: seconds between two looks whether adopted cases live, and between two at all their rows though none seems changed
_LOOK, _WHOLE = 1.0, 10.0
#: so many rows, or such a part of what lives, are read one by one; more are read with all others
_MANY, _PART = 200, 10
#: looks at all rows may take one of so many parts of the time
_SHARE = 10


class Adopted:
    """The adopted cases of a run that live; `fleet` knows of their jobs, where they have any.

    A look costs what has changed, not what lives: thousands may wait in a queue.
    """

    def __init__(self, ground: Ground, living: Iterable[CaseRow], fleet: Fleet | None) -> None:
        self.ground = ground
        self.fleet = fleet
        self.living: dict[CaseKey, CaseRow] = {}
        self.begun: set[CaseKey] = set()  # those of them that do not wait in a queue
        self.unexplained: dict[CaseKey, CaseRow] = {}  # ended by their engine, which is asked why
        self.watched: dict[str, Watched] = {}
        self.looked = 0.0
        self.whole = (0.0, 0.0)  # all rows are looked at next: not before, and at the latest
        self.rest = _LOOK if ground.store.mode == SINGLE else _WHOLE  # there a fold may be seen later than it was made
        self.patience = history.patience(ground.area)
        for row in living:
            self.put(row)

    def put(self, row: CaseRow) -> None:
        """A case lives, and this is what is known of it."""
        self.living[row.key] = row
        if row.state == "LAUNCHED":
            self.begun.discard(row.key)
        else:
            self.begun.add(row.key)

    def forget(self, key: CaseKey) -> None:
        """A case is over."""
        self.living.pop(key, None)
        self.begun.discard(key)
        self.unexplained.pop(key, None)

    def queued(self) -> int:
        """How many have not begun, as far as is known."""
        return len(self.living) - len(self.begun)

    def ended(self) -> list[CaseRow]:
        """Those that have ended since the last call: by their own word, or because their worker is dead or lost."""
        ended = self.told()
        now = time.monotonic()
        if now - self.looked >= _LOOK:
            self.looked = now
            ended += self.died()
        return ended

    def told(self) -> list[CaseRow]:
        """Adopted cases that are recorded as over."""
        now = time.monotonic()
        changed = self.ground.folder.changes() if now < self.whole[1] else None
        if changed is None and now < self.whole[0]:
            self.whole = (self.whole[0], self.whole[0])
            return []
        if changed is None:
            return self._told_all(now)
        keys = {key for key in map(CaseKey._make, changed) if key in self.living}
        return list(filter(self._is_over, self._read(keys)))

    def _told_all(self, now: float) -> list[CaseRow]:
        self.ground.folder.changes()
        live = {row.key: row for row in queries.cases(self.ground.store, self.ground.run_id, states=LIVE)}
        for key in self.living.keys() & live.keys():
            self._is_over(live[key])
        ended = list(filter(self._is_over, self._read(self.living.keys() - live.keys())))
        took = time.monotonic() - now
        self.whole = (now + _SHARE * took, now + self.rest)
        return ended

    def _read(self, keys: Collection[CaseKey]) -> Iterable[CaseRow]:
        """What is recorded of some cases now."""
        if len(keys) <= max(_MANY, len(self.living) // _PART):
            return filter(None, map(self.recorded, keys))
        return (row for row in queries.cases(self.ground.store, self.ground.run_id) if row.key in keys)

    def _is_over(self, row: CaseRow) -> bool:
        """Whether a living case is recorded as over by now; else what is known of it is brought up to date."""
        old = self.living[row.key]
        if row.state == "NOT_STARTED" or (row.attempt, row.gen) < (old.attempt, old.gen):
            return False  # what we told of it is not folded yet
        if row.state in LIVE:
            self.put(row)
            return False
        if row.key in self.unexplained:
            return False
        if self.fleet is not None and self.fleet.unexplained(row):
            self.unexplained[row.key] = row
            return False
        return True

    def died(self) -> list[CaseRow]:
        """Adopted cases whose worker is dead or shows no sign of life."""
        ended = []
        look = history.eyes(self.ground.store, self.ground.run_id)
        for key in [*self.begun, *(self.unexplained.keys() - self.begun)]:
            if key in self.unexplained:
                end = self.fleet.blame(self.unexplained[key]) if self.fleet else None
            else:
                end = self._end_of(self.living[key], look)
            if end is not None:
                ended.append(self.decide(end))
        return ended

    def _end_of(self, row: CaseRow, look: history.Alive) -> CaseRow | None:
        """The row that ends a case which cannot go on; None when it may."""
        if row.state == "LAUNCHED":
            return None
        health = look.judge(row)
        if health.word == "dead":
            last = self.last_word(row.key) or row  # it may have ended between the two looks
            if last.state not in LIVE:
                return None  # `told` finds it
            history.end_leftovers([last])
            return self.fleet.blame(last) if self.fleet and last.token else history.interrupted(last)
        if self.fleet and row.token and self.fleet.is_over(row) and not self.shows_life(look.journals(row)):
            return self.fleet.blame(row)  # a host that is cut off holds its locks, and says nothing any more
        if health.word == "silent" and not self.shows_life(look.journals(row)):
            return history.lost(row, f"none for {self.patience:g} s, {health.evidence}")
        if self.fleet:
            self.fleet.noticed.pop(row.key, None)  # it lives: no word of its engine is wanted
        return None

    def shows_life(self, journals: Sequence[str]) -> bool:
        """Whether a journal that nobody can ask about was touched within our patience."""
        for path in journals:
            self.watched.setdefault(path, Watched(path))
        return any(self.watched[path].alive(self.patience) for path in journals)

    def last_word(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case after everything that was written has been folded."""
        self.ground.folder.fold()
        return self.recorded(key)

    def recorded(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case now."""
        return next(iter(queries.cases(self.ground.store, self.ground.run_id, key=key)), None)

    def decide(self, row: CaseRow) -> CaseRow:
        """Record what became of a case whose worker did not tell."""
        self.ground.journal.emit_row("case", row)
        return row
