"""How the old command reads its words, talks and leaves (spec/runs.md 1.1 and 1.2); -run has its own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from testarea import Area, Result

TARGET = ("-target", "ubuntu/nfs")
RUN = ("-runname", "r1")


def megatest(area: Area, *words: str, **more: Any) -> Result:
    """Run the old command."""
    return area.mt(*words, prog="megatest", **more)


def first_error(result: Result) -> str:
    """The first error line; commands that change something say before it how they were called (1.3)."""
    assert "Traceback" not in result.err
    return next((line for line in result.err.splitlines() if line.startswith("ERROR: ")), "")


def test_a_value_swallows_the_next_word(area: Area) -> None:
    """spec/runs.md A1: no run is started, and nothing is asked for."""
    result = megatest(area, *TARGET, *RUN, "-testpatt", "-run")
    assert (result.status, result.out) == (0, "")
    assert not (area.home / ".mtdb").exists()


@pytest.mark.parametrize("words", [("-run", "-target"), ("-show-keys", "-m"), ("-remove-runs", "-testpatt")])
def test_a_value_that_is_missing_shows_the_usage_and_does_nothing(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md A2."""
    result = megatest(area, *words)
    assert result.status == 0
    assert result.out.startswith("megatest: ")
    assert "Keys:" not in result.err
    assert not (area.home / ".mtdb").exists()


def test_a_later_option_replaces_an_earlier_one(area: Area, tmp_path: Path) -> None:
    """spec/runs.md A3."""
    assert megatest(area, "-show-keys", "-start-dir", "/nowhere", "-start-dir", ".").status == 0


def test_words_that_are_no_option_are_named_and_the_work_goes_on(area: Area) -> None:
    """spec/runs.md A4."""
    result = megatest(area, "-show-keys", "foo", "bar")
    assert (result.status, result.out) == (0, "")
    assert result.err.splitlines()[0] == "ERROR: Unrecognised arguments: foo bar"
    assert "Keys: SYSTEM, FS" in result.err


def test_options_of_other_versions_are_such_words(area: Area) -> None:
    """spec/runs.md A5, C13."""
    result = megatest(area, "-show-keys", ":sysname", "ubuntu", "-keepgoing", ":first_err", "1")
    assert result.status == 0
    assert "ERROR: Unrecognised arguments: :sysname ubuntu -keepgoing :first_err 1" in result.err


def test_a_start_directory_comes_first(area: Area, tmp_path: Path) -> None:
    """spec/runs.md A7."""
    assert megatest(area, "-show-keys", "-start-dir", str(area.home), cwd=tmp_path).status == 0
    result = megatest(area, "-start-dir", "/nowhere/at/all", "-run")
    assert (result.status, result.out) == (1, "")
    assert result.err == "ERROR: non-existant start dir /nowhere/at/all specified, exiting.\n"


def test_the_target_is_known_while_the_area_is_read(area: Area) -> None:
    """spec/runs.md A8."""
    config = area.read("megatest.config")
    area({"megatest.config": config + "\n[x]\nseen #{getenv MT_TARGET}\n"})
    result = megatest(area, "-show-config", "-section", "x", "-var", "seen", *TARGET)
    assert (result.status, result.out) == (0, "ubuntu/nfs\n")


def test_levels_choose_what_is_said(area: Area) -> None:
    """spec/runs.md A9, A10."""
    said = megatest(area, "-ping", "127.0.0.1:1", "-debug", "1")
    assert said.err.startswith("INFO: (1) ")
    assert said.out == ""
    assert megatest(area, "-ping", "127.0.0.1:1", "-debug", "0").err == ""
    assert megatest(area, "-ping", "127.0.0.1:1", "-debug", "0,2").err == ""
    assert megatest(area, "-ping", "127.0.0.1:1", "-debug", "1", env={"MT_DEBUG_MODE": "0"}).err == said.err
    assert megatest(area, "-ping", "127.0.0.1:1", env={"MT_DEBUG_MODE": "0"}).err == ""


def test_messages_can_go_to_a_file(area: Area) -> None:
    """spec/runs.md A9 -log: results stay on standard output."""
    result = megatest(area, "-version", "stray", "-log", "new/log")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("1.6506-")
    assert area.read("new/log") == "ERROR: Unrecognised arguments: stray\n"


def test_errors_begin_with_their_word(area: Area) -> None:
    """spec/runs.md A10: scripts look for ^ERROR:."""
    for words in (("-run",), ("-ping", "x"), ("-recover-test", "x"), ("-step", "s"), ("-load", "x")):
        result = megatest(area, *words)
        assert result.status != 0
        assert first_error(result)


