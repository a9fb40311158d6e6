"""let frozen runs be changed again

The run can be run, changed and removed again.  Who thawed it, when and why (-m), stays in its journal, as its freezing
does.

EXAMPLES

    $ mt thaw w49.1
    End the freeze of a run, for all of its targets.

EXIT STATUS

    0  none of them is frozen
    2  usage
    7  no such run

SEE ALSO

    mt-freeze, mt-runs
"""

from __future__ import annotations

from mt.options import RunOptions, flag, opt, rest
from mt.rows import EmptyOption, Runs, answer
from mt.stdio import say


class Options(RunOptions, EmptyOption):
    """What was typed."""

    message: str = opt("-m", "--message", meta="TEXT", default="", help="why")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be thawed, and do nothing")
    runs: tuple[str, ...] = rest(
        "RUN", help="run names or TARGET//RUN; - reads them from stdin", need=True, complete="runs"
    )


def main(opts: Options) -> int:
    """Thaw those that are frozen."""
    from mt.pipeline.frozen import thaw
    from mt.rows import frozen_by

    runs = Runs(opts)
    found = [runs.fresh(run) for run in runs.named(opts.runs)]
    for run in filter(frozen_by, found):
        if not opts.dry_run:
            thaw(runs.store, run.id, opts.message)
        if not opts.quiet:
            say(f"thaw {run.key}")
    return answer(len(found), opts, "runs")
