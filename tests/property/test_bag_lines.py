"""Whatever stands in a bag, who reads it goes on."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mt.pipeline.bag import Bag, Reader
from mt.pipeline.pilot import order_in

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
_KEYS = st.sampled_from(["o", "n", "closed", "over", "stop", "revoke", "x"])
_GOOD = [0, "t", "i", [["A", "b"]], 1, 1, True, 3, None]


@st.composite
def _nearly_orders(draw: st.DrawFn) -> Any:
    """An order with one part of another kind, or with too many or too few."""
    order: list[Any] = list(_GOOD)
    at = draw(st.integers(0, len(order) - 1))
    order[at : at + draw(st.integers(0, 2))] = draw(st.lists(_JSON, max_size=3))
    return {"o": [order, draw(_JSON | st.just(1.5)), draw(_JSON | st.just(2.0))], "n": draw(_JSON | st.integers(0, 9))}


_LINES = st.one_of(_JSON, st.dictionaries(_KEYS, _JSON, max_size=4), _nearly_orders())


def _read(*lines: bytes) -> Reader:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "orders.ndjson").write_bytes(b"".join(line + b"\n" for line in lines))
        reader = Reader(Bag(directory))
        reader.look()
    return reader


@given(st.lists(_LINES, max_size=6), st.binary(max_size=20))
@example([{"o": [[*_GOOD, 1], 0, 0], "n": 1}], b"")
@example([{"o": [[0, "t", "i", [["A"]], 1, 1, True], 0, 0], "n": 1}], b"")
@example([{"o": [_GOOD, 10**400, 0], "n": 1}], b"")
@example([{"revoke": [1]}, {"o": [5, 0, 0]}, {"stop": {}}], b"")
def test_no_line_stops_a_reader_or_hides_an_order(lines: list[Any], noise: bytes) -> None:
    good = {"o": [_GOOD, 1.5, 2.0], "n": 10**9}
    reader = _read(noise.replace(b"\n", b""), *(json.dumps(line).encode() for line in [*lines, good]))
    assert order_in(reader.entries[10**9]).test == "t"
    for entry in reader.entries.values():
        order = order_in(entry)
        assert dict(order.vars) is not None and order.attempt + order.gen + order.number is not None
        assert entry.secs * 1.5 >= 0 <= entry.sent
    assert all(type(number) is int and 0 <= number < reader.many for number in reader.entries)


@pytest.mark.parametrize(
    "line",
    [
        {"over": False}, {"over": None}, {"closed": 0}, {"stop": None}, {"stop": {}}, {"revoke": True},
        {"revoke": [1]}, {"revoke": -1}, {"o": [5, 0, 0]}, {"o": [_GOOD, 0, 0], "n": True},
        {"o": [_GOOD, 0, 0], "n": None}, {"o": [_GOOD, 0, 0], "n": -1}, {"o": [_GOOD, float("nan"), 0]},
    ],
)  # fmt: skip
def test_what_is_said_in_another_form_says_nothing(line: dict[str, Any]) -> None:
    reader = _read(json.dumps(line).encode())
    said = (reader.entries, reader.many, reader.over, reader.closed, reader.stopped, reader.revoked)
    assert said == ({}, 0, False, False, "", set())


def test_a_line_that_is_nested_too_deeply_is_passed_over() -> None:
    assert _read(b"[" * 200_000, json.dumps({"closed": True}).encode()).closed


def test_an_order_keeps_what_it_was_given_first() -> None:
    other = [0, "u", *_GOOD[2:]]
    reader = _read(*(json.dumps({"o": [order, 0, 0], "n": 4}).encode() for order in (_GOOD, other)))
    assert reader.entries[4].order[1] == "t" and reader.many == 5


def test_orders_without_numbers_are_counted_as_an_earlier_mt_wrote_them() -> None:
    reader = _read(*(json.dumps({"o": [[0, name, *_GOOD[2:]], 0, 0]}).encode() for name in "ab"))
    assert {n: entry.order[1] for n, entry in reader.entries.items()} == {0: "a", 1: "b"}
