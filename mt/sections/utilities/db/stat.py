"""show how large the records of each run are

One row for each run: the version of its db, how many cases it has, how many lines of its journals could not be read
(`bad`), bytes of its db and of its journals, how many journal files and drops there are, and how many bytes of journals
are not folded yet (`behind`).  Nothing is folded by looking.

EXAMPLES

    $ mt db stat
    All runs.

    $ mt db stat --sort -journals --limit 5
    The five runs with the largest journals.

EXIT STATUS

    0  rows were printed, or there are no runs
    5  a db cannot be read
    7  no such run

SEE ALSO

    mt-db-vacuum, mt-db(5)
"""

from __future__ import annotations

from mt.options import AreaOptions, RowOptions, rest
from mt.rows import store
from mt.stdio import write_rows

COLUMNS = ("number", "id", "version", "cases", "bad", "db", "journals", "files", "drops", "behind")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    runs: tuple[str, ...] = rest("RUN", help="run names, TARGET//RUN or numbers; default all", complete="runs")


def main(opts: Options) -> int:
    """Print the rows."""
    from mt.upkeep import runs_named, stat_run

    area = store(opts)
    rows = (_row(stat_run(area, i)._asdict()) for i in runs_named(area, opts.runs))
    write_rows(rows, opts, COLUMNS)
    return 0


def _row(stat: dict[str, object]) -> dict[str, object]:
    """The row with `id` as verbs accept it; `number` is the one in the names of files."""
    return {"number": stat.pop("number"), "id": stat.pop("run"), **stat}
