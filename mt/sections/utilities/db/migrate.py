"""bring the dbs of an area to the newest version of their schema

Every db is brought up to date by itself when it is next folded. This does it for all of them at once, for instance
before an area becomes read-only. A db of a newer version than this mt knows is refused and left as it is.

EXAMPLES

    $ mt db migrate
    Prints one row for each db: file, version before, version now.

EXIT STATUS

    0  all dbs have the newest version
    5  a db is newer, or is no db

SEE ALSO

    mt-db-rebuild, mt-db(5)
"""

from __future__ import annotations

from mt.options import AreaOptions, RowOptions
from mt.rows import store
from mt.stdio import write_rows

COLUMNS = ("db", "before", "now")


class Options(AreaOptions, RowOptions):
    """What was typed."""


def main(opts: Options) -> int:
    """Migrate, and print the versions."""
    from mt.upkeep import migrate_all

    done = migrate_all(store(opts))
    write_rows((dict(zip(COLUMNS, each, strict=True)) for each in done), opts, COLUMNS)
    return 0
