"""How cases go that our own workers do not run: what the journals tell, and who shows no sign of life.

A case is adopted when a worker of an earlier controller runs it, or when it was
given to a launcher or a batch engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mt import queries
from mt.locks.alive import Watched
from mt.model import CaseKey, CaseRow
from mt.pipeline import history
from mt.pipeline.ground import Ground
from mt.states import LIVE

if TYPE_CHECKING:
    from mt.pipeline.fleet import Fleet

#: seconds between two looks whether adopted cases live; so many that ended at once are read with all others
_LOOK, _MANY = 1.0, 200


class Adopted:
    """The adopted cases of a run that live; `fleet` knows of their jobs, where they have any."""

    def __init__(self, ground: Ground, living: Iterable[CaseRow], fleet: Fleet | None) -> None:
        self.ground = ground
        self.fleet = fleet
        self.living = {row.key: row for row in living}
        self.unexplained: dict[CaseKey, CaseRow] = {}  # ended by their engine, which is asked why
        self.watched: dict[str, Watched] = {}
        self.looked = 0.0
        self.patience = ground.area.seconds("setup", "lost-after", history.PATIENCE) or history.PATIENCE

    def ended(self, *, news: bool) -> list[CaseRow]:
        """Those that have ended since the last call: by their own word, or because their worker is dead or lost.

        `news`: something was folded since then.
        """
        ended: list[CaseRow] = []
        due = time.monotonic() - self.looked >= _LOOK
        if news or due:
            ended += self.told()
        if due:
            self.looked = time.monotonic()
            ended += self.died()
        return ended

    def forget(self, row: CaseRow) -> None:
        """A case is over."""
        self.living.pop(row.key, None)
        self.unexplained.pop(row.key, None)

    def told(self) -> list[CaseRow]:
        """Adopted cases that are recorded as over."""
        ended = []
        live = {row.key: row for row in queries.cases(self.ground.store, self.ground.run_id, states=LIVE)}
        gone = [key for key in self.living if key not in live and key not in self.unexplained]
        many = len(gone) > _MANY
        rows = {row.key: row for row in queries.cases(self.ground.store, self.ground.run_id)} if many else {}
        for key in gone:
            row, old = rows.get(key) if many else self.recorded(key), self.living[key]
            if row is None or row.state == "NOT_STARTED" or (row.attempt, row.gen) < (old.attempt, old.gen):
                continue  # what we told of it is not folded yet
            if self.fleet is not None and self.fleet.unexplained(row):
                self.unexplained[key] = row
            else:
                ended.append(row)
        for key in self.living.keys() & live.keys():
            self.living[key] = live[key]
        return ended

    def died(self) -> list[CaseRow]:
        """Adopted cases whose worker is dead or shows no sign of life."""
        ended = []
        look = history.eyes(self.ground.store, self.ground.run_id)
        for key, row in [*self.living.items()]:
            if key in self.unexplained:
                end = self.fleet.blame(self.unexplained[key]) if self.fleet else None
            else:
                end = self._end_of(row, look)
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
