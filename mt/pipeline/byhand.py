"""Verdicts and removals by hand: events like any other, dropped into the run's journal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence

from mt.db import Store
from mt.errors import BusyError, MtError
from mt.fold import Folder, refresh
from mt.inside import Inside
from mt.journal import drop, row_fields
from mt.model import CaseRow, RunKey
from mt.pipeline.control import ask_kill
from mt.pipeline.frozen import refuse_frozen
from mt.pipeline.history import eyes
from mt.pipeline.naming import owner
from mt.pipeline.subrun import pass_removal
from mt.pipeline.territory import Territory, remove
from mt.queries import cases
from mt.states import LIVE, order

#: cases that are recorded as removed in one go
CHUNK = 200


def set_cases(store: Store, run_id: int, rows: Sequence[CaseRow], state: str, status: str, message: str) -> None:
    """Record a state and status for cases; raises BusyError when one runs, NotPermitted when the run is frozen."""
    refuse_frozen(store, run_id)
    refuse_live(rows)
    comment = message or f"set by {owner()}"
    record(store, run_id, (changed(row, state, status, comment) for row in rows))


def record(store: Store, run_id: int, rows: Iterable[CaseRow]) -> None:
    """Record rows as they are, and fold them before coming back."""
    events = [("case", row_fields(row)) for row in rows]
    if events:
        drop(store.journal_dir(run_id), events)
        with Folder(store, run_id) as folder:
            folder.settle()


def refuse_live(rows: Sequence[CaseRow]) -> None:
    """Raise BusyError when one of the cases runs."""
    live = [row for row in rows if row.state in LIVE]
    if live:
        raise BusyError(f"cannot change '{live[0].key}': it is {live[0].state}", hint="mt stop ID kills it")


def changed(row: CaseRow, state: str, status: str, comment: str) -> CaseRow:
    """The row after a change by hand.

    What cannot follow within one attempt (back to NOT_STARTED, or to a state of
    running things after the end) is a new attempt; it keeps the directory, so
    that its files are still found.
    """
    if not follows(row, state):
        return CaseRow(
            row.test, row.item, row.attempt + 1, row.gen + 1, state, status,
            start=row.start if state in LIVE else 0.0, dir=row.dir, comment=comment,
        )  # fmt: skip
    end = (row.end or time.time()) if state not in LIVE and state != "NOT_STARTED" else row.end
    return row._replace(gen=row.gen + 1, state=state, status=status, comment=comment, end=end)


def follows(row: CaseRow, state: str) -> bool:
    """Whether a later record with this state counts within the same attempt; back to NOT_STARTED never does."""
    if state == "NOT_STARTED":
        return False
    now = order(row.attempt, row.gen, row.state, "", 0)
    return order(row.attempt, row.gen + 1, state, "", 0) > now


def remove_cases(
    store: Store,
    run_id: int,
    run: RunKey,
    rows: Sequence[CaseRow],
    territory: Territory,
    *,
    records: bool = True,
    comment: str | None = None,
    tidy: bool = True,
    trouble: list[MtError] | None = None,
) -> Iterator[tuple[CaseRow, int]]:
    """Remove the directories of cases, and their records unless told otherwise; gives each with the bytes it freed.

    While its files go a case is REMOVING, afterwards DELETED; without `records`
    it stays what it was.  A command that was killed in between leaves cases
    that are REMOVING, which the next one removes.  A directory that cannot be
    removed leaves its case as it was: the error is put into `trouble`, without
    that it is raised.  A sub-run goes before its parent (spec/runs.md 4.12).
    """
    gone = f"removed by {owner()}" if comment is None else comment
    for at in range(0, len(rows), CHUNK):
        going = [row._replace(gen=row.gen + 1, state="REMOVING", status="LOCKED") for row in rows[at : at + CHUNK]]
        if records:
            record(store, run_id, going)
        after = []
        errors: list[MtError] = []
        for row, now in zip(rows[at : at + CHUNK], going, strict=True):
            try:
                where = territory.find(run, row)
                if where.real:
                    pass_removal(where.real, os.environ)
                yield row, remove(where, territory.linktree, tidy=tidy)
                after.append(delete(now, gone))
            except MtError as e:
                errors.append(e)
                after.append(row._replace(gen=row.gen + 2))
        if records:
            record(store, run_id, after)
        if errors and trouble is None:
            raise errors[0]
        if trouble is not None:
            trouble.extend(errors)


def delete(row: CaseRow, comment: str) -> CaseRow:
    """The record of a case that was removed: treated as not existing, run again by the next run."""
    return row._replace(gen=row.gen + 1, state="DELETED", status="n/a", comment=comment, end=row.end or time.time())


def forget_records(store: Store, run_id: int, rows: Sequence[CaseRow]) -> None:
    """Record cases as removed and leave their files."""
    record(store, run_id, (delete(row, f"removed by {owner()}") for row in rows))


# -- any state and status, as the old command sets them


def impose(
    store: Store, run_id: int, run: RunKey, rows: Sequence[CaseRow], state: str, status: str, comment: str = ""
) -> list[CaseRow]:
    """Record a state and status whatever they are; gives the rows that were recorded (spec/runs.md 5.2).

    A case whose worker lives is not called something else while it runs.
    KILLREQ asks its worker for a kill; a state of running things changes
    nothing; any other word is told to its worker as if the test had said it,
    and is what the case ends with (NOT_STARTED as INCOMPLETE, so that it runs
    again).  One whose worker is gone is recorded like all others.
    """
    alive = eyes(store, run_id)
    now: list[CaseRow] = []
    told: list[CaseRow] = []
    for row in rows:
        if row.state not in LIVE or not alive(row):
            now.append(changed(row, state, status, comment or _kept(row, state)))
        elif state == "KILLREQ":
            ask_kill(store.kill_dir(run_id), row.key, owner(), comment)
            now.append(row._replace(gen=row.gen + 1, state=state, status=status))
        elif state not in LIVE:
            _tell(store, run_id, run, row, state, status, comment)
            told.append(row)
    record(store, run_id, now)
    if told:
        refresh(store, run_id)
        late = [row for row in _again(store, run_id, told) if row.state not in LIVE]
        now += impose(store, run_id, run, late, state, status, comment)
    return now


def _kept(row: CaseRow, state: str) -> str:
    """The comment stays, unless the case is as if it had never run."""
    return "" if state == "NOT_STARTED" else row.comment


def _again(store: Store, run_id: int, rows: Iterable[CaseRow]) -> Iterator[CaseRow]:
    """The rows as they are recorded now."""
    for row in rows:
        yield from cases(store, run_id, key=row.key)


def _tell(store: Store, run_id: int, run: RunKey, row: CaseRow, state: str, status: str, comment: str) -> None:
    """Leave the verdict where the worker of a running case finds it at the end."""
    said = Inside({
        "db": store.root, "id": run_id, "target": run.target, "run": run.name, "test": row.test, "item": row.item,
        "attempt": row.attempt, "gen": row.gen, "dir": row.dir,
    })  # fmt: skip
    word = "INCOMPLETE" if state == "NOT_STARTED" else state
    said.tell([said.event("result", state=word, status=status, comment=comment or f"set by {owner()}")])
