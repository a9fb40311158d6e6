"""What the storms share: their seed, how long they last, where the evidence is kept, and the figures at the end."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mayhem.hosts import Lab, missing
from mayhem.proof import Report
from testarea import Area

#: where the evidence of a storm that went wrong is kept
KEPT = Path(__file__).resolve().parents[3] / "build" / "chaos"


@pytest.fixture
def seed() -> int:
    """MT_CHAOS_SEED, or a new one."""
    return int(os.environ.get("MT_CHAOS_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture
def minutes() -> float:
    """How long `make chaos` lasts: MT_CHAOS_MINUTES, for each of its storms."""
    return float(os.environ.get("MT_CHAOS_MINUTES") or 10)


@pytest.fixture
def evidence(tmp_path: Path, seed: int) -> Path:
    """Where the storm keeps what the actors said."""
    path = tmp_path / "evidence"
    print(f"\nMT_CHAOS_SEED={seed}; traces and what the actors said: {path}", flush=True)
    return path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Room for simulated hosts."""
    why = missing()
    if why:
        pytest.skip(why)
    with Lab(tmp_path / "lab") as lab:
        yield lab


def keep(evidence: Path, area: Area, seed: int) -> Path:
    """Put what was found where no later run of the tests removes it."""
    place = KEPT / f"{seed}-{os.getpid()}"
    shutil.copytree(evidence, place / "evidence", dirs_exist_ok=True)
    if (area.home / ".mtdb").exists():
        shutil.copytree(area.home / ".mtdb", place / "area" / ".mtdb", dirs_exist_ok=True)
    (place / "area").mkdir(exist_ok=True)
    for name in ("megatest.config", "runconfigs.config", "step", "tests"):
        copy = shutil.copytree if (area.home / name).is_dir() else shutil.copyfile
        copy(area.home / name, place / "area" / name)
    return place


@pytest.fixture
def judge(evidence: Path, area: Area, seed: int) -> Callable[[Report], None]:
    """Print the figures, and insist that nothing is wrong."""

    def judge(report: Report) -> None:
        print(report, flush=True)
        assert not report.wrongs, f"{report}\nseed {seed}; all of it is kept in {keep(evidence, area, seed)}"
        assert report.figures["faults"] > 3, "hardly anything was hit"
        assert report.figures["events acknowledged"] > 100, "hardly anything was written"
        assert report.figures["finished"] > 10, "hardly anything was run"

    return judge
