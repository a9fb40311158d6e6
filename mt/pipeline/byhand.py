"""Verdicts and removals by hand: events like any other, dropped into the run's journal."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence

from mt.db import Store
from mt.errors import BusyError, NotPermitted, why
from mt.fold import refresh
from mt.journal import drop, row_fields
from mt.model import CaseRow
from mt.pipeline.naming import owner
from mt.states import LIVE


def set_cases(store: Store, run_id: int, rows: Sequence[CaseRow], state: str, status: str, message: str) -> None:
    """Record a state and status for cases; raises BusyError when one of them runs."""
    refuse_live(rows)
    comment = message or f"set by {owner()}"
    drop(store.journal_dir(run_id), [("case", row_fields(changed(row, state, status, comment))) for row in rows])
    refresh(store, run_id)


def refuse_live(rows: Sequence[CaseRow]) -> None:
    """Raise BusyError when one of the cases runs."""
    live = [row for row in rows if row.state in LIVE]
    if live:
        raise BusyError(f"cannot change '{live[0].key}': it is {live[0].state}", hint="mt stop ID kills it")


def changed(row: CaseRow, state: str, status: str, comment: str) -> CaseRow:
    """The row after a change by hand; going back to NOT_STARTED is a new attempt."""
    if state == "NOT_STARTED":
        return CaseRow(row.test, row.item, row.attempt + 1, row.gen + 1, state, status, comment=comment)
    return row._replace(gen=row.gen + 1, state=state, status=status, comment=comment, end=row.end or time.time())


def remove_data(row: CaseRow, linktree: str) -> int:
    """Remove the run directory of a case and its link; gives the bytes that were freed.

    Only what the link tree leads to goes, and only where the record says so.
    """
    link = row.dir
    if not link or not os.path.lexists(link) or os.path.commonpath([link, linktree]) != linktree or link == linktree:
        return 0
    real = os.path.realpath(link)
    freed = size(real)
    try:
        if os.path.isdir(real):
            shutil.rmtree(real)
        if os.path.islink(link):
            os.unlink(link)
    except OSError as e:
        raise NotPermitted(f"cannot remove '{e.filename or real}': {why(e)}") from e
    _tidy(os.path.dirname(link), linktree)
    return freed


def size(path: str) -> int:
    """The bytes below a directory, links not followed."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


def _tidy(path: str, top: str) -> None:
    """Remove directories that have become empty, up to the link tree."""
    while path.startswith(top + os.sep):
        try:
            os.rmdir(path)
        except OSError:
            return
        path = os.path.dirname(path)
