"""What `[test_meta]` says is recorded, and what changed is told (spec/runs.md 6.5, 7)."""

from __future__ import annotations

from pathlib import Path

from testarea import Area as Made

from mt.area import Area
from mt.db import Store
from mt.db_main import test_meta as recorded_meta
from mt.model import RunKey
from mt.rebuild import rebuild_main, rebuild_run
from mt.testmeta import changed, update_meta


def opened(area: Made) -> Area:
    return Area.open(str(area.home), environ=area.env)


def write(area: Made, description: str) -> None:
    area.test("a", more=f"[test_meta]\nauthor ann\ndescription {description}\n")


def test_a_changed_field_is_told_once_and_recorded(area: Made) -> None:
    write(area, "first")
    store = Store(str(area.home), create=True)
    run = store.create_run(RunKey("ubuntu/nfs", "r1"), owner="ann")
    assert update_meta(opened(area), store, run) == ["Updating a author to ann", "Updating a description to first"]
    assert update_meta(opened(area), store, run) == []
    write(area, "second")
    assert update_meta(opened(area), store, run) == ["Updating a description to second"]
    assert recorded_meta(store, "a") == {"a": {"author": "ann", "description": "second"}}


def test_the_metadata_come_back_with_the_run(area: Made) -> None:
    write(area, "kept")
    store = Store(str(area.home), create=True)
    run = store.create_run(RunKey("ubuntu/nfs", "r1"), owner="ann")
    update_meta(opened(area), store)
    Path(store.main_path).unlink()
    rebuild_run(store, run)
    rebuild_main(store)
    assert recorded_meta(store)["a"]["description"] == "kept"


def test_an_area_without_runs_keeps_metadata_too(area: Made) -> None:
    write(area, "early")
    store = Store(str(area.home), create=True)
    assert "Updating a description to early" in update_meta(opened(area), store)
    assert update_meta(opened(area), store) == []


def test_only_the_tests_that_are_asked_for_are_read(area: Made) -> None:
    write(area, "x")
    area({"tests/broken/testconfig": "[include nowhere]\n[test_meta\n"})
    store = Store(str(area.home), create=True)
    assert update_meta(opened(area), store, tests=[]) == []


def test_a_field_that_is_gone_becomes_empty() -> None:
    assert [str(c) for c in changed({"a": {"tags": "x", "own": "y"}}, {"a": {"own": "y"}})] == ["Updating a tags to "]
