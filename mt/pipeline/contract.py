"""What the run loop takes (`Policy`), gives (`Beat`) and asks of the world around it (`Desk`, `Elsewhere`).

The loop knows neither tests nor files, neither dbs nor batch engines: what it
has to know of them it asks here, and `desk` answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mt import retries
from mt.model import CaseKey, CaseRow
from mt.pipeline.case import Order
from mt.testspec import Item

if TYPE_CHECKING:
    from mt.pipeline.loop import Loop


class Beat(NamedTuple):
    """Rows that ended, recorded by their workers (`ran`) or the controller's to record (`decided`); and talk.

    `queued` cases were handed to batch engines and have not begun; `running` ones have.
    """

    ran: tuple[CaseRow, ...] = ()
    decided: tuple[CaseRow, ...] = ()
    running: int = 0
    said: str = ""
    queued: int = 0


class Policy(NamedTuple):
    """What the user allows: retries, of which outcomes, and how many bad ends stop the run.

    `retry` is what the command says and `usual` what the area does; what a test
    says of itself stands between the two.  `clean`: a new attempt begins in an empty directory.  `leave`: come back as
    soon as nothing is left to start; what runs goes on alone.  `one_pass`: even
    when cases still wait for others.  `spare`: a signal ends the command, and not what runs (spec/runs.md 4.1).
    """

    retry: retries.Retry = retries.Retry(0)
    usual: retries.Retry = retries.Retry()
    max_bad: int | None = None
    clean: bool = True
    leave: bool = False
    one_pass: bool = False
    spare: bool = False


class Desk(Protocol):
    """The area, the store, other runs and other people."""

    @property
    def elsewhere(self) -> Elsewhere:
        """The cases that our own workers do not run."""
        ...

    def skip(self, case: CaseKey, number: int) -> str:
        """Why a case need not run (its [skip] section), or empty."""
        ...

    def items(self, test: str) -> Sequence[Item] | None:
        """The items of a test that were to be computed late; None when it has none."""
        ...

    def register(self, cases: Iterable[CaseKey]) -> None:
        """New cases of the plan are to be recorded as waiting."""
        ...

    def claim(self, case: CaseKey) -> bool:
        """Whether an exclusive case may start now: no other run has it."""
        ...

    def release(self, case: CaseKey) -> None:
        """The exclusive case has ended."""
        ...

    def about(self, case: CaseKey, number: int) -> tuple[int, tuple[Any, ...] | None]:
        """The number of a case's record and its earlier run, for triggers and waivers."""
        ...

    def last_word(self, key: CaseKey) -> CaseRow | None:
        """What is recorded of a case whose worker has just died."""
        ...

    def clean_up(self, row: CaseRow) -> None:
        """End what a dead worker's case left running."""
        ...

    def orders(self) -> Iterable[Callable[[Loop], None]]:
        """What others ask of this run meanwhile."""
        ...


class Elsewhere(Protocol):
    """Cases that run under batch engines, launchers of the area, or workers of an earlier controller."""

    def ended(self) -> list[CaseRow]:
        """Those that have ended since the last call."""
        ...

    def send(self, order: Order) -> bool:
        """Whether a launcher of the area takes the case; else our own workers run it."""
        ...

    def far(self, case: CaseKey) -> bool:
        """Whether a batch engine is to run the case."""
        ...

    def far_room(self) -> int:
        """How many more cases may be given to batch engines."""
        ...

    def hand(self, order: Order) -> None:
        """Give a case to its batch engine, together with others at the next `hand_over`."""
        ...

    def hand_over(self) -> None:
        """All that may be handed to batch engines now was."""
        ...

    def no_more(self, *, far: bool) -> None:
        """Nothing is left to start, as far as is known (or, with `far`, there is more after all)."""
        ...

    def queued(self) -> int:
        """How many cases that were handed to batch engines have not begun."""
        ...

    def forgiven(self, case: CaseKey) -> int:
        """How often a case runs again by itself because its batch engine ended its job."""
        ...

    def drain(self) -> None:
        """No more cases may begin: take back what batch engines have not begun."""
        ...

    def kept_back(self) -> bool:
        """Whether cases that were given to batch engines still wait for room there."""
        ...

    def leave_far(self) -> None:
        """We are leaving: hand over what was kept back, so that it goes on without us."""
        ...

    def cancel(self) -> None:
        """End what launchers have started."""
        ...
