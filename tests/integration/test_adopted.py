"""How the controller hears of cases that others run: a look costs what has changed, whoever folded it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mt import queries
from mt.db import Store
from mt.fold import Folder
from mt.journal import Journal, writer_name
from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline import adopted as module
from mt.pipeline.adopted import Adopted
from mt.pipeline.ground import Ground
from mt.storage import SINGLE


class World:
    """A run whose cases t/0, t/1 ... were handed over, and a clock that the test pushes on."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, n: int, mode: str = "") -> None:
        self.ahead = 0.0
        self.store = Store(str(root), create=True)
        if mode:
            path = root / ".mtdb" / "AREA"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"mode": mode, "why": "a test", "lease": 5}))
            self.store = Store(str(root))
        self.run = self.store.create_run(RunKey("x", "r"), owner="me")
        self.journal = Journal(self.store.journal_dir(self.run), writer_name())
        self.folder = Folder(self.store, self.run)
        self.rows = [CaseRow("t", str(i), 1, 2, "LAUNCHED", "LAUNCHED", token=f"bag-{i}") for i in range(n)]
        self.tell(*self.rows)
        area: Any = SimpleNamespace(seconds=lambda *_: 120.0)
        ground = Ground(area, self.store, self.run, RunKey("x", "r"), self.journal, self.folder)
        self.adopted = Adopted(ground, self.rows, None)
        self.wholes = 0
        patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + self.ahead))
        patch.setattr(module, "queries", SimpleNamespace(cases=self.cases))

    def cases(self, *args: Any, **more: Any) -> Iterator[CaseRow]:
        """Count queries for many rows."""
        self.wholes += "key" not in more
        return queries.cases(*args, **more)

    def tell(self, *rows: CaseRow) -> None:
        """Something is written into a journal."""
        with self.journal.batch():
            for row in rows:
                self.journal.emit_row("case", row)

    def turn(self, item: int, state: str, status: str, gen: int) -> CaseRow:
        """A case goes on."""
        row = self.rows[item]._replace(state=state, status=status, gen=gen)
        self.tell(row)
        return row

    def look(self, *, fold: bool = True) -> list[str]:
        """What has ended."""
        if fold:
            self.folder.fold()
        ended = self.adopted.ended()
        for row in ended:
            self.adopted.forget(row.key)
        return sorted(row.item for row in ended)

    def close(self) -> None:
        """Close all files."""
        self.folder.close()
        self.journal.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, monkeypatch, 400)
    yield made
    made.close()


def test_a_look_reads_only_what_has_changed(world: World) -> None:
    assert world.look() == [] and world.adopted.queued() == 400
    wholes = world.wholes
    world.turn(3, "RUNNING", "n/a", 3)
    world.turn(4, "RUNNING", "n/a", 3)
    assert world.look() == [] and world.adopted.queued() == 398
    assert world.adopted.living[CaseKey("t", "3")].state == "RUNNING"
    world.turn(4, "COMPLETED", "PASS", 4)
    world.turn(7, "COMPLETED", "FAIL", 4)
    assert world.look() == ["4", "7"]
    assert world.look() == []
    assert world.wholes == wholes
    assert world.adopted.queued() == 397 and len(world.adopted.living) == 398


def test_what_was_folded_for_other_reasons_is_not_missed(world: World) -> None:
    world.look()
    world.turn(5, "COMPLETED", "PASS", 4)
    world.folder.fold()  # by the stage that folds now and then
    world.folder.fold()
    assert world.look() == ["5"]


def test_what_another_process_has_folded_is_not_missed(world: World) -> None:
    world.look()
    world.turn(6, "COMPLETED", "PASS", 4)
    with Folder(world.store, world.run) as other:
        assert other.fold() == 1
    world.ahead += 1.0  # looks at all rows take a tenth of the time at most
    assert world.look() == ["6"]
    world.turn(8, "COMPLETED", "PASS", 4)
    with Folder(world.store, world.run) as other:
        other.fold()
    world.turn(9, "COMPLETED", "PASS", 4)
    world.ahead += 1.0
    assert world.look() == ["8", "9"]


def test_all_rows_are_looked_at_now_and_then(world: World) -> None:
    world.look()
    world.turn(5, "COMPLETED", "PASS", 4)
    world.folder.fold()
    world.folder.changes()  # lost
    assert world.look() == []
    world.ahead += 11
    assert world.look() == ["5"]


def test_many_that_changed_at_once_are_read_with_one_query(world: World) -> None:
    world.look()
    wholes = world.wholes
    world.tell(*(row._replace(state="COMPLETED", status="PASS", gen=4) for row in world.rows[:300]))
    assert len(world.look()) == 300
    assert world.wholes == wholes + 1


def test_what_was_told_before_the_hand_over_is_folded_ends_nothing(world: World) -> None:
    world.look()
    again = world.rows[2]._replace(attempt=2, gen=5)
    world.turn(2, "COMPLETED", "INFRA", 4)
    world.adopted.put(again)  # a new attempt, of which the journal does not tell yet
    assert world.look() == [] and world.adopted.living[again.key] == again


def test_where_a_fold_shows_later_all_rows_are_looked_at_each_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, 3, SINGLE)
    world.look()
    world.turn(1, "COMPLETED", "PASS", 4)
    world.folder.fold()  # into the live copy; what queries read comes later
    world.folder.settle()
    world.folder.changes()
    world.ahead += 1.1
    assert world.look() == ["1"]
    world.close()
