"""show the locks of an area and who holds them

One row for each lock that is held, or with --all for every lock there has been.  Whether a lock is held is asked of the
kernel, which gives it back when its holder dies; who holds it is what the holder wrote beside it.  `alive` is whether
that very process lives: `no` when its child has the lock by now, `unknown` when it is on another host.

    run.N.lock   the controller of run N drives it
    N.db.lock    somebody folds the journals of run N, for moments only
    main.db.lock somebody writes main.db, for moments only

EXAMPLES

    $ mt lock show
    The locks that are held now.

    $ mt lock show --all -f ndjson
    All locks, for a program.

EXIT STATUS

    0  rows were printed, or nothing is held

SEE ALSO

    mt-lock-hold, mt-lock-break, mt-sem, mt-locks(7)
"""

from __future__ import annotations

import os

from mt.options import AreaOptions, RowOptions, flag
from mt.rows import stamp, store
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

COLUMNS = ("lock", "held", "pid", "host", "alive", "user", "since", "what", "command")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    all: bool = flag("--all", help="also locks that nobody holds")


def main(opts: Options) -> int:
    """Print the rows."""
    write_rows(_locks(os.path.join(store(opts).root, "locks"), opts.all), opts, COLUMNS)
    return 0


def _locks(home: str, free_too: bool) -> Iterator[dict[str, Any]]:
    from mt.locks.breaking import alive
    from mt.locks.filelock import Holder, holder

    for name in sorted(n for n in os.listdir(home) if n.endswith((".lock", ".lease"))):
        found = holder(os.path.join(home, name))
        if found is None and not free_too:
            continue
        said = (found or Holder())._asdict()
        lives = "" if found is None else {True: "yes", False: "no", None: "unknown"}[alive(found)]
        yield {"lock": name, "held": found is not None, **said, "since": stamp(said["since"]), "alive": lives}
