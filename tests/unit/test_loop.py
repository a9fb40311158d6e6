"""The run loop alone: when it looks at what runs elsewhere, what it adopts, what it tries again."""

from __future__ import annotations

import time

import pytest
from fakes.driving import Drive
from fakes.specs import spec

from mt.model import CaseRow
from mt.pipeline.contract import Policy
from mt.retries import Retry, asked


def numbers(n: int) -> str:
    return " ".join(map(str, range(n)))


# -- looking around


def test_words_of_workers_do_not_make_it_look_at_what_waits_far_away() -> None:
    drive = Drive(spec("here", items=numbers(600)), spec("far", items=numbers(50)), far="far")
    began, left = time.monotonic(), 600
    for beat in drive.beats():
        left -= len(beat.ran)
        if not left:
            break
    took = time.monotonic() - began
    assert len(drive.elsewhere.looks) <= 1 + took / 0.1
    assert len(drive.elsewhere.orders) == 50


def test_it_looks_often_enough_while_workers_never_fall_silent() -> None:
    drive = Drive(spec("here", items=numbers(20_000)), spec("far"), far="far")
    began, left = 0.0, 20_000
    for beat in drive.beats():
        left -= sum(row.test == "here" for row in beat.ran)
        if any(row.test == "far" for row in beat.ran):
            break
        if not began and drive.elsewhere.orders:
            began = time.monotonic()
            drive.elsewhere.end("far")
    assert 0 < time.monotonic() - began < 1 and left > 0


def test_the_end_of_what_runs_elsewhere_is_heard_soon_when_nothing_else_happens() -> None:
    drive = Drive(spec("far"), spec("next", "far"), far="far")
    beats, began = drive.beats(), time.monotonic()
    next(beats)
    drive.elsewhere.end("far")
    assert [row.test for beat in beats for row in beat.ran] == ["far", "next"]
    assert time.monotonic() - began < 0.45


# -- trying again


BAD = ("COMPLETED", "FAIL")
LOST_JOB = CaseRow("t", "", 1, 1, "COMPLETED", "INFRA", reason="slurm PREEMPTED")
FAILED = CaseRow("t", "", 1, 1, *BAD)


def far_attempts(*ends: CaseRow, typed: Retry | None = None, own: str = "", lost: int = 3) -> list[str]:
    """How the attempts of a case end that a batch engine runs; they end as said, then well."""
    drive = Drive(spec("t"), far="t", policy=Policy(retry=typed or Retry()), lost=lost, requirements={"t": own})
    drive.elsewhere.ends["t"] = [*ends, CaseRow("t", "", 1, 1, "COMPLETED", "PASS")]
    return [status for _, _, status in drive.ended()]


@pytest.mark.parametrize(
    "typed", [Retry(), asked(1, "fail"), asked(None, "fail"), asked(2, "all"), asked(None, "infra")]
)
def test_what_a_batch_engine_did_to_a_case_is_forgiven_whatever_retries_are_asked(typed: Retry) -> None:
    assert far_attempts(LOST_JOB, LOST_JOB, LOST_JOB, typed=typed) == ["INFRA"] * 3 + ["PASS"]


def test_what_was_forgiven_uses_up_no_retry() -> None:
    assert far_attempts(LOST_JOB, FAILED, typed=asked(1, "fail")) == ["INFRA", "FAIL", "PASS"]
    assert far_attempts(FAILED, LOST_JOB, LOST_JOB, FAILED, typed=asked(1, "fail")) == [
        "FAIL",
        "INFRA",
        "INFRA",
        "FAIL",
    ]


def test_what_was_forgiven_often_enough_is_retried_only_as_asked() -> None:
    assert far_attempts(LOST_JOB, LOST_JOB, lost=1) == ["INFRA", "INFRA"]
    assert far_attempts(LOST_JOB, LOST_JOB, lost=1, typed=asked(1, "fail")) == ["INFRA", "INFRA"]
    assert far_attempts(LOST_JOB, LOST_JOB, lost=1, typed=asked(1, "infra")) == ["INFRA", "INFRA", "PASS"]


def test_no_retries_means_none_at_all() -> None:
    assert far_attempts(LOST_JOB, typed=asked(0, None)) == ["INFRA"]
    assert far_attempts(LOST_JOB, own="retries 0") == ["INFRA"]
    assert far_attempts(LOST_JOB, typed=asked(1, "fail"), own="retries 0") == ["INFRA", "PASS"], "the command wins"


def test_a_case_whose_worker_died_is_tried_once_more_but_not_where_no_retries_are_asked() -> None:
    dead = ("INCOMPLETE", "DEAD")
    for typed, ends in ((Retry(), ["DEAD", "DEAD"]), (asked(1, "fail"), ["DEAD", "DEAD"]), (asked(0, None), ["DEAD"])):
        drive = Drive(spec("t"), policy=Policy(retry=typed), ends={"t": [dead, dead, dead]})
        assert [status for _, _, status in drive.ended()] == ends
