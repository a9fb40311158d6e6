"""What the log of a bag tells of its jobs, without a disk."""

from __future__ import annotations

import pytest

from mt.launchers.base import Ask
from mt.pipeline.jobs import BagLog, ask_of

ASK = {"cores": 2, "memory": 1 << 30, "time": 60.0, "queue": "short", "account": "", "licences": "", "flags": ["-x"]}
ONE = {"e": "submitted", "t": 10.0, "id": "7", "tasks": 0, "engine": "slurm", "launcher": "slurm queue=short",
       "way": "job", "ask": ASK}  # fmt: skip
ARRAY = {**ONE, "id": "9", "tasks": 4, "way": "array"}


def word(job: str, fate: str, said: str = "", t: float = 20.0, host: str = "") -> dict[str, object]:
    return {"e": "word", "t": t, "job": job, "fate": fate, "said": said, "host": host}


def test_a_job_of_which_nothing_was_said_is_known_by_its_submission() -> None:
    (row,) = BagLog("/b", [ONE]).jobs()
    assert (row.job, row.engine, row.id, row.way, row.fate, row.submitted) == ("slurm:7", "slurm", "7", "job", "", 10.0)
    assert row.ask == Ask(2, 1 << 30, 60.0, "short", "", "", ("-x",))
    assert row.is_open


def test_the_last_word_counts_and_the_first_time_it_ran_is_kept() -> None:
    said = [word("7", "queued", "PENDING (Resources)"), word("7", "running", "RUNNING", 30.0, "n1"),
            word("7", "done", "COMPLETED", 90.0)]  # fmt: skip
    (row,) = BagLog("/b", [ONE, *said]).jobs()
    assert (row.fate, row.said, row.host, row.began, row.changed) == ("done", "COMPLETED", "n1", 30.0, 90.0)
    assert not row.is_open


def test_tasks_have_rows_of_their_own_once_the_engine_spoke_of_them() -> None:
    rows = list(BagLog("/b", [ARRAY, word("9_2", "running", host="n2")]).jobs())
    assert [(r.job, r.array, r.tasks, r.fate) for r in rows] == [
        ("slurm:9_2", "slurm:9", 1, "running"), ("slurm:9", "slurm:9", 3, ""),
    ]  # fmt: skip


def test_an_array_of_which_all_tasks_were_spoken_of_has_no_row_of_its_own() -> None:
    rows = list(BagLog("/b", [ARRAY, *(word(f"9_{n}", "queued") for n in range(4))]).jobs())
    assert [r.job for r in rows] == ["slurm:9_0", "slurm:9_1", "slurm:9_2", "slurm:9_3"]


def test_a_task_is_found_by_name_before_anything_was_said_of_it() -> None:
    log = BagLog("/b", [ARRAY])
    found = log.job("slurm:9_3")
    assert found is not None and (found.job, found.array, found.tasks) == ("slurm:9_3", "slurm:9", 1)
    whole = log.job("slurm:9")
    assert whole is not None and whole.tasks == 4
    assert log.job("slurm:10") is None


@pytest.mark.parametrize("asked", [["9"], ["9_0", "9_1", "9_2", "9_3"]])
def test_what_was_cancelled_is_cancelled_but_not_what_had_ended(asked: list[str]) -> None:
    lines = [ARRAY, word("9_1", "done"), {"e": "cancelled", "t": 50.0, "jobs": asked}]
    assert [(r.id, r.fate) for r in BagLog("/b", lines).jobs()] == [
        ("9_0", "cancelled"), ("9_1", "done"), ("9_2", "cancelled"), ("9_3", "cancelled"),
    ]  # fmt: skip


def test_jobs_of_a_bag_whose_orders_have_ended_have_left_unless_the_engine_said_more() -> None:
    lines = [ONE, {**ONE, "id": "8"}, word("7", "failed", "FAILED"), word("8", "running")]
    assert [(r.id, r.fate) for r in BagLog("/b", lines, over=True).jobs()] == [("7", "failed"), ("8", "left")]


@pytest.mark.parametrize(
    "line",
    [
        {}, {"e": "later"}, {"e": "word"}, {"e": "word", "job": "77", "fate": "done"}, {"e": "submitted"},
        {"e": "submitted", "engine": "nosuch", "id": "1"}, {"e": "cancelled"}, {"e": "cancelled", "jobs": "7"},
        {"e": ["word"]}, {"e": "cancelled", "jobs": ["88"]}, {"e": "job"}, {"e": "trouble"}, {"e": "refused"},
    ],
)  # fmt: skip
def test_a_line_that_tells_nothing_here_is_passed_over(line: dict[str, object]) -> None:
    assert [r.job for r in BagLog("/b", [line, ONE, line]).jobs()] == ["slurm:7"]


def test_refusals_and_trouble_are_kept_with_their_time() -> None:
    log = BagLog(
        "/b", [{"e": "refused", "t": 3.0, "why": "invalid partition"}, {"e": "trouble", "t": 4, "what": "away"}]
    )
    assert [tuple(s) for s in log.said] == [(3.0, "refused", "invalid partition"), (4.0, "trouble", "away")]


@pytest.mark.parametrize("said", [None, [], "x", {"cores": "many", "memory": None, "flags": "x", "later": 1}])
def test_what_is_no_ask_was_not_asked_for(said: object) -> None:
    assert ask_of(said) == Ask()
