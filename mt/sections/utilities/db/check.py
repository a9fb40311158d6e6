"""check that the dbs of an area say what its journals say

For main.db and for the db of each run: SQLite's own integrity check, the version of the schema, and whether folding the
journals anew gives the same rows. Events that are not folded yet are folded first where the area can be written;
otherwise only what is folded is compared.

Each difference is a row: the db, the table, how many rows only the db has, how many only the journals give, and what
SQLite said. `mt db rebuild` mends all of them.

EXAMPLES

    $ mt db check
    All dbs.

    $ mt db check w49.1
    The db of one run.

EXIT STATUS

    0  no differences
    1  differences were found
    7  no such run

SEE ALSO

    mt-db-rebuild, mt-db(5)
"""

from __future__ import annotations

from mt.options import AreaOptions, RowOptions, rest
from mt.rows import store
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from mt.db import Store
    from mt.rebuild import Difference

COLUMNS = ("db", "table", "only_db", "only_journals", "what")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    runs: tuple[str, ...] = rest("RUN", help="run names, TARGET//RUN or numbers; default all", complete="runs")


def main(opts: Options) -> int:
    """Print the differences."""
    found = list(_differences(store(opts), opts))
    write_rows(found, opts, COLUMNS)
    return 1 if found else 0


def _differences(area: Store, opts: Options) -> Iterator[dict[str, Any]]:
    from mt.db_schema import MAIN, RUN
    from mt.rebuild import check_db, compare_main, compare_run
    from mt.upkeep import runs_named

    for run_id in runs_named(area, opts.runs):
        path = area.run_db_path(run_id)
        if opts.verbose:
            say(f"checking {run_id}.db")
        bad = _unfolded(area, run_id) or check_db(path, RUN) or compare_run(area, run_id)
        yield from (_row(f"{run_id}.db", each) for each in bad)
    if not opts.runs:
        bad = check_db(area.main_path, MAIN) or compare_main(area)
        yield from (_row("main.db", each) for each in bad)


def _unfolded(area: Store, run_id: int) -> list[Difference]:
    """Fold what is new; a db that cannot be folded into is a difference."""
    from mt.errors import StoreError
    from mt.fold import Folder
    from mt.rebuild import Difference

    if not area.writable():
        return []
    try:
        with Folder(area, run_id) as folder:
            folder.settle()
    except StoreError as e:
        return [Difference("", 0, 0, e.what)]
    return []


def _row(name: str, found: Difference) -> dict[str, Any]:
    return {"db": name, **found._asdict()}
