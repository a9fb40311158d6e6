"""list the runs of an area

One row for each run, oldest first.  Operands are run names or `TARGET//RUN`, in which % and * are wildcards; without
any, and without -t and -r, all runs are listed.

`good`, `bad`, `live`, `waiting` and `unfinished` count the cases of a run; `counts` in `-f ndjson` has them by state
and status.
`frozen` says who froze a run, when and why (see mt-freeze).  Runs that were removed are shown by `--state DELETED`.

EXAMPLES

    $ mt runs
    All runs.

    $ mt runs 'w49.%' --sort -start --limit 1 -f ids
    The id of the newest run of a week.

    $ mt runs -s FAIL -f ndjson
    The runs that failed, for a program.

EXIT STATUS

    0  rows were printed
    7  nothing matches

SEE ALSO

    mt-status, mt-tests, mt-targets
"""

from __future__ import annotations

from mt.options import opt, rest
from mt.rows import Runs, RunsOptions, answer, run_row, words_of
from mt.states import STATES, STATUSES
from mt.stdio import write_rows

COLUMNS = ("id", "state", "status", "cases", "good", "bad", "unfinished", "start", "secs", "owner", "frozen", "comment")


class Options(RunsOptions):
    """What was typed."""

    status: str | None = opt("-s", "--status", meta="LIST", help="only these statuses", complete="statuses")
    state: str | None = opt("--state", meta="LIST", help="only these states")
    runs: tuple[str, ...] = rest("RUN", help="run names or TARGET//RUN; - reads them from stdin", complete="runs")


def main(opts: Options) -> int:
    """Print the rows."""
    states, statuses = words_of(opts.state, STATES), words_of(opts.status, STATUSES)
    runs = Runs(opts)
    runs.removed = "DELETED" in states
    found = [runs.fresh(run) for run in runs.named(opts.runs)]
    rows = (run_row(r) for r in found if (not states or r.state in states) and (not statuses or r.status in statuses))
    return answer(write_rows(rows, opts, COLUMNS), opts, "runs")
