"""Levels and prefixes of what the old command says (spec/runs.md A9, A10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt.megatest.talk import Talk, levels
from mt.megatest.words import read


@pytest.mark.parametrize(
    ("text", "shown"),
    [(None, [0, 1]), ("0", [0]), ("2", [0, 1, 2]), ("0,2", [0, 2]), ("3,", [0, 1]), ("x", [0, 1]), ("", [0, 1])],
)
def test_a_number_is_a_level_and_a_list_is_exactly_these(text: str | None, shown: list[int]) -> None:
    """spec/runs.md A9."""
    assert [n for n in range(5) if levels(text)(n)] == shown


def test_the_option_wins_over_the_variable() -> None:
    """spec/runs.md A9."""
    assert Talk(read(["-debug", "0"]), {"MT_DEBUG_MODE": "9"}).debug == "0"
    assert Talk(read([]), {"MT_DEBUG_MODE": "9"}).shown(9)
    assert not Talk(read(["-debug-noprop", "2"]), {}).shown(3)


def test_errors_warnings_and_infos_have_their_prefixes(capsys: pytest.CaptureFixture[str]) -> None:
    """spec/runs.md A10; everything goes to standard error (A9)."""
    talk = Talk(read([]), {})
    talk.error("a")
    talk.error("ERROR: b")
    talk.warn("c")
    talk.warn("WARNING: d")
    talk.info(0, "e")
    talk.info(2, "f")
    talk.say(1, "g")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["ERROR: a", "ERROR: b", "WARNING: c", "WARNING: d", "INFO: (0) e", "g"]


def test_messages_go_to_a_file_whose_directory_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """spec/runs.md A9 -log."""
    path = tmp_path / "new/dir/log"
    talk = Talk(read(["-log", str(path)]), {})
    talk.error("a")
    talk.info(0, "b")
    assert path.read_text() == "ERROR: a\nINFO: (0) b\n"
    assert capsys.readouterr() == ("", "")
