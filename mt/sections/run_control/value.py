"""record what a test measured

A step of a test calls `mt value` for every figure worth keeping.  `mt values` lists them, and with an expected value
each gets a verdict of its own: pass or fail.  That alone changes no verdict of the test: `mt result AUTO` makes the
values count, and --check makes this command fail, and with it the script.

A name may carry a category, as CATEGORY/NAME.  The same name in the same category again replaces the older value.

With --expect and without --tol a number must be equal to the expected one, and a text the same text.  A tolerance is a
number (the value may be off by as much), a share like 5%, or one of > < >= <= (`--expect 3 --tol '>'`: more than 3).

With `-` rows are read from standard input: comma separated lines
`category,variable,value,expected,tol,units,comment,status,type`, of which the first three are needed, or objects with
these names, one per line.  Rows without a tolerance get no verdict.

EXAMPLES

    $ mt value ratio=3.41 --expect 3 --tol '>' --units x
    Record a ratio that must be above 3.

    $ mt value supply/vdd=1.19 supply/vss=0.01 --units V
    Record two voltages of the category supply.

    $ awk '{ print "timing," $1 "," $2 ",100,10,ps" }' slack.txt | mt value -
    Record a table.

EXIT STATUS

    0  recorded
    1  recorded, and with --check one of the values failed
    2  not inside a test, or not a value
    5  cannot be recorded

SEE ALSO

    mt-values, mt-result, mt-step
"""

from __future__ import annotations

import os
import sys

from mt.errors import UsageError
from mt.inside import inside
from mt.options import flag, opt, rest
from mt.tolerance import FIELDS, measured, number, percent, read_csv, tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Options:
    """What was typed."""

    expect: str | None = opt("--expect", meta="E", help="the expected value")
    tol: str | None = opt("--tol", meta="TOL", help="the tolerance: a number, N%, or one of > < >= <=")
    units: str | None = opt("--units", meta="U", help="the unit")
    category: str | None = opt("--category", meta="C", help="the category of all names")
    message: str | None = opt("-m", "--message", meta="TEXT", help="a comment, one line")
    check: bool = flag("--check", help="leave with 1 when a value failed")
    values: tuple[str, ...] = rest("NAME=VALUE", help="what was measured; - reads rows from stdin", need=True)


def main(opts: Options) -> int:
    """Record the values, all in one go."""
    here = inside(os.environ)
    rows = list(_rows(opts))
    here.tell([here.event("value", **row) for row in rows])
    return int(opts.check and tally(row["status"] for row in rows)[1] > 0)


def _rows(opts: Options) -> Iterator[dict[str, str]]:
    for word in opts.values:
        if word == "-":
            yield from read(sys.stdin)
        else:
            yield one(word, opts)


def one(word: str, opts: Options) -> dict[str, str]:
    """The row that NAME=VALUE and the options make."""
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise UsageError(f"'{word}' is not NAME=VALUE")
    category = opts.category
    if category is None:
        category, _, name = name.rpartition("/")
    row: dict[str, str | None] = {"category": category, "variable": name, "value": value, "units": opts.units}
    row["comment"] = opts.message
    if opts.expect is not None:
        row |= _expected(value.strip(), opts.expect.strip(), opts.tol)
    return measured(row)


def _expected(value: str, expected: str, tol: str | None) -> dict[str, str | None]:
    """Expectation, tolerance and, for text without a tolerance, the verdict."""
    if tol is not None:
        return {"expected": expected, "tol": percent(expected, tol.strip())}
    if number(value) is not None and number(expected) is not None:
        return {"expected": expected, "tol": "0"}
    return {"expected": expected, "status": "pass" if value == expected else "fail"}


def read(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows from CSV or NDJSON lines; raises UsageError with the number of the line that is neither."""
    for count, line in enumerate(lines, 1):
        try:
            yield from _checked(_object(line) if line.lstrip().startswith("{") else read_csv([line]))
        except (ValueError, TypeError, AttributeError) as e:
            raise UsageError(f"standard input: not a row of data: {e}", where=f"line {count}") from e


def _checked(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    for row in rows:
        if not row["variable"] or not row["value"]:
            raise ValueError("category, variable and value are needed")
        yield row


def _object(line: str) -> Iterator[dict[str, str]]:
    import json

    found = json.loads(line)
    yield measured({name: str(found[name]) for name in FIELDS if found.get(name) is not None})
