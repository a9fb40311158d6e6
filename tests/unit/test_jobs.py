"""What the log of a bag tells of its jobs, what is said of cases in it, and what jobs asked for and did not use."""

from __future__ import annotations

import pytest

from mt.launchers.base import Ask
from mt.model import CaseRow
from mt.pipeline.bag import Claim
from mt.pipeline.handed import Handed
from mt.pipeline.jobs import BagLog, ask_of
from mt.pipeline.thrift import Use, advice, hint, uses

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


def test_a_task_that_a_case_names_has_a_row_before_the_engine_speaks_of_it() -> None:
    rows = list(BagLog("/b", [ARRAY]).jobs({"slurm:9_1"}))
    assert [(r.job, r.tasks, r.fate) for r in rows] == [("slurm:9_1", 1, ""), ("slurm:9", 3, "")]


# -- what is said of a case that was handed over


def handed(lines: list[dict[str, object]], job: str = "", **more: object) -> Handed:
    log = BagLog("/b", lines)
    said = log.said[-1] if log.said else None
    if job:
        return Handed(log.job(job), said=said, **more)  # type: ignore[arg-type] # fields by name
    return Handed(None, list(log.jobs()), said=said, **more)  # type: ignore[arg-type] # fields by name


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "handed to slurm as job 7 1m 30s ago; slurm has not been asked yet"),
        (
            [word("7", "queued", "PENDING (Resources)", 80.0)],
            "waits in the queue of slurm as job 7 for 1m 30s: PENDING (Resources), as of 20s ago",
        ),
        ([word("7", "held", "PENDING (JobHeldUser)")], "is held in the queue of slurm as job 7 for 1m 30s: "),
        ([word("7", "running", "RUNNING", 99.0, "n1")], "job 7 of slurm runs on n1 and has not begun it: RUNNING"),
        ([word("7", "node-failed", "NODE_FAIL")], "job 7 of slurm was to run it and is over: NODE_FAIL"),
    ],
)
def test_a_case_that_waits_says_what_the_engine_said_and_when(words: list[dict[str, object]], says: str) -> None:
    first, *_, last = handed([ONE, *words], "slurm:7").waiting(100.0)
    assert first.startswith(says)
    assert last == "ask slurm itself: scontrol show job 7"


def test_a_case_in_the_bag_of_pilots_says_how_many_there_are_and_run() -> None:
    pilots = {**ARRAY, "way": "pilot", "tasks": 20}
    lines = [pilots, *(word(f"9_{n}", "running") for n in range(18)), word("9_18", "queued"), word("9_19", "queued")]
    assert handed(lines, cases=812).waiting(100.0) == [
        "waits in a bag of 812 cases for one of 20 pilots (slurm:9), 18 of which run",
        "ask slurm itself: scontrol show job 9_0",
    ]


def test_pilots_that_all_wait_say_what_for() -> None:
    pilots = {**ARRAY, "way": "pilot", "tasks": 0}
    lines = [pilots, word("9", "queued", "PENDING (Priority)", 90.0)]
    assert handed(lines, cases=2, taken=1).waiting(100.0)[:2] == [
        "waits in a bag of 2 cases (1 taken) for one pilot (slurm:9), which does not run yet",
        "slurm says of job 9: PENDING (Priority), as of 10s ago",
    ]
    assert handed([pilots]).waiting(100.0)[1] == "slurm has not been asked yet"
    over = handed([pilots, word("9", "cancelled")]).waiting(100.0)
    assert over[0] == "waits in a bag of 1 case, and no pilot is left that could take it"


def test_a_refusal_is_told_until_a_later_job_was_accepted() -> None:
    refused: dict[str, object] = {"e": "refused", "t": 5.0, "why": "invalid partition"}
    assert handed([refused]).waiting(65.0) == [
        "handed over, and no job has been submitted for it yet",
        "the engine refused a job 1m ago: invalid partition",
    ]
    assert not any("refused" in line for line in handed([refused, ONE], "slurm:7").waiting(65.0))


def test_a_case_that_was_taken_names_its_taker() -> None:
    claim = Claim("slurm:9_1", "n1", 17, "n1-17-5")
    first = handed([ARRAY], "slurm:9_1", claim=claim).waiting(20.0)[0]
    assert first == "job slurm:9_1 on n1 has taken it and not begun it yet"


