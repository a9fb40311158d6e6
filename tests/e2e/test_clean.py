"""`mt clean`: files of old runs go by a policy, records stay (spec/features.md B22, 5.4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from testarea import TARGET, Area

RUNS = ("r1", "r2", "r3")


@pytest.fixture
def three(area: Area) -> Area:
    """Runs r1, r2, r3, oldest first, each with a good and a bad case that leave files."""
    area.test("good", "echo fine; echo 12345 >data.bin; mkdir sub; echo x >sub/more.log; echo y >sub/big.raw")
    area.test("bad", "echo trouble; echo 12345 >data.bin; false")
    for name in RUNS:
        assert area.mt("run", "-t", TARGET, "-r", name, "-q").status == 1
    return area


def where(area: Area, run: str, test: str) -> Path:
    return area.home / "lt" / TARGET / run / test


def left(area: Area) -> list[str]:
    """RUN/TEST of the directories that are there."""
    return [f"{run}/{test}" for run in RUNS for test in ("bad", "good") if where(area, run, test).exists()]


def test_all_but_the_newest_runs_lose_their_files_and_keep_their_records(three: Area) -> None:
    before = three.rows("tests", "-r", "%")
    three.ok("clean", "--keep", "1", "-q")
    assert left(three) == ["r3/bad", "r3/good"]
    assert three.rows("tests", "-r", "%") == before
    assert not (three.home / "runs" / TARGET / "r1" / "good").exists()


def test_files_go_by_verdict(three: Area) -> None:
    """spec/features.md B22: failed: all, passed: logs."""
    three.ok("clean", "--keep", "1", "--failed", "all", "--passed", "logs", "-q")
    assert len(left(three)) == 6
    names = sorted(str(p.relative_to(where(three, "r1", "good"))) for p in where(three, "r1", "good").rglob("*"))
    assert [n for n in names if n.endswith((".bin", ".raw", "testconfig"))] == []
    assert {"s1.log", "sub/more.log"} <= set(names)
    assert (where(three, "r1", "bad") / "data.bin").exists() and (where(three, "r3", "good") / "data.bin").exists()
    again = three.ok("clean", "--keep", "1", "--failed", "all", "--passed", "logs", "-f", "ndjson")
    assert again.out == ""


def test_a_dry_run_says_the_bytes_that_would_go_and_removes_nothing(three: Area) -> None:
    words = ("clean", "--keep", "2", "--passed", "none", "-n", "-f", "ndjson")
    result = three.ok(*words)
    (row,) = result.rows()
    size = sum(p.lstat().st_size for p in where(three, "r1", "good").resolve().rglob("*") if not p.is_dir())
    assert (row["id"], row["action"], row["bytes"]) == (f"{TARGET}//r1//good", "remove", size)
    assert f"r1: would free {size} bytes of 1 cases" in result.err
    assert f"would free {size} bytes of 1 cases in all" in result.err
    assert len(left(three)) == 6
    real = three.ok(*(w for w in words if w != "-n")).rows()
    assert real == [row] and left(three) == ["r1/bad", *left(three)[1:]] and "r1/good" not in left(three)


@pytest.mark.parametrize(("age", "count"), [("1d", 6), ("1d12h", 6), ("1M", 6), ("1y", 6), ("0s", 0)])
def test_young_runs_are_kept(three: Area, age: str, count: int) -> None:
    three.ok("clean", "--older", age, "-q")
    assert len(left(three)) == count


def test_the_policy_may_stand_in_the_configuration(three: Area) -> None:
    config = three.read("megatest.config")
    three({"megatest.config": f"{config}\n[clean]\nkeep 1\npassed logs\nlogs *.raw\n"})
    three.ok("check")
    three.ok("clean", "--keep", "2", "-q")
    here = where(three, "r1", "good")
    assert (here / "sub" / "big.raw").exists() and not (here / "sub" / "more.log").exists()
    assert (where(three, "r2", "good") / "data.bin").exists()


def test_without_a_policy_nothing_is_done(three: Area) -> None:
    assert three.mt("clean").status == 2
    assert len(left(three)) == 6


@pytest.mark.parametrize(
    ("words", "status"),
    [(("--keep", "many"), 2), (("--failed", "some"), 2), (("--older", "soon"), 3), (("--keep", "1", "-r", "no"), 7)],
)
def test_words_that_mean_nothing_are_refused(three: Area, words: tuple[str, ...], status: int) -> None:
    assert three.mt("clean", *words).status == status
    assert len(left(three)) == 6


def test_a_frozen_run_is_passed_over_and_refused_when_named(three: Area) -> None:
    three.ok("freeze", "r1", "-m", "release")
    said = three.ok("clean", "--keep", "1").err
    assert "r1 is left as it is: frozen by" in said and "release" in said
    assert left(three) == ["r1/bad", "r1/good", "r3/bad", "r3/good"]
    refused = three.mt("clean", "--keep", "1", "-r", "r1")
    assert refused.status == 9 and "release" in refused.err


def test_the_files_of_the_newest_waiver_are_kept(three: Area) -> None:
    """spec/runs.md 3.7: the next failure is compared with them."""
    for run in ("r1", "r2"):
        three.ok("set", "WAIVED", "bad", "-r", run)
    three.ok("clean", "--keep", "1", "-q")
    assert left(three) == ["r2/bad", "r3/bad", "r3/good"]
    three.ok("clean", "--keep", "1", "--force", "-q")
    assert left(three) == ["r3/bad", "r3/good"]


def test_a_run_that_is_driven_is_passed_over(three: Area) -> None:
    three.test("slow", "until test -e $MT_RUN_AREA_HOME/go; do sleep 0.05; done")
    three.ok("run", "slow", "-t", TARGET, "-r", "r1", "--detach")
    try:
        assert "it is driven" in three.ok("clean", "--keep", "0").err
        assert left(three) == ["r1/bad", "r1/good"]
    finally:
        (three.home / "go").touch()
    three.mt("wait", "r1")


def test_links_are_never_followed(three: Area) -> None:
    precious = three.home.parent / "precious"
    precious.mkdir()
    (precious / "file.raw").write_text("x")
    (where(three, "r1", "good").resolve() / "away").symlink_to(precious)
    link = where(three, "r2", "bad")
    link.unlink()
    link.symlink_to(precious)
    three.ok("clean", "--keep", "2", "--passed", "logs", "-q")
    assert (precious / "file.raw").exists() and not (where(three, "r1", "good") / "away").is_symlink()
    result = three.mt("clean", "--keep", "1", "-q")
    assert result.status == 1 and "leads out of the link tree" in result.err
    assert (precious / "file.raw").exists()


def test_a_cleaned_case_tells_who_took_its_files(three: Area) -> None:
    three.ok("clean", "--keep", "1", "-q")
    assert "removed by" in three.ok("show", "good", "-r", "r1").out
