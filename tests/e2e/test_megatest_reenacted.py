"""Areas as users of the old command wrote them, and what they counted on: found by re-enacting theirs one by one."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from testarea import TARGET, Area, Result

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
