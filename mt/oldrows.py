"""The rows of a `megatest.db` as rows of mt: runs, and tests with their steps and values (spec/runs.md 6.1).

Tests come in the order of their numbers, which is that of their registration,
each with what belongs to it: three cursors run side by side, so that a file of
a million tests needs no memory to speak of.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mt import olddb
from mt.model import CaseRow, StepRow, ValueRow
from mt.olddb import number, text
from mt.states import TERMINAL

_RUN = {
    "id": "0", "runname": "''", "state": "''", "status": "''", "owner": "''", "event_time": "0", "comment": "''",
}  # fmt: skip
_TEST = {
    "id": "0", "testname": "''", "item_path": "''", "state": "'NOT_STARTED'", "status": "'n/a'", "host": "''",
    "attemptnum": "0", "event_time": "0", "run_duration": "0", "rundir": "''", "comment": "''", "final_logf": "''",
    "cpuload": "-1", "diskfree": "-1", "uname": "''", "archived": "0",
}  # fmt: skip
_STEP = {
    "test_id": "0", "stepname": "''", "state": "'end'", "status": "'n/a'", "event_time": "0", "comment": "''",
    "logfile": "''",
}  # fmt: skip
_DATA = {
    "test_id": "0", "category": "''", "variable": "''", "value": "''", "expected": "''", "tol": "''", "units": "''",
    "comment": "''", "status": "''", "type": "''",
}  # fmt: skip
_FACT = re.compile(r"(cpuload|diskfree|archived)=(\S+)|uname=(.*)")
_META = ("author", "owner", "description", "reviewed", "tags", "jobgroup")
#: what stands in a column that nobody filled
NOTHING = ("", "n/a", "/tmp/badname")  # noqa: S108 - a word of the old schema
USUAL_LOG = "logs/final.log"
#: how the note begins that keeps what mt has no column for
FACTS = "imported: "


class OldRun(NamedTuple):
    """A run: its number, the values of its keys as a target, and what is recorded of it."""

    id: int
    target: str
    name: str
    state: str
    status: str
    owner: str
    start: float
    comment: str


class OldTest(NamedTuple):
    """A record of a test: its case, steps (each with the time it was told), values, log, and facts of its host.

    `is_top` marks the record of an iterated test, which its items roll up to.
    """

    row: CaseRow
    is_top: bool
    steps: Sequence[tuple[StepRow, float]]
    values: Sequence[ValueRow]
    log: str
    facts: str


class Reader:
    """Reads one open file; see `olddb.opened`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self.keys = olddb.keys(conn)
        #: what mt wrote of itself into the file, see mt/exporting.py; empty for one of the old program
        self.mark = self._mark()

    def _mark(self) -> str:
        if not {"var", "val"} <= {*olddb.columns(self._conn, "metadat")}:
            return ""
        found = self._conn.execute("SELECT val FROM metadat WHERE var = ?", (olddb.MARK,)).fetchone()
        return text(found[0]) if found else ""

    def runs(self) -> Iterator[OldRun]:
        """All runs by number."""
        names = olddb.chosen(self._conn, "runs", _RUN)
        keys = "".join(f", {olddb.quoted(key)}" for key in self.keys)
        for row in self._conn.execute(f"SELECT {names}{keys} FROM runs ORDER BY id").fetchall():  # noqa: S608 - columns that the file has
            words = [text(value).strip() for value in row]
            target = "/".join(words[len(_RUN) :])
            yield OldRun(int(row[0]), target, words[1], words[2], words[3], words[4], number(row[5]), words[6])

    def tests(self, run_id: int) -> Iterator[OldTest]:
        """The records of a run by number."""
        iterated = self._iterated(run_id)
        steps = _Beside(self._belonging("test_steps", _STEP, run_id))
        values = _Beside(self._belonging("test_data", _DATA, run_id))
        names = olddb.chosen(self._conn, "tests", _TEST)
        sql = f"SELECT {names} FROM tests WHERE run_id = ? ORDER BY id"  # noqa: S608 - columns that the file has
        for found in self._conn.execute(sql, (run_id,)):
            row = case(found)
            if not row.test:
                continue
            top = not row.item and row.test in iterated
            log = text(found[11])
            told = tuple(joined_steps(row, steps.of(found[0])))
            data = tuple(value(row, each) for each in values.of(found[0]))
            yield OldTest(row, top, told, data, "" if log in (*NOTHING, USUAL_LOG) else log, facts(found))

    def _iterated(self, run_id: int) -> set[str]:
        """The tests of a run that have items."""
        if "item_path" not in olddb.columns(self._conn, "tests"):
            return set()
        sql = "SELECT DISTINCT testname FROM tests WHERE run_id = ? AND item_path <> ''"
        return {text(name) for (name,) in self._conn.execute(sql, (run_id,))}

    def _belonging(self, table: str, wanted: dict[str, str], run_id: int) -> Iterator[Any]:
        """The rows of a table that belong to tests of a run, by test."""
        if not olddb.columns(self._conn, table):
            return iter(())
        names = olddb.chosen(self._conn, table, wanted, "b")
        return self._conn.execute(
            f"SELECT {names} FROM tests AS a JOIN {table} AS b ON b.test_id = a.id WHERE a.run_id = ?"  # noqa: S608 - columns that the file has
            " ORDER BY a.id, b.id",
            (run_id,),
        )

    def metas(self, run_id: int) -> Iterator[tuple[str, str, str]]:
        """(test, field, value) of the metadata of the tests of a run."""
        if not olddb.columns(self._conn, "test_meta"):
            return
        names = olddb.chosen(self._conn, "test_meta", {"testname": "''", **dict.fromkeys(_META, "''")})
        sql = (
            f"SELECT {names} FROM test_meta WHERE testname IN (SELECT testname FROM tests WHERE run_id = ?) ORDER BY 1"  # noqa: S608 - columns that the file has
        )
        for name, *found in self._conn.execute(sql, (run_id,)).fetchall():
            for field, said in zip(_META, found, strict=True):
                if text(said) and name and (field, said) != ("jobgroup", "default"):
                    yield text(name), field, text(said)


