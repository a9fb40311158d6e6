"""The engine `torque`: what differs from OpenPBS (not run against a real one: after its documentation).

`qsub --version` tells the two apart: OpenPBS prints `pbs_version = 20.0.1`,
Torque `Version: 6.1.3`.
"""

from __future__ import annotations

from collections.abc import Mapping

from mt.launchers import pbs
from mt.launchers.amounts import megabytes
from mt.launchers.base import Job, Word, script
from mt.launchers.lists import quoted

#: exit statuses below 0 are words of the server and its hosts
LIMITS: Mapping[int, str] = {-10: "out-of-memory", -11: "time-limit", -12: "time-limit", -13: "failed", -3: "failed"}


def text(job: Job) -> str:
    """The script; licences are generic resources of Moab and Maui."""
    ask = job.ask
    plain = job._replace(ask=ask._replace(licences=""))
    lines = [*pbs.common(plain), f"-d {quoted(job.home)}"]
    lines += [f"-l nodes=1:ppn={ask.cores}"] if ask.cores else []
    lines += [f"-l mem={megabytes(ask.memory)}mb"] if ask.memory else []
    lines += [f"-W x=GRES:{quoted(ask.licences)}"] if ask.licences else []
    if job.tasks:
        lines.append(f"-t 0-{job.tasks - 1}" + (f"%{job.at_once}" if job.at_once else ""))
    return script("#PBS", lines, job.command, job.home)


def read(answer: str) -> dict[str, Word]:
    """What `qstat -t -f` prints."""
    return pbs.read_with(answer, LIMITS)


ENGINE = pbs.ENGINE._replace(
    name="torque", title="Torque (qsub)", text=text, read=read, past=None, read_past=None,
    task_number=("PBS_ARRAYID", 0), maker=r"^version: |torque",
)  # fmt: skip
