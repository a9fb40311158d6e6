"""How a verb is found, and what becomes of errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt import cli, verbs
from mt.errors import ConfigError, UsageError


def test_a_verb_is_found_by_name_and_the_other_words_are_left() -> None:
    assert verbs.find(["version", "-v", "x"]) == ("version", ["-v", "x"])
    assert verbs.find(["env", "save", "file"]) == ("env save", ["file"])


@pytest.mark.parametrize("word", ["../cli", "__init__", "_x", "", "a b", "version.py", "utilities", "-q"])
def test_a_word_that_is_no_verb_finds_nothing(word: str) -> None:
    assert verbs.find([word]) is None


def test_a_noun_without_its_verb_lists_them() -> None:
    with pytest.raises(UsageError, match="mt env: needs one of delta, run, save"):
        verbs.find(["env"])
    with pytest.raises(UsageError, match="mt env: 'svae' is none of delta, run, save"):
        verbs.find(["env", "svae"])


def test_every_file_of_a_section_is_a_verb_that_can_be_loaded() -> None:
    home = Path(verbs.__file__).parent / "sections"
    files = [p for p in home.rglob("*.py") if not p.name.startswith("_")]
    names = verbs.names()
    assert len(files) == len(names) == len(set(names))
    assert {Path(verbs.source(name)) for name in names} == set(files)
    for name in names:
        module = verbs.load(name)
        assert callable(module.main) and isinstance(module.Options, type)


def test_a_name_is_unique_over_all_sections() -> None:
    by_section = [set(verbs.names(section)) for section in verbs.SECTIONS]
    assert sum(map(len, by_section)) == len(set.union(*by_section))


def test_the_nearest_verbs_are_named() -> None:
    assert verbs.nearest("verison") == "did you mean version?"
    assert verbs.nearest("zzzz") == "mt help"


def test_version_and_help_have_their_usual_spellings(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["-V"], ["version"]):
        assert cli.main(words) == 0
        assert capsys.readouterr().out.startswith("mt 2")
    texts = []
    for words in ([], ["-h"], ["--help"], ["help"]):
        assert cli.main(words) == 0
        texts.append(capsys.readouterr().out)
    assert len(set(texts)) == 1 and texts[0].startswith("usage: mt VERB")


def test_short_help_is_the_same_by_both_names_and_wins_over_other_words(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for words in (["version", "-h"], ["version", "--help"], ["version", "bogus", "-h"]):
        assert cli.main(words) == 0
        texts.append(capsys.readouterr().out)
    assert len(set(texts)) == 1 and texts[0].startswith("usage: mt version")


def test_a_question_for_help_after_a_double_dash_belongs_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version", "--", "-h"]) == 2
    assert "one word too many" in capsys.readouterr().err


def test_a_noun_lists_its_verbs_when_asked_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["env", "-h"], ["env", "--help"], ["help", "env"]):
        assert cli.main(words) == 0
        assert "mt env save" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (ConfigError("unknown section 'defualt'", where="runconfigs.config:14", hint="mt check"), 3,
         ["mt: runconfigs.config:14: unknown section 'defualt'", "mt: hint: mt check"]),
        (FileNotFoundError(2, "No such file or directory", "x y"), 5,
         ["mt: cannot use 'x y': no such file or directory"]),
        (OSError(28, "No space left on device"), 5, ["mt: cannot go on: no space left on device"]),
        (ConfigError("two\nlines"), 3, ["mt: two lines"]),
        (KeyboardInterrupt(), 130, ["mt: interrupted"]),
    ],
)  # fmt: skip
def test_an_expected_error_is_one_line_and_a_status(
    error: BaseException,
    status: int,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["version"]) == status
    said = capsys.readouterr()
    assert said.err.splitlines() == lines
    assert said.out == ""


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_run", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["version"])
