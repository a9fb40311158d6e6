"""Whatever stands in a bag, who reads it goes on."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mt.pipeline.bag import Bag, Reader
from mt.pipeline.pilot import order_in

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
_KEYS = st.sampled_from(["o", "n", "closed", "over", "stop", "revoke", "x"])
_LINES = st.one_of(_JSON, st.dictionaries(_KEYS, _JSON, max_size=4))


@given(st.lists(_LINES, max_size=6), st.binary(max_size=20))
def test_no_line_stops_a_reader_or_hides_an_order(lines: list[Any], noise: bytes) -> None:
    good = {"o": [[0, "t", "i", [["A", "b"]], 1, 1, True], 1.5, 2.0], "n": 10**9}
    with tempfile.TemporaryDirectory() as directory:
        body = b"".join(json.dumps(line).encode() + b"\n" for line in [*lines, good])
        Path(directory, "orders.ndjson").write_bytes(noise.replace(b"\n", b"") + b"\n" + body)
        reader = Reader(Bag(directory))
        reader.look()
    assert order_in(reader.entries[10**9]).test == "t"
    for entry in reader.entries.values():
        order_in(entry)
