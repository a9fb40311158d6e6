"""Writers, folders, controllers and workers are killed and stopped at random; then `mayhem.proof` looks for wrongs.

MT_CHAOS_SEED repeats the faults of a storm.  `make chaos` lasts MT_CHAOS_MINUTES.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mayhem.hosts import Lab
from mayhem.proof import Report, prove
from mayhem.storm import Place, Storm, Weather, prepare
from testarea import Area

Judge = Callable[[Report], None]
ON_HOSTS = ("kill", "kill", "team", "stop", "crash", "pause")


def on_one_machine(area: Area, evidence: Path, weather: Weather) -> Report:
    prepare(area, evidence, weather.cases)
    storm = Storm(area.env, evidence, weather, [Place(os.uname().nodename, (), area.home)])
    return storm.play(lambda: prove(area.home, evidence))


def on_hosts(area: Area, evidence: Path, weather: Weather, lab: Lab, keep: Path) -> Report:
    prepare(area, evidence, weather.cases)
    lab.up("h1", "h2", "h3", keep=[keep])
    places = [Place(name, tuple(lab.on(name)), area.home) for name in lab.names]
    storm = Storm(area.env, evidence, weather._replace(faults=ON_HOSTS), places, lab, [keep])
    return storm.play(lambda: prove(area.home, evidence))


def test_nothing_is_lost_on_one_machine(area: Area, evidence: Path, seed: int, judge: Judge) -> None:
    judge(on_one_machine(area, evidence, Weather(seed, 3, cases=8)))


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_nothing_is_lost_on_one_machine_for_minutes(
    area: Area, evidence: Path, seed: int, judge: Judge, minutes: float
) -> None:
    judge(on_one_machine(area, evidence, Weather(seed, 60 * minutes, cases=200, writers=3)))


def test_nothing_is_lost_on_three_hosts(
    area: Area, evidence: Path, seed: int, judge: Judge, lab: Lab, tmp_path: Path
) -> None:
    judge(on_hosts(area, evidence, Weather(seed, 3, cases=8), lab, tmp_path))


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_nothing_is_lost_on_three_hosts_for_minutes(
    area: Area, evidence: Path, seed: int, judge: Judge, lab: Lab, tmp_path: Path, minutes: float
) -> None:
    judge(on_hosts(area, evidence, Weather(seed, 60 * minutes, cases=200, writers=6), lab, tmp_path))
