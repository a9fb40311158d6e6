"""Torque 6: arrays `-t 0-9%3`, ended jobs stay in qstat as C for a while (Administrator Guide, 6.1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from batchfakes.front import complain, host, say, user
from batchfakes.pbs import SERVER, Attributes, Pbs, listed_state, text
from batchfakes.records import ENDED, PENDING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, date, escape, hms, split_short_options, table

#: words of the knob `end_word` -> exit_status (JOB_EXEC_* of Torque)
_ENDS = {"time": -11, "memory": -10, "node": -3}


class Torque(Pbs):
    """`qstat` shows an array as one row, its tasks with -t; what has ended has state C."""

    queues: ClassVar[tuple[str, ...]] = ("batch", "short", "long")
    valued: ClassVar[str] = "aAbcCdDeFjklmMNopPqrStTuvwWKL"
    bare: ClassVar[str] = "EfhIVxXzn"
    array_option: ClassVar[str] = "-t"
    index_variable: ClassVar[str] = "PBS_ARRAYID"
    unknown_queue: ClassVar[int] = 15020 & 0xFF
    ended_job: ClassVar[int] = 15018 & 0xFF
    unknown: ClassVar[str] = "Unknown Job Id Error"
    requeues: ClassVar[tuple[str, ...]] = ("preempted",)

    def version(self, command: str, argv: list[str]) -> bool:
        if argv == ["--version"]:
            complain("Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e", 0)
        return argv == ["--version"]

    def away(self, command: str, argv: list[str]) -> int:
        more = f"Cannot connect to specified server host '{SERVER}'.\n"
        return complain(f"{more}{command}: cannot connect to server {SERVER} (errno=111) Connection refused", 111)

    def expired(self, command: str, argv: list[str]) -> int:
        return complain(f"{command}: cannot connect to server {SERVER} (errno=15022) Expired credential", 15022 & 0xFF)

    def refuse(self, why: str) -> int:
        return complain(f"qsub: submit error ({why})", 15007 & 0xFF)

    def no_queue(self) -> int:
        return complain("qsub: submit error (Unknown queue MSG=cannot locate queue)", self.unknown_queue)

    def no_end(self, word: str, ended: bool) -> int:
        if not ended:
            return super().no_end(word, ended)
        full = word if "." in word else f"{word}.{SERVER}"
        return complain(
            f"qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE {full}", self.ended_job
        )

    def start_directory(self, said: Mapping[str, str]) -> str:
        return os.path.abspath(said["-d"]) if "-d" in said else super().start_directory(said)

    def wrong_resources(self, resources: Mapping[str, str]) -> str:
        return "submit error (Unknown resource type  Resource_List.select)" if "select" in resources else ""

    def filled(self, path: str, job: Job, task: Task) -> str:
        for name, value in (
            ("PBS_JOBID", self.identity(job, task)),
            ("PBS_ARRAYID", str(task.number)),
            ("PBS_JOBNAME", job.name),
        ):
            path = path.replace(f"${{{name}}}", value).replace(f"${name}", value)
        return path

    def suffix(self, task: Task) -> str:
        return f"-{task.number}"

    def file_in_directory(self, job: Job, task: Task, kind: str) -> str:
        """The default name, in that directory."""
        return f"{job.name}.{'o' if kind == 'OU' else 'e'}{job.id}{self.suffix(task) if job.array else ''}"

    # -- qstat ----------------------------------------------------------------------------------------------------

    def qstat(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_short_options(argv, "uW", "aefinlxqQrsStcBRM1G")
        except Usage as e:
            return complain(
                f"qstat: invalid option -- '{str(e)[1:]}'\n"
                "usage: \nqstat [-f [-1]] [-W site_specific] [-x] [-t] [ job_identifier... ]",
                2,
            )
        said = dict(options)
        site.look()
        rows: list[tuple[Job, Task | None]] = []
        status = 0
        for word in words or [f"{job.id}{'[]' if job.array else ''}" for job in site.visible()]:
            found = self.select(site, word)
            if not found:
                status = self._unknown(word)
            elif found[0][0].array and "-t" not in said and word.partition("[")[2].startswith("]"):
                rows.append((found[0][0], None))
            else:
                rows += found
        shown = [(self._id(job, task), self._attributes(site, job, task)) for job, task in rows]
        if "-x" in said:
            say(_xml(shown) if shown else "")
        elif "-f" in said:
            say("".join(text(identity, attributes, "-1" not in said) for identity, attributes in shown))
        else:
            say(self._table(rows))
        return status

    def _unknown(self, word: str) -> int:
        full = word if "." in word else f"{word}.{SERVER}"
        return complain(f"qstat: {self.unknown} {full}", self.unknown_job)

    def _id(self, job: Job, task: Task | None) -> str:
        return self.identity(job, task) if task else self.array_id(job.id)

    def _state(self, job: Job, task: Task | None) -> str:
        if task is None:
            if not job.unfinished():
                return "C"
            return "R" if job.running() else "Q"
        if task.state == ENDED:
            return "C"
        return "H" if task.state == PENDING and job.spec["held"] else listed_state(task)

    def _attributes(self, site: Site, job: Job, task: Task | None) -> Attributes:
        found = self.common(job, task or Task(-1), self._state(job, task))
        found["Variable_List"] = self.variable_list(job)
        found |= {"euser": user(), "queue_type": "E", "etime": date(job.submitted), "fault_tolerant": "False"}
        if task is None:
            return found
        if task.state == PENDING and (reason := self.reason(site, job)):
            found["comment"] = reason
        if task.started:
            found |= {
                "session_id": str(task.pids[-1]),
                "start_time": date(task.started),
                "start_count": str(len(task.pids)),
            }
        if task.state == ENDED:
            found |= {"exit_status": str(self._exit(task)), "comp_time": date(task.ended)}
        if job.array:
            found["job_array_id"] = str(task.number)
        return {**found, "job_radix": "0", "submit_host": host()}

    def _exit(self, task: Task) -> int:
        if not task.started:
            return 271
        return _ENDS[task.word] if task.word in _ENDS else self.exit_status(task)

    def _table(self, rows: list[tuple[Job, Task | None]]) -> str:
        if not rows:
            return ""
        lines = [["Job ID", "Name", "User", "Time Use", "S", "Queue"], ["-" * w for w in (25, 16, 15, 8, 1, 5)]]
        for job, task in rows:
            used = hms(task.cpu) if task and task.started else "0"
            lines.append([self._id(job, task), job.name, user(), f"{used:>8}", self._state(job, task), job.queue])
        return table(lines, (26, 16, 15, 8, 1, 14))


def _xml(jobs: list[tuple[str, Attributes]]) -> str:
    """qstat -x, all in one line."""
    text = ""
    for identity, attributes in jobs:
        inner = f"<Job_Id>{escape(identity)}</Job_Id>"
        for name, value in attributes.items():
            if isinstance(value, dict):
                value = "".join(f"<{key}>{escape(str(v))}</{key}>" for key, v in value.items())
            else:
                value = escape(str(value))
            inner += f"<{name}>{value}</{name}>"
        text += f"<Job>{inner}</Job>"
    return f"<Data>{text}</Data>\n"
