"""The world around the run loop: the area, the store, the requests of others, other runs.

The loop itself knows none of them (`contract.Desk` says what it asks).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mt import queries
from mt.area import Area
from mt.environ import Env
from mt.model import CaseKey, CaseRow
from mt.pipeline import history, skip
from mt.pipeline.aftermath import Aftermath
from mt.pipeline.claims import Claims
from mt.pipeline.elsewhere import RunElsewhere
from mt.pipeline.ground import Ground
from mt.pipeline.joining import Joining, again_of
from mt.pipeline.loop import Loop
from mt.pipeline.plan import Plan
from mt.pipeline.sending import Sender
from mt.testspec import Item

if TYPE_CHECKING:
    from mt.pipeline.fleet import Fleet

__all__ = ["Ground", "RunDesk", "again_of"]


class RunDesk:
    """The real Desk of one run."""

    def __init__(
        self,
        ground: Ground,
        plan: Plan,
        living: Sequence[CaseRow],
        after: Aftermath,
        sender: Sender | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        self.ground = ground
        self.plan = plan
        self.after = after
        self.elsewhere = RunElsewhere(ground, living, sender, fleet)
        self.claims = Claims(ground.store)
        self.joining = Joining(ground.store.ctl_dir(ground.run_id), plan, self.register)

    # -- what may be skipped, late items, what is exclusive -------------------------------------

    def skip(self, case: CaseKey, number: int) -> str:
        """The reason of the test's [skip] section, or empty."""
        spec = self.plan.spec_of(number)
        if spec.skip is None:
            return ""
        if spec.dynamic:
            spec = self.ground.area.case_spec(case.test, env_of(self.ground.area, case, self.plan.item_of(number)))
        if spec.skip is None:
            return ""
        kind, value = spec.skip
        everywhere = kind == "prevrunning"
        return skip.reason(kind, value, spec.dir, lambda: self.others(case, everywhere=everywhere), time.time())

    def others(self, case: CaseKey, *, everywhere: bool) -> Iterator[CaseRow]:
        """Rows of the same case in all other runs of this target, or of all targets."""
        for run in queries.find_runs(self.ground.store, None if everywhere else self.ground.run.target):
            if run.id != self.ground.run_id:
                yield from queries.cases(self.ground.store, run.id, key=case)

    def items(self, test: str) -> Sequence[Item] | None:
        """Run the deferred commands of a test's item lists now; None when it has none after all."""
        return self.ground.area.items(test)

    def register(self, cases: Iterable[CaseKey]) -> None:
        """Record new cases as waiting, one event for each test."""
        by_test: dict[str, list[str]] = {}
        for key in cases:
            by_test.setdefault(key.test, []).append(key.item)
        with self.ground.journal.batch() as journal:
            for test, items in by_test.items():
                journal.emit("cases", test=test, items=items, attempt=1, gen=0, state="NOT_STARTED", status="n/a")

    def claim(self, case: CaseKey) -> bool:
        """Whether an exclusive case may start now; then it is ours in all runs of the area."""
        return self.claims.take(case)

    def release(self, case: CaseKey) -> None:
        """The exclusive case has ended."""
        self.claims.give(case)

    # -- our own workers, and other people -------------------------------------------------------

    def about(self, case: CaseKey, number: int) -> tuple[int, tuple[Any, ...] | None]:
        """What a worker cannot look up (`Aftermath.about`)."""
        return self.after.about(case, self.plan.spec_of(number))

    def last_word(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case after everything that was written has been folded."""
        return self.elsewhere.adopted.last_word(key)

    def clean_up(self, row: CaseRow) -> None:
        """End what a dead worker's case left running."""
        history.end_leftovers([row])

    def orders(self) -> Iterator[Callable[[Loop], None]]:
        """What others ask of this run; each is forgotten once it has been followed."""
        return self.joining.orders()


def env_of(area: Area, key: CaseKey, item: Item) -> Env:
    """The area's environment with the names of one case."""
    return area.env.child({"MT_TEST_NAME": key.test, "MT_ITEMPATH": key.item, **dict(item)}, source="item")
