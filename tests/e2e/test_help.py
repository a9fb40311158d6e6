"""Help, manuals, versions, and the edges of the command line, with the installed command (spec/architecture.md L90)."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from testarea import BIN, Area

from mt import verbs
from mt.sections.utilities.help import COMMON


@pytest.fixture
def nowhere(tmp_path: Path) -> Area:
    """A directory that is no area: help needs none."""
    area = Area(tmp_path / "x")
    for name in ("megatest.config", "runconfigs.config"):
        (area.home / name).unlink()
    return area


def test_help_fits_a_screen_and_names_the_sections_and_the_usual_verbs(nowhere: Area) -> None:
    lines = nowhere.ok("help").lines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for word in (*verbs.SECTIONS.values(), "all", "environment", "VERB"):
        assert re.search(rf"^  mt help {word}\b", text, re.MULTILINE)
    assert [w for w in COMMON if not re.search(rf"^  {w} ", text, re.MULTILINE)] == []


def test_help_all_lists_every_verb_exactly_once(nowhere: Area) -> None:
    listed = re.findall(r"^  (\S+(?: \S+)?)(?:  |$)", nowhere.ok("help", "all").out, re.MULTILINE)
    assert sorted(listed) == verbs.names()


def test_the_sections_together_are_all(nowhere: Area) -> None:
    parts = [nowhere.ok("help", word).out for word in verbs.SECTIONS.values()]
    assert "\n".join(parts) == nowhere.ok("help", "all").out


@pytest.mark.parametrize("name", verbs.names())
def test_every_verb_answers_dash_h_and_has_a_manual(name: str, nowhere: Area) -> None:
    short = nowhere.ok(*name.split(), "-h")
    assert short.out.startswith(f"usage: mt {name}") and short.err == ""
    assert "examples:" in short.out and "exit status:" in short.out
    manual = nowhere.ok("help", *name.split())
    assert "DESCRIPTION" in manual.out or f"mt {name} - " in manual.out
    assert "\x1b" not in manual.out and "\b" not in manual.out and manual.err == ""


def test_a_manual_is_there_even_where_man_is_not(nowhere: Area, tmp_path: Path) -> None:
    text = nowhere.ok("help", "version", env={"PATH": str(tmp_path)}).out
    assert text.startswith("mt version - print the version of mt\n")
    assert "see also:" in text


def test_a_man_that_only_excuses_itself_is_not_believed(nowhere: Area, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "man"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho This system has been minimized.\n")
    fake.chmod(0o755)
    text = nowhere.ok("help", "version", env={"PATH": f"{fake.parent}:/usr/bin:/bin"}).out
    assert text.startswith("mt version - ")


def test_pages_that_are_no_verbs_can_be_asked_for_by_section(nowhere: Area) -> None:
    if not Path("/usr/bin/man").exists():
        pytest.skip("man is not installed")
    assert "ATTEMPTS" in nowhere.ok("help", "7", "status").out


def test_on_a_terminal_the_pager_of_mt_pager_is_used(nowhere: Area, tmp_path: Path) -> None:
    if not Path("/usr/bin/man").exists():
        pytest.skip("man is not installed")
    seen = tmp_path / "seen"
    ours, theirs = pty.openpty()
    try:
        env = {**nowhere.env, "MT_PAGER": f"tee {seen}", "TERM": "dumb"}
        done = subprocess.run([BIN / "mt", "help", "version"], stdout=theirs, stdin=theirs, env=env, timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0
    assert "print the version of mt" in seen.read_text()


def test_help_environment_lists_variables_with_a_line_each(nowhere: Area) -> None:
    out = nowhere.ok("help", "environment").out
    for name in ("MT_AREA", "MT_FORMAT", "MT_PAGER", "MT_TRACE", "MT_RUN_AREA_HOME", "MT_TEST_NAME", "MT_ITEMPATH"):
        assert re.search(rf"^  {name}\b +\S", out, re.MULTILINE)


def test_help_on_nothing_known_is_a_usage_error_with_the_nearest(nowhere: Area) -> None:
    result = nowhere.mt("help", "verison")
    assert (result.status, result.out) == (2, "")
    assert result.err == "mt: no help for 'verison'\nmt: hint: did you mean version?\n"


@pytest.mark.parametrize(
    ("words", "first", "hint"),
    [
        (("verison",), "mt: unknown verb 'verison'", "did you mean version?"),
        (("qqqq",), "mt: unknown verb 'qqqq'", "mt help"),
        (("--verison",), "mt: unknown verb '--verison'", "did you mean version?"),
        (("version", "--vrebose"), "mt version: unknown option '--vrebose'", "did you mean --verbose?"),
        (("version", "x"), "mt version: 'x' is one word too many", "mt version -h"),
        (("env",), "mt env: needs one of delta, run, save", "mt env -h"),
        (("env", "sav"), "mt env: 'sav' is none of delta, run, save", "mt env -h"),
        (("../cli",), "mt: unknown verb '../cli'", None),
        (("",), "mt: unknown verb ''", None),
    ],
)
def test_what_cannot_be_understood_gives_two_lines_and_status_2(
    words: tuple[str, ...], first: str, hint: str | None, nowhere: Area
) -> None:
    result = nowhere.mt(*words)
    lines = result.err.splitlines()
    assert result.status == 2 and result.out == "" and len(lines) == 2
    assert lines[0] in (first, first.replace("mt ", "mt: mt ", 1))
    assert hint is None or lines[1] == f"mt: hint: {hint}"


def test_a_noun_alone_lists_its_verbs_and_with_dash_h_says_what_they_do(nowhere: Area) -> None:
    assert nowhere.mt("env").status == 2
    for words in (("env", "-h"), ("env", "--help"), ("help", "env")):
        out = nowhere.ok(*words).out
        assert all(f"mt env {v}" in out for v in ("delta", "run", "save"))


def test_the_directory_may_be_named_before_the_verb(area: Area, nowhere: Area) -> None:
    away = Path("/")
    assert nowhere.mt("-C", str(area.home), "runs", cwd=away).status == area.mt("runs").status
    assert nowhere.mt("runs", "-C", str(area.home), cwd=away).status == area.mt("runs").status


def test_an_unknown_verb_is_looked_for_on_path(nowhere: Area) -> None:
    nowhere({"bin/mt-hello": '#!/bin/sh\necho "hello $*"; exit 7\n'})
    result = nowhere.mt("hello", "a", "-h", env={"PATH": f"{nowhere.home}/bin:{nowhere.env['PATH']}"})
    assert (result.status, result.out) == (7, "hello a -h\n")


def test_a_reader_that_goes_away_is_met_with_silence(nowhere: Area) -> None:
    assert nowhere.sh("mt help all | head -1 >/dev/null").err == ""
    for env in ({}, {"PYTHONUNBUFFERED": "1"}):
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run([BIN / "mt", "help", "all"], stdout=theirs, stderr=-1, env={**nowhere.env, **env})
        os.close(theirs)
        assert (done.returncode, done.stderr) == (141, b"")


def test_another_broken_pipe_is_not_taken_for_our_reader(nowhere: Area) -> None:
    code = "import mt.cli, sys\ndef stop(w): raise BrokenPipeError(32, 'Broken pipe')\nmt.cli._run = stop\n"
    command = [BIN / "python", "-c", code + "sys.exit(mt.cli.main(['x']))"]
    done = subprocess.run(command, capture_output=True, text=True, env=nowhere.env)
    assert (done.returncode, done.stderr) == (5, "mt: cannot go on: broken pipe\n")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_standard_files_may_be_closed(closed: str, nowhere: Area) -> None:
    good = nowhere.sh(f'mt version {closed}; echo "status $?"')
    assert "status 0" in good.out and "Traceback" not in good.err and "Exception" not in good.err
    bad = nowhere.sh(f'mt verison {closed}; echo "status $?"')
    assert "status 2" in bad.out and "Traceback" not in bad.err


def test_talk_never_lands_in_a_file_that_was_opened_in_place_of_stderr(area: Area) -> None:
    area.sh("mt tests -o rows.tsv 2>&-; mt tests -s NONSENSE -o more.tsv 2>&- 1>&-; true")
    for name in ("rows.tsv", "more.tsv"):
        if (area.home / name).exists():
            assert "mt:" not in area.read(name)


def test_a_full_disk_is_said_once(nowhere: Area) -> None:
    for env in ({}, {"PYTHONUNBUFFERED": "1"}):
        result = nowhere.sh("mt help all >/dev/full", env=env)
        assert result.status == 5
        assert result.err.count("no space left on device") == 1 and len(result.err.splitlines()) == 1


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX", "xx_YY.latin1"])
def test_words_that_are_not_utf_8_come_back_as_they_were(locale: str, nowhere: Area) -> None:
    result = nowhere.mt("caf\udce9", env={"LC_ALL": locale})
    assert result.status == 2
    assert result.err.startswith("mt: unknown verb 'caf\udce9'")
    listed = nowhere.mt("help", "all", env={"LC_ALL": locale})
    assert listed.status == 0 and "Traceback" not in listed.err


def test_help_keeps_to_columns(nowhere: Area) -> None:
    for width in (40, 60, 100):
        lines = nowhere.ok("help", "all", env={"COLUMNS": str(width)}).lines()
        assert max(map(len, lines)) <= width


def test_nothing_is_coloured_in_a_pipe_nor_with_no_color(nowhere: Area) -> None:
    for env in ({}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}):
        assert "\x1b" not in nowhere.ok("help", "all", env=env).out


def test_an_interrupt_ends_with_130_and_one_line(nowhere: Area) -> None:
    nowhere({"bin/mt-x": "#!/bin/sh\n"})
    code = "import mt.cli, sys\ndef stop(w): raise KeyboardInterrupt\nmt.cli._run = stop\nsys.exit(mt.cli.main(['x']))"
    done = subprocess.run([BIN / "python", "-c", code], capture_output=True, text=True, env=nowhere.env)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mt: interrupted\n")


def test_python_dash_m_is_the_same_command(nowhere: Area) -> None:
    done = subprocess.run([BIN / "python", "-m", "mt", "version"], capture_output=True, text=True, env=nowhere.env)
    assert done.stdout == nowhere.ok("version").out


def test_a_start_imports_nothing_heavy(nowhere: Area) -> None:
    """spec/features.md 3: a verb that is called inside tests must start in milliseconds."""
    code = (
        "import sys\nbefore = set(sys.modules)\nimport mt.cli\nmt.cli.main(['--version'])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([BIN / "python", "-c", code], capture_output=True, text=True, env=nowhere.env)
    loaded = set(done.stdout.split())
    heavy = {"argparse", "dataclasses", "sqlite3", "json", "subprocess", "tabulate", "plumbum", "sh", "filelock"}
    heavy |= {"typing", "inspect", "difflib", "shutil", "importlib.metadata", "logging", "asyncio", "mt.pages"}
    assert loaded & heavy == set()
