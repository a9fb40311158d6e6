"""Run chosen cases of a recorded run again, with those that were closed because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mt.area import Area
from mt.errors import ConfigError
from mt.model import CaseRow, RunKey, case_id
from mt.pipeline import asking
from mt.pipeline.plan import Selection
from mt.states import LIVE, verdict

_BECAUSE = ("PREQ_FAIL", "PREQ_DISCARDED", "BLOCKED")


def worth(row: CaseRow, *, named: bool, alive: Callable[[CaseRow], bool]) -> bool:
    """Whether a case is to run again: any that is over when it was named, else one that is not good.

    A case that runs is over, too, when its worker is dead.
    """
    if row.state in LIVE:
        return not alive(row)
    return named or verdict(row.state, row.status) in ("bad", "unfinished", "waiting")


def followers(rows: Sequence[CaseRow], recorded: Iterable[CaseRow], area: Area) -> list[CaseRow]:
    """Recorded cases that were not run because something below them failed, where that is among `rows`."""
    closed = [row for row in recorded if row.status in _BECAUSE]
    chosen = {row.test for row in rows}
    waits: dict[str, bool] = {}

    def below(test: str, seen: tuple[str, ...] = ()) -> bool:
        if test not in waits:
            try:
                waitons = area.spec(test).waitons
            except ConfigError:
                waitons = ()
            waits[test] = any(w in chosen or (w not in seen and below(w, (*seen, test))) for w in waitons)
        return waits[test]

    keys = {row.key for row in rows}
    return [row for row in closed if row.key not in keys and below(row.test)]


def run_again(
    opts: asking.Typed, run: RunKey, rows: Sequence[CaseRow], recorded: Sequence[CaseRow], *, dry: bool,
    fail_flaky: bool = False,
) -> int:  # fmt: skip
    """Reset and run the rows of one run; gives the exit status."""
    area, key = asking.open_area(opts, run.target or None, run.name)
    everything = [*rows, *followers(rows, recorded, area)]
    if dry:
        for row in everything:
            print(f"run\t{case_id(key, row.key)}\tit is {row.state}/{row.status}")
        return 0
    patterns = ",".join(asking.literal(row.key) for row in everything)
    again = {"ids": [list(row.key) for row in everything]}
    request = asking.make(area, opts, key, Selection(patterns, None, unknown_ok=True), again)
    outcome = asking.obeyed(area, request, "join")
    return asking.report(outcome, request, quiet=opts.quiet, fail_flaky=fail_flaky)
