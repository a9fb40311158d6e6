"""Percentiles of times."""

from __future__ import annotations

from mt.sections.queries.times import spread


def test_a_percentile_is_the_smallest_time_that_so_many_do_not_exceed() -> None:
    found = spread([float(n) for n in range(100, 0, -1)])
    assert (found["min"], found["p50"], found["p90"], found["p99"], found["max"]) == (1, 50, 90, 99, 100)
    assert (found["n"], found["total"]) == (100, 5050)


def test_one_time_is_every_percentile() -> None:
    assert set(spread([2.5]).values()) == {1, 2.5}
