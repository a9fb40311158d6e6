"""write what the area records as a megatest.db of the old program

For scripts that read `megatest.db` with SQL. FILE (by default `megatest.db` in the area) gets all tables of Megatest
1.65: runs, tests with the rolled-up records of iterated tests, steps, measured values, metadata of tests, keys and
counts. Numbers of tests are those that `megatest -list-runs` shows. It is made beside FILE and takes its place by
rename, so a reader never sees half of it.

A FILE that mt did not write is not replaced: it may hold what the old program ran, see `mt db import`.

EXAMPLES

    $ mt db export && sqlite3 megatest.db 'SELECT testname, item_path, status FROM tests'
    Write it in the area, and ask it.

    $ mt db export -q /tmp/results.db
    Write it elsewhere.

EXIT STATUS

    0  the file was written
    1  FILE is there and was not written by mt
    5  the file cannot be written
    7  nothing is recorded yet

SEE ALSO

    mt-db-import, mt-runs, mt-tests, mt-db(5)
"""

from __future__ import annotations

import os

from mt.options import AreaOptions, flag, operand
from mt.rows import store
from mt.stdio import say


class Options(AreaOptions):
    """What was typed."""

    force: bool = flag("--force", help="replace a file that mt did not write")
    dry_run: bool = flag("-n", "--dry-run", help="only say which file would be written")
    file: str | None = operand("FILE", help="the file to write", need=False, complete="files")


def main(opts: Options) -> int:
    """Write the file, and say how much is in it."""
    from mt.area import Area
    from mt.exporting import export_db

    records = store(opts)
    path = opts.file or os.path.join(records.home, "megatest.db")
    if opts.dry_run:
        say(f"would write {path}")
        return 0
    keys = Area.open(opts.chdir, environ=os.environ).keys
    done = export_db(records, path, keys, force=opts.force)
    if not opts.quiet:
        say(f"wrote {done} records to {path}")
    return 0
