"""remove what cases left behind: their directories, their records, or both

By default the run directories of the named cases go and their records become DELETED, so that the next `mt run` runs
them again.  --data keeps the records as they are; --records keeps the files.  Cases that are running are refused.

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
    9  the file system forbids it

SEE ALSO

    mt-tests, mt-paths, mt-disks
"""

from __future__ import annotations

from mt.errors import UsageError
from mt.options import flag, rest
from mt.rows import CaseOptions, Cases, answer
from mt.stdio import say


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
    from mt.area import Area
    from mt.model import case_id
    from mt.pipeline import byhand

    if opts.data and opts.records:
        raise UsageError("--data and --records together mean neither", hint="without both, all of it goes")
    cases = Cases(opts, opts.ids)
    linktree = Area.open(opts.chdir).linktree
    done = 0
    for picked in cases.picked:
        rows = [row for row in cases.of(picked) if row.state != "DELETED"]
        byhand.refuse_live(rows)
        for row in rows:
            freed = 0
            if not opts.records:
                freed = byhand.size(row.dir + "/") if opts.dry_run else byhand.remove_data(row, linktree)
            if not opts.quiet:
                say(f"{case_id(picked.run.key, row.key)}: {freed} bytes")
        if rows and not opts.data and not opts.dry_run:
            byhand.set_cases(cases.runs.store, picked.run.id, rows, "DELETED", "n/a", "")
        done += len(rows)
    return answer(done, opts, "cases")
