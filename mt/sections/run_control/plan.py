"""tell what a run would do: which cases, in which order, how long

Selects tests as `mt run` does, pulls in what they wait for, and prints one row for each case in the order in which the
cases are expected to start: why it is in the plan, what it waits for, how long it took before, and when it will start
and end (in seconds from the beginning) with the slots of this area or of -j.  Nothing is written and nothing is run,
except commands that the area's files call for.

Durations are those of the last runs of the target that ended well; a case that never ran is taken to last as long as
the others of its test.  A test whose items are computed late counts as one case.  What a run has recorded already is
not considered: `mt run -n` tells what would be run again.

With -f dot or -f mermaid the plan is drawn as a graph.  With -f ids the order can be given to `mt run --order -`.

EXAMPLES

    $ mt plan
    The order of all tests, and the expected end.

    $ mt plan smoke/% -f dot | dot -Tsvg > plan.svg
    A picture of some tests and what they wait for.

    $ mt plan --critical -j 8
    Which cases decide when eight slots are done.

    $ mt plan --first-to-fail -f ids | mt run --order -
    Begin with what failed most, and fastest.

EXIT STATUS

    0  the plan was printed
    2  usage
    3  the area's files cannot be used, or tests wait on each other in a circle
    7  nothing is selected

SEE ALSO

    mt-run, mt-graph, mt-why, mt-times, mt-tests
"""

from __future__ import annotations

import os

from mt.errors import NothingSelected, UsageError
from mt.model import CaseKey
from mt.options import RowOptions, RunOptions, flag, opt, rest
from mt.stdio import chosen_format, say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mt.area import Area
    from mt.pipeline.estimate import Expected, Record, Schedule
    from mt.pipeline.plan import Plan

COLUMNS = ("n", "id", "why", "waits", "mode", "priority", "group", "secs", "start", "end")
_FORMATS = ("table", "tsv", "csv", "json", "ndjson", "ids", "dot", "mermaid")


class Options(RunOptions, RowOptions):
    """What was typed."""

    format: str | None = opt(
        "-f",
        "--format",
        meta="FORMAT",
        choices=_FORMATS,
        help="table, tsv, csv, json, ndjson, ids, dot or mermaid; default: table on a terminal, tsv in a pipe",
    )
    jobs: int | None = opt("-j", "--jobs", meta="N", help="with N slots; default: those of this area")
    tags: str | None = opt("--tags", meta="EXPR", help="only tests with a tag that matches, as in [test_meta] tags")
    first_to_fail: bool = flag("--first-to-fail", help="first what failed most often for the time it takes")
    critical: bool = flag("--critical", help="only the chain of cases that decides the end")
    allow_empty: bool = flag("--allow-empty", help="nothing selected is no error")
    tests: tuple[str, ...] = rest("PATT", help="tests and items to plan; - reads ids from stdin", complete="tests")


def main(opts: Options) -> int:
    """Print the plan."""
    if opts.jobs is not None and opts.jobs < 1:
        raise UsageError(f"-j {opts.jobs}: at least 1")
    from mt.pipeline.planning import planned
    from mt.stdio import read_ids

    try:
        area, plan = planned(opts, read_ids(opts.tests))
    except NothingSelected:
        if opts.allow_empty:
            return 0
        raise
    form = chosen_format(opts)
    if form in ("dot", "mermaid"):
        from mt.pipeline import drawing

        drawn = drawing.picture(plan)
        drawing.put(drawing.dot(drawn) if form == "dot" else drawing.mermaid(drawn), opts.output)
        return 0
    schedule, expected = _played(area, plan, opts)
    chain = schedule.critical() if opts.critical else schedule.rows
    if form == "ids":
        write_rows(({"id": _id(plan.cases[timed.case], opts)} for timed in chain), opts, COLUMNS)
    else:
        late = set(plan.late)
        write_rows((_row(plan, expected, n, timed, opts, late) for n, timed in enumerate(chain, 1)), opts, COLUMNS)
    return 0


def _played(area: Area, plan: Plan, opts: Options) -> tuple[Schedule, Expected]:
    """The schedule with what is known of earlier runs; says how long it takes."""
    from mt.pipeline.estimate import Expected, first_to_fail, play, records
    from mt.pipeline.limits import slots

    past: dict[CaseKey, Record] = records(_rows(area)) if opts.first_to_fail else {}
    known = {key: r.secs for key, r in past.items() if r.secs > 0} if opts.first_to_fail else _durations(area)
    expected = Expected(plan, known)
    rank = first_to_fail(plan, past, expected) if opts.first_to_fail else None
    room = slots(opts.jobs, area.setting("setup", "max_concurrent_jobs"), served=False)
    groups = {name: n for name, n in area.limits.jobgroups.items() if n > 0}
    schedule = play(plan, expected.of, room, groups, rank)
    if not opts.quiet:
        met = sum(key in known for key in plan.cases)
        say(
            f"{len(schedule.rows)} cases ({met} timed before), {span(schedule.work)} of work, "
            f"{span(schedule.total)} with {room} slot{'s' * (room != 1)}"
        )
    return schedule, expected


def _durations(area: Area) -> dict[CaseKey, float]:
    """Seconds of earlier runs; nothing where nothing was ever recorded."""
    if not os.path.exists(os.path.join(area.db_dir, "AREA")):
        return {}
    from mt.db import Store
    from mt.queries import durations

    return durations(Store(area.home), area.target)


def _rows(area: Area) -> Iterator[Any]:
    """The cases of the last runs of the target."""
    if not os.path.exists(os.path.join(area.db_dir, "AREA")):
        return
    from mt.db import Store
    from mt.queries import cases, find_runs

    store = Store(area.home)
    for run in find_runs(store, area.target)[-10:]:
        yield from cases(store, run.id)


def _row(plan: Plan, expected: Expected, n: int, timed: Any, opts: Options, late: set[int]) -> dict[str, object]:
    case = timed.case
    key, spec = plan.cases[case], plan.spec_of(case)
    return {
        "n": n,
        "id": _id(key, opts),
        "test": key.test,
        "item": key.item,
        "why": plan.reason(case),
        "waits": plan.waitons(case),
        "mode": ",".join(sorted(spec.modes)) or "normal",
        "priority": spec.priority,
        "group": spec.jobgroup,
        "late": case in late,
        "secs": round(expected.of(case), 3),
        "start": round(timed.start, 3),
        "end": round(timed.end, 3),
        "held": timed.held,
    }


def _id(key: CaseKey, opts: Options) -> str:
    """TEST/ITEM, with target and run in front when both were said."""
    return f"{opts.target}//{opts.run}//{key}" if opts.target and opts.run else str(key)


def span(secs: float) -> str:
    """A duration for people: `2h 5m`, `3m 10s`, `1.5 s`."""
    if secs < 60:
        return f"{secs:.1f} s"
    minutes, left = divmod(round(secs), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {left}s"
