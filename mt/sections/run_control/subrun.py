"""run tests in another area, from within a test too, and take their verdict

Does in the area of -C (at or above that directory) what `mt run` does, and ends with its status; without -C it is
the area of here.  The MT_ variables of the test that calls it are taken away first, so that the other run is a run of
its own; its target and run name are those of the test, unless -t and -r say otherwise.  A run that would wait for
itself is refused.

With --again what failed in that run before runs once more; otherwise only what has no verdict yet is run.

A test with a section `[subrun]` in its testconfig has this as its last step.

EXAMPLES

    $ mt subrun -C "$MT_RUN_AREA_HOME/parts/core" --again  #: needs a second area
    In a step: the same target and run name, over there.

    $ mt subrun -t ubuntu/nfs -r before smoke
    In a step or anywhere: another run of this area.

EXIT STATUS

    0    all cases of the sub-run are good
    1    some failed
    2    usage, or the run would wait for itself
    3    the other area's files cannot be used
    7    nothing is selected
    8    no failure, but interrupted, lost or blocked cases remain
    130  interrupted

SEE ALSO

    mt-run, mt-rerun, mt-wait
"""

from __future__ import annotations

import os
import sys

from mt.errors import NothingSelected, UsageError
from mt.options import RunOptions, flag, opt, rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Options(RunOptions):
    """What was typed."""

    again: bool = flag("--again", help="run again what failed in that run before")
    jobs: int | None = opt("-j", "--jobs", meta="N", help="at most N cases at once")
    load: float | None = opt("-l", "--max-load", meta="L", help="start no more while the load of the machine is over L")
    fail_fast: bool = flag("--fail-fast", help="start nothing more after the first failure")
    max_fail: int | None = opt("--max-fail", meta="N", help="start nothing more after N failures")
    retries: int | None = opt("--retries", meta="N", help="run a case that is not good up to N times more")
    retry: str | None = opt(
        "--retry", meta="WHAT", choices=("all", "fail", "infra"), help="after which ends; alone it is one time more"
    )
    key: str | None = opt("--key", meta="NAME", help="take the pattern from this run variable instead of TESTPATT")
    tags: str | None = opt("--tags", meta="EXPR", help="only tests with a tag that matches, as in [test_meta] tags")
    contour: str = opt("--contour", meta="NAME", default="", help="one more level of directories above the target")
    message: str = opt("-m", "--message", meta="TEXT", default="", help="the comment of a new run")
    keep_files: bool = flag("--keep-files", help="leave what earlier attempts wrote in the run directories")
    set_vars: tuple[str, ...] = opt("--set", meta="VAR=VALUE", help="set a variable for all cases; may be repeated")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be done, and do nothing")
    allow_empty: bool = flag("--allow-empty", help="nothing selected is no error")
    tests: tuple[str, ...] = rest("PATT", help="tests and items to run; - reads ids from stdin", complete="tests")
    order: str | None = None
    launcher: str | None = opt(
        "-L", "--launcher", meta="NAME", help="what starts the cases: local, slurm, ssh ..., or a text as in [jobtools]"
    )


def main(opts: Options) -> int:
    """Run over there; the first call inside a test starts itself again, with its variables gone."""
    from mt.home import find
    from mt.pipeline.subrun import own_command, without_own

    home = find(opts.chdir, os.environ)
    clean = without_own(os.environ)
    if clean != dict(os.environ):
        target, run = opts.target or os.environ.get("MT_TARGET"), opts.run or os.environ.get("MT_RUNNAME")
        refuse_itself(home, target, run, os.environ)
        more = [f"{name}{value}" for name, value in (("-t", target), ("-r", run)) if value]
        words = [*own_command(), "subrun", "-C", home, *more, *rest_of(opts)]
        sys.stdout.flush()
        os.execve(words[0], words, clean)  # noqa: S606 - ourselves
    try:
        return _run(opts, home)
    except NothingSelected:
        if opts.allow_empty:
            return 0
        raise


def refuse_itself(home: str, target: str | None, run: str | None, env: Mapping[str, str]) -> None:
    """Raise UsageError inside a test when the sub-run is the run of that very test."""
    mine = env.get("MT_RUN_AREA_HOME")
    if not env.get("MT_CMDINFO") or not mine or (target, run) != (env.get("MT_TARGET"), env.get("MT_RUNNAME")):
        return
    if os.path.realpath(mine) == os.path.realpath(home):
        hint = "-C names another area, -r another run; in [subrun]: run-area, run-name"
        raise UsageError(
            f"sub-run '{target}//{run}' would wait for itself: the test that asks is part of it", hint=hint
        )


def rest_of(opts: Options) -> list[str]:
    """What else was typed, for the second start."""
    from mt.options import declared

    words: list[str] = []
    for option in declared(Options):
        value = getattr(opts, option.dest)
        if option.dest in ("chdir", "target", "run") or value in (None, False, (), "", option.default):
            continue
        name = option.names[-1] if option.names else ""
        if value is True:
            words.append(name)
        elif name:
            words += [f"{name}={one}" for one in (value if isinstance(value, tuple) else (value,))]
    return [*words, "--", *opts.tests] if opts.tests else words


def _run(opts: Options, home: str) -> int:
    from mt.db import Store
    from mt.pipeline import asking
    from mt.pipeline.expand import Selection
    from mt.pipeline.run import Manner
    from mt.states import STATUSES, verdict
    from mt.stdio import read_ids

    opts.chdir = home
    area, request = asking.from_run(opts, read_ids(opts.tests))
    bad = [word for word in STATUSES if verdict("COMPLETED", word) in ("bad", "unfinished")]
    request = request._replace(again={"statuses": bad} if opts.again else None, manner=Manner(contour=opts.contour))
    if opts.key:
        asked = request.want.patterns if opts.tests else None
        request = request._replace(want=Selection(area.testpatt(asked, opts.key) or "%", opts.tags))
    if opts.dry_run:
        return asking.dry(area, request, opts)
    if opts.message:
        Store(area.home, create=True).create_run(request.run, owner=request.owner, comment=opts.message)
    return asking.report(asking.obeyed(area, request, "join"), request, quiet=opts.quiet)
