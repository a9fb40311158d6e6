"""Who lives: what the lock on a journal tells, and what it cannot tell."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mt.db import Store
from mt.errors import StoreError
from mt.fold import Folder, compact
from mt.journal import Journal, host_name, writer_name
from mt.locks.alive import FREE, HELD, MISSING, UNTOLD, is_alive, keep_alive, look, take_dead
from mt.model import CaseRow, RunKey
from mt.pipeline.history import Alive, eyes

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


def test_without_locks_between_hosts_a_lock_tells_of_this_host_only(tmp_path: Path) -> None:
    """A server may keep the lock of a host that is gone; our own kernel knows its processes."""
    names = ("elsewhere-7-x", f"{host_name()}-999999999-1abcd")
    held = [keep_alive(str(tmp_path / f"{name}.ndjson")) for name in names]
    eyes = Alive(str(tmp_path), locks=False)
    assert [eyes.writer(name).word for name in names] == ["silent", "alive"]
    assert eyes.judge(_row("elsewhere", 7)).word == "silent"
    for fd in held:
        os.close(fd)
    assert [eyes.writer(name).word for name in names] == ["silent", "dead"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_journal_that_we_may_not_open_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "elsewhere-7-x.ndjson").write_text("")

    def refuse(path: str, *_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os.path, "exists", lambda path: False)  # what it says of a directory that nobody may search
    assert Alive(str(tmp_path)).writer("elsewhere-7-x").word == "silent"
    assert Alive(str(tmp_path)).judge(_row("elsewhere", 7)).word == "silent"


def test_journals_that_cannot_be_listed_are_no_dead_workers(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("no directory")
    with pytest.raises(StoreError, match="cannot read"):
        Alive(str(path)).judge(_row("elsewhere", 7))


def test_a_row_without_a_worker_has_no_journal(tmp_path: Path) -> None:
    for name in ("spool.ndjson", "spool-h-7-x.ndjson", "h-x-y.ndjson", "h-\u00b2-x.ndjson", "-7-x.ndjson"):
        (tmp_path / name).write_text("")
    eyes = Alive(str(tmp_path))
    for row in (_row("", 0), _row("", 7), _row("h", 7)):
        assert eyes.journals(row) == []
        assert eyes.judge(row).word == "dead"


class Told:
    """A run with one case that a worker of another host runs, folded."""

    def __init__(self, home: Path) -> None:
        self.store = Store(str(home), create=True)
        self.id = self.store.create_run(RunKey("u", "r"), owner="me")
        self.path = os.path.join(self.store.journal_dir(self.id), "elsewhere-7-x.ndjson")
        with Journal(os.path.dirname(self.path), "elsewhere-7-x") as journal:
            journal.emit_row("case", _row("elsewhere", 7))
        with Folder(self.store, self.id) as folder:
            folder.fold()


def test_a_journal_that_was_folded_and_is_not_listed_is_asked_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network client may list a directory as it was a minute ago, while another host has folded what is new in it."""
    told = Told(tmp_path)
    fd = keep_alive(told.path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", lambda path: [])
        assert eyes(told.store, told.id).judge(_row("elsewhere", 7)).word == "alive"
        os.close(fd)
        assert eyes(told.store, told.id).judge(_row("elsewhere", 7)).word == "dead"
    assert compact(told.store, told.id)
    assert eyes(told.store, told.id).judge(_row("elsewhere", 7)).word == "dead"
    assert eyes(told.store, told.id).writer("elsewhere-7-x").word == "missing"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF])
def test_a_journal_of_which_nobody_can_tell_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    told = Told(tmp_path)
    real = fcntl.flock

    def flock(fd: int, how: int) -> None:
        if os.path.exists(told.path) and os.path.samestat(os.fstat(fd), os.stat(told.path)):
            raise OSError(number, os.strerror(number))
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    compact(told.store, told.id)
    assert os.path.exists(told.path)
    monkeypatch.undo()
    assert compact(told.store, told.id)
    assert not os.path.exists(told.path)


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

    def listdir(path: str) -> list[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    eyes = Alive(str(tmp_path))
    assert {eyes.judge(_row("h", pid)).word for pid in range(50)} == {"dead"}
    assert listed == [str(tmp_path)]


def test_a_server_that_is_short_of_locks_for_a_moment_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "h-7-x.ndjson")
    real, left = fcntl.flock, [errno.ENOLCK, errno.ENOLCK]

    def flock(fd: int, how: int) -> None:
        if left:
            raise OSError(left.pop(), "no locks available")
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    fd = keep_alive(path)
    assert look(path) == HELD
    os.close(fd)