NEEDS_BOTH = [
    ("-run",),
    ("-runall",),
    ("-runtests", "%"),
    ("-rerun-clean",),
    ("-rerun-all",),
    ("-remove-runs", "-testpatt", "%"),
    ("-set-state-status", "COMPLETED,PASS", "-testpatt", "%"),
    ("-set-run-status", "x"),
    ("-get-run-status",),
    ("-rollup",),
    ("-lock",),
    ("-unlock",),
    ("-archive", "save", "-testpatt", "%"),
    ("-extract-ods", "x.ods"),
    ("-test-files", "*"),
    ("-test-paths",),
]


@pytest.mark.parametrize("words", NEEDS_BOTH, ids=lambda words: words[0])
def test_without_target_or_run_name_it_is_status_3(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md 1.2: 3, and 1.3: 1, 2; the run name never comes from the environment."""
    for given in (RUN, TARGET):
        result = megatest(area, *words, *given, env={"MT_RUNNAME": "r1"})
        assert (result.status, result.out) == (3, ""), result.err
        assert first_error(result)


@pytest.mark.parametrize(
    "words",
    [("-remove-runs",), ("-set-state-status", "COMPLETED,PASS"), ("-archive", "save")],
    ids=lambda words: words[0],
)
def test_without_a_pattern_it_is_status_3(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md 1.2: 3, and 1.3: 7."""
    result = megatest(area, *words, *TARGET, *RUN)
    assert (result.status, result.out) == (3, "")
    assert first_error(result)


@pytest.mark.parametrize("words", NEEDS_BOTH, ids=lambda words: words[0])
def test_without_an_area_it_is_status_2(words: tuple[str, ...], area: Area, tmp_path: Path) -> None:
    """spec/runs.md 1.2: 2; what is missing on the command line is not looked for then (tiny test in 1.2)."""
    result = megatest(area, *words, *TARGET, *RUN, cwd=tmp_path)
    assert (result.status, result.out) == (2, "")
    assert first_error(result) == "ERROR: No megatest.config file found. Giving up."


def test_the_target_may_come_from_the_environment(area: Area) -> None:
    """spec/runs.md 1.3: 1."""
    result = megatest(area, "-get-run-status", *RUN, env={"MT_TARGET": "ubuntu/nfs"})
    assert result.status == 1, "there is no such run, but nothing is missing"


@pytest.mark.parametrize("words", [("-lock",), ("-run",)], ids=lambda words: words[0])
def test_a_target_that_must_be_configured_and_is_not_is_status_1(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md 1.2: 1, 1.3: 4, spec/config.md R4."""
    result = megatest(area, *words, "-reqtarg", "suse/tape", *RUN)
    assert (result.status, result.out) == (1, "")
    assert "ERROR: " in result.err


def test_an_area_that_cannot_be_read_is_status_1(area: Area) -> None:
    """spec/runs.md 1.2: 1, 1.3: 3."""
    (area.home / "megatest.config").write_bytes(b"\0")
    result = megatest(area, "-lock", *TARGET, *RUN)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("ERROR: ")
    assert "Traceback" not in result.err


def test_records_that_cannot_be_read_are_status_50(area: Area) -> None:
    """spec/runs.md 1.2: 50."""
    area.test("t", "true")
    assert area.mt("run", *("-t", "ubuntu/nfs", "-r", "r1", "-q")).status == 0
    for name in ("main.db", "main.db-wal", "1.db", "1.db-wal"):
        if (area.home / ".mtdb" / name).exists():
            (area.home / ".mtdb" / name).write_bytes(b"no database " * 999)
    result = megatest(area, "-get-run-status", *TARGET, *RUN)
    assert (result.status, result.out) == (50, "")
    assert result.err.startswith("ERROR: ")


def test_a_reader_that_leaves_is_no_traceback(area: Area) -> None:
    """spec/runs.md A9: results go to standard output, also when nobody reads it."""
    result = area.sh("megatest -h | true; echo ${PIPESTATUS[0]}")
    assert result.err == ""
    assert result.out in ("0\n", "141\n")


def test_it_starts_without_what_a_step_does_not_need(area: Area) -> None:
    """DESIGN.md W6: `megatest -step` is called thousands of times inside tests."""
    code = "import sys; from mt.megatest import main, inside; print(*sorted(sys.modules))"
    loaded = area.sh(f"{area.env['PATH'].split(':')[0]}/python -c '{code}'").out.split()
    heavy = {"dataclasses", "sqlite3", "filelock", "subprocess", "argparse", "tempfile", "logging", "typing"}
    assert sorted(heavy & set(loaded)) == []
