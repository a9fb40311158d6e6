"""Breaking locks: never what lives here, at once what is provably gone, by force what nobody can know."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mt.errors import BusyError
from mt.journal import boot_id, host_name, start_token
from mt.locks import breaking
from mt.locks.breaking import break_lock, descriptors, judge, lock_name
from mt.locks.filelock import held, is_held

#: takes a lock, leaves it to a child and dies
HEIR = """
import os, subprocess, sys
from mt.locks.breaking import descriptors
from mt.locks.filelock import held
with held(sys.argv[1]):
    child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=descriptors(sys.argv[1]))
    print(child.pid, flush=True)
    os._exit(0)
"""


@contextmanager
def unseen(path: Path, monkeypatch: pytest.MonkeyPatch, **said: object) -> Iterator[None]:
    """A lock as a file server keeps it for a host that is no more: it is held, though not through this kernel."""
    mine = {"pid": 4711, "host": "n12", "start": "12ab", "boot": "another boot", "user": "ann"}
    path.with_name(f"{path.name}.holder").write_text(json.dumps({**mine, **said}))
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    monkeypatch.setattr(breaking, "_holders", lambda path: iter(()))
    yield
    os.close(fd)


def test_a_lock_that_lives_here_is_not_broken_even_by_force(tmp_path: Path) -> None:
    path = str(tmp_path / "a.lock")
    with held(path):
        found = judge(path)
        assert found.held and not found.gone and found.here == (os.getpid(),)
        for force in (False, True):
            with pytest.raises(BusyError, match=f"held on this host by pid {os.getpid()}"):
                break_lock(path, force=force)
        assert is_held(path)


def test_a_lock_that_a_child_has_inherited_is_not_broken(tmp_path: Path) -> None:
    path = str(tmp_path / "a.lock")
    with subprocess.Popen(
        [sys.executable, "-c", HEIR, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.wait()
        assert child in judge(path).here
        with pytest.raises(BusyError, match=str(child)):
            break_lock(path, force=True)
    with held(path, wait=60):
        assert child not in judge(path).here


def test_a_lock_of_a_boot_of_this_host_that_is_over_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    with unseen(path, monkeypatch, host=host_name()):
        assert break_lock(str(path)).gone
        with held(str(path), wait=False):
            pass
    assert not path.with_name("a.lock.holder").exists()


def test_a_lock_of_a_dead_process_of_this_boot_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    with unseen(path, monkeypatch, host=host_name(), boot=boot_id(), pid=os.getpid(), start="0"):
        assert break_lock(str(path)).gone
    mine = {"host": host_name(), "boot": boot_id(), "pid": os.getpid(), "start": start_token()}
    with unseen(path, monkeypatch, **mine), pytest.raises(BusyError, match="nothing proves"):
        break_lock(str(path))


def test_a_lock_of_another_host_is_broken_by_force_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    with unseen(path, monkeypatch):
        with pytest.raises(BusyError, match="nothing proves that pid 4711 on n12 is gone") as e:
            break_lock(str(path))
        assert "two then do at once" in (e.value.hint or "")
        found = break_lock(str(path), force=True)
        assert found.held and not found.gone and not path.exists()


def test_of_a_free_lock_only_the_note_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("")
    note = path.with_name("a.lock.holder")
    note.write_text("{}")
    assert not break_lock(str(path)).held
    assert path.exists() and not note.exists()
    assert not break_lock(str(path)).held


def test_who_only_waits_or_looks_is_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("")
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print(flush=True); input()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        with held(str(path)):
            assert judge(str(path)).here == (os.getpid(),)


@pytest.mark.parametrize("text", ["a/b", "..", "ü", "run.3", "two words"])
def test_any_text_is_the_name_of_a_lock(text: str) -> None:
    name = lock_name(text)
    assert "/" not in name and lock_name(f"{text}.lock") == name
    assert (name == text) == (text in ("run.3", "two words", ".."))


def test_open_files_of_a_lock_are_found(tmp_path: Path) -> None:
    path = str(tmp_path / "a.lock")
    with held(path):
        assert len(descriptors(path)) == 1
    assert descriptors(path) == []
    assert descriptors(str(tmp_path / "b.lease")) == []
