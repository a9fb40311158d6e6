"""`mt subrun` and `[subrun]`: a run within a test (spec/config.md T11, T65, D8; spec/runs.md 4.12)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from testarea import BIN, TARGET, Area

from mt.area import Area as Read
from mt.errors import LaunchError
from mt.model import RunKey
from mt.pipeline import subrun

Make = Callable[..., Area]


@pytest.fixture
def other(new_area: Make) -> Area:
    """Another area with a good test, and one that is good when a file is there."""
    return new_area("other").test("good", "true").test("bad", 'test -e "$MT_RUN_AREA_HOME/mended"')


def test_the_verdict_of_the_other_area_is_taken(area: Area, other: Area) -> None:
    """spec/runs.md 4.12: strict, failing tests are a failure."""
    words = ("subrun", "-C", str(other.home), "-t", TARGET, "-r", "r1")
    assert area.mt(*words, "good").status == 0
    assert area.mt(*words).status == 1
    assert {(row["test"], row["status"]) for row in other.rows("tests", "-r", "r1")} == {
        ("good", "PASS"),
        ("bad", "FAIL"),
    }


def test_again_runs_what_failed_before(area: Area, other: Area) -> None:
    words = ("subrun", "-C", str(other.home), "-t", TARGET, "-r", "r1")
    assert area.mt(*words).status == 1
    other({"mended": ""})
    assert area.mt(*words).status == 1
    assert area.mt(*words, "--again").status == 0
    assert {row["test"]: row["attempt"] for row in other.rows("tests", "-r", "r1")} == {"good": 1, "bad": 2}


def test_a_step_gives_its_target_and_run_name_and_none_of_its_variables(area: Area, other: Area) -> None:
    """T65: without MT_ variables; target and run of the parent by default."""
    other.test("seen", 'echo "$MT_TEST_NAME $MT_RUN_AREA_HOME ${MT_MINE-none}"')
    area.test("parent", f"MT_MINE=1 mt subrun -C {other.home} seen")
    area.ok("run", "-r", "r7")
    (row,) = other.rows("tests")
    assert (row["id"], row["status"]) == (f"{TARGET}//r7//seen", "PASS")
    assert Path(row["dir"], "s1.log").read_text(encoding="utf-8") == f"seen {other.home} none\n"


def test_the_run_of_the_test_itself_is_refused(area: Area) -> None:
    """T65: run-area is effectively mandatory; ours says so in place of waiting for ever."""
    area.test("parent", "mt subrun")
    assert area.mt("run", "-r", "r1").status == 1
    (row,) = area.rows("tests")
    assert "would wait for itself" in Path(row["dir"], "s1.log").read_text(encoding="utf-8")


def test_another_run_of_the_same_area_is_fine(area: Area) -> None:
    area.test("leaf", "true").test("parent", "mt subrun -r inner leaf")
    area.ok("run", "parent", "-r", "outer")
    assert [row["id"] for row in area.rows("tests", "-r", "inner")] == [f"{TARGET}//inner//leaf"]


def test_the_pattern_can_come_from_a_run_variable_and_the_run_gets_a_comment(area: Area, other: Area) -> None:
    """T65: mode-patt, msg."""
    other({"runconfigs.config": f"[default]\nQUICK good\n[{TARGET}]\n"})
    words = ("subrun", "-C", str(other.home), "-t", TARGET, "-r", "r1", "--key", "QUICK", "-m", "it's mine")
    assert area.mt(*words).status == 0
    assert [row["test"] for row in other.rows("tests")] == ["good"]
    assert other.rows("runs")[0]["comment"] == "it's mine"


def test_the_contour_is_a_level_of_directories(area: Area, other: Area) -> None:
    """T65: contour."""
    assert area.mt("subrun", "-C", str(other.home), "-t", TARGET, "-r", "r1", "--contour", "quick", "good").status == 0
    assert "/quick/" in other.rows("tests")[0]["dir"]


def test_options_survive_the_second_start(area: Area, other: Area) -> None:
    """A call inside a test starts itself again without its variables."""
    area.test("parent", f"mt subrun -n -q --set 'A=b c' -j 2 --tags x% -C {other.home} -- good > said; test $? = 7")
    area.ok("run", "-r", "r1")
    area.test("parent", f"mt subrun -n -C {other.home} -- good")
    area.ok("run", "-r", "r2")
    (row,) = area.rows("tests", "-r", "r2")
    assert Path(row["dir"], "s1.log").read_text(encoding="utf-8").startswith(f"run\t{TARGET}//r2//good\t")


# -- [subrun] of a testconfig


def _spec(area: Area, text: str) -> subrun.SubRun | None:
    area.test("parent", "true", more="[subrun]\n" + text)
    opened = Read.open(str(area.home), target=TARGET, run="r1", environ=area.env)
    return subrun.subrun_of(opened.spec("parent"), RunKey(TARGET, "r1"), opened.home)


@pytest.mark.parametrize("key", ["runwait yes", "run-wait yes", "runwait"])
def test_it_is_active_with_the_key_of_the_code_or_of_the_manual(area: Area, key: str) -> None:
    """T65, D8."""
    sub = _spec(area, f"{key}\nrun-area ../other\n")
    assert sub is not None
    assert (sub.area, sub.target, sub.run) == (str(area.home.parent / "other"), TARGET, "r1")


def test_it_is_inactive_without_that_key(area: Area) -> None:
    """T65."""
    assert _spec(area, "run-area ../other\n") is None


def test_all_keys_become_options(area: Area) -> None:
    """T65: keys -> switches."""
    sub = _spec(
        area,
        "runwait yes\nrun-area /o x\ntarget a/b\nrun-name n\ntest-patt t/%,u\nmode-patt K\ntag-expr q\n"
        "contour c\nmsg it's\nlogpro (expect:error in \"LogFileBody\" = 0 \"none\" #/x/)\n",
    )  # fmt: skip
    assert sub is not None
    assert sub.words == (
        "subrun", "--again", "--chdir=/o x", "-ta/b", "-rn", "--key=K", "--tags=q", "--contour=c", "-mit's",
        "--", "t/%,u",
    )  # fmt: skip
    assert sub.log_name == "run-a_b-n-t_%_u.log"
    assert sub.rules is not None
    assert sub.rules.startswith("(expect:error")


def test_what_was_run_is_found_again_in_the_run_directory(area: Area, tmp_path: Path) -> None:
    """spec/runs.md 4.12: subrun-area, testconfig.subrun."""
    sub = _spec(area, "runwait yes\nrun-area /o x\ntest-patt t/%\nlog mine.log\n")
    assert sub is not None
    sub.prepare(str(tmp_path))
    sub.prepare(str(tmp_path))
    assert os.readlink(tmp_path / "subrun-area") == "/o x"
    assert os.readlink(tmp_path / "mine.log") == "subrun.log"
    found = subrun.below(str(tmp_path))
    assert found is not None
    assert found[:4] == ("/o x", TARGET, "r1", "t/%")


def test_the_step_runs_by_itself_and_fails_with_its_tests(area: Area, other: Area, tmp_path: Path) -> None:
    """T65: the step `subrun`; deviation: strict."""
    sub = _spec(area, f"runwait yes\nrun-area {other.home}\n")
    assert sub is not None
    env = {**area.env, "MT_TARGET": "x/y", "MT_RUN_AREA_HOME": str(area.home)}
    done = subprocess.run(["bash", "-c", sub.step.command], env=env, cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 1, done.stderr
    assert {row["id"] for row in other.rows("tests")} == {f"{TARGET}//r1//good", f"{TARGET}//r1//bad"}


def test_the_environment_of_a_nested_command_keeps_what_is_about_our_work() -> None:
    """T65: no MT_ variable of the test."""
    assert subrun.without_own({"MT_TARGET": "a", "MT_TRACE": "f", "A": "b"}) == {"MT_TRACE": "f", "A": "b"}


@pytest.mark.parametrize(("patt", "status"), [("good", "PASS"), ("%", "FAIL")])
def test_a_testconfig_with_a_sub_run_takes_its_verdict(area: Area, other: Area, patt: str, status: str) -> None:
    """T65, 4.12: the step `subrun` after all others; strict."""
    more = f"[subrun]\nrunwait yes\nrun-area {other.home}\ntest-patt {patt}\n"
    area.test("parent", "true", more=more)
    assert area.mt("run", "-r", "r1").status == {"PASS": 0, "FAIL": 1}[status]
    assert area.rows("tests")[0]["status"] == status
    assert [(row["step"], row["good"]) for row in area.rows("steps")] == [("s1", True), ("subrun", status == "PASS")]
    (row,) = area.rows("tests")
    assert os.path.realpath(Path(row["dir"], "subrun-area")) == str(other.home)


def test_log_rules_of_a_sub_run_judge_in_place_of_its_status(area: Area, other: Area) -> None:
    """T65 logpro, T14."""
    more = (
        f'[subrun]\nrunwait yes\nrun-area {other.home}\nlogpro (expect:required in "LogFileBody" > 0 "ran" #/FAIL/)\n'
    )
    area.test("parent", "true", more=more)
    assert area.mt("run", "-r", "r1").status == 0
    assert {row["status"] for row in other.rows("tests")} == {"PASS", "FAIL"}


# -- what is done to the parent


@pytest.fixture
def parent(area: Area, other: Area, tmp_path: Path) -> Path:
    """The run directory of a case whose sub-run was run."""
    sub = _spec(area, f"runwait yes\nrun-area {other.home}\ntest-patt good\n")
    assert sub is not None
    place = tmp_path / "parent"
    place.mkdir()
    sub.prepare(str(place))
    assert other.mt("run", "-t", TARGET, "-r", "r1").status == 1
    return place


def test_removal_is_passed_on_once(area: Area, other: Area, parent: Path) -> None:
    """spec/runs.md 4.12: removal; subrun.removed."""
    assert subrun.pass_removal(str(parent), area.env)
    assert (parent / "subrun.removed").exists()
    assert "good" not in {row["test"] for row in other.rows("tests", "-r", "r1") if row["state"] != "DELETED"}
    assert not (other.home / "lt" / TARGET / "r1" / "good").exists()
    assert (other.home / "lt" / TARGET / "r1" / "bad").exists()
    assert not subrun.pass_removal(str(parent), area.env)


def test_setting_a_state_is_passed_on(area: Area, other: Area, parent: Path) -> None:
    """spec/runs.md 4.12: set-state-status."""
    assert subrun.pass_setting(str(parent), "COMPLETED", "WAIVED", area.env)
    assert {row["test"]: row["status"] for row in other.rows("tests")} == {"good": "WAIVED", "bad": "FAIL"}


def test_a_sub_run_that_cannot_be_removed_is_an_error(area: Area, other: Area, parent: Path) -> None:
    other.home.joinpath("megatest.config").unlink()
    with pytest.raises(LaunchError, match="cannot pass 'remove' on"):
        subrun.pass_removal(str(parent), area.env)
    assert not (parent / "subrun.removed").exists()


def test_a_case_without_a_sub_run_has_nothing_to_pass_on(area: Area, tmp_path: Path) -> None:
    assert not subrun.pass_removal(str(tmp_path), area.env)
    assert not subrun.pass_setting(str(tmp_path), "COMPLETED", "FAIL", area.env)
    assert (BIN / "megatest").exists()
