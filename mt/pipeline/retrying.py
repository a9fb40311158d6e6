"""Which cases of a run are tried again, and after which pause; what the words mean stands in `mt.retries`."""

from __future__ import annotations

from collections.abc import Callable

from mt import retries
from mt.model import CaseKey, CaseRow
from mt.pipeline.fates import is_blameless
from mt.pipeline.plan import Plan
from mt.retries import Retry


class Retrying:
    """Counts how often each case was tried again.

    `typed` is what the command says and `usual` what the area does; what a test
    says of itself stands between the two.  `forgiven` tells how often a case
    runs again because its batch engine ended its job.
    """

    def __init__(self, plan: Plan, typed: Retry, usual: Retry, forgiven: Callable[[CaseKey], int]) -> None:
        self.plan = plan
        self.typed = typed
        self.usual = usual
        self.forgiven = forgiven
        self.tries: dict[int, int] = {}

    def allows(self, number: int, kind: str, row: CaseRow) -> bool:
        """Whether a case that ended like this, with a verdict of this kind, may be tried again."""
        tried = self.tries.get(number, 0)
        policy = self.typed
        if policy.times != 0:
            own = retries.read(self.plan.spec_of(number).config, "requirements")
            policy = policy.over(own).over(self.usual)
        if is_blameless(row) and policy.times is None:
            return tried < self.forgiven(row.key)
        if row.status == "DEAD" and row.state == "INCOMPLETE":
            return tried < max(policy.times or 0, 1)
        return row.state != "KILLED" and policy.allows(kind, tried)

    def count(self, number: int, row: CaseRow) -> float:
        """A case is tried once more; gives the seconds before that: none unless the machine was to blame."""
        tried = self.tries.get(number, 0)
        self.tries[number] = tried + 1
        return retries.pause(tried) if row.status == "INFRA" or row.state == "LOST" else 0.0
