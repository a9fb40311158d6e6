"""Questions about runs and what is in them; nothing is changed, nothing is folded (see `fold.refresh`).

Rows come as the named tuples of `model`, by test and item.  A run that was
registered and never folded has no db yet: its answers are empty.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, count, islice
from typing import Any, NamedTuple

from mt import db, db_main
from mt.db_schema import RUN
from mt.model import CaseKey, CaseRow, RunRow, StepRow, ValueRow
from mt.states import passed, roll_items, verdict


class Top(NamedTuple):
    """A test of a run with what its cases roll up to; `items` is False when it has none."""

    test: str
    state: str
    status: str
    cases: int
    items: bool
    counts: dict[tuple[str, str], int]


class Said(NamedTuple):
    """What a test said of itself, at a moment (seconds since 1970)."""

    test: str
    item: str
    attempt: int
    state: str
    status: str
    comment: str
    log: str
    time: float


class Note(NamedTuple):
    """Why something was decided about a case, at a moment (seconds since 1970)."""

    test: str
    item: str
    attempt: int
    text: str
    time: float


# -- runs


def find_runs(
    store: db.Store,
    target: str | None = None,
    name: str | None = None,
    *,
    owner: str | None = None,
    states: Sequence[str] = (),
    since: float = 0.0,
    order: str = "start",
    limit: int | None = None,
) -> list[RunRow]:
    """Runs by patterns of target and name, oldest first; each as it was when it was last folded.

    Only those in one of `states`, begun at or after `since` (seconds since
    1970), the first `limit` of them in the order of a field (`-field` downwards).
    """
    with db_main.reading(store) as conn:
        found = db_main.select_runs(
            conn, target=_exact(target), name=_exact(name), owner=owner, since=since, order=order
        )
        fitting = (db_main.now(store, run) for run in found if _fits(target, run.target) and _fits(name, run.name))
        return list(islice((run for run in fitting if not states or run.state in states), limit))


def _exact(pattern: str | None) -> str:
    """A name for SQL to look up; everything for a pattern, because people's patterns know lists and parts."""
    return "%" if not pattern or any(c in "%*?[," for c in pattern) else pattern


def _fits(pattern: str | None, text: str) -> bool:
    if pattern is None or pattern in ("%", "*", text):
        return True
    from mt.patterns import like

    return like(pattern, text)


def last_run(store: db.Store, owner: str | None = None) -> RunRow | None:
    """The run that was begun last, of one owner or of anybody, of those of which something is left."""
    for limit in (1, None):
        found = find_runs(store, owner=owner, order="-start", limit=limit)
        left = next((run for run in found if run.state != "DELETED"), None)
        if left or not found:
            break
    return left


def run_of(store: db.Store, run_id: int) -> RunRow | None:
    """One run by its id."""
    with db_main.reading(store) as conn:
        found = db_main.one_run(conn, run_id)
    return db_main.now(store, found) if found else None


# -- what is in a run


def _select(store: db.Store, run_id: int, sql: str, values: Sequence[object] = ()) -> Iterator[Any]:
    path = store.run_db_path(run_id)
    if not os.path.exists(path):
        return
    with db.sql_errors(path):
        try:
            conn = db.reader(path, RUN, store.mode)
        except db.Unmade:
            return  # nothing was folded yet, and whoever is about to do it has the lock
        with closing(conn):
            yield from conn.execute(sql, values)


def _where(
    key: CaseKey | None, tests: Iterable[str] | None, more: Mapping[str, Sequence[str]]
) -> tuple[str, list[object]]:
    """The WHERE clause for one case, or some tests, and columns that must be one of several words."""
    parts: list[str] = []
    values: list[object] = []
    if key is not None:
        parts.append("test = ? AND item = ?")
        values += key
    for column, words in (("test", None if tests is None else list(tests)), *more.items()):
        if words is not None and (words or column == "test"):
            parts.append(f"{column} IN (SELECT value FROM json_each(?))")  # noqa: S608 - columns of this module
            values.append(json.dumps(words))
    return (" WHERE " + " AND ".join(parts) if parts else ""), values


_FIRST, _SECOND = "json_extract(value, '$[0]')", "json_extract(value, '$[1]')"
_CASE = ", ".join(f'"{name}"' for name in CaseRow._fields)
_BEGAN = "CASE WHEN began > 0 THEN began ELSE start END"
_TOOK = "CASE WHEN secs > 0 OR ended = 0 OR began = 0 THEN secs ELSE max(t - began, 0.0) END"
_STEP = ", ".join({"start": _BEGAN, "secs": _TOOK}.get(name, name) for name in StepRow._fields)
_VALUE = ", ".join(ValueRow._fields)


