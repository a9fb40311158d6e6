"""stop a run, or kill some of its cases

Without ids the run is drained: running cases end, nothing more is started, and `mt run` ends; the same `mt run` later
goes on.  With --now the running cases are ended too, and run again with the next `mt run`.  With ids, just those cases
are killed: their whole process trees end, and they count as KILLED.

No database is needed to kill a case: its worker looks at a control file twice a second.

EXAMPLES

    $ mt stop --allow-empty
    Drain the last run.

    $ mt stop --now --allow-empty
    End it now.

    $ mt stop one/% -m 'wrong board' --allow-empty
    Kill the running items of one test.

EXIT STATUS

    0  it was asked for
    2  usage
    7  nothing of it is running

SEE ALSO

    mt-run, mt-status
"""

from __future__ import annotations

from mt.options import flag, opt, rest
from mt.rows import CaseOptions, Cases, answer
from mt.stdio import say


class Options(CaseOptions):
    """What was typed."""

    now: bool = flag("--now", help="end what is running; it runs again with the next mt run")
    message: str = opt("-m", "--message", meta="TEXT", default="", help="why; it becomes the comment")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be stopped, and do nothing")
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


def main(opts: Options) -> int:
    """Ask for it."""
    cases = Cases(opts, opts.ids)
    chosen = bool(opts.ids or cases.states or cases.statuses)
    stopped = _kill(cases, opts) if chosen else _drain(cases, opts)
    return answer(stopped, opts, "running cases")


def _drain(cases: Cases, opts: Options) -> int:
    from mt.pipeline import control
    from mt.rows import user

    what = control.CANCEL if opts.now else control.DRAIN
    done = 0
    for picked in cases.picked:
        if not cases.is_controlled(picked):
            continue
        if not opts.dry_run:
            control.ask(cases.runs.store.ctl_dir(picked.run.id), what, by=user(), why=opts.message)
        if not opts.quiet:
            say(f"{what} {picked.run.key}")
        done += 1
    return done


def _kill(cases: Cases, opts: Options) -> int:
    from mt.model import case_id
    from mt.pipeline import control
    from mt.rows import user
    from mt.states import LIVE

    done = 0
    for run, row in cases:
        if row.state not in LIVE:
            continue
        if not opts.dry_run:
            control.ask_kill(cases.runs.store.kill_dir(run.id), row.key, user(), opts.message)
        if not opts.quiet:
            say(f"kill {case_id(run.key, row.key)}")
        done += 1
    return done
