"""Places that several runs share (spec/runs.md 4.4: the limits count what runs in all runs of the area)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mt.errors import StoreError
from mt.locks.places import Places
from mt.pipeline.limits import Limits, Shared


def test_no_more_places_are_held_than_there_are(tmp_path: Path) -> None:
    one, two = (Places(str(tmp_path / "p"), "jobs", 3) for _ in range(2))
    assert [one.take(), two.take(), one.take(), two.take()] == [True, True, True, False]
    one.give(1)
    assert (two.take(), one.take()) == (True, False)
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
    code = (
        "import sys, os\nfrom mt.locks.places import Places\np = Places(sys.argv[1], 'jobs', 1)\n"
        "print(p.take(), flush=True)\nsys.stdin.read()\nos._exit(1)"
    )
    mine = Places(str(tmp_path), "jobs", 1)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
    assert one.take()
    copy = os.dup(next(iter(one.held)))
    one.close()
    assert not two.take()
    os.close(copy)
    assert two.take()
    two.close()


def test_places_that_cannot_be_made_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot use"):
        Places(str(tmp_path / "file"), "jobs", 1).take()


def test_two_runs_share_what_the_area_allows(tmp_path: Path) -> None:
    a, b = (Limits(9, {"g": 1}, shared=Shared(str(tmp_path), 2, {"g": 1})) for _ in range(2))
    assert not a.room() and not a.group_full("g")
    a.start("g")
    assert not b.room() and b.group_full("g")
    b.start("")
    assert a.room().startswith("other runs of this area") and b.room()
    a.end("g")
    assert not b.room() and not b.group_full("g")
    a.close()
    b.close()


def test_places_that_are_not_used_are_given_back(tmp_path: Path) -> None:
    a, b = (Limits(9, shared=Shared(str(tmp_path), 2)) for _ in range(2))
    for _ in range(2):
        assert not a.room()
        a.start("")
    assert b.room()
    a.end("")
    assert not b.room()
    b.start("")
    assert a.room()
    a.close()
    b.close()


def test_a_run_within_a_test_of_its_area_can_always_go_on(tmp_path: Path) -> None:
    outer = Limits(9, shared=Shared(str(tmp_path), 1))
    inner = Limits(9, shared=Shared(str(tmp_path), 1, nested=True))
    assert not outer.room()
    outer.start("")
    assert not inner.room()
    inner.start("")
    assert inner.room()
    inner.close()
    outer.close()
