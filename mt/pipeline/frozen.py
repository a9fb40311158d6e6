"""Runs that must not change: frozen by somebody, with a reason, until somebody thaws them.

A freeze is a `run` event like any other, so it outlives every database.  It is
recorded under the lock that a controller holds while it drives the run: a run
is either driven or being frozen, never both.  It does not touch what the run
rolls up to.  Who changes something of a run asks `refuse_frozen` first.

Keys of the event: `frozen` is an object (`by`, `t`, `why`) while the run is
frozen and null afterwards; `thawed` says in the same words who ended it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from mt.db import Store
from mt.errors import NotPermitted
from mt.fold import Folder, refresh
from mt.journal import drop
from mt.locks.filelock import held
from mt.model import RunRow
from mt.pipeline.naming import owner
from mt.queries import run_of
from mt.rows import frozen_by


def freeze(store: Store, run_id: int, why: str, *, even_driven: bool = False) -> None:
    """Freeze a run; raises BusyError while somebody drives it, unless it shall be frozen even then.

    A run that is frozen already gets the new reason.
    """
    with _not_driven(store, run_id, even_driven):
        record(store, run_id, frozen=_now(why))


def thaw(store: Store, run_id: int, why: str = "") -> None:
    """Let a run be changed again."""
    record(store, run_id, frozen=None, thawed=_now(why))


def record(store: Store, run_id: int, **said: Any) -> None:
    """Record facts about a run as a whole, and fold them before coming back: the next command sees them."""
    drop(store.journal_dir(run_id), [("run", said)])
    with Folder(store, run_id) as folder:
        folder.settle()


def _now(why: str) -> dict[str, Any]:
    return {"by": owner(), "t": round(time.time(), 3), "why": " ".join(why.split())}


@contextmanager
def _not_driven(store: Store, run_id: int, even_driven: bool) -> Iterator[None]:
    lock = nullcontext() if even_driven else held(store.lock_path(f"run.{run_id}"), wait=False, what="freezes the run")
    with lock:
        yield


def frozen_run(store: Store, run_id: int) -> RunRow | None:
    """The run when it is frozen, whatever was not folded yet; None when it may be changed."""
    refresh(store, run_id)
    run = run_of(store, run_id)
    return run if run is not None and run.said.get("frozen") else None


def refuse_frozen(store: Store, run_id: int) -> None:
    """Raise NotPermitted when a run is frozen: who froze it, when and why, in one line."""
    run = frozen_run(store, run_id)
    if run is not None:
        raise NotPermitted(f"cannot change run '{run.key}': frozen {frozen_by(run)}", hint=f"mt thaw {run.key}")
