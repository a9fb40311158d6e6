"""tell how long things take

One row for each test: how many cases ran, the shortest, the median, the 90th and 99th percentile and the longest time
in seconds, and the sum.  With --by step there is one row for each step of each test, with --by run one for each run.
With --slowest N the N longest cases (or steps) are listed one by one.

With --queue the times are those that cases of batch engines waited, from when they were handed over until they began.

Only what has ended counts.  Several runs, as in `-r 'w49.%'`, are taken together.

EXAMPLES

    $ mt times --sort -total
    Where the time of the last run went.

    $ mt times --slowest 20 -f tsv | cut -f1,3
    Id and seconds of the longest cases.

    $ mt times 'diskperf/%' --by step -t 'ubuntu/%' -r 'w%'
    The steps of one test over many runs.

    $ mt times --queue --by run -r 'w%' --allow-empty
    How long cases waited in the queues of batch engines.

EXIT STATUS

    0  rows were printed
    7  nothing matches

SEE ALSO

    mt-tests, mt-steps, mt-status, mt-jobs
"""

from __future__ import annotations

from mt.errors import UsageError
from mt.model import CaseKey
from mt.options import flag, opt, rest
from mt.rows import CaseRowOptions, Cases, answer
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mt.rows import Row

COLUMNS = ("name", "n", "min", "p50", "p90", "p99", "max", "total")
SINGLE = {
    "step": ("id", "step", "secs", "cpu", "rss", "log"),
    "test": ("id", "status", "secs", "cpu", "rss", "start"),
    "run": ("id", "status", "secs", "cpu", "rss", "start"),
}
QUEUED = ("id", "status", "queued", "job", "host", "start")


class Options(CaseRowOptions):
    """What was typed."""

    by: str = opt("--by", meta="WHAT", choices=("test", "step", "run"), default="test", help="test, step or run")
    queue: bool = flag("--queue", help="how long cases waited for a batch engine, in place of how long they took")
    slowest: int | None = opt("--slowest", meta="N", help="list the N longest one by one")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


def main(opts: Options) -> int:
    """Print the rows."""
    if opts.queue and opts.by == "step":
        raise UsageError("mt times: --queue: steps wait in no queue", hint="--by test or --by run")
    time = "queued" if opts.queue else "secs"
    timed = list(_steps(opts) if opts.by == "step" else _cases(opts))
    if opts.slowest is not None:
        timed.sort(key=lambda row: -row[time])
        columns = QUEUED if opts.queue else SINGLE[opts.by]
        return answer(write_rows(timed[: max(opts.slowest, 0)], opts, columns), opts, "times")
    groups: dict[str, list[float]] = {}
    for row in timed:
        groups.setdefault(row["name"], []).append(row[time])
    rows = ({"name": name, **spread(secs)} for name, secs in sorted(groups.items()))
    return answer(write_rows(rows, opts, COLUMNS), opts, "times")


def _cases(opts: Options) -> Iterator[Row]:
    from mt.rows import case_row

    for run, row in Cases(opts, opts.ids):
        if row.end and row.secs and (row.job or not opts.queue):
            yield {**case_row(run.key, row), "name": str(run.key) if opts.by == "run" else row.test}


def _steps(opts: Options) -> Iterator[Row]:
    from mt.rows import step_row

    cases = Cases(opts, opts.ids)
    for picked in cases.picked:
        meant = {row.key for row in cases.of(picked)}
        for step in cases.steps(picked):
            if step.state == "end" and CaseKey(step.test, step.item) in meant:
                row = step_row(picked.run.key, step)
                yield {**row, "name": f"{step.test} {step.name}"}


def spread(secs: Sequence[float]) -> dict[str, float]:
    """Count, percentiles and sum; a percentile is the smallest time that so many per cent do not exceed."""
    ordered = sorted(secs)

    def at(share: int) -> float:
        return round(ordered[max(-(-share * len(ordered) // 100) - 1, 0)], 3)

    return {
        "n": len(ordered), "min": at(0), "p50": at(50), "p90": at(90), "p99": at(99), "max": at(100),
        "total": round(sum(ordered), 3),
    }  # fmt: skip
