"""list the jobs of a run on batch engines

One row for each job, task of an array or pilot that a run has submitted: its launcher, the way (job, array or pilot),
its state, what the engine said of it in its own words, its host, how long it waited until its first case began, how
many cases it ran and which it runs now, and what these used: processor seconds, and bytes of memory at most.  Tasks of
an array of which nothing was heard yet are one row.

A state is submitted (nothing was heard yet), queued, held, running, suspended, done, failed, cancelled, preempted,
node-failed, out-of-memory, time-limit, gone (the engine does not know it any more) or left (nothing is left for it).

Operands are ids or patterns of cases, as of `mt tests`, or jobs as `slurm:123`; of cases only those jobs that had
them are shown.

It tells what the controller of the run was told last, and asks nobody.  With --ask every engine is asked now, with one
query for all jobs that are not over; when one cannot be asked the state of its jobs is `unknown`.

--cases gives one row for each case that a job had.  --advice gives one row for each test whose jobs asked for much more
memory, processors or time than its good cases used, or for hardly more memory.

EXAMPLES

    $ mt jobs --open --allow-empty
    What still waits or runs.

    $ mt jobs --ask --allow-empty -f ndjson | jq -r 'select(.state == "held") | .id'
    The jobs that the engine holds.

    $ mt jobs --cases --sort -queued --limit 10 --allow-empty
    The cases that waited longest.

    $ mt jobs --advice -r 'w%' --allow-empty
    What to ask less for, by all that ran in some weeks.

EXIT STATUS

    0  rows were printed
    2  usage
    6  an engine cannot be asked (with --ask)
    7  nothing matches

SEE ALSO

    mt-tests, mt-why, mt-times, mt-launcher-list, mt-launchers(7)
"""

from __future__ import annotations

import os
import time

from mt.model import case_id
from mt.options import flag, rest
from mt.rows import CaseRowOptions, Cases, answer, stamp
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mt.model import CaseRow
    from mt.pipeline.jobs import JobRow, RunJobs
    from mt.rows import Picked, Row

JOBS = (
    "job", "launcher", "way", "state", "said", "host", "submitted", "wait", "cases", "running", "cpu", "rss",
)  # fmt: skip
CASES = ("id", "job", "host", "queued", "secs", "cpu", "rss", "status")
ADVICE = ("test", "what", "asked", "used", "instead", "cases", "text")
#: a case in one of these states has not begun in the job that it names
_BEFORE = ("NOT_STARTED", "LAUNCHED")
_UNKNOWN = "unknown"


class Options(CaseRowOptions):
    """What was typed."""

    ask: bool = flag("--ask", help="ask the engines now")
    open: bool = flag("--open", help="only jobs that are not over")
    cases: bool = flag("--cases", help="one row for each case of a job")
    advice: bool = flag("--advice", help="one row for each test that asks for what it does not use")
    ids: tuple[str, ...] = rest(
        "ID", help="ids or patterns of cases, or jobs as slurm:123; - reads them from stdin", complete="ids"
    )


class Had(list["CaseRow"]):
    """The cases that a job has begun, those of earlier attempts too."""

    @property
    def running(self) -> CaseRow | None:
        """The one that it runs now."""
        from mt.states import LIVE

        return next((row for row in self if row.state in LIVE), None)


class Found:
    """The jobs of one run and the cases they had."""

    def __init__(self, cases: Cases, picked: Picked, wanted: Sequence[str]) -> None:
        from mt.pipeline.jobs import RunJobs

        self.key = picked.run.key
        self.run_id = picked.run.id
        self.store = cases.runs.store
        self.rows = [row for row in _with_attempts(cases, picked) if row.job and row.state not in _BEFORE]
        self.jobs: RunJobs = RunJobs(cases.runs.store.root, picked.run.id)
        self.narrow = not picked.everything or bool(cases.states or cases.statuses)
        self.wanted = frozenset(wanted)
        self.had: dict[str, Had] = {}
        for row in self.rows:
            self.had.setdefault(row.job, Had()).append(row)

    def shown(self) -> Iterator[JobRow]:
        """The jobs that are asked for."""
        for job in self.jobs.jobs(self.had):
            if self.wanted and not self.wanted & {job.job, job.array}:
                continue
            if not self.narrow or job.job in self.had:
                yield job


