"""An area whose cases run on a batch engine, and what has to be true of a run when all is over."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from slurmcluster import LabError, running, until
from slurmlab import Slurm
from testarea import TARGET, Area, Result

from mt import queries
from mt.db import Store

#: what no error of ours may look like
BUG = ("Traceback", "Exception ignored", "Warning:")


class OnEngine:
    """An area with an engine; cases note in a file outside of their directories when they begin and end.

    A `case` is a step that notes `begin`, does something, and notes `end`; `hold`
    is something that takes until the test says `go`.
    """

    #: the word for `-L`, and where the real commands of the engine are
    launcher = ""
    commands = Path("/usr/bin")

    def __init__(self, area: Area) -> None:
        self.area = area
        self.home = area.home
        self.notes = area.home.parent / "notes"
        self.gate = area.home.parent / "gate"
        self.bin = area.home.parent / "bin"
        self.notes.touch()
        area.env.update(NOTES=str(self.notes), GATE=str(self.gate))
        area({"note": '#!/bin/sh\necho "$1 $MT_TEST_NAME/$MT_ITEMPATH" >> "$NOTES"\n'})

    # -- what cases do

    @property
    def hold(self) -> str:
        """Words of a step that waits for `go`."""
        return f"bash {self.home}/hold"

    def cases(self, name: str, items: str = "", do: str = "true", **more: Any) -> Self:
        """A test whose only step notes its begin and its end, with one case for each of `items`."""
        self.area({"hold": 'until [ -e "$GATE" ]; do sleep 0.1; done\n'})
        note = self.home / "note"
        more["items"] = {"N": items} if items else None
        self.area({f"do-{name}": f"{note} begin\n{do} || exit 1\n{note} end\n"})
        self.area.test(name, f"sh {self.home}/do-{name}", **more)
        return self

    def go(self) -> None:
        """Let all end that holds."""
        self.gate.touch()

    def noted(self, what: str = "end") -> Counter[str]:
        """{case: how often it noted this}."""
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        return Counter(line[1].rstrip("/") for line in lines if line[0] == what)

    def wait_noted(self, what: str, many: int, seconds: float = 60) -> None:
        """Wait until it was noted so often."""
        end = time.monotonic() + seconds
        while (noted := self.noted(what)).total() < many:
            assert time.monotonic() < end, f"'{what}' is not noted {many} times: {noted}"
            time.sleep(0.05)

    # -- commands in front of those of the engine

    def instead(self, program: str, script: str) -> None:
        """Put a command in front of one of the engine: a bash script in which `real` is the real one."""
        self.bin.mkdir(exist_ok=True)
        path = self.bin / program
        fresh = path.with_name(f".{program}")
        head = f'#!/bin/bash\nreal() {{ {self.commands}/{program} "$@"; }}\necho "{program} $*" >> "{self.calls}"\n'
        fresh.write_text(f"{head}{script}\n")
        fresh.chmod(0o755)
        fresh.replace(path)
        if str(self.bin) not in self.area.env["PATH"]:
            self.area.env["PATH"] = f"{self.bin}:{self.area.env['PATH']}"

    def as_it_was(self, program: str) -> None:
        """Take such a command away."""
        (self.bin / program).unlink()

    @property
    def calls(self) -> Path:
        """Where each call of a command with something in front of it is a line."""
        return self.home.parent / "calls"

    def called(self, program: str) -> int:
        """How often such a command was called."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(line.split(" ", 1)[0] == program for line in lines)

    def wait_called(self, program: str, many: int, seconds: float = 60) -> None:
        """Wait until such a command was called so often."""
        until(lambda: self.called(program) >= many, seconds, f"{program} was called {many} times")

    # -- runs

    def run(self, *words: str, launcher: str = "", run: str = "r1", **more: Any) -> Result:
        """`mt run`, to its end."""
        return self.area.mt(*self.command(*words, launcher=launcher, run=run), **more)

    def command(self, *words: str, launcher: str = "", run: str = "r1") -> tuple[str, ...]:
        """The words of that command."""
        return ("run", "-t", TARGET, "-r", run, "-L", launcher or self.launcher, *words)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """`mt` with these words, which is gone afterwards in any case."""
        with self.area.start(*words) as process:
            try:
                yield process
            finally:
                process.kill()

    def rows(self, run: str = "r1") -> list[dict[str, Any]]:
        """All cases of a run."""
        return self.area.rows("tests", "-t", TARGET, "-r", run, "--allow-empty")

    def outcome(self, run: str = "r1") -> dict[str, tuple[str, str]]:
        """{case: (state, status)}."""
        return outcome(self.area, run)

    def wait_states(self, many: int, *states: str, run: str = "r1", seconds: float = 60) -> None:
        """Wait until so many cases are in one of these states."""
        until(lambda: sum(r["state"] in states for r in self.rows(run)) >= many, seconds, f"{many} are {states}")

    def tokens(self, run: str = "r1") -> dict[str, str]:
        """{case: token of its last attempt}, as the store has it."""
        store = Store(str(self.home))
        (found,) = queries.find_runs(store, TARGET, run)
        return {f"{row.test}/{row.item}".rstrip("/"): row.token for row in queries.cases(store, found.id)}

    # -- what has to be true in the end

    def queue(self) -> list[str]:
        """The jobs of the area that the engine lists as not over."""
        raise NotImplementedError

    def processes(self) -> list[str]:
        """The command lines of processes that have to do with the area, except of our own and of the engine's."""
        return list(_processes(self.home))

    def at_rest(self, seconds: float = 30) -> None:
        """Nothing is left in the queue, or as a process."""
        until(lambda: not self._queue_or_unknown(), seconds, f"nothing in the queue: {self._queue_or_unknown()}")
        until(lambda: not self.processes(), seconds, f"no process: {self.processes()}")

    def _queue_or_unknown(self) -> list[str]:
        with suppress(LabError):
            return self.queue()
        return ["it does not answer"]

    def proper(self, want: dict[str, str] | None = None, run: str = "r1") -> None:
        """Each case has one true result, none that had ended ran again, the record is sound, nothing is left.

        `want` says {test: status}; all else is to PASS.
        """
        want = want or {}
        found = self.outcome(run)
        expected = {case: want.get(case, want.get(case.partition("/")[0], "PASS")) for case in found}
        assert {case: status for case, (_, status) in found.items()} == expected, self.rows(run)
        twice = {case: n for case, n in self.noted().items() if n > 1}
        assert not twice, f"ran to their end more than once: {twice}"
        lacking = {case for case, (_, status) in found.items() if status == "PASS"} - set(self.noted())
        assert not lacking, f"count as PASS and never ended: {lacking}"
        self.area.ok("db", "check")
        self.at_rest()


