"""list tests that fail and then pass in the same run, by how often they do

A case is flaky in a run when an earlier attempt of it failed and the last one passes: after `mt run --retries`, or
`mt rerun`.  An attempt that could not be judged (INFRA) makes nothing flaky, nor does an excuse.

One row for each test: `runs` in which it ended, how many of them were `flaky` and how many `failed` in the end, the
`rate` of flaky runs in per cent, and the `last` flaky run.  A test with items is flaky in a run when one of its items
is; with --by case each item has a row of its own.  All runs of the area are looked at, or those that -t and -r name.

EXAMPLES

    $ mt flaky --allow-empty
    The flaky tests of the area, worst first.

    $ mt flaky 'diskperf/%' -t 'ubuntu/%' --since 14d --by case --allow-empty
    Items of one test, in the runs of the last two weeks.

    $ mt flaky --min-runs 10 -f ndjson --allow-empty | jq -r 'select(.rate > 20) | .test'
    Candidates for mt quarantine.

EXIT STATUS

    0  rows were printed
    2  usage
    7  no flaky test (see --allow-empty), or no such run

SEE ALSO

    mt-run, mt-rerun, mt-quarantine, mt-tests, mt-why
"""

from __future__ import annotations

from mt.options import RowOptions, RunOptions, flag, opt, rest
from mt.rows import EmptyOption, Runs, answer
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mt.model import RunKey
    from mt.rows import Row

_NOT_RUN = ("SKIP", "PREQ_FAIL", "PREQ_DISCARDED")
COLUMNS = ("test", "runs", "flaky", "failed", "rate", "last")


class Options(RunOptions, RowOptions, EmptyOption):
    """What was typed."""

    since: str | None = opt("--since", meta="WHEN", help="only runs begun since a day as 2026-12-31, or an age as 14d")
    min_runs: int = opt("--min-runs", meta="N", help="only tests that ended in at least N runs", default=1)
    by: str = opt("--by", meta="WHAT", choices=("test", "case"), default="test", help="a row for each test or case")
    all_tests: bool = flag("--all", help="also tests that never were flaky")
    tests: tuple[str, ...] = rest("PATT", help="tests and items, % and * are wildcards", complete="tests")


class Tally:
    """What became of one test, or one case, over runs."""

    __slots__ = ("failed", "flaky", "last", "runs")

    def __init__(self) -> None:
        self.runs = self.flaky = self.failed = 0
        self.last = ""


def main(opts: Options) -> int:
    """Print the rows."""
    found = tallies(opts)
    rows = [row_of(name, one) for name, one in found.items() if one.runs >= opts.min_runs]
    rows = [row for row in rows if row["flaky"] or opts.all_tests]
    rows.sort(key=lambda row: (-row["rate"], -row["flaky"], row["id"]))
    return answer(write_rows(rows, opts, COLUMNS if opts.by == "test" else ("id", *COLUMNS[1:])), opts, "flaky tests")


def row_of(name: str, one: Tally) -> Row:
    """One test or case as every format shows it."""
    test, _, item = name.partition("/")
    return {
        "id": name, "test": test, "item": item, "runs": one.runs, "flaky": one.flaky, "failed": one.failed,
        "rate": round(100 * one.flaky / one.runs, 1) if one.runs else 0.0, "last": one.last,
    }  # fmt: skip


def tallies(opts: Options) -> dict[str, Tally]:
    """What became of each test or case, run by run, oldest first."""
    from mt.queries import ends, find_runs, flaky

    runs = Runs(opts)
    takes = chosen(opts.tests)
    items = opts.by == "case" or any("/" in word for word in opts.tests)
    found: dict[str, Tally] = {}
    for run in find_runs(runs.store, opts.target, opts.run, since=begun(opts.since) if opts.since else 0.0):
        runs.fold(run)
        ended = (row for row in ends(runs.store, run.id, items=items) if takes(row[0], row[1]))
        names = _bad_by_name(ended, by_case=opts.by == "case")
        unsteady = {_name(*key, by_case=opts.by == "case") for key in flaky(runs.store, run.id) if takes(*key)}
        _add(found, run.key, names, unsteady)
    return found


def _name(test: str, item: str, *, by_case: bool) -> str:
    return f"{test}/{item}" if by_case and item else test


def _bad_by_name(ended: Iterable[tuple[str, str, str, str]], *, by_case: bool) -> dict[str, bool]:
    """{name: failed} of what ended in one run, and was not only left out."""
    from mt.states import ENDED, verdict

    found: dict[str, bool] = {}
    for test, item, state, status in ended:
        if state in ENDED and state != "DELETED" and status not in _NOT_RUN:
            name = _name(test, item, by_case=by_case)
            found[name] = found.get(name, False) or verdict(state, status) == "bad"
    return found


def _add(found: dict[str, Tally], run: RunKey, names: Mapping[str, bool], unsteady: set[str]) -> None:
    for name, was_bad in names.items():
        one = found.get(name)
        if one is None:
            one = found[name] = Tally()
        one.runs += 1
        one.failed += was_bad
        if name in unsteady:
            one.flaky += 1
            one.last = str(run)


def chosen(words: Sequence[str]) -> Callable[[str, str], bool]:
    """Whether a test and item are asked for: all of them without a word."""
    from mt.patterns import TestPattern

    if not words:
        return lambda test, item: True
    matches = [TestPattern.glob(word).matches for word in words]
    return lambda test, item: any(match(test, item) for match in matches)


def begun(text: str) -> float:
    """The moment that `--since` means, in seconds since 1970; raises UsageError."""
    import time

    from mt.durations import read_duration
    from mt.errors import UsageError

    try:
        return time.mktime(time.strptime(text, "%Y-%m-%d"))
    except (ValueError, OverflowError):
        length = read_duration(text)
    if not length.seconds or any("counts nothing" in doubt or "no unit" in doubt for doubt in length.doubts):
        raise UsageError(f"--since: '{text}' is no day and no age", hint="as 2026-12-31 or 14d")
    return time.time() - length.seconds
