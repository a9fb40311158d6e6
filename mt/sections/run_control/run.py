"""plan and run tests until nothing is left to do

Selects tests by pattern (`%` and `*` are wildcards, `TEST/ITEM` names an item, commas separate), pulls in what they
wait for, and runs all of it: as many at once as there are processors, or as `[setup] max_concurrent_jobs` or -j says.
Under make without -j it takes its slots from make's job server.

The same command again goes on where the last one ended: what has a verdict is not run again, what was interrupted is.
When somebody drives the run already, the request is handed over and waited for.

The first interrupt lets running cases end and starts no more, the second ends them, the third leaves at once.  What was
interrupted runs again with the next `mt run`.

`--retries 2` runs what is not good up to twice more, `--retry infra` only what could not be judged (see `[infra]` in
mt-config(5)), `--retry fail` only what failed.  Both can be said in `[setup]` of the area and in `[requirements]` of a
test; the command wins over the test, the test over the area.  After an INFRA the next attempt waits 1 s, then 2 s, 4 s,
up to a minute, while other cases go on.  What the machine did to a case is forgiven besides, whatever is said of
retries: a job that was preempted or whose host failed up to three times (`lost` in mt-launchers(7)), a worker that died
once.  Only `--retries 0` means that nothing runs twice.  All attempts stay in the record; a case that failed first and
passes then is flaky (mt-flaky).

EXAMPLES

    $ mt run
    Run all tests for the only target, in today's run.

    $ mt run smoke/% -t ubuntu/nfs -r w49.1 -j 4
    Run some items, four at a time.

    $ mt run --retries 2 --fail-flaky
    Try failures twice more, and end with 1 even when that helps.

    $ mt run -n
    Say what would be done.

    $ mt plan --first-to-fail -f ids | mt run --order -
    Begin with what failed most, and fastest.

EXIT STATUS

    0    all cases of this command are good
    1    some failed, or with --fail-flaky were flaky
    2    usage
    3    the area's files cannot be used, or tests wait on each other in a circle
    4    somebody else drives the run (only with --if-running fail)
    5    the store cannot be used
    7    nothing is selected
    8    no failure, but interrupted, lost, infrastructure or blocked cases remain
    130  interrupted

SEE ALSO

    mt-plan, mt-rerun, mt-stop, mt-wait, mt-tests, mt-flaky, mt-why, mt-config(5)
"""

from __future__ import annotations

from mt.errors import NothingSelected
from mt.options import RunOptions, flag, opt, rest
from mt.stdio import read_ids


class Options(RunOptions):
    """What was typed."""

    jobs: int | None = opt("-j", "--jobs", meta="N", help="at most N cases at once")
    launcher: str | None = opt(
        "-L", "--launcher", meta="NAME", help="what starts the cases: local, slurm, ssh ..., or a text as in [jobtools]"
    )
    load: float | None = opt("-l", "--max-load", meta="L", help="start no more while the load of the machine is over L")
    keep_going: bool = flag("-k", "--keep-going", help="go on after failures, as is the default")
    fail_fast: bool = flag("--fail-fast", help="start nothing more after the first failure")
    max_fail: int | None = opt("--max-fail", meta="N", help="start nothing more after N failures")
    retries: int | None = opt("--retries", meta="N", help="run a case that is not good up to N times more")
    retry: str | None = opt(
        "--retry", meta="WHAT", choices=("all", "fail", "infra"), help="after which ends; alone it is one time more"
    )
    fail_flaky: bool = flag("--fail-flaky", help="status 1 also when a case failed first and passed when tried again")
    tags: str | None = opt("--tags", meta="EXPR", help="only tests with a tag that matches, as in [test_meta] tags")
    order: str | None = opt("--order", meta="FILE", help="start cases in the order of the ids in FILE; - is stdin")
    keep_files: bool = flag("--keep-files", help="leave what earlier attempts wrote in the run directories")
    if_running: str = opt(
        "--if-running",
        meta="WHAT",
        default="join",
        choices=("join", "skip", "wait", "fail"),
        help="when somebody drives the run: join it, skip, wait and then run, or fail",
    )
    detach: bool = flag("--detach", help="give the prompt back at once; the run goes on")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be done, and do nothing")
    explain: bool = flag("--explain", help="say for each case why it is run or not")
    allow_empty: bool = flag("--allow-empty", help="nothing selected is no error")
    set_vars: tuple[str, ...] = opt("--set", meta="VAR=VALUE", help="set a variable for all cases; may be repeated")
    tests: tuple[str, ...] = rest("PATT", help="tests and items to run; - reads ids from stdin", complete="tests")


def main(opts: Options) -> int:
    """Run, or say what would be run."""
    from mt.pipeline import asking

    try:
        area, request = asking.from_run(opts, read_ids(opts.tests))
        if opts.dry_run:
            return asking.dry(area, request, opts)
        if opts.explain:
            asking.explain(area, request)
        if opts.detach:
            return asking.detached(area, request, opts)
        outcome = asking.obeyed(area, request, opts.if_running)
        return asking.report(outcome, request, quiet=opts.quiet, fail_flaky=opts.fail_flaky)
    except NothingSelected:
        if opts.allow_empty:
            return 0
        raise
