"""The engine `lsf`: IBM Spectrum LSF 10.1 (not run against a real one: after IBM's documentation).

bsub reads a script with directives from its standard input only.  Tasks count
from 1.  bjobs lists ended jobs for CLEAN_PERIOD (an hour by default), and so
does `-a`; bhist knows them for longer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mt.launchers.amounts import megabytes, minutes
from mt.launchers.base import Argv, Engine, Job, Trouble, Unreadable, Word, script
from mt.launchers.lists import label, portions, quoted, shortened, word

FATES: Mapping[str, str] = {
    "PEND": "queued", "PROV": "queued", "WAIT": "queued", "PSUSP": "held",
    "RUN": "running", "UNKWN": "running", "USUSP": "suspended", "SSUSP": "suspended",
    "DONE": "done", "EXIT": "failed", "ZOMBI": "node-failed",
}  # fmt: skip
#: what is said to have ended a job
ENDS: Mapping[str, str] = {
    "TERM_RUNLIMIT": "time-limit", "TERM_CPULIMIT": "time-limit", "TERM_DEADLINE": "time-limit",
    "TERM_MEMLIMIT": "out-of-memory", "TERM_SWAP": "out-of-memory",
    "TERM_PREEMPT": "preempted", "TERM_WINDOW": "preempted", "TERM_LOAD": "preempted",
    "TERM_REQUEUE_OWNER": "preempted", "TERM_REQUEUE_ADMIN": "preempted", "TERM_REQUEUE_RC": "preempted",
    "TERM_OWNER": "cancelled", "TERM_FORCE_OWNER": "cancelled", "TERM_ADMIN": "cancelled",
    "TERM_FORCE_ADMIN": "cancelled", "TERM_BUCKET_KILL": "cancelled", "TERM_ORPHAN_SYSTEM": "cancelled",
    "TERM_ZOMBI": "node-failed", "TERM_REMOVE_HUNG_JOB": "node-failed",
}  # fmt: skip
_FIELDS = "jobid jobindex stat exec_host exit_reason pend_reason delimiter='|'"
_ID = re.compile(r"([0-9]+)(?:\[([0-9]+)\])?", re.ASCII)
_TERM = re.compile(r"\bTERM_[A-Z_]+")
#: a job of bhist, to the begin of the next one
_BLOCK = re.compile(r"^Job <([0-9]+(?:\[[0-9]+\])?)>", re.MULTILINE)
_HOST = re.compile(r"\b(?:started|dispatched)[^\n<]* <(?:\d+\*)?([^>\s]+)>", re.IGNORECASE)

_TROUBLES = (
    Trouble(r"pending job (slot )?threshold|job slot limit reached|job limit (has been )?reached|too many jobs",
            "there are as many jobs as LSF allows; jobs=N in the launcher makes them fewer", passing=True),
    Trouble(r"authentication fail|user permission denied|kerberos|credential|token expired|eauth",
            "the credential is not accepted: renew it (kinit), then bsub -V and lsid"),
    Trouble(r"LSF is down|LIM is down|cannot connect to LSF|daemon (is )?not responding|still trying|slave LIM"
            r"|communication (time ?out|error)|connection refused|mbatchd.*(down|busy)",
            "LSF is away: badmin showstatus", passing=True),
    Trouble(r"lsf\.conf|LSF_ENVDIR|environment.*not set", "LSF is not set up here: source its profile.lsf"),
    Trouble(r"no such queue|cannot use the queue|queue.*(closed|inactive|not accept)",
            "which queues you have: bqueues -u $USER"),
    Trouble(r"project|no such (user )?group|account", "which projects there are: ask whoever runs LSF; bugroup, bapp"),
    Trouble(r"array.*(too (large|many)|exceed|limit|size)|MAX_JOB_ARRAY_SIZE", "arrays are too large: bparams -a"),
    Trouble(r"exceed queue's hard limit|RUNLIMIT|MEMLIMIT|run ?limit|memory limit", "what a queue allows: bqueues -l"),
    Trouble(r"resource requirement|processors? (requested|requirement)|too many processors|host.*(not satisf|eligible)",
            "what hosts have: bhosts, lshosts, bqueues -l"),
    Trouble(r"esub|aborted by", "the site's esub does not take the job: look at what it printed"),
    Trouble(r"illegal option|invalid option|bad argument|bad (job )?name", "look at the flags: man bsub"),
)  # fmt: skip


def text(job: Job) -> str:
    """The script, with all that is asked in its directives."""
    ask, name = job.ask, label(job.name)
    if job.tasks:
        name += f"[1-{job.tasks}]" + (f"%{job.at_once}" if job.at_once else "")
    file = f"{job.out}/" + ("%J_%I.out" if job.tasks else "%J.out")
    lines = [f'-J "{name}"', f"-o {quoted(file)}", f"-cwd {quoted(job.home)}"]
    lines += [f"-n {ask.cores}", '-R "span[hosts=1]"'] if ask.cores else []
    if ask.memory:
        lines += [f"-M {megabytes(ask.memory)}MB", f'-R "rusage[mem={megabytes(ask.memory)}MB/host]"']
    lines += [f'-R "rusage[{ask.licences}]"'] if ask.licences else []
    lines += [f"-q {quoted(ask.queue)}"] if ask.queue else []
    lines += [f"-P {quoted(ask.account)}"] if ask.account else []
    if ask.time:
        limit, notice = minutes(ask.time), minutes(job.notice)
        lines.append(f"-W {limit // 60}:{limit % 60:02}")
        lines += [f"-wa USR2 -wt {notice}"] if 0 < notice < limit else []
    return script("#BSUB", lines, job.command)


def submit(job: Job, path: str) -> Argv:
    """The script as standard input: a shell opens it, and bsub takes the shell's place."""
    return ("/bin/sh", "-c", 'script=$1; shift; exec bsub "$@" <"$script"', "bsub", path, *job.ask.flags)


