"""A run as if it had been driven: journals written by hand, for tests of what is asked afterwards."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from testarea import TARGET, Area

from mt.db import Store
from mt.journal import Journal
from mt.model import CaseRow, RunKey, StepRow, ValueRow

BEGUN = 1_790_000_000.0


class Recorded:
    """One run of an area; every method appends to its journal."""

    def __init__(self, area: Area, name: str = "r1", target: str = TARGET, owner: str | None = None) -> None:
        self.area = area
        self.key = RunKey(target, name)
        self.store = Store(str(area.home), create=True)
        self.id = self.store.create_run(self.key, owner=owner or getpass.getuser())
        self.directory = self.store.journal_dir(self.id)

    def tell(self, kind: str, **fields: Any) -> None:
        """One event."""
        with Journal(self.directory) as journal:
            journal.emit(kind, **fields)

    def dir(self, test: str, item: str = "") -> Path:
        """The run directory of a case, made."""
        path = self.area.home / "lt" / self.key.target / self.key.name / test / item
        path.mkdir(parents=True, exist_ok=True)
        return path

    def case(self, test: str, item: str = "", state: str = "COMPLETED", status: str = "PASS", **more: Any) -> CaseRow:
        """A case in a state; a directory is made for it when it has begun."""
        begun = state not in ("NOT_STARTED",)
        usual = {"attempt": 1, "gen": 1, "state": state, "status": status, "host": "h1" if begun else ""}
        if begun:
            usual |= {"start": BEGUN, "dir": str(self.dir(test, item))}
        if begun and state not in ("RUNNING", "LAUNCHED"):
            usual |= {"end": BEGUN + 2, "secs": 2.0, "cpu": 1.0, "rss": 1 << 20}
        row = CaseRow(test, item, **{**usual, **more})
        with Journal(self.directory) as journal:
            journal.emit_row("case", row)
        return row

    def step(self, test: str, item: str, name: str, status: str = "0", text: str = "", **more: Any) -> StepRow:
        """A step that has ended, with its log."""
        (self.dir(test, item) / f"{name}.log").write_text(text)
        usual = {
            "attempt": 1,
            "number": 1,
            "state": "end",
            "status": status,
            "exits": (int(status),) if status.isdigit() else (),
            "start": BEGUN,
        }
        row = StepRow(test, item, **{**usual, "secs": 1.0, "log": f"{name}.log", **more}, name=name)
        with Journal(self.directory) as journal:
            journal.emit_row("step", row)
        return row

    def value(self, test: str, item: str, name: str, value: str, status: str = "", **more: Any) -> None:
        """A measured value; `name` may be CATEGORY/NAME."""
        category, _, variable = name.rpartition("/")
        row = ValueRow(test, item, more.pop("attempt", 1), category, variable, value, status=status, **more)
        with Journal(self.directory) as journal:
            journal.emit_row("value", row)
