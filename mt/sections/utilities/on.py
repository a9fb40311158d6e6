"""run a command when a case reaches a state or status, or try a trigger by hand

`mt on EVENT [PATT] -- CMD` waits for events of a run until nobody drives it any more, and runs CMD for each, one after
the other.  An event is written as a key of `[triggers]`: STATE/STATUS, STATE/ or /STATUS; a lone word is a state when
it is one, else a status; several are separated by commas.  CMD gets the arguments of a trigger: number of the case,
run directory, event, test, item, state, status, time.  It starts in the run directory with MT_TEST_NAME, MT_ITEMPATH,
MT_TEST_RUN_DIR, MT_TARGET, MT_RUNNAME and MT_RUN_AREA_HOME.  A lone word with blanks is a line for the shell, where
the arguments are $1 to $8.  What is so already counts only with --all, and what lasts but a moment may be missed; how
a case ends is not.

`mt on ID [--as STATE/STATUS]` runs the triggers that this case, its test and its area have for how it stands, or as if
it stood otherwise: here in the foreground, with the environment of the case.  -n says which they are.

EXAMPLES

    $ mt on FAIL -- 'echo "$4/$5 failed: $2" | mail -s "$MT_RUNNAME" me'
    A mail for each failure, until the run is over.

    $ mt on COMPLETED/FAIL smoke/% --first -- mt stop
    Stop the run at the first failure of some tests.

    $ mt on one --as COMPLETED/FAIL -n
    Which triggers would fire if this had failed?

EXIT STATUS

    0  all commands were good, or there were none
    1  one of them was not
    2  usage
    3  the area's files cannot be used
    7  no such run or case

SEE ALSO

    mt-wait, mt-run, mt-tests, mt-shell
"""

from __future__ import annotations

import os
import sys

from mt.errors import LaunchError, NothingSelected, UsageError, why
from mt.options import RowOptions, command, flag, operand, opt, rest
from mt.rows import CaseOptions, Cases, home
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mt.model import CaseRow, RunRow
    from mt.pipeline.events import Watch
    from mt.pipeline.standing import Standing
    from mt.pipeline.triggers import Hit

COLUMNS = ("id", "event", "source", "command", "log")


class Options(CaseOptions, RowOptions):
    """What was typed."""

    all: bool = flag("--all", help="count what is so already")
    first: bool = flag("--first", help="end after the first event")
    interval: float = opt("--interval", meta="SECS", help="look every SECS seconds", default=0.5)
    as_: str | None = opt("--as", meta="STATE/STATUS", help="as if the case had reached this", complete="statuses")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be run, and run nothing")
    what: str = operand("EVENT", help="the event to wait for; without a command, the case whose triggers are tried")
    tests: tuple[str, ...] = rest("PATT", help="only these tests and items; an id names the run", complete="tests")
    command: tuple[str, ...] = command(help="the command to run; without one, triggers are tried")


def main(opts: Options) -> int:
    """Wait and run, or try triggers."""
    if opts.command:
        if opts.as_:
            raise UsageError("--as is for triggers: mt on ID --as STATE/STATUS", hint="mt on -h")
        return _wait(opts)
    return _try(opts)


# -- waiting


def _wait(opts: Options) -> int:
    from mt.pipeline.events import Watch, events_of

    events = events_of(opts.what)
    cases = Cases(opts, list(opts.tests))
    if not cases.picked:
        raise NothingSelected("no such run", hint="mt runs lists them")
    if len(cases.picked) > 1:
        raise UsageError(f"{len(cases.picked)} runs are meant: name one", hint="-t TARGET -r RUN")
    picked = cases.picked[0]
    watch = Watch(cases.runs.store, picked.run.id, events, picked.takes)
    if not opts.all:
        watch.now()
    if not opts.quiet:
        say(f"waiting for {opts.what} in {picked.run.key}" if watch.is_driven() else f"nobody drives {picked.run.key}")
    return _for_each(watch, picked.run, opts)


