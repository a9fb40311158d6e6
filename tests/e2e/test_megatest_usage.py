"""Help, version, manual, servers, and making areas and tests with the old command (spec/runs.md 1.1, 1.4, 1.7)."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from testarea import Area, Result

from mt.megatest import usage
from mt.megatest.words import FLAGS, VALUES

MAN = Path(__file__).resolve().parents[2] / "man" / "megatest.1"
#: for launchers, not for people
INTERNAL = {"-execute"}


def megatest(area: Area, *words: str, stdin: str | None = None, cwd: Path | None = None) -> Result:
    """Run the old command in an area."""
    return area.mt(*words, stdin=stdin, cwd=cwd, prog="megatest")


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_goes_to_standard_output(word: str, area: Area) -> None:
    """spec/runs.md A11."""
    result = megatest(area, word)
    assert (result.status, result.err) == (0, "")
    assert result.out == usage.text()


@pytest.mark.parametrize("words", [(), ("-target", "a/b"), ("-v",), ("-testpatt", "-run")])
def test_without_an_action_the_same_text_goes_to_standard_error(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md A11, A1."""
    result = megatest(area, *words)
    assert (result.status, result.out) == (0, "")
    assert result.err == usage.text()


def test_every_option_is_in_the_help_and_in_the_page_or_does_nothing() -> None:
    """spec/runs.md 1.7: what is accepted without effect is said to be."""
    page = MAN.read_text(encoding="utf-8").replace("\\-", "-")
    for text in (usage.text(), page):
        told = set(re.findall(r"(?<![\w-])(?:--?|:)[a-z](?:[\w.-]*\w)?", text))
        assert sorted((VALUES | FLAGS) - told - INTERNAL) == []
    assert [word for word in usage.UNUSED if word not in VALUES | FLAGS | {"-extract-skeleton"}] == []


def test_lines_of_the_help_fit_a_terminal() -> None:
    """spec/runs.md A11."""
    assert [line for line in usage.text().splitlines() if len(line) > 80] == []


def test_the_version_is_that_of_this_command_line_and_four_characters(area: Area) -> None:
    """spec/runs.md A11."""
    result = megatest(area, "-version")
    assert (result.status, result.err) == (0, "")
    assert re.fullmatch(r"1\.6506-[0-9a-f]{4}\n", result.out)


def test_the_manual_is_a_list_of_pages(area: Area) -> None:
    """spec/runs.md A11 -manual: no browser is opened."""
    result = megatest(area, "-manual")
    assert result.status == 0
    assert [Path(line).name for line in result.lines()] == ["megatest.1", "mt.1"]
    assert all(Path(line).is_file() for line in result.lines())


