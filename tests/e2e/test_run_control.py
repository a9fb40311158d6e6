"""Runs while they run: limits, kills, interrupts, joining, detaching.

Cases tell and wait through FIFOs, so nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from testarea import TARGET, Area

RUN = ("run", "-t", TARGET, "-r", "r1")
ASK = ("-t", TARGET, "-r", "r1")


class Gate:
    """Two FIFOs: `begun` brings what cases say when they begin, and `open` lets one go on."""

    def __init__(self, area: Area, name: str = "gate") -> None:
        self.begun, self.go = area.home / f"{name}.begun", area.home / f"{name}.go"
        os.mkfifo(self.begun)
        os.mkfifo(self.go)
        self.step = f"echo $MT_TEST_NAME $$ > {self.begun}; read word < {self.go}"

    def wait(self) -> list[str]:
        """Words of the case that begins next; blocks until there is one."""
        return self.begun.read_text().split()

    def open(self) -> None:
        """Let one waiting case go on; blocks until it has heard."""
        self.go.write_text("go\n")


@pytest.fixture
def gate(area: Area) -> Gate:
    """A gate in the area."""
    return Gate(area)


def verdicts(area: Area) -> dict[str, str]:
    """{TEST[/ITEM]: STATE/STATUS} of run r1."""
    rows = area.rows("tests", *ASK)
    return {row["id"].rpartition("//")[2]: f"{row['state']}/{row['status']}" for row in rows}


def line_with(process: subprocess.Popen[str], word: str) -> str:
    """The next line of a process's stderr that contains a word; blocks until it comes."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return line
    raise AssertionError(f"no line with '{word}' on stderr")


