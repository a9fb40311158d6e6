"""mt sem as users run it: statuses, signals, holders that die, and the list of holders (spec/features.md B19)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from testarea import BIN, CONFIG, Area, Result, clean_env

from mt.locks.owners import Owner, write_owner

#: says that it has begun, tells of signals, and ends when its standard input does; bash sees a signal that comes just
#: before it reads only when that is over
SIMULATION = """
trap 'echo got INT' INT; trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; trap 'echo got TERM; exit 9' TERM
echo "begun $$ $MT_SEM_TOKENS"
while ! read -r -t 0.5 word; do test $? -gt 128 || exit 0; done
"""


class Place:
    """A directory of semaphores without an area."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = clean_env(home.parent / "home")

    def mt(self, *words: str, env: dict[str, str] | None = None) -> Result:
        done = subprocess.run(
            [str(BIN / "mt"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            cwd=self.home, env={**self.env, **(env or {})}, timeout=100,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """`mt sem WORDS -- SIMULATION` once it has begun, and the pid of the simulation."""
        with subprocess.Popen(
            [str(BIN / "mt"), "sem", *words, "--", "bash", "-c", SIMULATION], cwd=self.home, env=self.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            begun = there(process.stdout).readline().split()
            assert begun[:1] == ["begun"], there(process.stderr).read()
            try:
                yield process, int(begun[1])
            finally:
                for pid in (int(begun[1]), process.pid):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue


def there(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@pytest.fixture
def place(tmp_path: Path) -> Place:
    home = tmp_path / "place"
    home.mkdir()
    return Place(home)


HERE = ("--dir", ".")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("lic", "--", "true"), 0, ""),
        (("lic", "--", "sh", "-c", "exit 7"), 7, ""),
        (("lic", "--", "sh", "-c", "exit 255"), 255, ""),
        (("lic", "--", "sh", "-c", "kill -9 $$"), 137, ""),
        (("lic", "--", "sh", "-c", "kill -15 $$"), 143, ""),
        (("lic", "--", "/dev/null"), 126, "cannot run '/dev/null': permission denied"),
        (("lic", "--", "no-such-command"), 127, "cannot run 'no-such-command': no such file"),
        (("lic", "--", ""), 127, "cannot run ''"),
        (("lic",), 2, "CMD is missing"),
        (("--", "true"), 2, "NAME is missing"),
        ((), 2, "NAME is missing"),
        (("", "--", "true"), 2, "NAME is missing"),
        (("lic", "-n", "0", "--", "true"), 2, "at least one token, not 0"),
        (("lic", "-n", "many", "--", "true"), 2, "not a whole number"),
        (("lic", "-n", "2", "-k", "3", "--", "true"), 2, "it has 2 tokens, not 3"),
        (("lic", "-k", "0", "--", "true"), 2, "it has 1 tokens, not 0"),
        (("lic", "--wait", "-1", "--", "true"), 2, "no time to wait"),
        (("lic", "--wait", "nan", "--", "true"), 2, "no time to wait"),
        (("lic", "--list", "--", "true"), 2, "--list runs no command"),
        (("lic", "--list"), 0, ""),
        (("--list",), 0, ""),
    ],
)
def test_the_table_of_statuses(place: Place, words: tuple[str, ...], status: int, says: str) -> None:
    done = place.mt("sem", *HERE, *words)
    assert done.status == status, done.err
    assert says in done.err and (says != "" or done.err == "")
    assert "Traceback" not in done.err


def test_a_full_semaphore_is_status_4_and_names_its_holder(place: Place) -> None:
    with place.running(*HERE, "lic") as (process, _):
        for words in (("--no-wait",), ("--wait", "0"), ("--wait", "0.05")):
            done = place.mt("sem", *HERE, "lic", *words, "--", "echo", "ran")
            assert (done.status, done.out) == (4, "")
            assert "no token of semaphore 'lic' is free: held by " in done.err
            assert f"pid {process.pid} on" in done.err
        assert place.mt("sem", *HERE, "lic", "-n", "2", "--no-wait", "--", "true").status == 0
        assert place.mt("sem", *HERE, "other", "--no-wait", "--", "true").status == 0


def test_who_waits_says_so_and_runs_when_a_token_is_free(place: Place) -> None:
    with place.running(*HERE, "lic") as (process, _):
        waiting = subprocess.Popen(
            [str(BIN / "mt"), "sem", *HERE, "lic", "--", "echo", "ran"], cwd=place.home, env=place.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with waiting:
            assert "; waiting" in there(waiting.stderr).readline()
            there(process.stdin).close()
            assert waiting.wait() == 0 and there(waiting.stdout).read() == "ran\n"


def test_a_command_finds_the_numbers_of_its_tokens(place: Place) -> None:
    with place.running(*HERE, "boards", "-n", "4"):
        done = place.mt("sem", *HERE, "boards", "-n", "4", "-k", "2", "--", "printenv", "MT_SEM_TOKENS")
    assert (done.status, done.out) == (0, "2 3\n")


def test_signals_are_passed_on_and_the_command_decides(place: Place) -> None:
    with place.running(*HERE, "lic") as (process, _):
        for name in ("INT", "HUP", "USR1", "TERM"):
            process.send_signal(getattr(signal, f"SIG{name}"))
            assert there(process.stdout).readline() == f"got {name}\n"
        assert process.wait() == 9
    assert place.mt("sem", *HERE, "lic", "--no-wait", "--", "true").status == 0


def test_a_command_keeps_its_token_when_mt_is_killed(place: Place) -> None:
    with place.running(*HERE, "lic") as (process, child):
        for _ in range(200):  # the command may speak before its number is recorded
            if rows(place, "lic")[0]["child"] == child:
                break
        process.kill()
        process.wait()
        assert place.mt("sem", *HERE, "lic", "--no-wait", "--", "true").status == 4
        (row,) = rows(place, "lic")
        assert (row["alive"], row["pid"], row["child"]) == ("yes", process.pid, child)
        os.kill(child, signal.SIGKILL)
        assert place.mt("sem", *HERE, "lic", "--wait", "60", "--", "echo", "free").out == "free\n"


def rows(place: Place, *names: str) -> list[dict[str, object]]:
    return place.mt("sem", *HERE, *names, "--list", "-f", "ndjson").rows()


def test_what_a_command_leaves_behind_does_not_keep_its_token(place: Place) -> None:
    script = "sleep 600 >/dev/null 2>&1 </dev/null & echo $!"
    done = place.mt("sem", *HERE, "lic", "--", "bash", "-c", script)
    try:
        assert place.mt("sem", *HERE, "lic", "--no-wait", "--", "true").status == 0
    finally:
        os.kill(int(done.out), signal.SIGKILL)


def test_a_stopped_mt_keeps_its_token(place: Place) -> None:
    with place.running(*HERE, "lic") as (process, _):
        process.send_signal(signal.SIGSTOP)
        assert place.mt("sem", *HERE, "lic", "--no-wait", "--", "true").status == 4
        assert rows(place, "lic")[0]["alive"] == "yes"
        process.send_signal(signal.SIGCONT)
        there(process.stdin).close()
        assert process.wait() == 0


def test_the_list_names_every_holder_with_its_command(place: Place) -> None:
    with place.running(*HERE, "two words/ü", "-n", "2") as (one, child), place.running(*HERE, "b") as (two, _):
        found = rows(place)
        assert [(r["semaphore"], r["token"], r["pid"], r["alive"]) for r in found] == [
            ("b", 1, two.pid, "yes"),
            ("two words/ü", 1, one.pid, "yes"),
        ]
        assert found[1]["child"] == child and found[1]["user"] and found[1]["host"] and "T" in str(found[1]["since"])
        assert str(found[1]["command"]).startswith("bash -c")
        table = place.mt("sem", *HERE, "b", "--list", "-f", "tsv").lines()
        assert table[0].split("\t")[:7] == ["semaphore", "token", "user", "host", "pid", "since", "alive"]
        assert len(table) == 2
        for process in (one, two):
            there(process.stdin).close()
            assert process.wait() == 0
        assert rows(place) == []


def test_a_holder_out_of_reach_is_freed_after_its_lease(place: Place) -> None:
    (place.home / "lic.sem").mkdir()
    fd = os.open(place.home / "lic.sem" / "1.1", os.O_RDWR | os.O_CREAT)
    write_owner(fd, Owner(1, "1", "another boot", "", "n12", "ann", "simulate", 1.7e9, 0.2))
    os.close(fd)
    assert rows(place, "lic")[0]["alive"] == "unknown"
    assert place.mt("sem", *HERE, "lic", "--no-wait", "--", "true").status == 4
    done = place.mt("sem", *HERE, "lic", "--wait", "60", "--", "echo", "ran")
    assert (done.status, done.out) == (0, "ran\n")
    assert "held by ann, pid 1 on n12; waiting" in done.err


def test_the_directory_comes_from_the_environment_too(place: Place) -> None:
    assert place.mt("sem", "lic", "--", "true").status == 3
    assert "--dir DIR or $MT_SEM_DIR" in place.mt("sem", "lic", "--", "true").err
    assert place.mt("sem", "lic", "--", "true", env={"MT_SEM_DIR": "sems"}).status == 0
    assert (place.home / "sems" / "lic.sem").is_dir()


def test_a_directory_that_is_none_is_one_line(place: Place) -> None:
    (place.home / "file").write_text("")
    for words in (("lic", "--", "true"), ("lic", "--list"), ("--list",)):
        done = place.mt("sem", "--dir", "file", *words)
        assert done.status == 5 and done.err.count("\n") == 1 and "not a directory" in done.err


def test_an_area_says_how_many_tokens_there_are(area: Callable[..., Area]) -> None:
    place = area({"megatest.config": CONFIG + "\n[semaphores]\nlic 2\nbad none\n"})
    script = (
        "mt sem lic --no-wait -- mt sem lic --no-wait -- sh -c 'mt sem lic --no-wait -- true; echo $?; mt sem --list'"
    )
    done = place.sh(script)
    assert done.lines()[0] == "4" and [line.split("\t")[1] for line in done.lines()[2:]] == ["1", "2"]
    assert place.sh("mt sem lic -n 3 -k 3 -- printenv MT_SEM_TOKENS").out == "1 2 3\n"
    assert place.sh("mt sem other -k 2 -- true").status == 2
    bad = place.sh("mt sem bad -- true")
    assert bad.status == 3 and "megatest.config:" in bad.err and "'none' is not a number of tokens" in bad.err
    assert (place.home / ".mtdb" / "locks" / "lic.sem").is_dir()
    assert place.mt("check").status == 0


def test_the_semaphores_of_runs_have_the_sizes_of_their_limits(area: Area) -> None:
    place = area({"megatest.config": CONFIG + "\n[jobgroups]\nboards 3\n"})
    assert place.sh("mt sem group.boards -k 3 -- printenv MT_SEM_TOKENS").out == "1 2 3\n"
    assert place.sh("mt sem jobs -k 4 -- printenv MT_SEM_TOKENS").out == "1 2 3 4\n"
    assert place.sh("mt sem jobs -k 5 -- true").status == 2
