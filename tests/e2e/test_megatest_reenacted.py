"""Areas as users of the old command wrote them, and what they counted on: found by re-enacting theirs one by one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from testarea import BIN, TARGET, Area, Result

WHERE = ("-target", TARGET, "-runname", "r1")
GATE = "while [ ! -e $MT_RUN_AREA_HOME/gate ]; do sleep 0.05; done"


def old(area: Area, *words: str, status: int = 0, where: tuple[str, ...] = WHERE, **more: Any) -> Result:
    """Run `megatest` about run r1 and insist on its status."""
    done = area.mt(*words, *where, prog="megatest", **more)
    assert done.status == status, f"status {done.status}\n{done.out}{done.err}"
    return done


def how(area: Area, *, run: str = "r1") -> dict[str, str]:
    """{TEST[/ITEM]: STATE/STATUS} of a run."""
    rows = area.rows("tests", "-t", TARGET, "-r", run, "--allow-empty")
    return {row["id"].rpartition("//")[2]: f"{row['state']}/{row['status']}" for row in rows}


def wait_for(path: Path) -> None:
    """Until a file is there, for at most half a minute."""
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETED"])
def test_a_later_verdict_of_log_rules_stands_over_failed_values(area: Area, state: str) -> None:
    """spec/config.md T86 (QA ezlog_fail_then_pass): AUTO makes FAIL of the values, the rules of the step PASS."""
    rules = '[logpro]\ns1 ;; rules\n  (expect:required in "LogFileBody" > 0 "done" #/done/)\n'
    say = f"$MT_MEGATEST -test-status :state {state} :status AUTO"
    load = f"printf 'cat, var, 10, 20, 1,,too low\\n' | $MT_MEGATEST -load-test-data; {say}"
    area.test("judged", f"{load}; echo done", more=rules)
    area.test("counted", f"{load}; echo done")
    old(area, "-run", "-run-wait")
    assert how(area) == {"judged": "COMPLETED/PASS", "counted": "COMPLETED/FAIL"}


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_not_the_tests_even_when_it_waits(area: Area, sig: signal.Signals) -> None:
    """spec/runs.md 4.1: running tests are not stopped, and a further -run goes on from there."""
    area.test("a", f"touch $MT_RUN_AREA_HOME/begun; {GATE}").test("b", waiton="a")
    with area.start("-run", "-run-wait", *WHERE, prog="megatest") as process:
        wait_for(area.home / "begun")
        process.send_signal(sig)
        process.communicate(timeout=20)
    assert process.returncode in (0, 4)
    assert how(area) == {"a": "RUNNING/n/a", "b": "NOT_STARTED/n/a"}
    (area.home / "gate").touch()
    old(area, "-run", "-run-wait")
    assert how(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PASS"}
    (row,) = area.rows("tests", "-t", TARGET, "-r", "r1", "a")
    assert row["attempt"] == 1


def test_states_that_mean_nothing_to_a_run_are_said(area: Area) -> None:
    """spec/runs.md 4.5, 7 (QA blocktestxz): `ERROR: Failed to launch test X. Unrecognised state S`."""
    said = "echo x >> $MT_RUN_AREA_HOME/ran; $MT_MEGATEST -test-status :state $S :status PASS"
    area.test("odd", said, items={"S": "STUCK BOZZLE COMPLETED"}).test("other", "true")
    assert "Failed to launch" not in old(area, "-run", "-run-wait").err
    want = [f"ERROR: Failed to launch test odd/{state}. Unrecognised state {state}" for state in ("BOZZLE", "STUCK")]
    again = old(area, "-run", "-run-wait").err.splitlines()
    assert sorted(line for line in again if "Failed to launch" in line) == want
    assert area.read("ran") == "x\n" * 3
    assert "Failed to launch" not in old(area, "-run", "-run-wait", "-testpatt", "other").err
    assert "Failed to launch" not in old(area, "-run", "-run-wait", "-force").err
    assert area.read("ran") == "x\n" * 6


def test_a_pattern_that_matches_nothing_is_a_warning(area: Area) -> None:
    """spec/runs.md 1.2, A10: exit 0, and a line that begins `WARNING: `."""
    area.test("a")
    assert "\nWARNING: no test matches 'nosuch'\n" in old(area, "-run", "-testpatt", "nosuch").err


def test_the_log_directory_of_an_area_is_there_when_its_tests_run(area: Area) -> None:
    """spec/config.md 5.3: `<area>/logs/`; scripts write there."""
    area.test("a", "echo said > $MT_RUN_AREA_HOME/logs/a.log")
    old(area, "-run", "-run-wait")
    assert area.read("logs/a.log") == "said\n"


def records(area: Area) -> dict[str, str]:
    """{TEST: STATE/STATUS} in megatest.db."""
    with closing(sqlite3.connect(f"file:{area.home}/megatest.db?mode=ro", uri=True)) as conn:
        return {
            test: f"{state}/{status}"
            for test, state, status in conn.execute("SELECT testname, state, status FROM tests")
        }


def test_megatest_db_follows_a_run_while_it_goes_on(area: Area) -> None:
    """spec/runs.md 6.4: results in megatest.db lag some seconds at most."""
    asks = "import sqlite3, sys; sys.exit(not sqlite3.connect('megatest.db').execute(*sys.argv[1:]).fetchone())"
    area({"ask.py": asks})
    ask = "cd $MT_RUN_AREA_HOME; until python3 ask.py \"SELECT 1 FROM tests WHERE testname='a' AND status='PASS'\""
    area.test("a").test(
        "b", f"{ask} 2> /dev/null; do sleep 0.1; done", waiton="a", more="[requirements]\nruntimelim 40s\n"
    )
    old(area, "-run", "-run-wait")
    assert how(area) == records(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PASS"}


def test_megatest_db_follows_tests_whose_command_has_left(area: Area) -> None:
    """spec/runs.md 4.1, 6.4: without -run-wait the last ones end alone."""
    area.test("a", GATE)
    old(area, "-run")
    assert records(area) == {"a": "RUNNING/n/a"}
    (area.home / "gate").touch()
    end = time.monotonic() + 30
    while records(area) != {"a": "COMPLETED/PASS"}:
        assert time.monotonic() < end, records(area)
        time.sleep(0.05)


def without_rights() -> list[str]:
    """A prefix that makes permissions count even for root."""
    rights = "-dac_override,-dac_read_search,-fowner"
    return ["setpriv", f"--bounding-set={rights}"] if os.geteuid() == 0 else []


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_read_only_area_answers_and_refuses(area: Area) -> None:
    """spec/runs.md 1.2, 5.1, 5.9 (QA ro_test): queries work, what writes is refused with exit 1."""
    area.test("a")
    old(area, "-run", "-run-wait")
    old(area, "-set-run-status", "reviewed")
    subprocess.run(["chmod", "-R", "a-w", str(area.home)], check=True)

    def asked(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*without_rights(), str(BIN / "megatest"), *words], cwd=area.home, env=area.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout

    try:
        assert asked("-list-runs", "r1", "-fields", "tests:testname,state")[1].endswith("Test: a State: COMPLETED\n")
        assert asked("-get-run-status", *WHERE) == (0, "reviewed\n")
        assert asked("-test-paths", *WHERE, "-testpatt", "%") == (0, f"{area.home}/lt/{TARGET}/r1/a\n")
        for words in (("-run",), ("-remove-runs",), ("-set-state-status", "A,b"), ("-set-run-status", "x"), ("-lock",)):
            assert asked(*words, *WHERE, "-testpatt", "%")[0] == 1
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(area.home)], check=True)
    assert how(area) == {"a": "COMPLETED/PASS"}


def test_a_target_of_the_wrong_length_is_said_in_one_sentence(area: Area) -> None:
    """spec/config.md R3: `Invalid target, ...`."""
    done = area.mt("-run", "-target", "ubuntu", "-runname", "r1", prog="megatest")
    assert done.status == 3
    assert "ERROR: Invalid target, 'ubuntu': it has 1 part, the area has 2 keys\n" in done.err


def test_the_help_does_not_promise_what_a_command_refuses(area: Area) -> None:
    """spec/runs.md 5.8: -rollup is disabled, and says so."""
    assert "is disabled" in old(area, "-rollup").err
    assert re.search(r"-rollup +does nothing", area.mt("-h", prog="megatest").out)


def test_a_change_that_hits_nothing_is_said(area: Area) -> None:
    """spec/runs.md 5.2: the top record of a test with items is not set by hand, and nothing is silent about it."""
    area.test("a", items={"X": "1 2"})
    old(area, "-run", "-run-wait")
    assert "nothing is set" in old(area, "-set-state-status", "COMPLETED,FAIL", "-testpatt", "a/").err
    assert "nothing is set" not in old(area, "-set-state-status", "COMPLETED,FAIL", "-testpatt", "a/1").err
    assert how(area) == {"a/1": "COMPLETED/FAIL", "a/2": "COMPLETED/PASS"}


def test_what_was_said_when_a_step_began_is_there_when_it_has_ended(area: Area) -> None:
    """spec/runs.md 1.5, 6.1 (QA exit_0): -m and -setlog of the start row, an end row that says nothing of them."""
    begin = "$MT_MEGATEST -step s1 :state start :status running -m 'at work' -setlog r1.html"
    area({"tests/a/testconfig": "[setup]\nrunscript main.sh\n", "tests/a/main.sh": f"#!/bin/sh\n{begin}\n\
        $MT_MEGATEST -step s1 :state end :status 0\n"})  # fmt: skip
    old(area, "-run", "-run-wait")
    with closing(sqlite3.connect(f"file:{area.home}/megatest.db?mode=ro", uri=True)) as conn:
        rows = conn.execute("SELECT state, status, comment, logfile FROM test_steps ORDER BY state DESC").fetchall()
    assert [row[:2] for row in rows] == [("start", "n/a"), ("end", "0")]
    assert rows[-1][2:] == ("at work", "r1.html")


def test_a_second_command_says_who_drives_the_run(area: Area) -> None:
    """Two `megatest -run` at once on one run: the second hands over and says to whom, in one sentence."""
    area.test("a", f"touch $MT_RUN_AREA_HOME/begun; {GATE}")
    with area.start("-run", "-run-wait", *WHERE, prog="megatest") as process:
        wait_for(area.home / "begun")
        assert re.search(rf"^mt: pid {process.pid} on \S+ drives this run: joining it$", old(area, "-run").err, re.M)
        (area.home / "gate").touch()
        process.communicate(timeout=60)
    assert how(area) == {"a": "COMPLETED/PASS"}


def test_an_area_without_disks_runs_inside_its_tests_and_says_so(area: Area) -> None:
    """spec/config.md 2.3, 4: `<test source dir>/tmp_run`, with a warning; the files of earlier runs are not copied."""
    area({"megatest.config": "[fields]\nA TEXT\nB TEXT\n"}).test("a", "ls")
    for run in ("r1", "r2"):
        done = old(area, "-run", "-run-wait", where=("-target", TARGET, "-runname", run))
        assert "no [disks]: run directories are in tmp_run" in done.err
    assert (area.home / "tests/a/tmp_run" / TARGET / "r1/a/s1.log").is_file()
    assert not (area.home / "tests/a/tmp_run" / TARGET / "r2/a/tmp_run").exists()
