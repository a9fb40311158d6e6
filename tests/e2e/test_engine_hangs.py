"""People who ask an engine that gives no answer are not kept waiting: limits hold, and an interrupt ends at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from testarea import Area


@pytest.fixture
def hanging(tmp_path: Path) -> dict[str, str]:
    """An environment in which Slurm takes jobs and answers nothing else; `asked` is made once it was asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sbatch", "squeue", "scancel"):
        does = "echo 7" if name == "sbatch" else f": >{tmp_path}/asked; exec sleep 1000"
        script = programs / name
        script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo slurm 22.05; exit; }}\n{does}\n')
        script.chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


def until(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.02)


def test_an_interrupted_trial_ends_soon_and_names_the_job_that_is_left(
    area: Area, hanging: dict[str, str], tmp_path: Path
) -> None:
    with area.start("launcher", "try", "slurm", env=hanging) as trial:
        until(tmp_path / "asked")
        began = time.monotonic()
        trial.send_signal(signal.SIGINT)
        _, err = trial.communicate(timeout=30)
    assert trial.returncode == 130
    assert time.monotonic() - began < 10
    assert "cannot cancel slurm job 7: no answer within 2 s" in err
    assert "Traceback" not in err
    assert not list(area.home.glob("**/try-*"))


def test_a_trial_keeps_to_its_limit(area: Area, hanging: dict[str, str]) -> None:
    began = time.monotonic()
    done = area.mt("launcher", "try", "slurm", "--timeout", "1s", "-f", "ndjson", env=hanging)
    assert time.monotonic() - began < 30
    notes = {row["check"]: row["note"] for row in done.rows()}
    assert "cannot be asked: no answer within 2 s" in notes["queue"]
    assert "cannot be asked" in notes["start"]
    assert done.status == 1
