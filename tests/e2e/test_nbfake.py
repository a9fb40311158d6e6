"""`nbfake`, `nbfind` and `remrun` as areas and scripts call them (spec/config.md 2.4, M11).

A detached command says that it is done by writing into a FIFO: reading it is
how these tests wait.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from testarea import BIN, clean_env

from mt.megatest.nbfake import log_name, remote_line

#: stands in for ssh: notes its words, then does what a login shell on the other host would do
SSH = """\
#!/bin/sh
printf '%s\\n' "$@" > "$HOME/ssh.words"
test "$1" = -n && shift
test "$1" = down && exit 255
cd / && shift && exec env -i PATH=/usr/bin:/bin sh -c "$*"
"""


class Place:
    """A directory with a FIFO to wait at."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = clean_env(home / "home")
        self.env["PATH"] = f"{home}/bin:{self.env['PATH']}"
        (home / "bin").mkdir()
        (home / "bin/ssh").write_text(SSH, encoding="utf-8")
        (home / "bin/ssh").chmod(0o755)
        os.mkfifo(home / "done")

    def run(self, prog: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / prog), *words],
            cwd=self.home, env={**self.env, **env}, capture_output=True, text=True, timeout=30, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def told(self) -> str:
        """What the detached command wrote into the FIFO; waits for it."""
        return (self.home / "done").read_text(encoding="utf-8")

    def logs(self) -> list[Path]:
        return sorted(self.home.glob("NBFAKE-*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_command_is_detached_and_keeps_its_directory(place: Place) -> None:
    """M11: detach, cwd preserved, log in this directory; nbfake does not wait for the reader of the FIFO."""
    done = place.run("nbfake", "sh", "-c", 'echo said; echo "$PWD $(ps -o sid= -p $$) $$" > done')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    where, session, pid = place.told().split()
    assert where == str(place.home)
    assert session == pid
    (log,) = place.logs()
    assert log.read_text(encoding="utf-8") == "said\n"


def test_the_log_is_named_by_the_iso_week(place: Place) -> None:
    """M11: NBFAKE-<ISO year>WW<week>.<day>_<HH:MM:SS>."""
    place.run("nbfake", "sh", "-c", ": > done")
    place.told()
    assert re.fullmatch(r"NBFAKE-\d{4}WW\d\d\.[1-7]_\d\d:\d\d:\d\d", place.logs()[0].name)


def test_the_last_days_of_a_year_may_be_in_the_first_week_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """M11: Monday the 30th of December 2024 is day 1 of week 1 of 2025."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert log_name(1735570805) == "NBFAKE-2025WW01.1_15:00:05"


def test_words_stay_words(place: Place) -> None:
    """M11: nothing is read by a shell again."""
    words = ["a b", "it's", '"', "$HOME", "*", "", "new\nline"]
    code = "import sys; open('done', 'w').write(repr(sys.argv[1:]))"
    assert place.run("nbfake", sys.executable, "-c", code, *words).returncode == 0
    assert place.told() == repr(words)


def test_a_lone_word_with_blanks_is_a_shell_line(place: Place) -> None:
    """M11: as old scripts write it."""
    place.run("nbfake", "echo $((6 * 7)) > done; echo over")
    assert place.told() == "42\n"


def test_nbfake_log_names_the_log_and_the_command_does_not_see_it(place: Place) -> None:
    """M11: a command that calls nbfake itself must not write into the same log."""
    (place.home / "my.log").write_text("old\n", encoding="utf-8")
    place.run("nbfake", "sh", "-c", 'echo new; echo "<$NBFAKE_LOG$NBFAKE_HOST>" > done', NBFAKE_LOG="my.log")
    assert place.told() == "<>\n"
    assert (place.home / "my.log").read_text(encoding="utf-8") == "new\n"
    assert place.logs() == []


def test_a_hang_up_does_not_end_it(place: Place) -> None:
    """M11: as from nohup."""
    place.run("nbfake", "sh", "-c", "kill -HUP $$; echo alive > done")
    assert place.told() == "alive\n"


def test_a_script_without_an_interpreter_line_is_the_shells(place: Place) -> None:
    """M11."""
    (place.home / "x").write_text('echo "$1" > done\n', encoding="utf-8")
    (place.home / "x").chmod(0o755)
    assert place.run("nbfake", "./x", "a b").returncode == 0
    assert place.told() == "a b\n"


def test_a_command_that_is_not_there_is_said_here_and_in_the_log(place: Place) -> None:
    """M11; a program of that name in this directory is not on PATH."""
    (place.home / "x").write_text("#!/bin/sh\n", encoding="utf-8")
    (place.home / "x").chmod(0o755)
    done = place.run("nbfake", "x")
    assert (done.returncode, done.stderr) == (127, "nbfake: cannot run 'x': command not found\n")
    assert place.logs()[0].read_text(encoding="utf-8") == done.stderr


def test_a_log_that_cannot_be_written_starts_nothing(place: Place) -> None:
    """M11."""
    done = place.run("nbfake", "touch", "started", NBFAKE_LOG="no/such/log")
    assert done.returncode == 1
    assert "no/such/log" in done.stderr
    assert not (place.home / "started").exists()


@pytest.mark.parametrize(
    ("prog", "words", "env"),
    [("nbfake", [], {"NBFAKE_HOST": "far"}), ("nbfind", [], {"NBFAKE_HOST": "far"}), ("remrun", ["far"], {})],
)
def test_with_a_host_it_is_started_there(place: Place, prog: str, words: list[str], env: dict[str, str]) -> None:
    """M11: ssh, in the same directory, with the MT_ variables; NBFAKE_LOG is written there."""
    more = {**env, "MT_RUNNAME": "it's r1!", "OTHER": "x", "NBFAKE_LOG": "far.log"}
    done = place.run(prog, *words, "sh", "-c", 'echo "$PWD|$MT_RUNNAME|$OTHER|$1"; : > done', "sh", "a  'b", **more)
    assert (done.returncode, done.stderr) == (0, "")
    place.told()
    assert (place.home / "far.log").read_text(encoding="utf-8") == f"{place.home}|it's r1!||a  'b\n"
    assert (place.home / "home/ssh.words").read_text(encoding="utf-8").startswith("-n\nfar\n")


def test_a_host_that_is_down_is_told_by_the_status(place: Place) -> None:
    """M11."""
    assert place.run("remrun", "down", "true").returncode == 255


def test_what_csh_would_stumble_over_is_packed() -> None:
    """M11: the login shell of the other host may be any."""
    plain = remote_line(["a", "b c"], {"MT_A": "1", "B": "2"}, "log", "/x y")
    packed = remote_line(["a", "b\nc"], {}, "log", "/x")
    assert shlex.split(plain)[:3] == ["exec", "/bin/sh", "-c"]
    assert "export MT_A=1; nohup a 'b c' > log" in shlex.split(plain)[3]
    assert "B=" not in plain
    assert not set(packed) & set("\n!")


@pytest.mark.parametrize(("prog", "words"), [("nbfake", []), ("remrun", []), ("remrun", ["host"])])
def test_without_a_command_the_usage_is_said(place: Place, prog: str, words: list[str]) -> None:
    done = place.run(prog, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"usage: {prog} ")
