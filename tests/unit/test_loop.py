"""The run loop alone: when it looks at what runs elsewhere, what it adopts, what it tries again."""

from __future__ import annotations

import time

from fakes.driving import Drive
from fakes.specs import spec


def numbers(n: int) -> str:
    return " ".join(map(str, range(n)))


# -- looking around


def test_words_of_workers_do_not_make_it_look_at_what_waits_far_away() -> None:
    drive = Drive(spec("here", items=numbers(600)), spec("far", items=numbers(50)), far="far")
    began, left = time.monotonic(), 600
    for beat in drive.beats():
        left -= len(beat.ran)
        if not left:
            break
    took = time.monotonic() - began
    assert len(drive.elsewhere.looks) <= 1 + took / 0.1
    assert len(drive.elsewhere.orders) == 50


def test_it_looks_often_enough_while_workers_never_fall_silent() -> None:
    drive = Drive(spec("here", items=numbers(20_000)), spec("far"), far="far")
    began, left = 0.0, 20_000
    for beat in drive.beats():
        left -= sum(row.test == "here" for row in beat.ran)
        if any(row.test == "far" for row in beat.ran):
            break
        if not began and drive.elsewhere.orders:
            began = time.monotonic()
            drive.elsewhere.end("far")
    assert 0 < time.monotonic() - began < 1 and left > 0


def test_the_end_of_what_runs_elsewhere_is_heard_soon_when_nothing_else_happens() -> None:
    drive = Drive(spec("far"), spec("next", "far"), far="far")
    beats, began = drive.beats(), time.monotonic()
    next(beats)
    drive.elsewhere.end("far")
    assert [row.test for beat in beats for row in beat.ran] == ["far", "next"]
    assert time.monotonic() - began < 0.45
