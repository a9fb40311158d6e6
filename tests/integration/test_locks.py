"""Locks between real processes: one holder, who says who it is, and none left after a kill."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mt.errors import BusyError, StoreError
from mt.locks.alive import Watched, is_alive, keep_alive, living, take_dead
from mt.locks.filelock import held, holder, is_held, read_holder

HOLD = """
import sys
from mt.locks.filelock import held
with held(sys.argv[1], what="a test"):
    print("held", flush=True)
    sys.stdin.read()
"""
ALIVE = """
import sys
from mt.locks.alive import keep_alive
keep_alive(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


class Other:
    """Another process that holds something until it is let go or killed."""

    def __init__(self, code: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)

    def end(self, how: int = signal.SIGKILL) -> None:
        os.kill(self.process.pid, how)
        self.process.wait(60)


def test_a_busy_lock_says_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / ".mtdb" / "locks" / "run.1.lock"
    path.parent.mkdir(parents=True)
    with Other(HOLD, path) as other:
        with pytest.raises(BusyError) as e, held(str(path), wait=False):
            pass
        who = holder(str(path))
        assert who is not None
        assert (who.pid, who.what) == (other.process.pid, "a test")
        assert e.value.what == f"cannot lock '.mtdb/locks/run.1.lock': held by pid {who.pid} on {who.host}"
        assert e.value.hint == "mt lock show"


def test_a_killed_holder_holds_nothing_and_its_hint_does_not_count(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    with Other(HOLD, Path(path)) as other:
        other.end()
        assert read_holder(path) is not None
        assert holder(path) is None
        with held(path, wait=False):
            assert (read_holder(path) or other).pid == os.getpid()  # type: ignore[union-attr]
    assert read_holder(path) is None


def test_who_waits_gets_the_lock_when_its_holder_dies(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    with Other(HOLD, Path(path)) as other:
        other.end(signal.SIGTERM)
        with held(path, wait=30.0):
            assert is_held(path)
    assert not is_held(path)


def test_waiting_has_an_end(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    with Other(HOLD, Path(path)), pytest.raises(BusyError), held(path, wait=0.05):
        pass


def test_a_lock_of_this_process_counts_as_held(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    assert not is_held(path)
    with held(path):
        assert is_held(path)
        assert (holder(path) or pytest.fail("nobody")).pid == os.getpid()


def test_who_only_looks_does_not_make_a_lock_busy(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    with held(path):
        pass
    code = (
        "import sys\nfrom mt.locks.filelock import is_held\nprint('held', flush=True)\nwhile True: is_held(sys.argv[1])"
    )
    with Other(code, Path(path)):
        for _ in range(300):
            with held(path, wait=False):
                pass


def test_a_hint_that_cannot_be_read_is_no_hint(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    (tmp_path / "x.lock.holder").write_text('{"pid": [')
    assert read_holder(str(path)) is None
    (tmp_path / "x.lock.holder").write_text('["pid"]')
    assert read_holder(str(path)) is None
    with Other(HOLD, path):
        (tmp_path / "x.lock.holder").write_text("")
        with pytest.raises(BusyError, match="held by another process"), held(str(path), wait=False):
            pass


def test_a_lock_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot lock"), held(str(tmp_path / "file" / "x.lock"), wait=False):
        pass


def test_a_writer_lives_as_long_as_the_kernel_says(tmp_path: Path) -> None:
    path = str(tmp_path / "w.ndjson")
    assert not is_alive(path)
    with Other(ALIVE, Path(path)) as other:
        assert is_alive(path)
        assert take_dead(path) is None
        other.end()
        assert not is_alive(path)


def test_a_dead_journal_that_was_taken_is_made_anew_for_its_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "w.ndjson"
    path.write_text("old\n")
    fd = take_dead(str(path))
    assert fd is not None
    child = subprocess.Popen(
        [sys.executable, "-c", ALIVE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    path.unlink()
    os.close(fd)
    try:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        assert path.read_text() == ""
        assert is_alive(str(path))
    finally:
        child.communicate(timeout=60)


def test_a_program_that_is_run_does_not_inherit_the_sign_of_life(tmp_path: Path) -> None:
    path = str(tmp_path / "w.ndjson")
    fd = keep_alive(path)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
        os.close(fd)
        assert not is_alive(path)
        cat.communicate()


BEATS = """
import itertools, os, sys
for n in itertools.count():
    os.utime(sys.argv[1], ns=(n, n))
"""


def test_who_touches_his_file_is_seen_to_live_whatever_the_times_say(tmp_path: Path) -> None:
    """Spec/architecture.md 4.1: no decision compares clocks of two machines; these times are of 1970."""
    path, quiet = tmp_path / "beats", tmp_path / "quiet"
    path.touch()
    quiet.touch()
    with subprocess.Popen([sys.executable, "-c", BEATS, str(path)]) as other:
        assert living([str(path), str(quiet), str(tmp_path / "gone")], 2.0) == {str(path)}
        other.kill()


def test_a_quiet_file_is_given_the_time_that_the_observer_grants(tmp_path: Path) -> None:
    path = tmp_path / "quiet"
    path.touch()
    watched = Watched(str(path))
    assert watched.alive(60.0) and not watched.alive(0.0) and not watched.changed
    path.write_text("x")
    assert watched.alive(0.5) and watched.changed
    path.unlink()
    assert not watched.alive(60.0)


def test_a_lock_where_there_are_no_locks_is_a_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    path = str(tmp_path / "x.lock")
    monkeypatch.setattr(fcntl, "flock", none)
    with held(path, what="a test") as lock:
        assert is_held(path) and not lock.lost()
        assert sorted(os.listdir(tmp_path / "x.lease")) == ["1"]
        with pytest.raises(BusyError), held(path, wait=False):
            pass
    assert not is_held(path)
    os.close(keep_alive(str(tmp_path / "journal")))
