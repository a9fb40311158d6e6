"""The bags of a run go with its last case, and not while anything of it may still run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mt.db import Store
from mt.journal import Journal
from mt.locks.filelock import held
from mt.model import CaseKey, CaseRow, RunKey
from mt.orphans import remove_orphans
from mt.pipeline.bag import Bag, Claim, Entry, Reader, Terms, bags_of
from mt.pipeline.bags_gone import remove_all, remove_bags

KEY = RunKey("x", "r")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path), create=True)


@pytest.fixture
def run(store: Store) -> int:
    return store.create_run(KEY, owner="me")


def _bag(store: Store, run: int, name: str = "b1") -> Bag:
    terms = Terms(store.home, "x", "r", run, "", False, {"SECRET": "s"}, (), "slurm", "pilot")
    bag = Bag.make(bags_of(store.root, run), name, terms)
    bag.add([Entry([0, "t", "", [], 1, 1, True], 0.0, 0.0)])
    return bag


def _record(store: Store, run: int, state: str, test: str = "t") -> None:
    with Journal(store.journal_dir(run)) as journal:
        journal.emit_row("case", CaseRow(*CaseKey(test, ""), 1, 3, state, "n/a"))


def test_they_go_with_the_last_case(store: Store, run: int) -> None:
    bag = _bag(store, run)
    _record(store, run, "DELETED")
    _record(store, run, "COMPLETED", "other")
    assert not remove_bags(store, run)
    assert os.path.isdir(bag.path)
    with Journal(store.journal_dir(run)) as journal:
        journal.emit_row("case", CaseRow("other", "", 1, 4, "DELETED", "n/a"))
    assert remove_bags(store, run)
    assert not os.path.exists(bags_of(store.root, run))
    assert os.listdir(store.tmp_path("")) == []
    assert not remove_bags(store, run)


def test_a_run_that_is_driven_keeps_them(store: Store, run: int) -> None:
    bag = _bag(store, run)
    _record(store, run, "DELETED")
    with held(store.lock_path(f"run.{run}"), what="drives"):
        assert not remove_bags(store, run)
    reader = Reader(bag)
    reader.look()
    assert not reader.over


def test_while_a_job_still_runs_something_they_stay_and_nobody_begins_more(store: Store, run: int) -> None:
    bag = _bag(store, run)
    _record(store, run, "DELETED")
    with Journal(store.journal_dir(run)) as journal:
        journal.emit("note", test="t", item="", attempt=1, text="runs")
        assert bag.claim(0, Claim("slurm:1", "h", os.getpid(), journal.writer))
        assert not remove_bags(store, run)
        reader = Reader(bag)
        reader.look()
        assert reader.over
    assert remove_bags(store, run)


def test_bags_that_a_killed_removal_left_half_way_go_with_the_next_one(store: Store, run: int) -> None:
    bag = _bag(store, run)
    os.unlink(os.path.join(bag.path, "orders.ndjson"))
    os.rename(os.path.join(bag.path, "claims"), os.path.join(bag.path, ".claims"))
    _record(store, run, "DELETED")
    assert remove_bags(store, run)
    assert not os.path.exists(bag.path)


def test_the_bags_of_a_run_whose_journals_are_gone_are_orphans_and_its_id_does_not_come_back(store: Store) -> None:
    bag = _bag(store, 7)
    assert store.create_run(KEY, owner="me") == 8
    assert os.path.join("batch", "7") in remove_orphans(store)
    assert not os.path.exists(bag.path)


def test_what_once_could_not_be_removed_goes_later_and_others_stay(store: Store, run: int) -> None:
    bag, other = _bag(store, run), store.create_run(RunKey("x", "r2"), owner="me")
    kept = _bag(store, other, "b2")
    _record(store, run, "DELETED")
    _record(store, other, "COMPLETED")
    assert remove_all(store) == []
    assert not os.path.exists(bag.path)
    assert os.path.isdir(kept.path)
