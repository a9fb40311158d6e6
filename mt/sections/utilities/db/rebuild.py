"""make dbs again from the journals

Makes the db of each RUN anew from its journals, or with --all the dbs of all runs and main.db, or with --main only
main.db. The old db may be gone, broken, or of a newer version: it is not read, and the new one takes its place by
rename. Nothing that a test said is lost with a db.

EXAMPLES

    $ mt db rebuild w49.1
    The db of one run.

    $ mt db rebuild --all
    All dbs of the area.

EXIT STATUS

    0  the dbs were made
    2  neither RUN nor --all nor --main was given
    5  the journals cannot be read or the db cannot be written
    7  no such run

SEE ALSO

    mt-db-check, mt-db(5)
"""

from __future__ import annotations

from mt.errors import UsageError
from mt.options import AreaOptions, flag, rest
from mt.rows import store
from mt.stdio import say


class Options(AreaOptions):
    """What was typed."""

    all: bool = flag("--all", help="the dbs of all runs, and main.db")
    main: bool = flag("--main", help="main.db")
    dry_run: bool = flag("-n", "--dry-run", help="only say which dbs would be made")
    runs: tuple[str, ...] = rest("RUN", help="run names, TARGET//RUN or numbers", complete="runs")


def main(opts: Options) -> int:
    """Make the dbs and say how much went into each."""
    from mt.rebuild import rebuild_main, rebuild_run
    from mt.upkeep import runs_named

    if not (opts.runs or opts.all or opts.main):
        raise UsageError("mt db rebuild: RUN is missing", hint="mt db rebuild --all")
    area = store(opts)
    for run_id in runs_named(area, opts.runs) if opts.runs or opts.all else []:
        done = 0 if opts.dry_run else rebuild_run(area, run_id)
        _told(opts, f"{run_id}.db", f"{done} events")
    if opts.main or opts.all:
        done = 0 if opts.dry_run else rebuild_main(area)
        _told(opts, "main.db", f"{done} runs")
    return 0


def _told(opts: Options, name: str, done: str) -> None:
    if opts.dry_run:
        say(f"would rebuild {name}")
    elif not opts.quiet:
        say(f"rebuilt {name}: {done}")
