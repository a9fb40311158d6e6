"""list archives, and what is in them

One row for each archive of the chosen runs, oldest first; with --cases one for each case in them. Without runs all are
listed. An archive of which the index or the file is not there any more says so in `trouble`.

EXAMPLES

    $ mt archive list --allow-empty
    All archives.

    $ mt archive list w49.1 --cases -f ndjson --allow-empty
    Which case of a run is in which file, for a program.

EXIT STATUS

    0  rows were printed
    7  there are none

SEE ALSO

    mt-archive-save, mt-archive-restore
"""

from __future__ import annotations

import os

from mt.model import case_id
from mt.options import flag, rest
from mt.rows import Runs, RunsOptions, answer, stamp
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mt.model import RunRow

COLUMNS = ("id", "cases", "bytes", "time", "by", "file", "trouble")
CASES = ("id", "attempt", "state", "status", "files", "bytes", "file")


class Options(RunsOptions):
    """What was typed."""

    cases: bool = flag("--cases", help="one row for each case")
    runs: tuple[str, ...] = rest("RUN", help="run names or TARGET//RUN; - reads them from stdin", complete="runs")


def main(opts: Options) -> int:
    """Print the rows."""
    runs = Runs(opts)
    runs.removed = True
    found = [runs.fresh(run) for run in runs.named(opts.runs)]
    rows = (row for run in found for row in _rows(run, opts))
    return answer(write_rows(rows, opts, CASES if opts.cases else COLUMNS), opts, "archives")


def _rows(run: RunRow, opts: Options) -> Iterator[dict[str, Any]]:
    from mt.errors import StoreError
    from mt.pipeline import shelf

    for index, sha256 in shelf.known(run):
        try:
            archive = shelf.read_index(index, sha256, members=False)
        except StoreError as e:
            if not opts.cases:
                lost = {"cases": 0, "bytes": 0, "time": "", "by": "", "file": index, "sha256": ""}
                yield {"id": str(run.key), **lost, "trouble": e.what}
            continue
        missing = "" if os.path.exists(archive.file) else "the file is missing"
        if opts.cases:
            for saved in archive.cases:
                row = saved.row
                about = {"attempt": row.attempt, "state": row.state, "status": row.status, "files": saved.files}
                yield {"id": case_id(run.key, row.key), **about, "bytes": saved.bytes, "file": archive.file}
            continue
        yield {
            "id": str(run.key), "cases": len(archive.cases), "bytes": archive.bytes, "time": stamp(archive.t),
            "by": archive.by, "file": archive.file, "sha256": archive.sha256, "trouble": missing,
        }  # fmt: skip
