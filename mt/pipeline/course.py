"""The course of a run: what became of each case, what the plan says follows from it, what is tried again.

It starts nothing and waits for nothing: `starting` and `loop` do, and tell here
what they did and heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mt.model import CaseKey, CaseRow
from mt.pipeline.contract import Desk, Policy
from mt.pipeline.plan import Closed, Move, NeedItems, Plan, Ready
from mt.pipeline.retrying import Retrying
from mt.pipeline.waitlist import Waitlist
from mt.states import verdict


class Course:
    """Where every case of a run is: waiting (`waits`), running here or under others, or recorded as over.

    `recorded` is the last row of each; `ran` and `decided` are those that ended
    since they were last told (`Beat`).
    """

    def __init__(
        self, plan: Plan, desk: Desk, policy: Policy, recorded: Mapping[CaseKey, CaseRow], waits: Waitlist
    ) -> None:
        self.plan = plan
        self.desk = desk
        self.waits = waits
        self.max_bad = policy.max_bad
        self.retrying = Retrying(plan, policy.retry, policy.usual, desk.elsewhere.forgiven)
        self.recorded = dict(recorded)
        self.running: dict[int, str] = {}  # case -> job group
        self.adopting: dict[CaseKey, int] = {}  # cases that run elsewhere
        self.faraway: set[int] = set()  # those of them that batch engines run
        self.bump = 0  # added to attempts after a takeover from a dead controller with living workers
        self.bad = 0
        self.draining = ""  # why nothing more starts
        self.said = ""
        self.decided: list[CaseRow] = []
        self.ran: list[CaseRow] = []

    # -- what follows ---------------------------------------------------------------------------

    def take(self, moves: Iterable[Move]) -> None:
        """Follow the plan's moves: queue what is ready, note what is decided, expand what was late."""
        for move in moves:
            if isinstance(move, Ready):
                if self.plan.cases[move.case] not in self.adopting:
                    self.waits.put(move.case)
            elif isinstance(move, Closed):
                self.close(move.case, move.state, move.status, move.comment)
            elif isinstance(move, NeedItems):
                self.expand(move.test)

    def expand(self, test: str) -> None:
        """Compute a test's items now, and go on with its cases."""
        before = len(self.plan.cases)
        moves = list(self.plan.expanded(test, self.desk.items(test)))
        self.desk.register(self.plan.cases[before:])
        self.take(moves)

    def close(self, number: int, state: str, status: str, comment: str) -> None:
        """A case is decided without running."""
        row = self.next_row(number)._replace(state=state, status=status, comment=comment)
        self.decided.append(row)
        self.recorded[row.key] = row

    def next_row(self, number: int) -> CaseRow:
        """The row with which a case would start: its attempt and generation follow what is recorded."""
        key = self.plan.cases[number]
        old = self.recorded.get(key)
        if old is None:
            return CaseRow(key.test, key.item, 1 + self.bump, 1)
        fresh = old.state == "NOT_STARTED"
        attempt = old.attempt if fresh else old.attempt + 1
        return CaseRow(key.test, key.item, attempt + (self.bump if fresh else 0), old.gen + 1)

    def skipped(self, number: int) -> bool:
        """Whether a ready case need not run; then that is recorded."""
        reason = self.desk.skip(self.plan.cases[number], number)
        if reason:
            self.close(number, "COMPLETED", "SKIP", reason)
            self.take(self.plan.ended(number, "COMPLETED", "SKIP"))
        return bool(reason)

    # -- what happened --------------------------------------------------------------------------

    def over(self, number: int, row: CaseRow, *, recorded: bool = False) -> None:
        """A case has ended: retry it, or let the plan go on.  `recorded` ones are noted already."""
        self.recorded[row.key] = row
        if not recorded:
            self.ran.append(row)
        kind = verdict(row.state, row.status)
        if self.again(number, kind, row):
            self.try_again(number, row)
            return
        if kind == "bad":
            self.count_bad()
        if row.state != "INCOMPLETE" or not self.draining:
            self.take(self.plan.ended(number, row.state, row.status))

    def again(self, number: int, kind: str, row: CaseRow) -> bool:
        """Whether a case that ended like this is to be tried again now."""
        return not self.draining and kind != "good" and self.retrying.allows(number, kind, row)

    def try_again(self, number: int, row: CaseRow) -> None:
        """Let a case wait for its next attempt: its turn, and before that a pause if the machine was to blame."""
        pause = self.retrying.pause(number, row)
        if pause:
            self.waits.put_later(number, pause)
        else:
            self.waits.put(number)

    def try_later(self) -> None:
        """Queue the cases whose pause is over; in a run that is cut short they stay as they ended."""
        if not self.draining:
            self.waits.wake()
            return
        for number in self.waits.give_up_pausing():
            row = self.recorded[self.plan.cases[number]]
            self.take(self.plan.ended(number, row.state, row.status))

    def count_bad(self) -> None:
        """One more has failed; that may be the most that was allowed."""
        self.bad += 1
        if self.max_bad is not None and self.bad >= self.max_bad and not self.draining:
            self.draining = f"{self.bad} failed, and that is the most that was allowed"

    def run_again(self, numbers: Iterable[int]) -> None:
        """Ended cases are asked for once more: they and what was closed because of them wait again."""
        numbers = list(numbers)
        self.waits.hurry(numbers)
        waiting, moves = self.plan.reopen(numbers)
        for number in waiting:
            row = self.next_row(number)
            self.decided.append(row)
            self.recorded[row.key] = row
        self.take(moves)
