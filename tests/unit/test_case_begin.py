"""A case that may not begin ends with the reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mt.model import RunKey
from mt.pipeline.case import CaseRun, Interrupt, Order


def _case() -> tuple[CaseRun, list[Any]]:
    setup: Any = SimpleNamespace(linktree="/l", run=RunKey("x", "r"), host="h", kill_dir="/none", limit=None)
    told: list[Any] = []
    return CaseRun(setup, Order(0, "t", "", (), 1, 1, True), lambda kind, row: told.append(row), lambda: None), told


def test_a_case_whose_job_is_told_to_end_before_it_begins_says_so() -> None:
    case, told = _case()
    case.asked = lambda: Interrupt("INCOMPLETE", "KILLED", "its job was told to end")
    row = case.run(lambda: False)
    assert (row.state, row.status, row.comment) == ("INCOMPLETE", "KILLED", "its job was told to end")
    assert [one.state for one in told] == ["RUNNING", "INCOMPLETE"]


def test_a_case_whose_controller_has_left_before_it_begins_may_run_again() -> None:
    row = _case()[0].run(lambda: False)
    assert (row.state, row.status, row.comment) == ("INCOMPLETE", "n/a", "its controller left before it began")
