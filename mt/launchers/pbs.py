"""The engine `pbs`: OpenPBS and PBS Professional (not run against a real one: after its documentation).

Torque has the same commands and other options, so it is an engine of its own
(`torque.py`) that shares what can be shared.  Both write `qstat -f` alike, as
plain text; JSON, which OpenPBS can write as well, is read too.

There is no directive for the directory to begin in, and an array must have two
tasks: the range `0-1:2` has one.  A task is `123[4].server`, its array
`123[].server`.  Jobs are known to each other with and without the server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mt.launchers.amounts import clock, megabytes
from mt.launchers.base import Argv, Engine, Job, Trouble, Unreadable, Word, script
from mt.launchers.lists import label, portions, quoted, shortened, word

#: letters of both engines; F, X and C have ended, `ended` says how
FATES: Mapping[str, str] = {
    "Q": "queued", "W": "queued", "T": "queued", "M": "queued", "H": "held",
    "R": "running", "B": "running", "E": "running", "S": "suspended", "U": "suspended",
    "F": "done", "X": "done", "C": "done",
}  # fmt: skip
#: exit statuses below 0 are the server's own words
LIMITS: Mapping[int, str] = {
    -24: "time-limit", -25: "time-limit", -26: "out-of-memory", -27: "out-of-memory", -28: "time-limit",
    -29: "time-limit", -20: "node-failed", -14: "node-failed", -11: "preempted", -18: "preempted",
}  # fmt: skip
#: more than this in an exit status is a signal; the server's own way to end a job is TERM
_SIGNAL, _TERM, _KILL = 256, 15, 9
_DELETED = "91"  # the substate of a job that was deleted

_HEAD = re.compile(r"^Job Id: *(\S+)$", re.MULTILINE)
_FIELD = re.compile(r"^ {2,8}([A-Za-z_.]+) = (.*)$", re.MULTILINE)
_ID = re.compile(r"[0-9]+(?:\[[0-9]*\])?(?:\.[\w.-]+)?(?:@[\w.-]+)?", re.ASCII)

_AWAY = "the PBS server is away: qstat -B"
_CREDENTIAL = "the credential is not accepted: look at pbs_iff, munge or your ticket (klist)"
TROUBLES = (
    Trouble(r"maximum number of jobs|would exceed .*limit|too many (queued )?jobs|user job limit",
            "there are as many jobs as PBS allows; jobs=N in the launcher makes them fewer", passing=True),
    Trouble(r"credential|errno=15019\b|pbs_iff: error|munge|kerberos|authenticat", _CREDENTIAL),
    Trouble(r"connection refused|pbs_iff: cannot connect|communication failure|no default server|connection timed out"
            r"|end of file|server (is )?(busy|shutting)|expired while waiting|premature end", _AWAY, passing=True),
    Trouble(r"no permission|errno=15007\b|pbs_iff", _CREDENTIAL),
    Trouble(r"cannot connect to server", _AWAY, passing=True),
    Trouble(r"unknown queue|queue.*(not enabled|not started)|access to queue|route queue",
            "which queues there are: qstat -Q"),
    Trouble(r"invalid account|account|project", "which accounts you have: ask whoever runs PBS"),
    Trouble(r"illegal -[Jt] value|array.*(exceed|limit|size|too large)|max_array|slot_limit",
            "how large arrays may be: qmgr -c 'print server' (max_array_size, max_slot_limit)"),
    Trouble(r"violates .*limits|exceed\w* .*(resource|max)|illegal attribute or resource value|resources?_max",
            "what a queue allows: qstat -Qf"),
    Trouble(r"unknown resource|resource.*(unknown|invalid)|not enough|cannot be satisfied",
            "what hosts have: pbsnodes -a"),
    Trouble(r"unauthorized|bad uid|permission|no password entry", "you may not submit there: ask whoever runs PBS"),
    Trouble(r"(invalid|illegal|unknown) option -- '?[JtWd]\b",
            "qsub --version tells which PBS this is: -L pbs, -L torque"),
    Trouble(r"illegal option|invalid option|usage:", "look at the flags: man qsub"),
)  # fmt: skip


def text(job: Job) -> str:
    """The script for OpenPBS."""
    ask = job.ask
    lines = common(job)
    asked = (f":ncpus={ask.cores}" if ask.cores else "") + (f":mem={megabytes(ask.memory)}mb" if ask.memory else "")
    lines += [f"-l select=1{asked}"] if asked else []
    if job.tasks:
        many = f"0-{job.tasks - 1}" if job.tasks > 1 else "0-1:2"
        lines.append(f"-J {many}" + (f"%{job.at_once}" if job.at_once else ""))
    return script("#PBS", lines, job.command, job.home)


def common(job: Job) -> list[str]:
    """Directives of OpenPBS and Torque; a directory for the output gets a file for each task."""
    ask = job.ask
    lines = [f"-N {label(job.name, 15)}", "-S /bin/sh", "-j oe", "-m n", f"-o {quoted(f'{job.out}/')}"]
    lines += [f"-l walltime={clock(ask.time)}"] if ask.time else []
    lines += [f"-l {quoted(ask.licences)}"] if ask.licences else []
    lines += [f"-q {quoted(ask.queue)}"] if ask.queue else []
    lines += [f"-A {quoted(ask.account)}"] if ask.account else []
    return lines


def submit(job: Job, path: str) -> Argv:
    """Flags go onto the command line, where they win over the directives."""
    return ("qsub", *job.ask.flags, path)


def task(array: str, number: int) -> str:
    """`123[4].server`, from the id of the array or of any of its tasks."""
    base, dot, server = array.partition(".")
    return f"{base.partition('[')[0]}[{number}]{dot}{server}"


def poll(name: str, jobs: Sequence[str]) -> list[Argv]:
    """Arrays once, with all their tasks; qstat cannot look for a name and tell why jobs wait.

    It prints what it knows, and has a bad status when it does not know one.
    """
    return [("qstat", "-t", "-f", *roots(jobs))]


def roots(jobs: Sequence[str]) -> list[str]:
    """Jobs, and arrays in place of their tasks; each once."""
    return list(dict.fromkeys(re.sub(r"\[[0-9]+\]", "[]", job) for job in jobs))


def past(jobs: Sequence[str]) -> Argv:
    """What the server remembers, for job_history_duration, where job_history_enable is set."""
    return ("qstat", "-x", "-t", "-f", *roots(jobs))


def read(answer: str) -> dict[str, Word]:
    """What `qstat -f` prints."""
    return read_with(answer, LIMITS)


def read_with(answer: str, limits: Mapping[int, str]) -> dict[str, Word]:
    """Plain text or JSON of `qstat -f`; a job is known with its server and without."""
    found: dict[str, Word] = {}
    for ident, fields in _jobs(answer):
        if not _ID.fullmatch(ident) or not re.fullmatch("[A-Z]", fields.get("job_state", "")):
            raise Unreadable(f"'{shortened(ident)}' is no job with a state")
        found[ident] = found[ident.partition(".")[0]] = _word(fields, limits)
    return found


def _jobs(answer: str) -> list[tuple[str, dict[str, str]]]:
    if answer.lstrip().startswith("{"):
        return _of_json(answer)
    flat = re.sub(r"\r?\n\t", "", answer)  # long lines are broken, and go on after a tab
    heads = list(_HEAD.finditer(flat))
    if not heads:
        if flat.strip():
            raise Unreadable(f"'{shortened(flat.strip())}' tells of no job")
        return []
    ends = [head.start() for head in heads[1:]] + [len(flat)]
    blocks = [flat[head.end() : end] for head, end in zip(heads, ends, strict=True)]
    return [(head[1], dict(_FIELD.findall(block)[::-1])) for head, block in zip(heads, blocks, strict=True)]


def _of_json(answer: str) -> list[tuple[str, dict[str, str]]]:
    try:
        said: Any = json.loads(answer, strict=False)
        jobs = said.get("Jobs", {})
        return [(ident, {key: str(value) for key, value in fields.items()}) for ident, fields in jobs.items()]
    except (ValueError, AttributeError, RecursionError) as e:
        raise Unreadable(f"this is no JSON of qstat: {shortened(str(e))}") from e


def _word(fields: Mapping[str, str], limits: Mapping[int, str]) -> Word:
    state = fields["job_state"]
    host = re.split(r"[/+*]", fields.get("exec_host", "").strip("("), maxsplit=1)[0]
    if FATES.get(state) == "done":
        return _ended(fields, limits)._replace(host=host)
    return word(FATES, state, fields.get("comment", "").strip(), host)


def _ended(fields: Mapping[str, str], limits: Mapping[int, str]) -> Word:
    """How a job of a state `ended` came to its end."""
    state, text = fields["job_state"], fields.get("Exit_status", fields.get("exit_status", "")).strip()
    status = int(text) if re.fullmatch(r"-?[0-9]{1,6}", text, re.ASCII) else None
    said = f"{state} (Exit_status {text})" if text else state
    if status is None:
        return Word("cancelled" if fields.get("substate") == _DELETED else "done", said)
    if status < 0:
        return Word(limits.get(status, "failed"), said)
    if fields.get("substate") == _DELETED or status in (_SIGNAL + _TERM, _SIGNAL + _KILL, 128 + _TERM, 128 + _KILL):
        return Word("cancelled", said)
    return Word("failed" if status else "done", said)


def cancel(jobs: Sequence[str]) -> list[Argv]:
    """Few calls."""
    return portions(("qdel",), jobs)


ENGINE = Engine(
    "pbs", "OpenPBS, PBS Professional (qsub)", ("qsub", "qstat", "qdel"), text, submit,
    job_id=r"^([0-9]+(?:\[\])?(?:\.[\w.-]+)?)$",
    task=task, poll=poll, read=read, cancel=cancel,
    why=lambda job: ("qstat", "-f", job),
    task_number=("PBS_ARRAY_INDEX", 0),
    own_id=("PBS_JOBID",),
    version=("qsub", "--version"),
    past=past, read_past=read, troubles=TROUBLES, arrays=1000,
    missing=r"unknown job ?id|job has finished", maker=r"pbs_version|openpbs|pbs ?pro",
)  # fmt: skip
