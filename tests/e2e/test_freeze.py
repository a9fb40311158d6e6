"""`mt freeze` and `mt thaw`: a frozen run refuses to change, and says who froze it, when and why."""

from __future__ import annotations

import os
import re

import pytest
from testarea import TARGET, Area


@pytest.fixture
def ran(area: Area) -> Area:
    """A run r1 with one good and one bad case."""
    area.test("one", "echo fine >out.txt").test("bad", "false")
    assert area.mt("run", "-t", TARGET, "-r", "r1", "-q").status == 1
    return area


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-t", TARGET, "-r", "r1"),
        ("rerun", "-t", TARGET, "-r", "r1"),
        ("rm", "one", "-r", "r1"),
        ("rm", "-n", "one", "-r", "r1"),
        ("rm", "--data", "one", "-r", "r1"),
        ("set", "WAIVED", "bad", "-r", "r1"),
    ],
)
def test_a_frozen_run_refuses_every_change_and_says_who_when_and_why(ran: Area, words: tuple[str, ...]) -> None:
    """spec/runs.md D9: a locked run is not run either."""
    before = ran.rows("tests", "-r", "r1")
    ran.ok("freeze", "r1", "-m", "release candidate 2")
    refused = ran.mt(*words)
    assert refused.status == 9, refused.err
    line = next(line for line in refused.err.splitlines() if "frozen" in line)
    by = re.search(r"run 'ubuntu/nfs//r1': frozen by (\S+) since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\S+: (.*)", line)
    assert by and by[2] == "release candidate 2"
    assert ran.rows("tests", "-r", "r1") == before


def test_a_thawed_run_can_be_changed_again(ran: Area) -> None:
    ran.ok("freeze", "r1")
    ran.ok("thaw", "r1", "-m", "shipped")
    ran.ok("set", "WAIVED", "bad", "-r", "r1")
    ran.ok("rm", "one", "-r", "r1")
    ran.ok("run", "-t", TARGET, "-r", "r1", "-q")


def test_a_freeze_is_seen_in_the_list_of_runs_and_changes_nothing_else_there(ran: Area) -> None:
    (before,) = ran.rows("runs")
    ran.ok("freeze", "r1", "-m", "keep")
    (row,) = ran.rows("runs")
    assert row.pop("frozen").endswith(": keep") and before.pop("frozen") == ""
    assert row == before


def test_a_freeze_outlives_every_database(ran: Area) -> None:
    ran.ok("freeze", "r1", "-m", "keep")
    for name in os.listdir(ran.home / ".mtdb"):
        if ".db" in name:
            (ran.home / ".mtdb" / name).unlink()
    assert ran.mt("rm", "one", "-r", "r1").status == 9
    ran.ok("db", "rebuild", "--all")
    assert ran.mt("rm", "one", "-r", "r1").status == 9
    ran.ok("db", "check")


def test_freezing_needs_a_run_that_is_there(ran: Area) -> None:
    assert ran.mt("freeze", "nosuch").status == 7
    assert ran.mt("freeze").status == 2


def test_a_run_that_is_driven_is_not_frozen(area: Area) -> None:
    area.test("slow", "until test -e $MT_RUN_AREA_HOME/go; do sleep 0.05; done")
    area.ok("run", "-t", TARGET, "-r", "r1", "--detach")
    try:
        refused = area.mt("freeze", "r1")
        assert (refused.status, "held by" in refused.err) == (4, True)
    finally:
        (area.home / "go").touch()
    area.ok("wait", "r1")
    area.ok("freeze", "r1")


def test_only_what_the_layout_says_is_removed(ran: Area) -> None:
    """A link that was bent to another place is refused, and what it leads to stays."""
    precious = ran.home.parent / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    link = ran.home / "lt" / TARGET / "r1" / "one"
    link.unlink()
    link.symlink_to(precious)
    refused = ran.mt("rm", "one", "-r", "r1")
    assert refused.status == 9
    assert "leads out of the link tree" in refused.err
    assert (precious / "file").exists()


def test_links_inside_a_run_directory_are_not_followed(ran: Area) -> None:
    precious = ran.home.parent / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    where = ran.home / "runs" / TARGET / "r1" / "one"
    (where / "away").symlink_to(precious)
    ran.ok("rm", "one", "-r", "r1")
    assert not where.exists() and (precious / "file").exists()


def test_a_directory_that_forbids_its_removal_is_removed_all_the_same(ran: Area) -> None:
    """spec/runs.md 5.5: one chmod and a second try."""
    where = ran.home / "runs" / TARGET / "r1" / "one"
    (where / "sub").mkdir()
    (where / "sub" / "file").touch()
    (where / "sub").chmod(0o500)
    ran.ok("rm", "one", "-r", "r1")
    assert not where.exists()


def test_removed_cases_are_not_listed_unless_asked_for(ran: Area) -> None:
    ran.ok("rm", "one", "-r", "r1")
    assert [row["test"] for row in ran.rows("tests", "-r", "r1")] == ["bad"]
    assert [row["test"] for row in ran.rows("tests", "-r", "r1", "--state", "DELETED")] == ["one"]
    ran.ok("rm", "bad", "-r", "r1")
    assert ran.rows("runs", "--allow-empty") == []
    assert [row["state"] for row in ran.rows("runs", "--state", "DELETED")] == ["DELETED"]


def test_a_removed_run_runs_anew(ran: Area) -> None:
    """spec/runs.md 5.5: a new run with the same name revives it."""
    ran.ok("rm", "%", "-r", "r1")
    ran.mt("run", "-t", TARGET, "-r", "r1", "-q")
    assert [(r["test"], r["status"]) for r in ran.rows("tests", "-r", "r1")] == [("bad", "FAIL"), ("one", "PASS")]
    assert [r["state"] for r in ran.rows("runs")] == ["COMPLETED"]
