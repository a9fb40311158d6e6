"""An area whose cases run on a fake batch engine, or on hosts by ssh (see onslurm.py for what both share)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from batchfakes.records import PENDING, RUNNING
from fakebatch import FakeEngine
from onslurm import OnEngine
from slurmcluster import until
from sshlab import SshLab
from testarea import Area

from mt.launchers import engine as table

#: engine of mt -> fake
FAKES = {"lsf": "lsf", "pbs": "openpbs", "torque": "torque", "sge": "sge", "htcondor": "htcondor"}
#: asks soon, so that what only the engine can tell is known soon
QUICK = "poll=0.2s..0.5s"


class OnFake(OnEngine):
    """An area on a fake engine; `engine` is what mt calls it."""

    def __init__(self, area: Area, fake: FakeEngine, engine: str) -> None:
        super().__init__(area)
        self.fake = fake
        self.engine = engine
        self.launcher = f"{engine} {QUICK}"
        self.commands = fake.bin
        area.env["PATH"] = f"{fake.bin}:{area.env['PATH']}"

    def watched(self) -> OnFake:
        """From now on it is counted how often each of the commands is called."""
        for program in table(self.engine).programs:
            self.instead(program, 'real "$@"')
        return self

    def calls_of(self, kind: str) -> int:
        """How often mt has called the command that submits, polls or cancels."""
        return self.called(table(self.engine).programs[("submit", "poll", "cancel").index(kind)])

    def wait_calls(self, kind: str, more: int, seconds: float = 30) -> None:
        """Wait until mt has called the command that submits, polls or cancels so many times more."""
        wanted = self.calls_of(kind) + more
        until(lambda: self.calls_of(kind) >= wanted, seconds, f"{more} more calls to {kind}")

    def by(self, way: str, more: str = "") -> str:
        """The text of a launcher that hands cases over in one way."""
        return f"{self.launcher} submit={way} {more}".strip()

    def cancel(self, job: str) -> None:
        """Somebody ends a job."""
        subprocess.run([self.fake.bin / table(self.engine).programs[2], job], env=self.fake.env, check=True)

    def queue(self) -> list[str]:
        """What waits or runs, as far as the engine has not lost it."""
        return [f"{row.id} {row.task} {row.state}" for row in self.fake.jobs() if row.state in (PENDING, RUNNING)]

    def job_of(self, case: str) -> str:
        """The job that a case was given, without its engine."""
        (row,) = [row for row in self.rows() if f"{row['test']}/{row['item']}".rstrip("/") == case]
        return str(row["job"]).partition(":")[2]


class OnHosts(OnEngine):
    """An area on the hosts of a lab."""

    launcher = f"ssh hosts=a:2,b:2 {QUICK}"
    commands = Path("/usr/bin")

    def __init__(self, area: Area, lab: SshLab) -> None:
        super().__init__(area)
        self.lab = lab
        area.env["PATH"] = f"{lab.home}/bin:{area.env['PATH']}"

    def queue(self) -> list[str]:
        """Nothing keeps one."""
        return []


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str]:
    """The status of a command, and what it said, in which no bug of ours shows."""
    _, err = process.communicate(timeout=seconds)
    assert "Traceback" not in err, err
    return process.returncode, err


def heard(process: subprocess.Popen[str], text: str) -> None:
    """Wait until a command has said something; nothing is said at once."""
    assert process.stderr is not None
    while text and text not in (line := process.stderr.readline()):
        assert line, f"it never said '{text}'"
