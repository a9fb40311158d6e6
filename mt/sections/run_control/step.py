"""run one step inside a test, or say that one has begun or ended

With a command after `--` the command runs with all its output in NAME.log in the current directory.  When there are log
rules, in NAME.logpro, they judge the log and their code replaces that of the command.  Times, processor time, peak
memory and the code are recorded, and `mt step` leaves with that code, so a script can go on or stop.

Without a command `mt step NAME start` and `mt step NAME end [STATUS]` record what a script does by itself; STATUS is a
number, 0 when absent, or a word.

A step with a status other than 0 (or, with rules, 2 = warning) is shown as failed.  The verdict of the test is not
changed by it: a script says that by its own exit status or with mt-result.

EXAMPLES

    $ mt step compile -- make -j2 all
    Run make; its output is in compile.log.

    $ mt step simulate -v -- ./sim --seed 7 | grep -c WARNING
    Run the simulator and see its output as well.

    $ mt step upload start && rsync -a out/ $DEST && mt step upload end
    Record a step by hand.

EXIT STATUS

    0    the step is good, or was recorded
    1-6  of the log rules: fail, warning, check, waived, abort, skip; or of the command
    2    not inside a test
    126  the command cannot be run
    127  there is no such command
    128+ the command was ended by a signal

SEE ALSO

    mt-result, mt-value, mt-logpro, mt-run
"""

from __future__ import annotations

import os
import time

from mt.errors import ConfigError, StoreError, UsageError
from mt.inside import inside
from mt.options import command, flag, operand, opt
from mt.pipeline.command import execute
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mt.inside import Inside


class Options:
    """What was typed."""

    message: str | None = opt("-m", "--message", meta="TEXT", help="a comment, one line")
    log: str | None = opt("--log", meta="FILE", help="the log of the step; default NAME.log", complete="files")
    verbose: bool = flag("-v", "--verbose", help="show the output of the command as well")
    name: str = operand("NAME", help="the step's name")
    mark: str | None = operand("start|end", help="record a begin or an end, without a command", need=False)
    status: str | None = operand("STATUS", help="with end: how it went (default 0)", need=False)
    argv: tuple[str, ...] = command("CMD", help="the command and its arguments")


def main(opts: Options) -> int:
    """Run the step, or record the mark."""
    if "/" in opts.name or opts.name.startswith("."):
        raise UsageError(f"bad step name '{opts.name}'")
    here = inside(os.environ)
    if opts.argv:
        if opts.mark is not None:
            raise UsageError(f"mt step {opts.name}: either '{opts.mark}' or a command, not both")
        return run(here, opts)
    if opts.mark not in ("start", "end"):
        raise UsageError(f"mt step {opts.name}: needs start, end, or -- and a command", hint="mt step -h")
    status = opts.status or ("0" if opts.mark == "end" else "-")
    exits = [int(status)] if opts.mark == "end" and status.isdigit() else []
    here.tell([_event(here, opts, state=opts.mark, status=status, exits=exits, log=opts.log or "")])
    return 0


def _event(here: Inside, opts: Options, **fields: object) -> dict[str, object]:
    """A whole StepRow as an event."""
    row = {"number": 0, "pid": 0, "start": time.time(), "secs": 0.0, "cpu": 0.0, "rss": 0}
    return here.event("step", name=opts.name, **{**row, "comment": opts.message or "", **fields})


def run(here: Inside, opts: Options) -> int:
    """Run the command as this step; gives the code of the rules, or of the command without rules."""
    log = opts.log or f"{opts.name}.log"
    begun = time.time()
    common = {"pid": os.getpid(), "start": begun}
    here.tell([_event(here, opts, state="start", status="-", exits=[], log="", **common)])
    done = execute(opts.argv, log, echo=opts.verbose)
    code, shown, message, measured = _judge(here, opts.name, log, done.code)
    used: dict[str, object] = {"secs": round(done.secs, 6), "cpu": round(done.cpu, 6), "rss": done.rss}
    if message and not opts.message:
        used["comment"] = message
    end = _event(here, opts, state="end", status=str(code), exits=[done.code], log=shown, **common, **used)
    try:
        here.tell([*measured, end])
    except StoreError as e:
        if code == 0:
            raise
        say(e.what)
    return code


def _judge(here: Inside, name: str, log: str, code: int) -> tuple[int, str, str, list[dict[str, object]]]:
    """(code, file to read, message, measured values): by NAME.logpro when it is there, else the command's own."""
    rules = f"{name}.logpro"
    if not os.path.exists(rules):
        return code, log, "", []
    from mt.pipeline.logpro import judge_file

    try:
        found = judge_file(rules, log, f"{name}.html", f"{name}.dat")
    except ConfigError as e:
        for line in e.lines():
            say(line)
        return 1, log, e.lines()[0], []
    return found.code, f"{name}.html", found.message, [_measured(here, name, value) for value in found.values]


def _measured(here: Inside, step: str, value: Any) -> dict[str, object]:
    """One value of the log rules as an event (spec/config.md P30)."""
    return here.event(
        "value",
        category=step,
        variable=value.name,
        value=str(value.measured),
        expected=str(value.expected),
        tol=str(value.tol),
        units=value.units,
        comment=value.desc,
        status=value.status,
        type=value.type,
    )
