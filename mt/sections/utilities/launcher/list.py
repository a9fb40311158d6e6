"""list the launchers that can be used here

One row for each launcher: `local`, which are mt's own workers on this host; `command`, which is any command in front of
a case; every batch engine that mt knows; and what the area's files name: sections `[launcher NAME]`, `[jobtools]
launcher` and the lines of `[host-types]`.  `available` is the version of its programs, or says what is missing.  `used`
says who uses it: a launcher that nothing uses can be named with -L of `mt run`.

Outside an area only what needs none is listed.

EXAMPLES

    $ mt launcher list
    What can start cases here?

    $ mt launcher list -f ndjson | jq -r 'select(.ok) | .name'
    The names of those whose programs are installed.

EXIT STATUS

    0  rows were printed
    2  usage
    3  the area's files cannot be used

SEE ALSO

    mt-launcher-try, mt-run, mt-jobs, mt-launchers(7), mt-config(5)
"""

from __future__ import annotations

import os

from mt.options import AreaOptions, RowOptions
from mt.stdio import write_rows

COLUMNS = ("name", "kind", "available", "what", "used")


class Options(AreaOptions, RowOptions):
    """What was typed."""


def main(opts: Options) -> int:
    """Print the rows."""
    from mt.pipeline.starters import area_of, listed

    area = area_of(opts.chdir, os.environ)
    write_rows((row._asdict() for row in listed(area.config if area else None, os.environ)), opts, COLUMNS)
    return 0
