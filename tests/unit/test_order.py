"""states.order against the table of legal moves: all pairs."""

from __future__ import annotations

from itertools import product

import pytest

from mt.states import MOVES, RANK, order


@pytest.mark.parametrize(("before", "after"), list(product(RANK, RANK)))
def test_a_greater_event_of_the_same_attempt_is_a_legal_move(before: str, after: str) -> None:
    for gen, later, w, v in product(range(3), range(3), "ab", "ab"):
        if order(1, later, after, v, 1) > order(1, gen, before, w, 1):
            assert after == before or after in MOVES[before]


@pytest.mark.parametrize("state", RANK)
def test_a_new_attempt_beats_every_state(state: str) -> None:
    assert order(2, 0, "NOT_STARTED", "a", 1) > order(1, 9, state, "z", 9)


@pytest.mark.parametrize(("before", "after"), [(b, a) for b in RANK for a in sorted(MOVES[b]) if a != b])
def test_who_saw_a_state_and_counts_on_can_make_every_legal_move(before: str, after: str) -> None:
    assert order(1, 3, after, "a", 1) > order(1, 2, before, "z", 9)


def test_a_state_by_an_unknown_name_counts_as_set_by_hand() -> None:
    assert order(1, 1, "VENDOR_WORD", "a", 1)[1:4] == order(1, 1, "UNKNOWN", "a", 1)[1:4]
