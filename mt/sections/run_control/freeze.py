"""forbid changes to runs

A frozen run stays as it is: `mt run`, `mt rerun`, `mt rm`, `mt set`, `mt clean` and `mt archive save --remove` refuse
to touch it and say who froze it, when and why.  What can be asked of a run can still be asked.  A run that is driven
now is refused; stop it first, or wait for it.

EXAMPLES

    $ mt freeze w49.1 -m 'release candidate 2'
    Keep this run, for all of its targets.

    $ mt runs -f ndjson | jq -r 'select(.frozen != "") | .id'
    The runs that are frozen.

EXIT STATUS

    0  they are frozen
    2  usage
    4  one of them is driven now
    7  no such run

SEE ALSO

    mt-thaw, mt-runs, mt-clean, mt-archive-save
"""

from __future__ import annotations

from mt.options import RunOptions, flag, opt, rest
from mt.rows import EmptyOption, Runs, answer
from mt.stdio import say


class Options(RunOptions, EmptyOption):
    """What was typed."""

    message: str = opt("-m", "--message", meta="TEXT", default="", help="why; it is told to everybody who is refused")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be frozen, and do nothing")
    runs: tuple[str, ...] = rest(
        "RUN", help="run names or TARGET//RUN; - reads them from stdin", need=True, complete="runs"
    )


def main(opts: Options) -> int:
    """Freeze each of them."""
    from mt.pipeline.frozen import freeze

    runs = Runs(opts)
    found = runs.named(opts.runs)
    for run in found:
        if not opts.dry_run:
            freeze(runs.store, run.id, opts.message)
        if not opts.quiet:
            say(f"freeze {run.key}")
    return answer(len(found), opts, "runs")
