"""remove what cases left behind: their directories, their records, or both

By default the run directories of the named cases go and their records become DELETED, so that the next `mt run` runs
them again.  --data keeps the records as they are; --records keeps the files.  Cases that are running are refused, and
so is all of a frozen run.

Only directories below the link tree and the disks of the area are removed; a link that leads elsewhere is refused, and
links inside a run directory are removed, never followed.

With the last case of a run, what its jobs on batch engines left behind goes, too.

EXAMPLES

    $ mt rm -n one/%
    Say what would go, with sizes.

    $ mt tests -s PASS -f ids | mt rm --data - --allow-empty
    Keep the numbers of what passed, and free the disk.

EXIT STATUS

    0  it is gone
    2  usage
    4  one of the cases is running
    7  nothing matches
    9  the run is frozen, the file system forbids it, or a link leads out of the area's directories

SEE ALSO

    mt-tests, mt-paths, mt-disks, mt-clean, mt-freeze
"""

from __future__ import annotations

from mt.errors import UsageError
from mt.model import case_id
from mt.options import flag, rest
from mt.rows import CaseOptions, Cases, answer
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.model import CaseRow
    from mt.rows import Picked


class Options(CaseOptions):
    """What was typed."""

    data: bool = flag("--data", help="remove run directories only")
    records: bool = flag("--records", help="remove records only")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be removed, and do nothing")
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    ids: tuple[str, ...] = rest(
        "ID", help="ids or patterns of cases; - reads them from stdin", need=True, complete="ids"
    )


def main(opts: Options) -> int:
    """Remove them."""
    from mt.pipeline.bags_gone import remove_bags
    from mt.pipeline.byhand import refuse_live
    from mt.pipeline.frozen import refuse_frozen

    if opts.data and opts.records:
        raise UsageError("--data and --records together mean neither", hint="without both, all of it goes")
    cases = Cases(opts, opts.ids)
    done = 0
    for picked in cases.picked:
        rows = [row for row in cases.of(picked) if row.state != "DELETED"]
        if rows:
            refuse_frozen(cases.runs.store, picked.run.id)
            refuse_live(rows)
        for row, freed in _removed(cases, picked, rows, opts) if rows else ():
            if not opts.quiet:
                say(f"{case_id(picked.run.key, row.key)}: {freed} bytes")
        done += len(rows)
        if not (opts.data or opts.dry_run):
            remove_bags(cases.runs.store, picked.run.id)
    return answer(done, opts, "cases")


def _removed(cases: Cases, picked: Picked, rows: list[CaseRow], opts: Options) -> Iterator[tuple[CaseRow, int]]:
    """Remove what is asked for, or only look; gives each case with its bytes."""
    from mt.pipeline import byhand, territory

    store, run = cases.runs.store, picked.run
    if opts.records:
        if not opts.dry_run:
            byhand.forget_records(store, run.id, rows)
        yield from ((row, 0) for row in rows)
        return
    land = territory.of_run(store.home, run.key)
    if opts.dry_run:
        yield from ((row, territory.size(land.find(run.key, row).real)) for row in rows)
        return
    yield from byhand.remove_cases(store, run.id, run.key, rows, land, records=not opts.data)
