"""Commands of Slurm that do what a test says, line by line, and a fleet that uses them: no job ever runs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mt.launchers.words import Choice
from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline.absences import Absences
from mt.pipeline.bag import Claim
from mt.pipeline.case import Order
from mt.pipeline.fleet import Fleet, World
from mt.pipeline.polls import Polls
from mt.pipeline.yard import Place


class Slurm:
    """sbatch, squeue and scancel on a PATH of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        for program in ("sbatch", "squeue", "scancel", "sacct"):
            path = self.bin / program
            path.write_text(f'#!/bin/sh\necho "$*" >> "{root}/{program}.calls"\n. "{root}/{program}.sh"\n')
            path.chmod(0o755)
        self.accept()
        self.says("squeue", ":")
        self.says("scancel", ":")
        self.says("sacct", "exit 1")

    def says(self, program: str, script: str) -> None:
        """What a program does from now on."""
        (self.root / f"{program}.sh").write_text(script + "\n")

    def accept(self) -> None:
        """Take jobs: their ids are 1, 2 and so on."""
        self.says("sbatch", f'grep -c . "{self.root}/sbatch.calls"')

    def refuse(self, text: str) -> None:
        """Take no jobs."""
        self.says("sbatch", f'echo "sbatch: error: {text}" >&2; exit 1')

    def lists(self, *lines: str) -> None:
        """What is in the queue: `id|state|host|reason`."""
        body = "\n".join(lines)
        self.says("squeue", f"cat <<'END'\n{body}\nEND")

    def calls(self, program: str) -> list[str]:
        """The arguments of all calls of a program."""
        try:
            return (self.root / f"{program}.calls").read_text().splitlines()
        except FileNotFoundError:
            return []


class Clock:
    """Time that a test can push on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        real = time.monotonic

        def now() -> float:
            return real() + self.ahead

        patch.setattr(time, "monotonic", now)
        for kind in (Polls, Absences):
            patch.setattr(kind.__init__, "__defaults__", (now,))

    def on(self, seconds: float) -> None:
        """So many seconds pass at once."""
        self.ahead += seconds


class Rig:
    """A fleet, its cases, and what it has recorded."""

    def __init__(self, root: Path, clock: Clock, **choice: Any) -> None:
        self.root = root
        self.clock = clock
        self.slurm = Slurm(root / "slurm")
        self.choice = Choice("slurm", text="slurm", poll=(0.2, 0.2))._replace(**choice)
        self.sight: dict[str, str] = {}
        self.told: list[CaseRow] = []  # what was recorded by the fleet itself
        self.fleet = self.new_fleet()
        self.living: dict[CaseKey, CaseRow] = {}
        self.ended: list[CaseRow] = []

    def new_fleet(self) -> Fleet:
        """The fleet of a controller that has just begun."""
        (self.root / "kill").mkdir(exist_ok=True)
        setup: Any = SimpleNamespace(
            run=RunKey("x", "r"), run_id=1, linktree="/links", kill_dir=str(self.root / "kill"), contour="", old=False
        )
        env = {"PATH": f"{self.slurm.bin}:{os.defpath}"}
        return Fleet(
            World(
                setup, str(self.root), str(self.root), "suite", lambda test, item: self.choice,
                lambda text: self.choice, lambda key: None, lambda kind, row: self.told.append(row),
                lambda writer: self.sight.get(writer, "missing"), 120.0, 50, env,
            )
        )  # fmt: skip

    def leave(self) -> None:
        """End all commands that are under way."""
        fleet = self.fleet
        for one in (
            *fleet.polls.values(),
            *(waiting.asking for waiting in (*fleet.sending.values(), *fleet.ending.values())),
        ):
            one.stop()

    def give(self, *tests: str, secs: float | None = None) -> None:
        """Cases are ready, and handed over."""
        if secs is not None:
            self.fleet.spent[self.choice] = (secs, 1)
        for test in tests:
            self.fleet.take(Order(0, test, "", (), 1, 1, True), self.choice)
        self.hand_over()

    def hand_over(self) -> None:
        """Hand over what is ready."""
        self.clock.on(2)
        for row in self.fleet.hand_over():
            if row.state == "LAUNCHED":
                self.living[row.key] = row
            else:
                self.end(row)

    def look(self, times: int = 1, seconds: float = 1.1) -> list[CaseRow]:
        """Let time pass and the fleet look; gives what ended by that."""
        rows = []
        for _ in range(times):
            self.clock.on(seconds)
            self._answered()
            now = self.fleet.look(self.living)
            self.hand_over()
            rows += now
            for row in now:
                self.end(row)
        return rows

    def _answered(self) -> None:
        """A query that is under way gets its answer before the fleet looks."""
        for polls in self.fleet.polls.values():
            if polls._asking is not None:
                polls._asking.wait(20)

    def end(self, row: CaseRow) -> None:
        """A case has ended."""
        self.ended.append(row)
        self.living.pop(row.key, None)
        self.fleet.ended(row)

    def place(self, test: str) -> Place:
        """Where a case is."""
        return self.fleet.where[CaseKey(test, "")]

    def claim(self, test: str, job: str, writer: str = "w") -> None:
        """A job takes the order of a case."""
        place = self.place(test)
        assert place.lot.bag.claim(place.number, Claim(f"slurm:{job}", "n1", 7, writer))

    def pass_case(self, test: str, job: str) -> None:
        """A job has run a case."""
        row = self.living[CaseKey(test, "")]
        self.end(row._replace(state="COMPLETED", status="PASS", job=f"slurm:{job}", host="n1", gen=row.gen + 2))
