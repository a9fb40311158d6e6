"""What a fleet has: lots, where its cases are, the queries of engines, who is away, and what people were told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mt.launchers.base import Engine
from mt.launchers.calling import Asking
from mt.launchers.words import Choice
from mt.model import CaseKey, CaseRow
from mt.pipeline import absences
from mt.pipeline.absences import Absences
from mt.pipeline.bag import token_of
from mt.pipeline.case import Order, Setup
from mt.pipeline.jobs import job_name
from mt.pipeline.lots import Lot
from mt.pipeline.polls import Polls
from mt.stdio import say

#: variables that tell a job of an engine which one it is
_OF_A_JOB = frozenset(
    "JOB_ID SGE_TASK_ID PBS_JOBID PBS_ARRAYID PBS_ARRAY_INDEX LSB_JOBID LSB_JOBINDEX MT_SSH_JOB".split()
)


class World(NamedTuple):
    """What a fleet needs to know of the run it serves.

    `choice` is the engine of a case or None, `expected` its seconds or None,
    `emit` records a row, `sight` tells `alive`, `dead`, `silent` or `missing`
    of a worker by the name of its journal, `patience` is how many seconds a
    silent one is waited for, `jobs` is how many jobs there may be at once,
    `env` the environment of the run.
    """

    setup: Setup
    home: str
    root: str
    suite: str
    choice: Callable[[str, str], Choice | None]
    read: Callable[[str], Choice | None]
    expected: Callable[[CaseKey], float | None]
    emit: Callable[[str, Any], object]
    sight: Callable[[str], str]
    patience: float
    jobs: int
    env: Mapping[str, str]
    setvars: Sequence[tuple[str, str]] = ()


class Waiting(NamedTuple):
    """A case that is ready and not yet in a bag; `since` is when it came, by our clock."""

    order: Order
    since: float


class Place(NamedTuple):
    """Where a case is that was handed over."""

    lot: Lot
    number: int


class Sending(NamedTuple):
    """A submission whose answer is awaited; `at` is when it began, by our clock."""

    lot: Lot
    tasks: int
    task: int | None
    at: float
    asking: Asking


class Ending(NamedTuple):
    """Commands that cancel jobs and have not answered."""

    jobs: list[str]
    asking: Asking


class Yard:
    """All that the parts of a fleet share; it does nothing by itself."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: the name of all jobs of the run, for people and for queries by name
        self.name = job_name(world.suite, world.setup.run_id, world.root)
        self.ready: dict[Choice, list[Waiting]] = {}
        self.lots: list[Lot] = []
        self.where: dict[CaseKey, Place] = {}
        self.polls: dict[str, Polls] = {}
        self.tries: dict[CaseKey, int] = {}
        self.refused: dict[Choice, str] = {}
        self.spent: dict[Choice, tuple[float, int]] = {}
        self.absences = Absences()
        self.useless: dict[Choice, set[str]] = {}  # hosts that refuse such jobs
        self.noticed: dict[CaseKey, float] = {}  # when we began to wait for a word of the engine
        self.claimed: dict[CaseKey, float] = {}  # when we saw that a job has taken a case that has not begun
        self.until = 0.0  # when others have waited long enough for what we submit now
        self.others: Callable[[], bool] = lambda: False  # whether cases of this host wait for us meanwhile
        self.puzzles: set[tuple[str, str]] = set()  # jobs that are gone, while their end has not been told yet
        self.urgency: Callable[[], int] = lambda: 0  # how often the run was interrupted
        self.reviewed = 0.0
        self.turn = 0
        self.cancelled = False
        self.last = False
        self.leaving = False  # what is not submitted now is submitted by nobody
        self.said: set[str] = set()
        self.owed: dict[absences.Place, list[str]] = {}  # jobs that are still to be cancelled
        self.sending: dict[absences.Place, Sending] = {}  # who has not answered yet, and gets no other job until then
        self.ending: dict[absences.Place, Ending] = {}
        self.rebuffs: dict[absences.Place | Choice, int] = {}  # refusals since a job was taken
        self.accepted: set[absences.Place | Choice] = set()  # who has taken a job, and kinds of jobs that were taken

    def take(self, order: Order, choice: Choice) -> None:
        """A case is ready; it goes into a bag at the next `hand_over`."""
        self.ready.setdefault(choice, []).append(Waiting(order, time.monotonic()))

    def mean(self, choice: Choice, waiting: Sequence[Waiting]) -> float | None:
        """Seconds that a case of this kind takes, as measured in this run, else as expected, else None."""
        total, n = self.spent.get(choice, (0.0, 0))
        if n:
            return total / n
        known = [secs for w in waiting[:200] if (secs := self.world.expected(CaseKey(w.order.test, w.order.item)))]
        return sum(known) / len(known) if known else None

    def most(self, choice: Choice) -> int:
        """How many jobs of a kind there may be at once."""
        slots = sum(n for _, n in choice.hosts)
        return min(filter(None, (slots, choice.jobs or self.world.jobs)))

    def jobs(self, choice: Choice) -> int:
        """How many jobs of a kind are open."""
        return sum(lot.jobs() for lot in self.lots if lot.choice == choice)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of the engine's commands, without what hides jobs from squeue.

        Of a job that we may be in ourselves nothing is handed on: ours would take its number for theirs.
        """
        return {k: v for k, v in self.world.env.items() if not _misleads(k)}

    def polls_of(self, lot: Lot) -> Polls:
        """The queries of an engine."""
        name = lot.engine.name
        if name not in self.polls:
            self.polls[name] = Polls(lot.engine, lot.choice.poll, self.env)
        return self.polls[name]

    def tell(self, text: str, once: str = "") -> None:
        """Say something once, or one of what comes to the same."""
        if (once or text) not in self.said:
            self.said.add(once or text)
            say(text)

    def owe(self, made: Engine, jobs: Iterable[str]) -> None:
        """Jobs that are to be cancelled, all of one place with one call."""
        for job in jobs:
            self.owed.setdefault(absences.Place(made.name, made.apart(job)), []).append(job)

    def _launched(self, lot: Lot, number: int, order: Order, now: float) -> CaseRow:
        s = self.world.setup
        where = os.path.join(s.linktree, s.run.target, s.run.name, order.test, order.item).rstrip("/")
        return CaseRow(
            order.test, order.item, order.attempt, order.gen + 1, "LAUNCHED", "LAUNCHED", start=now, dir=where,
            token=token_of(lot.bag, number),
        )  # fmt: skip


def _misleads(name: str) -> bool:
    """Whether a variable tells the commands of an engine, or our jobs, of another job or of some jobs only."""
    return name in _OF_A_JOB or name.startswith("SQUEUE_") or (name.startswith("SLURM_") and name != "SLURM_CONF")
