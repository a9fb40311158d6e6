"""Commands on a disk that fails: count its operations, let some of them fail, compare what is recorded afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testarea import TARGET, Area, Result

HERE = Path(__file__).parent

#: what no error of ours may look like
_BUG = re.compile(r"Traceback|Exception ignored|^\w+Error:|Warning:", re.MULTILINE)


class FaultyDisk:
    """The disk of one area: its store, run directories and link tree."""

    def __init__(self, area: Area, *below: str) -> None:
        self.area = area
        self.below = [str(area.home / name) for name in below or (".mtdb", "runs", "lt", "archive")]
        self.state = area.home.parent / "operations"

    def env(self, **said: Any) -> dict[str, str]:
        """The environment in which operations are counted anew, and those fail that are meant (sitecustomize.py)."""
        for path in (self.state, self.log):
            path.unlink(missing_ok=True)
        facts = {"below": self.below, "state": str(self.state), **said}
        return {"PYTHONPATH": str(HERE), "FAULTY_DISK": json.dumps(facts)}

    @property
    def log(self) -> Path:
        """Where every operation that failed is a line."""
        return self.state.with_name("operations.log")

    def count(self) -> int:
        """How many operations there were."""
        body = self.state.read_bytes() if self.state.exists() else b""
        return int(struct.unpack("q", body)[0]) if body else 0

    def failed(self) -> list[str]:
        """The operations that failed: number, name, path within the area."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.replace(f"{self.area.home}/", "") for line in lines]


class Copy:
    """An area as it is now, to be put back in its place: paths in it are absolute."""

    def __init__(self, area: Area) -> None:
        self.area = area
        self.kept = area.home.with_name("kept")
        shutil.copytree(area.home, self.kept, symlinks=True)

    def back(self) -> None:
        """Put it back."""
        shutil.rmtree(self.area.home)
        shutil.copytree(self.kept, self.area.home, symlinks=True)


def recorded(area: Area, run: str = "r1") -> dict[str, list[str]]:
    """What is recorded of a run, without times, hosts, attempts and generations."""
    wanted = {
        "tests": ("id", "state", "status", "comment"),
        "steps": ("id", "step", "state", "status", "exits"),
        "values": ("id", "variable", "value", "status"),
    }
    found = {}
    for verb, names in wanted.items():
        rows = area.rows(verb, "-t", TARGET, "-r", run, "--allow-empty")
        found[verb] = sorted(str([row[name] for name in names]) for row in rows)
    return found


def proper(done: Result, allowed: Sequence[int], about: object) -> None:
    """Insist on one clear line and a status that says what it is: no traceback, whatever failed."""
    assert not _BUG.search(done.err), f"{about}\n{done.err}"
    assert done.status in allowed, f"{about}: status {done.status}\n{done.out}{done.err}"
    if done.status not in (0, 1):
        assert re.search(r"^(mt|ERROR|FATAL): ", done.err, re.MULTILINE), f"{about}\n{done.err}"


def sample(total: int, many: int, seed: int) -> list[int]:
    """Some of the numbers from 1 on, spread evenly, beginning where the seed says."""
    step = max(total / many, 1.0)
    return sorted({min(int(1 + (seed * 0.37 % 1.0 + n) * step), total) for n in range(many)})


def environment(base: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Both together; PYTHONPATH of the second counts."""
    return {**os.environ, **base, **more}
