"""break a lock whose holder is gone

Locks end with their holders, so this is hardly ever needed: only when a file server goes on holding a lock of a host
that has died.  A lock is broken when its holder is provably gone.  When nothing proves that, --force breaks it all the
same; if the holder lives, two processes may then drive one run or write one db.  A lock that a living process of this
host holds is never broken.  Of a lock that nobody holds only the note of its last holder is removed.

EXAMPLES

    $ mt lock break run.1
    Let the next controller have run 1.

    $ mt lock break main.db --force  #: there must be a holder that cannot be seen
    Even though its holder is on a host that cannot be asked.

EXIT STATUS

    0  it is free
    2  usage
    3  there is no area here
    4  its holder lives, or may live
    5  the lock file cannot be removed
    7  there is no such lock, or nothing is recorded here
    9  you may not remove it

SEE ALSO

    mt-lock-show, mt-lock-hold, mt-locks(7)
"""

# ruff: noqa: N999 - a verb is called what is typed

from __future__ import annotations

import os

from mt.options import AreaOptions, flag, operand
from mt.stdio import say


class Options(AreaOptions):
    """What was typed."""

    force: bool = flag("--force", help="also when nothing proves that the holder is gone")
    name: str = operand("NAME", help="the lock, as mt-lock-show names it")


def main(opts: Options) -> int:
    """Break it, and say what was broken."""
    from mt.errors import NothingSelected
    from mt.locks.breaking import break_lock, lock_name
    from mt.rows import store

    path = store(opts).lock_path(lock_name(opts.name))
    if not os.path.exists(path):
        raise NothingSelected(f"there is no lock '{opts.name}'", hint="mt lock show --all")
    found = break_lock(path, force=opts.force)
    if not found.gone:
        say(f"broke '{opts.name}' by force: if {found.said} lives, two may now do at once what only one may")
    elif not opts.quiet:
        say(f"broke '{opts.name}': {found.said} is gone" if found.held else f"nobody holds '{opts.name}'")
    return 0