@contextmanager
def started(area: Area, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start mt; where the test fails, what it left waiting at a gate is ended, so that it ends too."""
    with area.start(*words) as process:
        try:
            yield process
        except BaseException:
            process.send_signal(signal.SIGTERM)
            raise


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status of a process and the rest of its stderr."""
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def lives(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# -- limits and kills


def test_a_time_limit_ends_the_whole_tree_also_what_changed_its_session(area: Area) -> None:
    area.test("t", "setsid sh -c 'echo $$ > away; exec sleep 1000' & sleep 1000", "true")
    area({"tests/t/testconfig": area.read("tests/t/testconfig") + "\n[requirements]\nruntimelim 1s\n"})
    assert area.mt(*RUN).status == 1
    row = area.rows("tests", *ASK)[0]
    assert (row["state"], row["status"]) == ("KILLED", "KILLED") and "1 s" in row["comment"]
    assert 1 <= row["secs"] < 5, "TERM is enough for a sleep"
    assert not lives((Path(row["dir"]) / "away").read_text().strip())
    assert [step["step"] for step in area.rows("steps", *ASK)] == ["s1"]


@pytest.mark.slow
def test_who_does_not_listen_to_term_is_killed(area: Area) -> None:
    area({"megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\nruntimelim 1s")})
    area.test("t", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done")
    assert area.mt(*RUN).status == 1
    row = area.rows("tests", *ASK)[0]
    assert row["status"] == "KILLED" and 5 <= row["secs"] < 30
    assert not lives((Path(row["dir"]) / "pid").read_text().strip())


def test_stopping_a_case_kills_it_and_nothing_else(area: Area, gate: Gate) -> None:
    area.test("t", gate.step).test("late", "true", waiton="t").test("other", "true")
    with started(area, *RUN) as running:
        _, pid = gate.wait()
        area.ok("stop", *ASK, "t", "-m", "wrong board")
        assert finished(running)[0] == 1
    assert verdicts(area) == {"t": "KILLED/KILLED", "late": "COMPLETED/PREQ_FAIL", "other": "COMPLETED/PASS"}
    assert "wrong board" in area.rows("tests", *ASK, "t")[0]["comment"]
    assert not lives(pid)


def test_stopping_a_run_lets_what_runs_end(area: Area, gate: Gate) -> None:
    area.test("t", gate.step, items={"N": "1 2 3"})
    with started(area, *RUN, "-j", "1") as running:
        gate.wait()
        area.ok("stop", *ASK)
        line_with(running, "drain")
        gate.open()
        assert finished(running)[0] == 8
    assert sorted(verdicts(area).values()) == ["COMPLETED/PASS", "NOT_STARTED/n/a", "NOT_STARTED/n/a"]


def test_stopping_a_run_now_ends_what_runs_and_the_same_command_runs_it_again(area: Area, gate: Gate) -> None:
    area.test("t", f"test -e $MT_RUN_AREA_HOME/second || {{ {gate.step}; }}")
    with started(area, *RUN) as running:
        _, pid = gate.wait()
        area.ok("stop", "--now", *ASK)
        assert finished(running)[0] == 8
    assert verdicts(area) == {"t": "INCOMPLETE/KILLED"} and not lives(pid)
    area({"second": ""})
    area.ok(*RUN)
    assert verdicts(area) == {"t": "COMPLETED/PASS"}


# -- interrupts


def test_the_first_interrupt_drains_and_the_same_command_goes_on(area: Area, gate: Gate) -> None:
    area.test("t", f"test -e $MT_RUN_AREA_HOME/second || {{ {gate.step}; }}", items={"N": "1 2"})
    with started(area, *RUN, "-j", "1") as running:
        gate.wait()
        running.send_signal(signal.SIGINT)
        line_with(running, "SIGINT")
        gate.open()
        status, err = finished(running)
    assert status == 130 and "the same command goes on" in err
    assert verdicts(area) == {"t/1": "COMPLETED/PASS", "t/2": "NOT_STARTED/n/a"}
    area({"second": ""})
    assert "1 ran" in area.ok(*RUN).err
    assert verdicts(area) == {"t/1": "COMPLETED/PASS", "t/2": "COMPLETED/PASS"}
    assert {row["attempt"] for row in area.rows("tests", *ASK)} == {1}


def test_the_second_interrupt_ends_what_runs(area: Area, gate: Gate) -> None:
    area.test("t", gate.step)
    with started(area, *RUN) as running:
        _, pid = gate.wait()
        running.send_signal(signal.SIGINT)
        line_with(running, "SIGINT")
        running.send_signal(signal.SIGINT)
        assert finished(running)[0] == 130
    assert verdicts(area) == {"t": "INCOMPLETE/KILLED"} and not lives(pid)


def test_the_third_interrupt_leaves_and_tells_what_still_lives(area: Area, gate: Gate) -> None:
    area.test("t", f"trap '' TERM; {gate.step}")
    with started(area, *RUN) as running:
        _, pid = gate.wait()
        for _ in range(2):
            running.send_signal(signal.SIGINT)
            line_with(running, "SIGINT")
        running.send_signal(signal.SIGINT)
        status, err = finished(running)
    assert status == 130 and "workers alive: pids" in err
    end = time.monotonic() + 20
    while lives(pid):  # its worker ends it after the grace period, and has nobody to tell
        assert time.monotonic() < end
        time.sleep(0.02)


def test_term_ends_what_runs_at_once(area: Area, gate: Gate) -> None:
    area.test("t", gate.step)
    with started(area, *RUN) as running:
        _, pid = gate.wait()
        running.send_signal(signal.SIGTERM)
        assert finished(running)[0] == 130
    assert verdicts(area) == {"t": "INCOMPLETE/KILLED"} and not lives(pid)


# -- several commands at once


def test_a_second_run_hands_its_cases_to_the_first_and_waits(area: Area, gate: Gate) -> None:
    area.test("t", gate.step).test("u", "echo once >> $MT_RUN_AREA_HOME/u")
    with started(area, *RUN, "t") as first:
        gate.wait()
        with started(area, *RUN, "u") as second:
            assert str(first.pid) in line_with(second, "joining")
            assert second.poll() is None
            gate.open()
            assert finished(second)[0] == 0
        assert finished(first)[0] == 0
    assert verdicts(area) == {"t": "COMPLETED/PASS", "u": "COMPLETED/PASS"}
    assert area.read("u") == "once\n"


def test_who_joins_gets_the_verdict_of_its_own_cases(area: Area, gate: Gate) -> None:
    area.test("t", f"{gate.step}; false").test("u", "true")
    with started(area, *RUN, "t") as first:
        gate.wait()
        with started(area, *RUN, "u") as second:
            line_with(second, "joining")
            gate.open()
            assert finished(second)[0] == 0
        assert finished(first)[0] == 1


@pytest.mark.parametrize(("what", "status"), [("skip", 0), ("fail", 4)])
def test_one_may_choose_not_to_join(area: Area, gate: Gate, what: str, status: int) -> None:
    area.test("t", gate.step)
    with started(area, *RUN) as first:
        gate.wait()
        done = area.mt(*RUN, "--if-running", what)
        assert done.status == status and str(first.pid) in done.err
        gate.open()
        assert finished(first)[0] == 0


def test_two_runs_of_one_area_do_not_disturb_each_other(area: Area, gate: Gate) -> None:
    area.test("t", gate.step).test("u", "true")
    with started(area, *RUN, "t") as first:
        gate.wait()
        area.ok("run", "-t", TARGET, "-r", "r2", "u")
        gate.open()
        assert finished(first)[0] == 0


def test_a_run_in_the_background_can_be_waited_for(area: Area, gate: Gate) -> None:
    area.test("t", gate.step)
    assert "background" in area.ok(*RUN, "--detach").err
    with started(area, "wait", *ASK) as waiting:
        gate.wait()
        assert waiting.poll() is None
        gate.open()
        assert finished(waiting)[0] == 0
    assert verdicts(area) == {"t": "COMPLETED/PASS"}


def test_wait_right_after_detach_never_comes_too_early(area: Area) -> None:
    area.test("t", "true", items={"N": "1 2 3 4"})
    done = area.sh(f"for n in 1 2 3 4 5; do mt run -q -t {TARGET} -r d$n --detach && mt wait -t {TARGET} -r d$n; done")
    assert (done.status, done.err) == (0, "")
    assert {row["status"] for row in area.rows("tests", "-t", TARGET, "-r", "d5")} == {"PASS"}


def test_wait_may_give_up(area: Area, gate: Gate) -> None:
    area.test("t", gate.step)
    with started(area, *RUN) as running:
        gate.wait()
        assert area.mt("wait", *ASK, "--timeout", "0.1").status == 4
        gate.open()
        assert finished(running)[0] == 0


def test_a_detached_run_that_cannot_begin_says_why(area: Area) -> None:
    area.test("t", "true")
    done: Any = area.mt(*RUN, "--detach", "no-such-test")
    assert done.status == 7 and "no-such-test" in done.err
