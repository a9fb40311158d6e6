"""What a user can get wrong: one clear line, no traceback, and the exit status that the page promises."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from testarea import BIN, TARGET, Area, Result

RUN = ("run", "-q", "-t", TARGET, "-r", "r1")


def refused(done: Result, status: int, *words: str) -> str:
    """Insist on a status and on one line (and at most one hint) on stderr that contains the words."""
    assert done.status == status, f"status {done.status}\n{done.out}{done.err}"
    lines = done.err.splitlines()
    assert "Traceback" not in done.err
    assert 1 <= len(lines) <= 2 and all(line.startswith("mt: ") for line in lines), done.err
    assert len(lines) == 1 or lines[1].startswith("mt: hint: "), done.err
    for word in words:
        assert word in done.err
    return done.err


# -- the area


def test_outside_of_any_area_it_says_so(area: Area, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(area.mt("run", cwd=tmp_path / "empty"), 3, "megatest.config")


def test_a_directory_that_is_not_there_is_named(area: Area) -> None:
    refused(area.mt("run", "-C", "no/such"), 3, "no/such")


def test_a_config_that_is_a_directory_is_named(area: Area) -> None:
    (area.home / "megatest.config").unlink()
    (area.home / "megatest.config").mkdir()
    done = area.mt(*RUN)
    assert done.status == 3 and "megatest.config" in done.err and "Traceback" not in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_config_that_cannot_be_read_is_named(area: Area) -> None:
    (area.home / "megatest.config").chmod(0)
    refused(area.mt(*RUN), 3, "megatest.config", "permission denied")


@pytest.mark.parametrize("name", ["megatest.config", "runconfigs.config", "tests/t/testconfig"])
def test_a_config_of_random_bytes_never_ends_in_a_traceback(area: Area, name: str) -> None:
    area.test("t", "true")
    (area.home / name).write_bytes(bytes(range(256)) * 40)
    done = area.mt(*RUN)
    assert "Traceback" not in done.err
    assert done.status in (0, 2, 3, 7, 8) and (done.status == 0 or name.rpartition("/")[2] in done.err), done.err


def test_an_unknown_target_is_named_with_those_there_are(area: Area) -> None:
    area.test("t", "true")
    done = area.mt("run", "-q", "-t", "no/such", "-r", "r1")
    assert done.status in (2, 3) and "no/such" in done.err and "Traceback" not in done.err


def test_a_target_with_too_few_parts_is_refused(area: Area) -> None:
    area.test("t", "true")
    done = area.mt("run", "-q", "-t", "ubuntu", "-r", "r1")
    assert done.status in (2, 3) and "ubuntu" in done.err and "Traceback" not in done.err


# -- tests


def test_an_unknown_test_is_named_with_one_that_is_near(area: Area) -> None:
    area.test("diskperf", "true")
    refused(area.mt(*RUN, "diskpref"), 7, "'diskpref'", "did you mean diskperf?")


def test_an_area_without_tests_says_so(area: Area) -> None:
    refused(area.mt(*RUN), 7)
    area.ok(*RUN, "--allow-empty")


def test_a_waiton_that_names_nothing_is_said_and_the_test_runs(area: Area) -> None:
    area.test("t", "true", waiton="ghost")
    done = area.ok(*RUN)
    assert "ghost" in done.err and "tests/t/testconfig" in done.err
    assert [row["status"] for row in area.rows("tests", "-r", "r1")] == ["PASS"]


def test_tests_that_wait_on_each_other_are_named_in_a_circle(area: Area) -> None:
    area.test("a", "true", waiton="b").test("b", "true", waiton="c").test("c", "true", waiton="a")
    said = refused(area.mt(*RUN), 3, "cycle")
    assert "a -> b -> c -> a" in said or "b -> c -> a -> b" in said or "c -> a -> b -> c" in said


def test_a_test_that_waits_on_itself_does_not_hang(area: Area) -> None:
    area.test("t", "true", waiton="t")
    done = area.mt(*RUN)
    assert done.status in (0, 3) and "Traceback" not in done.err


# -- steps


@pytest.mark.parametrize("step", ["no-such-command", "no-such-command | cat", "no-such-command; exit $?"])
def test_a_command_that_is_missing_fails_its_step_with_127(area: Area, step: str) -> None:
    area.test("t", step)
    assert area.mt(*RUN).status == 1
    (row,) = area.rows("steps", "-r", "r1")
    assert row["status"] == "127"
    (case,) = area.rows("tests", "-r", "r1")
    assert case["status"] == "FAIL"
    assert "no-such-command" in (Path(case["dir"]) / "s1.log").read_text()


@pytest.mark.parametrize("step", ["./tool", "./tool | cat", "./tool; exit $?"])
def test_a_command_that_is_not_executable_fails_its_step_with_126(area: Area, step: str) -> None:
    area.test("t", step)({"tests/t/tool": "true\n"})
    assert area.mt(*RUN).status == 1
    (row,) = area.rows("steps", "-r", "r1")
    assert row["status"] == "126"


def test_a_missing_interpreter_fails_the_step(area: Area) -> None:
    area.test("t", "./tool")({"tests/t/tool": "#!/no/such/interpreter\n"})
    assert area.mt(*RUN).status == 1
    (row,) = area.rows("steps", "-r", "r1")
    assert row["status"] in ("126", "127")


def test_output_that_is_not_text_is_only_bytes(area: Area) -> None:
    area.test("t", "head -c 100000 /dev/urandom", "false")
    assert area.mt(*RUN).status == 1
    assert area.mt("why", "t", "-r", "r1").status == 0


# -- disks


def disk_at(area: Area, path: Path) -> None:
    """The area's one disk is at a path."""
    text = area.read("megatest.config")
    area({"megatest.config": text[: text.index("[disks]")] + f"[disks]\ndisk0 {path}\n"})


