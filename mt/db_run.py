"""A run's db: a batch of events joined in memory, then saved in one transaction.

The heart of the store.  Every table row is the greatest event of its key, and
"greatest" is a total order, so a batch may hold its events in any order, events
may come twice, and batches may be cut anywhere: the db is the same.

  cases      greatest by states.order(attempt, gen, state, writer, seq)
  attempts   the same among the events of one older attempt
  steps      an end beats a start, then (t, writer, seq); `began` is the earliest start told
  vals, meta, test_meta   greatest (t, writer, seq)
  said, notes             all of them, by (writer, seq)
  born       least (t, writer, seq, place in a list of items): the order of registration

`counts` and `totals` follow from what a batch changed in `cases`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from mt.journals import Done
from mt.model import CaseRow, StepRow, ValueRow
from mt.states import order

Event = Mapping[str, Any]
Key = tuple[str, str]
Order = tuple[int, int, int, int, str, int]
Birth = tuple[float, str, int, int]

_BIG = 1 << 62


class Unreadable(ValueError):
    """An event that parses but is none that this program knows."""


class _Shape(NamedTuple):
    """The fields of a kind of event: names, defaults and types, in the order of the table."""

    names: tuple[str, ...]
    usual: tuple[Any, ...]
    types: list[type]
    numbers: tuple[int, ...]  # places of the integers


def _shape(**fields: Any) -> _Shape:
    kinds = [type(v) for v in fields.values()]
    whole = tuple(n for n, k in enumerate(kinds) if k is int)
    return _Shape(tuple(fields), tuple(fields.values()), kinds, whole)


_ABOUT: dict[str, Any] = {"test": "", "item": "", "attempt": 1}
_CASE = _shape(**{**_ABOUT, **CaseRow._field_defaults})
_STEP = _shape(**{**_ABOUT, "name": "", **StepRow._field_defaults, "exits": []})
_VALUE = _shape(**{**_ABOUT, "category": "", "variable": "", "value": "", **ValueRow._field_defaults})
_SAID = _shape(**_ABOUT, state="", status="", comment="", log="")
_NOTE = _shape(**_ABOUT, text="")
_GEN, _STATE, _STATUS, _END = (_CASE.names.index(n) for n in ("gen", "state", "status", "end"))


def _row(shape: _Shape, ev: Event) -> list[Any]:
    """The columns of an event; raises Unreadable for what a table cannot hold."""
    get = ev.get
    row = [get(n, u) for n, u in zip(shape.names, shape.usual, strict=True)]
    if list(map(type, row)) != shape.types:
        row = [_cast(n, v, t) for n, v, t in zip(shape.names, row, shape.types, strict=True)]
    for n in shape.numbers:
        if not -_BIG < row[n] < _BIG:
            raise Unreadable(f"{shape.names[n]} is too large")
    if not row[0]:
        raise Unreadable("it names no test")
    return row


def _cast(name: str, value: Any, kind: type) -> Any:
    if type(value) is kind:
        return value
    if kind is list or isinstance(value, list | dict):
        raise Unreadable(f"{name} is no {kind.__name__}")
    if value is None:
        return kind()
    try:
        return kind(value)
    except (ValueError, OverflowError) as e:
        raise Unreadable(f"{name} is no {kind.__name__}") from e


class Batch:
    """Events of any writers, joined; `take` them, then `save` once."""

    def __init__(self) -> None:
        self.events = 0
        self.end = 0.0
        self._cases: dict[Key, dict[int, tuple[Order, list[Any]]]] = {}
        self._born: dict[Key, Birth] = {}
        self._steps: dict[tuple[Any, ...], tuple[tuple[Any, ...], list[Any]]] = {}
        self._began: dict[tuple[Any, ...], float] = {}
        self._latest: dict[str, dict[tuple[Any, ...], tuple[tuple[Any, ...], list[Any]]]] = {}
        self._all: dict[str, dict[tuple[str, int], list[Any]]] = {"said": {}, "notes": {}}
        self._bad: dict[tuple[str, int], str] = {}
        self._takers: dict[str, Callable[[Event, str, int], None]] = {
            "case": self._case,
            "cases": self._register,
            "step": self._step,
            "value": self._value,
            "result": self._result,
            "note": self._note,
            "run": self._run,
            "meta": self._meta,
            "bad": self._bad_line,
        }

    def take(self, ev: Event, writer: str) -> None:
        """Join one event; raises Unreadable, and then nothing has changed."""
        kind = ev.get("k")
        taker = self._takers.get(kind) if type(kind) is str else None
        seq = ev.get("s", 0)
        if taker is None or type(seq) is not int or not 0 <= seq < _BIG:
            raise Unreadable("no kind or no sequence number")
        taker(ev, writer, seq)
        self.events += 1

    def cases(self) -> Iterable[Key]:
        """The cases whose rows it may change, as (test, item)."""
        return self._cases.keys()

    def bad(self, file: str, at: int, text: str) -> None:
        """Keep a line that cannot be read."""
        self._bad[file, at] = text

    def _case(self, ev: Event, writer: str, seq: int) -> None:
        row = _row(_CASE, ev)
        told = (_time(ev), writer, seq, 0)
        if row[_END] > self.end:
            self.end = row[_END]
        self._join_case(row, told)

    def _join_case(self, row: list[Any], told: Birth) -> None:
        _, writer, seq, _ = told
        key = (row[0], row[1])
        born = self._born.get(key)
        if born is None or told < born:
            self._born[key] = told
        place = order(row[2], row[_GEN], row[_STATE], writer, seq)
        attempts = self._cases.setdefault(key, {})
        have = attempts.get(row[2])
        if have is None or place > have[0]:
            attempts[row[2]] = (place, [*row, writer, seq])

    def _register(self, ev: Event, writer: str, seq: int) -> None:
        items = ev.get("items")
        if type(items) is not list or not all(type(i) is str for i in items):
            raise Unreadable("items is no list of texts")
        row = _row(_CASE, ev)
        t = _time(ev)
        for n, item in enumerate(items):
            row[1] = item
            self._join_case(row, (t, writer, seq, n))

    def _step(self, ev: Event, writer: str, seq: int) -> None:
        row = _row(_STEP, ev)
        if not all(type(e) is int for e in row[7]):
            raise Unreadable("exits is no list of numbers")
        key = (row[0], row[1], row[2], row[3])
        ended = int(row[5] != "start")
        t = _time(ev)
        began = row[9] if row[9] > 0 else 0.0 if ended else t
        row[7] = json.dumps(row[7])
        place = (ended, t, writer, seq)
        have = self._steps.get(key)
        if have is None or place > have[0]:
            self._steps[key] = (place, row)
        if began > 0 and began < self._began.get(key, began + 1):
            self._began[key] = began

    def _value(self, ev: Event, writer: str, seq: int) -> None:
        row = _row(_VALUE, ev)
        self._join("vals", tuple(row[:5]), row, _time(ev), writer, seq)

    def _meta(self, ev: Event, writer: str, seq: int) -> None:
        values = [ev.get("test"), ev.get("key"), ev.get("value", "")]
        if not all(type(v) is str for v in values):
            raise Unreadable("test, key or value is no text")
        self._join("test_meta", tuple(values[:2]), values, _time(ev), writer, seq)

    def _run(self, ev: Event, writer: str, seq: int) -> None:
        t = _time(ev)
        for key, value in ev.items():
            if key not in ("k", "s", "t", "w"):
                self._join("meta", (key,), [key, json.dumps(value)], t, writer, seq)

    def _join(self, table: str, key: tuple[Any, ...], row: list[Any], t: float, writer: str, seq: int) -> None:
        place = (t, writer, seq)
        rows = self._latest.setdefault(table, {})
        have = rows.get(key)
        if have is None or place > have[0]:
            rows[key] = (place, [*row, *place])

    def _result(self, ev: Event, writer: str, seq: int) -> None:
        self._all["said"].setdefault((writer, seq), [writer, seq, _time(ev), *_row(_SAID, ev)])

    def _note(self, ev: Event, writer: str, seq: int) -> None:
        self._all["notes"].setdefault((writer, seq), [writer, seq, _time(ev), *_row(_NOTE, ev)])

    def _bad_line(self, ev: Event, writer: str, seq: int) -> None:
        file, at, text = ev.get("file"), ev.get("at"), ev.get("text")
        if type(file) is not str or type(at) is not int or type(text) is not str:
            raise Unreadable("not a kept line")
        self._bad[file, at] = text

    def save(self, conn: sqlite3.Connection) -> list[list[Any]]:
        """Join the batch into the db, within the caller's transaction; gives the rows of test metadata."""
        _save_cases(conn, self._cases)
        conn.executemany(_BORN, [(*key, *told) for key, told in sorted(self._born.items())])
        _save_steps(conn, self._steps, self._began)
        for table, rows in self._latest.items():
            conn.executemany(_UPSERT[table], [row for _, row in rows.values()])
        for table, kept in self._all.items():
            _many(conn, f"INSERT OR IGNORE INTO {table} VALUES ", kept.values())  # noqa: S608 - one of two names above
        _many(conn, "INSERT OR IGNORE INTO bad VALUES ", [(f, at, text) for (f, at), text in self._bad.items()])
        if self.end > 0:
            conn.execute(_GREATER, ("last_end", self.end))
        if self.events:
            count_on(conn, 1)
        return [row for _, row in self._latest.get("test_meta", {}).values()]


