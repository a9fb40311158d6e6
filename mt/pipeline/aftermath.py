"""What follows from how cases go, beside their record: triggers, excuses, and the pages of iterated tests.

One object per run, made before the first worker is forked.  Workers ask it about
their case; the controller lets it follow the tests as a whole, and a worker whose
controller has left does that for its own test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from mt import queries
from mt.area import Area
from mt.db import Store
from mt.fold import Folder
from mt.model import CaseRow, RunKey
from mt.pipeline import waivers
from mt.pipeline.triggers import Change, Triggers
from mt.testspec import TestSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.pipeline.case import Placed

#: seconds between two looks at tests whose items have ended, at least, and as a multiple of what the last look took
_LEAST, _TIMES = 2.0, 20.0


class Aftermath:
    """The After of `mt.pipeline.case`, and its counterpart for tests as a whole."""

    def __init__(self, area: Area, store: Store, run_id: int, run: RunKey) -> None:
        self.area = area
        self.store = store
        self.run_id = run_id
        self.run = run
        self.triggers = Triggers.of(area)
        self.numbers: dict[tuple[str, ...], int] = {}
        self.stirred: set[str] = set()  # iterated tests of which items have ended
        self.due = 0.0

    # -- one case, in its worker ----------------------------------------------------------------

    def listens(self, spec: TestSpec) -> bool:
        """Whether there are triggers for a test."""
        return self.triggers.wanted(spec.triggers)

    def begun(self, row: CaseRow, placed: Placed) -> None:
        """A case has its directory: fire the triggers of all that it went through so far."""
        self.triggers.begin(self.change(row), placed.spec.triggers, placed.env)

    def changed(self, row: CaseRow, placed: Placed) -> None:
        """A state or status was recorded: fire its triggers."""
        self.triggers.fire(self.change(row), placed.spec.triggers, placed.env)

    def change(self, row: CaseRow) -> Change:
        """What triggers are told of a case."""
        key = (row.test, row.item)
        if key not in self.numbers:
            self.numbers = {tuple(k): n for k, n in queries.numbers(self.store, self.run_id).items()}
        number = self.numbers.get(key, 0)
        return Change(row.test, row.item, number, row.state, row.status, row.end or row.start or time.time(), row.dir)

    def excused(self, row: CaseRow, placed: Placed, watch: Callable[[], str]) -> tuple[str, str] | None:
        """Status and comment in place of a bad one, by a waiver that is carried on; None when it stands."""
        if row.status != "FAIL" or not placed.spec.waivers:
            return None
        before = waivers.earlier(self.store, self.run_id, self.run.target, row.key)
        answer = waivers.decide(placed.spec, placed.real, before, placed.env, watch)
        return ("WAIVED", answer.comment) if answer.excused else None

    def alone(self, row: CaseRow) -> None:
        """Fold, and follow the test of a case whose controller has left."""
        with Folder(self.store, self.run_id) as folder:
            folder.settle()
        self.ended([row])
        self.follow(now=True)

    # -- tests as a whole -----------------------------------------------------------------------

    def ended(self, rows: Iterable[CaseRow]) -> None:
        """Cases have ended: the tests of items among them have to be looked at."""
        self.stirred.update(row.test for row in rows if row.item)

    def follow(self, *, now: bool = False) -> None:
        """Look at the tests whose items have ended, when it is time: roll up, page, triggers."""
        if not self.stirred or (not now and time.monotonic() < self.due):
            return
        begun = time.monotonic()
        tests, self.stirred = sorted(self.stirred), set()
        for test in tests:
            self.roll(test)
        took = time.monotonic() - begun
        self.due = time.monotonic() + max(_LEAST, took * _TIMES)

    def roll(self, test: str) -> None:
        """What follows for one iterated test, as it is folded now."""