class OnSlurm(OnEngine):
    """An area on a real Slurm."""

    launcher = "slurm"

    def __init__(self, area: Area, cluster: Slurm) -> None:
        super().__init__(area)
        self.cluster = cluster
        area.env["SLURM_CONF"] = str(cluster.conf)

    def queue(self) -> list[str]:
        """The jobs of the area that are not over: `ID STATE DIRECTORY`."""
        listed = self.cluster.run("squeue", "-h", "-r", "-o", "%i %T %Z")
        return [line for line in listed.splitlines() if line.split(" ", 2)[2:] == [str(self.home)]]


def outcome(area: Area, run: str = "r1") -> dict[str, tuple[str, str]]:
    """{case: (state, status)} of a run."""
    rows = area.rows("tests", "-t", TARGET, "-r", run, "--allow-empty")
    return {row["id"].split("//", 2)[2]: (row["state"], row["status"]) for row in rows}


def clear(done: Result) -> str:
    """What a command said, in which no bug of ours shows."""
    assert not any(word in done.err for word in BUG), done.err
    return done.err


def _processes(home: Path) -> Iterator[str]:
    mark, place = f"MT_RUN_AREA_HOME={home}".encode(), f"{home}/".encode()
    for word in os.listdir("/proc"):
        if not word.isdigit() or int(word) == os.getpid() or not running(int(word)):
            continue
        with suppress(OSError):
            line = Path(f"/proc/{word}/cmdline").read_bytes()
            if line.startswith(b"/usr/sbin/") or line.startswith(b"slurm"):
                continue
            if place in line or mark in Path(f"/proc/{word}/environ").read_bytes().split(b"\0"):
                yield line.replace(b"\0", b" ").decode(errors="replace")[:200]
