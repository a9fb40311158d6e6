"""Which cases of a run are tried again, and after which pause; what the words mean stands in `mt.retries`.

What the machine did to a case is no end of its own: it is *forgiven* so often,
whatever retries are asked, and uses none of them up.  Only `retries 0`, where
somebody says it, means that nothing runs twice.
"""

from __future__ import annotations

from collections.abc import Callable

from mt import retries
from mt.model import CaseKey, CaseRow
from mt.pipeline.fates import is_blameless
from mt.pipeline.plan import Plan
from mt.retries import Retry


class Retrying:
    """Counts how often each case was tried again, and how often that was forgiven.

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
        self.spared: dict[int, int] = {}

    def allows(self, number: int, kind: str, row: CaseRow) -> bool:
        """Whether a case that ended like this, with a verdict of this kind, runs again; then that is counted."""
        policy = self.policy(number)
        if policy.times == 0:
            return False
        for counts, allowed in (
            (self.spared, self.spared.get(number, 0) < self.mercy(row)),
            (self.tries, row.state != "KILLED" and policy.allows(kind, self.tries.get(number, 0))),
        ):
            if allowed:
                counts[number] = counts.get(number, 0) + 1
                return True
        return False

    def policy(self, number: int) -> Retry:
        """What is said of a case."""
        if self.typed.times == 0:
            return self.typed
        own = retries.read(self.plan.spec_of(number).config, "requirements")
        return self.typed.over(own).over(self.usual)

    def mercy(self, row: CaseRow) -> int:
        """How often an end like this is forgiven: when its job was ended, or once when its worker died."""
        if is_blameless(row):
            return self.forgiven(row.key)
        return int(row.state == "INCOMPLETE" and row.status == "DEAD")

    def pause(self, number: int, row: CaseRow) -> float:
        """Seconds before a case that was counted is tried again: none unless the machine was to blame."""
        before = self.tries.get(number, 0) + self.spared.get(number, 0) - 1
        return retries.pause(before) if row.status == "INFRA" or row.state == "LOST" else 0.0
