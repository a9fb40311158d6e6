"""Areas on real network file systems between simulated hosts: the mode that is chosen there, and nothing is lost.

Two hosts mount what a third serves; both write, fold and drive the same runs, and are killed at it.  The proof looks
through a fresh mount, so that no cache tells it what is no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mayhem import proof
from mayhem.hosts import Lab
from mayhem.mounts import CLIENTS, KINDS, Share, lacking
from mayhem.proof import Report, Wrong, check_orphans
from mayhem.storm import BIN, Place, Storm, Weather, prepare
from testarea import Area

Judge = Callable[[Report], None]
#: what the mounts call themselves; all of them are FUSE, which mt trusts with nothing by itself
TYPES = {"sshfs": "fuse.sshfs", "glusterfs": "fuse.glusterfs", "moosefs": "fuse"}
FITS = "single-writer"
#: the storage mode in force: MooseFS has locks that hold, so its area asks for more
MODES = {"sshfs": FITS, "glusterfs": FITS, "moosefs": "direct-nfs"}


@pytest.fixture(params=KINDS)
def share(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> Iterator[Share]:
    kind = KINDS[request.param]
    why = lacking(kind)
    if why:
        pytest.skip(why)
    lab.up("s", *CLIENTS, keep=[tmp_path])
    with Share(kind, lab, tmp_path / "share") as share:
        yield share


@pytest.fixture
def area(share: Share) -> Area:
    """The area on the share, as the machine itself reaches it."""
    area = Area(share.seen_from_outside("a") / "area")
    area.env["HOME"] = "/tmp"
    if MODES[share.kind.name] != FITS:
        area({"megatest.config": area.read("megatest.config") + f"\n[db]\nmode {MODES[share.kind.name]}\n"})
    return area


@pytest.fixture
def places(share: Share) -> list[Place]:
    """The same area on both hosts."""
    return [Place(name, tuple(share.lab.on(name)), share.point / "area") for name in CLIENTS]


def answered(place: Place, *words: str, env: dict[str, str]) -> str:
    """What mt says at a place."""
    command = [*place.before, "env", "-C", str(place.area), str(BIN / "mt"), *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=100).stdout


def proved(share: Share, area: Area, evidence: Path, place: Place) -> Report:
    """The proof, made on a host through a fresh mount; processes are looked for on the machine."""
    orphans = check_orphans(place.area)
    share.fresh(place.host)
    words = [*place.before, sys.executable, proof.__file__, str(place.area), str(evidence), "json"]
    env = area.env | {"PYTHONPATH": str(Path(proof.__file__).parents[1])}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=900)
    assert done.stdout, done.stderr
    figures, wrongs = json.loads(done.stdout)
    return Report(figures, [*orphans, *(Wrong(*wrong) for wrong in wrongs)])


def stormy(share: Share, area: Area, evidence: Path, places: list[Place], weather: Weather) -> Report:
    kind = share.kind.name
    prepare(area, evidence, weather.cases, places[0])
    for place in places:
        rows = map(json.loads, answered(place, "doctor", "--fs", "-f", "ndjson", env=area.env).splitlines())
        said = {row["check"]: (row["result"], row["detail"]) for row in rows}
        assert said["mode that fits"][1].startswith(FITS), said
        assert said["mode in force"][0] == "ok" and said["mode in force"][1].startswith(MODES[kind]), said
        assert TYPES[kind] in said["file system"][1], said
    assert json.loads(area.read(".mtdb/AREA"))["mode"] == MODES[kind]
    storm = Storm(area.env, evidence, weather, places, share.lab)
    return storm.play(lambda: proved(share, area, evidence, places[0]))


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_nothing_is_lost_on_a_network_disk(
    share: Share, area: Area, evidence: Path, places: list[Place], seed: int, judge: Judge, minutes: float
) -> None:
    seconds = min(60 * minutes, 60)
    weather = Weather(seed, seconds, cases=10, lines=1, pace=0.6, faults=("kill", "kill", "team", "stop", "pause"))
    judge(stormy(share, area, evidence, places, weather))
