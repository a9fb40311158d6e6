"""Jobs in the words of LSF."""

from __future__ import annotations

from batchfakes.records import ENDED, GONE, PENDING, Job, Task
from batchfakes.site import Site
from batchfakes.words import indices

#: words of the knob `end_word` -> what `exit_reason` says
_REASONS = {
    "preempted": "TERM_PREEMPT: job killed after preemption",
    "memory": "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit",
    "time": "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
    "node": "TERM_ZOMBI: job exited while LSF is not available",
}


def identity(job: Job, task: Task) -> str:
    return f"{job.id}[{task.number}]" if job.array else f"{job.id}"


def shown_name(job: Job, task: Task) -> str:
    return f"{job.name}[{task.number}]" if job.array else job.name


def state(job: Job, task: Task) -> str:
    """In the words of bjobs."""
    if task.state == ENDED:
        return "DONE" if not task.status and not task.word and not task.killed else "EXIT"
    if task.state == PENDING:
        return "PSUSP" if job.spec.get("held") else "PEND"
    return "SSUSP" if task.suspended else "RUN"


def exit_code(task: Task) -> int:
    """128 and the signal, where one ended the job."""
    return 128 + task.signal if task.signal else task.code


def exit_reason(task: Task) -> str:
    if task.word in _REASONS:
        return _REASONS[task.word]
    return "TERM_OWNER: job killed by owner" if task.killed else ""


def select(site: Site, word: str, name: str) -> list[tuple[Job, Task]]:
    """The tasks that `123`, `123[4-6]`, or a name means."""
    number, bracket, listed = word.partition("[")
    if word and not number.isdigit():
        return []
    wanted = indices(listed.rstrip("]")) if bracket else None
    return [
        (job, task)
        for job, task in site.records.tasks()
        if task.state != GONE
        and (not word or job.id == int(number))
        and (wanted is None or task.number in wanted)
        and (not name or _named(name, job))
    ]


def _named(pattern: str, job: Job) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(job.name, pattern)
