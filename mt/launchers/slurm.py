"""The engine `slurm` (checked with Slurm 22.05; needs 20.02 or newer for `squeue --me`).

squeue shortens lists of waiting tasks to 64 characters unless it is asked for
one line for each task, so that is what it is asked for.  It lists ended jobs
for MinJobAge (300 s by default), sacct only where accounting is stored.
While an epilog runs (COMPLETING) squeue and scontrol tell how a job ended only
when that was its time limit: a cancelled one that ends with 0 at TERM has no
reason and an ExitCode of 0:0, as one that has simply ended.
A site may requeue our jobs: an order runs once, whoever begins it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mt.launchers.amounts import clock, megabytes
from mt.launchers.base import Argv, Engine, Job, Trouble, Unreadable, Word, script
from mt.launchers.lists import label, numbers, portions, quoted, shortened, wholes, word

FATES: Mapping[str, str] = {
    "PENDING": "queued", "CONFIGURING": "queued", "REQUEUED": "queued", "REQUEUE_FED": "queued",
    "POWER_UP_NODE": "queued", "EXPEDITING": "queued",
    "REQUEUE_HOLD": "held", "RESV_DEL_HOLD": "held", "SPECIAL_EXIT": "held",
    "RUNNING": "running", "COMPLETING": "running", "RESIZING": "running", "SIGNALING": "running",
    "STAGE_OUT": "running", "UPDATE_DB": "running",
    "SUSPENDED": "suspended", "STOPPED": "suspended",
    "COMPLETED": "done", "FAILED": "failed", "CANCELLED": "cancelled", "REVOKED": "cancelled",
    "TIMEOUT": "time-limit", "DEADLINE": "time-limit", "OUT_OF_MEMORY": "out-of-memory", "PREEMPTED": "preempted",
    "NODE_FAIL": "node-failed", "BOOT_FAIL": "node-failed", "LAUNCH_FAILED": "node-failed",
    "RECONFIG_FAIL": "node-failed",
}  # fmt: skip
#: reasons why a waiting job does not wait for its turn
_HELD = re.compile(r"JobHeld(User|Admin)|DependencyNeverSatisfied", re.I)
#: its host could not start it (a busy one lets credentials expire): it stays in the queue until somebody acts
_UNSTARTED = "launch failed requeued held"
_ID = re.compile(r"([0-9]+(?:\+[0-9]+)?)(?:_([0-9]+)|_\[([0-9,:-]+)(?:%[0-9]+)?\])?", re.ASCII)
_STATE = re.compile(r"[A-Z][A-Z0-9_]+", re.ASCII)

_TROUBLES = (
    Trouble(r"Max\w*Submit\w*(Limit|PerUser)|temporarily unable to accept job|too many jobs",
            "there are as many jobs as Slurm allows; jobs=N in the launcher makes them fewer", passing=True),
    Trouble(r"unable to contact slurm controller|socket timed out|connection (refused|timed out)|connect failure"
            r"|communication connection failure|zero bytes were transmitted|in standby mode",
            "the controller of Slurm is away: scontrol ping", passing=True),
    Trouble(r"munge encode failed", "munged does not run on this host: munge -n | unmunge", passing=True),
    Trouble(r"(expired|rewound|replayed|invalid) credential|credential (expired|rewound|replayed)|kerberos"
            r"|authentication (credential|error|failure)",
            "the credential is not accepted: clocks and keys of munge must agree (munge -n | unmunge)"),
    Trouble(r"configuration source|DNS SRV|slurm\.conf|s_p_parse_file",
            "Slurm is not set up here: SLURM_CONF, /etc/slurm/slurm.conf"),
    Trouble(r"invalid partition|partition .*(not available|not permitted|inactive|down)|no partition specified",
            "which partitions there are: sinfo -s"),
    Trouble(r"invalid account|account/partition", "which accounts you have: sacctmgr show assoc user=$USER"),
    Trouble(r"invalid qos|QOS specification", "which QOS you have: sacctmgr show assoc user=$USER format=qos"),
    Trouble(r"array (specification|size)|MaxArraySize", "how large arrays may be: scontrol show config"),
    Trouble(r"time ?limit", "what a partition allows: sinfo -o '%P %l'"),
    Trouble(r"memory (required|specification)|node configuration is not available|cpu count|processors requested"
            r"|node count|limit on (memory|cpu)", "what hosts have: sinfo -N -o '%N %c %m'"),
    Trouble(r"violates accounting/QOS policy|(Assoc|QOS)(Grp|Max)\w*", "what you may ask for: sacctmgr show assoc"),
    Trouble(r"licen[cs]e", "which licences there are: scontrol show licenses"),
    Trouble(r"feature specification|constraint", "which features hosts have: sinfo -o '%N %f'"),
    Trouble(r"unrecognized option|invalid option|invalid argument|unable to parse", "look at the flags: man sbatch"),
    Trouble(r"permission denied|not permitted|invalid user", "you may not submit there: sinfo -o '%P %g'"),
)  # fmt: skip


def text(job: Job) -> str:
    """The script, with all that is asked in its directives."""
    ask = job.ask
    file = f"{job.out}/".replace("%", "%%") + ("%A_%a.out" if job.tasks else "%j.out")
    lines = [f"--job-name={label(job.name)}", f"--output={quoted(file)}", "--open-mode=append"]
    lines += [f"--chdir={quoted(job.home)}", "--nodes=1", "--ntasks=1"]
    lines += [f"--cpus-per-task={ask.cores}"] if ask.cores else []
    lines += [f"--mem={megabytes(ask.memory)}M"] if ask.memory else []
    lines += [f"--time={clock(ask.time)}"] if ask.time else []
    lines += [f"--partition={quoted(ask.queue)}"] if ask.queue else []
    lines += [f"--account={quoted(ask.account)}"] if ask.account else []
    lines += [f"--licenses={quoted(ask.licences)}"] if ask.licences else []
    lines += [f"--signal=B:USR2@{min(job.notice, 65535)}"] if job.notice else []
    if job.tasks:
        lines.append(f"--array=0-{job.tasks - 1}" + (f"%{job.at_once}" if job.at_once else ""))
    return script("#SBATCH", lines, job.command)


def submit(job: Job, path: str) -> Argv:
    """Flags go onto the command line, where they win over the directives."""
    return ("sbatch", "--parsable", *job.ask.flags, path)


def poll(name: str, jobs: Sequence[str]) -> list[Argv]:
    """All jobs of this name, ended ones as well, one line for each task."""
    asked = ("--noheader", "--me", "--array", "--states=all", f"--name={label(name)}", "--format=%i|%T|%N|%r")
    return [("squeue", *asked)]


def read(answer: str) -> dict[str, Word]:
    """Lines of id, state, host, reason; lists of waiting tasks are taken apart."""
    found: dict[str, Word] = {}
    for line in answer.splitlines():
        if line.strip():
            ident, state, host, reason = [part.strip() for part in (*line.split("|", 3), "", "", "")][:4]
            found.update(_words(ident, state, host, reason, line))
    return found


def _words(ident: str, state: str, host: str, reason: str, line: str) -> dict[str, Word]:
    job = _ID.fullmatch(ident)
    state = state.removesuffix("+").partition(" ")[0]  # sacct: CANCELLED by 1000
    if not job or not _STATE.fullmatch(state):
        raise Unreadable(f"'{shortened(line)}' tells of no job")
    said = word(FATES, state, "" if reason in ("None", "(null)") else reason, "" if host == "None assigned" else host)
    if state == "PENDING" and _HELD.search(reason):
        said = said._replace(fate="held")
    if _UNSTARTED in reason:
        said = said._replace(fate="node-failed")
    if state == "COMPLETING" and reason == "TimeLimit":
        said = said._replace(fate="time-limit")
    base, task, several = job.groups()
    if several:
        return {f"{base}_{n}": said for n in numbers(several)}
    return {f"{base}_{task}" if task else base: said}


def past(jobs: Sequence[str]) -> Argv:
    """What accounting knows, by job and array."""
    ids = ",".join(wholes(jobs, "_"))
    return ("sacct", "--noheader", "--allocations", "--parsable2", "--format=JobID,State,NodeList", f"--jobs={ids}")


def cancel(jobs: Sequence[str]) -> list[Argv]:
    """Few calls; what has ended already is no error."""
    return portions(("scancel", "--quiet"), jobs)


ENGINE = Engine(
    "slurm", "Slurm (sbatch)", ("sbatch", "squeue", "scancel"), text, submit,
    job_id=r"^([0-9]+)(?:;\S+)?$",
    task=lambda array, number: f"{array}_{number}",
    poll=poll, read=read, cancel=cancel,
    why=lambda job: ("scontrol", "show", "job", job),
    task_number=("SLURM_ARRAY_TASK_ID", 0),
    own_id=("SLURM_ARRAY_JOB_ID", "SLURM_JOB_ID"),
    version=("sbatch", "--version"),
    past=past, read_past=read, troubles=_TROUBLES, arrays=1000, stuck=_UNSTARTED,
    ending="^COMPLETING", named=True,
)  # fmt: skip
