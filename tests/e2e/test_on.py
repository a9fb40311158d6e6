"""`mt on`: wait for events of a run, or try triggers by hand (spec/config.md T60, spec/runs.md 4.10)."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testarea import TARGET, Area

TRIGGERS = """
[triggers]
COMPLETED/ echo area "$@"; exit 3
/FAIL echo never
"""


@pytest.fixture
def ran(area: Area) -> Area:
    """A run that is over, with triggers in the testconfig and in the area's files that it has not seen."""
    area.test("one", "true").test("bad", "false").test("many", "true", items={"N": "a b"})
    assert area.mt("run", "-t", TARGET, "-r", "r1").status == 1
    area.test("one", "true", more='[triggers]\n/PASS printf "%s|" own "$@" "$MT_TEST_NAME" "$PWD"; echo\n')
    return area({"megatest.config": area.read("megatest.config") + TRIGGERS})


def test_the_triggers_of_a_case_are_told(ran: Area) -> None:
    """T60: testconfig first, then megatest.config; STATE/STATUS, STATE/, /STATUS."""
    rows = ran.rows("on", "one", "-n")
    assert [(row["event"], row["source"]) for row in rows] == [
        ("/PASS", "testconfig"),
        ("COMPLETED/", "megatest.config"),
    ]
    assert [row["event"] for row in ran.rows("on", "one", "--as", "FAIL", "-n")] == ["COMPLETED/", "/FAIL"]
    assert ran.rows("on", "one", "--as", "RUNNING", "-n") == []


def test_they_are_run_in_the_foreground_with_their_arguments(ran: Area) -> None:
    """T60: the arguments, an empty item as an empty one; the status tells of a failure."""
    result = ran.mt("on", "one")
    assert result.status == 1
    own, area = result.out.splitlines()
    words = own.split("|")
    assert words[0] == "own"
    assert words[3:8] == ["/PASS", "one", "", "COMPLETED", "PASS"]
    assert words[9] == "one"
    assert words[10] == os.path.realpath(ran.home / "lt" / TARGET / "r1" / "one")
    assert re.fullmatch(rf"area \d+ {ran.home}/lt/\S+ COMPLETED/ one  COMPLETED PASS \d+", area)
    assert "trigger 'COMPLETED/' ended with 3" in result.err


def test_a_case_without_triggers_says_so(ran: Area) -> None:
    result = ran.ok("on", "many/a", "--as", "LAUNCHED/n/a")
    assert "no trigger for LAUNCHED/n/a" in result.err
    assert ran.mt("on", "none").status == 7
    assert ran.mt("on", "one", "two").status == 2
    assert ran.mt("on", "one", "--as", "/").status == 2


# -- waiting


@contextmanager
def watcher(area: Area, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A running `mt on`; it never outlives the test."""
    with area.start("on", *words) as watching:
        try:
            yield watching
            watching.wait(timeout=30)
        finally:
            watching.kill()


def test_what_is_so_already_counts_on_request(ran: Area) -> None:
    assert ran.ok("on", "FAIL", "--", "echo").out == ""
    out = ran.ok("on", "COMPLETED/FAIL", "--all", "--", "echo").out.split()
    assert out[2:] == ["COMPLETED/FAIL", "bad", "COMPLETED", "FAIL", out[-1]]


def test_a_pattern_and_a_list_of_events_choose(ran: Area) -> None:
    out = ran.ok("on", "/PASS,/FAIL", "many/%,bad", "--all", "--", 'echo "$4/$5 $3 $MT_RUNNAME"').out
    assert out == "bad/ /FAIL r1\nmany/a /PASS r1\nmany/b /PASS r1\n"


def test_the_command_stands_in_the_run_directory(ran: Area) -> None:
    result = ran.mt("on", "FAIL", "--all", "--", "pwd -P; ls s1.log; exit 5")
    assert result.status == 1
    assert result.out == f"{os.path.realpath(ran.home / 'lt' / TARGET / 'r1' / 'bad')}\ns1.log\n"


def test_one_event_can_be_enough_and_nothing_need_be_run(ran: Area) -> None:
    out = ran.ok("on", "PASS", "--all", "--first", "-n", "-q", "--", "do it", "x").out
    assert out.startswith("'do it' x ")
    assert len(out.splitlines()) == 1


def test_events_are_waited_for_until_the_run_is_over(area: Area, tmp_path: Path) -> None:
    """What was so before does not count; the step waits in FIFOs until the watcher has said that it looks."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    area.test("early", "true").test("late", f": < {begun}; : < {go}; false", waiton="early")
    area.ok("run", "-t", TARGET, "-r", "r1", "--detach")
    begun.write_text("", encoding="utf-8")  # waits until the step reads: early is over
    with watcher(area, "COMPLETED", "--interval", "0.05", "--", "echo") as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        said = iter(watching.stderr.readline, "")
        assert any(line.startswith("mt: waiting for COMPLETED in") for line in said)
        go.write_text("", encoding="utf-8")
        (seen,) = watching.stdout.read().splitlines()
        watching.stderr.read()
    assert watching.returncode == 0
    assert seen.split()[2:6] == ["COMPLETED/", "late", "COMPLETED", "FAIL"]


def test_a_watcher_that_counts_everything_misses_no_end(area: Area, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    area.test("early", "true").test("late", f"read x < {gate}; false", waiton="early")
    area.ok("run", "-t", TARGET, "-r", "r1", "--detach")
    with watcher(area, "COMPLETED", "--all", "-q", "--interval", "0.05", "--", "echo") as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[2:4] == ["COMPLETED/", "early"]
        gate.write_text("go\n", encoding="utf-8")
        assert watching.stdout.readline().split()[2:6] == ["COMPLETED/", "late", "COMPLETED", "FAIL"]
        assert watching.stdout.read() == ""
    assert watching.returncode == 0
