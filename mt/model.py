"""Data types that several floors share: named tuples, no behaviour beyond their text form.

A type that only one module uses stays in that module.  Ids print as
`TARGET//RUN//TEST/ITEM`; prefixes name the wider thing (DESIGN.md section 2).
"""

from __future__ import annotations

from typing import Any, NamedTuple


class RunKey(NamedTuple):
    """A run: its target (`ubuntu/nfs/none`) and its name (`w49.1`)."""

    target: str
    name: str

    def __str__(self) -> str:
        """`TARGET//RUN`."""
        return f"{self.target}//{self.name}"


class CaseKey(NamedTuple):
    """A case within a run: a test and an item path; `item` is empty for a test without items."""

    test: str
    item: str = ""

    def __str__(self) -> str:
        """`TEST` or `TEST/ITEM`."""
        return f"{self.test}/{self.item}" if self.item else self.test


def case_id(run: RunKey, case: CaseKey) -> str:
    """The id that every verb prints and accepts."""
    return f"{run.target}//{run.name}//{case}"


class CaseRow(NamedTuple):
    """One case as recorded: the payload of a `case` event and the row of the db.

    Every `case` event carries the whole row, so that the fold of a case is
    simply its greatest event.  Times are seconds since 1970, durations and cpu
    seconds, `rss` bytes.  Of a case that a batch engine ran `job` is its job
    (`slurm:123_4`), `queued` how long it waited from the hand-over to its start
    by the clocks of both hosts, `reason` the engine's word where that decided,
    and `token` names the attempt to whoever runs it.
    """

    test: str
    item: str
    attempt: int = 1
    gen: int = 0
    state: str = "NOT_STARTED"
    status: str = "n/a"
    host: str = ""
    pid: int = 0
    job: str = ""
    start: float = 0.0
    end: float = 0.0
    secs: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    dir: str = ""
    comment: str = ""
    reason: str = ""
    token: str = ""
    queued: float = 0.0

    @property
    def key(self) -> CaseKey:
        """Which case this row is about."""
        return CaseKey(self.test, self.item)


class StepRow(NamedTuple):
    """One step of one attempt; `exits` are the statuses of all stages, the last one decides with the rules."""

    test: str
    item: str
    attempt: int
    name: str
    number: int = 0
    state: str = "start"
    status: str = "-"
    exits: tuple[int, ...] = ()
    pid: int = 0
    start: float = 0.0
    secs: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    log: str = ""
    comment: str = ""


class ValueRow(NamedTuple):
    """One measured value of one attempt, with what was expected of it (spec/runs.md 1.6)."""

    test: str
    item: str
    attempt: int
    category: str
    variable: str
    value: str
    expected: str = ""
    tol: str = ""
    units: str = ""
    comment: str = ""
    status: str = ""
    type: str = ""


class RunRow(NamedTuple):
    """One run as main.db knows it; `counts` is {"STATE/STATUS": n} over its cases.

    `said` is what was done to the run as a whole, by hand: `frozen` and
    `set_status`, each an object with who (`by`), when (`t`) and why.
    """

    id: int
    target: str
    name: str
    state: str
    status: str
    owner: str
    start: float
    end: float
    counts: dict[str, int]
    comment: str = ""
    said: dict[str, Any] = {}  # noqa: RUF012 - a default that nobody changes

    @property
    def key(self) -> RunKey:
        """Target and name."""
        return RunKey(self.target, self.name)
