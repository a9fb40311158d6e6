"""The choice of runs and tests that all old commands share (spec/runs.md 2.1, 2.3, 5.1)."""

from __future__ import annotations

from typing import Any

import pytest
from recorded import BEGUN, Recorded
from testarea import Area

from mt.megatest import words
from mt.megatest.selecting import exact_tests, is_top, select
from mt.patterns import TestPattern


@pytest.fixture
def recorded(area: Area) -> Recorded:
    """a passed, b failed, c runs (the table of 5.1), and two items of which one was removed."""
    run = Recorded(area)
    run.case("a")
    run.case("b", status="FAIL")
    run.case("c", state="RUNNING", status="n/a")
    run.case("it", "1", start=BEGUN + 4)
    run.case("it", "2", state="DELETED", status="n/a")
    return run


def hit(run: Recorded, *typed: str, **more: Any) -> dict[str, list[str]]:
    """{run: tests} that are meant."""
    found = select(words.read(typed), run.store, **more)
    return {each.name: [str(row.key) for row in rows] for each, rows in found}


@pytest.mark.parametrize(
    ("typed", "tests"),
    [
        ("-testpatt % -status FAIL", ["b"]),
        ("-testpatt % -state COMPLETED -status PASS,FAIL", ["a", "b", "it/1"]),
        ("-testpatt a,c :state RUNNING", ["c"]),
        ("-testpatt % -state RUNNING :state COMPLETED -status FAIL", ["b"]),
        ("-runtests it", ["it/1"]),
        ("-testpatt it -itempatt 1", ["it/1"]),
        ("-testpatt it -itempatt 7", []),
        ("", ["a", "b", "c", "it/1"]),
    ],
)
def test_tests_are_hit_as_the_table_says(recorded: Recorded, typed: str, tests: list[str]) -> None:
    """spec/runs.md 5.1."""
    assert hit(recorded, *typed.split()) == {"r1": tests}


def test_runs_are_hit_by_patterns_of_target_and_name(recorded: Recorded) -> None:
    """spec/runs.md 5.1, 2.3: part by part, LIKE or GLOB."""
    Recorded(recorded.area, "r2", target="suse/nfs")
    assert [*hit(recorded, "-target", "%/nfs", ":runname", "r%")] == ["r1", "r2"]
    assert [*hit(recorded, "-target", "SU%/n*", "-runname", "r%")] == ["r2"]
    assert [*hit(recorded, "-target", "su*/nfs", "-runname", "R*")] == []
    assert [*hit(recorded, "-reqtarg", "suse/nfs")] == ["r2"]


def test_a_locked_run_shows_no_tests_unless_all_runs_are_meant(recorded: Recorded) -> None:
    """spec/runs.md 5.1, 5.4."""
    recorded.tell("run", frozen={"by": "me", "t": BEGUN, "why": ""})
    assert hit(recorded, "-testpatt", "%") == {"r1": []}
    assert len(hit(recorded, "-testpatt", "%", all_runs=True)["r1"]) == 4
    recorded.tell("run", frozen=None)
    assert len(hit(recorded, "-testpatt", "%")["r1"]) == 4


def test_removed_tests_and_runs_are_hit_only_when_asked_for(recorded: Recorded) -> None:
    """spec/runs.md 3.1, 5.1: a DELETED record does not exist."""
    gone = Recorded(recorded.area, "gone")
    gone.case("a", state="DELETED", status="n/a")
    assert [*hit(recorded)] == ["r1"]
    assert hit(recorded, "-testpatt", "it,a", deleted=True) == {"r1": ["a", "it/1", "it/2"], "gone": ["a"]}


def test_top_records_come_with_the_fields_of_their_items(recorded: Recorded) -> None:
    """spec/runs.md 3.3: rolled up, begun with the first item, in the directory above."""
    ((_, rows),) = select(words.read(["-testpatt", "it"]), recorded.store, tops=True)
    top, item = rows
    assert [is_top(row) for row in rows] == [True, False]
    assert (top.test, top.item, top.state, top.status, top.start) == ("it", "", "COMPLETED", "PASS", BEGUN)
    assert f"{top.dir}/1" == item.dir
    ((_, rows),) = select(words.read(["-testpatt", "it/"]), recorded.store, tops=True)
    assert [is_top(row) for row in rows] == [True]
    assert hit(recorded, "-testpatt", "it/") == {"r1": []}


def test_what_was_said_after_the_last_fold_counts(recorded: Recorded) -> None:
    """A selection sees what is in the journals."""
    assert "d" not in hit(recorded)["r1"]
    recorded.case("d")
    assert "d" in hit(recorded)["r1"]


def test_only_plain_names_are_looked_up() -> None:
    """A wildcard in an item part does not make the test unknown."""
    assert exact_tests(TestPattern.glob("b,a/%,a/1")) == ["a", "b"]
    assert exact_tests(TestPattern.glob("b,a%")) is None
    assert exact_tests(TestPattern.glob("")) == []
