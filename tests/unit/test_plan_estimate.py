"""Schedules of known graphs with fixed durations (spec/architecture.md 6.10)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fakes.specs import area, spec

from mt.model import CaseKey, CaseRow
from mt.pipeline.drawing import Look, dot, mermaid, picture
from mt.pipeline.estimate import Expected, Record, Schedule, first_to_fail, play, records
from mt.pipeline.plan import Plan, Selection

#: a 2 s and b 3 s, c (4 s) waits for a, d (1 s) for b and c
DIAMOND = [spec("a"), spec("b"), spec("c", "a"), spec("d", "b c")]
SECS = {CaseKey("a"): 2.0, CaseKey("b"): 3.0, CaseKey("c"): 4.0, CaseKey("d"): 1.0}


def scheduled(specs: list[object], slots: int, **more: object) -> tuple[Plan, Schedule]:
    plan = Plan.of(*area(specs), Selection())  # type: ignore[arg-type]
    return plan, play(plan, Expected(plan, SECS).of, slots, **more)  # type: ignore[arg-type]


def times(plan: Plan, schedule: Schedule) -> dict[str, tuple[float, float]]:
    return {str(plan.cases[r.case]): (r.start, r.end) for r in schedule.rows}


@pytest.mark.parametrize(
    ("slots", "expected", "total", "chain"),
    [
        (2, {"a": (0, 2), "b": (0, 3), "c": (2, 6), "d": (6, 7)}, 7, ["a", "c", "d"]),
        (1, {"a": (0, 2), "b": (2, 5), "c": (5, 9), "d": (9, 10)}, 10, ["a", "b", "c", "d"]),
        (9, {"a": (0, 2), "b": (0, 3), "c": (2, 6), "d": (6, 7)}, 7, ["a", "c", "d"]),
    ],
)
def test_a_known_graph_gives_the_exact_schedule(
    slots: int, expected: dict[str, tuple[float, float]], total: float, chain: list[str]
) -> None:
    plan, schedule = scheduled([*DIAMOND], slots)
    assert times(plan, schedule) == expected
    assert schedule.total == total
    assert schedule.work == 10
    assert [str(plan.cases[r.case]) for r in schedule.critical()] == chain


def test_each_row_of_the_critical_chain_starts_when_the_one_before_ends() -> None:
    _, schedule = scheduled([*DIAMOND], 1)
    rows = schedule.critical()
    assert [r.held for r in rows] == ["", "slot", "slot", "prerequisite"]
    for one, two in pairwise(rows):
        assert two.start == one.end


def test_a_full_job_group_lets_others_go_ahead() -> None:
    plan, schedule = scheduled([spec("a", group="g"), spec("b", group="g"), spec("c")], 2, groups={"g": 1})
    assert times(plan, schedule) == {"a": (0, 2), "c": (0, 4), "b": (2, 5)}
    assert schedule.rows[-1].held == "group"


def test_a_test_with_late_items_counts_as_one_case() -> None:
    plan, schedule = scheduled([spec("a"), spec("x", "a", deferred=True), spec("d", "x")], 4)
    assert times(plan, schedule) == {"a": (0, 2), "x": (2, 4.5), "d": (4.5, 5.5)}
    assert [str(plan.cases[n]) for n in plan.late] == ["x"]


def test_a_case_that_never_ran_takes_as_long_as_others_of_its_test() -> None:
    plan = Plan.of(*area([spec("a", items="1 2 3"), spec("b")]), Selection())
    known = Expected(plan, {CaseKey("a", "1"): 2.0, CaseKey("a", "2"): 4.0, CaseKey("z"): 9.0})
    assert [known.of(n) for n in range(4)] == [2.0, 4.0, 3.0, 5.0]
    assert Expected(plan, {}).of(0) == 1.0


def test_the_likeliest_failure_for_its_time_comes_first() -> None:
    specs = [spec("never"), spec("often"), spec("slow"), spec("pre"), spec("post", "pre")]
    plan = Plan.of(*area(specs), Selection())
    secs = {CaseKey("never"): 1.0, CaseKey("often"): 1.0, CaseKey("slow"): 100.0, CaseKey("pre"): 1.0,
            CaseKey("post"): 1.0}  # fmt: skip
    past = {
        CaseKey("never"): Record(9, 0, 1.0), CaseKey("often"): Record(9, 8, 1.0), CaseKey("slow"): Record(9, 9, 100.0),
        CaseKey("pre"): Record(9, 1, 1.0), CaseKey("post"): Record(9, 9, 1.0),
    }  # fmt: skip
    expected = Expected(plan, secs)
    schedule = play(plan, expected.of, 1, rank=first_to_fail(plan, past, expected))
    assert [str(plan.cases[r.case]) for r in schedule.rows] == ["often", "pre", "post", "never", "slow"]


def test_records_count_verdicts_and_leave_out_what_did_not_run() -> None:
    def row(state: str, status: str, secs: float) -> CaseRow:
        return CaseRow("a", "", state=state, status=status, secs=secs)

    rows = [row("COMPLETED", "PASS", 2), row("COMPLETED", "FAIL", 4), row("COMPLETED", "PREQ_FAIL", 0),
            row("LOST", "n/a", 50)]  # fmt: skip
    assert records(rows) == {CaseKey("a"): Record(2, 1, 3.0)}


def test_drawings_show_items_in_frames_and_modes_as_styles() -> None:
    specs = [spec("w", items="a"), spec("t", "w", mode="itemwait", items="a"), spec("u", "t", mode="toplevel")]
    plan = Plan.of(*area(specs), Selection())
    text = "\n".join(dot(picture(plan)))
    assert '"w/a" -> "t/a" [tooltip="itemwait"];' in text
    assert '"t" -> "u" [style=dashed];' in text
    assert text.count("subgraph") == 2
    text = "\n".join(mermaid(picture(plan)))
    assert text.startswith("flowchart LR\n")
    assert 'n1["w/a"]' in text
    assert "n1 --> n3" in text
    assert "n2 -.-> n4" in text


def test_a_drawing_can_show_tests_only_and_how_they_stand() -> None:
    specs = [
        spec("w", items='a b"c'),
        spec("t", "w", mode="itemwait", items="a"),
        spec("late", deferred=True, items="x"),
    ]
    plan = Plan.of(*area(specs), Selection())
    looks = {"w": Look("COMPLETED", "FAIL", "bad"), "late": Look("NOT_STARTED", "n/a", "waiting")}
    text = "\n".join(dot(picture(plan, looks, items=False)))
    assert (
        '"w" [shape=folder, label="w\\n2 items", style=filled, fillcolor="#f4a9a3", tooltip="COMPLETED/FAIL"];' in text
    )
    assert '"late" [style="filled,dashed", fillcolor="#eeeeee", tooltip="NOT_STARTED/n/a"];' in text
    assert '"t" [shape=folder, label="t\\n1 item"];' in text
    assert text.count("->") == 1
    assert '"w" -> "t" [tooltip="itemwait"];' in text
    text = "\n".join(mermaid(picture(plan, looks, items=False)))
    assert 'n0["w<br>2 items"]' in text
    assert "classDef bad fill:#f4a9a3,color:#000\n  class n0 bad" in text
    text = "\n".join(mermaid(picture(plan)))
    assert '"w/b#quot;c"' in text
    assert "class" not in text
