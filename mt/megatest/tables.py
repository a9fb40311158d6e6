"""Tables as text: measured values, and how long runs and tests took (spec/runs.md 5.12, 5.13)."""

from __future__ import annotations

import re
import sys

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mt.db import Store
    from mt.megatest.selecting import Wanted
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args
    from mt.model import RunRow

NOTHING = "Data not found!!"


def testdata(args: Args, talk: Talk) -> int:
    """`-testdata-csv [CATPATT/]VARPATT`: the values of tests, but not the sums of log rules; nothing is quoted."""
    from mt.megatest.selecting import open_to_list, store_of, wanted

    category, slash, variable = (args.value("-testdata-csv") or "").partition("/")
    opened = open_to_list(args, talk)
    store = store_of(opened.area)
    want = wanted(args, opened.area, colon=False)._replace(target=opened.target)
    write = sys.stdout.write
    write("target,run,test,itempath,category,var,value,comment\n")
    if store is not None:
        for row in _values(store, want, category if slash else "%", variable if slash else category):
            write(",".join(row) + "\n")
    return 0


def _values(store: Store, want: Wanted, category: str, variable: str) -> Iterator[Sequence[str]]:
    from mt.megatest.selecting import exact_tests, records, runs
    from mt.model import CaseKey
    from mt.queries import values

    fits_category, fits_variable = _like(category), _like(variable)
    for run in runs(store, want.target, want.name):
        newest = {row.key: row.attempt for row in records(store, run.id, want)}
        for v in values(store, run.id, tests=exact_tests(want.tests)):
            if newest.get(CaseKey(v.test, v.item)) != v.attempt or v.type == "logpro":
                continue
            if fits_category(v.category) and fits_variable(v.variable):
                yield run.target, run.name, v.test, v.item, v.category, v.variable, v.value, v.comment


def _like(pattern: str) -> Callable[[str], object]:
    """LIKE of SQL: the whole text whatever its case, `%` is anything, `_` any one character."""
    body = "".join({"%": ".*", "_": "."}.get(c) or re.escape(c) for c in pattern)
    return re.compile(body, re.I | re.S).fullmatch


# -- times


def run_times(args: Args, talk: Talk) -> int:
    """`-list-run-time`: minutes from the first start to the last end of a run's tests."""
    from mt.megatest.prepare import open_area
    from mt.megatest.selecting import runs, store_of

    store = store_of(open_area(args, talk))
    target, name = args.value("-target-patt"), args.value("-run-patt")
    rows = []
    for run in runs(store, target, name) if store is not None else ():
        minutes = _minutes(store, run)
        if minutes is not None:
            rows.append((run.target, run.name, minutes))
    return _print(rows, ("target", "run-name", "run-time"), args.value("-dumpmode"))


def _minutes(store: Store | None, run: RunRow) -> int | None:
    """Whole minutes that a run took; None when it has no tests."""
    from mt.queries import cases

    if store is None:
        return None
    spans = [(row.start, row.start + row.secs) for row in cases(store, run.id) if row.state != "DELETED"]
    begun = [span for span in spans if span[0]]
    if not spans:
        return None
    return int(max(end for _, end in begun) - min(start for start, _ in begun)) // 60 if begun else 0


def test_times(args: Args, talk: Talk) -> int:
    """`-list-test-time -target T -runname R`: seconds that each test and item of a run took."""
    from mt.megatest.prepare import open_area, run_name, target_of
    from mt.megatest.selecting import records, store_of, wanted
    from mt.model import RunKey

    target, name = target_of(args), run_name(args)
    for option, value in (("-runname", name), ("-target", target)):
        if not value:
            raise Refused(0, f"Missing argument {option}")
        if "%" in value:
            raise Refused(0, f"Invalid {option} '{value}', % is not allowed here")
    store = store_of(open_area(args, talk))
    run_id = store.run_id(RunKey(target or "", name or "")) if store is not None else None
    if store is None or run_id is None:
        return _print([], (), None)
    from mt.fold import refresh

    refresh(store, run_id)
    found = records(store, run_id, wanted(args), tops=True)
    rows = [(row.test, row.item or "N/A", int(row.secs)) for row in found]
    return _print(rows, ("test-name", "test-item", "test-time"), args.value("-dumpmode"))


def _print(rows: Sequence[tuple[str, str, int]], names: Sequence[str], mode: str | None) -> int:
    """Rows as text with two blanks between, with commas, or as json: a list of objects (D10)."""
    if not rows:
        print(NOTHING)
    elif mode == "json":
        import json

        print(
            json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False, separators=(",", ":"))
        )
    else:
        between = "," if mode == "csv" else "  "
        sys.stdout.write("".join(between.join(map(str, row)) + "\n" for row in rows))
    return 0