def test_a_running_case_speaks_of_its_job_only_when_the_engine_says_something_else() -> None:
    assert handed([ONE, word("7", "running", "RUNNING")], "slurm:7").running(30.0) == []
    said = handed([ONE, word("7", "suspended", "SUSPENDED")], "slurm:7").running(30.0)
    assert said[0] == "but slurm says of its job: SUSPENDED, as of 10s ago"


def test_an_ended_case_tells_of_the_end_of_its_job_only_when_that_was_not_plain() -> None:
    assert handed([ONE, word("7", "done", "COMPLETED")], "slurm:7").ended() == []
    assert handed([ONE, word("7", "time-limit", "TIMEOUT")], "slurm:7").ended() == ["slurm says of its job 7: TIMEOUT"]


# -- what jobs asked for and did not use

G = 1 << 30


def use(test: str = "t", secs: float = 60.0, cpu: float = 60.0, rss: int = 0, took: float = 0.0, **ask: object) -> Use:
    return Use(test, Ask()._replace(**ask), secs, cpu, rss, took)  # type: ignore[arg-type] # fields by name


def test_memory_that_was_asked_for_and_not_used_is_told_with_what_would_do() -> None:
    (one,) = advice([use(rss=n << 20, memory=32 * G) for n in range(3135, 3175)])
    assert one.text == "asked 32G, used at most 3.1G over 40 cases: memory 4G would do"
    assert (one.what, one.asked, one.instead, one.cases) == ("memory", 32 * G, 4 * G, 40)


@pytest.mark.parametrize("rss", [8 * G, 16 * G, 28 * G])
def test_memory_that_fits_is_not_spoken_of(rss: int) -> None:
    assert advice([use(rss=rss, memory=32 * G)]) == []


def test_memory_that_is_nearly_used_up_is_told() -> None:
    (one,) = advice([use(rss=31 * G, memory=32 * G)])
    assert one.text == "asked 32G, used at most 31G in its only case: memory 39G is safer"


def test_little_memory_is_not_worth_a_word() -> None:
    assert advice([use(rss=1 << 20, memory=300 << 20)]) == []


@pytest.mark.parametrize(
    ("cores", "cpu", "instead"), [(8, 60.0, 2), (8, 180.0, 4), (4, 30.0, 1), (8, 240.0, 0), (2, 60.0, 0), (1, 1.0, 0)]
)
def test_cores_are_told_when_less_than_half_of_them_was_used(cores: int, cpu: float, instead: int) -> None:
    assert [a.instead for a in advice([use(cpu=cpu, cores=cores)])] == ([instead] if instead else [])


def test_the_case_that_used_most_counts() -> None:
    assert advice([use(cpu=60.0, cores=8), use(cpu=300.0, cores=8)]) == []


@pytest.mark.parametrize(("took", "instead"), [(60.0, 180.0), (359.0, 1080.0), (361.0, 0), (0.0, 0)])
def test_time_is_told_when_less_than_a_tenth_was_needed(took: float, instead: float) -> None:
    assert [a.instead for a in advice([use(took=took, time=3600.0)])] == ([instead] if instead else [])


def test_only_good_cases_of_known_jobs_count_and_the_time_of_a_pilot_says_nothing() -> None:
    log = BagLog("/b", [{**ARRAY, "way": "pilot"}, ONE])
    rows = [
        CaseRow("a", "", state="COMPLETED", status="PASS", job="slurm:9_1", secs=3.0, cpu=2.0, rss=5),
        CaseRow("b", "", state="COMPLETED", status="PASS", job="slurm:7", secs=3.0),
        CaseRow("b", "x", state="COMPLETED", status="PASS", job="slurm:7", secs=4.0),
        CaseRow("c", "", state="COMPLETED", status="FAIL", job="slurm:7", secs=3.0),
        CaseRow("d", "", state="COMPLETED", status="PASS", job="slurm:8", secs=3.0),
        CaseRow("e", "", state="COMPLETED", status="PASS", secs=3.0),
    ]
    assert [(u.test, u.secs, u.took, u.ask.cores) for u in uses(rows, log.job)] == [
        ("a", 3.0, 0.0, 2), ("b", 3.0, 7.0, 2), ("b", 4.0, 7.0, 2),
    ]  # fmt: skip


def test_the_hint_is_one_line_and_begins_with_what_may_go_wrong() -> None:
    assert hint([]) == ""
    found = advice(
        [use("a", rss=G, memory=32 * G), use("a", rss=G, memory=32 * G), use("z", rss=31 * G, memory=32 * G)]
    )
    assert hint(found) == (
        "z asked 32G, used at most 31G in its only case: memory 39G is safer; 1 more (mt jobs --advice)"
    )
