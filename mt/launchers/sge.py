"""The engine `sge`: Grid Engine and its descendants (formats of Son of Grid Engine 8.1.9).

Tasks count from 1.  qstat lists what has not ended, of the user who asks, and
drops a job at its end; qacct tells how it ended.  qsub prints a warning and its
usual sentence, not the plain id, when it has something to say, so `-terse` is
of no use.  Cores need a parallel environment, which sites mostly call `smp`;
others go into the flags, as in `flags='-pe threads 4'`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from mt.launchers.amounts import megabytes, memory
from mt.launchers.base import Argv, Engine, Job, Trouble, Unreadable, Word, script
from mt.launchers.lists import label, numbers, portions, quoted, shortened, wholes

#: letters of a state, the first that is there decides; `d` is on its way out, and runs until it is gone
_LETTERS = (("E", "failed"), ("S", "suspended"), ("s", "suspended"), ("T", "suspended"), ("r", "running"),
            ("t", "running"), ("d", "running"), ("R", "queued"), ("h", "held"), ("q", "queued"), ("w", "queued"),
            ("z", "done"))  # fmt: skip
#: what accounting gives as `failed`: by it the end was the limit's, the host's, or the queue's own
FAILURES: Mapping[int, str] = {
    37: "time-limit", 21: "node-failed", 22: "node-failed", 20: "node-failed", 24: "preempted", 25: "preempted",
    33: "node-failed", 100: "cancelled",
}  # fmt: skip
_STATE = re.compile(r"[A-Za-z]{1,12}")
_ACCOUNT = re.compile(r"^([a-z_]+) +(.*?) *$", re.MULTILINE)
#: what a shell reports after KILL, TERM, and USR2, which comes before KILL with `-notify`
_KILLED = (137, 143, 140)
_RESCHEDULED = 25

_TROUBLES = (
    Trouble(r"only \d+ jobs are allowed|too many jobs|max_u?_?jobs|job limit",
            "there are as many jobs as Grid Engine allows; jobs=N in the launcher makes them fewer", passing=True),
    Trouble(r"kerberos|gss|credential|certificate|ssl error|munge",
            "the credential is not accepted: renew it (kinit), or sge_ca"),
    Trouble(r"commlib|unable to (contact|send message to|connect to) qmaster|cannot reach|got (read|select) error"
            r"|connection refused|qmaster.*(not running|timeout)", "the qmaster is away: qping", passing=True),
    Trouble(r"SGE_ROOT|SGE_CELL|cell directory|settings\.c?sh",
            "Grid Engine is not set up here: source its settings.sh"),
    Trouble(r"parallel environment|\bPE\b", "which parallel environments there are: qconf -spl; flags='-pe NAME 4'"),
    Trouble(r"unknown queue|queue .*(does not exist|not known)|cluster queue", "which queues there are: qconf -sql"),
    Trouble(r"project|access denied to|account", "which projects there are: qconf -sprjl"),
    Trouble(r"max_aj_tasks|(only|more than) \d+ tasks|invalid task id|tasks? .*(allowed|range)",
            "how large arrays may be: qconf -sconf"),
    Trouble(r"no suitable queues|unknown resource|cannot run in|offers only|exceed|resource quota|h_rt|h_vmem|limit",
            "what queues and hosts offer: qconf -sq QUEUE, qhost, qquota"),
    Trouble(r"not allowed|permission|denied|no (permission|access)", "you may not submit there: qconf -sul"),
    Trouble(r"jsv", "the site's JSV does not take the job: look at what it printed"),
    Trouble(r"unknown option|invalid option|unknown argument|illegal", "look at the flags: man qsub"),
)  # fmt: skip


def text(job: Job) -> str:
    """The script, with all that is asked in its directives; memory is asked with `mem_free`, for the whole job."""
    ask = job.ask
    file = f"{job.out}/" + ("$JOB_ID.$TASK_ID.out" if job.tasks else "$JOB_ID.out")
    lines = [f"-N {label(job.name)}", "-S /bin/sh", "-j y", f"-o {quoted(file)}", f"-wd {quoted(job.home)}"]
    lines += [f"-pe smp {ask.cores}"] if ask.cores > 1 and "-pe" not in ask.flags else []
    lines += [f"-l mem_free={megabytes(ask.memory)}M"] if ask.memory else []
    lines += [f"-l {quoted(ask.licences)}"] if ask.licences else []
    lines += [f"-q {quoted(ask.queue)}"] if ask.queue else []
    lines += [f"-P {quoted(ask.account)}"] if ask.account else []
    lines.append("-notify")  # the end comes some time after a signal, however short the job: to end what it has started
    if ask.time:
        limit = math.ceil(ask.time)
        lines.append(f"-l h_rt={limit}")
        lines += [f"-l s_rt={limit - job.notice}"] if 0 < job.notice < limit else []
    if job.tasks:
        lines += [f"-t 1-{job.tasks}", *([f"-tc {job.at_once}"] if job.at_once else [])]
    return script("#$", lines, job.command)


def submit(job: Job, path: str) -> Argv:
    """Flags go onto the command line, where they win over the directives."""
    return ("qsub", *job.ask.flags, path)


def poll(name: str, jobs: Sequence[str]) -> list[Argv]:
    """All jobs of the user: qstat looks for no names."""
    return [("qstat", "-xml")]


def read(answer: str) -> dict[str, Word]:
    """The XML of qstat; ranges of waiting tasks are taken apart."""
    if not answer.strip():
        return {}
    found: dict[str, Word] = {}
    for entry in _tree(answer).iter("job_list"):
        ident = (entry.findtext("JB_job_number") or "").strip()
        state = (entry.findtext("state") or "").strip()
        if not (ident.isascii() and ident.isdigit()) or not _STATE.fullmatch(state):
            raise Unreadable(f"'{shortened(ident or 'a job')}' has no number or no state")
        fate = next((fate for letter, fate in _LETTERS if letter in state), "running")
        said = Word(fate, state, _host(entry.findtext("queue_name") or ""))
        tasks = (entry.findtext("tasks") or "").strip()
        found.update({f"{ident}.{n}": said for n in numbers(tasks)} if tasks else {ident: said})
    return found


def _tree(answer: str) -> ElementTree.Element:
    if "<!DOCTYPE" in answer or "<!ENTITY" in answer:
        raise Unreadable("this is no XML of qstat")
    try:
        # a control character in somebody's job name must not hide all jobs
        clean = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in answer)
        return ElementTree.fromstring(clean)  # noqa: S314 - without a DOCTYPE nothing in it can grow
    except (ElementTree.ParseError, ValueError) as e:
        raise Unreadable(f"this is no XML of qstat: {shortened(answer.strip())}") from e


def _host(queue: str) -> str:
    return queue.strip().partition("@")[2]


def past(jobs: Sequence[str]) -> Argv:
    """qacct takes one job at a time, and fails for one that is not in its file yet, which says nothing."""
    loop = 'for job; do qacct -j "$job" 2>&1; done; :'
    return ("/bin/sh", "-c", loop, "qacct", *wholes(jobs, "."))


def read_past(answer: str) -> dict[str, Word]:
    """Blocks of names and values, parted by lines of `=`; the last one of a job that ran again counts.

    Of a host that was cut off, Grid Engine kills the job when it is back, after
    it has started it elsewhere: that looks as if somebody had deleted the job.
    """
    found: dict[str, Word] = {}
    again: set[str] = set()
    for block in re.split(r"^=+ *$", answer, flags=re.MULTILINE):
        fields = dict(_ACCOUNT.findall(block))
        ident, task = fields.get("jobnumber", ""), fields.get("taskid", "")
        if not (ident.isascii() and ident.isdigit()):
            continue
        one = f"{ident}.{task}" if task.isascii() and task.isdigit() else ident
        found[one] = _ended(fields)
        if _number(fields.get("failed", "")) == _RESCHEDULED:
            again.add(one)
        elif one in again and found[one].fate == "cancelled":
            found[one] = found[one]._replace(fate="node-failed")
    return found


def _ended(fields: Mapping[str, str]) -> Word:
    failed, status = (_number(fields.get(key, "")) for key in ("failed", "exit_status"))
    host = fields.get("hostname", "")
    if failed:
        fate = "out-of-memory" if _outgrown(fields) else FAILURES.get(failed, "failed")
        fate = "failed" if fate == "cancelled" and status not in _KILLED else fate
        return Word(fate, f"failed {' '.join(fields['failed'].split())}", host)
    return Word("failed" if status else "done", f"exit_status {status}", host)


def _outgrown(fields: Mapping[str, str]) -> bool:
    """Whether a job used more memory than it had asked for as its limit, which Grid Engine only ends by KILL."""
    limit = re.search(r"\bh_vmem=([0-9.]+[KMGT]?)", fields.get("category", ""), re.IGNORECASE)
    used = re.match(r"[0-9.]+[KMGT]?", fields.get("maxvmem", ""), re.IGNORECASE)
    if not (limit and used):
        return False
    try:
        return memory(used[0]) >= memory(limit[1])
    except ValueError:
        return False


def _number(text: str) -> int:
    found = re.match(r"[0-9]{1,6}", text, re.ASCII)
    return int(found[0]) if found else 0


def cancel(jobs: Sequence[str]) -> list[Argv]:
    """Few calls."""
    return portions(("qdel",), jobs)


ENGINE = Engine(
    "sge", "Grid Engine (qsub)", ("qsub", "qstat", "qdel"), text, submit,
    job_id=r"^(?:Your job(?:-array)? )?([0-9]+)(?:\.[0-9]+-[0-9]+:[0-9]+)?(?: \(.*\) has been submitted|$)",
    task=lambda array, number: f"{array}.{number + 1}",
    poll=poll, read=read, cancel=cancel,
    why=lambda job: ("qstat", "-j", job.partition(".")[0]),
    task_number=("SGE_TASK_ID", 1),
    own_id=("JOB_ID",),
    version=("qstat", "-help"),
    past=past, read_past=read_past, troubles=_TROUBLES, arrays=1000,
    maker=r"\b(S|U|O|A)?GE\b|grid engine",
    end_signals=("TERM", "USR2"),  # with -notify it is USR2 before KILL, also for qdel; s_rt sends USR1
    stuck="E",  # what could not be started stays in the queue
    late=25.0,  # accounting is written every 15 s, unless a site says otherwise
)  # fmt: skip
