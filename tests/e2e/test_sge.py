"""The same run on a real Grid Engine as here, and what is left of it when hosts, cables and daemons fail.

`mt` runs on one simulated host, the qmaster on another, jobs on two more
(`sgelab.py`).  Part of `make chaos`, and of the tests that are slow.
"""

from __future__ import annotations

import re
import signal
import subprocess
from typing import Any

import pytest
from onslurm import BUG, clear
from sgecluster import until
from sgelab import MASTER, RUNS, SUBMIT, OnGrid, grid, grid_lab, interrupt, on
from testarea import TARGET

__all__ = ["grid", "grid_lab", "on"]

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.timeout(300)]

WAYS = ("auto", "job", "array", "pilot")
IN = ("-t", TARGET, "-r", "r1")


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    """The status of a command, and what it said, in which no bug of ours shows."""
    _, err = process.communicate(timeout=seconds)
    assert not any(word in err for word in BUG), err
    return process.returncode, err


def heard(process: subprocess.Popen[str], words: str) -> str:
    """What a command says up to the line with these words."""
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said '{words}': {said}")


def placed(row: dict[str, Any]) -> bool:
    """Is it recorded which job on which host had the case, and how long it waited for it?"""
    waited = row["queued"] is not None and 0 <= row["queued"] < 600
    return row["host"] in RUNS and waited and re.fullmatch(r"sge:\d+(\.\d+)?", row["job"]) is not None


# -- as here


def test_every_way_comes_to_what_a_run_here_comes_to(on: OnGrid) -> None:
    on.cases("base").cases("spread", "a b c", waiton="base")
    on.cases("follow", "a b c", waiton="spread", more="[requirements]\nmode itemwait\n")
    on.cases("bad", "x y", waiton="base", do='[ "$N" = x ]').cases("never", waiton="bad")
    on.cases("left", more="[skip]\nfileexists /\n")
    on.cases("asks", waiton="follow", more="[requirements]\ncores 2\nmemory 100M\ntime 5m\nqueue short.q\n")
    assert on.run(launcher="local", run="here").status == 1
    want, noted = on.outcome("here"), on.noted()
    assert {status for _, status in want.values()} >= {"PASS", "FAIL", "SKIP"}, want
    for way in WAYS:
        on.notes.write_text("")
        done = on.run(launcher=on.by(way), run=way)
        assert (done.status, on.outcome(way)) == (1, want), (way, done)
        assert on.noted() == noted, way
        ran = [row for row in on.rows(way) if row["test"] not in ("left", "never")]
        assert all(map(placed, ran)), (way, ran)
        jobs = {row["job"] for row in ran}
        assert way != "job" or len(jobs) == len(ran), jobs
        listed = on.area.rows("jobs", "-t", TARGET, "-r", way)
        assert jobs <= {row["id"] for row in listed}, (way, listed)
    on.area.ok("db", "check")
    on.at_rest()


def test_a_job_asks_for_what_its_test_asks_for(on: OnGrid) -> None:
    on.cases("asks", do=on.hold, more="[requirements]\ncores 3\nmemory 100M\ntime 7m\nqueue short.q\n")
    with on.started(*on.command(launcher=on.by("job"))) as run:
        on.wait_noted("begin", 1)
        shown = on.grid.run("qstat", "-j", on.job_of("asks"))
        on.go()
        assert ended(run)[0] == 0
    for line in (r"hard_queue_list: +short\.q", "parallel environment: +smp range: 3", r"h_rt=420\b", "mem_free=100M"):
        assert re.search(line, shown), shown
    on.proper()


def test_launcher_try_is_content(on: OnGrid) -> None:
    done = on.area.mt("launcher", "try", "sge")
    assert done.status == 0, done
    assert "8.1.9" in done.out + done.err and "fail" not in done.out, done
    on.at_rest()


