"""The run loop alone: when it looks at what runs elsewhere, what it adopts, what it tries again."""

from __future__ import annotations

import time

import pytest
from fakes.driving import Drive
from fakes.specs import spec

from mt.model import CaseKey, CaseRow
from mt.pipeline.contract import Policy
from mt.pipeline.limits import Limits
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


# -- job groups, exclusive cases, and what is adopted


def living(test: str, item: str = "", token: str = "bag-0") -> CaseRow:
    """The row of a case that runs: under a batch engine, or with no token under the worker of a dead controller."""
    return CaseRow(test, item, 1, 2, "RUNNING", "n/a", token=token)


def test_what_is_adopted_counts_in_its_group_and_new_cases_wait() -> None:
    limits = Limits(9, {"g": 2})
    drive = Drive(
        *(spec(name, group="g") for name in "abcd"), far="a b c", limits=limits,
        recorded=[living("a"), living("b")],
    )  # fmt: skip
    beats = drive.beats()
    next(beats)
    assert not drive.elsewhere.orders and not drive.crew.orders and limits.in_group == {"g": 2}
    drive.elsewhere.over.append(living("a")._replace(state="COMPLETED", status="PASS"))
    for beat in beats:
        assert limits.in_group["g"] <= 2
        if beat.ran:
            break
    drive.elsewhere.over.append(living("b")._replace(state="COMPLETED", status="PASS"))
    for _ in beats:
        assert limits.in_group["g"] <= 2
        if drive.elsewhere.orders:
            drive.elsewhere.end("c")
            drive.elsewhere.orders.clear()
    assert {row.status for row in drive.loop.course.recorded.values()} == {"PASS"}
    assert limits.in_group == {"g": 0}


@pytest.mark.parametrize("token", ["bag-0", ""])
def test_an_adopted_exclusive_case_is_claimed_again_until_it_ends(token: str) -> None:
    drive = Drive(spec("x", mode="exclusive"), recorded=[living("x", token=token)])
    beats = drive.beats()
    assert next(beats).said == ""
    assert drive.desk.claimed == [("x", "")] and not drive.desk.released
    drive.elsewhere.over.append(living("x")._replace(state="COMPLETED", status="PASS"))
    list(beats)
    assert drive.desk.released == [("x", "")]


def test_that_another_run_has_the_claim_of_an_adopted_case_is_said() -> None:
    drive = Drive(spec("x", mode="exclusive"), recorded=[living("x")])
    drive.desk.taken[CaseKey("x", "")] = "another run"
    beats = drive.beats()
    assert next(beats).said == "x goes on, though another run has taken its claim to be the only one meanwhile"
    drive.elsewhere.over.append(living("x")._replace(state="COMPLETED", status="PASS"))
    list(beats)
    assert drive.loop.course.recorded[CaseKey("x", "")].status == "PASS"


def test_an_exclusive_case_that_waited_for_its_group_is_claimed_like_any_other() -> None:
    drive = Drive(spec("a", group="g"), spec("x", group="g", mode="exclusive"), limits=Limits(9, {"g": 1}))
    drive.crew.held.add("a")
    beats = drive.beats()
    next(beats)
    drive.desk.taken[CaseKey("x", "")] = "another run"
    drive.crew.finish(drive.crew.orders[0])
    for beat in beats:
        if beat.ran:
            break
    assert [order.test for order in drive.crew.orders] == ["a"]
    drive.desk.taken.clear()
    list(beats)
    assert [order.test for order in drive.crew.orders] == ["a", "x"] and drive.desk.released == [("x", "")]


def test_cases_of_a_full_group_start_in_their_order() -> None:
    drive = Drive(spec("a", items=numbers(6), group="g"), limits=Limits(9, {"g": 1}))
    assert len(drive.ended()) == 6
    assert [order.item for order in drive.crew.orders] == list("012345")


def test_an_exclusive_case_that_need_not_run_holds_up_nobody_elses() -> None:
    drive = Drive(spec("x", mode="exclusive"), spec("y"))
    drive.desk.needless.add("x")
    drive.crew.held.add("y")
    next(drive.beats())
    assert drive.desk.released == [("x", "")] and [order.test for order in drive.crew.orders] == ["y"]
