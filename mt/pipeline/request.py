"""What one command asks of a run, in which manner, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mt.config import Problem
from mt.model import CaseKey, RunKey
from mt.pipeline.contract import Policy
from mt.pipeline.plan import Selection
from mt.pipeline.progress import Progress, Shown, say_problem


class Manner(NamedTuple):
    """Where `mt run` and the old `megatest -run` differ around the same run.

    `tell` hears of what is wrong with tests, `shown` makes what shows the run
    from (run, number of cases, slots, quiet); `contour` is one more level of
    directories.  `old` is what the area does not say: only the last stage of a
    pipeline counts, 50 cases at once, all files of old in run directories.
    """

    tell: Callable[[Problem], None] = say_problem
    shown: Callable[[str, int, int, bool], Shown] = Progress
    contour: str = ""
    old: bool = False


class Request(NamedTuple):
    """What one command asks of a run; `launcher` starts all cases, whatever the area says."""

    run: RunKey
    want: Selection
    again: dict[str, Any] | None = None
    jobs: int | None = None
    max_load: float | None = None
    policy: Policy = Policy()
    order: Sequence[CaseKey] = ()
    quiet: bool = False
    owner: str = ""
    launcher: str = ""
    manner: Manner = Manner()


class Outcome(NamedTuple):
    """How a command ended: the verdict of its cases, their counts, what cut it short, and how many were flaky."""

    status: int
    counts: dict[tuple[str, str], int]
    cut: str
    secs: float
    ran: int
    flaky: int = 0
