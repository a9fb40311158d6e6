"""megatest -test-paths and -test-files (spec/runs.md 5.10, 2.1): where tests are, newest first."""

from __future__ import annotations

from typing import Any

import pytest
from recorded import BEGUN, Recorded
from testarea import TARGET, Area

WHERE = ("-target", TARGET, "-runname", "r1")


def found(area: Area, *words: str, status: int = 0, **more: Any) -> list[str]:
    """The paths that are printed, relative to the link tree's run directories."""
    done = area.mt(*words, prog="megatest", **more)
    assert done.status == status, done.err
    return [line.removeprefix(f"{area.home}/lt/") for line in done.lines()]


@pytest.fixture
def recorded(area: Area) -> Recorded:
    """Run r1: a began first, then the items it/1 and it/2, then b; z waits."""
    run = Recorded(area)
    run.case("a", start=BEGUN)
    run.case("b", status="FAIL", start=BEGUN + 9)
    run.case("it", "1", start=BEGUN + 3)
    run.case("it", "2", start=BEGUN + 4)
    run.case("z", state="NOT_STARTED", status="n/a")
    return run


def test_paths_are_one_for_each_test_that_began_newest_first(recorded: Recorded) -> None:
    """spec/runs.md 5.10: an iterated test has a directory of its own, as old as its first item."""
    wanted = [f"{TARGET}/r1/{name}" for name in ("b", "it/2", "it/1", "it", "a")]
    assert found(recorded.area, "-test-paths", *WHERE) == wanted


def test_paths_are_selected_by_target_run_test_state_and_status(recorded: Recorded) -> None:
    """spec/runs.md 2.1, 5.10: patterns, and exact states and statuses."""
    area = recorded.area
    Recorded(area, "r2").case("a", start=BEGUN + 100)
    Recorded(area, "r1", target="suse/nfs").case("a", start=BEGUN + 50)
    assert found(area, "-test-paths", "-target", "%/n%", "-runname", "r%", "-testpatt", "a") == [
        f"{TARGET}/r2/a",
        "suse/nfs/r1/a",
        f"{TARGET}/r1/a",
    ]
    assert found(area, "-test-paths", *WHERE, "-status", "FAIL") == [f"{TARGET}/r1/b"]
    assert found(area, "-test-paths", *WHERE, ":status", "FAIL") == [f"{TARGET}/r1/b"]
    assert found(area, "-test-paths", *WHERE, "-state", "RUNNING") == []
    assert found(area, "-test-paths", *WHERE, "-testpatt", "it/2") == [f"{TARGET}/r1/it/2"]


def test_removed_tests_are_included_whether_their_directories_are_there_or_not(area: Area) -> None:
    """spec/runs.md 5.10."""
    run = Recorded(area)
    run.case("a", state="DELETED", status="n/a")
    run.dir("a").rmdir()
    assert found(area, "-test-paths", *WHERE) == [f"{TARGET}/r1/a"]
    assert found(area, "-test-files", "*", *WHERE) == []


def test_files_match_below_the_directories(recorded: Recorded) -> None:
    """spec/runs.md 5.10, its example."""
    area = recorded.area
    for test, item, name in (("a", "", "logs/x.log"), ("a", "", "logs/w.log"), ("it", "2", "logs/y.log")):
        (recorded.dir(test, item) / "logs").mkdir(exist_ok=True)
        (recorded.dir(test, item) / name).write_text("")
    words = ("-test-files", "logs/*.log", "-target", "ubuntu/n%", "-runname", "r1")
    assert found(area, *words) == [
        f"{TARGET}/r1/it/2/logs/y.log",
        f"{TARGET}/r1/a/logs/w.log",
        f"{TARGET}/r1/a/logs/x.log",
    ]
    assert found(area, *words, "-testpatt", "a%") == [f"{TARGET}/r1/a/logs/w.log", f"{TARGET}/r1/a/logs/x.log"]
    assert found(area, "-test-files", "nope*", *WHERE) == []


def test_a_directory_with_odd_characters_is_no_pattern(area: Area) -> None:
    """spec/runs.md 5.10: only P is a pattern."""
    run = Recorded(area)
    run.case("it", "[ab]*")
    (run.dir("it", "[ab]*") / "f.txt").write_text("")
    assert found(area, "-test-files", "*.txt", *WHERE, "-testpatt", "it/%*%") == [f"{TARGET}/r1/it/[ab]*/f.txt"]


@pytest.mark.parametrize("option", [("-test-paths",), ("-test-files", "*")])
def test_outside_of_a_test_target_and_run_name_are_needed(recorded: Recorded, option: tuple[str, ...]) -> None:
    """spec/runs.md 5.10, 1.2: exit 3."""
    assert found(recorded.area, *option, "-runname", "r1", status=3) == []
    assert found(recorded.area, *option, "-target", TARGET, status=3) == []


def test_inside_of_a_test_the_target_is_needed_and_only_what_exists_is_printed(recorded: Recorded) -> None:
    """spec/runs.md 5.10: exit 1 without -target, the run name defaults to all."""
    inside = {"MT_CMDINFO": "x", "MT_TARGET": TARGET, "MT_RUNNAME": "r1"}
    assert found(recorded.area, "-test-paths", "-runname", "r1", status=1, env=inside) == []
    recorded.dir("b").rmdir()
    wanted = [f"{TARGET}/r1/{name}" for name in ("it/2", "it/1", "it", "a")]
    assert found(recorded.area, "-test-paths", "-target", TARGET, env=inside) == wanted


def test_a_test_finds_the_files_of_another_one(area: Area) -> None:
    """spec/runs.md 5.10: called from a step, in the run directory."""
    area.test("first", "echo 42 > result.txt")
    find = 'f=$(megatest -test-files "res*.txt" -target $MT_TARGET -runname $MT_RUNNAME -testpatt first); cat "$f"'
    area.test("second", f"bash -c '{find} > copy.txt'", waiton="first")
    area.ok("run", "%", "-t", TARGET, "-r", "r1")
    assert area.read(f"lt/{TARGET}/r1/second/copy.txt") == "42\n"


def test_an_area_without_runs_has_no_paths(area: Area) -> None:
    """spec/runs.md 5.10."""
    assert found(area, "-test-paths", *WHERE) == []
