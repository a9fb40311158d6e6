"""How cases are given to a batch engine: which way, and how many jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.pipeline import ways
from mt.pipeline.ways import Shape, shape


@pytest.mark.parametrize(
    ("ready", "secs", "flying", "expected"),
    [
        (1, None, False, Shape("job", 1)),
        (4, None, False, Shape("job", 4)),
        (5, None, False, Shape("pilot", 4)),
        (1000, None, False, Shape("pilot", 10)),
        (1, 600.0, False, Shape("job", 1)),
        (50, 600.0, False, Shape("array", 50)),
        (50, 600.0, True, Shape("array", 50)),
        (1, 0.1, True, Shape("pilot", 1)),
        (1000, 0.01, False, Shape("pilot", 4)),
        (1000, 30.0, False, Shape("pilot", 100)),
    ],
)
def test_auto_goes_by_number_and_expected_duration(
    ready: int, secs: float | None, flying: bool, expected: Shape
) -> None:
    assert shape("auto", ready, secs, 100, arrays=1000, flying=flying) == expected


def test_without_arrays_long_cases_are_jobs_of_their_own() -> None:
    assert shape("auto", 50, 600.0, 100, arrays=0, flying=False) == Shape("job", 50)


def test_an_array_of_long_cases_has_a_task_for_each() -> None:
    assert shape("array", 5000, 600.0, 100, arrays=20000, flying=False) == Shape("array", 5000)


def test_an_array_is_no_longer_than_the_engine_allows() -> None:
    assert shape("array", 5000, 600.0, 100, arrays=1000, flying=False) == Shape("array", 1000)


def test_tasks_of_short_cases_do_several() -> None:
    assert shape("array", 6000, 1.0, 200, arrays=1000, flying=False) == Shape("array", 100)


def test_cases_of_unknown_length_get_as_many_tasks_as_may_run_at_once() -> None:
    assert shape("array", 1000, None, 100, arrays=1000, flying=False) == Shape("array", 100)


@given(
    st.sampled_from(["auto", "job", "array", "pilot"]), st.integers(1, 50_000),
    st.none() | st.floats(0, 1e6), st.integers(1, 1000), st.integers(0, 20_000), st.booleans(),
)  # fmt: skip
def test_there_is_always_a_job_and_never_one_too_many(
    asked: str, ready: int, secs: float | None, most: int, arrays: int, flying: bool
) -> None:
    way, jobs = shape(asked, ready, secs, most, arrays=arrays, flying=flying)
    assert way in ("job", "array", "pilot")
    assert 1 <= jobs <= ready
    assert way != "pilot" or jobs <= most
    assert way != "array" or jobs <= arrays


def test_pilots_double_while_the_rest_would_take_too_long() -> None:
    assert ways.more(1000, 4, 1.0, 100) == 4
    assert ways.more(1000, 64, 10.0, 100) == 36
    assert ways.more(3, 4, 60.0, 100) == 3


def test_no_pilots_are_added_for_what_is_nearly_done_or_when_there_are_all_that_may_be() -> None:
    assert ways.more(0, 4, 100.0, 100) == 0
    assert ways.more(10, 4, 1.0, 100) == 0
    assert ways.more(1000, 100, 100.0, 100) == 0
