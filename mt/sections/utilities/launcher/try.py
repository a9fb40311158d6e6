"""prove that a launcher works

Starts real jobs by a launcher and watches them.  LAUNCHER is `local`, an engine, the name of a section `[launcher
NAME]` of the area, the text of one as for -L of `mt run`, or a command to put in front.

One row for each check: are the programs here, is a job taken, listed and started, does its host see this directory and
this host what is written there, can it import this very mt, has it got what was asked for, do arrays count as they
should, does a cancelled job end.

The jobs use a directory of their own in `.mtdb`, or in --dir, and nothing is left behind.  A busy queue may need more
patience: --timeout is for each of the two jobs, -v says what is done while it is done.

A result is `ok`, `warn` (can be lived with), `fail`, or `skip` (does not apply, or could not be tried any more).

EXAMPLES

    $ mt launcher try local
    Do mt's own jobs start here?

    $ mt launcher try 'slurm queue=short mem=2G' --timeout 300s  #: needs a cluster
    May I use this queue, and is my disk there?

    $ mt launcher try night -f ndjson | jq -r 'select(.result == "fail") | .note'  #: needs a cluster
    What is wrong with [launcher night] of this area?

EXIT STATUS

    0  it works
    1  a check failed
    2  usage
    3  there is no area here and no --dir, or the launcher cannot be understood
    6  no job can be started: a program is missing, or the engine took none

SEE ALSO

    mt-launcher-list, mt-doctor, mt-run, mt-jobs, mt-launchers(7)
"""

# ruff: noqa: N999 - a verb is called what is typed

from __future__ import annotations

import os

from mt.options import AreaOptions, RowOptions, operand, opt
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from mt.area import Area
    from mt.pipeline.trying import Check

COLUMNS = ("check", "result", "secs", "note")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    dir: str | None = opt("--dir", meta="DIR", help="use DIR in place of the area's .mtdb", complete="dirs")
    timeout: str = opt("--timeout", meta="TIME", help="wait so long for a job to begin, and to end", default="60s")
    launcher: str = operand("LAUNCHER", help="the name or the text of a launcher")


def main(opts: Options) -> int:
    """Try it, and print a row for each check as it is done."""
    from mt.errors import ConfigError, UsageError
    from mt.launchers.amounts import seconds
    from mt.pipeline.starters import area_of
    from mt.pipeline.trying import trial

    try:
        patience = seconds(opts.timeout)
    except ValueError as e:
        raise UsageError(f"mt launcher try: --timeout: '{opts.timeout}': {e}", hint="--timeout 60s") from e
    area = area_of(opts.chdir, os.environ)
    if area is None and opts.dir is None:
        raise ConfigError("there is no area here to try a launcher for", hint="mt launcher try --dir DIR LAUNCHER")
    checks = trial(opts.launcher, area.config if area else None, _place(opts.dir, area), patience, os.environ)
    seen: list[Check] = []
    write_rows(_rows(checks, seen, talk=opts.verbose), opts, COLUMNS)
    if any(check.fatal for check in seen):
        return 6
    return 1 if any(check.result == "fail" for check in seen) else 0


def _rows(checks: Iterable[Check], seen: list[Check], *, talk: bool) -> Iterator[dict[str, Any]]:
    for check in checks:
        seen.append(check)
        if talk:
            say(f"{check.check}: {check.result}: {check.note}")
        row = check._asdict()
        del row["fatal"]
        yield {**row, "secs": None if check.secs is None else round(check.secs, 3)}


def _place(chosen: str | None, area: Area | None) -> str:
    """Where the files of the trial go: as a run's would, on the disk of the area."""
    if chosen is not None or area is None:
        return os.path.abspath(chosen or ".")
    store = os.path.join(area.home, ".mtdb")
    return store if os.path.isdir(store) else area.home
