"""hold a lock of the area while a command runs

NAME is a lock of your own, any text, or one of the area: under `run.3` nobody drives run 3, and a `mt run` that comes
joins it and waits.  Of several who do this with one name only one runs its command at a time: made for cron jobs.
A CMD that needs the same lock itself waits for ever.  CMD inherits the lock and keeps it until it ends, even when mt is
killed first (in an area of mode single-writer, where locks do not work, only mt keeps it).  It gets the signals of mt.

EXAMPLES

    $ mt lock hold nightly -- mt status -q
    One at a time.

    $ mt lock hold nightly --no-wait -- mt runs || echo 'the last one is still at it'
    Do nothing when the last one still runs.

EXIT STATUS

    0-255  that of CMD; 128 and more when a signal ended it
    2      usage
    3      there is no area here
    4      somebody else holds the lock
    5      the lock file cannot be used
    9      you may not write it
    126    CMD cannot be run
    127    there is no such command

SEE ALSO

    mt-lock-show, mt-lock-break, mt-sem, mt-locks(7)
"""

from __future__ import annotations

import os

from mt.errors import UsageError
from mt.options import AreaOptions, command, flag, operand, opt


class Options(AreaOptions):
    """What was typed."""

    wait: float | None = opt("--wait", meta="SECONDS", help="wait at most so long; default: for ever")
    no_wait: bool = flag("--no-wait", help="do not wait at all")
    name: str = operand("NAME", help="the lock")
    argv: tuple[str, ...] = command("CMD", help="the command and its arguments", need=True)


def main(opts: Options) -> int:
    """Take the lock and run the command under it."""
    if opts.wait is not None and not 0 <= opts.wait < float("inf"):
        raise UsageError(f"mt lock hold: --wait: '{opts.wait:g}' is no time to wait", hint="mt lock hold -h")
    from mt.db import Store
    from mt.locks.breaking import descriptors, lock_name
    from mt.locks.filelock import held
    from mt.pipeline.under import under
    from mt.rows import home

    path = Store(home(opts), create=True).lock_path(lock_name(opts.name))
    with held(path, wait=False if opts.no_wait else True if opts.wait is None else opts.wait, what="mt lock hold"):
        return under(opts.argv, os.environ, descriptors(path))
