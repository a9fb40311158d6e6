"""What a plan says (moves) and what an ended case means to those that wait for it (spec/runs.md 4.3)."""

from __future__ import annotations

from typing import NamedTuple

from mt.pipeline.graph import BLOCKED, DISCARD, FAIL, OK
from mt.states import LIVE, UNROLLED
from mt.states import OK as GOOD


class Ready(NamedTuple):
    """The case may start now."""

    case: int


class Closed(NamedTuple):
    """The case is decided without running."""

    case: int
    state: str
    status: str
    comment: str


class NeedItems(NamedTuple):
    """The items of a test are to be evaluated now; answer with `Plan.expanded`."""

    test: str


Move = Ready | Closed | NeedItems

#: state, status and comment of a case of which no item is wanted
ZERO = ("NOT_STARTED", "ZERO_ITEMS", "This test has no items which match test pattern.")
#: the same for cases that an outcome of their prerequisites closes
CLOSING = {
    FAIL: ("COMPLETED", "PREQ_FAIL", "Failed to run due to failed prerequisites"),
    DISCARD: ("COMPLETED", "PREQ_DISCARDED", "Failed to run due to prior failed prerequisites"),
    BLOCKED: ("NOT_STARTED", "BLOCKED", "a prerequisite ended without a verdict"),
}


def outcome(state: str, status: str) -> int | None:
    """OK, BLOCKED, DISCARD or FAIL as an ended case has it; None when it has not ended."""
    if state in LIVE or state in UNROLLED or (state == "NOT_STARTED" and status in ("n/a", "KEEP_TRYING")):
        return None
    if state == "NOT_STARTED":
        return BLOCKED if status == "BLOCKED" else DISCARD
    if status in GOOD:
        return OK
    if state in ("LOST", "STUCK", "UNKNOWN") or status == "INFRA":
        return BLOCKED
    if state == "INCOMPLETE" and status not in ("FAIL", "ABORT"):
        return BLOCKED
    return FAIL