def main(opts: Options) -> int:
    """Print the rows."""
    from mt.stdio import read_ids

    words = read_ids(opts.ids, null=opts.null)
    jobs = [word for word in words if _is_job(word)]
    named = [word for word in words if not _is_job(word)]
    if opts.ids and not words:
        return answer(0, opts, "jobs")
    cases = Cases(opts, named)
    found = [Found(cases, picked, jobs) for picked in cases.picked]
    if opts.cases:
        return answer(write_rows((row for f in found for row in _cases(f)), opts, CASES), opts, "cases of jobs")
    if opts.advice:
        return answer(write_rows(_advice(found), opts, ADVICE), opts, "jobs that ask for much more than they use")
    return _list(found, opts)


def _is_job(word: str) -> bool:
    from mt.launchers import ENGINES

    name, colon, rest_ = word.partition(":")
    return bool(colon and rest_) and name in ENGINES


def _list(found: Sequence[Found], opts: Options) -> int:
    trouble = list(dict.fromkeys(text for f in found for text in _ask(f))) if opts.ask else []
    for text in trouble:
        say(text)
    now = time.time()
    rows = (_row(f, job, now) for f in found for job in f.shown() if job.is_open or not opts.open)
    count = write_rows(rows, opts, JOBS)
    return 6 if trouble else answer(count, opts, "jobs")


def _ask(found: Found) -> list[str]:
    """Let the engines say what they know now; gives what went wrong."""
    if not any(job.is_open for job in found.jobs.jobs()):
        return []
    from mt.area import Area
    from mt.pipeline.inquiry import inquire
    from mt.pipeline.jobs import job_name

    area = Area.open(found.store.home, target=found.key.target, run=found.key.name, environ=os.environ)
    return inquire(found.jobs, job_name(area.name, found.run_id, found.store.root), os.environ)


def _with_attempts(cases: Cases, picked: Picked) -> Iterator[CaseRow]:
    from mt.queries import attempts

    kept = list(cases.of(picked))
    keys = {row.key for row in kept}
    yield from kept
    yield from (row for row in attempts(cases.runs.store, picked.run.id) if row.key in keys)


def _row(found: Found, job: JobRow, now: float) -> Row:
    had = found.had.get(job.job, Had())
    running = had.running
    return {
        "id": job.job,
        "job": job.job,
        "target": found.key.target,
        "run": found.key.name,
        "launcher": job.launcher,
        "engine": job.engine,
        "way": job.way,
        "tasks": job.tasks,
        "state": ("running" if had and job.fate in ("", "queued") else job.fate) or "submitted",
        "said": job.said,
        "heard": stamp(job.changed),
        "host": job.host or next((row.host for row in had), ""),
        "submitted": stamp(job.submitted),
        "wait": _wait(job, had, now),
        "cases": len(had),
        "running": case_id(found.key, running.key) if running else "",
        "cpu": round(sum(row.cpu for row in had), 3),
        "rss": max((row.rss for row in had), default=0),
        "memory": job.ask.memory,
        "cores": job.ask.cores,
        "time": job.ask.time,
        "queue": job.ask.queue,
        "bag": job.bag,
    }


def _wait(job: JobRow, had: Sequence[CaseRow], now: float) -> float | None:
    """Seconds from the submission until the first case began, else until it ran, or so far; None if it never ran."""
    begun = min((row.start for row in had if row.start), default=0.0) or job.began or (now if job.is_open else 0.0)
    return round(max(begun - job.submitted, 0.0), 3) if begun and job.submitted else None


def _cases(found: Found) -> Iterator[Row]:
    wanted = {job.job for job in found.shown()}
    for row in sorted(found.rows, key=lambda row: (row.test, row.item, row.attempt)):
        if row.job in wanted or not found.wanted:
            yield {
                "id": case_id(found.key, row.key),
                "target": found.key.target,
                "run": found.key.name,
                "test": row.test,
                "item": row.item,
                "attempt": row.attempt,
                "job": row.job,
                "host": row.host,
                "queued": row.queued,
                "start": stamp(row.start),
                "secs": row.secs,
                "cpu": row.cpu,
                "rss": row.rss,
                "state": row.state,
                "status": row.status,
                "reason": row.reason,
            }


def _advice(found: Sequence[Found]) -> Iterator[Row]:
    from mt.pipeline.thrift import advice, uses

    for one in advice([use for f in found for use in uses(f.rows, f.jobs.job)]):
        yield one._asdict()