def cases(
    store: db.Store,
    run_id: int,
    *,
    key: CaseKey | None = None,
    tests: Iterable[str] | None = None,
    states: Sequence[str] = (),
    statuses: Sequence[str] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[CaseRow]:
    """The cases of a run by test and item, or one of them, or those of some tests; only in these states and statuses.

    Rows come while the db is read, a page (`limit`, `offset`) without reading
    what follows it.
    """
    more = {"state": states, "status": statuses}
    where, values = _where(key, tests, {f"+{n}": w for n, w in more.items()})
    if key is None and tests is None and (pairs := _rare(counts(store, run_id), more)) is not None:
        where = f" WHERE (status, state) IN (SELECT {_FIRST}, {_SECOND} FROM json_each(?))"  # noqa: S608 - words above
        values = [json.dumps(pairs)]
    page = "" if limit is None and not offset else " LIMIT ? OFFSET ?"
    bounds = [-1 if limit is None else limit, offset] if page else []
    sql = f"SELECT {_CASE} FROM cases{where} ORDER BY test, item{page}"  # noqa: S608 - columns of this module
    return map(CaseRow._make, _select(store, run_id, sql, [*values, *bounds]))


def _rare(counted: Mapping[tuple[str, str], int], more: Mapping[str, Sequence[str]]) -> list[tuple[str, str]] | None:
    """The pairs of status and state that are asked for, when the index on them is the short way.

    For few rows it is; for many, reading the table in its order and stopping
    early is far quicker than sorting them, which SQLite cannot know.
    """
    if not any(more.values()):
        return None
    fit = {
        (status, state): n
        for (state, status), n in counted.items()
        if state in (more["state"] or (state,)) and status in (more["status"] or (status,))
    }
    return sorted(fit) if sum(fit.values()) * 8 < sum(counted.values()) else None


def attempts(store: db.Store, run_id: int, *, key: CaseKey | None = None) -> Iterator[CaseRow]:
    """Older attempts, each as it was last, oldest first."""
    where, values = _where(key, None, {})
    sql = f"SELECT {_CASE} FROM attempts{where} ORDER BY test, item, attempt"  # noqa: S608 - columns of this module
    return map(CaseRow._make, _select(store, run_id, sql, values))


_TRIED = (
    "SELECT test, item, a.state, a.status, c.state, c.status FROM attempts AS a JOIN cases AS c USING (test, item)"
    " ORDER BY test, item"
)


def flaky(store: db.Store, run_id: int) -> list[CaseKey]:
    """The cases of a run that failed in an earlier attempt and pass in the last one (spec/features.md B5)."""
    tried = _select(store, run_id, _TRIED)
    found = (CaseKey(t, i) for t, i, *was, state, status in tried if verdict(*was) == "bad" and passed(state, status))
    return list(dict.fromkeys(found))


def ends(store: db.Store, run_id: int, *, items: bool = True) -> Iterator[tuple[str, str, str, str]]:
    """Test, item, state and status of all cases of a run, for those who look at many runs.

    Without `items` each state and status of a test comes once, its item empty: far fewer rows.
    """
    if items:
        return _select(store, run_id, "SELECT test, item, state, status FROM cases")
    return _select(store, run_id, "SELECT test, '', state, status FROM counts WHERE n > 0")


def steps(
    store: db.Store, run_id: int, *, key: CaseKey | None = None, tests: Iterable[str] | None = None
) -> Iterator[StepRow]:
    """Steps of all attempts, in the order in which they began."""
    where, values = _where(key, tests, {})
    order = "test, item, attempt, number, began, start"
    for row in _select(store, run_id, f"SELECT {_STEP} FROM steps{where} ORDER BY {order}", values):  # noqa: S608 - our own columns, values are bound
        step = StepRow._make(row)
        yield step._replace(exits=tuple(json.loads(str(step.exits))))


def values(
    store: db.Store, run_id: int, *, key: CaseKey | None = None, tests: Iterable[str] | None = None
) -> Iterator[ValueRow]:
    """Measured values of all attempts."""
    where, bound = _where(key, tests, {})
    order = "test, item, attempt, category, variable"
    return map(ValueRow._make, _select(store, run_id, f"SELECT {_VALUE} FROM vals{where} ORDER BY {order}", bound))  # noqa: S608 - our own columns, values are bound


def said(store: db.Store, run_id: int, *, key: CaseKey | None = None) -> Iterator[Said]:
    """What tests said of themselves, in order."""
    where, bound = _where(key, None, {})
    sql = f"SELECT test, item, attempt, state, status, comment, log, t FROM said{where} ORDER BY t, writer, seq"  # noqa: S608 - our own columns, values are bound
    return map(Said._make, _select(store, run_id, sql, bound))


def notes(store: db.Store, run_id: int, *, key: CaseKey | None = None) -> Iterator[Note]:
    """Notes, in order."""
    where, bound = _where(key, None, {})
    sql = f"SELECT test, item, attempt, text, t FROM notes{where} ORDER BY t, writer, seq"  # noqa: S608 - our own columns, values are bound
    return map(Note._make, _select(store, run_id, sql, bound))


#: the log to read first of a case that has told of none (spec/runs.md 5.9)
FINAL_LOG = "logs/final.log"
_STEP_LOGS = "SELECT test, item, log FROM steps JOIN cases USING (test, item, attempt)"
_SAID_LOGS = (
    "SELECT test, item, log FROM said LEFT JOIN cases USING (test, item)"
    " WHERE log <> '' AND (cases.attempt IS NULL OR cases.attempt = said.attempt)"
)


def final_logs(store: db.Store, run_id: int, *, tests: Iterable[str] | None = None) -> dict[CaseKey, str]:
    """The log to read first of each case, relative to its run directory; those without any are left out.

    What the test itself named (-setlog), else the page of the last step that
    log rules judged, else the log of the last step: for a case that is not
    here `FINAL_LOG` (spec/runs.md 1.5, 5.9).  A top record is here only when
    its log was set (-set-toplog).
    """
    among, values = _where(None, tests, {})
    more = among.replace(" WHERE ", " AND ")
    found: dict[CaseKey, str] = {}
    order = "ORDER BY test, item, number, began, steps.start"
    for test, item, log in _select(store, run_id, f"{_STEP_LOGS} WHERE log <> ''{more} {order}", values):
        key = CaseKey(test, item)
        if log.endswith(".html") or not found.get(key, "").endswith(".html"):
            found[key] = log
    said_order = "ORDER BY said.t, said.writer, said.seq"
    for test, item, log in _select(store, run_id, f"{_SAID_LOGS}{more} {said_order}", values):
        found[CaseKey(test, item)] = log
    return found


def counts(store: db.Store, run_id: int) -> dict[tuple[str, str], int]:
    """{(state, status): n} over the cases of a run."""
    return {(s, t): n for s, t, n in _select(store, run_id, "SELECT state, status, n FROM totals")}


_PLAIN = (
    "SELECT test FROM (SELECT DISTINCT test FROM counts) AS known"
    " WHERE EXISTS (SELECT 1 FROM cases WHERE cases.test = known.test AND item = '')"
)


def tops(store: db.Store, run_id: int) -> list[Top]:
    """One record for each test, its items rolled up (spec/runs.md 3.3)."""
    tally: dict[str, dict[tuple[str, str], int]] = {}
    for test, state, status, n in _select(store, run_id, "SELECT test, state, status, n FROM counts ORDER BY test"):
        tally.setdefault(test, {})[state, status] = n
    plain = {test for (test,) in _select(store, run_id, _PLAIN)}
    found = []
    for test, counted in tally.items():
        rolled = next(iter(counted)) if test in plain else roll_items(counted)
        if rolled:
            left = sum(n for (state, _), n in counted.items() if state != "DELETED")
            found.append(Top(test, *rolled, left, test not in plain, counted))
    return found


def folded(store: db.Store, run_id: int) -> list[str]:
    """The names of the journals of a run that were read and not packed since."""
    return [name for (name,) in _select(store, run_id, "SELECT file FROM offsets")]


def durations(store: db.Store, target: str | None = None, *, runs: int = 5) -> dict[CaseKey, float]:
    """Seconds that cases took when they last ended well, from the newest runs of a target."""
    found: dict[CaseKey, float] = {}
    for run in reversed(find_runs(store, target)[-runs:]):
        sql = "SELECT test, item, secs FROM cases WHERE state = 'COMPLETED' AND status IN ('PASS', 'WARN') AND secs > 0"
        for test, item, secs in _select(store, run.id, sql):
            found.setdefault(CaseKey(test, item), secs)
    return found


#: what lies between the first numbers of two runs
NUMBERS_OF_A_RUN = 10_000_000
_IN_ORDER = "SELECT test, item FROM born ORDER BY t, writer, seq, place"
_UNBORN = (
    "SELECT test, item FROM cases WHERE (SELECT count(*) FROM cases) > (SELECT count(*) FROM born)"
    " AND NOT EXISTS (SELECT 1 FROM born WHERE born.test = cases.test AND born.item = cases.item) ORDER BY test, item"
)


def numbers(store: db.Store, run_id: int) -> dict[CaseKey, int]:
    """A number for every record of a run as the old program counted them, in their order (spec/runs.md 5.9, 6.1).

    Records are the cases, and before the first item of an iterated test its
    top record, whose item is empty.  They are numbered in the order in which
    cases were registered, from 1 in the first run of an area and from
    `NUMBERS_OF_A_RUN` later in each run after it: a number stays what it is
    when others are registered later, and no two runs share one.
    """
    seen = {test for (test,) in _select(store, run_id, "SELECT test FROM cases WHERE item = ''")}
    keys: list[CaseKey] = []
    for key in map(CaseKey._make, chain(_select(store, run_id, _IN_ORDER), _select(store, run_id, _UNBORN))):
        if key.test not in seen:
            seen.add(key.test)
            keys.append(CaseKey(key.test))
        keys.append(key)
    return dict(zip(keys, count(max(run_id - 1, 0) * NUMBERS_OF_A_RUN + 1), strict=False))