def _time(ev: Event) -> float:
    t = ev.get("t", 0.0)
    return t if type(t) is float else float(_cast("t", t, float))


def _many(conn: sqlite3.Connection, insert: str, rows: Iterable[Any]) -> None:
    """Insert rows, all of one length, as they stand."""
    listed = list(rows)
    if listed:
        conn.executemany(f"{insert} ({','.join('?' * len(listed[0]))})", listed)


_GREATER = "INSERT INTO info VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)"
_MORE = {
    "counts": "INSERT INTO counts VALUES (?, ?, ?, ?)"
    " ON CONFLICT (test, state, status) DO UPDATE SET n = n + excluded.n",
    "totals": "INSERT INTO totals VALUES (?, ?, ?) ON CONFLICT (state, status) DO UPDATE SET n = n + excluded.n",
}


def _upsert(table: str, keys: str, columns: tuple[str, ...], place: str) -> str:
    """Insert a row, or replace the one of its key when its place is greater."""
    marks = ", ".join("?" * len(columns))
    sets = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c not in keys.split(", "))
    newer = ", ".join(f"excluded.{c}" for c in place.split(", "))
    return f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT ({keys}) DO UPDATE SET {sets} WHERE ({newer}) > ({place})"  # noqa: S608 - names of this module


_LAST = ("t", "writer", "seq")
_UPSERT = {
    "vals": _upsert("vals", "test, item, attempt, category, variable", (*_VALUE.names, *_LAST), "t, writer, seq"),
    "meta": _upsert("meta", "key", ("key", "value", *_LAST), "t, writer, seq"),
    "test_meta": _upsert("test_meta", "test, key", ("test", "key", "value", *_LAST), "t, writer, seq"),
}
_BORN = (
    "INSERT INTO born VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (test, item) DO UPDATE"
    " SET t = excluded.t, writer = excluded.writer, seq = excluded.seq, place = excluded.place"
    " WHERE (excluded.t, excluded.writer, excluded.seq, excluded.place) < (t, writer, seq, place)"
)
_STEP_COLUMNS = (*_STEP.names, "began", "ended", *_LAST)
_UPSERT_STEP = _upsert("steps", "test, item, attempt, name", _STEP_COLUMNS, "ended, t, writer, seq").replace(
    '"began" = excluded."began", ', ""
)
_EARLIER = (
    "UPDATE steps SET began = ? WHERE test = ? AND item = ? AND attempt = ? AND name = ? AND (began = 0 OR began > ?)"
)


