"""The disk of the area is full now and then, while everything is killed at random: what was acknowledged is there.

The area is on a small tmpfs of its own; a ballast file fills it up and is taken away again.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mayhem.proof import Report, prove
from mayhem.storm import Place, Storm, Weather, prepare
from testarea import CONFIG, Area

Judge = Callable[[Report], None]


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Area]:
    """An area on a file system of 48 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "small", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        area = Area(place / "area")
        area({"megatest.config": CONFIG.replace("[setup]", "[setup]\nminspace 10\ndbdir-space-required 10")})
        yield area
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(file: Path) -> None:
    """Write until nothing more can be written."""
    with open(file, "ab", buffering=0) as f:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while f.write(bytes(size)):
                    pass
            except OSError as e:
                assert e.errno == errno.ENOSPC


def stormy(area: Area, evidence: Path, weather: Weather) -> Report:
    prepare(area, evidence, weather.cases)
    ballast = area.home.parent / "ballast"
    storm = Storm(area.env, evidence, weather, [Place(os.uname().nodename, (), area.home)])

    def full() -> None:
        storm.note("full")
        fill(ballast)
        storm.at(0.2 + storm.draw.random() / 2, lambda: ballast.unlink(missing_ok=True))

    storm.blows["full"] = full
    storm.allowed |= {1, 3, 50}  # no space for a run directory is said, not suffered
    return storm.play(lambda: prove(area.home, evidence))


def test_nothing_is_lost_on_a_disk_that_is_full_now_and_then(
    area: Area, evidence: Path, seed: int, judge: Judge
) -> None:
    judge(stormy(area, evidence, Weather(seed, 2, cases=6, faults=("full", "kill", "full", "team"))))


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_nothing_is_lost_on_a_disk_that_is_full_for_minutes(
    area: Area, evidence: Path, seed: int, judge: Judge, minutes: float
) -> None:
    weather = Weather(seed, min(60 * minutes, 120), cases=30, faults=("full", "kill", "full", "team", "stop"))
    judge(stormy(area, evidence, weather))
