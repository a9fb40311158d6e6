"""What OpenPBS and Torque have in common: qsub, qstat, qdel, attributes, output that is copied when a job ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from batchfakes.front import Engine, complain, host, login, open_as, say, user
from batchfakes.records import ENDED, GONE, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, date, directives, hms, indices, split_short_options

SERVER = "pbs"
#: attributes: name -> value, or a dict for a resource list
Attributes = dict[str, Any]


class Pbs(Engine):
    """One of the two; they differ in options, in states, and in what they keep of ended jobs."""

    commands: ClassVar[Mapping[str, str]] = {"qsub": "submit", "qstat": "poll", "qdel": "cancel"}
    queues: ClassVar[tuple[str, ...]] = ("workq",)
    #: options of qsub with and without a value, and the one for arrays
    valued: ClassVar[str] = ""
    bare: ClassVar[str] = ""
    array_option: ClassVar[str] = "-J"
    #: what a job's index and the word for its wrong queue are called
    index_variable: ClassVar[str] = ""
    #: exit statuses: the engine's error number without its upper byte
    unknown_job: ClassVar[int] = 15001 & 0xFF
    unknown_queue: ClassVar[int] = 15018 & 0xFF
    ended_job: ClassVar[int] = 15139 & 0xFF
    #: "Unknown Job Id" in the words of the version
    unknown: ClassVar[str] = "Unknown Job Id"

    def refuse(self, why: str) -> int:
        return complain(f"qsub: {why}", 15007 & 0xFF)

    # -- qsub -----------------------------------------------------------------------------------------------------

    def qsub(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_short_options(argv, self.valued, self.bare)
            script = self._script(words)
            head = split_short_options(directives(script, "#PBS"), self.valued, self.bare)[0]
        except Usage as e:
            return complain(f"qsub: invalid option -- '{str(e)[1:]}'\nusage: qsub [options] [script_file]", 2)
        except OSError as e:
            return complain(f"qsub: script file: {e.strerror}", 1)
        # the command line counts more; resources are added to each other
        lists = {"-l": _resources(head + options), "-v": "", "-W": _joined(head + options, "-W")}
        said = {**dict(head), **dict(options)}
        spec = self._spec({**said, **{k: v for k, v in lists.items() if v}}, words)
        if isinstance(spec, int):
            return spec
        number = site.submit(spec, script.encode(), self._environment(said))
        say(f"{self.array_id(number) if spec['tasks'] else f'{number}.{SERVER}'}\n")
        return 0

    def _script(self, words: list[str]) -> str:
        import shlex

        if words[:1] == ["--"]:
            return f"exec {shlex.join(words[1:])}\n"
        if not words or words == ["-"]:
            return sys.stdin.read()
        with open(words[0], encoding="utf-8") as f:
            return f.read()

    def _environment(self, said: Mapping[str, str]) -> dict[str, str]:
        """That of a login; all of ours with -V, and what -v names."""
        env = dict(os.environ) if "-V" in said else login()
        for word in filter(None, said.get("-v", "").split(",")):
            name, equals, value = word.partition("=")
            env[name] = value if equals else os.environ.get(name, "")
        for name in ("HOME", "LANG", "LOGNAME", "PATH", "MAIL", "SHELL", "TZ"):
            if name in os.environ:
                env[f"PBS_O_{name}"] = os.environ[name]
        return env

    def _spec(self, said: Mapping[str, str], words: list[str]) -> dict[str, Any] | int:
        queue = said.get("-q", self.queues[0]).partition("@")[0]
        if queue not in self.queues:
            return self.no_queue()
        name = said.get("-N", os.path.basename(words[0]) if words and words[0] not in ("-", "--") else "STDIN")
        if (
            not name
            or len(name) > 230
            or not name.isprintable()
            or " " in name
            or not (name[0].isalpha() or name[0] in "_+.")
        ):
            return complain("qsub: illegal -N value", 2)
        tasks, at_once = None, 0
        if self.array_option in said:
            listed, _, limit = said[self.array_option].partition("%")
            try:
                tasks, at_once = indices(listed), int(limit or 0)
            except ValueError:
                return complain(f"qsub: illegal {self.array_option} value", 2)
        resources = dict(word.partition("=")[::2] for word in filter(None, said.get("-l", "").split(",")))
        if wrong := self.wrong_resources(resources):
            return complain(f"qsub: {wrong}", 2)
        return {
            "name": name, "queue": queue, "tasks": tasks, "at_once": at_once, "resources": resources,
            "cwd": self.start_directory(said), "submitted_in": os.getcwd(), "out": said.get("-o", ""),
            "err": said.get("-e", ""), "join": said.get("-j", "n"), "held": "-h" in said, "options": dict(said),
            "rerunnable": said.get("-r", "y") == "y",
        }  # fmt: skip

    def start_directory(self, said: Mapping[str, str]) -> str:
        return os.environ.get("HOME", "/")

    def wrong_resources(self, resources: Mapping[str, str]) -> str:
        return ""

    def no_queue(self) -> int:
        raise NotImplementedError

    # -- ids ------------------------------------------------------------------------------------------------------

    def array_id(self, number: int) -> str:
        return f"{number}[].{SERVER}"

    def identity(self, job: Job, task: Task) -> str:
        return f"{job.id}[{task.number}].{SERVER}" if job.array else f"{job.id}.{SERVER}"

    def select(self, site: Site, word: str) -> list[tuple[Job, Task]]:
        """The tasks that `123`, `123[]` or `123[4-6]` mean, with or without a server."""
        name, _, server = word.partition(".")
        number, bracket, listed = name.partition("[")
        job = site.records.jobs.get(int(number)) if number.isdigit() else None
        if job is None or (server and server != SERVER) or bool(bracket) != job.array:
            return []
        listed = listed.rstrip("]")
        wanted = indices(listed) if listed else job.tasks
        return [(job, job.tasks[n]) for n in wanted if n in job.tasks and job.tasks[n].state != GONE]

    # -- qdel -----------------------------------------------------------------------------------------------------

    def qdel(self, site: Site, argv: list[str]) -> int:
        try:
            _, words = split_short_options(argv, "WmP", "xp")
        except Usage:
            words = []
        if not words:
            return complain("usage:\n\tqdel [-W force|suppress_email=X] [-x] job_identifier...\n\tqdel --version", 2)
        status = 0
        with site.held():
            for word in words:
                found = self.select(site, word)
                alive = [(job, task) for job, task in found if task.state in (PENDING, RUNNING)]
                site.cancel(alive)
                if not alive:
                    status = self.no_end(word, bool(found))
        return status

    def no_end(self, word: str, ended: bool) -> int:
        """qdel of a job that has ended or that nobody knows."""
        full = word if "." in word else f"{word}.{SERVER}"
        if ended:
            return complain(f"qdel: Job has finished {full}", self.ended_job)
        return complain(f"qdel: {self.unknown} {full}", self.unknown_job)

    # -- a job ----------------------------------------------------------------------------------------------------

    def variables(self, site: Site, job: Job, task: Task) -> dict[str, str]:
        return {
            "PBS_JOBID": self.identity(job, task), "PBS_JOBNAME": job.name, "PBS_ENVIRONMENT": "PBS_BATCH",
            "PBS_QUEUE": job.queue, "PBS_O_QUEUE": job.queue, "PBS_O_WORKDIR": job.spec["submitted_in"],
            "PBS_O_HOST": host(), "PBS_NODENUM": "0", "PBS_TASKNUM": "1", "PBS_JOBCOOKIE": f"{job.id:032X}",
            **({self.index_variable: str(task.number)} if job.array else {}),
        }  # fmt: skip

    def output(self, site: Site, job: Job, task: Task, env: Mapping[str, str]) -> None:
        spool = f"{site.home}/spool/{job.id}.{os.getpid()}"
        open_as("/dev/null", 0)
        join = job.spec["join"]
        if join in ("oe", "eo"):
            open_as(f"{spool}.{'OU' if join == 'oe' else 'ER'}", 1, 2)
        else:
            open_as(f"{spool}.OU", 1)
            open_as(f"{spool}.ER", 2)

    def after(self, site: Site, job: Job, task: Task, pid: int, status: int) -> None:
        for kind, said in (("OU", job.spec["out"]), ("ER", job.spec["err"])):
            spooled = f"{site.home}/spool/{job.id}.{pid}.{kind}"
            if task.state == GONE or not os.path.exists(spooled):
                continue
            path = self.target(job, task, kind, said)
            try:
                with open(spooled, "rb") as source, open(path, "wb") as target:
                    target.write(source.read())
            except OSError:
                continue  # a real one would write mail

    def target(self, job: Job, task: Task, kind: str, said: str) -> str:
        """Where output goes: relative to where the job was submitted."""
        path = os.path.join(job.spec["submitted_in"], self.filled(said.partition(":")[2] or said, job, task))
        letter = "o" if kind == "OU" else "e"
        index = self.suffix(task) if job.array else ""
        if not said:
            return os.path.join(path, f"{job.name}.{letter}{job.id}{index}")
        return os.path.join(path, self.file_in_directory(job, task, kind)) if os.path.isdir(path) else path

    def filled(self, path: str, job: Job, task: Task) -> str:
        raise NotImplementedError

    def suffix(self, task: Task) -> str:
        raise NotImplementedError

    def file_in_directory(self, job: Job, task: Task, kind: str) -> str:
        return f"{self.identity(job, task)}.{kind}"

    # -- attributes -----------------------------------------------------------------------------------------------

    def common(self, job: Job, task: Task, state: str) -> Attributes:
        """What qstat -f says of any job, in its order."""
        used = self.used(task)
        return {
            "Job_Name": job.name, "Job_Owner": f"{user()}@{host()}", **({"resources_used": used} if used else {}),
            "job_state": state, "queue": job.queue, "server": SERVER, "Checkpoint": "u", "ctime": date(job.submitted),
            "Error_Path": f"{host()}:{self.target(job, task, 'ER', job.spec['err'])}",
            **({"exec_host": f"{host()}/0"} if task.started else {}),
            "Hold_Types": "u" if job.spec["held"] else "n", "Join_Path": job.spec["join"], "Keep_Files": "n",
            "Mail_Points": "a", "mtime": date(task.ended or task.started or job.submitted),
            "Output_Path": f"{host()}:{self.target(job, task, 'OU', job.spec['out'])}", "Priority": "0",
            "qtime": date(job.submitted), "Rerunable": str(job.spec["rerunnable"]),
            "Resource_List": dict(job.spec["resources"]),
        }  # fmt: skip

    def used(self, task: Task) -> dict[str, str]:
        if not task.started:
            return {}
        import time

        wall = (task.ended or time.time()) - task.started
        return {
            "cput": hms(task.cpu),
            "mem": f"{task.rss // 1024}kb",
            "vmem": f"{task.rss // 1024}kb",
            "walltime": hms(wall),
        }

    def exit_status(self, task: Task) -> int:
        """Signals are numbers from 256."""
        return 256 + task.signal if task.signal else task.code

    def reason(self, site: Site, job: Job) -> str:
        """Why it waits, as the scheduler's comment."""
        if knob := site.knob("pend") or site.knob("hold"):
            return knob
        if job.spec["at_once"] and job.running() >= job.spec["at_once"]:
            return "Not Running: Job Array has reached its running subjob limit"
        if sum(other.running() for other in site.records.jobs.values()) >= int(site.knob("slots")):
            return "Not Running: Not enough free nodes available"
        return ""

    def variable_list(self, job: Job) -> str:
        return f"PBS_O_HOME={os.environ.get('HOME', '/')},PBS_O_WORKDIR={job.spec['submitted_in']},PBS_O_HOST={host()}"


def text(identity: str, attributes: Attributes, wrap: bool = True) -> str:
    """One job of qstat -f; long lines go on after a line end and a tab."""
    lines = []
    for name, value in _flat(attributes):
        line = f"    {name} = {value}"
        while wrap and len(line) > 79:
            cut = line.rfind(",", 20, 79) + 1 or 79
            lines.append(line[:cut])
            line = f"\t{line[cut:]}"
        lines.append(line)
    return "\n".join([f"Job Id: {identity}", *lines]) + "\n\n"


def _flat(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, str(value)


def _joined(options: list[tuple[str, str]], letter: str) -> str:
    return ",".join(value for name, value in options if name == letter)


def _resources(options: list[tuple[str, str]]) -> str:
    return _joined(options, "-l")


def listed_state(task: Task) -> str:
    """R for what runs, S for what is stopped, E for what is being ended."""
    running = "E" if task.killed else "S" if task.suspended else "R"
    return {PENDING: "Q", RUNNING: running, ENDED: "F"}[task.state]
