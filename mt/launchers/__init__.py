"""Launchers: which batch engines there are (spec/features.md B20; mt/launchers/base.py says what an engine is)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mt.launchers.base import Engine

#: the modules of the engines that run jobs elsewhere; `local` and `command` are no engines: they need no table
ENGINES = ("slurm", "lsf", "pbs", "torque", "sge", "htcondor", "ssh")


def engine(name: str) -> Engine:
    """The engine of this name, one of ENGINES."""
    found: Engine = import_module(f"mt.launchers.{name}").ENGINE
    return found
