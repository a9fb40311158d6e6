"""list the cases of a run

One row for each case: each test of the run, or each of its items.  Without -t and -r it is the last run of this user in
this area, which is then named on stderr.  Operands are ids or patterns: `smoke`, `diskperf/sda/%`,
`ubuntu/nfs//w49.1//diskperf`; with `-` they are read from standard input, one a line, or as rows of `-f ndjson`.

With --tops there is one row for each test, with the state and the status that its items roll up to.

A row has at least id, target, run, test, item, state, status, attempt, flaky, infra, host, job, start, end, secs, cpu,
rss, comment, reason, signature and dir; `-f ndjson` prints all of them.

EXAMPLES

    $ mt tests -s FAIL,ABORT
    What went wrong in the last run.

    $ mt tests -t 'ubuntu/%' -r w49.1 --sort -secs --limit 10
    The ten longest cases of a run on all targets that begin with ubuntu.

    $ mt tests -s FAIL -f ndjson | mt rerun -
    Run again what failed.

EXIT STATUS

    0  rows were printed
    2  usage
    7  nothing matches

SEE ALSO

    mt-runs, mt-show, mt-why, mt-log, mt-status
"""

from __future__ import annotations

from mt.options import flag, rest
from mt.rows import CaseRowOptions, Cases, answer, case_row
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.rows import Row

COLUMNS = ("id", "state", "status", "attempt", "secs", "host", "comment")
TOPS = ("id", "state", "status", "cases", "good", "bad", "live", "waiting", "unfinished")


class Options(CaseRowOptions):
    """What was typed."""

    tops: bool = flag("--tops", help="one row for each test, its items rolled up")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


def main(opts: Options) -> int:
    """Print the rows."""
    cases = Cases(opts, opts.ids)
    if opts.tops:
        return answer(write_rows((row for p in cases.picked for row in cases.tops(p)), opts, TOPS), opts, "tests")
    return answer(write_rows(_rows(cases), opts, COLUMNS), opts, "cases")


def _rows(cases: Cases) -> Iterator[Row]:
    for picked in cases.picked:
        flaky = cases.flaky(picked)
        for row in cases.of(picked):
            yield case_row(picked.run.key, row, flaky=row.key in flaky)
