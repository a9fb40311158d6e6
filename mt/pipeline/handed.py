"""Cases that were handed to a batch engine, in words: where one waits, what its job is doing, and what was heard of it.

`Hands` collects what the files of a run tell of its cases; what is said of one
is pure.  The words are those that the controller heard last: each comes with
its age, and with the command that asks the engine itself.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mt.durations import shown
from mt.errors import MtError
from mt.launchers import engine
from mt.pipeline.bag import ORDERS, Bag, Claim
from mt.pipeline.jobs import LEFT, BagLog, JobRow, RunJobs, Said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mt.model import CaseRow

#: pilots of so many submissions are named one by one
_NAMED = 3
#: a command that is longer than this is not shown
_LINE = 160


class Handed(NamedTuple):
    """What is known of a case in a bag.

    `job` is the one that has it or will have it, None where jobs take the next
    free case: then `pilots` are all that may.  `cases` are in the bag, of which
    `taken` were taken; `claim` tells who took this one; `said` what happened to
    the bag last.
    """

    job: JobRow | None
    pilots: Sequence[JobRow] = ()
    cases: int = 1
    taken: int = 0
    claim: Claim | None = None
    said: Said | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The engine and the id of a job to ask it about; empty words when nothing was submitted."""
        one = self.job or next((p for p in self.pilots if p.is_open), None) or next(iter(self.pilots), None)
        return (one.engine, one.id) if one else ("", "")

    def waiting(self, now: float) -> list[str]:
        """Why a case that was handed over has not begun."""
        if self.claim and self.claim.host:
            lines = [f"job {self.claim.job} on {self.claim.host} has taken it and not begun it yet"]
        elif self.claim and not self.claim.writer:
            lines = ["taken back from its job, because somebody else is to run it or nobody is"]
        elif self.job:
            lines = [_of_job(self.job, now)]
        elif self.pilots:
            lines = [self._of_pilots(), *_not_running(self.pilots, now)]
        else:
            lines = ["handed over, and no job has been submitted for it yet"]
        if self.said and (self.said.time >= _heard([self.job] if self.job else self.pilots)):
            what = "the engine refused a job" if self.said.kind == "refused" else "trouble with the engine"
            lines.append(f"{what} {shown(max(now - self.said.time, 0))} ago: {self.said.text}")
        return lines + self.asking()

    def running(self, now: float) -> list[str]:
        """What the engine says of a job that should run, when that is not that it runs."""
        job = self.job
        if job is None or job.fate in ("", "running", "queued", LEFT):
            return []
        return [f"but {job.engine} says of its job: {job.said or job.fate}, {_ago(job.changed, now)}", *self.asking()]

    def ended(self) -> list[str]:
        """The engine's last word about a job that did not simply end."""
        job = self.job
        if job is None or job.is_open or job.fate in ("done", LEFT, "gone"):
            return []
        return [f"{job.engine} says of its job {job.id}: {job.said or job.fate}"]

    def asking(self) -> list[str]:
        """The command that asks the engine itself."""
        name, ident = self.names
        if not name:
            return []
        from shlex import join

        line = join(engine(name).why(ident))
        if len(line) > _LINE:  # a script for another host is nothing to type
            return [f"ask {name} itself: mt jobs --ask {name}:{ident}"]
        return [f"ask {name} itself: {line}"]

    def _of_pilots(self) -> str:
        fates = [(p.fate, p.tasks) for p in self.pilots if p.is_open]
        many, run = sum(n for _, n in fates), sum(n for fate, n in fates if fate == "running")
        arrays = list(dict.fromkeys(p.array for p in self.pilots if p.is_open))
        if not many:
            return f"waits in a bag of {_cases(self.cases)}, and no pilot is left that could take it"
        named = ", ".join(arrays[:_NAMED]) + (f" and {len(arrays) - _NAMED} more" if len(arrays) > _NAMED else "")
        taken = f" ({self.taken} taken)" if self.taken else ""
        which = f"one of {many} pilots" if many > 1 else "one pilot"
        state = f"{run} of which run" if many > 1 else "which runs" if run else "which does not run yet"
        return f"waits in a bag of {_cases(self.cases)}{taken} for {which} ({named}), {state}"


class Hands:
    """What is known of the cases of a run that are in bags; each bag is read once for all of them."""

    def __init__(self, jobs: RunJobs) -> None:
        self._jobs = jobs
        self._read: dict[str, tuple[list[JobRow], int, set[int]]] = {}

    def of(self, row: CaseRow) -> Handed | None:
        """What the files of the run tell of a case; None for one that no engine has or had."""
        found = self._jobs.bag_of(row.token)
        if found is None:
            return None
        log, number = found
        bag = Bag(log.path)
        jobs, cases, taken = self._bag(log, bag)
        claim = bag.claimed(number) if number in taken else None
        said = log.said[-1] if log.said else None
        job = log.job((claim.job if claim else "") or row.job)
        if job or claim:
            return Handed(job, claim=claim, said=said)
        return Handed(None, jobs, cases, len(taken), None, said)

    def _bag(self, log: BagLog, bag: Bag) -> tuple[list[JobRow], int, set[int]]:
        if log.path not in self._read:
            self._read[log.path] = (list(log.jobs()), _orders(bag), _taken(bag))
        return self._read[log.path]


def _taken(bag: Bag) -> set[int]:
    """Which cases of a bag were taken; none that is known when it was tidied up, or cannot be read."""
    try:
        return bag.taken()
    except MtError:
        return set()


def _cases(count: int) -> str:
    return f"{count} case{'s' * (count != 1)}"


def _of_job(job: JobRow, now: float) -> str:
    name, since = f"{job.engine} as job {job.id}", shown(max(now - job.submitted, 0))
    if not job.fate:
        return f"handed to {name} {since} ago; {job.engine} has not been asked yet"
    heard = f"{job.said or job.fate}, {_ago(job.changed, now)}"
    if job.fate in ("queued", "held"):
        return f"{'is held' if job.fate == 'held' else 'waits'} in the queue of {name} for {since}: {heard}"
    if job.is_open:
        return f"job {job.id} of {job.engine} runs{f' on {job.host}' if job.host else ''} and has not begun it: {heard}"
    return f"job {job.id} of {job.engine} was to run it and is over: {heard}"


def _not_running(pilots: Sequence[JobRow], now: float) -> list[str]:
    """The newest word about a pilot that does not run; whether the engine was asked at all."""
    if not any(p.fate for p in pilots):
        return [f"{pilots[0].engine} has not been asked yet"]
    waiting = [p for p in pilots if p.fate and p.fate != "running" and p.said]
    if not waiting or any(p.fate == "running" for p in pilots):
        return []
    last = max(waiting, key=lambda p: p.changed)
    return [f"{last.engine} says of job {last.id}: {last.said}, {_ago(last.changed, now)}"]


def _heard(jobs: Sequence[JobRow]) -> float:
    return max((max(job.changed, job.submitted) for job in jobs), default=0.0)


def _ago(when: float, now: float) -> str:
    return f"as of {shown(max(now - when, 0))} ago"


def _orders(bag: Bag) -> int:
    """How many cases were put into a bag."""
    try:
        with open(os.path.join(bag.path, ORDERS), "rb") as f:
            return sum(line.startswith(b'{"o":') for line in f)
    except OSError:
        return 0
