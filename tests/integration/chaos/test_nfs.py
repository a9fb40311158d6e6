"""An area on a real NFS 4.2, written from two kernels: the mode that is chosen there, and nothing is lost.

The machines are user-mode Linux guests (mayhem/guests.py).  Each has its own storm: writers, folders, controllers of
the same runs, and kills.  What the actors said is kept by each guest and put together for the proof, which looks
through a mount that was made anew.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mayhem import actors, proof, storm
from mayhem.guests import CLIENTS, POINT, Guests, missing
from mayhem.hosts import Lab
from mayhem.proof import Report, Wrong
from mayhem.storm import BIN, LEASE, STEP
from testarea import Area

Judge = Callable[[Report], None]
AREA = POINT / "area"
TESTS = Path(proof.__file__).parents[1]


@pytest.fixture
def guests(lab: Lab, tmp_path: Path) -> Iterator[Guests]:
    why = missing()
    if why:
        pytest.skip(why)
    with Guests(lab, tmp_path / "guests", [tmp_path]) as guests:
        yield guests


def done(guests: Guests, name: str, *words: str, timeout: float = 300) -> str:
    """What a command says on a guest; it must succeed."""
    env = ["env", "-C", "/", f"PYTHONPATH={TESTS}"]
    found = guests.run(name, *env, *words, timeout=timeout)
    assert found.returncode == 0, f"{words} on {name}: {found.returncode}\n{found.stdout}{found.stderr}"
    return found.stdout


def python(file: str | None) -> list[str]:
    """The words that run a module of ours on a guest."""
    return [sys.executable, str(file)]


def gather(guests: Guests, evidence: Path) -> None:
    """Put together what the guests kept, under names that tell whose it is; their clocks differ by tens of ms."""
    (evidence / "marks").mkdir(parents=True)
    for name in CLIENTS:
        kept = guests.home / f"said-{name}"
        done(guests, name, "cp", "-r", "/run/said", str(kept))
        for file in kept.iterdir():
            if file.is_file():
                shutil.copyfile(file, evidence / f"{name}-{file.name}")
        for mark in (kept / "marks").iterdir():
            shutil.copyfile(mark, evidence / "marks" / mark.name)
    (evidence / "slack").write_text("0.5")
    for log in evidence.glob("*-faults.*"):
        log.rename(evidence / log.name.partition("-")[2])


def stormy(guests: Guests, area: Area, evidence: Path, seed: int, seconds: float) -> Report:
    cases = 6
    area({"step": STEP}).test("t", "$MT_RUN_AREA_HOME/step", items={"N": " ".join(map(str, range(cases)))})
    done(guests, "a", "cp", "-r", str(area.home), str(AREA))
    done(guests, "a", *python(actors.__file__), "begin", str(AREA), str(LEASE))
    for name in CLIENTS:
        rows = done(guests, name, str(BIN / "mt"), "doctor", "--fs", "-C", str(AREA), "-f", "ndjson").splitlines()
        said = {row["check"]: row["detail"] for row in map(json.loads, rows)}
        assert said["file system"].startswith("nfs4 "), said
        assert said["mode in force"].startswith("direct-nfs"), said
    storms = {name: start(guests, name, seed + n, seconds, cases) for n, name in enumerate(CLIENTS)}
    odd = []
    for name, process in storms.items():
        said, wrong = process.communicate(timeout=seconds + 900)
        assert process.returncode == 0, f"storm on {name}: {said}{wrong}"
        odd += [Wrong(*words) for words in json.loads(said.splitlines()[-1])]
    gather(guests, evidence)
    done(guests, "a", "cp", "-r", str(AREA / ".mtdb"), str(area.home / ".mtdb"))  # for who looks at what went wrong
    done(guests, "a", "bash", "-c", f"umount {POINT} && mount -t nfs4 -o vers=4.2 10.78.0.1:/ {POINT}")
    found = guests.run(
        "a",
        "env",
        "-C",
        "/",
        f"PYTHONPATH={TESTS}",
        *python(proof.__file__),
        str(AREA),
        str(evidence),
        "json",
        timeout=1800,
    )
    assert found.stdout, found.stderr
    figures, wrongs = json.loads(found.stdout)
    return Report(figures, [*odd, *(Wrong(*wrong) for wrong in wrongs)])


def start(guests: Guests, name: str, seed: int, seconds: float, cases: int) -> subprocess.Popen[str]:
    """A storm on one guest."""
    words = [*python(storm.__file__), str(AREA), "/run/said", str(seed), str(seconds), str(cases)]
    line = " ".join(["env", "-C", "/", f"PYTHONPATH={TESTS}", *words])
    command = [*guests.on(name), line]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_nothing_is_lost_on_nfs_between_two_machines(
    guests: Guests, area: Area, evidence: Path, seed: int, judge: Judge, minutes: float
) -> None:
    judge(stormy(guests, area, evidence, seed, min(60 * minutes, 120)))
