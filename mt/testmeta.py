"""What `[test_meta]` of the testconfigs says, as an area records it (spec/runs.md 6.5, 7)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mt import db_main
from mt.area import Area
from mt.config import Problem
from mt.db import Store
from mt.errors import ConfigError
from mt.fold import refresh
from mt.journal import drop, writer_name

#: the fields that the old program knew, in the order in which it told of them
FIELDS = ("author", "owner", "description", "reviewed", "tags", "jobgroup")


class Change(NamedTuple):
    """A field of a test's metadata that is not what is recorded."""

    test: str
    field: str
    value: str

    def __str__(self) -> str:
        """The line that other programs look for (spec/runs.md 7)."""
        return f"Updating {self.test} {self.field} to {self.value}"


def update_meta(area: Area, store: Store, run_id: int | None = None, tests: Iterable[str] | None = None) -> list[str]:
    """Record the metadata of tests (all of the area without `tests`); gives a line for each field that changed.

    The events go into the journal of a run, the newest one without `run_id`, so
    that they come back with it.  An area without any run keeps them in main.db
    alone.  A testconfig that cannot be read is a problem of the area, and what
    is recorded of its test stays.
    """
    changes = list(changed(db_main.test_meta(store), read_metas(area, tests)))
    if changes:
        record(store, run_id, changes)
    return [str(change) for change in changes]


def read_metas(area: Area, tests: Iterable[str] | None = None) -> dict[str, dict[str, str]]:
    """{test: {field: value}} as the testconfigs say it."""
    found = {}
    for name in sorted(area.tests() if tests is None else tests):
        try:
            found[name] = area.spec(name).meta
        except ConfigError as e:
            area.problems.append(Problem(e.where or f"tests/{name}/testconfig", e.what, "error", e.hint or ""))
    return found


def changed(recorded: Mapping[str, Mapping[str, str]], read: Mapping[str, Mapping[str, str]]) -> Iterator[Change]:
    """The fields that are not as they are recorded; one that is no longer there becomes empty."""
    for test, fields in read.items():
        known = recorded.get(test, {})
        order = [*FIELDS, *(name for name in (*fields, *known) if name not in FIELDS)]
        for field in dict.fromkeys(order):
            if fields.get(field, "").strip() != known.get(field, ""):
                yield Change(test, field, fields.get(field, "").strip())


def record(store: Store, run_id: int | None, changes: Iterable[Change]) -> None:
    """Write changes down, as events of a run when there is one."""
    if run_id is None:
        run_id = max(store.run_ids_on_disk(), default=None)
    if run_id is None:
        writer, now = writer_name(), time.time()
        db_main.update_test_meta(store, [(*each, now, writer, n) for n, each in enumerate(changes, 1)])
        return
    events = [("meta", {"test": c.test, "key": c.field, "value": c.value}) for c in changes]
    drop(store.journal_dir(run_id), events)
    refresh(store, run_id)