def test_what_waits_says_why(on: OnGrid) -> None:
    on.cases("one", "a b")
    with on.started(*on.command(launcher=on.by("job", "mem=9000G"))) as run:
        until(lambda: len(on.queue()) == 2, 30, "two jobs wait")
        until(lambda: {row["state"] for row in on.area.rows("jobs", *IN)} == {"queued"}, 30, "they are known to wait")
        (row,) = on.area.rows("why", "one/a", *IN)
        said = f"{row['answer']} {row['because']}"
        assert "qw" in said and f"qstat -j {on.job_of('one/a')}" in said, said
        assert "mem_free" in on.grid.run("qstat", "-j", on.job_of("one/a"))
        interrupt(run)
        interrupt(run)
        ended(run)
    on.at_rest()
    assert not on.noted("begin")


# -- what people do


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_case_whose_job_somebody_deletes_is_killed_and_stays_so(on: OnGrid, way: str) -> None:
    on.cases("one", "a b", do=on.hold)
    with on.started(*on.command(launcher=on.by(way))) as run:
        on.wait_noted("begin", 2)
        on.wait_states(2, "RUNNING")
        on.grid.run("qdel", on.job_of("one/a"))
        on.wait_states(1, "KILLED")
        on.go()
        assert ended(run)[0] == 1
    on.proper({"one/a": "KILLED"})
    assert on.noted("begin") == {"one/a": 1, "one/b": 1}
    (row,) = [row for row in on.rows() if row["item"] == "a"]
    assert "cancelled" in row["comment"] and row["reason"].startswith("sge "), row


@pytest.mark.parametrize("way", WAYS[1:])
def test_the_second_interrupt_ends_all_jobs_with_few_calls(on: OnGrid, way: str) -> None:
    on.instead("qdel", 'real "$@"')
    on.cases("one", " ".join(f"n{n}" for n in range(20)), do=on.hold)
    with on.started(*on.command(launcher=on.by(way))) as run:
        on.wait_noted("begin", 3)
        interrupt(run)
        heard(run, "nterrupt")
        interrupt(run)
        status, err = ended(run)
        assert status != 0, err
    on.at_rest()
    assert 1 <= on.called("qdel") <= 3, on.calls.read_text()
    assert not on.noted()
    on.go()
    assert on.run(launcher=on.by(way)).status == 0
    on.proper()


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_killed_controller_costs_no_result(on: OnGrid, way: str) -> None:
    on.cases("one", "a b c d e", do=on.hold).cases("two", waiton="one")
    words = on.command(launcher=on.by(way, "jobs=3"))
    with on.started(*words) as first:
        on.wait_noted("begin", 3)
        first.kill()
        assert ended(first)[0] == -signal.SIGKILL
    with on.started(*words) as second:
        on.go()
        status, err = ended(second)
        assert status == 0, err
    on.proper()
    assert set(on.noted("begin").values()) == {1}


def test_a_queue_that_is_not_there_is_one_clear_line(on: OnGrid) -> None:
    on.cases("one", "a b c")
    done = on.run(launcher="sge queue=nosuch")
    said = [line for line in clear(done).splitlines() if "nosuch" in line and "INFRA" not in line]
    assert done.status != 0 and len(said) == 1, done
    assert 'job was rejected because job requests unknown queue "nosuch"' in said[0].lower(), said
    assert not on.noted("begin")
    assert on.run().status == 0
    on.proper()


def test_a_job_that_outlives_its_time_is_killed(on: OnGrid) -> None:
    """By the notice that comes before KILL, so that a case ends as it should, and Grid Engine says why."""
    on.cases("one", do=on.hold, more="[requirements]\ntime 5s\n")
    done = on.run(launcher=on.by("job"))
    assert done.status == 1, done
    on.proper({"one": "KILLED"})
    (row,) = on.rows()
    assert "more time than it had asked for" in row["comment"] and on.noted("begin") == {"one": 1}, row


# -- hosts, cables, daemons


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_host_that_is_cut_off_costs_no_result(on: OnGrid, way: str) -> None:
    on.cases("one", "n0 n1 n2 n3 n4 n5", do=on.hold)
    flags = "flags='-pe smp 3'"  # so that both hosts have some
    with on.started(*on.command(launcher=on.by(way, flags))) as run:
        on.wait_noted("begin", 4)
        until(lambda: {host for _, host in on.places()} == set(RUNS), 30, "both hosts have some")
        on.grid.cut("b")
        on.go()
        status, err = ended(run)
        assert status == 0, err
    on.grid.heal("b")
    on.proper()


