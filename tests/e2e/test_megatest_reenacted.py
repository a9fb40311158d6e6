"""Areas as users of the old command wrote them, and what they counted on: found by re-enacting theirs one by one."""

from __future__ import annotations

from typing import Any

import pytest
from testarea import TARGET, Area, Result

WHERE = ("-target", TARGET, "-runname", "r1")


def old(area: Area, *words: str, status: int = 0, where: tuple[str, ...] = WHERE, **more: Any) -> Result:
    """Run `megatest` about run r1 and insist on its status."""
    done = area.mt(*words, *where, prog="megatest", **more)
    assert done.status == status, f"status {done.status}\n{done.out}{done.err}"
    return done


def how(area: Area, *, run: str = "r1") -> dict[str, str]:
    """{TEST[/ITEM]: STATE/STATUS} of a run."""
    rows = area.rows("tests", "-t", TARGET, "-r", run, "--allow-empty")
    return {row["id"].rpartition("//")[2]: f"{row['state']}/{row['status']}" for row in rows}


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
