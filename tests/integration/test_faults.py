"""Any file operation may fail, once or from then on: one clear line, the right status, and the same command goes on.

The seeds and numbers that are drawn are in the message of what fails; `pytest -m slow` takes all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.around import Copy, FaultyDisk, proper, recorded, sample
from testarea import TARGET, Area

RULES = """\
[logpro]
s1 ;; rules
  (expect:value in "LogFileBody" 1.5 1 "one" #/one: ([0-9.]+)/)
  (expect:error in "LogFileBody" = 0 "no trouble" #/^TROUBLE/)
"""
RUN = ("run", "-t", TARGET, "-r", "r1", "-j", "1")
IN_RUN = ("-t", TARGET, "-r", "r1")
OLD = ("-target", TARGET, "-runname", "r1", "-testpatt")
#: statuses of DESIGN.md section 5 that a disk can be the reason of
ANY = (0, 1, 3, 5, 6, 8, 9)


def small(area: Area) -> Area:
    """Three tests of two steps, one with log rules, one with items, one that fails."""
    area.test("first", "echo one: 1.5", "echo two > two; cat two", more=RULES)
    area.test("items", "echo $D", "test -n $D", items={"D": "a b"}, waiton="first")
    area.test("last", "false", "true", waiton="items")
    config = (
        area.read("megatest.config").replace("[setup]", "[setup]\nminspace 0")
        + "\n[archive-disks]\ndisk0 #{getenv MT_RUN_AREA_HOME}/archive\n"
    )
    (area.home / "archive").mkdir(exist_ok=True)
    return area({"megatest.config": config})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, list[str]]]:
    """The number of operations of an undisturbed run, and what it records."""
    area = small(Area(tmp_path_factory.mktemp("reference") / "area"))
    disk = FaultyDisk(area)
    assert area.mt(*RUN, env=disk.env()).status == 1
    return disk.count(), recorded(area)


def disturbed(area: Area, want: dict[str, list[str]], **said: Any) -> None:
    """Run the small area on a disk that fails as said; mended, the same command must come to the same."""
    disk = FaultyDisk(small(area))
    done = area.mt(*RUN, env=disk.env(**said))
    proper(done, ANY, (said, disk.failed()[:3]))
    again = area.mt(*RUN)
    assert again.status == 1, (said, disk.failed()[:3], again)
    assert recorded(area) == want, (said, disk.failed()[:3])
    area.ok("db", "check")


@pytest.mark.parametrize(("seed", "error"), list(enumerate(("ENOSPC", "EIO", "ESTALE", "EDQUOT", "EROFS", "EMFILE"))))
def test_a_run_whose_disk_fails_once_goes_on(
    area: Area, reference: tuple[int, dict[str, list[str]]], seed: int, error: str
) -> None:
    total, want = reference
    (number,) = sample(total, 6, seed)[seed : seed + 1]
    disturbed(area, want, error=error, first=number, last=number)


@pytest.mark.parametrize("part", [0.15, 0.4, 0.7])
def test_a_run_whose_disk_stays_full_goes_on_when_there_is_room(
    area: Area, reference: tuple[int, dict[str, list[str]]], part: float
) -> None:
    total, want = reference
    disturbed(area, want, error="ENOSPC", first=int(total * part))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_whose_disk_fails_now_and_then_goes_on(
    area: Area, reference: tuple[int, dict[str, list[str]]], seed: int
) -> None:
    disturbed(area, reference[1], error="EIO", share=0.03, seed=seed)


@pytest.mark.parametrize("number", [2, 6])
def test_a_case_that_a_launcher_cannot_be_tried_for_is_no_end_of_the_run(
    area: Area, reference: tuple[int, dict[str, list[str]]], number: int
) -> None:
    small(area)({"megatest.config": area.read("megatest.config") + "\n[jobtools]\nlauncher env\n"})
    disk = FaultyDisk(area, "runs", "lt")
    done = area.mt(*RUN, env=disk.env(error="ENOSPC", first=number, last=number))
    assert done.status == 8 and "INFRA" in done.err, (disk.failed(), done)
    assert area.mt(*RUN).status == 1
    assert recorded(area) == reference[1]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stays", [False, True])
def test_a_run_may_fail_at_any_operation(
    tmp_path: Path, reference: tuple[int, dict[str, list[str]]], stays: bool
) -> None:
    total, want = reference
    for number in range(1, total + 1):
        home = tmp_path / str(number)
        last = {} if stays else {"last": number}
        disturbed(Area(home / "area"), want, error="ENOSPC", first=number, **last)
        shutil.rmtree(home)


# -- reading


@pytest.mark.parametrize("number", [1, 3, 8])
def test_an_error_while_reading_is_said_and_makes_no_wrong_verdict(
    area: Area, reference: tuple[int, dict[str, list[str]]], number: int
) -> None:
    calls = ["read", "pread", "open-read"]
    disturbed(area, reference[1], error="ESTALE", calls=calls, first=number * 5, last=number * 5)


@pytest.mark.parametrize("verb", ["tests", "runs", "steps", "values", "status", "paths"])
def test_a_query_on_a_disk_that_cannot_be_read_says_so(area: Area, verb: str) -> None:
    small(area).mt(*RUN)
    disk = FaultyDisk(area)
    for number in (1, 2, 4):
        calls = ["read", "pread", "open-read", "scandir", "listdir"]
        proper(area.mt(verb, "-r", "r1", env=disk.env(error="EIO", calls=calls, first=number)), ANY, (verb, number))


# -- other commands that act


ACTS = {
    "set": ("mt", "set", "WAIVED", *IN_RUN, "last", "-m", "known"),
    "rm": ("mt", "rm", *IN_RUN, "%", "--data"),
    "set-state-status": ("megatest", "-set-state-status", "COMPLETED,SKIP", *OLD, "first"),
    "waive": ("mt", "waive", "add", "%//r1//last", "-m", "known", "--ticket", "T1", "--until", "never"),
    "archive": ("mt", "archive", "save", *IN_RUN, "--remove"),
    "clean": ("mt", "clean", "--keep", "0", "--passed", "none", "--failed", "logs"),
    "rebuild": ("mt", "db", "rebuild", "--all"),
    "freeze": ("mt", "freeze", f"{TARGET}//r1", "-m", "done"),
    "remove-runs": ("megatest", "-remove-runs", *OLD, "%"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The small area after its run."""
    area = small(Area(tmp_path_factory.mktemp("ended") / "area"))
    area.mt(*RUN)
    return Copy(area)


def below(area: Area) -> list[str]:
    """Every file and directory of runs and link tree, but for directories in a run directory that are empty."""
    tops = (area.home / "runs", area.home / "lt")
    return sorted(str(p.relative_to(area.home)) for top in tops for p in top.rglob("*") if p.name != ".ezsteps")


def acted(ended: Copy, act: str, many: int, error: str) -> None:
    """Do it with faults at some operations, once and from then on; mended, the same command comes to the same."""
    area, disk = ended.area, FaultyDisk(ended.area)
    prog, *words = ACTS[act]
    ended.back()
    good = area.mt(*words, prog=prog, env=disk.env())
    assert good.status == 0, good
    total, want, files = disk.count(), recorded(area), below(area)
    done = (0, 2, 7, 9) if act == "waive" else (0, 7)  # it is there already
    for number in sample(total, many, len(act)):
        for last in ({"last": number}, {}):
            ended.back()
            about = (act, number, last)
            proper(area.mt(*words, prog=prog, env=disk.env(error=error, first=number, **last)), (*ANY, 4, 50), about)
            again = area.mt(*words, prog=prog)
            assert again.status in done, (about, disk.failed()[:3], again)
            assert recorded(area) == want, (about, disk.failed()[:3])
            assert below(area) == files, (about, disk.failed()[:3])


@pytest.mark.parametrize("act", ACTS)
def test_what_acts_on_a_bad_disk_loses_nothing(ended: Copy, act: str) -> None:
    acted(ended, act, 2, "ENOSPC")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("act", ACTS)
def test_what_acts_may_fail_at_any_operation(ended: Copy, act: str, error: str) -> None:
    acted(ended, act, 1000, error)


# -- commands within tests


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_a_test_was_told_is_recorded_is_recorded(area: Area, seed: int) -> None:
    lines = "".join(f"mt value n{n}=1 2>>err && echo n{n} >> told\n" for n in range(6))
    area({"tests/t/testconfig": "[ezsteps]\ns1 ./tell\n", "tests/t/tell": f"#!/bin/bash\n{lines}true\n"})
    disk = FaultyDisk(area, ".mtdb/journal/1/drop", "runs/ubuntu/nfs/r1/t/.mt")
    area.mt("run", "-t", TARGET, "-r", "r1", env=disk.env(share=0.3, seed=seed))
    home = area.home / "runs" / TARGET / "r1" / "t"
    told = (home / "told").read_text().split() if (home / "told").exists() else []
    area.mt("run", "-t", TARGET, "-r", "r1")
    assert {row["variable"] for row in area.rows("values", "-r", "r1", "--allow-empty")} >= set(told)
    assert len(told) < 6 or not disk.failed()
    assert "Traceback" not in (home / "err").read_text()


# -- a real file system that is full: SQLite and the shell write there, too


@pytest.fixture
def little(tmp_path: Path) -> Iterator[Path]:
    """A place for a small file system; unmounted afterwards."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "little"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "little", place], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("left", [60, 160, 260, 400])
def test_a_full_file_system_loses_nothing(little: Path, reference: tuple[int, dict[str, list[str]]], left: int) -> None:
    area = small(Area(little / "area"))
    free = os.statvfs(little)
    with open(little / "ballast", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize - left * 1024)
    done = area.mt(*RUN)
    proper(done, ANY, left)
    queried = area.mt("tests", "-r", "r1", "--allow-empty")
    assert "Traceback" not in queried.err
    (little / "ballast").unlink()
    assert area.mt(*RUN).status == 1
    assert recorded(area) == reference[1]
    area.ok("db", "check")
