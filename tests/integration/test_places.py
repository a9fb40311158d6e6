"""Places that several runs share (spec/runs.md 4.4: the limits count what runs in all runs of the area)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mt.errors import StoreError
from mt.locks.places import Place, Places
from mt.locks.semaphore import Semaphore
from mt.pipeline.limits import Limits
from mt.pipeline.sharing import ASIDE, TURN, Shared

HOLD = """
import os, sys
from mt.locks.places import Places
print(Places(sys.argv[1], "jobs", 1).take() is not None, flush=True)
sys.stdin.read()
os._exit(1)
"""


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def some(place: Place | None) -> Place:
    assert place is not None
    return place


def test_no_more_places_are_held_than_there_are(tmp_path: Path) -> None:
    one, two = (Places(str(tmp_path / "p"), "jobs", 3) for _ in range(2))
    first, other, last = some(one.take()), some(two.take()), some(one.take())
    assert (first.number, other.number, last.number) == (1, 2, 3) and two.take() is None
    one.give(first)
    assert some(two.take()).number == 1 and one.take() is None
    one.close()
    two.close()
    three = Places(str(tmp_path / "p"), "jobs", 1)
    assert three.take()
    three.close()


def test_names_have_places_of_their_own(tmp_path: Path) -> None:
    one, two = Places(str(tmp_path), "a/b", 1), Places(str(tmp_path), "a b", 1)
    assert one.take() and two.take()
    one.close()
    two.close()


def test_a_place_is_free_when_its_holder_dies(tmp_path: Path) -> None:
    mine = Places(str(tmp_path), "jobs", 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not mine.take()
        other.kill()
        other.wait()
        assert mine.take()
    mine.close()


def test_a_place_that_was_handed_on_stays_taken(tmp_path: Path) -> None:
    one, two = (Places(str(tmp_path), "jobs", 1) for _ in range(2))
    copy = os.dup(some(one.take()).fd)
    one.close()
    assert not two.take()
    os.close(copy)
    assert two.take()
    two.close()


def test_a_place_that_is_given_back_is_free_whoever_holds_a_copy(tmp_path: Path) -> None:
    one, two = (Places(str(tmp_path), "jobs", 1) for _ in range(2))
    place = some(one.take())
    copy = os.dup(place.fd)
    one.give(place)
    assert two.take()
    os.close(copy)
    one.close()
    two.close()


def test_places_that_cannot_be_made_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot use"):
        Places(str(tmp_path / "file"), "jobs", 1).take()


def test_places_are_the_tokens_of_a_semaphore(tmp_path: Path) -> None:
    places = Places(str(tmp_path), "group.licence", 2, "run a//b")
    semaphore = Semaphore(str(tmp_path), "group.licence", 2)
    place = some(places.take())
    (row,) = semaphore.rows()
    assert (row.token, row.owner.pid, row.owner.command, row.alive) == (1, os.getpid(), "run a//b", True)
    with semaphore.wait(patience=0) as held:
        assert held.numbers == [2] and places.take() is None
    places.give(place)
    assert semaphore.rows() == [] and semaphore.take(2) is not None
    places.close()


def test_two_runs_share_what_the_area_allows(tmp_path: Path) -> None:
    a, b = (Limits(9, {"g": 1}, shared=Shared(str(tmp_path), 2, {"g": 1})) for _ in range(2))
    assert not a.room() and not a.group_full("g")
    assert len(a.start("g", 0)) == 2
    assert not b.room() and b.group_full("g")
    assert len(b.start("", 0)) == 1
    assert a.room().startswith("other runs of this area") and b.room()
    a.end("g", 0)
    assert not b.room() and not b.group_full("g")
    a.close()
    b.close()


def test_places_that_are_not_used_are_given_back(tmp_path: Path) -> None:
    a, b = (Limits(9, {"g": 1}, shared=Shared(str(tmp_path), 2, {"g": 1})) for _ in range(2))
    for case in range(2):
        assert not a.room()
        a.start("", case)
    assert b.room()
    a.end("", 1)
    assert not b.room()
    b.start("", 0)
    assert a.room()
    b.end("", 0)
    assert not b.room() and not b.group_full("g")  # taken for a case that does not start after all
    assert a.room() and a.group_full("g")
    b.settle()
    assert not a.room() and not a.group_full("g")
    a.close()
    b.close()


def test_the_places_of_a_case_are_its_own(tmp_path: Path) -> None:
    """A case whose worker outlives the controller keeps its places, though other cases began and ended meanwhile."""
    a, b = (Limits(9, shared=Shared(str(tmp_path), 2)) for _ in range(2))
    kept = []
    for case in range(2):
        assert not a.room()
        kept = [os.dup(fd) for fd in a.start("", case)]  # as the worker of the last case has it
    a.end("", 0)
    a.close()  # the controller is gone
    assert not b.room()
    b.start("", 0)
    assert b.room()
    for fd in kept:
        os.close(fd)
    assert not b.room()
    b.close()


def test_a_run_within_a_test_of_its_area_can_always_go_on(tmp_path: Path) -> None:
    outer = Limits(9, shared=Shared(str(tmp_path), 1))
    inner = Limits(9, shared=Shared(str(tmp_path), 1, nested=True))
    assert not outer.room()
    outer.start("", 0)
    assert not inner.room()
    assert inner.start("", 0) == []
    assert inner.room()
    inner.end("", 0)
    assert not inner.room()
    inner.close()
    outer.close()


def test_who_goes_on_for_long_lets_one_in_who_waits(tmp_path: Path) -> None:
    hand = Hand()
    a, b = (Limits(9, shared=Shared(str(tmp_path), 1, clock=hand)) for _ in range(2))

    def one_more(limits: Limits) -> None:
        assert not limits.room()
        limits.start("", 0)
        limits.end("", 0)

    hand.now += 2 * TURN
    one_more(a)
    one_more(a)  # nobody waits
    assert not a.room()
    a.start("", 0)
    assert b.room()  # b waits from now on
    a.end("", 0)
    assert a.room()  # and its turn has come
    assert not b.room()
    b.start("", 0)
    hand.now += 2 * ASIDE
    assert a.room()  # now a waits
    b.end("", 0)
    one_more(b)  # whose own turn has only begun
    hand.now += TURN
    assert not b.room()
    b.start("", 0)
    b.end("", 0)
    assert b.room()
    hand.now += ASIDE
    assert not b.room()  # a did not come
    a.close()
    b.close()


def test_without_a_shared_limit_nothing_is_counted_on_the_disk(tmp_path: Path) -> None:
    limits = Limits(1, shared=Shared(str(tmp_path / "locks"), None))
    assert not limits.room() and limits.start("g", 0) == []
    limits.end("g", 0)
    limits.close()
    assert not (tmp_path / "locks").exists()


def test_what_runs_far_away_has_a_place_in_its_group_and_no_other(tmp_path: Path) -> None:
    """`max_concurrent_jobs` limits jobs there, and how many there are the fleet knows; groups count cases."""
    a, b = (Limits(9, {"g": 2}, shared=Shared(str(tmp_path), 1, {"g": 2})) for _ in range(2))
    assert not a.room() and not a.group_full("g")  # as when a local case came first, and did not start
    assert len(a.start("g", 0, far=True)) == 1
    a.settle()
    assert not b.room() and not b.group_full("g")
    b.start("g", 0)
    assert b.group_full("g") and a.group_full("g")
    a.end("g", 0, far=True)
    assert not b.group_full("g")
    a.close()
    b.close()


def test_what_is_adopted_has_its_place_again_unless_another_run_has_taken_it(tmp_path: Path) -> None:
    a, b = (Limits(9, {"g": 2}, shared=Shared(str(tmp_path), 2, {"g": 2})) for _ in range(2))
    assert a.take_up("g", 0) and a.take_up("", 1)
    assert not b.group_full("g")
    b.start("g", 0)
    assert b.group_full("g")
    a.end("g", 0, far=True)
    assert not b.group_full("g")
    b.start("g", 1)
    assert not a.take_up("g", 0)
    assert a.in_group == {"g": 1} and a.group_full("g")
    a.end("g", 0, far=True)
    b.end("g", 0)
    assert not a.group_full("g")
    a.close()
    b.close()
