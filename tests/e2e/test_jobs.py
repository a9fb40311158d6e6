"""`mt jobs`, `mt why`, `mt times --queue` of cases that batch engines ran: from logs written by hand, and for real."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakebatch import FakeEngine
from recorded import BEGUN, Recorded
from slurmlab import Slurm
from testarea import TARGET, Area

from mt.pipeline.bag import Bag, Claim, Entry, Terms, bags_of, token_of

Make = Callable[[str, Path], FakeEngine]
ASK = {"cores": 4, "memory": 32 << 30, "time": 3600.0, "queue": "short", "account": "", "licences": "", "flags": []}


class Batch:
    """A run whose cases went through bags, each written as a controller would."""

    def __init__(self, area: Area) -> None:
        self.area = area
        self.run = Recorded(area)
        self.bags: dict[str, Bag] = {}

    def bag(self, name: str, *, way: str = "array", orders: int = 0) -> Bag:
        terms = Terms(str(self.area.home), TARGET, "r1", self.run.id, "", False, {}, (), "slurm", way)
        bag = self.bags[name] = Bag.make(bags_of(self.run.store.root, self.run.id), name, terms)
        bag.add([Entry([n, "t", str(n), []], 0.0, BEGUN) for n in range(orders)])
        return bag

    def submitted(self, bag: Bag, ident: str, tasks: int = 0, way: str = "array", ago: float = 0.0, **ask: Any) -> None:
        line = {"e": "submitted", "t": time.time() - ago if ago else BEGUN - 10, "id": ident, "tasks": tasks,
                "engine": "slurm", "launcher": "slurm queue=short", "way": way, "ask": {**ASK, **ask}}  # fmt: skip
        self.append(bag, json.dumps(line))

    def word(self, bag: Bag, job: str, fate: str, said: str = "", host: str = "") -> None:
        bag.log("word", job=job, fate=fate, said=said, host=host)

    def append(self, bag: Bag, line: str) -> None:
        with (Path(bag.path) / "jobs.ndjson").open("a") as f:
            f.write(line + "\n")


@pytest.fixture
def batch(area: Area) -> Batch:
    """An array of three tasks, of which one failed by its time limit, and a job that nobody has spoken of."""
    area.test("t", "true", items={"N": "0 1 2 3"})
    made = Batch(area)
    bag = made.bag("b1", orders=4)
    made.submitted(bag, "9", 3)
    made.word(bag, "9_0", "running", "RUNNING", "n1")
    made.word(bag, "9_0", "done", "COMPLETED", "n1")
    made.word(bag, "9_1", "time-limit", "TIMEOUT", "n2")
    made.append(bag, '{"e":"word","t":1,"jo')
    made.append(bag, '{"e":"later","t":1}')
    made.submitted(bag, "10", way="job", ago=100)
    made.run.case(
        "t", "0", job="slurm:9_0", host="h1", token=token_of(bag, 0), queued=12.5, start=BEGUN + 2, rss=3 << 30
    )
    made.run.case(
        "t", "3", job="slurm:9_0", host="h1", token=token_of(bag, 3), queued=15.5, start=BEGUN + 4, rss=1 << 30
    )
    made.run.case(
        "t", "1", "KILLED", "KILLED", job="slurm:9_1", token=token_of(bag, 1), reason="slurm TIMEOUT", queued=1.0
    )
    made.run.case("t", "2", "LAUNCHED", "LAUNCHED", job="slurm:10", host="", token=token_of(bag, 2), start=time.time())
    return made


def why(area: Area, case: str) -> tuple[str, list[str]]:
    (row,) = area.rows("why", case, "-q")
    return row["answer"], row["because"]


# -- mt jobs


def test_a_job_has_a_row_with_what_was_heard_of_it_and_what_it_ran(batch: Batch) -> None:
    rows = {row["job"]: row for row in batch.area.rows("jobs")}
    assert list(rows) == ["slurm:9_0", "slurm:9_1", "slurm:9", "slurm:10"]
    one = rows["slurm:9_0"]
    assert (one["state"], one["said"], one["host"], one["launcher"], one["way"]) == (
        "done", "COMPLETED", "n1", "slurm queue=short", "array",
    )  # fmt: skip
    assert (one["cases"], one["cpu"], one["rss"], one["wait"], one["running"]) == (2, 2.0, 3 << 30, 12.0, "")
    assert (one["memory"], one["cores"], one["queue"], one["run"]) == (32 << 30, 4, "short", "r1")
    assert (rows["slurm:9"]["tasks"], rows["slurm:9"]["state"]) == (1, "submitted")
    assert (rows["slurm:10"]["cases"], rows["slurm:10"]["wait"] >= 100) == (0, True)
    assert rows["slurm:9_1"]["state"] == "time-limit"


def test_the_case_that_a_job_runs_now_is_named(batch: Batch) -> None:
    batch.run.case("t", "2", "RUNNING", "n/a", job="slurm:10", gen=2)
    (row,) = batch.area.rows("jobs", "slurm:10")
    assert (row["running"], row["cases"], row["state"]) == (f"{TARGET}//r1//t/2", 1, "running")


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["slurm:9_1"], ["slurm:9_1"]),
        (["slurm:9"], ["slurm:9_0", "slurm:9_1", "slurm:9"]),
        (["t/3"], ["slurm:9_0"]),
        (["-s", "KILLED"], ["slurm:9_1"]),
        (["--open"], ["slurm:9", "slurm:10"]),
        (["t/1", "slurm:9_0"], []),
    ],
)
def test_jobs_are_chosen_by_their_names_and_by_their_cases(batch: Batch, words: list[str], jobs: list[str]) -> None:
    assert [row["job"] for row in batch.area.rows("jobs", *words, "--allow-empty")] == jobs


def test_ids_of_jobs_go_out_and_come_in(batch: Batch) -> None:
    ids = batch.area.ok("jobs", "--open", "-f", "ids").out
    assert ids == "slurm:9\nslurm:10\n"
    assert len(batch.area.rows("jobs", "-", stdin="slurm:10\n")) == 1
    assert batch.area.mt("jobs", "-", stdin="").status == 7


def test_cases_have_rows_with_how_long_they_waited(batch: Batch) -> None:
    rows = batch.area.rows("jobs", "--cases")
    assert [(row["item"], row["job"], row["queued"], row["status"]) for row in rows] == [
        ("0", "slurm:9_0", 12.5, "PASS"), ("1", "slurm:9_1", 1.0, "KILLED"), ("3", "slurm:9_0", 15.5, "PASS"),
    ]  # fmt: skip


def test_advice_is_given_on_what_was_asked_for_and_not_used(batch: Batch) -> None:
    rows = batch.area.rows("jobs", "--advice")
    assert [row["text"] for row in rows] == [
        "asked 32G, used at most 3G over 2 cases: memory 4G would do",
        "asked 4, used at most 0.5 over 2 cases: cores 1 would do",
        "asked 1h, used at most 4s over 2 cases: time 1m would do",
    ]


def test_jobs_of_a_bag_that_is_over_have_left(batch: Batch) -> None:
    batch.bags["b1"].tidy()
    assert [row["state"] for row in batch.area.rows("jobs")] == ["done", "time-limit", "left", "left"]
    assert batch.area.mt("jobs", "--open").status == 7


def test_a_run_without_jobs_is_status_7(area: Area) -> None:
    Recorded(area).case("t")
    assert area.mt("jobs", "-q").status == 7
    assert area.mt("jobs", "-q", "--allow-empty").status == 0


# -- mt times --queue


def test_the_spread_of_waiting_times_counts_only_cases_of_jobs(batch: Batch) -> None:
    batch.run.case("u", secs=50.0)
    (row,) = batch.area.rows("times", "--queue")
    assert (row["name"], row["n"], row["min"], row["max"], row["total"]) == ("t", 3, 1.0, 15.5, 29.0)
    rows = batch.area.rows("times", "--queue", "--slowest", "2")
    assert [(row["item"], row["queued"]) for row in rows] == [("3", 15.5), ("0", 12.5)]
    assert batch.area.mt("times", "--queue", "--by", "step").status == 2


# -- mt why


def test_a_case_that_waits_for_its_job_says_what_is_known_of_it(batch: Batch) -> None:
    word, lines = why(batch.area, "t/2")
    assert word == "queued"
    assert lines[0].startswith("handed to slurm as job 10 1m ") and "slurm has not been asked yet" in lines[0]
    assert lines[1] == "ask slurm itself: scontrol show job 10"
    batch.word(batch.bags["b1"], "10", "queued", "PENDING (Resources)")
    assert "in the queue of slurm as job 10" in why(batch.area, "t/2")[1][0]
    assert ": PENDING (Resources), as of " in why(batch.area, "t/2")[1][0]


def test_a_case_that_its_engine_ended_tells_so(batch: Batch) -> None:
    word, lines = why(batch.area, "t/1")
    assert word == "killed"
    assert "it ran as job slurm:9_1 on h1, after 1s in the queue" in lines
    assert "slurm says of its job 9_1: TIMEOUT" in lines
    assert "decided: slurm TIMEOUT" in lines


def test_a_case_in_the_bag_of_pilots_waits_for_one_of_them(batch: Batch) -> None:
    bag = batch.bag("b2", way="pilot", orders=5)
    batch.submitted(bag, "20", 2, way="pilot")
    batch.word(bag, "20_0", "running", "RUNNING", "n1")
    bag.claim(0, Claim("slurm:20_0", "n1", 1, "w"))
    batch.run.case("t", "2", "LAUNCHED", "LAUNCHED", gen=2, host="", token=token_of(bag, 4))
    word, lines = why(batch.area, "t/2")
    assert word == "queued"
    assert lines[0] == "waits in a bag of 5 cases (1 taken) for one of 2 pilots (slurm:20), 1 of which run"
    bag.claim(4, Claim("slurm:20_1", "n2", 2, "w"))
    assert why(batch.area, "t/2")[1][0] == "job slurm:20_1 on n2 has taken it and not begun it yet"


# -- engines that can be asked


@pytest.fixture
def driven(area: Area, fake_engine: Make, tmp_path: Path) -> Iterator[tuple[Area, FakeEngine]]:
    """A run on a fake LSF whose only case waits in the queue while the run is driven."""
    engine = fake_engine("lsf", tmp_path)
    engine.set(pend="no host is free")
    area.test("t", "true")
    with area.start("run", "-L", "lsf submit=job poll=0.2s..0.5s", "-r", "r1", "-q", env=engine.env) as run:
        engine.until(lambda rows: len(rows) == 1)
        yield area, engine
        run.terminate()
        run.communicate(timeout=60)


def test_asking_tells_the_state_of_now_or_that_it_is_unknown(driven: tuple[Area, FakeEngine]) -> None:
    area, engine = driven
    (row,) = area.rows("jobs", "-q", "--ask", env=engine.env)
    assert (row["state"], row["id"]) == ("queued", "lsf:101")
    assert "no host is free" in row["said"] or row["said"] == "PEND"
    engine.set(away=True)
    result = area.mt("jobs", "-q", "--ask", "-f", "ndjson", env=engine.env)
    assert (result.status, result.rows()[0]["state"]) == (6, "unknown")
    assert result.err.startswith("mt: lsf cannot be asked: ") and len(result.err.splitlines()) == 1
    engine.set(away=False, lose="all")


def test_a_run_on_a_real_slurm_can_be_read_afterwards(area: Area, slurm: Slurm) -> None:
    area.test("t", "true", items={"N": "1 2 3"}, more="\n[requirements]\nmemory 300M\n")
    area.ok("run", "-L", "slurm submit=array", "-q", env=slurm.env)
    rows = area.rows("jobs", "-q")
    assert sum(row["cases"] for row in rows) == 3
    assert {row["memory"] for row in rows} == {300 << 20}
    assert all(row["wait"] is not None and row["rss"] > 0 for row in rows)
    cases = area.rows("jobs", "--cases", "-q")
    assert {row["job"] for row in cases} == {row["job"] for row in rows}
    assert all(row["queued"] > 0 for row in cases)
    assert area.rows("times", "--queue", "-q")[0]["n"] == 3
    assert any(line.startswith("it ran as job slurm:") for line in why(area, "t/1")[1])
    asked = area.mt("jobs", "-q", "--ask", env=slurm.env)
    assert asked.status == 0
