"""What is set by hand is what a fold shows, whatever was recorded before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mt.model import CaseRow
from mt.pipeline.byhand import changed, delete, follows
from mt.states import MOVES, RANK, order

STATES = st.sampled_from([*RANK, "ODD", "FAILEDKILL"])
ROWS = st.builds(CaseRow, st.just("a"), st.just("1"), st.integers(1, 5), st.integers(0, 9), STATES, st.just("PASS"))


def place(row: CaseRow, writer: str = "") -> tuple[int, int, int, int, str, int]:
    return order(row.attempt, row.gen, row.state, writer, 0)


@given(ROWS, STATES)
def test_a_change_beats_what_was_there_whoever_wrote_it(row: CaseRow, state: str) -> None:
    after = changed(row, state, "CHECK", "why")
    assert (after.state, after.status, after.key) == (state, "CHECK", row.key)
    assert place(after) > place(row, "zzz")


@given(ROWS, STATES)
def test_a_change_within_an_attempt_is_a_legal_move(row: CaseRow, state: str) -> None:
    after = changed(row, state, "CHECK", "")
    if after.attempt == row.attempt and row.state in MOVES and state in MOVES:
        assert follows(row, state) and state in MOVES[row.state]
    assert after.attempt == row.attempt or not follows(row, state)


@given(ROWS)
def test_a_removed_case_is_deleted_for_every_reader(row: CaseRow) -> None:
    going = row._replace(gen=row.gen + 1, state="REMOVING", status="LOCKED")
    gone = delete(going, "")
    assert place(row, "zzz") < place(going, "zzz") < place(gone)
    assert (gone.state, gone.status, gone.comment) == ("DELETED", "n/a", "")
