"""list the keys of the area, of which a target has one value each

The keys come from the section [fields] of megatest.config, in their order: with the keys `SYSTEM` and `FS` a target
looks like `ubuntu/nfs`.  With -t the value of each key in that target is shown too.

EXAMPLES

    $ mt keys
    Which keys there are.

    $ mt keys -t ubuntu/nfs -f json
    What each part of a target means.

EXIT STATUS

    0  keys were printed
    3  the area cannot be read, or the target does not fit
    7  the area names no keys

SEE ALSO

    mt-targets, mt-runs, mt-check
"""

from __future__ import annotations

import os

from mt.errors import NothingSelected
from mt.options import AreaOptions, RowOptions, opt
from mt.stdio import write_rows

COLUMNS = ("key", "type")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    target: str | None = opt("-t", "--target", meta="TARGET", help="show its values too", complete="targets")


def main(opts: Options) -> int:
    """Print one row for each key."""
    from mt.area import Area

    area = Area.open(opts.chdir, target=opts.target, environ=os.environ)
    if not area.keys:
        raise NothingSelected("the area names no keys", hint="write [fields] into megatest.config")
    rows = [{"key": key, "type": area.config.get("fields", key) or ""} for key in area.keys]
    if opts.target is None or area.target is None:
        write_rows(rows, opts, COLUMNS)
        return 0
    for row, value in zip(rows, area.target.split("/"), strict=True):
        row["value"] = value
    write_rows(rows, opts, (*COLUMNS, "value"))
    return 0
