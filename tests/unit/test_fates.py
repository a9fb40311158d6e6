"""What an engine's word means for a case that its job did not end."""

from __future__ import annotations

import pytest

from mt.launchers.base import Word
from mt.model import CaseRow
from mt.pipeline import fates

ROW = CaseRow("t", "i", 2, 5, "RUNNING", "n/a", "n1", 4711, "slurm:12_3", 100.0, token="b1-3")


@pytest.mark.parametrize("fate", ["preempted", "node-failed", "out-of-memory", "failed", "done", "gone", "unknown"])
def test_what_the_machine_did_is_infra_and_is_tried_again(fate: str) -> None:
    row = fates.ended(ROW, Word(fate, "NODE_FAIL"), own=True, ours=False)
    assert (row.state, row.status, row.attempt) == ("COMPLETED", "INFRA", 2)
    assert row.reason == "slurm NODE_FAIL"
    assert row.comment.startswith("its job 12_3 of slurm ended first: ")
    assert fates.is_blameless(row)


def test_what_a_case_that_was_given_up_tells_itself_counts_when_it_comes() -> None:
    given_up = fates.ended(ROW, Word("gone", ""), own=True, ours=False)
    told = ROW._replace(gen=ROW.gen + 1, state="COMPLETED", status="PASS")
    assert given_up.gen < told.gen


def test_the_word_for_a_case_that_was_told_to_end_counts_more_than_its_own() -> None:
    told_to_end = ROW._replace(state="INCOMPLETE", status="KILLED")
    assert fates.ended(told_to_end, Word("preempted", ""), own=True, ours=False).gen > told_to_end.gen


def test_its_own_time_limit_kills_a_case() -> None:
    row = fates.ended(ROW, Word("time-limit", "TIMEOUT"), own=True, ours=False)
    assert (row.state, row.status) == ("KILLED", "KILLED")
    assert "more time than it had asked for (TIMEOUT)" in row.comment
    assert not fates.is_blameless(row)


def test_the_time_limit_of_a_pilot_is_no_fault_of_its_case() -> None:
    row = fates.ended(ROW, Word("time-limit", "TIMEOUT"), own=False, ours=False)
    assert (row.state, row.status) == ("COMPLETED", "INFRA")


def test_a_job_that_somebody_cancelled_was_killed() -> None:
    row = fates.ended(ROW, Word("cancelled", "CANCELLED by 0"), own=False, ours=False)
    assert (row.state, row.status) == ("KILLED", "KILLED")


def test_what_we_cancelled_ourselves_runs_again_with_the_next_command() -> None:
    row = fates.ended(ROW, Word("cancelled", "CANCELLED"), own=True, ours=True)
    assert (row.state, row.status, row.reason) == ("INCOMPLETE", "KILLED", "")


@pytest.mark.parametrize(
    ("fate", "over"),
    [("queued", False), ("held", False), ("running", False), ("unknown", False), ("done", True), ("gone", True)],
)
def test_only_what_will_not_run_any_more_is_over(fate: str, over: bool) -> None:
    assert fates.is_over(Word(fate, "")) == over