def poll(name: str, jobs: Sequence[str]) -> list[Argv]:
    """All jobs of this name, ended ones as well."""
    return [("bjobs", "-a", "-noheader", "-J", label(name), "-o", _FIELDS)]


def read(answer: str) -> dict[str, Word]:
    """Lines of id, task, state, host, why it ended, why it waits."""
    found: dict[str, Word] = {}
    for line in answer.splitlines():
        if line.strip():
            ident, index, state, host, ended, waits = [part.strip() for part in (*line.split("|", 5), *[""] * 5)][:6]
            job = _ID.fullmatch(ident)
            if not job or not re.fullmatch(r"[0-9]*|-", index, re.ASCII) or not re.fullmatch("[A-Z]+", state):
                raise Unreadable(f"'{shortened(line)}' tells of no job")
            task = job[2] or (index.strip("-0") and index)
            found[f"{job[1]}[{int(task)}]" if task else job[1]] = _word(state, host, ended, waits)
    return found


def _word(state: str, host: str, ended: str, waits: str) -> Word:
    first = host.split(":", 1)[0].rpartition("*")[2].strip("-")
    term = _TERM.search(ended)
    if state == "EXIT" and term:
        return Word(ENDS.get(term[0], "failed"), f"EXIT ({term[0]})", first)
    reason = ended if state == "EXIT" else waits
    return word(FATES, state, reason.strip(" -;"), first)


def past(jobs: Sequence[str]) -> Argv:
    """What the event files of LSF know, all of them, in lines that are not wrapped."""
    return ("bhist", "-n", "0", "-UF", "-l", *jobs)


def read_past(answer: str) -> dict[str, Word]:
    """Blocks that begin with `Job <ID>`; a job that has not ended is left out."""
    found: dict[str, Word] = {}
    marks = list(_BLOCK.finditer(answer))
    for at, mark in enumerate(marks, 1):
        block = answer[mark.end() : marks[at].start() if at < len(marks) else None]
        host = next((h for h in _HOST.findall(block)), "")
        term = _TERM.search(block)
        if re.search(r"Done successfully|Completed <done>", block):
            found[mark[1]] = word(FATES, "DONE", "", host)
        elif term and re.search(r"Completed <exit>|Exited", block):
            found[mark[1]] = Word(ENDS.get(term[0], "failed"), f"EXIT ({term[0]})", host)
        elif ended := re.search(r"Exited (?:with exit code|by signal) \d+|Completed <exit>|Exited", block):
            found[mark[1]] = word(FATES, "EXIT", ended[0].lower(), host)
    return found


def cancel(jobs: Sequence[str]) -> list[Argv]:
    """Few calls."""
    return portions(("bkill",), jobs)


ENGINE = Engine(
    "lsf", "IBM Spectrum LSF (bsub)", ("bsub", "bjobs", "bkill"), text, submit,
    job_id=r"^Job <([0-9]+)> is submitted",
    task=lambda array, number: f"{array}[{number + 1}]",
    poll=poll, read=read, cancel=cancel,
    why=lambda job: ("bjobs", "-l", job),
    task_number=("LSB_JOBINDEX", 1),
    own_id=("LSB_JOBID",),
    version=("bsub", "-V"),
    past=past, read_past=read_past, troubles=_TROUBLES, arrays=1000, named=True,
    missing=r"no (matching |unfinished )?job found|job <.*> is not found",
)  # fmt: skip
