"""What is done to a run as a whole: recorded beside what its cases roll up to, in db and journal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mt import db_main, db_schema
from mt.db import Store
from mt.errors import BusyError, NotPermitted
from mt.journal import drop
from mt.locks.filelock import held
from mt.model import RunKey
from mt.pipeline.frozen import freeze, frozen_run, record, refuse_frozen, thaw
from mt.queries import run_of
from mt.rebuild import compare_main, rebuild_main, rebuild_run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path), create=True)


@pytest.fixture
def run_id(store: Store) -> int:
    """A run with one good case."""
    made = store.create_run(RunKey("t", "r1"), owner="ann")
    drop(store.journal_dir(made), [("case", {"test": "a", "state": "COMPLETED", "status": "PASS", "end": 5.0})])
    record(store, made, comment="first")
    return made


def test_a_freeze_leaves_the_rolled_up_state_alone(store: Store, run_id: int) -> None:
    before = run_of(store, run_id)
    freeze(store, run_id, "keep\nit")
    after = run_of(store, run_id)
    assert before and after and after._replace(said={}) == before
    assert after.said["frozen"]["why"] == "keep it"


def test_a_freeze_that_nobody_folded_yet_counts(store: Store, run_id: int) -> None:
    drop(store.journal_dir(run_id), [("run", {"frozen": {"by": "bob", "t": 1.0, "why": "x"}})])
    with pytest.raises(NotPermitted, match=r"cannot change run 't//r1': frozen by bob since 1970-.*: x"):
        refuse_frozen(store, run_id)


def test_freezing_and_thawing_survive_a_rebuild(store: Store, run_id: int) -> None:
    freeze(store, run_id, "keep")
    for _ in range(2):
        rebuild_run(store, run_id)
        rebuild_main(store)
        assert compare_main(store) == []
        assert frozen_run(store, run_id)
    thaw(store, run_id, "over")
    rebuild_run(store, run_id)
    rebuild_main(store)
    assert frozen_run(store, run_id) is None
    run = run_of(store, run_id)
    assert run and (run.said["thawed"]["why"], run.comment) == ("over", "first")


def test_the_later_word_counts_whatever_the_order_of_reading(store: Store, run_id: int) -> None:
    journal = store.journal_dir(run_id)
    drop(journal, [("run", {"t": 2e9 + 1, "frozen": None})])
    drop(journal, [("run", {"t": 2e9, "frozen": {"by": "bob", "t": 2e9}})])
    assert frozen_run(store, run_id) is None


def test_a_driven_run_is_not_frozen_unless_asked_to(store: Store, run_id: int) -> None:
    with held(store.lock_path(f"run.{run_id}")):
        with pytest.raises(BusyError):
            freeze(store, run_id, "")
        assert frozen_run(store, run_id) is None
        freeze(store, run_id, "", even_driven=True)
        assert frozen_run(store, run_id)


def test_a_list_of_runs_from_before_is_brought_up_to_date(store: Store, run_id: int) -> None:
    """db_schema: migrations are ordered and append-only."""
    freeze(store, run_id, "keep")
    Path(store.main_path).unlink()
    with closing(sqlite3.connect(store.main_path, isolation_level=None)) as conn:
        db_schema.migrate(conn, db_schema.MAIN[:1], "", "")
        conn.execute("INSERT INTO runs VALUES (?, 't', 'r1', 'COMPLETED', 'PASS', 'ann', 1, 2, '{}', '', 0)", (run_id,))
    run = run_of(store, run_id)
    assert run and run.said == {}
    assert frozen_run(store, run_id)
    with db_main.reading(store) as conn:
        assert db_schema.version(conn) == len(db_schema.MAIN)
