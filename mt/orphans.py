"""What is left of runs that are gone, and of work that died (spec/runs.md 6.5).

That is dbs, requests, bags of batch engines, and unfinished files.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator

from mt import db

#: seconds after which a file that somebody was still making counts as left behind
LEFT_BEHIND = 86_400.0


def remove_orphans(store: db.Store, *, now: float | None = None) -> list[str]:
    """Remove what belongs to no run and what has been unfinished for a day; gives the paths, below the store.

    A run exists as long as its journals do, so nothing that was recorded can be meant.
    """
    gone = []
    for path in list(_orphans(store, time.time() if now is None else now)):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            _unlink(path)
        if not os.path.lexists(path):
            gone.append(os.path.relpath(path, store.root))
    return gone


def _orphans(store: db.Store, now: float) -> Iterator[str]:
    known = {str(i) for i in store.run_ids_on_disk()}
    for name in sorted(os.listdir(store.root)):
        stem, dot, end = name.partition(".db")
        if dot and stem.isdigit() and end in ("", "-wal", "-shm") and stem not in known:
            yield os.path.join(store.root, name)
    for folder in ("ctl", "kill", "batch"):
        here = os.path.join(store.root, folder)
        yield from (os.path.join(here, n) for n in sorted(_names(here)) if n.isdigit() and n not in known)
    here = store.tmp_path("")
    for name in sorted(_names(here)):
        path = os.path.join(here, name)
        if now - os.lstat(path).st_mtime > LEFT_BEHIND:
            yield path


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
