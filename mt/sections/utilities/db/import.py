"""take over the runs of a megatest.db, so that their history is kept

Reads a `megatest.db` of Megatest 1.65 (or of an older version, which lacks some columns) and records its runs in this
area, each under its target and name, with its tests, steps, measured values and metadata. The file is only read, in one
go: nothing is taken over when it is damaged, or is no such file. What was taken over is in journals like all else, so
`mt db rebuild` makes it again without the file.

A run is taken over once; doing it again changes nothing. A run whose target and name are taken by another run of this
area is left out, unless --merge adds the cases that the area's run lacks, or --into gives it a name of its own.

Deleted runs and tests are left out. Cases that were running become INCOMPLETE, a locked run is frozen, and a status
that was set by hand stays with its run. Records of iterated tests as a whole are rolled up from their items; a comment
and a log that one had are kept. The load, free disk and system name of a host are kept as a note of the case.

One row is printed for each run in the file. `what` is new, merged, known (taken over before), taken (the area has
another run of this name), deleted, or bad name; `cases`, `steps` and `values` count what came; `tops` the records of
iterated tests, `gone` the deleted tests, `cut` those that were running.

EXAMPLES

    $ mt db import megatest.db  #: needs a file of the old program
    Take over everything.

    $ mt db export saved.db && mt db import -n saved.db
    Say what would be taken over from a file.

    $ mt db import /proj/old/megatest.db -t 'ubuntu/%' -r 'w49.%' --into .old  #: needs a file of the old program
    Take over some runs, and keep apart those whose name is taken.

EXIT STATUS

    0  all runs are taken over, now or before
    1  a run was left out because its name is taken, or is none
    3  the file has other keys than the area
    4  somebody is writing the file
    5  the file cannot be read, or is no megatest.db
    7  the file has no such run

SEE ALSO

    mt-db-export, mt-db-rebuild, mt-runs, mt-db(5)
"""

# ruff: noqa: N999 - the verb is called import, and a module has the name of its verb
from __future__ import annotations

import os

from mt.errors import ConfigError, NothingSelected
from mt.options import RowOptions, RunOptions, flag, operand, opt
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mt.db import Store
    from mt.importing import Imported

COLUMNS = ("number", "id", "what", "cases", "steps", "values", "tops", "gone", "cut")


class Options(RunOptions, RowOptions):
    """What was typed."""

    merge: bool = flag("--merge", help="add the cases that a run of the same name lacks")
    into: str = opt("--into", meta="SUFFIX", default="", help="a run whose name is taken becomes NAMESUFFIX")
    dry_run: bool = flag("-n", "--dry-run", help="only count what would be taken over")
    file: str = operand("FILE", help="the megatest.db", complete="files")


def main(opts: Options) -> int:
    """Take over the runs and print what became of each."""
    from mt.area import Area
    from mt.importing import Choice, import_db, keys_of

    area = Area.open(opts.chdir, environ=os.environ)
    _check_keys(opts.file, keys_of(opts.file), list(area.keys))
    choice = Choice(opts.target or "%", opts.run or "%", opts.merge, opts.into)
    with _store(area.home, opts.dry_run) as store:
        done = import_db(store, opts.file, choice, dry=opts.dry_run)
    if not done:
        raise NothingSelected(f"'{opts.file}' has no such run")
    write_rows(_rows(done), opts, COLUMNS)
    left = [run for run in done if run.what in ("taken", "bad name")]
    if left and not opts.quiet:
        hint = "--merge adds to it, --into SUFFIX keeps it apart" if left[0].what == "taken" else "runs need names"
        say(f"left out {len(left)} of {len(done)} runs, the first is '{left[0].run}': {left[0].what}; {hint}")
    return 1 if left else 0


def _check_keys(path: str, theirs: list[str], ours: list[str]) -> None:
    """Raise ConfigError when targets of the file cannot be targets of the area."""
    if len(theirs) != len(ours):
        said = f"the keys of '{path}' are {'/'.join(theirs) or 'none'}, those of the area {'/'.join(ours) or 'none'}"
        raise ConfigError(said, hint="[fields] in megatest.config")
    if [key.lower() for key in theirs] != [key.lower() for key in ours]:
        say(f"the keys of '{path}' are called {'/'.join(theirs)}, those of the area {'/'.join(ours)}")


def _store(home: str, dry: bool) -> AbstractContextManager[Store]:
    """The store of the area, made where nothing was recorded yet; a dry run makes none, and gets one that passes."""
    from contextlib import contextmanager, nullcontext
    from tempfile import TemporaryDirectory

    from mt.db import Store

    if not dry or os.path.exists(os.path.join(home, ".mtdb", "AREA")):
        return nullcontext(Store(home, create=not dry))

    @contextmanager
    def passing() -> Iterator[Store]:
        with TemporaryDirectory(prefix="mt-") as elsewhere:
            yield Store(elsewhere, create=True)

    return passing()


def _rows(done: list[Imported]) -> Iterator[dict[str, object]]:
    for run in done:
        fields = run._asdict()
        yield {"id": str(fields.pop("run")), **fields}
