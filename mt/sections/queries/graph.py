"""draw which tests wait for which

Selects tests as `mt run` does, pulls in what they wait for, and draws them: for Graphviz (`-f dot`, the default), for
Mermaid, which many sites render in a page of text, or as rows, one for each wait.  A test with items is one node unless
--items is given.  Arrows go from what is waited for to what waits; dashed ones are of mode toplevel.

With a run (-r, or an id) every node has the colour of how it stands there: green for good, red for bad, blue for
running, orange for unfinished, grey for not begun.

EXAMPLES

    $ mt graph | dot -Tsvg > waits.svg
    A picture of all tests.

    $ mt graph smoke/% --items -f mermaid
    Some tests with their items, to be pasted into a page.

    $ mt graph -r w49.1 -o now.dot --allow-empty
    How the run stands.

    $ mt graph -f rows
    What waits for what, as a table.

EXIT STATUS

    0  something was drawn
    2  usage
    3  the area's files cannot be used, or tests wait on each other in a circle
    7  nothing is selected, or there is no such run

SEE ALSO

    mt-plan, mt-why, mt-tests
"""

from __future__ import annotations

from mt.errors import NothingSelected
from mt.options import RowOptions, RunOptions, flag, opt, rest
from mt.rows import EmptyOption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mt.pipeline.drawing import Look, Picture

COLUMNS = ("test", "waits_for", "mode", "state", "status")
_FORMATS = ("dot", "mermaid", "rows", "table", "tsv", "csv", "json", "ndjson")


class Options(RunOptions, RowOptions, EmptyOption):
    """What was typed."""

    format: str | None = opt(
        "-f",
        "--format",
        meta="FORMAT",
        choices=_FORMATS,
        help="dot (the default), mermaid, or rows: as a table on a terminal, tsv in a pipe; or table, tsv, csv, json, "
        "ndjson",
    )
    items: bool = flag("--items", help="draw the items of tests too")
    tags: str | None = opt("--tags", meta="EXPR", help="only tests with a tag that matches, as in [test_meta] tags")
    tests: tuple[str, ...] = rest("PATT", help="tests and items to draw; - reads ids from stdin", complete="tests")


def main(opts: Options) -> int:
    """Draw."""
    try:
        drawn = _drawn(opts)
    except NothingSelected:
        if opts.allow_empty:
            return 0
        raise
    form = "json" if opts.json else opts.format or "dot"
    if form in ("dot", "mermaid"):
        from mt.pipeline import drawing

        drawing.put(drawing.dot(drawn) if form == "dot" else drawing.mermaid(drawn), opts.output)
        return 0
    from mt.stdio import write_rows

    opts.format = None if form == "rows" else form
    write_rows(_rows(drawn), opts, COLUMNS)
    return 0


def _drawn(opts: Options) -> Picture:
    from mt.pipeline.drawing import picture
    from mt.pipeline.planning import pieces_of, planned
    from mt.stdio import read_ids

    pieces = pieces_of(opts, read_ids(opts.tests))
    looks = _looks(opts) if opts.run else {}
    _, plan = planned(opts, pieces)
    return picture(plan, looks, items=opts.items)


def _looks(opts: Options) -> dict[str, Look]:
    """How tests and cases stand in the run that is named; its target is the plan's."""
    from mt.pipeline.drawing import Look
    from mt.queries import cases, tops
    from mt.rows import Runs
    from mt.states import verdict

    runs = Runs(opts)
    found = runs.matching(opts.target, opts.run)
    if not found:
        raise NothingSelected(f"no run is called '{opts.run}'", hint="mt runs lists them")
    run = found[-1]
    opts.target, opts.run = run.target, run.name
    runs.fold(run)
    looks = {top.test: Look(top.state, top.status, verdict(top.state, top.status)) for top in tops(runs.store, run.id)}
    if opts.items:
        rows = (row for row in cases(runs.store, run.id) if row.item)
        looks |= {str(row.key): Look(row.state, row.status, verdict(row.state, row.status)) for row in rows}
    return looks


def _rows(drawn: Picture) -> Iterator[dict[str, object]]:
    """One row for each wait, and one for each test that waits for nothing."""
    waits: dict[str, list[tuple[str, str]]] = {}
    for source, target, mode in drawn.edges:
        waits.setdefault(target, []).append((source, mode))
    for box in drawn.boxes:
        for name in (box.test, *(box.items if drawn.items else ())):
            found = waits.get(name, [])
            if found or name == box.test:
                for source, mode in found or [("", "")]:
                    yield {"test": name, "waits_for": source, "mode": mode, **_stands(drawn.looks, name)}


def _stands(looks: Mapping[str, Look], name: str) -> dict[str, object]:
    look = looks.get(name)
    return {"state": look.state if look else "", "status": look.status if look else ""}