def _for_each(watch: Watch, run: RunRow, opts: Options) -> int:
    """Run the command for each event; gives 1 when one of them failed."""
    from mt.model import case_id
    from mt.pipeline.events import words_for
    from mt.pipeline.triggers import environment

    base = {**os.environ, "MT_TARGET": run.target, "MT_RUNNAME": run.name, "MT_RUN_AREA_HOME": home(opts)}
    worst = 0
    for event, row in watch.all(opts.interval):
        change = watch.change(row)
        words = words_for(opts.command, event.key, change)
        if not opts.quiet:
            say(f"{event.key} {case_id(run.key, row.key)}: {row.state}/{row.status}")
        if opts.dry_run:
            from shlex import join

            print(join(words), flush=True)
        elif _run(words, environment(base, change), row.dir):
            worst = 1
        if opts.first:
            break
    return worst


def _run(words: Sequence[str], env: Mapping[str, str], directory: str) -> int:
    """Run a command in a directory that may be gone, and wait for it; gives its status."""
    import subprocess

    sys.stdout.flush()
    where = directory if os.path.isdir(directory) else None
    try:
        return subprocess.run(words, env=env, cwd=where, stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as e:
        raise LaunchError(f"cannot run '{words[0]}': {why(e)}") from e


# -- trying triggers


def _try(opts: Options) -> int:
    if opts.tests:
        raise UsageError(f"'{opts.tests[0]}' is one word too many: no command is given", hint="mt on EVENT PATT -- CMD")
    found = list(Cases(opts, [opts.what]))
    if not found:
        hint = "mt tests lists them; to wait for an event: mt on EVENT -- CMD"
        raise NothingSelected(f"no case is called '{opts.what}'", hint=hint)
    places = [_place(opts, run, row) for run, row in found]
    if opts.dry_run:
        write_rows(_rows(places), opts, COLUMNS)
        return 0
    return max([_fire(place) for place in places])


def _place(opts: Options, run: RunRow, row: CaseRow) -> Standing:
    from mt.pipeline.standing import stand

    state, status = _stands(opts, row)
    return stand(home(opts), run.id, run.key, row, os.environ)._replace(row=row._replace(state=state, status=status))


def _stands(opts: Options, row: CaseRow) -> tuple[str, str]:
    """State and status to try; a lone word is a status of COMPLETED unless it is a state."""
    from mt.states import STATES

    if opts.as_ is None:
        return row.state, row.status
    state, slash, status = opts.as_.partition("/")
    if not slash:
        state, status = (opts.as_, "n/a") if opts.as_ in STATES else ("COMPLETED", opts.as_)
    if not state or not status:
        raise UsageError(f"--as '{opts.as_}': not STATE/STATUS")
    return state, status


def _hits(place: Standing) -> Iterator[Hit]:
    from mt.pipeline.triggers import hits

    common = tuple(place.area.config.items("triggers"))
    return hits(place.spec.triggers, common, place.row.state, place.row.status)


def _rows(places: Sequence[Standing]) -> Iterator[dict[str, object]]:
    for place in places:
        for hit in _hits(place):
            where = "testconfig" if hit.source == "tconfig" else "megatest.config"
            yield {"id": place.id, "event": hit.key, "source": where, "command": hit.command, "log": hit.log}


def _fire(place: Standing) -> int:
    """Run the triggers of a case, one after the other; gives 1 when one of them failed."""
    from mt.db import Store
    from mt.pipeline.events import Watch
    from mt.pipeline.standing import there
    from mt.pipeline.triggers import command_line, environment

    there(place)
    store = Store(place.area.home)
    run_id = store.run_id(place.run)
    assert run_id is not None
    change = Watch(store, run_id, ()).change(place.row)
    found = list(_hits(place))
    if not found:
        say(f"{place.id}: no trigger for {place.row.state}/{place.row.status}")
    failed = 0
    for hit in found:
        say(f"{hit.key} {place.id}: {hit.command}")
        status = _run(command_line(hit, change), environment(place.env, change), place.directory)
        if status:
            say(f"trigger '{hit.key}' ended with {status}")
            failed = 1
    return failed
