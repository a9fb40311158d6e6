"""OpenPBS 20: arrays `-J 0-9%3`, ended jobs only in `qstat -x` (Reference Guide, 2020.1)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import ClassVar

from batchfakes.front import complain, host, say, user
from batchfakes.pbs import SERVER, Attributes, Pbs, listed_state, text
from batchfakes.records import ENDED, GONE, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, date, hms, split_short_options, table

_VERSION = "20.0.1"
#: words of the knob `end_word` -> Exit_status (JOB_EXEC_* of OpenPBS), and the end of the comment
_ENDS = {
    "time": (-29, "and exceeded resource walltime"), "memory": (-27, "and exceeded resource mem"),
    "node": (-20, "and failed"),
}  # fmt: skip
_OLD_STYLE = ("ncpus", "mem", "nodes", "vmem", "nodect", "procs")
_WIDTHS = (16, 16, 16, 8, 1, 5)
Row = tuple[Job, Task | None]


class OpenPbs(Pbs):
    """`qstat` shows an array as one row, its tasks with -t; history needs -x."""

    queues: ClassVar[tuple[str, ...]] = ("workq", "short", "long")
    valued: ClassVar[str] = "aACceJjklMmNopPqrRSuvWG"
    bare: ClassVar[str] = "fhIVXz"
    index_variable: ClassVar[str] = "PBS_ARRAY_INDEX"
    #: preempt_order R
    requeues: ClassVar[tuple[str, ...]] = ("preempted",)

    def version(self, command: str, argv: list[str]) -> bool:
        if argv == ["--version"]:
            say(f"pbs_version = {_VERSION}\n")
        return argv == ["--version"]

    def away(self, command: str, argv: list[str]) -> int:
        return complain(f"Connection refused\n{command}: cannot connect to server {SERVER} (errno=111)", 111)

    def expired(self, command: str, argv: list[str]) -> int:
        return complain(f"Invalid credential\n{command}: cannot connect to server {SERVER} (errno=15019)", 15019 & 0xFF)

    def no_queue(self) -> int:
        return complain("qsub: Unknown queue", self.unknown_queue)

    def wrong_resources(self, resources: Mapping[str, str]) -> str:
        old = [name for name in resources if name in _OLD_STYLE]
        if old and {"select", "place"} & set(resources):
            return f'"-lresource=" cannot be used with "select" or "place", resource is: {old[0]}'
        return ""

    def variables(self, site: Site, job: Job, task: Task) -> dict[str, str]:
        array = {"PBS_ARRAY_ID": self.array_id(job.id)} if job.array else {}
        return {**super().variables(site, job, task), **array, "PBS_JOBDIR": job.spec["cwd"]}

    def filled(self, path: str, job: Job, task: Task) -> str:
        return path.replace("^array_index^", str(task.number)) if task.number >= 0 else path

    def suffix(self, task: Task) -> str:
        return f".{task.number}" if task.number >= 0 else ".^array_index^"

    # -- qstat ----------------------------------------------------------------------------------------------------

    def qstat(self, site: Site, argv: list[str]) -> int:
        format_, rest = _format(argv)
        try:
            options, words = split_short_options(rest, "uD", "afGHiJMnpqQrsStTwxBE1")
        except Usage as e:
            return complain(
                f"qstat: invalid option -- '{str(e)[1:]}'\n"
                "usage: \n\tqstat [-f] [-J] [-p] [-t] [-x] [job_identifier...]",
                2,
            )
        said = dict(options)
        site.look()
        if "-Q" in said:
            return self._queues(site, words)
        rows: list[Row] = []
        status = 0
        for word in words or [f"{job.id}{'[]' if job.array else ''}" for job in site.visible()]:
            found, wrong = self._rows(site, word, said, bool(words))
            status = wrong or status
            rows += found
        if format_ == "json" and "-f" in said:
            say(self._json(site, rows))
        elif "-f" in said:
            say("".join(text(self._id(row), self._attributes(site, row), "-w" not in said) for row in rows))
        else:
            say(self._table(rows))
        return status

    def _rows(self, site: Site, word: str, said: Mapping[str, str], named: bool) -> tuple[list[Row], int]:
        """What one id shows, and an exit status; jobs that have ended only with -x."""
        found = self.select(site, word)
        if not found:
            full = word if "." in word else f"{word}.{SERVER}"
            return [], complain(f"qstat: {self.unknown} {full}", self.unknown_job)
        job = found[0][0]
        if not job.unfinished() and "-x" not in said and "-H" not in said:
            which = self.array_id(job.id) if job.array else self.identity(*found[0])
            why = "Job has finished, use -x or -H to obtain historical job information"
            return [], complain(f"qstat: {which} {why}", self.ended_job) if named else 0
        if not job.array or word.partition("]")[0].partition("[")[2]:
            return list(found), 0
        return [(job, None), *(found if "-t" in said else [])], 0

    def _id(self, row: Row) -> str:
        job, task = row
        return self.array_id(job.id) if task is None else self.identity(job, task)

    def _state(self, row: Row) -> str:
        job, task = row
        if task is None:
            if not job.unfinished():
                return "F"
            return "B" if any(t.started for t in job.tasks.values()) else "H" if job.spec["held"] else "Q"
        if task.state == ENDED:
            return "X" if job.unfinished() else "F"
        return "H" if task.state == PENDING and job.spec["held"] else listed_state(task)

    def _attributes(self, site: Site, row: Row) -> Attributes:
        job, one = row
        task = one or next(iter(job.tasks.values()))
        found = self.common(job, one or Task(-1), self._state(row))
        if one and one.started:
            found["exec_vnode"] = f"({host()}:ncpus=1)"
            found["session_id"] = str(one.pids[-1])
        found["substate"] = _substate(task)
        found["Variable_List"] = self.variable_list(job)
        if comment := self._comment(site, job, one):
            found["comment"] = comment
        found["etime"] = date(job.submitted)
        found["run_count"] = str(len(task.pids))
        if job.array:
            found |= self._array(job, one)
        elif task.state == ENDED and task.started:
            found["Exit_status"] = str(self.exit_status(task))
        if job.array and one and one.state == ENDED and one.started:
            found["Exit_status"] = str(self.exit_status(one))
        found["project"] = job.spec["options"].get("-P", "_pbs_project_default")
        return found

    def _array(self, job: Job, one: Task | None) -> Attributes:
        if one:
            return {"array_id": self.array_id(job.id), "array_index": str(one.number)}
        states = [task.state for task in job.tasks.values()]
        waiting = [n for n, task in job.tasks.items() if task.state == PENDING]
        count = f"Queued:{len(waiting)} Running:{states.count(RUNNING)} Exiting:0 Expired:{states.count(ENDED)}"
        numbers = list(job.tasks)
        return {
            "array": "True", "array_state_count": count, "array_indices_submitted": f"{numbers[0]}-{numbers[-1]}",
            "array_indices_remaining": ",".join(map(str, waiting)) or "-",
            **({"max_run_subjobs": str(job.spec["at_once"])} if job.spec["at_once"] else {}),
        }  # fmt: skip

    def _comment(self, site: Site, job: Job, task: Task | None) -> str:
        if task is None and job.running():
            return f"Job Array Began at {date(job.submitted, '%a %b %d at %H:%M')}"
        if task is None or task.state == PENDING:
            return self.reason(site, job) if job.unfinished() else ""
        if not task.started:
            return "Job deleted as a result of a qdel request"
        began = f"{date(task.started, '%a %b %d at %H:%M')} on ({host()}:ncpus=1)"
        if task.state != ENDED:
            return f"Job run at {began}"
        ended = _ENDS.get(task.word, (0, ""))[1]
        return f"Job run at {began} {ended or ('and failed' if task.status else 'and finished')}"

    def exit_status(self, task: Task) -> int:
        return _ENDS[task.word][0] if task.word in _ENDS else super().exit_status(task)

    def _json(self, site: Site, rows: list[Row]) -> str:
        jobs = {self._id(row): self._attributes(site, row) for row in rows}
        head = {"timestamp": int(time.time()), "pbs_version": _VERSION, "pbs_server": SERVER}
        return json.dumps({**head, **({"Jobs": jobs} if jobs else {})}, indent=4, separators=(",", ":")) + "\n"

    def _table(self, rows: list[Row]) -> str:
        if not rows:
            return ""
        lines = [["Job id", "Name", "User", "Time Use", "S", "Queue"], ["-" * w for w in _WIDTHS]]
        for row in rows:
            job, task = row
            used = hms(task.cpu) if task and task.started else "0"
            lines.append([self._id(row), job.name, user(), f"{used:>8}", self._state(row), job.queue])
        return table(lines, (17, 16, 17, 8, 1, 16))

    def _queues(self, site: Site, words: list[str]) -> int:
        rows = [
            ["Queue", "Max", "Tot", "Ena", "Str", "Que", "Run", "Hld", "Wat", "Trn", "Ext", "Type"],
            ["-" * 16, *["-----"] * 2, *["---"] * 2, *["-----"] * 6, "----"],
        ]
        for queue in words or self.queues:
            if queue not in self.queues:
                return complain(f"qstat: Unknown queue {queue}", self.unknown_queue)
            states = [task.state for job, task in site.records.tasks() if job.queue == queue]
            wait, run = states.count(PENDING), states.count(RUNNING)
            rows.append(
                [queue, "    0", f"{wait + run:5}", "yes", "yes", f"{wait:5}", f"{run:5}", *["    0"] * 4, "Exec"]
            )
        say(table(rows, (16, 5, 5, 3, 3, 5, 5, 5, 5, 5, 5, 4)))
        return 0


def _substate(task: Task) -> str:
    if task.state == ENDED:
        return "91" if task.killed else "93" if task.status else "92"
    return {PENDING: "10", RUNNING: "42", GONE: "92"}[task.state]


def _format(argv: list[str]) -> tuple[str, list[str]]:
    """-F json|dsv, which is a word of its own or attached."""
    rest: list[str] = []
    found = ""
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "-F" and words:
            found = words.pop(0)
        elif word.startswith("-F"):
            found = word[2:]
        elif word.startswith("-") and not word.startswith("--") and word.endswith("F") and words:
            rest.append(word[:-1])
            found = words.pop(0)
        else:
            rest.append(word)
    return found, rest