@pytest.mark.parametrize("words", [("-repl",), ("-load", "x.scm"), ("-load", "x.scm", "-run")])
def test_scheme_has_no_meaning_any_more(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md 1.7 -repl, -load: another way is named."""
    result = megatest(area, *words)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"ERROR: {words[0]}")
    assert "; " in result.err


@pytest.mark.parametrize("word", ["-gui", "-q", "-daemonize", "-use-db-cache", "-convert-to-norm"])
def test_what_has_no_effect_changes_nothing(word: str, area: Area) -> None:
    """spec/runs.md 1.7, the end."""
    assert megatest(area, word, "-version") == megatest(area, "-version")


# -- servers


def test_there_are_no_servers(area: Area) -> None:
    """spec/runs.md 1.4, 6.4."""
    listed = megatest(area, "-list-servers")
    assert (listed.status, listed.err) == (0, "")
    assert listed.out.split() == ["Pid", "Host:Port", "Age", "Last", "contact", "Alive"]
    assert len(listed.lines()) == 1
    assert (megatest(area, "-kill-servers").status, megatest(area, "-kill-servers").out) == (0, "")
    started = megatest(area, "-server", "-")
    assert (started.status, started.out) == (0, "")
    assert "no server is needed" in started.err


def test_ping_tells_whether_somebody_listens(area: Area) -> None:
    """spec/runs.md 1.4 -ping, 1.2: 1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert megatest(area, "-ping", f"127.0.0.1:{port}").status == 0
    assert megatest(area, "-ping", f"127.0.0.1:{port}").status == 1


@pytest.mark.parametrize("word", ["nonsense", "host:", ":80", "host:x", "host:99999"])
def test_ping_needs_host_and_port(word: str, area: Area) -> None:
    """spec/runs.md 1.4 -ping."""
    result = megatest(area, "-ping", word)
    assert result.status == 1
    assert result.err.startswith("ERROR: -ping ")


# -- new areas and tests


def test_an_area_is_made_from_answers(area: Area, tmp_path: Path) -> None:
    """spec/runs.md 1.7 -create-megatest-area."""
    result = megatest(area, "-create-megatest-area", stdin="new\nOS, REL\nlinks\n/tmp/d x\n", cwd=tmp_path)
    assert result.status == 0
    assert result.lines() == [f"new/{n}" for n in ("megatest.config", "runconfigs.config", ".gitignore")] + [
        "new/tests/first/testconfig"
    ]
    config = (tmp_path / "new/megatest.config").read_text()
    for line in ("OS TEXT", "REL TEXT", "linktree #{getenv MT_RUN_AREA_HOME}/links"):
        assert line in config.splitlines()
    assert '(create-directory "/tmp/d x" #t)' in config
    assert "keys of a target" in result.err


def test_a_new_area_can_be_used_at_once_when_nothing_is_answered(area: Area, tmp_path: Path) -> None:
    """spec/runs.md 1.7 -create-megatest-area: what stands in brackets."""
    new = tmp_path / "new"
    new.mkdir()
    assert megatest(area, "-create-megatest-area", cwd=new).status == 0
    assert megatest(area, "-create-test", "second", cwd=new).status == 0
    ran = area.mt("run", "-t", "local", "-r", "r1", "-q", cwd=new)
    assert ran.status == 0, ran.err
    assert area.mt("tests", "-r", "r1", "--fields", "test,status", cwd=new).lines()[-2:] == [
        "first\tPASS",
        "second\tPASS",
    ]


def test_what_exists_is_never_overwritten(area: Area) -> None:
    """spec/runs.md 1.7."""
    before = area.read("megatest.config")
    result = megatest(area, "-create-megatest-area")
    assert (result.status, result.out) == (1, "")
    assert "exists already" in result.err
    assert area.read("megatest.config") == before
    area.test("t", "true")
    assert megatest(area, "-create-test", "t").status == 1


def test_a_test_is_made_from_answers(area: Area) -> None:
    """spec/runs.md 1.7 -create-test."""
    area.test("base", "true")
    result = megatest(area, "-create-test", "t", stdin="Says things\na b\nbase\nI=1 2\n")
    assert result.status == 0
    assert [Path(line).name for line in result.lines()] == ["testconfig", "a.sh", "b.sh"]
    config = area.read("tests/t/testconfig").splitlines()
    for line in ("a ./a.sh", "b ./b.sh", "waiton base", "I 1 2", "description Says things"):
        assert line in config


@pytest.mark.parametrize(("words", "stdin"), [(("-create-test", "../x"), ""), (("-create-test", "t"), "d\n-\n")])
def test_names_that_cannot_be_used_are_refused(words: tuple[str, ...], stdin: str, area: Area) -> None:
    """spec/runs.md 1.7 -create-test."""
    result = megatest(area, *words, stdin=stdin)
    assert result.status == 1
    assert "is no name for" in result.err


def test_a_test_needs_an_area(area: Area, tmp_path: Path) -> None:
    """spec/runs.md 1.2: 2."""
    result = megatest(area, "-create-test", "t", cwd=tmp_path)
    assert result.status == 2
    assert result.err.startswith("ERROR: No megatest.config file found. Giving up.")
