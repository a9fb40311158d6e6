"""A loop with nothing real around it: workers that answer at once through a pipe, a world that does as a test says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

from fakes.specs import area

from mt.config import Reading, parse
from mt.model import CaseKey, CaseRow
from mt.pipeline.case import Order
from mt.pipeline.contract import Beat, Policy
from mt.pipeline.crew import Answer, Died
from mt.pipeline.limits import Limits
from mt.pipeline.loop import Loop
from mt.pipeline.plan import Plan, Selection
from mt.testspec import Item, TestSpec

PASS = ("COMPLETED", "PASS")


class Workers:
    """A crew whose workers end each case at once, in turn; `ends` says how those of a test end, one after another."""

    def __init__(self, ends: dict[str, list[tuple[str, str]]]) -> None:
        self.reader, self.writer = os.pipe()
        self.members: dict[int, object] = {}
        self.ends = ends
        self.orders: list[Order] = []
        self.waiting: list[Order] = []
        self.held: set[str] = set()  # tests whose cases run until they are let go
        self.cancelled = False

    def order(self, order: Order, enrol: Callable[[int], None], places: Sequence[int] = ()) -> bool:
        """Take a case."""
        if not self.members:
            self.members[self.reader] = self
            enrol(self.reader)
        self.orders.append(order)
        if order.test not in self.held:
            self.finish(order)
        return True

    def finish(self, order: Order) -> None:
        """A worker says that a case is over."""
        self.waiting.append(order)
        os.write(self.writer, b".")

    def hear(self, fd: int) -> list[Answer | Died]:
        """One answer."""
        os.read(fd, 1)
        order = self.waiting.pop(0)
        ends = self.ends.get(order.test, [])
        how = ends.pop(0) if ends else PASS
        return [Answer(CaseRow(order.test, order.item, order.attempt, order.gen + 2, *how), order.number)]

    def cancel(self) -> None:
        """End what runs."""
        self.cancelled = True

    def dismiss(self) -> None:
        """Nothing more to do."""
        os.close(self.reader)
        os.close(self.writer)


class Elsewhere:
    """Cases of the tests named in `names` run far away, and end when a test says so with `over`."""

    def __init__(self, names: Iterable[str], lost: int) -> None:
        self.names = set(names)
        self.lost = lost
        self.orders: dict[CaseKey, Order] = {}
        self.over: list[CaseRow] = []
        self.looks: list[float] = []
        self.ends: dict[str, list[CaseRow]] = {}  # how the cases of a test end as soon as they are handed over

    def ended(self) -> list[CaseRow]:
        """What a test has said since the last call."""
        self.looks.append(time.monotonic())
        over, self.over = self.over, []
        return over

    def send(self, order: Order) -> bool:
        """No launcher."""
        return False

    def far(self, case: CaseKey) -> bool:
        """Whether a case runs far away."""
        return case.test in self.names

    def far_room(self) -> int:
        """Room for all."""
        return 1000

    def hand(self, order: Order) -> None:
        """Take a case."""
        self.orders[CaseKey(order.test, order.item)] = order
        if ends := self.ends.get(order.test):
            self.end(order.test, ends.pop(0))

    def end(self, test: str, how: CaseRow | None = None) -> None:
        """A case of a test without items ends well, or as said."""
        order = self.orders[CaseKey(test, "")]
        how = how or CaseRow(test, "", 1, 1, *PASS)
        self.over.append(how._replace(attempt=order.attempt, gen=order.gen + 2))

    def hand_over(self) -> None:
        """Nothing to do."""

    def no_more(self, *, far: bool) -> None:
        """Nothing to do."""

    def queued(self) -> int:
        """Nothing waits."""
        return 0

    def forgiven(self, case: CaseKey) -> int:
        """As often as the rig says."""
        return self.lost

    def drain(self) -> None:
        """Nothing to do."""

    def kept_back(self) -> bool:
        """Nothing is."""
        return False

    def leave_far(self) -> None:
        """Nothing to do."""

    def cancel(self) -> None:
        """Nothing to do."""


class Desk:
    """A world without files; `taken` are exclusive cases that another run has."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self.elsewhere = elsewhere
        self.taken: dict[CaseKey, str] = {}
        self.claimed: list[CaseKey] = []
        self.released: list[CaseKey] = []
        self.needless: set[str] = set()  # tests that need not run

    def skip(self, case: CaseKey, number: int) -> str:
        """Whether a test says that its cases need not run."""
        return "needless" if case.test in self.needless else ""

    def items(self, test: str) -> Sequence[Item] | None:
        """No late items."""
        return None

    def register(self, cases: Iterable[CaseKey]) -> None:
        """Nothing to do."""

    def claim(self, case: CaseKey) -> bool:
        """Whether nobody else has it."""
        if case in self.taken:
            return False
        self.claimed.append(case)
        return True

    def release(self, case: CaseKey) -> None:
        """Note it."""
        self.released.append(case)

    def about(self, case: CaseKey, number: int) -> tuple[int, tuple[Any, ...] | None]:
        """No earlier run."""
        return 0, None

    def last_word(self, key: CaseKey) -> CaseRow | None:
        """Nothing is recorded."""
        return None

    def clean_up(self, row: CaseRow) -> None:
        """Nothing to do."""

    def orders(self) -> Iterator[Callable[[Loop], None]]:
        """Nobody asks for anything."""
        return iter(())


class Drive:
    """A loop over some tests; those named in `far` go to a batch engine, as it were."""

    def __init__(
        self, *specs: TestSpec, far: str = "", slots: int = 2, policy: Policy | None = None, lost: int = 3,
        requirements: dict[str, str] | None = None, recorded: Iterable[CaseRow] = (), limits: Limits | None = None,
        ends: dict[str, list[tuple[str, str]]] | None = None,
    ) -> None:  # fmt: skip
        said = requirements or {}
        known = [s._replace(config=requirements_of(said.get(s.name, ""))) for s in specs]
        self.plan = Plan.of(*area(known), Selection("%", None))
        self.elsewhere = Elsewhere(far.split(), lost)
        self.desk = Desk(self.elsewhere)
        self.crew = Workers(ends or {})
        self.limits = limits or Limits(slots)
        self.signals, self.signal = os.pipe()
        interrupts: Any = SimpleNamespace(reader=self.signals, level=0, by="", drain=lambda: os.read(self.signals, 64))
        self.recorded = {row.key: row for row in recorded}
        self.loop = Loop(
            self.plan, cast(Any, self.crew), self.limits, interrupts, self.desk, policy or Policy(), self.recorded
        )  # fmt: skip

    def beats(self) -> Iterator[Beat]:
        """Drive it, adopting what is recorded; nobody waits for the machine to get well."""
        self.loop.waits.put_later = lambda number, pause: self.loop.waits.put(number)  # type: ignore[method-assign]
        try:
            yield from self.loop.beats({}, list(self.recorded))
        finally:
            os.close(self.signals)
            os.close(self.signal)

    def ended(self) -> list[tuple[str, int, str]]:
        """Drive it to its end; gives test, attempt and status of all that ended, in this order."""
        return [(row.test, row.attempt, row.status) for beat in self.beats() for row in (*beat.ran, *beat.decided)]


def requirements_of(text: str) -> Any:
    """A config whose [requirements] say that."""
    return parse(f"[requirements]\n{text}", "/area/tests/t/testconfig", Reading("/area", env={}))
