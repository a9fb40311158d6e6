"""tell how runs stand, and by the exit status whether all is well

One row for each run: how many cases are done, what became of them, and how long the rest will take.  Without operands,
-t and -r it is the last run of this user.  With -q nothing is printed and the exit status alone is the answer.

The time left is estimated from the pace of the run.  `flaky` counts the cases that failed before they passed; they are
among the good ones.

With --watch the rows are printed again whenever they change, until nothing runs any more; on a terminal they are
drawn in place.

EXAMPLES

    $ mt status
    The last run.

    $ mt status w49.1 --watch
    Follow a run until it ends.

    $ mt status -t 'rel/%' -r tonight -q || mt tests -t 'rel/%' -r tonight -s FAIL
    Show failures when there are any.

EXIT STATUS

    0  all cases of these runs are good
    1  something failed
    7  no such run
    8  nothing failed, but not everything is done or could be judged

SEE ALSO

    mt-runs, mt-tests, mt-wait, mt-why
"""

from __future__ import annotations

import os
import sys
import time

from mt.options import flag, opt, rest
from mt.rows import Runs, RunsOptions, answer, pairs, run_row
from mt.states import exit_status
from mt.stdio import chosen_format, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.model import RunRow
    from mt.rows import Row

COLUMNS = ("id", "state", "status", "cases", "percent", "good", "bad", "live", "waiting", "unfinished", "flaky", "left")


class Options(RunsOptions):
    """What was typed."""

    watch: bool = flag("--watch", help="again whenever something changes, until nothing runs")
    interval: float = opt("--interval", meta="SECS", help="with --watch: look every SECS seconds", default=1.0)
    runs: tuple[str, ...] = rest("RUN", help="run names or TARGET//RUN; - reads them from stdin", complete="runs")


def main(opts: Options) -> int:
    """Print once, or until nothing runs."""
    from mt.queries import flaky

    runs = Runs(opts)
    found = runs.named(opts.runs, default_last=True)
    drawn = -1
    before: list[Row] = []
    while True:
        found = [runs.fresh(run) for run in found]
        rows = [{**_row(run), "flaky": len(flaky(runs.store, run.id))} for run in found]
        if rows != before and not opts.quiet:
            drawn = _draw(rows, opts, drawn)
        before = rows
        if not opts.watch or not any(row["live"] or row["state"] == "RUNNING" for row in rows):
            break
        time.sleep(max(opts.interval, 0.05))
        runs.forget()
    answer(len(rows), opts, "runs")
    return exit_status(_sum(found))


def _draw(rows: list[Row], opts: Options, drawn: int) -> int:
    """Write the rows, over the former ones where that can be; gives the number of lines."""
    moving = opts.watch and not opts.output and chosen_format(opts) == "table" and os.environ.get("TERM") != "dumb"
    if moving and drawn >= 0 and sys.stdout.isatty():
        sys.stdout.write(f"\x1b[{drawn + 1}A\x1b[J")
    return write_rows(rows, opts, COLUMNS)


def _row(run: RunRow) -> Row:
    row = run_row(run)
    return {**row, "left": _left(run, row)}


def _left(run: RunRow, row: Row) -> float:
    """Seconds that the rest will take: unfinished cases at the pace of this run so far; 0 when nothing runs."""
    waiting: int = row["live"] + row["waiting"]
    done: int = row["cases"] - waiting
    if run.state != "RUNNING" or not waiting or not done or not run.start:
        return 0.0
    return round((time.time() - run.start) / done * waiting, 1)


def _sum(runs: list[RunRow]) -> dict[tuple[str, str], int]:
    total: dict[tuple[str, str], int] = {}
    for run in runs:
        for how, n in pairs(run.counts).items():
            total[how] = total.get(how, 0) + n
    return total
