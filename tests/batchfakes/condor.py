"""HTCondor 10: condor_submit, condor_q, condor_rm, condor_history, condor_version (its manual)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from batchfakes.condor_text import Wrong, arguments, environment, expand, read_description
from batchfakes.front import Engine, complain, host, open_as, say
from batchfakes.records import GONE, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, split_options

_ADDRESS = "<127.0.0.1:9618?addrs=127.0.0.1-9618&alias=fake&noUDP&sock=schedd_1>"
_TRUE = ("true", "yes", "1", "t", "y")


class Condor(Engine):
    """A job is a process of a cluster; what has left the queue is in condor_history; tasks count from 0."""

    commands: ClassVar[Mapping[str, str]] = {
        "condor_submit": "submit", "condor_q": "poll", "condor_rm": "cancel", "condor_history": "past",
        "condor_version": "other",
    }  # fmt: skip
    #: it reads a file
    alone: ClassVar[tuple[str, ...]] = ("condor_history", "condor_version")
    #: evicted jobs go back to idle, and so do those whose lease has expired
    requeues: ClassVar[tuple[str, ...]] = ("preempted", "node")

    def version(self, command: str, argv: list[str]) -> bool:
        if command != "condor_version" and argv != ["-version"]:
            return False
        say("$CondorVersion: 10.2.0 2023-01-05 BuildID: 620235 PackageID: 10.2.0-1 $\n")
        say("$CondorPlatform: x86_64_Debian11 $\n")
        return True

    def away(self, command: str, argv: list[str]) -> int:
        if command == "condor_submit":
            say("Submitting job(s)")
            return complain(
                "\nERROR: Failed to connect to local queue manager\nCEDAR:6001:Failed to connect to " + _ADDRESS, 1
            )
        if command == "condor_rm":
            what = f"Couldn't find/remove all jobs in cluster {argv[0]}" if argv else "Couldn't find/remove all jobs"
            return complain(f"CEDAR:6001:Failed to connect to {_ADDRESS}\n{what}", 1)
        return complain(
            f"\n-- Failed to fetch ads from: {_ADDRESS} : {host()}\nCEDAR:6001:Failed to connect to {_ADDRESS}", 1
        )

    def expired(self, command: str, argv: list[str]) -> int:
        why = (
            "AUTHENTICATE:1003:Failed to authenticate with any method\n"
            "AUTHENTICATE:1004:Failed to authenticate using IDTOKENS"
        )
        if command == "condor_submit":
            say("Submitting job(s)")
            return complain(f"\nERROR: Failed to connect to local queue manager\n{why}", 1)
        return complain(f"\n-- Failed to fetch ads from: {_ADDRESS} : {host()}\n{why}", 1)

    def refuse(self, why: str) -> int:
        say("Submitting job(s)")
        return complain(f"\nERROR: Failed to commit job submission into the queue.\nERROR: {why}", 1)

    # -- the commands ---------------------------------------------------------------------------------------------

    def condor_submit(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_options(
                argv,
                ("-append", "-a", "-name", "-batch-name", "-queue", "-file", "-pool"),
                ("-terse", "-verbose", "-disable"),
            )
            said = dict(options)
            files = [said["-file"]] if "-file" in said else [word for word in words if "=" not in word]
            given = "\n".join(
                [word for word in words if "=" in word] + [v for n, v in options if n in ("-append", "-a")]
            )
            text = _read(files)
            described, count, array = read_description(f"{text}\n", given, said.get("-queue"))
            spec = _spec(described, count, array, said)
        except Usage as e:
            return complain(f"ERROR: Unknown option '{e}'", 1)
        except OSError as e:
            return complain(f"\nERROR: Failed to open command file ({e.strerror})", 1)
        except Wrong as e:
            return complain(f"Submitting job(s)\nERROR: {e}", 1)
        number = site.submit(spec, b"", dict(os.environ) if described.get("getenv", "").lower() in _TRUE else {})
        if "-terse" in said:
            say(f"{number}.0 - {number}.{count - 1}\n")
        else:
            say(f"Submitting job(s){'.' * count}\n{count} job(s) submitted to cluster {number}.\n")
        return 0

    def condor_q(self, site: Site, argv: list[str]) -> int:
        from batchfakes.condor_q import condor_q

        return condor_q(site, argv)

    def condor_history(self, site: Site, argv: list[str]) -> int:
        from batchfakes.condor_q import condor_history

        return condor_history(site, argv)

    def condor_rm(self, site: Site, argv: list[str]) -> int:
        try:
            options, words = split_options(
                argv, ("-constraint", "-reason", "-name"), ("-forcex", "-all", "-f", "-long")
            )
        except Usage as e:
            return complain(f"condor_rm: Unrecognized option: {e}", 1)
        status = 0
        with site.held():
            for word in words:
                status = _remove(site, word) or status
            if not words:
                status = _remove_all(site, dict(options).get("-constraint", "true"))
        return status

    # -- a job ----------------------------------------------------------------------------------------------------

    def signals(self, job: Job, task: Task) -> tuple[int, ...]:
        import signal

        name = job.spec["described"].get("kill_sig", "SIGTERM")
        return (int(name) if name.isdigit() else int(getattr(signal, name)),)

    def variables(self, site: Site, job: Job, task: Task) -> dict[str, str]:
        said = job.spec["described"]
        own = environment(self._full(job, task, "environment")) if "environment" in said else {}
        scratch = f"{site.home}/spool/{job.id}.{max(task.number, 0)}"
        os.makedirs(scratch, exist_ok=True)
        cores = self._full(job, task, "request_cpus") or "1"
        return {
            "_CONDOR_SCRATCH_DIR": scratch, "TMPDIR": scratch, "TEMP": scratch, "TMP": scratch,
            "_CONDOR_SLOT": "slot1_1",
            "_CONDOR_JOB_AD": f"{scratch}/.job.ad", "_CONDOR_MACHINE_AD": f"{scratch}/.machine.ad",
            "_CONDOR_JOB_IWD": job.spec["cwd"], "BATCH_SYSTEM": "HTCondor", "OMP_NUM_THREADS": cores, **own,
        }  # fmt: skip

    def directory(self, job: Job, task: Task, env: Mapping[str, str]) -> str:
        return os.path.join(job.spec["submitted_in"], self._full(job, task, "initialdir"))

    def command(self, site: Site, job: Job, task: Task) -> list[str]:
        program = os.path.join(self.directory(job, task, {}), self._full(job, task, "executable"))
        return [program, *arguments(self._full(job, task, "arguments"))]

    def output(self, site: Site, job: Job, task: Task, env: Mapping[str, str]) -> None:
        for fd, key in ((0, "input"), (1, "output"), (2, "error")):
            path = os.path.join(self.directory(job, task, env), self._full(job, task, key) or "/dev/null")
            if fd:
                open_as(path, fd)
            else:
                os.dup2(os.open(path, os.O_RDONLY), 0)

    def _full(self, job: Job, task: Task, key: str) -> str:
        return expand(job.spec["described"].get(key, ""), job.spec["described"], job.id, max(task.number, 0))


def process(job: Job, task: Task) -> str:
    return f"{job.id}.{max(task.number, 0)}"


def in_queue(site: Site, job: Job, task: Task) -> bool:
    """Whether condor_q shows it: held jobs too, those that have not come into being not."""
    if task.state in (PENDING, RUNNING):
        return materialized(job, task)
    return task.state != GONE and held_at_end(job, task)


def materialized(job: Job, task: Task) -> bool:
    """With max_materialize only so many processes of a cluster are in the queue."""
    limit = job.spec["at_once"]
    if not limit or task.state == RUNNING or task.pids:
        return True
    unfinished = [t.number for t in job.tasks.values() if t.state in (PENDING, RUNNING)]
    return task.number in unfinished[:limit]


def held_at_end(job: Job, task: Task) -> bool:
    """Limits put a job on hold; a periodic_remove that knows of it takes it out of the queue."""
    if task.killed or task.word not in ("memory", "time"):
        return False
    return task.word == "time" or "HoldReasonCode == 34" not in job.spec["described"].get("periodic_remove", "")


def _spec(said: dict[str, str], count: int, array: bool, options: Mapping[str, str]) -> dict[str, Any]:
    """The job; raises Wrong."""
    if "executable" not in said:
        raise Wrong("No 'executable' parameter was provided")
    home = os.path.join(os.getcwd(), expand(said.get("initialdir", ""), said, 0, 0))
    if not os.path.isdir(home):
        raise Wrong(f"No such directory: {home}")
    program = os.path.join(home, expand(said["executable"], said, 0, 0))
    if said.get("transfer_executable", "true").lower() in _TRUE and not os.path.exists(program):
        raise Wrong(f"Executable file {program} does not exist")
    arguments(said.get("arguments", ""))
    return {
        "name": options.get("-batch-name", said.get("batch_name", "")), "queue": "",
        "tasks": list(range(count)) if array else None,
        "at_once": int(said.get("max_materialize", 0)), "cwd": home, "submitted_in": os.getcwd(), "described": said,
        "held": said.get("hold", "").lower() in _TRUE, "options": said,
    }  # fmt: skip


def _read(files: list[str]) -> str:
    if not files or files == ["-"]:
        return sys.stdin.read()
    with open(files[0], encoding="utf-8") as f:
        return f.read()


def _remove(site: Site, word: str) -> int:
    cluster, dot, number = word.partition(".")
    job = site.records.jobs.get(int(cluster)) if cluster.isdigit() else None
    found = [task for task in job.tasks.values() if in_queue(site, job, task)] if job else []
    if dot:
        found = [task for task in found if str(max(task.number, 0)) == number]
    if job is None or not found:
        return complain(f"Job {word} not found" if dot else f"Couldn't find/remove all jobs in cluster {word}", 1)
    if not dot:
        # what has not come into being never will, and leaves no trace
        unborn = [task.number for task in job.tasks.values() if task.state == PENDING and task not in found]
        site.add([{"e": "gone", "id": job.id, "tasks": unborn}])
    site.cancel([(job, task) for task in found])
    say(f"Job {word} marked for removal\n" if dot else f"All jobs in cluster {word} have been marked for removal\n")
    return 0


def _remove_all(site: Site, constraint: str) -> int:
    from batchfakes.condor_q import ad, fits

    found = [
        (job, t) for job, t in site.records.tasks() if in_queue(site, job, t) and fits(constraint, ad(site, job, t))
    ]
    if not found:
        return complain(f"Couldn't find/remove all jobs matching constraint ({constraint})", 1)
    site.cancel(found)
    say(f"Jobs matching constraint ({constraint}) have been marked for removal\n")
    return 0
