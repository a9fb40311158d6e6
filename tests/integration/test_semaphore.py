"""Semaphores between real processes: never too many holders, none lost, whoever is killed (spec/features.md B19)."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from mt.errors import BusyError, NotPermitted, StoreError, UsageError
from mt.locks import owners, semaphore, tokens
from mt.locks.owners import Owner, myself
from mt.locks.semaphore import Semaphore, all_rows
from mt.locks.teamfiles import directory_of, name_of

HOLD = """
import sys
from mt.locks.semaphore import Semaphore
held = Semaphore(sys.argv[1], "s", int(sys.argv[2]), locking=sys.argv[3] == "locks").wait()
print(held.numbers, flush=True)
sys.stdin.read()
held.give()
"""

#: each round: take a token, make sure by exclusive files that nobody else has it and count the holders
CROWD = """
import os, sys
from mt.locks.semaphore import Semaphore
where, rounds, locking = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "locks"
semaphore = Semaphore(where, "s", 3, locking=locking)
for _ in range(rounds):
    with semaphore.wait(int(sys.argv[4])) as held:
        for number in held.numbers:
            os.close(os.open(os.path.join(where, f"in.{number}"), os.O_CREAT | os.O_EXCL))
        if len([n for n in os.listdir(where) if n.startswith("in.")]) > 3:
            sys.exit(7)
        for number in held.numbers:
            os.unlink(os.path.join(where, f"in.{number}"))
"""


#: somebody else, who may look and not write
STRANGER = """
import os, pwd, sys, hashlib, json, urllib.parse
from mt.errors import NotPermitted
from mt.locks.semaphore import Semaphore
open(os.devnull, encoding="ascii").close()  # what is imported late cannot be found by the other user
os.setgid(65534)
os.setuid(65534)
semaphore = Semaphore(sys.argv[1], "s", 1)
assert semaphore.rows() == []
try:
    semaphore.take()
except NotPermitted as e:
    print(*e.lines(), sep="; ")
