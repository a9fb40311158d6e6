"""bring archived run directories back

The chosen cases that are ARCHIVED get their directories back, on the best disk that megatest.config names, with the
links in the link tree, and are then as they were when they were saved. Each comes from the newest archive of its
attempt; the archive stays.

An archive is taken as it is described by its index, whose sha256 the run's journal keeps. Names that lead out of the
directory, devices, and whatever the index does not list are refused, and then nothing of it is restored. Links are
restored, and never followed.

EXAMPLES

    $ mt archive restore -r w49.1 --allow-empty
    Everything of a run that is archived.

    $ mt tests --state ARCHIVED -f ids --allow-empty | mt archive restore - --allow-empty
    What a list names.

EXIT STATUS

    0  all of it is back
    1  something was left as it is; it says what
    2  usage
    3  no disk can be used
    4  the run is driven now
    5  an archive is missing, cannot be read, or is not what it should be
    7  nothing matches
    9  the run is frozen

SEE ALSO

    mt-archive-save, mt-archive-list
"""

from __future__ import annotations

from mt.model import case_id
from mt.options import flag, rest
from mt.rows import CaseOptions, Cases, answer
from mt.stdio import say


class Options(CaseOptions):
    """What was typed."""

    dry_run: bool = flag("-n", "--dry-run", help="say what would be restored, and do nothing")
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


def main(opts: Options) -> int:
    """Restore them run by run."""
    from mt.pipeline import archiving

    cases = Cases(opts, opts.ids)
    found = 0
    trouble: list[str] = []
    for picked in cases.picked:
        rows = [row for row in cases.of(picked) if row.state in (archiving.SAVED, archiving.GONE)]
        found += len(rows)
        if not rows:
            continue
        if opts.dry_run:
            for row in rows:
                say(f"restore {case_id(picked.run.key, row.key)}")
            continue
        ground = archiving.ground_of(cases.runs.store.home, cases.runs.store, picked.run)
        for done in archiving.restore(ground, rows, trouble.append):
            if not opts.quiet:
                say(f"{done.what} {case_id(picked.run.key, done.row.key)}: {done.bytes} bytes, '{done.file}'")
    for line in trouble:
        say(line)
    return answer(found, opts, "archived cases") or (1 if trouble else 0)