class _Beside:
    """Rows that are sorted by their first column, taken group by group beside a cursor in the same order."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, number: int) -> list[Any]:
        """The rows of one number; those of lower ones are passed over."""
        found = []
        while self._next is not None and self._next[0] <= number:
            if self._next[0] == number:
                found.append(self._next)
            self._next = next(self._rows, None)
        return found


def case(found: Sequence[Any]) -> CaseRow:
    """A case from the columns of a test: begun at its event_time, ended after its duration."""
    start, secs = number(found[7]), max(number(found[8]), 0.0)
    state = text(found[3]) or "NOT_STARTED"
    ended = state in TERMINAL and start > 0
    return CaseRow(
        text(found[1]), text(found[2]), 1, 1, state, text(found[4]) or "n/a", host=_said(found[5]),
        pid=max(int(number(found[6])), 0), start=start if state != "NOT_STARTED" else 0.0,
        end=start + secs if ended else 0.0, secs=secs, dir=_said(found[9]), comment=text(found[10]),
    )  # fmt: skip


def _said(value: Any) -> str:
    found = text(value)
    return "" if found in NOTHING else found


def facts(found: Sequence[Any]) -> str:
    """What mt has no column for, as one line: load and free disk of the host, its uname, the block of an archive."""
    pairs = [(name, text(found[n])) for n, name in ((12, "cpuload"), (13, "diskfree"), (15, "archived"), (14, "uname"))]
    told = " ".join(f"{name}={said}" for name, said in pairs if said not in ("", "-1", "0", "n/a"))
    return f"{FACTS}{told}" if told else ""


def facts_of(note: str) -> dict[str, str]:
    """What an imported case's note tells of its host."""
    return {name or "uname": said or uname for name, said, uname in _FACT.findall(note.removeprefix(FACTS))}


def joined_steps(row: CaseRow, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[StepRow, float]]:
    """Steps from their rows of start and end, in the order in which they began, each with the time of its last row."""
    named: dict[str, list[Sequence[Any]]] = {}
    for found in rows:
        named.setdefault(text(found[1]), []).append(found)
    for n, (name, parts) in enumerate(named.items(), 1):
        if name:
            yield _step(row, n, name, parts)


def _step(row: CaseRow, n: int, name: str, parts: Sequence[Sequence[Any]]) -> tuple[StepRow, float]:
    starts = [p for p in parts if text(p[2]) == "start"]
    ends = sorted((p for p in parts if text(p[2]) != "start"), key=lambda p: number(p[4]))
    last = ends[-1] if ends else starts[-1]
    begun = number(starts[0][4]) if starts else number(last[4])
    status = text(last[3]) or "n/a"
    exits = (int(status),) if status.isdecimal() and len(status) < 10 and ends else ()
    logs = [text(p[6]) for p in parts if text(p[6]) not in NOTHING]
    comments = [text(p[5]) for p in parts if text(p[5])]
    step = StepRow(
        row.test, row.item, 1, name, n, text(last[2]), status, exits, start=begun,
        secs=max(number(last[4]) - begun, 0.0) if ends else 0.0,
        log=logs[-1] if logs else "", comment=comments[-1] if comments else "",
    )  # fmt: skip
    return step, number(last[4])


def value(row: CaseRow, found: Sequence[Any]) -> ValueRow:
    """A measured value; a status that says nothing is none."""
    words = [text(each) for each in found[1:]]
    words[7] = "" if words[7] == "n/a" else words[7]
    return ValueRow(row.test, row.item, 1, *words)
