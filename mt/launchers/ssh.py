"""The engine `ssh`: a job is a detached process on a host of a list with slots (spec/features.md 43, B20).

Nothing keeps a queue there, so whoever submits chooses the host (`next_host`)
and counts slots.  An id is HOST:PID:START:BOOT: when the process began, in ticks
since its host was booted, and the begin of the host's boot id tell it from a
process that got the same number later.

A host needs Linux with /proc, a /bin/sh, setsid, base64 and the shared disk.
Login shells may be of any kind and print what they like, because every answer
is marked.  Nothing there enforces what a job asks: a pilot looks at its own
time, and memory is not limited.  How to get to a host (user, port, key, jump
host, ControlMaster) belongs in ~/.ssh/config.

The status 255 of ssh means that there was no connection, or that it broke: a
job may have been started of which nobody told us.  It takes orders from its bag
as any other job does, and leaves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from shlex import join, quote
from typing import NamedTuple

from mt.errors import LaunchError
from mt.launchers import ssh_scripts
from mt.launchers.base import Argv, Engine, Job, Trouble, Unreadable, Word, script
from mt.remote import host_word, login_line

#: seconds to wait for a connection, and between two signs of life of one, of which three may be missing
_CONNECT, _ALIVE = 15, 15
_OPTIONS = (
    "BatchMode=yes", f"ConnectTimeout={_CONNECT}", f"ServerAliveInterval={_ALIVE}", "ServerAliveCountMax=3",
    "ClearAllForwardings=yes", "ForwardX11=no", "ForwardAgent=no",
)  # fmt: skip
_SSH: Argv = ("ssh", "-n", "-T", *(word for option in _OPTIONS for word in ("-o", option)))

_HOST = re.compile(r"mt-ssh-host (\S+) [0-9a-f]+")
_IS = re.compile(r"mt-ssh-is (\d+:\d+:[0-9a-f]+) (\w)")
_END = "mt-ssh-end"
#: states of a process that somebody has stopped; all others run, or would if they could
_STOPPED = "Tt"


class _Id(NamedTuple):
    host: str
    pid: str
    start: str
    boot: str

    @property
    def word(self) -> str:
        """As scripts want it."""
        return f"{self.pid} {self.start} {self.boot}"


def next_host(hosts: Sequence[tuple[str, int]], busy: Mapping[str, int]) -> str:
    """The host with most free slots, the first of several; "" when all are full.

    `hosts` are names with slots, `busy` how many jobs each has.  A host that is
    away gets no slots from the caller.
    """
    free = {host: slots - busy.get(host, 0) for host, slots in hosts}
    best = max(free, key=lambda host: free[host], default="")
    return best if best and free[best] > 0 else ""


def host_of(job: str) -> str:
    """The host of a job: its jobs are asked for and ended by one ssh."""
    return _parsed(job).host


def _parsed(job: str) -> _Id:
    parts = job.rsplit(":", 3)
    if len(parts) != 4 or not re.fullmatch(r"\d+:\d+:[0-9a-f]+", ":".join(parts[1:])):
        raise LaunchError(f"'{job}' is no id of a job of ssh: it is HOST:PID:START:BOOT")
    return _Id(*parts)


def _by_host(jobs: Sequence[str]) -> dict[str, list[_Id]]:
    found: dict[str, list[_Id]] = {}
    for one in map(_parsed, jobs):
        found.setdefault(one.host, []).append(one)
    return found


def _told(host: str, settings: Mapping[str, str], words: Sequence[str], body: str) -> Argv:
    """The command that runs a script on a host, with settings as variables and words as "$@"."""
    given = "".join(f"{name}={quote(value)}\n" for name, value in {"host": host, **settings}.items())
    line = login_line(f"{given}set -- {join(words)}\n{ssh_scripts.WORDS}{body}")
    return (*_SSH, "--", host_word(host), line)


def text(job: Job) -> str:
    """The job as a script, for people: the command reaches the host as words."""
    return script("", (), job.command)


def submit(job: Job, path: str) -> Argv:
    """Start the command of a job on its host, in a session of its own."""
    if not job.host:
        raise LaunchError("no host for a job of ssh", hint="name hosts with slots, as in: -L 'ssh hosts=a:4,b:8'")
    if "/" in job.host:
        raise LaunchError(f"cannot go to host '{job.host}': it is no name of a host", hint="see Host in ssh_config(5)")
    if job.ask.flags:
        raise LaunchError("ssh takes no flags for a job", hint="write options for a host into ~/.ssh/config")
    settings = {"home": job.home, "out": job.out, "name": job.name}
    return _told(host_word(job.host), settings, job.command, ssh_scripts.START)


def poll(name: str, jobs: Sequence[str]) -> list[Argv]:
    """One ssh for each host."""
    return [_told(host, {}, [one.word for one in ids], ssh_scripts.POLL) for host, ids in _by_host(jobs).items()]


def read(answer: str) -> dict[str, Word]:
    """The jobs that live; one that is not listed has ended, how it did only itself could tell."""
    found: dict[str, Word] = {}
    host, whole = "", False
    for line in answer.splitlines():
        if begin := _HOST.fullmatch(line):
            host, whole = begin[1], False
        elif host and line == _END:
            host, whole = "", True
        elif host:
            job, word = _listed(host, line)
            found[job] = word
    if not whole:
        raise Unreadable("it was cut off" if host else "a login shell answered, and not our script")
    return found


def _listed(host: str, line: str) -> tuple[str, Word]:
    one = _IS.fullmatch(line)
    if one is None:
        raise Unreadable(f"'{line[:80]}'")
    stopped = one[2] in _STOPPED
    return f"{host}:{one[1]}", Word("suspended", "stopped", host) if stopped else Word("running", "running", host)


def cancel(jobs: Sequence[str]) -> list[Argv]:
    """One ssh for each host: TERM to the groups of jobs that are still those very processes, and KILL after a grace."""
    return [_told(host, {}, [one.word for one in ids], ssh_scripts.CANCEL) for host, ids in _by_host(jobs).items()]


def why(job: str) -> Argv:
    """The processes of a job and the end of what it printed."""
    one = _parsed(job)
    return _told(one.host, {}, [one.word], ssh_scripts.WHY)


def _task(job: str, number: int) -> str:
    """There are no arrays."""
    return job


_BY_HAND = "does 'ssh HOST true' work by hand, without a question?"
_TROUBLES = (
    Trouble(r"is the disk shared\?", "a job needs the disk of the area, at the same place, on its host"),
    Trouble(r"cannot run '.*': command not found", "python=PATH of the launcher says where Python is on its hosts"),
    Trouble(r"there is no /proc", "only hosts with Linux can be used by ssh"),
    Trouble(
        r"Host key verification failed|IDENTIFICATION HAS CHANGED|No \S+ host key is known",
        "go there by 'ssh HOST true' once, and look whether its key is the right one",
    ),
    Trouble(r"Could not resolve hostname .*(?:Temporary failure|try again)", "is the name server there?", passing=True),
    Trouble(r"Could not resolve hostname", "is the name of the host right?"),
    Trouble(
        r"(?i)ticket (?:has )?expired|certificate .*expired|expired certificate|no kerberos credentials"
        r"|no credentials cache|credentials cache file",
        f"renew it (ssh-add, kinit or what your site uses); {_BY_HAND}",
    ),
    Trouble(
        r"Permission denied \(|Permission denied, please|Too many authentication failures|agent refused operation",
        f"is your key in the agent (ssh-add -l)? {_BY_HAND}",
    ),
    Trouble(r"(?i)account is (?:currently )?not available|account has expired|password has expired", _BY_HAND),
    Trouble(
        r"(?i)connection refused|timed? ?out|no route to host|network is unreachable|host is down|not responding"
        r"|connection (?:was )?closed|connection reset|connection to \S+ closed|lost connection|broken pipe"
        r"|kex_exchange_identification|not permitted to log in yet|resource temporarily unavailable|cannot fork",
        "is the host up, and does its sshd answer?",
        passing=True,
    ),
    Trouble(r"\A\s*\Z", f"the connection ended without a word; {_BY_HAND}", passing=True),
)  # fmt: skip

ENGINE = Engine(
    name="ssh",
    title="hosts by ssh, each with a number of slots",
    programs=("ssh",),
    text=text,
    submit=submit,
    job_id=r"^mt-ssh-job (\S+:\d+:\d+:[0-9a-f]+)$",
    task=_task,
    poll=poll,
    read=read,
    cancel=cancel,
    why=why,
    task_number=("", 0),
    own_id=("MT_SSH_JOB",),
    version=("ssh", "-V"),
    troubles=_TROUBLES,
    arrays=0,
    apart=host_of,
)
