"""list what tests measured

One row for each value of the newest attempt of each case.  The operand is a pattern of values,
`CATEGORY/NAME` or `NAME`; % and * are wildcards.  What the log rules of a step measured has the step's name as its
category; the rows that only repeat the verdict of log rules are shown with --all.

EXAMPLES

    $ mt values pack/ratio --sort -value
    One measure of all cases of the last run.

    $ mt values 'perf/%' -t rel/nfs -r w49.1 -f csv -o perf.csv
    All of a category as a table.

    $ mt values --failed
    What was not as expected.

EXIT STATUS

    0  rows were printed
    7  nothing matches

SEE ALSO

    mt-value, mt-tests, mt-times
"""

from __future__ import annotations

from mt.model import CaseKey
from mt.options import flag, operand, opt
from mt.rows import CaseRowOptions, Cases, answer, value_row
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mt.model import ValueRow
    from mt.rows import Row

COLUMNS = ("id", "category", "variable", "value", "units", "expected", "tol", "status", "comment")


class Options(CaseRowOptions):
    """What was typed."""

    all: bool = flag("-a", "--all", help="the verdicts of log rules too, and older attempts")
    failed: bool = flag("--failed", help="only values that are not as expected")
    cases: tuple[str, ...] = opt(
        "-c", "--case", meta="ID", help="only of these cases; - reads ids from stdin", default=(), complete="ids"
    )
    pattern: str | None = operand("PATT", help="which values: CATEGORY/NAME or NAME; default all", need=False)


def main(opts: Options) -> int:
    """Print the rows."""
    return answer(write_rows(_rows(Cases(opts, opts.cases), opts), opts, COLUMNS), opts, "values")


def _rows(cases: Cases, opts: Options) -> Iterator[Row]:
    wanted = matcher(opts.pattern)
    for picked in cases.picked:
        newest = {row.key: row.attempt for row in cases.of(picked)}
        for value in cases.values(picked):
            attempt = newest.get(CaseKey(value.test, value.item))
            if attempt is None or not (opts.all or (value.attempt == attempt and value.type != "logpro")):
                continue
            if wanted(value) and not (opts.failed and not value.status.lower().startswith(("fail", "error"))):
                yield value_row(picked.run.key, value)


def matcher(pattern: str | None) -> Callable[[ValueRow], bool]:
    """Whether a value is meant by `CATEGORY/NAME` or `NAME`."""
    if pattern is None or pattern in ("%", "*", "%/%", "*/*"):
        return lambda value: True
    from mt.patterns import glob_part

    category, slash, name = pattern.rpartition("/")
    of_category = glob_part(category) if slash else (lambda text: True)
    of_name = glob_part(name)
    return lambda value: bool(of_category(value.category)) and bool(of_name(value.variable))
