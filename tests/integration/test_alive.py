"""Who lives: what the lock on a journal tells, and what it cannot tell."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mt.journal import host_name, writer_name
from mt.locks.alive import FREE, HELD, MISSING, UNTOLD, is_alive, keep_alive, look, take_dead
from mt.model import CaseRow
from mt.pipeline.history import Alive

HOLD = "import sys; from mt.locks.alive import keep_alive; keep_alive(sys.argv[1]); print('held', flush=True); input()"


def _row(host: str, pid: int) -> CaseRow:
    return CaseRow("t", "", 1, 3, "RUNNING", "n/a", host, pid)


def _refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(fd: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_lock_is_held_until_its_holder_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "h-7-x.ndjson")
    assert look(path) == MISSING
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        assert look(path) == HELD
        assert Alive(str(tmp_path)).writer("h-7-x").word == "alive"
        child.kill()
        child.wait()
        assert look(path) == FREE
        assert Alive(str(tmp_path)).writer("h-7-x").word == "dead"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EBADF, errno.EIO, errno.ESTALE])
def test_what_has_no_locks_proves_neither_life_nor_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "elsewhere-7-x.ndjson"
    path.write_text("")
    _refuse(monkeypatch, number)
    assert look(str(path)) == UNTOLD and not is_alive(str(path)) and take_dead(str(path)) is None
    for locks in (True, False):
        assert Alive(str(tmp_path), locks=locks).judge(_row("elsewhere", 7)).word == "silent"
        assert Alive(str(tmp_path), locks=locks).writer("elsewhere-7-x").word == "silent"


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EACCES])
def test_a_lock_that_another_has_is_a_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "elsewhere-7-x.ndjson").write_text("")
    _refuse(monkeypatch, number)
    assert Alive(str(tmp_path)).judge(_row("elsewhere", 7)).word == "alive"


def test_without_locks_a_process_of_this_host_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = writer_name()
    gone = f"{host_name()}-999999999-1abcd"
    for name in (mine, gone):
        (tmp_path / f"{name}.ndjson").write_text("")
    _refuse(monkeypatch, errno.ENOLCK)
    eyes = Alive(str(tmp_path), locks=False)
    assert eyes.writer(mine).word == "alive"
    assert eyes.writer(gone).word == "dead"


def test_a_journal_that_is_not_seen_yet_is_missing_and_not_dead(tmp_path: Path) -> None:
    assert Alive(str(tmp_path)).writer("h-7-x").word == "missing"
    assert Alive(str(tmp_path / "none")).writer("h-7-x").word == "missing"


def test_a_row_is_judged_by_all_journals_of_its_host_and_pid(tmp_path: Path) -> None:
    fd = keep_alive(str(tmp_path / "a-b-7-new.ndjson"))
    for name in ("a-b-7-old", "b-7-x", "a-b-77-x", "odd"):
        (tmp_path / f"{name}.ndjson").write_text("")
    eyes = Alive(str(tmp_path))
    assert {os.path.basename(path) for path in eyes.journals(_row("a-b", 7))} == {
        "a-b-7-new.ndjson", "a-b-7-old.ndjson"
    }  # fmt: skip
    assert eyes.judge(_row("a-b", 7)).word == "alive"
    assert eyes.judge(_row("b", 7)).word == "dead"
    os.close(fd)
    assert Alive(str(tmp_path)).judge(_row("a-b", 7)).word == "dead"


def test_the_journals_are_listed_once_for_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in range(50):
        (tmp_path / f"h-{pid}-x.ndjson").write_text("")
    listed: list[str] = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    eyes = Alive(str(tmp_path))
    assert {eyes.judge(_row("h", pid)).word for pid in range(50)} == {"dead"}
    assert listed == [str(tmp_path)]