def _save_steps(conn: sqlite3.Connection, steps: Mapping[Any, Any], began: Mapping[Any, float]) -> None:
    rows = [[*row, began.get(key, 0.0), *place] for key, (place, row) in steps.items()]
    if not rows:
        return
    conn.executemany(_UPSERT_STEP, rows)
    conn.executemany(_EARLIER, [(t, *key, t) for key, t in began.items()])


_CASE_MARKS = ",".join("?" * (len(_CASE.names) + 2))
_PUT = f"INSERT OR REPLACE INTO cases VALUES ({_CASE_MARKS})"  # noqa: S608 - question marks
_PUT_OLD = f"INSERT OR REPLACE INTO attempts VALUES ({_CASE_MARKS})"  # noqa: S608 - question marks
_GET = "SELECT * FROM cases WHERE test = ? AND item = ?"
_GET_OLD = "SELECT * FROM attempts WHERE test = ? AND item = ? AND attempt = ?"


def _place(row: tuple[Any, ...] | list[Any]) -> Order:
    return order(row[2], row[_GEN], row[_STATE], row[-2], row[-1])


def _save_cases(conn: sqlite3.Connection, cases: Mapping[Key, Mapping[int, tuple[Order, list[Any]]]]) -> None:
    """Join cases and their older attempts with what the db has; keep the counts."""
    put: list[Any] = []
    old: list[Any] = []
    change: dict[tuple[str, str, str], int] = {}
    known = _Known(conn)
    for key, attempts in cases.items():
        have = known.case(key)
        newest = max(attempts)
        _, row = attempts[newest]
        older = [r for a, (_, r) in attempts.items() if a != newest] if len(attempts) > 1 else []
        if have is None or attempts[newest][0] > _place(have):
            if have is not None:
                if have[2] < newest:
                    older.append(list(have))
                gone = (key[0], have[_STATE], have[_STATUS])
                change[gone] = change.get(gone, 0) - 1
            come = (key[0], row[_STATE], row[_STATUS])
            change[come] = change.get(come, 0) + 1
            put.append(row)
        elif newest < have[2]:
            older.append(row)
        if older:
            current = newest if have is None or have[2] < newest else have[2]
            old.extend(known.older(older, current))
    put.sort(key=lambda r: (r[0], r[1]))
    conn.executemany(_PUT, put)
    conn.executemany(_PUT_OLD, old)
    _save_counts(conn, change)


