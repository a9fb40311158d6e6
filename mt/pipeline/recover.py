"""Settle a case whose worker is gone, by what is on disk (spec/runs.md 1.5 -recover-test).

What the test said of itself before the end counts; one that had said nothing
was interrupted, and the same run command starts it again.  Nothing is done
while its worker lives or while somebody drives its run.  One of whose worker
nobody here can prove anything is watched for a while first, and is LOST when
it shows no sign of life and its test had said nothing.
"""

from __future__ import annotations

import time

from mt.db import Store
from mt.db_main import is_controlled
from mt.errors import AnswerNo
from mt.fold import refresh
from mt.inside import said
from mt.journal import drop, row_fields
from mt.locks.alive import living
from mt.model import CaseRow
from mt.pipeline.history import PATIENCE, end_leftovers, eyes, interrupted, lost
from mt.queries import cases, numbers
from mt.states import LIVE


def recover_case(store: Store, run_id: int, number: int, patience: float = PATIENCE) -> tuple[str, str, str]:
    """State and status of a case after it was settled, and why; `number` is that of `queries.numbers`.

    Waits up to `patience` seconds for a sign of life of a worker that cannot be
    asked.  Raises AnswerNo when there is no such case.
    """
    row = _case(store, run_id, number)
    if row.state not in (*LIVE, "LOST", "INCOMPLETE"):
        return row.state, row.status, "nothing to recover"
    if is_controlled(store, run_id):
        return row.state, row.status, "its run is being driven, which sees to it"
    journals = store.journal_dir(run_id)
    eye = eyes(store, run_id)
    health = eye.judge(row)
    if health.word == "alive" or (health.word == "silent" and living(eye.journals(row), patience)):
        return row.state, row.status, "its worker lives"
    now = _case(store, run_id, number)
    if now != row or is_controlled(store, run_id):
        return now.state, now.status, "it went on while we looked"
    end_leftovers([row])
    new = settled(row, f"none for {patience:g} s, {health.evidence}" if health.word == "silent" else "")
    drop(journals, [("case", row_fields(new))])
    refresh(store, run_id)
    return new.state, new.status, new.comment


def _case(store: Store, run_id: int, number: int) -> CaseRow:
    if store.run_key(run_id) is None:
        raise AnswerNo(f"there is no run {run_id}")
    refresh(store, run_id)
    key = {n: k for k, n in numbers(store, run_id).items()}.get(number)
    row = next(iter(cases(store, run_id, key=key)), None) if key else None
    if row is None:
        raise AnswerNo(f"run {run_id} has no test {number} that ran by itself")
    return row


def settled(row: CaseRow, silence: str = "") -> CaseRow:
    """The row that a dead worker's case ends with: what the test said of itself, else interrupted.

    With `silence`, why nobody knows whether the worker is dead, it is lost instead.
    """
    results = [e for e in said(row.dir, row.attempt) if e.get("k") == "result" and e.get("state")] if row.dir else []
    if not results or results[-1]["state"] == "RUNNING":
        if row.state == "INCOMPLETE" or (silence and row.state == "LOST"):
            return row
        return lost(row, silence) if silence else interrupted(row)
    last = results[-1]
    return row._replace(
        gen=row.gen + 1, state=str(last["state"]), status=str(last.get("status") or "n/a"),
        comment=str(last.get("comment") or "recovered from what it said of itself"), end=row.end or time.time(),
    )  # fmt: skip
