"""Son of Grid Engine 8.1.9: qsub, qstat, qdel, qacct, qhost (its manual pages)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from batchfakes.front import Engine, complain, host, login, open_as, say, user
from batchfakes.records import ENDED, GONE, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Options, Usage, directives, indices, split_options

QUEUES = ("all.q", "short", "long")
_ENVIRONMENTS = ("smp",)
_VALUED = (
    "-N -S -o -e -i -j -wd -l -q -P -A -t -tc -v -p -r -m -M -b -pe -hold_jid -hold_jid_ad -a -ac -ckpt -sync -now -w"
    " -js -R -shell -binding -dl -c -ar -jsv -masterq"
).split()
_BARE = "-cwd -V -notify -terse -h -hard -soft -clear -verify -nostdin -noshell".split()
#: words of the knob `end_word` -> how accounting says it (failed, exit_status)
_ENDS = {
    "time": ("37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", 137),
    "memory": ("100 : assumedly after job", 137),
    "node": ("21  : in recognizing job", 0),
}
#: what qacct writes after the status of a job that a signal has ended
SIGNALS = {137: "Killed", 140: "User defined signal 2", 143: "Terminated"}
_PORT = 6444


class Sge(Engine):
    """Jobs leave qstat at their end, and are in qacct from then on; tasks count from 1; qdel kills outright."""

    commands: ClassVar[Mapping[str, str]] = {
        "qsub": "submit", "qstat": "poll", "qdel": "cancel", "qacct": "past", "qhost": "other",
    }  # fmt: skip
    #: it reads a file
    alone: ClassVar[tuple[str, ...]] = ("qacct",)
    #: rescheduled
    requeues: ClassVar[tuple[str, ...]] = ("preempted",)

    def version(self, command: str, argv: list[str]) -> bool:
        if argv == ["-help"]:
            say(f"SGE 8.1.9\nusage: {command} [options]\n")
        return argv == ["-help"]

    def away(self, command: str, argv: list[str]) -> int:
        sent = f'unable to send message to qmaster using port {_PORT} on host "{host()}": got send error'
        return self._unreachable(command, "commlib error: got select error (Connection refused)", sent)

    def expired(self, command: str, argv: list[str]) -> int:
        why = 'commlib error: ssl error ([ID=336134278] in module "SSL routines": certificate has expired)'
        return self._unreachable(command, why, f'unable to contact qmaster using port {_PORT} on host "{host()}"')

    def _unreachable(self, command: str, why: str, then: str) -> int:
        if command == "qsub":
            return complain(f"error: {why}\nUnable to run job: {then}\nExiting.", 1)
        return complain(f"error: {why}\nerror: {then}", 1)

    def refuse(self, why: str) -> int:
        return complain(f"Unable to run job: {why}\nExiting.", 1)

    # -- the commands ---------------------------------------------------------------------------------------------

    def qsub(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_options(_paired(argv), _VALUED, _BARE)
            said = dict(options)
            script = _script(said, words)
            head, _ = (
                split_options(_paired(directives(script, "#$")), _VALUED, _BARE) if said.get("-b") != "y" else ([], [])
            )
        except Usage as e:
            return complain(f'qsub: invalid option argument "{e}"', 2)
        except OSError:
            return complain(
                f"Unable to read script file because of error: error opening {words[0]}: No such file or directory", 1
            )
        every = head + options
        spec = self._spec({**dict(head), **said, "-l": _joined(every, "-l"), "-v": _joined(every, "-v")}, words)
        if isinstance(spec, str):
            return self.refuse(spec)
        number = site.submit(spec, script.encode(), _environment(spec["options"]))
        tasks = spec["tasks"]
        array = f".{tasks[0]}-{tasks[-1]}:{tasks[1] - tasks[0] if len(tasks) > 1 else 1}" if tasks else ""
        if "-terse" in dict(every):
            say(f"{number}{array}\n")
        else:
            say(f'Your job{"-array" if tasks else ""} {number}{array} ("{spec["name"]}") has been submitted\n')
        return 0

    def _spec(self, said: Mapping[str, str], words: list[str]) -> dict[str, Any] | str:
        """The job, or why there is none."""
        name = said.get("-N", os.path.basename(words[0].split()[0]) if words else "STDIN")
        if name[:1].isdigit():
            return f'denied: "{name}" is not a valid object name (cannot start with a digit)'
        queue = said.get("-q", QUEUES[0])
        if queue.partition("@")[0] not in QUEUES:
            return f'Job was rejected because job requests unknown queue "{queue}"'
        environment, _, slots = said.get("-pe", "").partition(" ")
        if environment and environment not in _ENVIRONMENTS:
            return f'job rejected: the requested parallel environment "{environment}" does not exist'
        tasks = None
        if "-t" in said:
            try:
                tasks = indices(said["-t"])
            except ValueError:
                return f'invalid task id range "{said["-t"]}"'
            if tasks[0] < 1:
                return "job rejected: 0 is an invalid task id"
        return {
            "name": name, "queue": queue, "tasks": tasks, "at_once": int(said.get("-tc", 0)), "slots": slots or "1",
            "cwd": said.get("-wd", os.getcwd() if "-cwd" in said else os.environ.get("HOME", "/")),
            "submitted_in": os.getcwd(), "out": said.get("-o", ""), "err": said.get("-e", ""),
            "join": said.get("-j", "n") in ("y", "yes"), "held": "-h" in said, "options": dict(said),
            "notify": "-notify" in said,
        }  # fmt: skip

    def qstat(self, site: Site, argv: list[str]) -> int:
        from batchfakes.sge_qstat import qstat

        return qstat(site, argv)

    def qacct(self, site: Site, argv: list[str]) -> int:
        from batchfakes.sge_qstat import qacct

        return qacct(site, argv)

    def qhost(self, site: Site, argv: list[str]) -> int:
        from batchfakes.sge_qstat import qhost

        return qhost()

    def qdel(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_options(argv, ("-t", "-u"), ("-f",))
        except Usage as e:
            return complain(f'error: unknown option "{e}"', 1)
        # tasks may be named after the jobs
        if "-t" in words:
            at = words.index("-t")
            options, words = [*options, ("-t", words[at + 1])], words[:at]
        status = 0
        with site.held():
            for word in (part for each in words for part in each.split(",")):
                status = self._delete(site, word, dict(options).get("-t", "")) or status
        return status

    def _delete(self, site: Site, word: str, tasks: str) -> int:
        number, _, listed = word.partition(".")
        job = site.records.jobs.get(int(number)) if number.isdigit() else None
        if job is None or not job.unfinished() or all(task.state == GONE for task in job.tasks.values()):
            return complain(f'denied: job "{number}" does not exist', 1)
        listed = listed or tasks
        wanted = [n for n in (indices(listed) if listed else job.tasks) if n in job.tasks]
        alive = [job.tasks[n] for n in wanted if job.tasks[n].state in (PENDING, RUNNING)]
        if not alive:
            return complain(f'denied: job-array task "{word}" does not exist', 1)
        running = [task for task in alive if task.state == RUNNING]
        site.cancel([(job, task) for task in alive])
        if job.array and not listed and not running:
            say(f"{user()} has deleted job {job.id}\n")
            return 0
        for task in alive:
            which = f"job-array task {job.id}.{task.number}" if job.array else f"job {job.id}"
            say(
                f"{user()} has "
                + (f"registered the {which} for deletion\n" if task in running else f"deleted {which}\n")
            )
        return 0

    # -- a job ----------------------------------------------------------------------------------------------------

    def signals(self, job: Job, task: Task) -> tuple[int, ...]:
        """A notice if that was asked for, else KILL at once."""
        return (12,) if job.spec["notify"] else (9,)

    def variables(self, site: Site, job: Job, task: Task) -> dict[str, str]:
        numbers = job.spec["tasks"]
        first, last, step = (numbers[0], numbers[-1], 1) if numbers else ("undefined",) * 3
        return {
            "JOB_ID": str(job.id), "JOB_NAME": job.name, "SGE_TASK_ID": str(task.number) if numbers else "undefined",
            "SGE_TASK_FIRST": str(first), "SGE_TASK_LAST": str(last), "SGE_TASK_STEPSIZE": str(step),
            "QUEUE": job.queue,
            "NSLOTS": job.spec["slots"], "NHOSTS": "1", "NQUEUES": "1", "HOSTNAME": host(), "ENVIRONMENT": "BATCH",
            "ARC": "lx-amd64", "SGE_ROOT": "/var/lib/gridengine", "SGE_CELL": "default", "REQUEST": job.name,
            "RESTARTED": str(int(bool(task.pids))), "SGE_O_WORKDIR": job.spec["submitted_in"], "SGE_O_HOST": host(),
            "SGE_O_LOGNAME": user(), "JOB_SCRIPT": f"{site.home}/spool/{job.id}.sh", "SHELL": "/bin/sh",
        }  # fmt: skip

    def output(self, site: Site, job: Job, task: Task, env: Mapping[str, str]) -> None:
        open_as("/dev/null", 0)
        open_as(target(job, task, "o"), 1, append=True)
        if job.spec["join"]:
            os.dup2(1, 2)
        else:
            open_as(target(job, task, "e"), 2, append=True)


def target(job: Job, task: Task, letter: str) -> str:
    """Where output goes: relative to the directory of the job."""
    path = job.spec["out" if letter == "o" else "err"].rpartition(":")[2]
    names = {
        "$JOB_ID": str(job.id), "$TASK_ID": str(task.number) if job.array else "undefined", "$JOB_NAME": job.name,
        "$HOSTNAME": host(), "$USER": user(), "$HOME": os.environ.get("HOME", "/"),
    }  # fmt: skip
    for name, value in names.items():
        path = path.replace(name, value)
    path = os.path.join(job.spec["cwd"], path)
    default = f"{job.name}.{letter}{job.id}" + (f".{task.number}" if job.array else "")
    return os.path.join(path, default) if os.path.isdir(path) else path


def state(job: Job, task: Task) -> str:
    """In the letters of qstat."""
    again = "R" if len(task.pids) > (task.state == RUNNING) else ""
    if task.state == RUNNING:
        return ("d" if task.killed else "") + again + ("S" if task.suspended else "r")
    return ("h" if job.spec["held"] else "") + (f"{again}q" if again else "qw")


def accounted(task: Task) -> tuple[str, int]:
    """`failed` and `exit_status` of qacct."""
    if task.word in _ENDS:
        return _ENDS[task.word]
    if task.signal:
        return "100 : assumedly after job", 128 + task.signal
    return "0", task.code


def known(site: Site, number: str) -> list[tuple[Job, Task]]:
    """The tasks of a job that accounting knows."""
    job = site.records.jobs.get(int(number)) if number.isdigit() else None
    return [(job, task) for task in job.tasks.values() if task.state == ENDED and task.started] if job else []


def _script(said: Mapping[str, str], words: list[str]) -> str:
    import shlex

    if said.get("-b") in ("y", "yes"):
        return f"exec {shlex.join(words)}\n"
    if not words or words[0] == "-":
        return sys.stdin.read()
    with open(words[0], encoding="utf-8") as f:
        return f.read()


def _environment(said: Mapping[str, str]) -> dict[str, str]:
    env = dict(os.environ) if "-V" in said else login()
    for word in filter(None, said.get("-v", "").split(",")):
        name, equals, value = word.partition("=")
        env[name] = value if equals else os.environ.get(name, "")
    for name in ("HOME", "PATH", "SHELL"):
        env[f"SGE_O_{name}"] = os.environ.get(name, "")
    return env


def _paired(words: list[str]) -> list[str]:
    """The two values of -pe as one."""
    done = list(words)
    for at, word in enumerate(done[:-2]):
        if word == "-pe":
            return [*done[: at + 1], f"{done[at + 1]} {done[at + 2]}", *_paired(done[at + 3 :])]
    return done


def _joined(options: Options, name: str) -> str:
    return ",".join(value for option, value in options if option == name)
