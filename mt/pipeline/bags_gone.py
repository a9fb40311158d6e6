"""The bags of a run go with its cases: when all of these are removed, nobody needs what their jobs left behind.

Those who come late are told first that all is over, which whoever claims an
order looks at once more (`pilot.py`).  Then the bags go at once, by a rename
out of sight: a command that was killed on the way leaves either all of them, for
the next one (`mt recover` if there is nothing more to remove), or something
unfinished, which `megatest -cleanup-db` removes.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from mt.db import Store
from mt.errors import BusyError, MtError, StoreError, why
from mt.fold import refresh
from mt.locks.filelock import held
from mt.pipeline.bag import Bag, bags_of
from mt.pipeline.history import eyes
from mt.queries import cases
from mt.trace import trace


def remove_bags(store: Store, run_id: int) -> bool:
    """Remove the bags of a run of which no case is left and nothing runs; tells whether they went.

    A run that somebody drives is left alone.  Raises StoreError when they cannot be removed.
    """
    above = bags_of(store.root, run_id)
    if not os.path.isdir(above):
        return False
    try:
        with held(store.lock_path(f"run.{run_id}"), wait=False, what="removes bags"):
            refresh(store, run_id)
            if any(row.state != "DELETED" for row in cases(store, run_id)):
                return False
            return _removed(store, run_id, above)
    except BusyError:
        return False


def remove_all(store: Store) -> list[MtError]:
    """The same for all runs, for what once could not be removed; gives what went wrong."""
    try:
        names = os.listdir(os.path.join(store.root, "batch"))
    except OSError:
        return []
    trouble = []
    known = set(store.run_ids_on_disk())
    for run_id in sorted(int(name) for name in names if name.isdigit()):
        try:
            if run_id in known:
                remove_bags(store, run_id)
        except MtError as e:
            trouble.append(e)
    return trouble


def _removed(store: Store, run_id: int, above: str) -> bool:
    """Nobody drives the run: close its bags for all jobs, and remove them unless a job still runs something."""
    bags = _bags(above)
    for bag in bags:
        with suppress(StoreError):  # it has no orders, or is not ours to write in; then it cannot be renamed either
            bag.say([{"over": True}])
    look = eyes(store, run_id)
    takers = {claim.writer for bag in bags for number in _taken(bag) if (claim := bag.claimed(number))}
    running = [writer for writer in sorted(takers - {"", "?"}) if look.writer(writer).word in ("alive", "silent")]
    if running:
        trace("fs", above, kept=f"'{running[0]}' may still run something")
        return False
    gone = store.tmp_path(f"batch.{run_id}.{os.getpid()}")
    try:
        os.rename(above, gone)
    except OSError as e:
        raise StoreError(f"cannot remove '{above}': {why(e)}") from e
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _bags(above: str) -> list[Bag]:
    try:
        return [Bag(entry.path) for entry in os.scandir(above) if entry.is_dir(follow_symlinks=False)]
    except OSError as e:
        raise StoreError(f"cannot read '{above}': {why(e)}") from e


def _taken(bag: Bag) -> set[int]:
    """The orders that somebody took; a bag that was tidied up does not know any more, and nothing of it runs."""
    try:
        return bag.taken()
    except StoreError as e:
        if not isinstance(e.__cause__, FileNotFoundError):
            raise
        return set()
