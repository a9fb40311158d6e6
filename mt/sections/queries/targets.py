"""list the targets that runconfigs.config has sections for

The section [default] and wildcard sections are no targets and are not listed.  With --db the targets of recorded runs
are listed too: `runs` counts the runs of each, and `config` says whether it has a section of its own.  A target needs
no section to be run; `mt check` finds misspelled ones.

EXAMPLES

    $ mt targets
    What can be run here.

    $ mt targets 'ubuntu/%'
    Those of one system.

    $ mt targets -f tsv | tail -n +2 | while read t; do mt run -t $t -r nightly; done
    Run all of them.

    $ mt targets --db --sort -runs
    Which targets have runs.

EXIT STATUS

    0  targets were printed
    3  the area cannot be read
    7  nothing matches

SEE ALSO

    mt-keys, mt-runs, mt-run, mt-check
"""

from __future__ import annotations

import os

from mt.errors import NothingSelected
from mt.options import AreaOptions, RowOptions, flag, operand
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mt.area import Area


class Options(AreaOptions, RowOptions):
    """What was typed."""

    db: bool = flag("--db", help="also those of recorded runs, and how many runs they have")
    pattern: str | None = operand("PATT", help="only targets that match; a comma list, % is a wildcard", need=False)


def main(opts: Options) -> int:
    """Print one row for each target."""
    from mt.area import Area

    area = Area.open(opts.chdir, environ=os.environ)
    named = [t for t in area.targets(opts.pattern) if t != "default"]
    for problem in area.problems:
        if problem.level == "error":
            say(f"{problem.where}: {problem.text}")
    rows = _with_runs(area, named, opts.pattern) if opts.db else [{"id": f"{t}//", "target": t} for t in named]
    if not rows:
        raise NothingSelected(
            f"no target matches '{opts.pattern}'" if opts.pattern else "runconfigs.config names no targets",
            hint="mt targets --db" if not opts.db else None,
        )
    write_rows(rows, opts, ("target", "config", "runs") if opts.db else ("target",))
    return 0


def _with_runs(area: Area, named: list[str], pattern: str | None) -> list[dict[str, Any]]:
    """Targets of the files and of the store together; an area without a store has no runs."""
    from collections import Counter

    counts: Counter[str] = Counter()
    if os.path.exists(os.path.join(area.db_dir, "AREA")):
        from mt.db import Store
        from mt.queries import find_runs
        from mt.targets import matching

        counts.update(run.target for run in find_runs(Store(area.home), None, None))
        counts = Counter({t: counts[t] for t in matching(counts, pattern)})
    every = sorted({*named, *counts})
    return [{"id": f"{t}//", "target": t, "config": t in named, "runs": counts[t]} for t in every]
