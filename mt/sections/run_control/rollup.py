"""roll items up and write their pages

For each test of a run one row: the state and status that its items add up to.  For a test with items the page
`megatest-rollup-TEST.html` is written into the test's directory of the link tree, with a line and links for each item;
`[testrollup] TEST COMMAND` in megatest.config makes that page instead, from what the command prints.

Runs do this themselves when items end.  By hand it is for runs that were changed with `mt set`, and for tests that
call it to have the page of what is done so far: inside a test its own run is meant.

TEST may have % and * in it; without any all tests are rolled up.

EXAMPLES

    $ mt rollup
    Roll up the last run.

    $ mt rollup diskperf -f ndjson
    One test, with the path of its page.

    $ mt rollup -n
    Only show what tests add up to.

EXIT STATUS

    0  rows were printed
    1  a page could not be written
    7  nothing matches

SEE ALSO

    mt-status, mt-tests, mt-set
"""

from __future__ import annotations

from mt.options import RowOptions, RunOptions, flag, rest
from mt.rows import EmptyOption, Runs, answer, top_row
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mt.model import RunRow
    from mt.rows import Row

COLUMNS = ("id", "state", "status", "cases", "good", "bad", "live", "waiting", "unfinished", "page")


class Options(RunOptions, RowOptions, EmptyOption):
    """What was typed."""

    dry_run: bool = flag("-n", "--dry-run", help="write no pages")
    tests: tuple[str, ...] = rest("TEST", help="tests to roll up, % is the wildcard", complete="tests")


def main(opts: Options) -> int:
    """Write the pages and print the rows."""
    runs = Runs(opts)
    failed: list[str] = []
    rows = [row for run in runs.matching(None, None) for row in _rows(runs, runs.fresh(run), opts, failed)]
    for text in failed:
        say(text)
    return answer(write_rows(rows, opts, COLUMNS), opts, "tests") or int(bool(failed))


def _rows(runs: Runs, run: RunRow, opts: Options, failed: list[str]) -> Iterator[Row]:
    """One row for each test of a run; what went wrong with a page is added to `failed`."""
    from mt.area import Area
    from mt.pipeline.itempage import Written, summarize
    from mt.queries import tops

    wanted = [top for top in tops(runs.store, run.id) if _is_wanted(top.test, opts.tests)]
    if opts.dry_run:
        done = [Written(top) for top in wanted]
    else:
        area = Area.open(runs.store.home, target=run.target, run=run.name)
        names = [top.test for top in wanted]
        done = list(summarize(area, runs.store, run.id, run.key, names, force=True))
    for written in done:
        if written.trouble:
            failed.append(written.trouble)
        yield {**top_row(run.key, written.top), "page": written.page}


def _is_wanted(test: str, asked: Sequence[str]) -> bool:
    from mt.patterns import TestPattern

    return not asked or any(TestPattern.glob(text).names_test(test) for text in asked)