@pytest.mark.parametrize("way", WAYS[1:])
def test_what_a_host_does_after_it_was_cut_off_is_not_done_twice(on: OnGrid, way: str) -> None:
    """Grid Engine starts its jobs again elsewhere while they go on there: one run of a case counts."""
    on.cases("one", "a b", do=on.hold)
    with on.started(*on.command(launcher=on.by(way, "flags='-pe smp 5'"))) as run:
        on.wait_noted("begin", 2)
        until(lambda: {host for _, host in on.places()} == set(RUNS), 30, "each host has one")
        on.grid.cut("b")
        until(lambda: "u" in on.grid.instances()["all.q@b"], 40, "b is not heard of")
        until(lambda: not any(line.endswith("@b") for line in on.queue()), 40, "its jobs are given up")
        on.grid.heal("b")
        on.go()
        status, err = ended(run)
        assert status == 0, err
    on.proper()


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_host_that_loses_its_power_costs_no_result(on: OnGrid, way: str) -> None:
    on.cases("one", "x y z", do=on.hold)
    with on.started(*on.command(launcher=on.by(way, "flags='-pe smp 4'"))) as run:
        on.wait_noted("begin", 3)
        on.wait_states(3, "RUNNING")
        lost = {case for case, host in on.places() if host == "b"}
        on.grid.crash("b")
        on.go()
        status, err = ended(run)
        assert status == 0, err
    assert lost and {case for case, n in on.noted("begin").items() if n == 2} == lost
    on.grid.mend()
    on.proper()


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_host_that_does_not_see_the_area_is_told_of_in_one_line(on: OnGrid, way: str) -> None:
    """Grid Engine keeps a job that cannot be started there in its queue, in error."""
    on.cases("one", "a b")
    on.grid.run("mount", "-t", "tmpfs", "none", str(on.home), host="b")
    done = on.run(launcher=on.by(way, "queue=all.q@b lost=1"))
    said = [line for line in clear(done).splitlines() if "INFRA" not in line]
    assert done.status != 0 and any("before they" in line for line in said), done
    on.at_rest()
    assert on.run(launcher=on.by(way, "queue=all.q@a")).status == 0
    on.grid.run("umount", str(on.home), host="b")
    on.proper()


def test_jobs_are_submitted_when_the_qmaster_is_back(on: OnGrid) -> None:
    on.cases("one", "a b c")
    on.grid.kill_master()
    with on.started(*on.command()) as run:
        said = heard(run, "trying again")
        assert said.count("\n") <= 3 and "commlib error" in said, said
        on.grid.start_master()
        status, err = ended(run)
        assert status == 0 and "commlib" not in err, err
    on.proper()


def test_a_run_goes_on_while_the_qmaster_is_cut_off(on: OnGrid) -> None:
    on.cases("one", "a b c", do=on.hold)
    with on.started(*on.command(launcher=on.by("pilot"))) as run:
        on.wait_noted("begin", 3)
        on.wait_states(3, "RUNNING")
        on.grid.cut(MASTER)
        said = heard(run, "cannot be asked")
        on.go()
        on.wait_noted("end", 3)
        on.wait_states(3, "COMPLETED")
        on.grid.heal(MASTER)
        status, err = ended(run)
        assert status == 0 and len(re.findall("cannot be asked", said + err)) == 1, said + err
    on.proper()


def test_who_submits_may_be_cut_off(on: OnGrid) -> None:
    on.cases("one", "a b c", do=on.hold).cases("two", waiton="one")
    with on.started(*on.command()) as run:
        on.wait_noted("begin", 3)
        on.grid.cut(SUBMIT)
        on.go()
        on.wait_noted("end", 3)
        on.wait_states(3, "COMPLETED")
        on.grid.heal(SUBMIT)
        status, err = ended(run)
        assert status == 0, err
    on.proper()
