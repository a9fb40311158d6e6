"""The fold is a join: any order, any batches, any repetition give one db, and every state on the way is a legal move.

Events come from a model of writers: each sees some prefix of what was written,
picks a case, and makes a move that `states.MOVES` allows from what it saw.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mt import db_run, db_schema
from mt.model import CaseRow
from mt.states import MOVES, RANK, order

TABLES = (
    "cases", "attempts", "born", "steps", "vals", "said", "notes", "meta", "test_meta", "counts", "totals", "bad",
    "info",
)  # fmt: skip
STATUSES = ("n/a", "PASS", "FAIL", "KILLED")
CASES = (("a", ""), ("b", "1"))
Told = tuple[str, dict[str, Any]]


def new_db() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    db_schema.migrate(conn, db_schema.RUN, "", "")
    return conn


def fold(conn: sqlite3.Connection, batches: Sequence[Sequence[Told]]) -> Iterator[None]:
    for events in batches:
        batch = db_run.Batch()
        for writer, event in events:
            batch.take(event, writer)
        batch.save(conn)
        yield


def contents(conn: sqlite3.Connection) -> dict[str, list[Any]]:
    found = {t: sorted(conn.execute(f"SELECT * FROM {t}").fetchall()) for t in TABLES}
    found["info"] = [row for row in found["info"] if row[0] != "rev"]  # counts the folds
    return found


class Writers:
    """Writers that move cases legally from what each has seen; what they wrote is `told`, by writer in order."""

    def __init__(self, draw: random.Random, count: int) -> None:
        self.draw = draw
        self.views: list[dict[tuple[str, str], tuple[Any, CaseRow]]] = [{} for _ in range(count)]
        self.seqs = [0] * count
        self.told: list[Told] = []

    def join(self, writer: int, told: Told) -> None:
        name, e = told
        row = CaseRow(**{n: e[n] for n in CaseRow._fields if n in e})
        place = order(row.attempt, row.gen, row.state, name, e["s"])
        have = self.views[writer].get(row.key)
        if have is None or place > have[0]:
            self.views[writer][row.key] = (place, row)

    def look(self, writer: int) -> None:
        """See some of what all have written, which need not be the oldest."""
        for told in self.told:
            if told[1]["k"] == "case" and self.draw.random() < 0.3:
                self.join(writer, told)

    def tell(self, writer: int, kind: str, **fields: Any) -> None:
        self.seqs[writer] += 1
        t = float(self.draw.randrange(4))
        self.told.append((f"w{writer}", {"k": kind, "s": self.seqs[writer], "t": t, **fields}))

    def move(self, writer: int) -> None:
        test, item = self.draw.choice(CASES)
        _, seen = self.views[writer].get((test, item), (None, CaseRow(test, item)))
        if self.draw.random() < 0.05:
            attempt, state = seen.attempt + 1, self.draw.choice(list(RANK))
        else:
            attempt, state = seen.attempt, self.draw.choice(self.may_follow(seen.state))
        row = CaseRow(test, item, attempt, seen.gen + 1, state, self.draw.choice(STATUSES), end=self.draw.random())
        self.tell(writer, "case", **row._asdict())
        self.join(writer, self.told[-1])

    def may_follow(self, state: str) -> list[str]:
        """Legal moves; live ones three times, because everything ends soon enough."""
        legal = sorted(MOVES[state])
        return legal + [s for s in legal if RANK[s] <= RANK["CLEANING"]] * 2

    def say(self, writer: int) -> None:
        test, item = self.draw.choice(CASES)
        about = {"test": test, "item": item, "attempt": self.draw.randrange(1, 3)}
        kind = self.draw.choice(("step", "value", "result", "note", "meta", "run", "cases"))
        word = self.draw.choice("xy")
        more: dict[str, dict[str, Any]] = {
            "step": {"name": word, "state": self.draw.choice(("start", "end")), "start": self.draw.choice((0.0, 2.0))},
            "value": {"category": "c", "variable": word, "value": self.draw.choice("12")},
            "result": {"status": word},
            "note": {"text": word},
            "meta": {"key": word, "value": self.draw.choice("12")},
            "run": {"owner": word},
            "cases": {"items": ["1", "2"], "test": "b", "state": "NOT_STARTED", "gen": 0},
        }
        self.tell(writer, kind, **{**about, **more[kind]})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Told], random.Random]:
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    count = draw(st.integers(1, 4))
    writers = Writers(rng, count)
    for _ in range(draw(st.integers(1, 60))):
        writer = rng.randrange(count)
        rng.choice((writers.look, writers.move, writers.move, writers.say))(writer)
    return writers.told, rng


def shuffled(told: list[Told], rng: random.Random) -> list[list[Told]]:
    """Any order, with repetitions, cut into batches anywhere."""
    events = told + rng.sample(told, rng.randrange(len(told) + 1))
    rng.shuffle(events)
    pieces = rng.choice((0, 5, len(events)))
    cuts = sorted({0, len(events), *(rng.randrange(len(events) + 1) for _ in range(pieces))})
    return [events[a:b] for a, b in pairwise(cuts)]


def whole_fold(batches: Sequence[Sequence[Told]]) -> dict[str, list[Any]]:
    with closing(new_db()) as conn:
        for _ in fold(conn, batches):
            pass
        return contents(conn)


@given(histories())
def test_any_order_any_batches_and_any_repetition_give_the_same_db(history: tuple[list[Told], random.Random]) -> None:
    told, rng = history
    once = whole_fold([told])
    for _ in range(3):
        assert whole_fold(shuffled(told, rng)) == once
    assert whole_fold([[e] for e in reversed(told)]) == once


@settings(max_examples=300)
@given(histories())
def test_every_state_that_a_fold_shows_is_a_legal_move_from_the_one_before(
    history: tuple[list[Told], random.Random],
) -> None:
    told, rng = history
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    with closing(new_db()) as conn:
        for _ in fold(conn, [[e] for e in rng.sample(told, len(told))]):
            for test, item, attempt, state in conn.execute("SELECT test, item, attempt, state FROM cases"):
                before = seen.get((test, item))
                seen[test, item] = (attempt, state)
                if before and before[0] == attempt:
                    assert state == before[1] or state in MOVES[before[1]], (before, state)
                elif before:
                    assert attempt > before[0]


@given(histories())
def test_counts_and_totals_are_those_of_the_cases(history: tuple[list[Told], random.Random]) -> None:
    told, rng = history
    with closing(new_db()) as conn:
        for _ in fold(conn, shuffled(told, rng)):
            counted = "SELECT test, state, status, count(*) FROM cases GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            assert conn.execute(counted).fetchall() == conn.execute("SELECT * FROM counts").fetchall()
            total = "SELECT state, status, count(*) FROM cases GROUP BY 1, 2 ORDER BY 1, 2"
            assert conn.execute(total).fetchall() == conn.execute("SELECT * FROM totals").fetchall()


@given(histories())
def test_no_older_attempt_decides_and_none_is_forgotten(history: tuple[list[Told], random.Random]) -> None:
    told, rng = history
    known: dict[tuple[str, str], set[int]] = {}
    for _, e in told:
        if e["k"] == "case":
            known.setdefault((e["test"], e["item"]), set()).add(e["attempt"])
        if e["k"] == "cases":
            for item in e["items"]:
                known.setdefault((e["test"], item), set()).add(e["attempt"])
    with closing(new_db()) as conn:
        for _ in fold(conn, shuffled(told, rng)):
            pass
        newest = {(t, i): a for t, i, a in conn.execute("SELECT test, item, attempt FROM cases")}
        assert newest == {key: max(attempts) for key, attempts in known.items()}
        older: dict[tuple[str, str], set[int]] = {key: set() for key in known}
        for t, i, a in conn.execute("SELECT test, item, attempt FROM attempts"):
            older[t, i].add(a)
        assert older == {key: attempts - {max(attempts)} for key, attempts in known.items()}


FIELDS = st.sampled_from(["k", "s", "test", "item", "attempt", "items", "t", "end", "exits", "name"])
KINDS = st.sampled_from(["case", "cases", "step", "value", "run", "meta", "bad"])
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    KINDS,
    st.lists(st.integers(), max_size=2),
)


@given(st.dictionaries(FIELDS, ANYTHING), KINDS)
def test_whatever_a_line_says_it_is_taken_or_refused_and_saving_never_fails(event: dict[str, Any], kind: str) -> None:
    batch = db_run.Batch()
    try:
        batch.take({"k": kind, "s": 1, "test": "t", **event}, "w")
    except db_run.Unreadable:
        pass
    with closing(new_db()) as conn:
        batch.save(conn)
