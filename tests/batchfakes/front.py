"""What all engines have in common, and the way from a command's name to what answers it."""

from __future__ import annotations

import os
import pwd
import sys
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from batchfakes.records import Job, Task
from batchfakes.site import MARK, Site

Command = Callable[["Site", list[str]], int]

#: engine -> (module, class)
ENGINES: Mapping[str, tuple[str, str]] = {
    "lsf": ("lsf", "Lsf"),
    "openpbs": ("openpbs", "OpenPbs"),
    "torque": ("torque", "Torque"),
    "sge": ("sge", "Sge"),
    "htcondor": ("condor", "Condor"),
}

#: what a job starts from where the engine does not hand on the environment of its submission
_LOGIN = ("HOME", "LANG", "LOGNAME", "MAIL", "SHELL", "TZ", "USER")


class Engine:
    """The words of one engine, and how it runs a job; its commands are in `commands`."""

    #: command -> what it is: submit, poll, cancel, past or other
    commands: ClassVar[Mapping[str, str]] = {}
    #: commands that need no server
    alone: ClassVar[tuple[str, ...]] = ()
    #: words of the knob `end_word` after which the engine runs a job again by itself
    requeues: ClassVar[tuple[str, ...]] = ()

    def run(self, command: str, site: Site, argv: list[str]) -> int:
        """The command's exit status; it is the method of that name."""
        answer: Command = getattr(self, command)
        return answer(site, argv)

    def version(self, command: str, argv: list[str]) -> bool:
        """Print the version if that is all that is asked for: no server is needed for it."""
        return False

    def away(self, command: str, argv: list[str]) -> int:
        """The server does not answer."""
        raise NotImplementedError

    def expired(self, command: str, argv: list[str]) -> int:
        """The credential is no longer valid."""
        raise NotImplementedError

    def refuse(self, why: str) -> int:
        """The submission is not accepted."""
        raise NotImplementedError

    def signals(self, job: Job, task: Task) -> tuple[int, ...]:
        """What a job gets that shall end, before KILL."""
        return (15,)

    def variables(self, site: Site, job: Job, task: Task) -> dict[str, str]:
        """What the engine sets in a job."""
        raise NotImplementedError

    def directory(self, job: Job, task: Task, env: Mapping[str, str]) -> str:
        return str(job.spec["cwd"])

    def output(self, site: Site, job: Job, task: Task, env: Mapping[str, str]) -> None:
        """Open the files of a job as 0, 1 and 2."""
        raise NotImplementedError

    def command(self, site: Site, job: Job, task: Task) -> list[str]:
        return ["/bin/sh", f"{site.home}/spool/{job.id}.sh"]

    def after(self, site: Site, job: Job, task: Task, pid: int, status: int) -> None:
        """A process of the job has ended; nothing of it runs any more."""


def user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def host() -> str:
    return os.uname().nodename


def login() -> dict[str, str]:
    """The environment of a batch job that brings none along."""
    kept = {name: os.environ[name] for name in _LOGIN if name in os.environ}
    return {"HOME": "/", "LOGNAME": user(), "USER": user(), "SHELL": "/bin/sh", **kept, "PATH": "/usr/bin:/bin"}


def say(text: str) -> None:
    sys.stdout.write(text)


def complain(text: str, status: int) -> int:
    sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
    return status


def open_as(path: str, *fds: int, append: bool = False) -> None:
    """These file descriptors write to this file from now on."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    fd = os.open(path, flags, 0o644)
    for wanted in fds:
        os.dup2(fd, wanted)


def engine_named(name: str) -> Engine:
    from importlib import import_module

    module, kind = ENGINES[name]
    found: Engine = getattr(import_module(f"batchfakes.{module}"), kind)()
    return found


def main(name: str, command: str, home: str) -> int:
    """Run a command of an engine, as far as the knobs of the site let it."""
    site, engine, argv = Site(os.environ.get(MARK, home)), engine_named(name), sys.argv[1:]
    if engine.version(command, argv):
        return 0
    if slow := site.knob("slow"):
        time.sleep(float(slow))
    for knob, answer in (("away", engine.away), ("expired", engine.expired)):
        if site.knob(knob) and command not in engine.alone:
            return answer(command, argv)
    kind = engine.commands[command]
    if kind == "submit" and (why := site.knob("refuse")):
        return engine.refuse(why)
    if kind in ("poll", "past") and (rubbish := site.knob("garbage")):
        say(rubbish + "\n")
        return 0
    status = engine.run(command, site, argv)
    sys.stdout.flush()
    if kind in ("submit", "cancel"):
        from batchfakes.scheduler import ensure

        ensure(site, engine)
    return status
