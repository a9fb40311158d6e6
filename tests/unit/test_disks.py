"""The choice among disks that a test invents."""

from __future__ import annotations

import pytest

from mt.disks import Chooser, Disk, choose
from mt.errors import ConfigError


def test_the_disk_with_most_space_wins() -> None:
    assert choose([Disk("A", "/a", 5e6), Disk("B", "/b", 9e6)], 10000).name == "B"


def test_the_first_of_equal_disks_wins() -> None:
    assert choose([Disk("A", "/a", 5e6), Disk("B", "/b", 5e6)]).name == "A"


def test_a_disk_that_cannot_be_used_is_passed_over() -> None:
    assert choose([Disk("A", "/a", None, "not writable"), Disk("B", "/b", 20000)]).name == "B"


def test_a_disk_needs_more_than_the_least_space() -> None:
    with pytest.raises(ConfigError, match=r"no valid disks found: A '/a': 10000 KiB free") as caught:
        choose([Disk("A", "/a", 10000)], 10000)
    assert caught.value.hint


def test_an_empty_section_of_disks_is_an_error() -> None:
    with pytest.raises(ConfigError, match="is empty"):
        choose([])


class Hands:
    """A clock that a test moves."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def mono(self) -> float:
        return self.time


def test_a_disk_is_looked_at_once_in_a_while() -> None:
    asked: list[str] = []

    def probe(path: str) -> float:
        asked.append(path)
        return 1e6 / len(asked)

    hands = Hands()
    chooser = Chooser(probe=probe, clock=hands, keep=5)
    assert chooser.choose([("root", "/")]).free == 1e6
    assert chooser.choose([("root", "/")]).free == 1e6
    hands.time = 6
    assert chooser.choose([("root", "/")]).free == 5e5
    assert asked == ["/", "/"]