def no_disk(area: Area, why: str) -> None:
    """No disk can be used: the run says why before it begins, and goes on once there is a disk."""
    area.test("t", "true")
    refused(area.mt(*RUN), 3, "no valid disks", why)
    assert [row["state"] for row in area.rows("tests", "-r", "r1", "--allow-empty")] in ([], ["NOT_STARTED"])
    disk_at(area, area.home / "runs")
    area.ok(*RUN)
    assert [row["status"] for row in area.rows("tests", "-r", "r1")] == ["PASS"]


def test_a_missing_disk_is_named(area: Area) -> None:
    disk_at(area, area.home / "gone")
    no_disk(area, f"'{area.home}/gone': no such directory")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small file system with some options; skips the test where that is not allowed."""
    where = tmp_path / "disk"

    def mount(options: str) -> Path:
        where.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no mount here")
        return where

    yield mount
    if where.is_mount():
        subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_disk_that_is_read_only_is_named(area: Area, mounted: Callable[[str], Path]) -> None:
    disk_at(area, mounted("size=1m,ro"))
    no_disk(area, "not writable")


def test_a_disk_with_too_little_space_is_named(area: Area, mounted: Callable[[str], Path]) -> None:
    disk_at(area, mounted("size=100k"))
    no_disk(area, "100 KiB free")


def test_a_disk_that_is_full_makes_no_verdict(area: Area, mounted: Callable[[str], Path]) -> None:
    disk = mounted("size=100k")
    area({"megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\nminspace -1")})
    disk_at(area, disk)
    (disk / "filler").write_bytes(b"x" * 100 * 1024)
    area.test("t", "true")
    done = area.mt(*RUN)
    assert done.status == 8 and "Traceback" not in done.err, done.err
    (row,) = area.rows("tests", "-r", "r1")
    assert (row["state"], row["status"]) == ("COMPLETED", "INFRA") and "no space left" in row["comment"]
    (disk / "filler").unlink()
    area.ok(*RUN)
    assert [row["status"] for row in area.rows("tests", "-r", "r1")] == ["PASS"]


# -- names


@pytest.mark.parametrize("name", ["nightly build 7", "größe ✓", "-dash", "a'b\"c", "$HOME", "x;y"])
def test_any_run_name_that_can_be_a_directory_works(area: Area, name: str) -> None:
    area.test("t", "echo $MT_RUNNAME")
    area.ok("run", "-q", "-t", TARGET, f"--run={name}")
    (row,) = area.rows("tests", "-t", TARGET, f"--run={name}")
    assert (row["run"], row["status"]) == (name, "PASS")
    assert f"/{name}/" in row["dir"] and (Path(row["dir"]) / "s1.log").exists()


@pytest.mark.parametrize(
    "name", ["a/b", "x" * 300, "", "..", "a\nb", "a%b"], ids=["slash", "long", "empty", "dots", "newline", "wildcard"]
)
def test_a_run_name_that_cannot_be_a_directory_is_a_usage_error(area: Area, name: str) -> None:
    area.test("t", "true")
    refused(area.mt("run", "-q", "-t", TARGET, f"--run={name}"), 2, "run name")


# -- streams


def test_a_closed_stdout_is_no_reason_for_a_traceback(area: Area) -> None:
    area.test("t", "true", items={"N": " ".join(map(str, range(50)))})
    done = area.sh(f"mt run -q -t {TARGET} -r r1 >&-")
    assert (done.status, done.err) == (0, "")
    done = area.sh("mt tests -q -r r1 >&-")
    assert (done.status, done.err) == (0, ""), "a closed stdout is /dev/null"


def test_a_reader_that_goes_away_is_no_reason_for_a_traceback(area: Area) -> None:
    area.test("t", "true", items={"N": " ".join(map(str, range(400)))})
    done = area.sh(f"mt run -n -t {TARGET} -r r1 | head -1")
    assert "Traceback" not in done.err and "Exception ignored" not in done.err
    assert done.status in (0, 141) and len(done.lines()) == 1


def test_a_full_stdout_is_an_error(area: Area) -> None:
    area.test("t", "true")
    done = area.sh(f"mt run -q -n -t {TARGET} -r r1 > /dev/full")
    assert done.status not in (0, 141) and "Traceback" not in done.err and "Exception ignored" not in done.err


def test_a_closed_stderr_stops_no_run(area: Area) -> None:
    area.test("t", "true")
    assert area.sh(f"mt run -t {TARGET} -r r1 2>&-").status == 0


def test_run_names_that_are_not_utf8_are_refused(area: Area) -> None:
    area.test("t", "true")
    done = subprocess.run(
        [os.fsencode(BIN / "mt"), b"run", b"-q", b"-t", TARGET.encode(), b"-r", b"caf\xe9"],
        capture_output=True,
        cwd=area.home,
        env=area.env,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 2), done.stderr
    assert b"not UTF-8" in done.stderr


# -- dbs


def broken(area: Area, damage: Callable[[Path], None], *words: str) -> None:
    """After the damage every verb refuses with 5 and a hint; `mt db rebuild --all` mends it."""
    area.test("t", "true")
    area.ok(*RUN)
    for db in [*(area.home / ".mtdb").glob("*.db")]:
        for more in ("-wal", "-shm"):
            Path(f"{db}{more}").unlink(missing_ok=True)
        damage(db)
    for verb in (("tests", "-q", "-r", "r1", "-t", TARGET), RUN):
        refused(area.mt(*verb), 5, ".db", "hint: mt db rebuild", *words)
    area.ok("db", "rebuild", "--all", "-q")
    assert [row["status"] for row in area.rows("tests", "-r", "r1", "-t", TARGET)] == ["PASS"]
    area.ok("db", "check")


def test_dbs_of_random_bytes_are_refused_and_can_be_rebuilt(area: Area) -> None:
    broken(area, lambda db: db.write_bytes(os.urandom(20000)))


def test_dbs_cut_in_the_middle_are_refused_and_can_be_rebuilt(area: Area) -> None:
    broken(area, lambda db: os.truncate(db, 5000))


def test_dbs_of_a_newer_version_are_refused(area: Area) -> None:
    def newer(db: Path) -> None:
        with closing(sqlite3.connect(db)) as connection:
            connection.execute("PRAGMA user_version = 99999")

    area.test("t", "true")
    area.ok(*RUN)
    for db in (area.home / ".mtdb").glob("*.db"):
        newer(db)
    said = refused(area.mt("tests", "-q", "-r", "r1", "-t", TARGET), 5, ".db", "hint: ")
    assert "newer" in said or "version" in said
    refused(area.mt(*RUN), 5)
