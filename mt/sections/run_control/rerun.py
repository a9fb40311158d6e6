"""run cases again: what failed, or what is named

Without ids it is what failed or has no verdict in the last run, or in the run that -t and -r name.  With ids, or with
rows or ids on standard input (`-`), it is just those.  Cases that were not run because a chosen one had failed run
again too.  Each case gets a new attempt; older ones stay in the record.

EXAMPLES

    $ mt rerun
    Run again what failed in the last run.

    $ mt tests -s FAIL -f ids | mt rerun -
    The same, with a choice made in between.

    $ mt rerun -n
    Say what would run again.

EXIT STATUS

    0  all of them are good now
    1  some failed again, or with --fail-flaky: they had failed before and pass now
    2  usage
    5  the store cannot be used
    7  nothing is to be run again
    8  no failure, but interrupted, lost, infrastructure or blocked cases remain

SEE ALSO

    mt-run, mt-tests, mt-flaky, mt-why
"""

from __future__ import annotations

from mt.errors import NothingSelected
from mt.options import flag, opt, rest
from mt.rows import CaseOptions, Cases


class Options(CaseOptions):
    """What was typed."""

    jobs: int | None = opt("-j", "--jobs", meta="N", help="at most N cases at once")
    launcher: str | None = opt(
        "-L", "--launcher", meta="NAME", help="what starts the cases: local, slurm, ssh ..., or a text as in [jobtools]"
    )
    load: float | None = opt("-l", "--max-load", meta="L", help="start no more while the load of the machine is over L")
    fail_fast: bool = flag("--fail-fast", help="start nothing more after the first failure")
    max_fail: int | None = opt("--max-fail", meta="N", help="start nothing more after N failures")
    retries: int | None = opt("--retries", meta="N", help="run a case that is not good up to N times more")
    retry: str | None = opt(
        "--retry", meta="WHAT", choices=("all", "fail", "infra"), help="after which ends; alone it is one time more"
    )
    fail_flaky: bool = flag("--fail-flaky", help="status 1 also when a case failed first and passed when tried again")
    keep_files: bool = flag("--keep-files", help="leave what earlier attempts wrote in the run directories")
    set_vars: tuple[str, ...] = opt("--set", meta="VAR=VALUE", help="set a variable for all cases; may be repeated")
    dry_run: bool = flag("-n", "--dry-run", help="say what would run again, and do nothing")
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")
    tags: str | None = None
    order: str | None = None


def main(opts: Options) -> int:
    """Run again, one run after the other; the worst exit status counts."""
    from mt.pipeline import again
    from mt.pipeline.history import eyes

    cases = Cases(opts, opts.ids)
    said = bool(opts.ids or cases.states or cases.statuses)
    worst, found = 0, 0
    for picked in cases.picked:
        alive = eyes(cases.runs.store, picked.run.id)
        rows = [row for row in cases.of(picked) if again.worth(row, named=said, alive=alive)]
        if not rows:
            continue
        found += len(rows)
        recorded = list(cases.all_of(picked.run))
        status = again.run_again(
            opts, picked.run.key, rows, recorded, dry=opts.dry_run, fail_flaky=opts.fail_flaky
        )  # fmt: skip
        worst = status if worst in (0, 8) and status else worst
    if not found and not opts.allow_empty:
        raise NothingSelected("nothing is to be run again", hint="mt status")
    return worst
