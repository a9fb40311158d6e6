"""New areas and new tests work at once, and nothing is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from testarea import Area


def test_a_new_area_passes_its_own_check(area: Area) -> None:
    made = area.ok("init", "fresh").lines()
    assert made == [
        "fresh/megatest.config", "fresh/runconfigs.config", "fresh/.gitignore", "fresh/tests/first/testconfig",
    ]  # fmt: skip
    result = area.ok("check", "--strict", cwd=area.home / "fresh")
    assert result.err == "mt: 0 errors, 0 warnings\n"
    assert area.ok("targets", cwd=area.home / "fresh").lines() == ["target", "local"]


def test_keys_make_a_target_with_as_many_parts(area: Area) -> None:
    area.ok("init", "fresh", "--keys", "OS,REL", "-q")
    assert [r["key"] for r in area.rows("keys", "-C", "fresh")] == ["OS", "REL"]
    assert [r["target"] for r in area.rows("targets", "-C", "fresh")] == ["local/local"]


def test_a_demo_has_as_many_tests_as_asked(area: Area) -> None:
    assert len(area.ok("init", "big", "--demo", "12").lines()) == 3 + 12
    assert sorted(os.listdir(area.home / "big" / "tests"))[:2] == ["demo-01", "demo-02"]
    area.ok("check", "--strict", "-C", "big")


def test_an_area_is_never_overwritten(area: Area) -> None:
    before = area.read("megatest.config")
    result = area.mt("init")
    assert result.status == 1
    assert "exists already" in result.err
    assert area.read("megatest.config") == before


def test_files_that_are_there_stay(area: Area) -> None:
    area({"half/runconfigs.config": "[mine]\n"})
    assert "half/runconfigs.config" not in area.ok("init", "half").lines()
    assert area.read("half/runconfigs.config") == "[mine]\n"


def test_a_dry_run_makes_nothing(area: Area) -> None:
    assert "fresh/megatest.config" in area.ok("init", "fresh", "-n").lines()
    assert not (area.home / "fresh").exists()


@pytest.mark.parametrize("keys", ["state", "a-b", "A,A", "", "A,,B"])
def test_keys_that_cannot_be_are_refused(area: Area, keys: str) -> None:
    assert area.mt("init", "fresh", "--keys", keys).status == 2


def test_a_new_test_passes_its_check(area: Area) -> None:
    made = area.ok("new", "compile", "--steps", "build,check", "--items", "SEED=1 2,3", "-m", "compile it").lines()
    assert made == ["tests/compile/testconfig", "tests/compile/build.sh", "tests/compile/check.sh"]
    assert os.access(area.home / "tests/compile/build.sh", os.X_OK)
    assert "SEED 1 2 3" in area.read("tests/compile/testconfig")
    area.ok("check", "--strict")
    area.ok("new", "regress", "--waiton", "compile")
    area.ok("check", "--strict")


def test_a_test_is_never_overwritten(area: Area) -> None:
    area.test("a")
    assert area.mt("new", "a").status == 1


@pytest.mark.parametrize("name", ["a/b", "a b", ".a", "%", "-x", "a,b", "~a"])
def test_names_that_patterns_would_misread_are_refused(area: Area, name: str) -> None:
    assert area.mt("new", "--", name).status == 2
    assert not (area.home / "tests").exists()


def test_what_is_no_list_of_items_is_refused(area: Area) -> None:
    assert area.mt("new", "a", "--items", "1 2 3").status == 2


def test_a_new_test_is_made_in_the_area_from_anywhere_below(area: Area, tmp_path: Path) -> None:
    below = area.home / "tests" / "deep"
    below.mkdir(parents=True)
    assert area.ok("new", "a", cwd=below).lines() == ["../a/testconfig", "../a/run.sh"]


def test_a_new_area_runs_at_once(area: Area) -> None:
    area.ok("init", "fresh", "-q")
    result = area.mt("run", cwd=area.home / "fresh")
    assert result.status == 0, result.err
    (log,) = (area.home / "fresh" / "lt").glob("*/*/first/greet.log")
    assert log.read_text() == "hello from local\n"
