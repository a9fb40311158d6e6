"""Lengths of time (spec/config.md 2.2)."""

from __future__ import annotations

import pytest

from mt.durations import hms, read_duration, shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25m", 1500),
        ("1h 2m 3s", 3723),
        ("1d 1h 1m 10s", 90070),
        ("1w", 604800),
        ("1M", 2628000),
        ("1y", 31536000),
        ("wait 5s please", 5),
        ("", 0),
        ("5 m", 5),
        ("-5s", 0),
        ("1h2m", 3720),
        ("10", 10),
        ("1.5h", 0),
    ],
)
def test_the_words_of_a_duration_are_added(text: str, seconds: int) -> None:
    assert hms(text) == seconds


def test_what_megatest_read_as_nothing_is_doubtful() -> None:
    assert read_duration("1h 2m").doubts == ()
    assert len(read_duration("1h2m").doubts) == 1
    assert len(read_duration("10").doubts) == 1
    assert read_duration("10s x").doubts == ("'x' is no duration and counts nothing",)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (3.44, "3.4s"),
        (59, "59s"),
        (60, "1m"),
        (3723, "1h 2m"),
        (3600, "1h"),
        (90061, "1d 1h"),
        (86460, "1d"),
    ],
)
def test_shown_has_two_units_at_most(seconds: float, text: str) -> None:
    assert shown(seconds) == text
