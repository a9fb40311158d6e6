"""give back the space that the dbs of an area do not use

Each db is written anew without holes, under its lock.

EXAMPLES

    $ mt db vacuum
    Prints one row for each db: file, bytes before, bytes now.

EXIT STATUS

    0  done
    5  a db cannot be used

SEE ALSO

    mt-db-stat, mt-db(5)
"""

from __future__ import annotations

from mt.options import AreaOptions, RowOptions
from mt.rows import store
from mt.stdio import write_rows

COLUMNS = ("db", "before", "now")


class Options(AreaOptions, RowOptions):
    """What was typed."""


def main(opts: Options) -> int:
    """Vacuum, and print the sizes."""
    from mt.upkeep import vacuum_all

    done = vacuum_all(store(opts))
    write_rows((dict(zip(COLUMNS, each, strict=True)) for each in done), opts, COLUMNS)
    return 0
