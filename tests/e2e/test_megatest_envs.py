"""megatest -env2file, -envcap, -envdelta (spec/runs.md 5.17, 9.2 D15)."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from testarea import Area, Result

ODD = 'it\'s "so" $HOME `x` \\ !'


def old(area: Area, *words: str, status: int = 0, **more: Any) -> Result:
    """Run `megatest` in a directory that is in no area."""
    done = area.mt(*words, prog="megatest", cwd=area.home.parent, **more)
    assert done.status == status, done.err
    return done


@pytest.fixture
def pair(area: Area) -> Area:
    """Contexts A and B in envdat.db."""
    old(area, "-envcap", "A", env={"X": "1", "Y": "2", "SAME": "s"})
    old(area, "-envcap", "B", env={"X": "3", "Z": "4 5", "SAME": "s", "ODD": ODD})
    return area


def test_the_environment_is_written_for_two_shells(area: Area) -> None:
    """spec/runs.md 5.17: blacklisted variables are comments; what is read back is what was there."""
    old(area, "-env2file", "now", env={"WORDS": "a b", "PLAIN": "x", "ODD": ODD, "DISPLAY": ":0"})
    here = area.home.parent
    sh, csh = (here / "now.sh").read_text(), (here / "now.csh").read_text()
    assert 'export WORDS="a b"\n' in sh
    assert "export PLAIN=x\n" in sh
    assert "\n# export DISPLAY=:0\n" in "\n" + sh
    assert 'setenv WORDS "a b"\n' in csh
    assert "\n# setenv DISPLAY :0\n" in "\n" + csh
    assert area.sh(f'unset ODD; . {here}/now.sh; printf %s "$ODD"').out == ODD


def test_contexts_are_kept_in_a_database_of_their_owner(pair: Area) -> None:
    """spec/runs.md 5.17: all variables, in envdat.db."""
    path = pair.home.parent / "envdat.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as conn:
        found = dict(conn.execute("SELECT var, val FROM envvars WHERE context = 'A'"))
    assert found["X"] == "1"
    assert found["HOME"] == pair.env["HOME"]


def test_a_context_that_is_kept_again_takes_the_place_of_the_old_one(pair: Area) -> None:
    """spec/runs.md 5.17."""
    old(pair, "-envcap", "A", env={"X": "1", "NEW": "n", "SAME": "s"})
    text = old(pair, "-envdelta", "A-B").out
    assert "unset NEW\n" in text
    assert "unset Y\n" not in text


def test_the_difference_for_bash_has_the_new_values(pair: Area) -> None:
    """spec/runs.md 5.17, its example; 9.2 D15."""
    text = old(pair, "-envdelta", "A-B", "-dumpmode", "bash").out
    assert text.startswith("# Added vars\n")
    assert 'export Z="4 5"\n# Removed vars\nunset Y\n# Changed vars\nexport X=3\n' in text
    assert "SAME" not in text
    assert old(pair, "-envdelta", "A-B").out == text


def test_the_text_for_bash_makes_a_into_b(pair: Area) -> None:
    """spec/runs.md 5.17."""
    old(pair, "-envdelta", "A-B", "-o", "d.sh")
    script = f'X=1 Y=2; . {pair.home.parent}/d.sh; printf %s "$X|${{Y-gone}}|$Z|$ODD"'
    assert pair.sh(script).out == f"3|gone|4 5|{ODD}"


def test_the_difference_for_csh(pair: Area) -> None:
    """spec/runs.md 5.17."""
    text = old(pair, "-envdelta", "A-B", "-dumpmode", "csh").out
    assert 'setenv Z "4 5"\n# Removed vars\nunsetenv Y\n# Changed vars\nsetenv X 3\n' in text
    csh = shutil.which("tcsh") or shutil.which("csh")
    if csh:
        (pair.home / "d.csh").write_text(text)
        assert pair.sh(f"{csh} -f -c 'source d.csh; printf %s \"$X|$Z\"'").out == "3|4 5"


@pytest.mark.parametrize("mode", ["ini", "config"])
def test_the_difference_for_a_file_of_an_area(pair: Area, mode: str) -> None:
    """spec/runs.md 5.17: paths are written as additions to the path that is there."""
    old(pair, "-envcap", "C", env={"X": "1", "Y": "2", "SAME": "s", "PATH": f"{pair.env['PATH']}:/opt/tool"})
    text = old(pair, "-envdelta", "A-B", "-dumpmode", mode).out
    assert 'Z "4 5"\n# Removed vars\n# Y is not set\n# Changed vars\nX 3\n' in text
    grown = old(pair, "-envdelta", "A-C", "-dumpmode", mode).out
    assert '# Changed vars\nPATH #{scheme (env:min-path "/opt/tool" "#{getenv PATH}")}\n' in grown


def test_another_database_is_the_word_behind(area: Area, tmp_path: Path) -> None:
    """spec/runs.md 5.17, 1.1 A4: the word is taken, not told as unknown."""
    for name, value in (("one", "1"), ("two", "2")):
        done = old(area, "-envcap", name, "mine.db", env={"X": value})
        assert done.err == ""
    assert not (area.home.parent / "envdat.db").exists()
    assert old(area, "-envdelta", "one-two", "mine.db").out == (
        "# Added vars\n# Removed vars\n# Changed vars\nexport X=2\n"
    )


def test_contexts_with_a_dash_are_found(area: Area) -> None:
    """spec/runs.md 5.17."""
    old(area, "-envcap", "a-1", env={"X": "1"})
    old(area, "-envcap", "b", env={"X": "2"})
    assert "export X=2\n" in old(area, "-envdelta", "a-1-b").out


def test_what_is_no_text_comes_back_as_it_was(area: Area) -> None:
    """spec/runs.md 5.17: bytes that are no UTF-8."""
    old(area, "-envcap", "A")
    old(area, "-envcap", "B", env={"BYTES": "a\udcffb"})
    assert 'export BYTES="a\udcffb"\n' in old(area, "-envdelta", "A-B").out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("-envdelta", "A-Q"), "no environment is called 'Q'"),
        (("-envdelta", "A"), "two contexts as A-B"),
        (("-envdelta", "A-B", "none.db"), "cannot read 'none.db'"),
        (("-envdelta", "A-B", "-dumpmode", "perl"), "-dumpmode of perl not recognised"),
        (("-envcap", "A", "/"), "cannot write '/'"),
    ],
)
def test_what_is_wrong_is_told_with_status_1(pair: Area, words: tuple[str, ...], text: str) -> None:
    """spec/runs.md 1.2."""
    done = old(pair, *words, status=1)
    assert done.out == ""
    assert text in done.err
    assert "Traceback" not in done.err


def test_a_file_that_is_no_database_is_not_touched(area: Area) -> None:
    """spec/runs.md 1.2."""
    path = area.home.parent / "envdat.db"
    path.write_text("my notes, not a database at all\n" * 10)
    assert "not a database" in old(area, "-envcap", "A", status=1).err
    assert path.read_text().startswith("my notes")
