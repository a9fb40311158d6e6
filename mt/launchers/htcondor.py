"""The engine `htcondor` (not run against a real one: after the HTCondor manual, releases 9 to 24).

A job is described, not scripted; hosts must share the disk with us.  There are
no queues.  There is no limit of time either: a `periodic_remove` makes one, and
it also removes what was held for using too much memory, which would stay for
ever.  A removed job says why in its history.

With `max_materialize`, only some tasks of an array exist at first; the others
are counted as waiting, by what their array says of itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mt.launchers.amounts import megabytes
from mt.launchers.base import Argv, Engine, Job, Trouble, Unreadable, Word
from mt.launchers.lists import label, portions, shortened

STATES: Mapping[int, tuple[str, str]] = {
    0: ("queued", "Unexpanded"), 1: ("queued", "Idle"), 2: ("running", "Running"), 3: ("cancelled", "Removed"),
    4: ("done", "Completed"), 5: ("held", "Held"), 6: ("running", "Transferring Output"), 7: ("suspended", "Suspended"),
}  # fmt: skip
#: HoldReasonCodes that are limits: of memory, of time (JobDurationExceeded, JobExecuteExceeded)
HOLDS: Mapping[int, str] = {34: "out-of-memory", 46: "time-limit", 47: "time-limit"}
_REMOVED, _COMPLETED, _HELD = 3, 4, 5
_ATTRIBUTES = (
    "ClusterId", "ProcId", "JobStatus", "RemoteHost", "LastRemoteHost", "HoldReason", "HoldReasonCode",
    "LastHoldReasonCode", "RemoveReason", "ExitBySignal", "ExitSignal", "ExitCode", "TotalSubmitProcs",
    "JobMaterializeNextProcId",
)  # fmt: skip
_MOST = 1_000_000

_TROUBLES = (
    Trouble(r"MAX_JOBS_PER_OWNER|MAX_JOBS_SUBMITTED|number of jobs .*exceed|too many jobs",
            "there are as many jobs as HTCondor allows; jobs=N in the launcher makes them fewer", passing=True),
    Trouble(r"MAX_JOBS_PER_SUBMISSION|more than \d+ jobs",
            "how large arrays may be: condor_config_val MAX_JOBS_PER_SUBMISSION"),
    Trouble(r"authenticat|kerberos|token|credential|not authorized|permission denied",
            "the credential is not accepted: condor_ping -verbose WRITE, condor_token_list"),
    Trouble(r"can't find address|failed to connect|(unable|can't|cannot) (to )?(locate|connect)|connection refused"
            r"|failed to (end|fetch)|communication error|schedd.*(not responding|down)",
            "the schedd is away: condor_status -schedd", passing=True),
    Trouble(r"account|group", "which groups there are: condor_config_val GROUP_NAMES"),
    Trouble(r"submit_requirement|requirement",
            "the site refuses such jobs: condor_config_val SUBMIT_REQUIREMENT_NAMES"),
    Trouble(r"request_(memory|cpus)|RequestMemory|RequestCpus", "what hosts have: condor_status -compact"),
    Trouble(r"on line|parse|syntax|invalid", "look at the flags: each is KEY=VALUE of a submit description"),
)  # fmt: skip


def text(job: Job) -> str:
    """The description of a job, or of an array; flags are lines of it."""
    ask = job.ask
    part = "$(Cluster).$(Process)" if job.tasks else "$(Cluster)"
    names = {"_CONDOR_MT_ID": "$(Cluster)", **({"_CONDOR_MT_TASK": "$(Process)"} if job.tasks else {})}
    said: dict[str, str] = {
        "universe": "vanilla", "executable": "/usr/bin/env", "transfer_executable": "false",
        "arguments": _words(_plain(word) for word in job.command),
        "environment": _words(f"{name}={value}" for name, value in names.items()),
        "batch_name": label(job.name), "initialdir": _plain(job.home), "should_transfer_files": "NO",
        "output": f"{_plain(job.out)}/{part}.out", "error": f"{_plain(job.out)}/{part}.err", "notification": "Never",
    }  # fmt: skip
    said |= {"request_cpus": str(ask.cores)} if ask.cores else {}
    said |= {"request_memory": f"{megabytes(ask.memory)}M"} if ask.memory else {}
    said |= {"accounting_group": ask.account} if ask.account else {}
    said |= {"concurrency_limits": ask.licences} if ask.licences else {}
    said |= {"max_materialize": str(job.at_once)} if job.tasks and job.at_once else {}
    lines = [f"{key} = {value}" for key, value in said.items()]
    lines += [f"periodic_remove = {_removal(ask.time)}", *map(_flag, ask.flags)]
    return "\n".join([*lines, f"queue {job.tasks}" if job.tasks else "queue", ""])


def _removal(secs: float) -> str:
    held = f"(JobStatus == {_HELD} && HoldReasonCode == 34)"
    return f"{held} || (JobStatus == 2 && time() - EnteredCurrentStatus > {math.ceil(secs)})" if secs else held


def _flag(flag: str) -> str:
    key, _, value = flag.partition("=")
    return f"{key.strip()} = {value.strip()}"


def _plain(text: str) -> str:
    """Text in which nothing is a macro."""
    return text.replace("$", "$(DOLLAR)")


def _words(words: Iterator[str]) -> str:
    """Words in the quotes of a description: double ones around all, single ones around each, doubled to be meant."""
    each = (f"'{one}'" if re.search(r"[\s']|^$", one) else one for one in (w.replace("'", "''") for w in words))
    inner = " ".join(each).replace('"', '""')
    return f'"{inner}"'


def submit(job: Job, path: str) -> Argv:
    """Everything is in the description."""
    return ("condor_submit", path)


def poll(name: str, jobs: Sequence[str]) -> list[Argv]:
    """All jobs of this name that are in the queue."""
    wanted = f'JobBatchName == "{label(name)}"'
    return [("condor_q", "-json", "-attributes", ",".join(_ATTRIBUTES), "-constraint", wanted)]


def read(answer: str) -> dict[str, Word]:
    """Lists of ClassAds in JSON; the first task of an array also answers for a job that is none."""
    found: dict[str, Word] = {}
    for ad in _ads(answer):
        cluster, proc, status = (_int(ad, key) for key in ("ClusterId", "ProcId", "JobStatus"))
        if cluster is None or proc is None or status is None:
            raise Unreadable(f"'{shortened(str(ad))}' is no job with a status")
        said = _word(ad, status)
        found[f"{cluster}.{proc}"] = said
        if proc == 0:
            found[str(cluster)] = said
        for number in _unborn(ad):
            found.setdefault(f"{cluster}.{number}", Word("queued", "Idle (not materialized)"))
    return found


def _unborn(ad: Mapping[str, Any]) -> range:
    """Numbers of tasks that are still to come into being."""
    following, total = _int(ad, "JobMaterializeNextProcId"), _int(ad, "TotalSubmitProcs")
    if following is None or total is None or following < 0 or total > _MOST:
        return range(0)
    return range(following, total)


def _ads(answer: str) -> Iterator[Mapping[str, Any]]:
    """The ads of one list or of several, one for each schedd; nothing at all where there are none."""
    rest = answer.strip()
    while rest:
        try:
            ads, end = json.JSONDecoder(strict=False).raw_decode(rest)
        except (ValueError, RecursionError) as e:
            raise Unreadable(f"this is no JSON of HTCondor: {shortened(rest)}") from e
        if not isinstance(ads, list) or not all(isinstance(ad, dict) for ad in ads):
            raise Unreadable(f"this is no list of ClassAds: {shortened(rest)}")
        yield from ads
        rest = rest[end:].strip()


def _int(ad: Mapping[str, Any], key: str) -> int | None:
    value = ad.get(key)
    return value if type(value) is int else None


def _word(ad: Mapping[str, Any], status: int) -> Word:
    fate, said = STATES.get(status, ("running", f"JobStatus {status}"))
    host = str(ad.get("RemoteHost") or ad.get("LastRemoteHost") or "").rpartition("@")[2]
    reason = " ".join(str(ad.get("HoldReason" if status == _HELD else "RemoveReason") or "").split())
    if status == _HELD:
        fate = HOLDS.get(_int(ad, "HoldReasonCode") or 0, "held")
    elif status == _REMOVED and "PeriodicRemove" in reason:
        held = _int(ad, "HoldReasonCode") or _int(ad, "LastHoldReasonCode") or 0
        fate = HOLDS.get(held, "time-limit")
    elif status == _COMPLETED and (how := _failure(ad)):
        fate, reason = "failed", how
    else:
        reason = reason if status == _REMOVED else ""
    return Word(fate, f"{said} ({shortened(reason)})" if reason else said, host)


def _failure(ad: Mapping[str, Any]) -> str:
    if ad.get("ExitBySignal") is True:
        return f"signal {_int(ad, 'ExitSignal')}"
    code = _int(ad, "ExitCode")
    return f"exit code {code}" if code else ""


def past(jobs: Sequence[str]) -> Argv:
    """What history says; it is read from its end, and the search stops when as many are found as were asked for."""
    asked = ("-json", "-attributes", ",".join(_ATTRIBUTES), "-match", str(len(jobs)))
    return ("condor_history", *asked, *jobs)


def cancel(jobs: Sequence[str]) -> list[Argv]:
    """Few calls."""
    return portions(("condor_rm",), jobs)


ENGINE = Engine(
    "htcondor", "HTCondor (condor_submit)", ("condor_submit", "condor_q", "condor_rm"), text, submit,
    job_id=r"(?:submitted to cluster |^)([0-9]+)(?:\.[0-9]+ - [0-9]+\.[0-9]+)?\.?$",
    task=lambda array, number: f"{array.partition('.')[0]}.{number}",
    poll=poll, read=read, cancel=cancel,
    why=lambda job: ("condor_q", "-better-analyze", job),
    task_number=("_CONDOR_MT_TASK", 0),
    own_id=("_CONDOR_MT_ID",),
    version=("condor_version",),
    past=past, read_past=read, troubles=_TROUBLES, arrays=1000, named=True,
)  # fmt: skip
