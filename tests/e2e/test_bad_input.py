"""What goes wrong gets one clear line, the right exit status, and loses nothing."""

from __future__ import annotations

import os
import sqlite3

import pytest

from tests.testarea import TARGET, Area, Result

RUN = ("-t", TARGET, "-r", "r1")


def is_clear(result: Result, status: int, *words: str) -> None:
    """The status, no traceback, at most two lines a problem, and the words that matter."""
    assert result.status == status, result
    assert "Traceback" not in result.err
    assert all(line.startswith("mt: ") for line in result.err.splitlines()), result.err
    for word in words:
        assert word in result.err


@pytest.fixture
def simple(area: Area) -> Area:
    """An area with one test that passes."""
    return area({"tests/a/testconfig": "[ezsteps]\ns true\n"})


def test_no_area_here(tmp_path_factory: pytest.TempPathFactory, simple: Area) -> None:
    nowhere = tmp_path_factory.mktemp("nowhere")
    is_clear(simple.mt("run", "-C", str(nowhere)), 3, "no megatest.config")


def test_a_config_that_is_no_text(simple: Area) -> None:
    (simple.home / "megatest.config").write_bytes(b"\0\1\2\3")
    is_clear(simple.mt("run", *RUN), 3, "megatest.config", "not a text file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_config_that_cannot_be_read(simple: Area) -> None:
    (simple.home / "megatest.config").chmod(0)
    is_clear(simple.mt("run", *RUN), 3, "permission denied")


def test_an_unknown_target(simple: Area) -> None:
    other = "/".join(["nosuch"] * len(TARGET.split("/")))
    is_clear(simple.mt("run", "-t", other, "-r", "r1"), 3, "unknown target", other)
    is_clear(simple.mt("run", "-t", "a/b/c/d/e", "-r", "r1"), 3, "invalid target")


def test_an_unknown_test_in_a_pattern(simple: Area) -> None:
    is_clear(simple.mt("run", "nosuch", *RUN), 7, "'nosuch'")


def test_a_waiton_that_names_nothing_is_said_and_dropped(simple: Area) -> None:
    simple({"tests/a/testconfig": "[ezsteps]\ns true\n[requirements]\nwaiton nosuch\n"})
    is_clear(simple.mt("run", *RUN), 0, "has unrecognised waiton testname nosuch", "tests/a/testconfig:4")


def test_a_cycle_is_named(simple: Area) -> None:
    simple({f"tests/{x}/testconfig": f"[requirements]\nwaiton {y}\n" for x, y in ("bc", "cb")})
    is_clear(simple.mt("run", "b", *RUN), 3, "cycle: b -> c -> b", "tests/b/testconfig:2")


@pytest.mark.parametrize(("command", "why"), [("nosuchcmd -x", "command not found"), ("./plain", "permission denied")])
def test_a_command_that_cannot_be_started_fails_its_test(simple: Area, command: str, why: str) -> None:
    simple({"tests/a/testconfig": f"[ezsteps]\ns {command}\n", "tests/a/plain": "x\n"})
    is_clear(simple.mt("run", *RUN), 1, why)
    (row,) = simple.rows("tests", "-t", TARGET, "-r", "r1")
    assert (row["state"], row["status"]) == ("COMPLETED", "FAIL")
    assert why in row["comment"]


def test_a_rule_that_cannot_be_read_fails_its_test(simple: Area) -> None:
    simple({"tests/a/testconfig": "[ezsteps]\ns true\n[logpro]\ns (expect:error in\n"})
    is_clear(simple.mt("run", *RUN), 1, "s.logpro:3")


def test_a_disk_that_is_not_there(simple: Area) -> None:
    config = (simple.home / "megatest.config").read_text()
    simple({"megatest.config": config.replace("#{getenv MT_RUN_AREA_HOME}/runs", "/nonexistent/disk")})
    is_clear(simple.mt("run", *RUN), 3, "no valid disks found", "/nonexistent/disk")


def test_a_full_disk_leaves_the_case_unjudged_and_runnable(simple: Area) -> None:
    """The run directory cannot be made because a file is in its way; once it is gone the same command goes on."""
    (simple.home / "runs" / TARGET.split("/")[0]).write_text("in the way")
    is_clear(simple.mt("run", *RUN), 8, "INFRA", "cannot make run directory")
    (simple.home / "runs" / TARGET.split("/")[0]).unlink()
    is_clear(simple.mt("run", *RUN), 0, "1 PASS")


@pytest.mark.parametrize("name", ["with blanks in it", "größe-日本", "-dash"])
def test_odd_run_names_work(simple: Area, name: str) -> None:
    is_clear(simple.mt("run", "-t", TARGET, f"--run={name}"), 0)
    assert simple.rows("tests", "-t", TARGET, f"--run={name}")[0]["run"] == name


@pytest.mark.parametrize("name", ["a/b", "x" * 300, "a\nb", "..", "a%"])
def test_run_names_that_cannot_be_directories_are_refused(simple: Area, name: str) -> None:
    result = simple.mt("run", "-t", TARGET, "-r", name)
    assert result.status in (2, 3)
    assert "Traceback" not in result.err
    assert not (simple.home / ".mtdb").exists()


def test_a_closed_standard_output_is_nobodys_business(simple: Area) -> None:
    words = f"mt run -t {TARGET} -r r1 >&-; echo $? >status"
    simple.sh(words)
    assert simple.read("status").strip() == "0"


def test_a_db_of_random_bytes_is_said_and_can_be_made_again(simple: Area) -> None:
    simple.ok("run", *RUN)
    (simple.home / ".mtdb" / "1.db").write_bytes(os.urandom(4096))
    is_clear(simple.mt("tests", "-q", *RUN), 5, "1.db", "mt db rebuild")
    is_clear(simple.mt("run", *RUN), 5, "1.db", "mt db rebuild")
    simple.ok("db", "rebuild", f"{TARGET}//r1")
    assert [row["status"] for row in simple.rows("tests", *RUN)] == ["PASS"]


def test_a_db_of_a_newer_version_is_left_alone(simple: Area) -> None:
    simple.ok("run", *RUN)
    db = sqlite3.connect(simple.home / ".mtdb" / "1.db")
    db.execute("PRAGMA user_version = 9999")
    db.commit()
    db.close()
    is_clear(simple.mt("run", *RUN), 5, "1.db")