"""


@contextmanager
def another(where: Path, size: int = 1, locks: str = "locks") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a token until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(where), str(size), locks]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert _of(process.stdout).readline().startswith("[")
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def _of(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("locks", ["locks", "none"])
@pytest.mark.parametrize("count", ["1", "2"])
def test_twenty_processes_never_hold_more_tokens_than_there_are(tmp_path: Path, locks: str, count: str) -> None:
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, str(tmp_path), "3", locks, count], stderr=subprocess.PIPE)
        for _ in range(20)
    ]
    said = [process.communicate()[1].decode() for process in crowd]
    assert [(process.returncode, text) for process, text in zip(crowd, said, strict=True)] == [(0, "")] * 20
    assert Semaphore(str(tmp_path), "s", 3).rows() == []


def test_several_tokens_are_had_all_at_once_or_not_at_all(tmp_path: Path) -> None:
    one, two = (Semaphore(str(tmp_path), "s", 3) for _ in range(2))
    with another(tmp_path, 3):
        assert one.take(3) is None
        held = two.take(2)
        assert held is not None and held.numbers == [2, 3]
        assert one.take() is None
        held.give()
        held.give()
    with one.wait(3, patience=10) as all_of_them:
        assert all_of_them.numbers == [1, 2, 3]
    with pytest.raises(UsageError, match="has 3 tokens, not 4"):
        one.take(4)
    with pytest.raises(UsageError, match="at least one"):
        Semaphore(str(tmp_path), "s", 0)
    with pytest.raises(UsageError, match="needs a name"):
        Semaphore(str(tmp_path), "", 1)


@pytest.mark.parametrize("locks", ["locks", "none"])
def test_a_killed_holder_is_freed_at_once_on_its_host(tmp_path: Path, locks: str) -> None:
    mine = Semaphore(str(tmp_path), "s", 1, locking=locks == "locks")
    with another(tmp_path, 1, locks) as process:
        assert mine.take() is None
        process.kill()
        process.wait()
        held = mine.take()
        assert held is not None
        held.give()


@pytest.mark.parametrize("locks", ["locks", "none"])
def test_a_stopped_holder_keeps_its_token(tmp_path: Path, locks: str) -> None:
    hand = Hand()
    mine = Semaphore(str(tmp_path), "s", 1, locking=locks == "locks", clock=hand)
    with another(tmp_path, 1, locks) as process:
        process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            assert mine.take() is None
            hand.now += 10 * owners.LEASE
        with pytest.raises(BusyError, match=rf"'s' is free: held by .*pid {process.pid} on"):
            mine.wait(patience=0)


def test_a_wait_ends_when_its_time_is_over_or_a_token_is_given_back(tmp_path: Path) -> None:
    mine = Semaphore(str(tmp_path), "s", 1)
    told: list[str] = []
    with another(tmp_path) as process:
        with pytest.raises(BusyError, match="no token"):
            mine.wait(patience=0.05, waits=lambda: told.append("waits"))
        assert told == ["waits"]

        def let_go() -> None:
            told.append("let go")
            _of(process.stdin).close()

        with mine.wait(patience=60, waits=let_go) as held:
            assert held.numbers == [1]
    assert told == ["waits", "let go"]


# -- holders of whom nothing can be proven: other hosts


def far_away(directory: Path, number: int = 1, lease: float = 5.0, generation: int = 1) -> Path:
    """A record as a process of another host leaves it, whose lock we do not see."""
    home = Path(directory_of(str(directory), "s"))
    home.mkdir(exist_ok=True)
    path = home / f"{number}.{generation}"
    owner = Owner(4711, "12ab", "another boot", "pid:[1]", "n12", "ann", "simulate", 1.7e9, lease)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    owners.write_owner(fd, owner)
    os.close(fd)
    return path


def test_a_holder_out_of_reach_is_freed_after_its_lease_without_a_sign_of_life(tmp_path: Path) -> None:
    record, hand = far_away(tmp_path), Hand()
    mine = Semaphore(str(tmp_path), "s", 1, clock=hand)
    assert mine.take() is None
    hand.now += 4.9
    assert mine.take() is None
    os.utime(record, ns=(1, 1))  # a sign of life, by whatever clock
    hand.now += 4.9
    assert mine.take() is None
    hand.now += 4.9
    assert mine.take() is None
    hand.now += 0.2
    held = mine.take()
    assert held is not None and not record.exists()
    held.give()


def test_a_holder_out_of_reach_is_named_and_nobody_says_whether_it_lives(tmp_path: Path) -> None:
    far_away(tmp_path)
    (row,) = Semaphore(str(tmp_path), "s", 1).rows()
    assert (row.name, row.token, row.owner.user, row.owner.host, row.alive) == ("s", 1, "ann", "n12", False)
    with pytest.raises(BusyError, match="held by ann, pid 4711 on n12"):
        Semaphore(str(tmp_path), "s", 1).wait(patience=0)


def test_who_was_taken_for_dead_is_told_and_spoils_nothing(tmp_path: Path) -> None:
    hand = Hand()
    late = Semaphore(str(tmp_path), "s", 1, locking=False, lease=5.0)
    lost = late.take()
    assert lost is not None and lost.beat() == []
    lost.tokens[0].say(lost.owner._replace(boot="another boot"))
    mine = Semaphore(str(tmp_path), "s", 1, locking=False, clock=hand)
    assert mine.take() is None
    hand.now += 6
    held = mine.take()
    assert held is not None
    assert lost.beat() == [1]
    lost.give()
    assert [row.owner.pid for row in mine.rows()] == [os.getpid()]
    assert Semaphore(str(tmp_path), "s", 1, locking=False).take() is None
    held.give()
    assert mine.rows() == []


def test_who_comes_late_with_an_old_generation_withdraws(tmp_path: Path) -> None:
    record = far_away(tmp_path, generation=9)
    home = str(record.parent)
    late = tokens.take(home, 1, [], myself("late"), tokens.Watch(), locking=False)
    assert late is None
    assert [p.name for p in record.parent.iterdir()] == ["1.9"]


def test_a_token_whose_record_is_being_made_is_not_free(tmp_path: Path) -> None:
    record = far_away(tmp_path)
    record.write_bytes(b"")
    assert Semaphore(str(tmp_path), "s", 1).take() is None
    record.write_bytes(b'{"pid": [')
    assert Semaphore(str(tmp_path), "s", 1).take() is None
    record.write_bytes(b"free\n")
    with Semaphore(str(tmp_path), "s", 1).wait(patience=0) as held:
        assert held.numbers == [1]


def test_a_record_counts_while_the_command_under_it_lives(tmp_path: Path) -> None:
    """The locks may be gone (sudo closes what it inherits): then its pid and start still speak for the command."""
    record = far_away(tmp_path)
    me = myself("simulate")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine = me._replace(pid=child.pid, start="0", child=child.pid, child_start=owners.start_token(child.pid))
        fd = os.open(record, os.O_RDWR)
        owners.write_owner(fd, mine)
        os.close(fd)
        assert Semaphore(str(tmp_path), "s", 1).take() is None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
        with Semaphore(str(tmp_path), "s", 1).wait(patience=0) as held:
            assert held.numbers == [1]


# -- names and rights


@pytest.mark.parametrize(
    "name", ["two words", "a/b", "../up", "..", "ünïcode ☃", ".hidden", "x" * 300, "a%2Fb", "line\nend"]
)
def test_every_name_has_files_of_its_own_within_the_directory(tmp_path: Path, name: str) -> None:
    where = tmp_path / "semaphores"
    with Semaphore(str(where), name, 1).wait(patience=0):
        assert Semaphore(str(where), name, 1).take() is None
        assert len(list(where.iterdir())) == 1 and [p.name for p in tmp_path.iterdir()] == ["semaphores"]
        (row,) = all_rows(str(where))
        assert row.name == name or len(name) > 200
    assert len({directory_of("d", n) for n in (name, "a/b", "a%2Fb", "a b", "x" * 299)}) >= 4


def test_the_name_of_a_semaphore_can_be_read_from_its_directory() -> None:
    assert name_of(directory_of("/d", "lic/v 1 ü")) == "lic/v 1 ü"


def test_files_are_open_to_the_group_of_a_team_directory(tmp_path: Path) -> None:
    team, own = tmp_path / "team", tmp_path / "own"
    team.mkdir()
    own.mkdir()
    team.chmod(0o2775)
    own.chmod(0o755)
    code = (
        "import os, sys\nos.umask(0o022)\nfrom mt.locks.semaphore import Semaphore\n"
        "assert Semaphore(sys.argv[1], 's', 1).take()"
    )
    for where in (team, own):
        subprocess.run([sys.executable, "-c", code, str(where)], check=True)
        made = [where / "s.sem", *(where / "s.sem").iterdir()]
        assert len(made) == 4
        may = {bool(path.stat().st_mode & stat.S_IWGRP) for path in made}
        assert may == {where == team}
        assert not any(path.stat().st_mode & stat.S_IWOTH for path in made)


def test_where_nothing_can_be_written_there_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot use semaphore 's' in '.*file': not a directory"):
        Semaphore(str(tmp_path / "file"), "s", 1).take()


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
def test_a_directory_that_may_not_be_written_says_who_could_help() -> None:
    with tempfile.TemporaryDirectory() as where:
        os.chmod(where, 0o755)
        Semaphore(where, "s", 1).wait(patience=0).give()
        done = subprocess.run([sys.executable, "-c", STRANGER, where], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "cannot use semaphore 's' in" in done.stdout and "permission denied; hint: a team" in done.stdout
    assert NotPermitted.status == 9


def test_pauses_between_attempts_grow_to_a_second_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand, naps = Hand(), list[float]()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        hand.now += seconds

    monkeypatch.setattr(semaphore.time, "sleep", nap)
    monkeypatch.setattr(semaphore.random, "uniform", lambda low, high: high)
    far_away(tmp_path, lease=1e9)
    with pytest.raises(BusyError):
        Semaphore(str(tmp_path), "s", 1, clock=hand).wait(patience=60)
    assert naps[0] == 0.01 and max(naps) == 1.0 and sum(naps) == pytest.approx(60)
    assert naps[:-1] == sorted(naps[:-1]) and len(naps) < 90
