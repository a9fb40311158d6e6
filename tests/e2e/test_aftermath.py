"""What follows from how cases go: triggers, waivers, excuses and pages, in real runs (spec/runs.md 3.7, 4.10)."""

from __future__ import annotations

import time
from pathlib import Path

from testarea import TARGET, Area

NOTE = '#!/bin/bash\necho "$#|$3|$4|$5|$6|$7|$MT_TEST_NAME|$MT_ITEMPATH|$2" >> $MT_RUN_AREA_HOME/fired\n'


def fired(area: Area, count: int) -> list[list[str]]:
    """What the trigger script has noted, once it has noted so much: triggers run in the background."""
    path = area.home / "fired"
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return sorted(line.split("|") for line in lines)
        time.sleep(0.02)
    raise AssertionError(f"only {lines}")


def statuses(area: Area, run: str = "r1") -> dict[str, str]:
    """{TEST[/ITEM]: STATUS} of a run."""
    return {row["id"].rpartition("//")[2]: row["status"] for row in area.rows("tests", "-t", TARGET, "-r", run)}


def comment(area: Area, case: str, run: str = "r1") -> str:
    """The comment of a case."""
    return str(area.rows("tests", "-t", TARGET, "-r", run, case)[0]["comment"])


def test_triggers_hear_of_states_and_statuses(area: Area) -> None:
    """spec/config.md T60: STATE/STATUS, STATE/ and /STATUS, the testconfig's first."""
    area({"note": NOTE})
    area.test("bad", "false", more=f"[triggers]\nCOMPLETED/FAIL {area.home}/note\nPASS/ {area.home}/note\n")
    area(
        {
            "megatest.config": area.read("megatest.config")
            + f"\n[triggers]\n/FAIL {area.home}/note\nRUNNING/ {area.home}/note\n"
        }
    )
    area.mt("run", "-t", TARGET, "-r", "r1", "-q")
    where = str(area.home / "lt" / TARGET / "r1/bad")
    assert fired(area, 3) == [
        ["8", "/FAIL", "bad", "", "COMPLETED", "FAIL", "bad", "", where],
        ["8", "COMPLETED/FAIL", "bad", "", "COMPLETED", "FAIL", "bad", "", where],
        ["8", "RUNNING/", "bad", "", "RUNNING", "n/a", "bad", "", where],
    ]
    assert (Path(where) / "tconfig-last-trigger-COMPLETED-FAIL.log").exists()
    assert (Path(where) / "mtconfig-last-trigger--FAIL.log").exists()


def test_triggers_hear_of_tests_as_a_whole(area: Area) -> None:
    """spec/runs.md 3.3: the trigger rules fire for the toplevel as well."""
    area({"note": NOTE})
    area.test("t", "true", items={"X": "1"}, more=f"[triggers]\nCOMPLETED/PASS {area.home}/note\n")
    area.ok("run", "-t", TARGET, "-r", "r1", "-q")
    assert [line[2:6] for line in fired(area, 2)] == [
        ["t", "", "COMPLETED", "PASS"], ["t", "1", "COMPLETED", "PASS"],
    ]  # fmt: skip


def test_a_waiver_is_carried_on_as_long_as_the_files_are_alike(area: Area) -> None:
    """spec/runs.md 3.7, spec/config.md T35."""
    more = "[waivers]\nw out.txt\n"
    area.test("t", "cp $MT_RUN_AREA_HOME/now out.txt; exit 1", more=more)
    area({"now": "one\n"})
    area.mt("run", "-t", TARGET, "-r", "r1", "-q")
    assert statuses(area) == {"t": "FAIL"}
    area.ok("set", "COMPLETED/WAIVED", f"{TARGET}//r1//t", "-m", "known, bug 7")
    assert area.mt("run", "-t", TARGET, "-r", "r2", "-q").status == 0
    assert (statuses(area, "r2"), comment(area, "t", "r2")) == ({"t": "WAIVED"}, "known, bug 7")
    area({"now": "two\n"})
    assert area.mt("run", "-t", TARGET, "-r", "r3", "-q").status == 1
    assert statuses(area, "r3") == {"t": "FAIL"}


def test_a_known_failure_is_waived_until_its_day(area: Area) -> None:
    """mt waive, mt quarantine: with owner, ticket and expiry."""
    area.test("bad", "exit 1").test("old", "exit 1").test("soak", "exit 1")
    area.ok("waive", "bad", "--ticket", "BUG-1", "--owner", "ann", "--until", "2999-12-31", "-m", "known")
    area.ok("quarantine", "soak", "--ticket", "BUG-2", "--owner", "bob", "--until", "2999-12-31")
    area({"waivers.config": area.read("waivers.config") + "\n[waive old]\nticket BUG-3\nuntil 2001-01-01\n"})
    assert area.mt("run", "-t", TARGET, "-r", "r1", "-q").status == 1
    assert statuses(area) == {"bad": "WAIVED", "old": "FAIL", "soak": "WAIVED"}
    assert "BUG-1" in comment(area, "bad")
    assert "quarantined until 2999-12-31 (BUG-2, bob)" in comment(area, "soak")


def test_an_iterated_test_has_a_page_of_its_items(area: Area) -> None:
    """spec/config.md 5.3: megatest-rollup-TEST.html; [testrollup] makes it otherwise."""
    area.test("t", "test $X = 1", items={"X": "1 2"}).test("own", items={"X": "1"})
    area({"megatest.config": area.read("megatest.config") + "\n[testrollup]\nown echo made for $MT_TEST_NAME\n"})
    area.mt("run", "-t", TARGET, "-r", "r1", "-q")
    page = (area.home / "lt" / TARGET / "r1/t/megatest-rollup-t.html").read_text()
    assert "FAIL" in page
    assert "1/" in page
    assert (area.home / "lt" / TARGET / "r1/own/megatest-rollup-own.html").read_text() == "made for own\n"


def test_a_frozen_run_is_not_run(area: Area) -> None:
    """D9: locked runs refuse to run; exit status 9."""
    area.test("t").test("u")
    area.ok("run", "-t", TARGET, "-r", "r1", "-q", "t")
    area.ok("freeze", f"{TARGET}//r1", "-m", "released")
    refused = area.mt("run", "-t", TARGET, "-r", "r1", "-q")
    assert refused.status == 9
    assert "released" in refused.err
    area.ok("thaw", f"{TARGET}//r1")
    area.ok("run", "-t", TARGET, "-r", "r1", "-q")
    assert statuses(area) == {"t": "PASS", "u": "PASS"}


def test_steps_hand_variables_on_and_scripts_stand_in_the_testconfig(area: Area) -> None:
    """spec/config.md T12, D7: what a step leaves in .ezsteps is sourced by the next one."""
    area.test("t", "echo 'export LEFT=over' > .ezsteps/s1.sh", 'test "$LEFT" = over')
    area.ok("run", "-t", TARGET, "-r", "r1", "-q")
    assert statuses(area) == {"t": "PASS"}


def test_log_rules_overrule_what_a_test_said_before_they_judged(area: Area) -> None:
    """spec/config.md T86: ezlog_fail_then_pass."""
    rules = '[logpro]\ns2 ;; rules\n  (expect:required in "LogFileBody" > 0 "done" #/done/)\n'
    area.test("judged", "megatest -test-status :state COMPLETED :status FAIL", "echo done", more=rules)
    area.test("said", "megatest -test-status :state COMPLETED :status FAIL", "echo done")
    area.mt("run", "-t", TARGET, "-r", "r1", "-q")
    assert statuses(area) == {"judged": "PASS", "said": "FAIL"}
