"""print the directories of cases, or files in them

Without GLOB one line for each case: its run directory, if it is there.  With GLOB the files in these directories that
match it; `**` goes down into all directories.  The case that began first comes first, so `tail -1` gives the newest.

A lone operand that fits no test of the run is a GLOB for all cases.

EXAMPLES

    $ mt paths diskperf/sda/4k
    Where a case ran.

    $ mt paths -s FAIL 'core.*' -0 | xargs -0 -r ls -l
    The core files of what failed, safe for any file name.

    $ cd "$(mt paths smoke | tail -1)"
    Go there.

EXIT STATUS

    0  something was printed
    7  nothing matches, or nothing is there

SEE ALSO

    mt-tests, mt-log
"""

from __future__ import annotations

import os

from mt.options import RowOptions, operand
from mt.rows import CaseOptions, Cases, answer, case_row
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.model import CaseRow, RunRow
    from mt.rows import Row

COLUMNS = ("id", "dir")


class Options(CaseOptions, RowOptions):
    """What was typed."""

    id: str | None = operand("ID", help="an id or pattern; - reads ids from stdin", need=False, complete="ids")
    glob: str | None = operand("GLOB", help="files in the directories of the cases", need=False)


def main(opts: Options) -> int:
    """Print the paths; the default format here is paths."""
    if opts.format is None and not opts.json and not os.environ.get("MT_FORMAT"):
        opts.format = "paths"
    found, pattern = _found(opts)
    found.sort(key=lambda pair: (pair[1].start, pair[1].key))
    return answer(write_rows(_rows(found, pattern), opts, COLUMNS), opts, "paths")


def _found(opts: Options) -> tuple[list[tuple[RunRow, CaseRow]], str | None]:
    """The cases, and the GLOB; a lone operand that fits no case is one."""
    found = list(Cases(opts, [opts.id] if opts.id else []))
    if found or opts.glob or not opts.id or opts.id == "-" or "//" in opts.id:
        return found, opts.glob
    return list(Cases(opts, [])), opts.id


def _rows(found: list[tuple[RunRow, CaseRow]], pattern: str | None) -> Iterator[Row]:
    for run, row in found:
        for path in _paths(row.dir, pattern):
            yield {**case_row(run.key, row), "dir": path}


def _paths(directory: str, pattern: str | None) -> list[str]:
    if not directory or not os.path.isdir(directory):
        return []
    if pattern is None:
        return [directory]
    from glob import glob

    hidden = pattern.startswith(".") or "/." in pattern
    names = glob(pattern, root_dir=directory, recursive=True, include_hidden=hidden)
    return [os.path.join(directory, name) for name in sorted(names)]
