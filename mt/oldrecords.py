"""One run of the area as the rows of a `megatest.db` (spec/runs.md 6.1).

Rows are read and written one after another, so a run may be large.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from mt import db, olddb, queries
from mt.model import CaseKey, CaseRow, RunRow, StepRow, ValueRow
from mt.oldrows import FACTS, USUAL_LOG, facts_of
from mt.states import LIVE

_TEST_COLUMNS = (
    "id", "run_id", "testname", "item_path", "state", "status", "host", "cpuload", "diskfree", "uname", "rundir",
    "shortdir", "attemptnum", "final_logf", "run_duration", "comment", "event_time", "fail_count", "pass_count",
    "archived", "last_update",
)  # fmt: skip


class _Seen(NamedTuple):
    """What the rows of a test need beyond its case."""

    numbers: dict[CaseKey, int]
    logs: dict[CaseKey, str]
    facts: dict[CaseKey, dict[str, str]]
    tallies: dict[CaseKey, tuple[int, int]]


def insert(conn: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows, each in the place of one with the same key."""
    names = ", ".join(map(olddb.quoted, columns))
    marks = ", ".join("?" * len(columns))
    conn.executemany(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608 - columns of the schema


# -- one run


def add_run(conn: sqlite3.Connection, store: db.Store, run: RunRow, keys: Sequence[str]) -> None:
    """Write a run and all that belongs to it; the file has nothing of it yet."""
    words = run.target.split("/")
    values = [*words, *[""] * len(keys)][: len(keys)]
    state = "deleted" if run.state == "DELETED" else "new"
    if "frozen" in run.said:
        state = "locked" if run.said["frozen"] else "unlocked"
    status = str((run.said.get("set_status") or {}).get("status") or "n/a")
    row = [run.id, *values, run.name, state, status, run.owner, int(run.start), run.comment, int(run.end or run.start)]
    columns = ["id", *keys, "runname", "state", "status", "owner", "event_time", "comment", "last_update"]
    insert(conn, "runs", columns, [row])
    seen = _look(store, run.id)
    attempts: dict[CaseKey, int] = {}
    insert(conn, "tests", _TEST_COLUMNS, _tests(store, run, seen, attempts))
    _add_steps(conn, queries.steps(store, run.id), seen.numbers, attempts)
    _add_values(conn, queries.values(store, run.id), seen.numbers, attempts)
    counts = queries.counts(store, run.id)
    insert(conn, "run_stats", ("run_id", "state", "status", "count"), [(run.id, *how, n) for how, n in counts.items()])


def _look(store: db.Store, run_id: int) -> _Seen:
    facts: dict[CaseKey, dict[str, str]] = {}
    for note in queries.notes(store, run_id):
        if note.text.startswith(FACTS):
            facts[CaseKey(note.test, note.item)] = facts_of(note.text)
    tallies: dict[CaseKey, tuple[int, int]] = {}
    for value in queries.values(store, run_id):
        key = CaseKey(value.test, value.item)
        good, bad = tallies.get(key, (0, 0))
        how = value.status.lower()
        tallies[key] = (good + (how == "pass"), bad + (how == "fail"))
    return _Seen(queries.numbers(store, run_id), queries.final_logs(store, run_id), facts, tallies)


def _tests(store: db.Store, run: RunRow, seen: _Seen, attempts: dict[CaseKey, int]) -> Iterator[tuple[Any, ...]]:
    """Rows of tests, items after the top record of their test; `attempts` learns which attempt each row is of."""
    tops = {top.test: top for top in queries.tops(store, run.id) if top.items}
    comments = {CaseKey(s.test): s.comment for s in queries.said(store, run.id) if not s.item and s.comment}
    for test, rows in groupby(queries.cases(store, run.id), key=lambda row: row.test):
        for n, row in enumerate(rows):
            if row.key not in seen.numbers:  # it came after the numbers were asked for
                continue
            if n == 0 and test in tops:
                yield _test(run, _above(row, tops[test], comments.get(CaseKey(test), "")), seen)
            attempts[row.key] = row.attempt
            yield _test(run, row, seen)


def _above(first: CaseRow, top: queries.Top, comment: str) -> CaseRow:
    """The top record of an iterated test, from its first item and what its items roll up to."""
    where = first.dir.removesuffix(f"/{first.item}")
    return CaseRow(
        top.test, "", attempt=0, state=top.state, status=top.status, host=first.host, start=first.start,
        dir=where if where != first.dir else "", comment=comment,
    )  # fmt: skip


def _test(run: RunRow, row: CaseRow, seen: _Seen) -> tuple[Any, ...]:
    key = row.key
    facts = seen.facts.get(key, {})
    good, bad = seen.tallies.get(key, (0, 0))
    secs = time.time() - row.start if row.state in LIVE and row.start else row.secs
    where = row.dir or "/tmp/badname"  # noqa: S108 - the word of the old schema
    log = f"megatest-rollup-{row.test}.html" if row.attempt == 0 else USUAL_LOG
    changed = int(row.end or row.start or run.start)
    return (
        seen.numbers[key], run.id, row.test, row.item, row.state, row.status, row.host or "n/a",
        olddb.number(facts.get("cpuload", -1)), int(olddb.number(facts.get("diskfree", -1))),
        facts.get("uname", "n/a"), where, _disk_dir(where), row.pid, seen.logs.get(key, log), int(secs),
        row.comment, int(row.start or run.start), bad, good, int(olddb.number(facts.get("archived", 0))), changed,
    )  # fmt: skip


def _disk_dir(link: str) -> str:
    """The directory that a run directory's link leads to; the link where it leads nowhere."""
    try:
        found = os.readlink(link)
    except OSError:
        return link
    return found if os.path.isabs(found) else link


def _add_steps(
    conn: sqlite3.Connection, steps: Iterable[StepRow], numbers: dict[CaseKey, int], attempts: dict[CaseKey, int]
) -> None:
    """Two rows for each step that has ended, one for its start and one for its end."""
    columns = ("test_id", "stepname", "state", "status", "event_time", "comment", "logfile", "last_update")
    insert(conn, "test_steps", columns, _step_rows(steps, numbers, attempts))


def _step_rows(
    steps: Iterable[StepRow], numbers: dict[CaseKey, int], attempts: dict[CaseKey, int]
) -> Iterator[tuple[Any, ...]]:
    for step in steps:
        key = CaseKey(step.test, step.item)
        if attempts.get(key) != step.attempt:
            continue
        begun, over = int(step.start), int(step.start + step.secs)
        if step.state == "start":
            yield (numbers[key], step.name, "start", _said(step.status), begun, step.comment, step.log, begun)
        else:
            yield (numbers[key], step.name, "start", "n/a", begun, "", "", begun)
            yield (numbers[key], step.name, step.state, _said(step.status), over, step.comment, step.log, over)


def _said(status: str) -> str:
    return "n/a" if status in ("", "-") else status


def _add_values(
    conn: sqlite3.Connection, values: Iterable[ValueRow], numbers: dict[CaseKey, int], attempts: dict[CaseKey, int]
) -> None:
    columns = ("test_id", *ValueRow._fields[3:])
    rows = (
        (
            numbers[key],
            *value[3:6],
            *(said or None for said in value[6:9]),
            value.comment,
            value.status or "n/a",
            value.type,
        )
        for value in values
        if attempts.get(key := CaseKey(value.test, value.item)) == value.attempt
    )
    insert(conn, "test_data", columns, rows)


def forget_runs(conn: sqlite3.Connection, run_ids: Iterable[int]) -> None:
    """Remove runs and all that belongs to them."""
    for run_id in run_ids:
        first = (run_id - 1) * queries.NUMBERS_OF_A_RUN
        for table, column in (("tests", "id"), ("test_steps", "test_id"), ("test_data", "test_id")):
            bounds = (first, first + queries.NUMBERS_OF_A_RUN)
            conn.execute(f"DELETE FROM {table} WHERE {column} > ? AND {column} <= ?", bounds)  # noqa: S608 - the names above
        conn.execute("DELETE FROM run_stats WHERE run_id = ?", (run_id,))
        conn.execute("DELETE FROM runs WHERE id = ?", (run_id,))
