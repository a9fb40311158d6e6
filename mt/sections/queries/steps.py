"""list the steps of cases

One row for each step of the newest attempt of each case, in the order in which they began; with --all, of all attempts.

EXAMPLES

    $ mt steps diskperf/sda/4k
    The steps of one case of the last run.

    $ mt steps --failed -f tsv | cut -f1,2,7
    Case, step and log of every step that failed.

EXIT STATUS

    0  rows were printed
    7  nothing matches

SEE ALSO

    mt-show, mt-log, mt-times
"""

from __future__ import annotations

from mt.model import CaseKey
from mt.options import flag, rest
from mt.rows import CaseRowOptions, Cases, answer, step_row
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.rows import Row

COLUMNS = ("id", "step", "state", "status", "secs", "cpu", "log", "comment")


class Options(CaseRowOptions):
    """What was typed."""

    all: bool = flag("-a", "--all", help="of all attempts, not only the newest")
    failed: bool = flag("--failed", help="only steps that are not good")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


def main(opts: Options) -> int:
    """Print the rows."""
    return answer(write_rows(_rows(Cases(opts, opts.ids), opts), opts, COLUMNS), opts, "steps")


def _rows(cases: Cases, opts: Options) -> Iterator[Row]:
    for picked in cases.picked:
        newest = {row.key: row.attempt for row in cases.of(picked)}
        for step in cases.steps(picked):
            attempt = newest.get(CaseKey(step.test, step.item))
            if attempt is None or (step.attempt != attempt and not opts.all):
                continue
            row = step_row(picked.run.key, step)
            if not opts.failed or row["good"] is False:
                yield row
