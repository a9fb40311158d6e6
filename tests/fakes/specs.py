"""Specifications of tests without files: what a planner needs of a TestSpec, in one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from mt.config import Config
from mt.selectors import ItemMaps
from mt.testspec import TestSpec, item_lines


class _Places:
    """A Config that only knows that every value stands on line 2 of its file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def where(self, section: str, key: str) -> str:
        return f"tests/{self.name}/testconfig:2"


def spec(
    name: str,
    waits: str = "",
    *,
    mode: str = "",
    items: str | None = None,
    deferred: bool = False,
    itemmap: str = "",
    pulls: str = "",
    priority: float = 0.0,
    group: str = "",
    tags: str = "",
) -> TestSpec:
    """A test that waits for `waits` (names) with `items` (item paths, None for a test without items)."""
    return TestSpec(
        name=name,
        dir=f"tests/{name}",
        where=f"tests/{name}/testconfig",
        config=cast(Config, _Places(name)),
        waitons=tuple(waits.split()),
        waitors=tuple(pulls.split()),
        modes=frozenset(mode.split()),
        items=None if items is None or deferred else tuple((("ITEM", i),) for i in items.split()),
        items_deferred=deferred,
        itemmaps=ItemMaps(item_lines(itemmap)),
        priority=priority,
        jobgroup=group,
        tags=tuple(tags.split()),
    )


def area(specs: Iterable[TestSpec]) -> tuple[list[str], Callable[[str], TestSpec]]:
    """The names and the look-up that `Plan.of` takes."""
    table = {s.name: s for s in specs}
    return list(table), table.__getitem__
