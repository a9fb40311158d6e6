"""What follows from how cases go, beside their record: triggers, excuses, and the pages of iterated tests.

One object per run, made before the first worker is forked.  Workers ask it about
their case, but never for what is in a db: that comes with their order (`about`).
The controller lets it follow the tests as a whole; a worker whose controller has
left lets another process do that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from mt import queries
from mt.area import Area
from mt.db import Store
from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline import itempage, waivers
from mt.pipeline.triggers import Change, Triggers
from mt.pipeline.waivers import Earlier, Final
from mt.stdio import say
from mt.testspec import TestSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.pipeline.case import Placed

#: seconds between two looks at tests whose items have ended, at least, and as a multiple of what the last look took
_LEAST, _TIMES = 2.0, 20.0


class Aftermath:
    """The After of `mt.pipeline.case`, and its counterpart for tests as a whole."""

    def __init__(self, area: Area, store: Store, run_id: int, run: RunKey, linktree: str = "") -> None:
        self.linktree = linktree or area.linktree
        self.area = area
        self.store = store
        self.run_id = run_id
        self.run = run
        self.triggers = Triggers.of(area)
        self.numbers: dict[CaseKey, int] = {}
        self.stirred: set[str] = set()  # iterated tests of which items have ended
        self.due = time.monotonic() + _LEAST

    # -- one case, in its worker ----------------------------------------------------------------

    def listens(self, spec: TestSpec) -> bool:
        """Whether there are triggers for a test."""
        return self.triggers.wanted(spec.triggers)

    def begun(self, row: CaseRow, placed: Placed) -> None:
        """A case has its directory: fire the triggers of all that it went through so far."""
        self.triggers.begin(self.change(row, placed.number), placed.spec.triggers, placed.env)

    def changed(self, row: CaseRow, placed: Placed) -> None:
        """A state or status was recorded: fire its triggers."""
        self.triggers.fire(self.change(row, placed.number), placed.spec.triggers, placed.env)

    def change(self, row: CaseRow, number: int | None = None) -> Change:
        """What triggers are told of a case."""
        number = self.number(row.key) if number is None else number
        return Change(row.test, row.item, number, row.state, row.status, row.end or row.start or time.time(), row.dir)

    def excused(self, row: CaseRow, placed: Placed, watch: Callable[[], str]) -> Final:
        """Status and comment of a case that has ended: a bad one may be waived, as it was before or by the area."""
        return waivers.settled(
            self.area.home, self.run, row, placed.spec, placed.real, placed.before, placed.env, watch
        )  # fmt: skip

    def alone(self, row: CaseRow) -> None:
        """Fold, and follow the test of an item whose controller has left; megatest.db follows any case.

        In a process of its own: SQLite does not survive a fork, and a worker is one.
        """
        if not row.item and not os.path.exists(os.path.join(self.area.home, "megatest.db")):
            return
        import subprocess
        import sys

        words = [sys.executable, "-P", "-m", "mt.pipeline.alone", self.area.home, *self.run, row.test, row.item]
        subprocess.run(words, env=self.area.env.as_dict(), stdin=subprocess.DEVNULL, check=False)

    # -- what the controller tells a worker of a case -------------------------------------------

    def number(self, key: CaseKey) -> int:
        """The number of a case among the records of its run, 0 before it is folded."""
        if key not in self.numbers:
            self.numbers = queries.numbers(self.store, self.run_id)
        return self.numbers.get(key, 0)

    def about(self, key: CaseKey, spec: TestSpec) -> tuple[int, Earlier | None]:
        """What a worker cannot look up: the number of a case for triggers, the earlier run of it for waivers."""
        number = self.number(key) if self.listens(spec) else 0
        return number, waivers.earlier(self.store, self.run_id, self.run.target, key) if spec.waivers else None

    # -- tests as a whole -----------------------------------------------------------------------

    def ended(self, rows: Iterable[CaseRow]) -> None:
        """Cases have ended: the tests of items among them have to be looked at."""
        self.stirred.update(row.test for row in rows if row.item)

    def is_due(self) -> bool:
        """Whether it is time to look at the tests whose items have ended."""
        return bool(self.stirred) and time.monotonic() >= self.due

    def follow(self) -> None:
        """Look at the tests whose items have ended, as they are folded: roll up, page, triggers."""
        begun = time.monotonic()
        tests, self.stirred = sorted(self.stirred), set()
        for test in tests:
            self.roll(test)
        took = time.monotonic() - begun
        self.due = time.monotonic() + max(_LEAST, took * _TIMES)

    def roll(self, test: str) -> None:
        """What follows for one iterated test, as it is folded now: its page, and the triggers of its top record."""
        for written in itempage.summarize(self.area, self.store, self.run_id, self.run, [test]):
            if written.trouble:
                say(written.trouble)
            triggers = self.area.spec(test).triggers
            if self.triggers.wanted(triggers):
                state, status = written.top.state, written.top.status
                where = os.path.join(self.linktree, self.run.target, self.run.name, test)
                row = CaseRow(test, "", state=state, status=status, end=time.time(), dir=where)
                self.triggers.fire(self.change(row), triggers)
