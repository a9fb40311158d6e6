"""What all tests share: the area fixtures and hypothesis's profiles (tests/README.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import sshlab
from fakebatch import fake_engine
from hypothesis import HealthCheck, settings
from slurmlab import need, new_slurm, own_slurm, slurm
from testarea import Area

#: the fixtures: also a real Slurm, where a test asks for it
__all__ = ["area", "fake_engine", "new_area", "new_slurm", "own_slurm", "slurm", "sshd"]

_SLOW_DISK = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=_SLOW_DISK)
settings.register_profile("dev", max_examples=200, deadline=None, suppress_health_check=_SLOW_DISK)
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=_SLOW_DISK)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def area(tmp_path: Path) -> Area:
    """An area with two keys, one disk and the target ubuntu/nfs; call it with a dict to add files."""
    return Area(tmp_path / "area")


@pytest.fixture
def new_area(tmp_path: Path) -> Callable[..., Area]:
    """Make more areas: `new_area("name", {path: text})`."""

    def make(name: str, files: Mapping[str, str] | None = None) -> Area:
        return Area(tmp_path / name, files)

    return make


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[sshlab.SshLab]:
    """Hosts a, b and c for ssh; skips where there is no sshd (fails with MT_CI)."""
    need(sshlab.missing())
    lab = sshlab.SshLab(tmp_path / "sshlab")
    try:
        yield lab.start(*sshlab.NAMES)
    finally:
        lab.stop()
