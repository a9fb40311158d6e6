"""`megatest -set-state-status`, `-set-run-status`, `-get-run-status`, `-lock`, `-unlock` (spec/runs.md 5.1 to 5.4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from testarea import TARGET, Area, Result

T = ("-target", TARGET, "-runname", "r1")


@pytest.fixture
def ran(area: Area) -> Area:
    """A run r1: one PASS, bad FAIL, and two items of many."""
    area.test("one", "echo fine").test("bad", "false").test("many", "true", items={"N": "1 2"})
    assert area.mt("run", "-t", TARGET, "-r", "r1", "-q").status == 1
    return area


def megatest(area: Area, *words: str, stdin: str | None = None) -> Result:
    return area.mt(*words, prog="megatest", stdin=stdin)


def verdicts(area: Area, *words: str) -> dict[str, str]:
    """{case: STATE/STATUS} of r1."""
    rows = area.rows("tests", "-r", "r1", "--allow-empty", *words)
    return {r["id"].split("//")[2]: f"{r['state']}/{r['status']}" for r in rows}


# -- 5.1, 5.2


def test_every_test_that_is_meant_gets_the_state_and_status(ran: Area) -> None:
    """spec/runs.md 5.1, 5.2: test pattern, then states and statuses, all of them."""
    assert megatest(ran, "-set-state-status", "COMPLETED,WAIVED", *T, "-testpatt", "%", "-status", "FAIL").status == 0
    assert verdicts(ran)["bad"] == "COMPLETED/WAIVED"
    megatest(ran, "-set-state-status", "STUCK,n/a", *T, "-testpatt", "%", "-state", "COMPLETED", "-status", "PASS")
    assert verdicts(ran) == {
        "bad": "COMPLETED/WAIVED", "many/1": "STUCK/n/a", "many/2": "STUCK/n/a", "one": "STUCK/n/a",
    }  # fmt: skip


def test_words_that_nobody_knows_are_recorded_as_they_are(ran: Area) -> None:
    """spec/runs.md 5.2: the values are not checked against the vocabulary."""
    megatest(ran, "-set-state-status", "ODD,STRANGE", *T, "-testpatt", "one")
    assert verdicts(ran)["one"] == "ODD/STRANGE"


@pytest.mark.parametrize("pair", ["RUNNING,n/a", "LAUNCHED,n/a", "KILLREQ,n/a", "NOT_STARTED,FAIL", "DELETED,n/a"])
def test_a_case_that_has_ended_takes_any_state(ran: Area, pair: str) -> None:
    """spec/runs.md 5.2, 3.3: so that what the items roll up to can be seen."""
    megatest(ran, "-set-state-status", pair, *T, "-testpatt", "many/1")
    assert verdicts(ran, "--state", pair.split(",")[0])["many/1"] == pair.replace(",", "/")


def test_a_reset_item_is_seen_in_the_top_record_and_runs_again(ran: Area) -> None:
    """spec/runs.md 5.2, 8 session 5: NOT_STARTED,n/a runs with the next -run."""
    megatest(ran, "-set-state-status", "NOT_STARTED,n/a", *T, "-testpatt", "many/2")
    (top,) = ran.rows("tests", "-r", "r1", "--tops", "many")
    assert (top["state"], top["status"]) == ("NOT_STARTED", "STARTED")
    megatest(ran, "-run", *T, "-run-wait")
    rows = {r["id"].split("//")[2]: r["attempt"] for r in ran.rows("tests", "-r", "r1")}
    assert rows == {"bad": 1, "many/1": 1, "many/2": 2, "one": 1}
    assert verdicts(ran)["many/2"] == "COMPLETED/PASS"


def test_one_word_changes_nothing(ran: Area) -> None:
    """spec/runs.md 5.2: a message, exit 0."""
    before = verdicts(ran)
    result = megatest(ran, "-set-state-status", "FAIL", *T, "-testpatt", "%")
    assert result.status == 0 and "ERROR:" in result.err
    assert verdicts(ran) == before


def test_without_a_test_pattern_nothing_is_done(ran: Area) -> None:
    """spec/runs.md 1.3 (7): the commands that operate on tests need -testpatt, exit 3."""
    before = verdicts(ran)
    assert megatest(ran, "-set-state-status", "X,Y", *T).status == 3
    assert verdicts(ran) == before


def test_target_and_run_name_may_be_patterns(ran: Area) -> None:
    """spec/runs.md 2.1: LIKE or GLOB for each."""
    ran.ok("run", "one", "-t", TARGET, "-r", "r2", "-q")
    megatest(ran, "-set-state-status", "STUCK,n/a", "-target", "ubuntu/%", "-runname", "r*", "-testpatt", "one")
    assert [r["state"] for r in ran.rows("tests", "-r", "%", "%//%//one")] == ["STUCK", "STUCK"]


def test_a_trigger_hears_of_what_is_set(ran: Area) -> None:
    """spec/runs.md 4.10, 5.2."""
    ran({"megatest.config": ran.read("megatest.config") + "\n[triggers]\nCOMPLETED/WAIVED echo heard\n"})
    megatest(ran, "-set-state-status", "COMPLETED,WAIVED", *T, "-testpatt", "bad")
    log = ran.home / "lt" / TARGET / "r1" / "bad" / "mtconfig-last-trigger-COMPLETED-WAIVED.log"
    ran.sh(f"for n in $(seq 100); do grep -q heard '{log}' && exit; sleep 0.05; done")
    assert "heard" in log.read_text()


# -- a case that runs


@contextmanager
def running(area: Area) -> Iterator[None]:
    """A run r1 whose one case runs until the block ends."""
    area.test("slow", "until test -e $MT_RUN_AREA_HOME/go; do sleep 0.05; done")
    area.ok("run", "-t", TARGET, "-r", "r1", "--detach")
    area.sh("for n in $(seq 400); do mt tests -r r1 --state RUNNING >/dev/null && exit; sleep 0.05; done; exit 1")
    try:
        yield
    finally:
        (area.home / "go").touch()
        area.mt("wait", "r1")


def test_killreq_kills_what_runs(area: Area) -> None:
    """spec/runs.md 4.11, 5.2: KILLREQ,n/a asks for a kill; the result is KILLED/KILLED."""
    with running(area):
        megatest(area, "-set-state-status", "KILLREQ,n/a", *T, "-testpatt", "%")
        area.mt("wait", "r1")
        assert verdicts(area) == {"slow": "KILLED/KILLED"}


def test_a_running_case_is_not_called_ended_and_ends_as_it_was_set(area: Area) -> None:
    """spec/runs.md 3.5, 5.2: what was set by hand is not overwritten by the end of the test."""
    with running(area):
        megatest(area, "-set-state-status", "COMPLETED,CHECK", *T, "-testpatt", "%")
        assert verdicts(area) == {"slow": "RUNNING/n/a"}
    assert verdicts(area) == {"slow": "COMPLETED/CHECK"}


def test_a_running_case_that_is_reset_runs_again_later(area: Area) -> None:
    with running(area):
        megatest(area, "-set-state-status", "NOT_STARTED,n/a", *T, "-testpatt", "%")
        assert verdicts(area) == {"slow": "RUNNING/n/a"}
    assert verdicts(area) == {"slow": "INCOMPLETE/n/a"}
    area.ok("run", "-t", TARGET, "-r", "r1", "-q")
    assert verdicts(area) == {"slow": "COMPLETED/PASS"}


# -- 5.3


def test_a_run_keeps_the_status_it_was_given(ran: Area) -> None:
    """spec/runs.md 5.3: -get-run-status prints what -set-run-status said; n/a before."""
    assert megatest(ran, "-get-run-status", *T).out == "n/a\n"
    assert megatest(ran, "-set-run-status", "shipped", *T, "-m", "to the lab").status == 0
    assert megatest(ran, "-get-run-status", *T).out == "shipped\n"
    (row,) = ran.rows("runs")
    assert (row["status"], row["set_status"], row["comment"]) == ("FAIL", "shipped", "to the lab")
    ran.ok("db", "rebuild", "--all")
    assert megatest(ran, "-get-run-status", *T).out == "shipped\n"


@pytest.mark.parametrize("option", [("-get-run-status",), ("-set-run-status", "x")])
def test_a_run_that_is_not_there_has_no_status(ran: Area, option: tuple[str, ...]) -> None:
    """spec/runs.md 5.3: a message, exit 1."""
    result = megatest(ran, *option, "-target", TARGET, "-runname", "nosuch")
    assert (result.status, result.out) == (1, "") and "No matching run" in result.err


# -- 5.4


def test_a_locked_run_shows_no_tests_to_change(ran: Area) -> None:
    """spec/runs.md 5.1, 5.4, 8 session 8: -lock, then nothing is hit, exit 0."""
    before = verdicts(ran)
    assert megatest(ran, "-lock", *T).status == 0
    for action in (["-set-state-status", "X,Y"], ["-remove-runs"], ["-archive", "save-remove"]):
        assert megatest(ran, *action, *T, "-testpatt", "%").status == 0
    assert verdicts(ran) == before
    assert (ran.home / "lt" / TARGET / "r1" / "one").exists()


def test_a_locked_run_is_not_run(ran: Area) -> None:
    """spec/runs.md D9: refused, exit 1."""
    megatest(ran, "-lock", *T, "-m", "keep it")
    refused = megatest(ran, "-run", *T)
    assert refused.status == 1 and "frozen" in refused.err and "keep it" in refused.err


@pytest.mark.parametrize(("said", "thawed"), [("y\n", True), ("n\n", False), ("", False)])
def test_unlocking_asks_first(ran: Area, said: str, thawed: bool) -> None:
    """spec/runs.md 5.4: one `y` from standard input."""
    megatest(ran, "-lock", *T)
    result = megatest(ran, "-unlock", *T, stdin=said)
    assert result.status == 0
    assert "Do you really wish to unlock run 1?" in result.out and " y/n:" in result.out
    megatest(ran, "-set-state-status", "STUCK,n/a", *T, "-testpatt", "one")
    assert (verdicts(ran)["one"] == "STUCK/n/a") is thawed


def test_the_list_of_runs_shows_locked_and_unlocked(ran: Area) -> None:
    """spec/runs.md 5.4: runs.state is new, locked, unlocked."""
    line = "for n in 1; do megatest -list-runs % -fields runs:state; done"
    assert "state: new" in ran.sh(line).out
    megatest(ran, "-lock", *T)
    assert "state: locked" in ran.sh(line).out
    megatest(ran, "-unlock", *T, stdin="y\n")
    assert "state: unlocked" in ran.sh(line).out


def test_who_locked_and_unlocked_stays_in_the_journals(ran: Area) -> None:
    """spec/runs.md 5.4: every use leaves a record with user and time."""
    megatest(ran, "-lock", *T)
    megatest(ran, "-unlock", *T, stdin="y\n")
    said = ran.sh("cat .mtdb/journal/1/spool.ndjson .mtdb/journal/1/drop/* 2>/dev/null").out
    assert said.count('"frozen":{"by":') == 1 and said.count('"thawed":{"by":') == 1
