"""The fleet of a run, when there is one: which engines it needs, and how much of it may run at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mt import queries
from mt.db import Store
from mt.errors import LaunchError
from mt.launchers import engine
from mt.launchers.words import Choice
from mt.model import CaseKey, CaseRow
from mt.pipeline import history
from mt.pipeline.case import Setup
from mt.pipeline.choosing import Launchers
from mt.pipeline.desk import Ground
from mt.pipeline.request import Request

if TYPE_CHECKING:
    from mt.pipeline.fleet import Fleet


def fleet_of(
    ground: Ground, setup: Setup, launchers: Launchers, request: Request, past: history.History
) -> Fleet | None:
    """The fleet; None for a run that no batch engine has to do with, and that is most.

    Raises LaunchError when a launcher that was asked for needs a program that
    is not here, ConfigError when it cannot be understood.
    """
    adopted = any(row.token for row in past.living)
    if not launchers.engines() and not adopted:
        if os.path.isdir(os.path.join(ground.store.root, "batch")):
            from mt.pipeline.bag import bags_of, tidy_over

            tidy_over(bags_of(ground.store.root, ground.run_id), ())  # of an earlier command of this run
        return None
    from mt.pipeline.fleet import MOST_JOBS, Fleet, World

    asked = launchers.read(request.launcher) if request.launcher else None
    if asked is not None:
        refuse_missing(asked)
    area = ground.area
    configured = area.number("setup", "max_concurrent_jobs", 0)
    past_times = Times(ground.store, ground.run.target)

    def sight(writer: str) -> str:
        return history.eyes(ground.store, ground.run_id).writer(writer).word

    return Fleet(
        World(
            setup, area.home, ground.store.root, area.name, launchers.choice, launchers.read, past_times.of,
            ground.journal.emit_row, sight, history.patience(area), request.jobs or int(configured) or MOST_JOBS,
            area.inherited, area.setvars,
        )
    )  # fmt: skip


def advice_on(ground: Ground, rows: Iterable[CaseRow]) -> str:
    """A hint in one line where jobs asked for much more, or hardly more, than they used; empty where they did not."""
    from mt.pipeline.jobs import RunJobs
    from mt.pipeline.thrift import advice, hint, uses

    return hint(advice(uses(rows, RunJobs(ground.store.root, ground.run_id).job)))


class Times:
    """How long cases took in earlier runs of a target, looked up when it is first asked."""

    def __init__(self, store: Store, target: str) -> None:
        self.store = store
        self.target = target
        self.known: dict[CaseKey, float] | None = None
        self.tests: dict[str, float] = {}

    def of(self, key: CaseKey) -> float | None:
        """Seconds of a case, else of the longest case of its test; None when nothing is known."""
        if self.known is None:
            self.known = queries.durations(self.store, self.target)
            for known, secs in self.known.items():
                self.tests[known.test] = max(secs, self.tests.get(known.test, 0.0))
        return self.known.get(key) or self.tests.get(key.test)


def refuse_missing(choice: Choice) -> None:
    """Raise LaunchError when the programs of an engine are not on PATH."""
    made = engine(choice.engine)
    for name in made.programs:
        if shutil.which(name) is None:
            raise LaunchError(
                f"cannot use launcher '{choice.engine}': '{name}' is not on PATH", hint="mt launcher list"
            )
