"""`megatest -remove-runs` and `-remove-keep` (spec/runs.md 5.5, 5.6)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testarea import TARGET, Area, Result

T = ("-target", TARGET, "-runname", "r1")


@pytest.fixture
def ran(area: Area) -> Area:
    """A run r1: one PASS, bad FAIL, and two items of many."""
    area.test("one", "echo fine").test("bad", "false").test("many", "true", items={"N": "1 2"})
    assert area.mt("run", "-t", TARGET, "-r", "r1", "-q").status == 1
    return area


def megatest(area: Area, *words: str, env: dict[str, str] | None = None) -> Result:
    return area.mt(*words, prog="megatest", env=env)


def cases(area: Area, *words: str) -> dict[str, str]:
    """{RUN//case: STATE/STATUS} of all runs."""
    rows = area.rows("tests", "-r", "%", "--allow-empty", *words)
    return {r["id"].split("//", 1)[1]: f"{r['state']}/{r['status']}" for r in rows}


def link(area: Area, run: str = "r1") -> Path:
    return area.home / "lt" / TARGET / run


# -- 5.5


def test_a_removed_test_loses_directory_link_and_record(ran: Area) -> None:
    """spec/runs.md 5.5: a DELETED, its directory gone; the run is alive; -list-runs does not show a."""
    where = (link(ran) / "one").resolve()
    assert megatest(ran, "-remove-runs", *T, "-testpatt", "one").status == 0
    assert not where.exists() and not (link(ran) / "one").is_symlink()
    assert cases(ran, "--state", "DELETED") == {"r1//one": "DELETED/n/a"}
    assert ran.rows("tests", "-r", "r1", "--state", "DELETED")[0]["comment"] == ""
    listed = megatest(ran, "-list-runs", "%").out
    assert "Test: bad" in listed and "Test: one" not in listed


def test_a_run_of_which_all_is_removed_is_not_listed_and_comes_back_when_run(ran: Area) -> None:
    """spec/runs.md 5.5 (6): -testpatt % removes the run from -list-runs; a new -run revives it."""
    megatest(ran, "-remove-runs", *T, "-testpatt", "%")
    assert megatest(ran, "-list-runs", "%").out == ""
    megatest(ran, "-run", *T, "-run-wait")
    assert cases(ran) == {
        "r1//bad": "COMPLETED/FAIL", "r1//many/1": "COMPLETED/PASS", "r1//many/2": "COMPLETED/PASS",
        "r1//one": "COMPLETED/PASS",
    }  # fmt: skip


def test_a_test_that_waits_holds_its_run(ran: Area) -> None:
    """spec/runs.md D12: a run with NOT_STARTED/n/a tests is kept."""
    megatest(ran, "-set-state-status", "NOT_STARTED,n/a", *T, "-testpatt", "one")
    megatest(ran, "-remove-runs", *T, "-testpatt", "%", "-state", "COMPLETED")
    assert "Test: one" in megatest(ran, "-list-runs", "%").out
    assert cases(ran) == {"r1//one": "NOT_STARTED/n/a"}


def test_records_may_be_kept(ran: Area) -> None:
    """spec/runs.md 5.5: -keep-records removes the files only."""
    before = cases(ran)
    assert megatest(ran, "-remove-runs", *T, "-testpatt", "%", "-keep-records").status == 0
    assert cases(ran) == before
    assert not (link(ran) / "one").exists() and not (link(ran) / "many" / "1").exists()


def test_target_and_run_name_are_patterns(ran: Area) -> None:
    """spec/runs.md 5.5: -target ubuntu/% -runname % -testpatt x removes x in every ubuntu run."""
    ran({"runconfigs.config": ran.read("runconfigs.config") + "\n[fedora/nfs]\nORIGIN other\n"})
    ran.ok("run", "one", "-t", TARGET, "-r", "r2", "-q")
    ran.ok("run", "one", "-t", "fedora/nfs", "-r", "r2", "-q")
    megatest(ran, "-remove-runs", "-target", "ubuntu/%", "-runname", "%", "-testpatt", "one")
    left = {r["id"] for r in ran.rows("tests", "-r", "%", "-t", "%") if r["test"] == "one"}
    assert left == {"fedora/nfs//r2//one"}


def test_only_tests_in_the_states_and_statuses_asked_for_are_removed(ran: Area) -> None:
    """spec/runs.md 5.1."""
    megatest(ran, "-remove-runs", *T, "-testpatt", "%", ":status", "FAIL,ABORT")
    assert sorted(cases(ran)) == ["r1//many/1", "r1//many/2", "r1//one"]


@pytest.mark.parametrize("missing", ["-target", "-runname", "-testpatt"])
def test_what_is_missing_ends_with_3(ran: Area, missing: str) -> None:
    """spec/runs.md 1.2, 1.3."""
    words = ["-target", TARGET, "-runname", "r1", "-testpatt", "%"]
    at = words.index(missing)
    before = cases(ran)
    assert megatest(ran, "-remove-runs", *words[:at], *words[at + 2 :]).status == 3
    assert cases(ran) == before


def test_a_running_test_is_killed_first(area: Area) -> None:
    """spec/runs.md 5.5 (2): KILLREQ, and its processes are gone when its directory goes."""
    area.test("slow", "echo $$ >$MT_RUN_AREA_HOME/pid; until test -e $MT_RUN_AREA_HOME/go; do sleep 0.05; done")
    area.ok("run", "-t", TARGET, "-r", "r1", "--detach")
    area.sh("for n in $(seq 400); do test -s pid && exit; sleep 0.05; done; exit 1")
    result = megatest(area, "-remove-runs", *T, "-testpatt", "%")
    pid = int(area.read("pid"))
    assert result.status == 0, result.err
    assert not Path(f"/proc/{pid}").exists()
    assert not (link(area) / "slow").exists()
    area.mt("wait", "r1")
    assert cases(area, "--state", "DELETED") == {"r1//slow": "DELETED/n/a"}


def test_a_link_that_leads_elsewhere_is_refused_and_the_rest_removed(ran: Area) -> None:
    precious = ran.home.parent / "precious"
    precious.mkdir()
    (link(ran) / "one").unlink()
    (link(ran) / "one").symlink_to(precious)
    assert megatest(ran, "-remove-runs", *T, "-testpatt", "%").status == 1
    assert precious.exists()
    assert cases(ran) == {"r1//one": "COMPLETED/PASS"}


# -- 5.6


@pytest.fixture
def three(area: Area) -> Area:
    """Runs r1, r2, r3 of one test, oldest first."""
    area.test("one", "echo fine")
    for name in ("r1", "r2", "r3"):
        area.ok("run", "-t", TARGET, "-r", name, "-q")
    return area


def keep(area: Area, *words: str) -> Result:
    return megatest(area, "-remove-keep", *words, "-target", "ubuntu/%")


STAMP = r"WW\d\d\.[1-7] \d\d:\d\d:\d\d"


def test_all_but_the_newest_runs_are_marked(three: Area) -> None:
    """spec/runs.md 5.6: the example, r1 r2 r3 with N=1; printing is the default and changes nothing."""
    result = keep(three, "1")
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[:2] == ["Actions: (print)", f"{TARGET}:"]
    marks = [re.fullmatch(rf" (\S+) {STAMP} ?(REMOVE|)", line) for line in lines[2:]]
    assert [m and m.groups() for m in marks] == [("r1", "REMOVE"), ("r2", "REMOVE"), ("r3", "")]
    assert len(cases(three)) == 3


def test_marked_runs_are_removed_when_asked_for(three: Area) -> None:
    """spec/runs.md 5.6: -actions print,remove-runs."""
    result = keep(three, "1", "-actions", "print,remove-runs")
    assert result.out.splitlines()[0] == "Actions: (print remove-runs)"
    assert sorted(cases(three)) == ["r3//one"]


@pytest.mark.parametrize(("age", "skipped"), [("1d", 3), ("1d12h", 3), ("1M", 3), ("2y", 3), ("0s", 0)])
def test_young_runs_are_skipped(three: Area, age: str, skipped: int) -> None:
    """spec/runs.md 5.6: -age, with units that may be joined."""
    out = keep(three, "1", "-age", age, "-actions", "remove-runs").out
    lines = [f"Skipping handling of {TARGET}/{r} as it is younger than {age}" for r in ("r1", "r2", "r3")]
    assert [line for line in out.splitlines() if line.startswith("Skip")] == lines[:skipped]
    assert len(cases(three)) == (3 if skipped else 1)


def test_a_command_may_stand_before_each_action(three: Area) -> None:
    """spec/runs.md 5.6: `PRECMD megatest -remove-runs -target T -runname R -testpatt %`."""
    out = keep(three, "2", "-actions", "remove-runs,archive", "-precmd", "echo would").out
    assert [line for line in out.splitlines() if line.startswith("would")] == [
        f"would megatest -remove-runs -target {TARGET} -runname r1 -testpatt %",
        f"would megatest -archive save-remove -target {TARGET} -runname r1 -testpatt %",
    ]
    assert len(cases(three)) == 3


def test_targets_are_whole_patterns(three: Area) -> None:
    """spec/runs.md 5.6: a comma list of LIKE patterns on the whole joined target."""
    assert megatest(three, "-remove-keep", "1", "-target", "nosuch/%,UBUNTU/n%").out.count("REMOVE") == 2
    assert megatest(three, "-remove-keep", "1", "-target", "nosuch/%").out == "Actions: (print)\n"


def test_a_number_is_needed(three: Area) -> None:
    assert keep(three, "all").status == 1
