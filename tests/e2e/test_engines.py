"""`mt run` on the fakes of LSF, OpenPBS, Torque, Grid Engine and HTCondor: as here, whatever the engine does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakebatch import FakeEngine
from onfakes import FAKES, OnFake
from testarea import Area

Make = Callable[[str, Path], FakeEngine]
On = Callable[[str], OnFake]


@pytest.fixture
def on(area: Area, fake_engine: Make, tmp_path: Path) -> On:
    """An area on the fake of an engine of mt: `on("pbs")`."""
    return lambda engine: OnFake(area, fake_engine(FAKES[engine], tmp_path), engine)


# -- the same as here


@pytest.mark.parametrize("engine", FAKES)
def test_every_way_comes_to_what_a_run_here_comes_to(on: On, engine: str) -> None:
    far = on(engine)
    far.cases("base")
    far.cases("spread", "a b c", waiton="base")
    far.cases("bad", "x y", waiton="base", do='[ "$N" = x ]')
    far.cases("never", waiton="bad")
    queue = "" if engine == "htcondor" else "queue short\n"
    far.cases("asks", waiton="spread", more=f"[requirements]\ncores 2\nmemory 100M\ntime 5m\n{queue}")
    assert far.run(launcher="local", run="here").status == 1
    want, noted = far.outcome("here"), far.noted()
    assert {status for _, status in want.values()} >= {"PASS", "FAIL"}, want
    for way in ("job", "array", "pilot", "auto"):
        far.notes.write_text("")
        done = far.run(launcher=far.by(way), run=way)
        assert (done.status, far.outcome(way)) == (1, want), (way, done)
        assert far.noted() == noted, way
        ran = [row for row in far.rows(way) if row["test"] != "never"]
        assert all(str(r["job"]).startswith(f"{engine}:") and r["host"] and r["queued"] >= 0 for r in ran), ran
        single = {row["job"] for row in ran}
        assert len(single) == len(ran) if way == "job" else len(single) <= len(ran), (way, single)
    asked = [row.spec for row in far.fake.jobs() if row.queue == "short"]
    assert asked or engine == "htcondor"
    far.area.ok("db", "check")
    far.at_rest()
