"""Every record of a run has a number, in the order of registration, that stays what it is (spec/runs.md 5.9, 6.1)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mt.db import Store
from mt.fold import Folder, compact
from mt.journal import Journal
from mt.model import CaseKey, CaseRow, RunKey
from mt.queries import NUMBERS_OF_A_RUN, numbers
from mt.rebuild import compare_run, rebuild_run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path), create=True)


def new_run(store: Store, name: str = "r1") -> int:
    return store.create_run(RunKey("ubuntu/nfs", name), owner="ann")


def fold(store: Store, run: int) -> None:
    with Folder(store, run) as folder:
        folder.settle()


def register(store: Store, run: int, test: str, *items: str, t: float) -> None:
    with Journal(store.journal_dir(run), "h-1-1") as journal:
        journal.emit("cases", test=test, items=list(items or [""]), t=t)


def test_records_are_numbered_as_they_were_registered_and_a_top_record_comes_before_its_items(store: Store) -> None:
    run = new_run(store)
    register(store, run, "zeta", t=1)
    register(store, run, "alpha", "b", "a", t=2)
    register(store, run, "beta", t=3)
    fold(store, run)
    assert numbers(store, run) == {
        CaseKey("zeta"): 1,
        CaseKey("alpha"): 2,
        CaseKey("alpha", "b"): 3,
        CaseKey("alpha", "a"): 4,
        CaseKey("beta"): 5,
    }


def test_a_number_stays_what_it_is_while_cases_run_and_others_come(store: Store) -> None:
    run = new_run(store)
    register(store, run, "zeta", "1", t=1)
    fold(store, run)
    before = numbers(store, run)
    with Journal(store.journal_dir(run), "a-2-2") as journal:
        journal.emit_row("case", CaseRow("zeta", "1", 1, 2, "RUNNING"))
        journal.emit_row("case", CaseRow("zeta", "1", 2, 3, "COMPLETED", "PASS"))
    register(store, run, "alpha", t=5)
    register(store, run, "zeta", "0", t=6)
    fold(store, run)
    after = numbers(store, run)
    assert before.items() <= after.items()
    assert after == {**before, CaseKey("alpha"): 3, CaseKey("zeta", "0"): 4}


def test_numbers_of_two_runs_never_meet(store: Store) -> None:
    first, second = new_run(store), new_run(store, "r2")
    for run in (first, second):
        register(store, run, "a", t=1)
        fold(store, run)
    assert numbers(store, first) == {CaseKey("a"): 1}
    assert numbers(store, second) == {CaseKey("a"): NUMBERS_OF_A_RUN + 1}


def test_a_rebuilt_and_packed_run_has_the_same_numbers(store: Store) -> None:
    run = new_run(store)
    for n, test in enumerate(("c", "a", "b")):
        register(store, run, test, "2", "1", t=n)
    fold(store, run)
    before = numbers(store, run)
    compact(store, run)
    rebuild_run(store, run)
    assert numbers(store, run) == before
    assert compare_run(store, run) == []


def test_a_db_without_the_order_learns_it_from_the_journals(store: Store) -> None:
    """A db of version 1 is migrated when it is folded, and its journals are read once more."""
    run = new_run(store)
    register(store, run, "b", t=1)
    register(store, run, "a", t=2)
    fold(store, run)
    with closing(sqlite3.connect(store.run_db_path(run))) as conn:
        conn.execute("DROP TABLE born")
        conn.execute("PRAGMA user_version = 1")
        conn.commit()
    fold(store, run)
    assert numbers(store, run) == {CaseKey("b"): 1, CaseKey("a"): 2}
    assert compare_run(store, run) == []


def test_a_run_that_was_never_folded_has_no_numbers(store: Store) -> None:
    assert numbers(store, new_run(store)) == {}


def test_cases_whose_journals_are_gone_come_last_by_name(store: Store) -> None:
    run = new_run(store)
    register(store, run, "b", t=1)
    register(store, run, "a", t=2)
    register(store, run, "z", t=3)
    fold(store, run)
    with closing(sqlite3.connect(store.run_db_path(run))) as conn:
        conn.execute("DELETE FROM born WHERE test <> 'z'")
        conn.commit()
    assert numbers(store, run) == {CaseKey("z"): 1, CaseKey("a"): 2, CaseKey("b"): 3}
