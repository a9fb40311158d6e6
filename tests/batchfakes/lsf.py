"""IBM Spectrum LSF 10.1: bsub, bjobs, bkill, bhist, bqueues, lsid (Command Reference, 10.1)."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from batchfakes.front import Engine, complain, host, open_as, say, user
from batchfakes.lsf_words import identity, select, shown_name
from batchfakes.records import GONE, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, date, directives, indices, split_options

_FAILED = 255
QUEUES = ("normal", "short", "long")
_MOST = 1000
_VALUED = (
    "-J -q -n -R -M -W -We -o -oo -e -eo -i -cwd -P -G -app -Lp -wt -wa -env -m -sp -w -L -E -Ep -u -c -C -D -F -S -T"
    " -v -g -b -t -Q -U -sla -ext -gpu -Jd -rnc -a -k"
).split()
_BARE = "-r -rn -x -H -N -B -K -I -Is -Ip -notify -ul -Zs".split()
_QUEUE_ROW = "{:15} {:>4}  {:15} {:>3} {:>4} {:>4} {:>4} {:>5} {:>5} {:>5} {:>5}\n"


class Lsf(Engine):
    """Jobs that have ended stay in `bjobs -a` and `bjobs ID`; output comes when a job ends, with a report."""

    commands: ClassVar[Mapping[str, str]] = {
        "bsub": "submit", "bjobs": "poll", "bkill": "cancel", "bhist": "past", "bqueues": "other", "lsid": "other",
    }  # fmt: skip

    def version(self, command: str, argv: list[str]) -> bool:
        if argv != ["-V"]:
            return False
        complain(
            "IBM Spectrum LSF 10.1.0.14, May 09 2023\n"
            "Copyright International Business Machines Corp. 1992, 2016.\n"
            "US Government Users Restricted Rights - Use, duplication or disclosure restricted by GSA ADP Schedule"
            " Contract with IBM Corp.\n\n  binary type: linux2.6-glibc2.3-x86_64\n",
            0,
        )
        return True

    def away(self, command: str, argv: list[str]) -> int:
        return _failed(command, "Failed in an LSF library call: LIM is down; try later")

    def expired(self, command: str, argv: list[str]) -> int:
        return _failed(command, "External authentication failed")

    def refuse(self, why: str) -> int:
        return _failed("bsub", why)

    # -- the commands ---------------------------------------------------------------------------------------------

    def bsub(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_options(argv, _VALUED, _BARE)
            script = f"exec {shlex.join(words)}\n" if words else sys.stdin.read()
            # what is said on the command line counts more
            options = split_options([] if words else directives(script, "#BSUB"), _VALUED, _BARE)[0] + options
        except Usage as e:
            return complain(f"bsub: illegal option -- {str(e)[1:]}\n{_USAGE}", _FAILED)
        said = dict(options)
        spec = _spec(said, script)
        if isinstance(spec, str):
            return _failed("bsub", spec)
        number = site.submit(spec, script.encode(), dict(os.environ))
        which = "queue" if "-q" in said else "default queue"
        say(f"Job <{number}> is submitted to {which} <{spec['queue']}>.\n")
        return 0

    def bjobs(self, site: Site, argv: list[str]) -> int:
        from batchfakes.lsf_bjobs import bjobs

        return bjobs(site, argv)

    def bkill(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_options(
                argv, ("-J", "-s", "-q", "-u", "-m", "-g", "-app"), ("-r", "-b", "-force", "-R", "-P")
            )
        except Usage as e:
            return complain(
                f"bkill: illegal option -- {str(e)[1:]}\nUsage: bkill [-h] [-V] [-J job_name] [jobID ...]", _FAILED
            )
        status = 0
        with site.held():
            name = dict(options).get("-J", "")
            for word in words if words and words != ["0"] else [""]:
                status = _kill(site, word, name) or status
        return status

    def bhist(self, site: Site, argv: list[str]) -> int:
        from batchfakes.lsf_bjobs import bhist

        return bhist(site, argv)

    def bqueues(self, site: Site, argv: list[str]) -> int:
        _, words = split_options(argv, ("-m", "-u", "-o"), ("-l", "-w", "-r", "-noheader"))
        site.look()
        status, rows = (
            0,
            [("QUEUE_NAME", "PRIO", "STATUS", "MAX", "JL/U", "JL/P", "JL/H", "NJOBS", "PEND", "RUN", "SUSP")],
        )
        for queue in words or QUEUES:
            if queue not in QUEUES:
                status = complain(f"{queue}: No such queue", _FAILED)
                continue
            states = [task.state for job, task in site.records.tasks() if job.queue == queue]
            wait, run = states.count(PENDING), states.count(RUNNING)
            rows.append((queue, "30", "Open:Active", "-", "-", "-", "-", f"{wait + run}", f"{wait}", f"{run}", "0"))
        say("".join(_QUEUE_ROW.format(*row) for row in (rows if len(rows) > 1 else [])))
        return status

    def lsid(self, site: Site, argv: list[str]) -> int:
        say("IBM Spectrum LSF Standard 10.1.0.14, May 09 2023\n\n")
        say(f"My cluster name is fake\nMy master name is {host()}\n")
        return 0

    # -- a job ----------------------------------------------------------------------------------------------------

    def signals(self, job: Job, task: Task) -> tuple[int, ...]:
        return (2, 15)

    def variables(self, site: Site, job: Job, task: Task) -> dict[str, str]:
        index = max(task.number, 0)
        numbers = job.spec["tasks"] or [0]
        return {
            "LSB_JOBID": str(job.id), "LSB_JOBINDEX": str(index), "LSB_BATCH_JID": identity(job, task),
            "LSB_JOBNAME": shown_name(job, task), "LSB_QUEUE": job.queue,
            "LSB_HOSTS": " ".join([host()] * job.spec["cores"]),
            "LSB_MCPU_HOSTS": f"{host()} {job.spec['cores']}", "LSB_DJOB_NUMPROC": str(job.spec["cores"]),
            "LSB_SUB_HOST": host(), "LSB_SUB_USER": user(), "LS_SUBCWD": job.spec["submitted_in"], "LSFUSER": user(),
            "LSB_RESTART": "Y" if task.pids else "N", "LS_JOBPID": str(os.getpid()), "LSB_JOBPEND": "0",
            **({"LSB_JOBINDEX_STEP": "1", "LSB_JOBINDEX_END": str(numbers[-1])} if job.array else {}),
        }  # fmt: skip

    def directory(self, job: Job, task: Task, env: Mapping[str, str]) -> str:
        return _filled(job.spec["cwd"], job, task)

    def output(self, site: Site, job: Job, task: Task, env: Mapping[str, str]) -> None:
        spool = f"{site.home}/spool/{job.id}.{os.getpid()}"
        os.dup2(os.open(job.spec["in"] or "/dev/null", os.O_RDONLY), 0)
        open_as(f"{spool}.out", 1)
        if job.spec["err"]:
            open_as(f"{spool}.err", 2)
        else:
            os.dup2(1, 2)

    def after(self, site: Site, job: Job, task: Task, pid: int, status: int) -> None:
        spool = f"{site.home}/spool/{job.id}.{pid}"
        report = "" if job.spec["mail"] else _report(job, task, status)
        for kind, mode, text in (("out", job.spec["out_mode"], report), ("err", job.spec["err_mode"], "")):
            path = job.spec[kind] and os.path.join(job.spec["submitted_in"], _filled(job.spec[kind], job, task))
            if not path or task.state == GONE or not os.path.exists(f"{spool}.{kind}"):
                continue
            with open(f"{spool}.{kind}", "rb") as source, open(path, mode) as target:
                target.write(text.encode() if kind == "out" and text else b"")
                target.write(source.read())


_USAGE = "Usage: bsub [-h] [-V] [options] [command [argument ...]]"


def _failed(command: str, why: str) -> int:
    return complain(f"{why}. Job not submitted." if command == "bsub" else why, _FAILED)


def _spec(said: Mapping[str, str], script: str) -> dict[str, Any] | str:
    """The job, or why there is none."""
    name, tasks, at_once = said.get("-J", ""), None, 0
    if "[" in name:
        name, _, listed = name.partition("[")
        listed, _, limit = listed.partition("]")
        try:
            tasks, at_once = indices(listed), int(limit.removeprefix("%") or 0)
        except ValueError:
            return "Bad array index list"
        if tasks[0] < 1:
            return "Bad array index list"
        if tasks[-1] > _MOST:
            return "Array index too large"
    queue = said.get("-q", QUEUES[0])
    if queue not in QUEUES:
        return f"{queue}: No such queue"
    cores = said.get("-n", "1").split(",")[0]
    if not cores.isdigit() or not int(cores):
        return "Bad argument for option -n"
    body = [line for line in script.splitlines() if line.strip() and not line.startswith("#!")]
    return {
        "name": name or (body[0] if body else ""), "queue": queue, "tasks": tasks, "at_once": at_once,
        "cores": int(cores), "cwd": said.get("-cwd", os.getcwd()), "submitted_in": os.getcwd(),
        "out": said.get("-oo", said.get("-o", "")), "out_mode": "wb" if "-oo" in said else "ab",
        "err": said.get("-eo", said.get("-e", "")), "err_mode": "wb" if "-eo" in said else "ab",
        "in": said.get("-i", ""), "mail": "-N" in said, "held": "-H" in said, "options": dict(said),
        "command": "; ".join(body),
    }  # fmt: skip


def _kill(site: Site, word: str, name: str) -> int:
    found = select(site, word, name)
    alive = [(job, task) for job, task in found if task.state in (PENDING, RUNNING)]
    if not alive:
        what = "Job has already finished" if found else "No matching job found"
        return complain(f"Job <{word}>: {what}" if word else "No matching job found", _FAILED)
    site.cancel(alive)
    for which in [word] if word else dict.fromkeys(str(job.id) for job, _ in alive):
        say(f"Job <{which}> is being terminated\n")
    return 0


def _filled(path: str, job: Job, task: Task) -> str:
    return path.replace("%J", str(job.id)).replace("%I", str(max(task.number, 0)))


def _report(job: Job, task: Task, status: int) -> str:
    """What LSF writes above the output of a job."""
    code = 128 + (status & 0x7F) if status & 0x7F else status >> 8
    word = "Exited" if code else "Done"
    end = f"Exited with exit code {code}." if code else "Successfully completed."
    now = time.time()
    return (
        f"Sender: LSF System <lsfadmin@{host()}>\n"
        f"Subject: Job {identity(job, task)}: <{shown_name(job, task)}> in cluster <fake> {word}\n\n"
        f"Job <{shown_name(job, task)}> was submitted from host <{host()}> by user <{user()}>"
        f" in cluster <fake> at {date(job.submitted)}\n"
        f"Job was executed on host(s) <{host()}>, in queue <{job.queue}>, as user <{user()}> in cluster <fake>\n"
        f"<{job.spec['cwd']}> was used as the working directory.\n"
        f"Started at {date(task.started)}\nTerminated at {date(now)}\n\n"
        f"{end}\n\nResource usage summary:\n\n    Run time :  {int(now - task.started)} sec.\n\n"
        "The output (if any) follows:\n\n"
    )