class _Known:
    """What the db has of cases; a test without any row is asked for once only."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._get = conn.execute
        self._tests: dict[str, bool] = {}

    def case(self, key: Key) -> tuple[Any, ...] | None:
        seen = self._tests.get(key[0])
        if seen is None:
            found = self._get("SELECT 1 FROM cases WHERE test = ? LIMIT 1", (key[0],)).fetchone()
            seen = self._tests[key[0]] = found is not None
        found = self._get(_GET, key).fetchone() if seen else None
        return tuple(found) if found else None

    def older(self, rows: list[Any], current: int) -> list[Any]:
        """The rows of older attempts that beat what is kept of their attempt."""
        best: dict[int, Any] = {}
        for row in rows:
            if row[2] < current and (row[2] not in best or _place(row) > _place(best[row[2]])):
                best[row[2]] = row
        kept = {a: self._get(_GET_OLD, (r[0], r[1], a)).fetchone() for a, r in best.items()}
        return [r for a, r in best.items() if kept[a] is None or _place(r) > _place(kept[a])]


def _save_counts(conn: sqlite3.Connection, change: Mapping[tuple[str, str, str], int]) -> None:
    total: dict[tuple[str, str], int] = {}
    for (_, state, status), n in change.items():
        total[state, status] = total.get((state, status), 0) + n
    conn.executemany(_MORE["counts"], [(*k, n) for k, n in change.items() if n])
    conn.executemany(_MORE["totals"], [(*k, n) for k, n in total.items() if n])
    gone = [k for k, n in change.items() if n < 0]
    conn.executemany("DELETE FROM counts WHERE test = ? AND state = ? AND status = ? AND n = 0", gone)
    conn.execute("DELETE FROM totals WHERE n = 0")


def totals(conn: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """{(state, status): n} over all cases of the run."""
    return {(s, t): n for s, t, n in conn.execute("SELECT state, status, n FROM totals")}


def info(conn: sqlite3.Connection) -> dict[str, float]:
    """`rev` and `last_end` of the run."""
    return dict(conn.execute("SELECT key, value FROM info"))


def said_of_run(conn: sqlite3.Connection) -> dict[str, Any]:
    """What `run` events told of the run: owner, comment, and what was done to it by hand, key by key."""
    return {key: json.loads(value) for key, value in conn.execute("SELECT key, value FROM meta ORDER BY key")}


def offsets(conn: sqlite3.Connection) -> dict[str, Done]:
    """How much of each file is folded."""
    return {file: Done(at, seen) for file, at, seen in conn.execute("SELECT file, at, seen FROM offsets")}


def save_offsets(conn: sqlite3.Connection, new: Mapping[str, Done]) -> None:
    """Store offsets, within the transaction that stores what was read."""
    conn.executemany("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)", [(f, *done) for f, done in new.items()])


def move_offsets(conn: sqlite3.Connection, gone: Iterable[str], new: Mapping[str, Done]) -> None:
    """Forget files that were taken into another, whose offset is stored at once."""
    conn.executemany("DELETE FROM offsets WHERE file = ?", [(f,) for f in gone])
    save_offsets(conn, new)


def count_on(conn: sqlite3.Connection, rev: int) -> None:
    """Count one fold, or those that a db had before it was rebuilt."""
    conn.execute("INSERT INTO info VALUES ('rev', ?) ON CONFLICT (key) DO UPDATE SET value = value + ?", (rev, rev))


def bad_lines(conn: sqlite3.Connection) -> int:
    """How many lines of the journals could not be read."""
    return int(conn.execute("SELECT count(*) FROM bad").fetchone()[0])


def test_metas(conn: sqlite3.Connection) -> list[tuple[str, str, str, float, str, int]]:
    """All metadata of tests that this run told of, as main.db keeps it."""
    return conn.execute("SELECT test, key, value, t, writer, seq FROM test_meta").fetchall()


def bad_places(conn: sqlite3.Connection) -> set[tuple[str, int]]:
    """File and offset of the lines that could not be read."""
    return {(file, at) for file, at in conn.execute("SELECT file, at FROM bad")}
