"""list the disks for run directories, their free space, and which one would be taken

One row for each entry of [disks], as it is now: a disk must be an absolute path to an existing, writable directory.
The one with most free space is taken, if it has more than [setup] minspace (in KiB, 10000 unless set).  With a TEST its
own section [disks] counts, when it has one.  `free` is in bytes; `reason` says why a disk cannot be used.

An area without [disks] runs each test in the directory tmp_run of its own sources; then nothing is listed.

EXAMPLES

    $ mt disks
    Where the next run would go.

    $ mt disks -f ndjson | jq -r 'select(.chosen) | .dir'
    Only the directory of the chosen disk.

EXIT STATUS

    0  a disk can be used, or the area names none
    1  no disk can be used
    3  the area cannot be read, or there is no such test

SEE ALSO

    mt-paths, mt-doctor, mt-check
"""

from __future__ import annotations

import os

from mt.options import RowOptions, RunOptions, operand
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mt.area import Area
    from mt.disks import Disk

COLUMNS = ("name", "dir", "free", "chosen", "reason")


class Options(RunOptions, RowOptions):
    """What was typed."""

    test: str | None = operand("TEST", help="the disks of this test", need=False, complete="tests")


def main(opts: Options) -> int:
    """Print one row for each disk."""
    from mt.area import Area
    from mt.disks import MINSPACE

    area = Area.open(opts.chdir, target=opts.target, run=opts.run, environ=os.environ)
    entries = _entries(area, opts.test)
    if entries is None:
        if not opts.quiet:
            say("no [disks]: run directories are tmp_run in the directory of each test")
        return 0
    least = area.number("setup", "minspace", MINSPACE)
    rows = list(_rows(_seen(area, entries), least))
    write_rows(rows, opts, COLUMNS)
    if any(row["chosen"] for row in rows):
        return 0
    say(f"no valid disks found: none has more than {least:.0f} KiB free")
    return 1


def _entries(area: Area, test: str | None) -> tuple[tuple[str, str], ...] | None:
    if test is not None:
        own = area.spec(test).disks
        if own is not None:
            return own
    return area.disks


def _seen(area: Area, entries: tuple[tuple[str, str], ...]) -> list[Disk]:
    from mt.disks import free_space, look, script_space

    script = area.setting("setup", "free-space-script")
    probe = script_space(script, area.env, area.home) if script and script != "df" else free_space
    return [look(name, path.strip(), probe) for name, path in entries]


def _rows(disks: list[Disk], least: float) -> Iterator[dict[str, Any]]:
    from mt.disks import choose
    from mt.errors import ConfigError

    try:
        best: Disk | None = choose(disks, least)
    except ConfigError:
        best = None
    for disk in disks:
        free = None if disk.free is None else int(disk.free * 1024)
        reason = disk.reason or ("" if (disk.free or 0) > least else f"not more than {least:.0f} KiB free")
        yield {"name": disk.name, "dir": disk.path, "free": free, "chosen": disk is best, "reason": reason}
