"""show or change the storage mode of the area: how its dbs are kept

    direct         a local disk: WAL, kernel locks
    direct-nfs     a network disk whose locks work between hosts: rollback journal, kernel locks, never WAL
    single-writer  locks do not work, or nobody knows: whoever holds a lease writes a copy under /tmp and puts it back

The mode is chosen when the first run of an area is recorded, from the kind of its file system, and by trying locks
and a database where the kind is not surely local; or `[db] mode` in megatest.config chooses it then. All hosts must
use one mode: an area on a local disk that other hosts mount needs the mode that fits them, and commands on a host
that the mode does not fit refuse to work.

Without MODE one row is printed: the mode in force, the one that fits the file system as this host sees it, its kind,
and why the mode was chosen. With MODE all dbs are brought into the form of that mode. Nothing may run in the area
then, on any host: this is found out by taking every lock. Journals are not touched, and nothing is lost when this is
interrupted; say it again then.

EXAMPLES

    $ mt db mode
    Which mode is in force.

    $ mt db mode direct-nfs && mt db mode --fields mode
    Before other hosts use an area on a disk of this one.

EXIT STATUS

    0  the mode was printed, or is in force
    3  no such mode, or direct on a network disk
    4  a run is driven, or somebody uses a db
    5  AREA or a db cannot be written
    7  nothing is recorded yet

SEE ALSO

    mt-doctor, mt-lock-show, mt-db-check, mt-locks(7)
"""

from __future__ import annotations

import os

from mt.errors import NothingSelected, UsageError
from mt.options import AreaOptions, RowOptions, flag, operand, opt
from mt.rows import home
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.db import Store

COLUMNS = ("mode", "fits", "fs", "why", "lease")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    lease: float | None = opt(
        "--lease", meta="SECONDS", help="after how long without a sign a holder on another host counts as gone"
    )
    dry_run: bool = flag("-n", "--dry-run", help="only say whether the mode could be changed")
    mode: str | None = operand("MODE", help="direct, direct-nfs or single-writer", need=False)


def main(opts: Options) -> int:
    """Print the mode, or change it."""
    from mt.db import Store
    from mt.upkeep import change_mode

    if opts.lease is not None and not 1 <= opts.lease <= 86400:
        raise UsageError("--lease needs seconds, from 1 to 86400")
    where = home(opts)
    if not os.path.exists(os.path.join(where, ".mtdb", "AREA")):
        raise NothingSelected(f"nothing is recorded in '{where}' yet", hint="mt run, or [db] mode in megatest.config")
    store = Store(where, check=False)
    if opts.mode is None and opts.lease is None:
        return _show(store, opts)
    wish = opts.mode or store.mode
    done = change_mode(store, wish, lease=opts.lease, dry=opts.dry_run)
    if not opts.quiet:
        change = f"would change from {store.mode} to {wish}" if opts.dry_run else f"{wish}, was {store.mode}"
        say(f"storage mode: {change}; {done} dbs")
    return 0


def _show(store: Store, opts: Options) -> int:
    from mt.locks.lease import lease_time
    from mt.storage import classify, mount_of

    mount = mount_of(store.root)
    said = store.choice
    lease = lease_time(store.lock_path("main.db"))
    row = {"mode": said.mode, "fits": classify(mount).mode, "fs": mount.label, "why": said.why, "lease": lease}
    write_rows([row], opts, COLUMNS)
    return 0
