"""save the run directories of cases in an archive

The directories of the chosen cases that have ended go into one archive for each run, or with --each one for each test.
It stands on the disk of [archive-disks] with most space, in `<disk>/<YYYY>_q<N>/<area>_<hash>/`, as a tar compressed by
the program `zstd` (`.tar.zst`), or by gzip (`.tar.gz`) where there is none; [archive] compress is the level. With
--format bup the program bup, or the one that [archive] bup names, keeps it in a repository there, where what is the
same is kept once; `.tar.bup` is a small file that says under which commit. Beside it stands its index, one JSON object
a line: where it is from, its cases, and each file with its size and sha256.

With --remove the directories are removed afterwards, and the cases are ARCHIVED; their statuses stay. A directory goes
only after its archive is on the disk and was read back from there. What an archive has already, unchanged, is not
saved again. A command that was killed at any moment has lost nothing: the same command goes on.

EXAMPLES

    $ mt archive save -r w49.1 -n
    Say what would be saved, with sizes.

    $ mt archive save -r w49.1 --remove 'sim/%'  #: there are archive disks only where [archive-disks] names them
    Save the items of one test, and free the disk.

EXIT STATUS

    0  all of it is saved
    1  something was not saved; it says what
    2  usage
    3  no archive disk can be used
    4  the run is driven now, with --remove
    5  an archive cannot be written, or was not what it should be when it was read back
    7  nothing matches
    9  the run is frozen, with --remove

SEE ALSO

    mt-archive-restore, mt-archive-list, mt-clean, mt-config(5)
"""

from __future__ import annotations

from mt.model import case_id
from mt.options import flag, opt, rest
from mt.rows import CaseOptions, Cases, answer
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.model import CaseRow
    from mt.rows import Picked


class Options(CaseOptions):
    """What was typed."""

    remove: bool = flag("--remove", help="remove what was saved; the cases become ARCHIVED")
    each: bool = flag("--each", help="one archive for each test")
    form: str | None = opt("--format", meta="FORM", choices=("zst", "gz", "bup"), help="how to keep it: zst, gz or bup")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be saved, and do nothing")
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


def main(opts: Options) -> int:
    """Save them run by run."""
    cases = Cases(opts, opts.ids)
    found = 0
    trouble: list[str] = []
    for picked in cases.picked:
        rows = list(cases.of(picked))
        found += len(rows)
        if rows:
            _save(cases, picked, [row for row in rows if row.state != "ARCHIVED"], opts, trouble)
    for line in trouble:
        say(line)
    return answer(found, opts, "cases") or (1 if trouble else 0)


def _save(cases: Cases, picked: Picked, rows: list[CaseRow], opts: Options, trouble: list[str]) -> None:
    from mt.pipeline import archiving, territory

    ground = archiving.ground_of(cases.runs.store.home, cases.runs.store, picked.run)
    if opts.dry_run:
        for row in rows:
            bytes_ = territory.size(ground.land.find(picked.run.key, row).real)
            say(f"save {case_id(picked.run.key, row.key)}: {bytes_} bytes")
        return
    for done in archiving.save(ground, rows, trouble.append, clear=opts.remove, each=opts.each, form=opts.form):
        if not opts.quiet:
            say(f"{done.what} {case_id(picked.run.key, done.row.key)}: {done.bytes} bytes, '{done.file}'")
