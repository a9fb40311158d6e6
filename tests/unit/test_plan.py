"""The planner by the tables of spec/runs.md 4.2, 4.3 and 2.5, without any disk."""

from __future__ import annotations

import pytest
from fakes.specs import area, spec

from mt.errors import NothingSelected
from mt.model import CaseKey
from mt.pipeline import plan as planning
from mt.pipeline.plan import Closed, CycleError, NeedItems, Plan, Ready, Selection

PASS = ("COMPLETED", "PASS")
FAIL = ("COMPLETED", "FAIL")


def made(*specs: object, want: str = "%", tags: str | None = None) -> Plan:
    return Plan.of(*area(specs), Selection(want, tags))  # type: ignore[arg-type]


def ids(plan: Plan) -> list[str]:
    return [str(key) for key in plan.cases]


def said(plan: Plan, moves: object) -> list[str]:
    """Moves as words: `a/1` may start, `a/1=PREQ_FAIL` is closed, `a?` needs its items."""
    found = []
    for move in moves:  # type: ignore[attr-defined]
        if isinstance(move, Ready):
            found.append(str(plan.cases[move.case]))
        elif isinstance(move, Closed):
            found.append(f"{plan.cases[move.case]}={move.status}")
        else:
            found.append(f"{move.test}?")
    return found


def end(plan: Plan, case: str, how: tuple[str, str] = PASS) -> list[str]:
    return said(plan, plan.ended(ids(plan).index(case), *how))


# -- the decision table


MET = [PASS, ("COMPLETED", "WARN"), ("COMPLETED", "CHECK"), ("ARCHIVED", "WAIVED"), ("COMPLETED", "SKIP"),
       ("KILLED", "PASS"), ("INCOMPLETE", "PASS")]  # fmt: skip
BAD = [FAIL, ("COMPLETED", "ABORT"), ("COMPLETED", "DEAD"), ("COMPLETED", "PREQ_FAIL"), ("COMPLETED", "n/a"),
       ("COMPLETED", "AUTO-WARN"), ("INCOMPLETE", "FAIL"), ("KILLED", "KILLED"), ("ARCHIVED", "FAIL")]  # fmt: skip
NO_VERDICT = [("LOST", "n/a"), ("COMPLETED", "INFRA"), ("INCOMPLETE", "KILLED"), ("STUCK", "n/a"),
              ("NOT_STARTED", "BLOCKED")]  # fmt: skip
ALL_MODES = ["", "toplevel", "itemwait", "itemmatch"]


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("how", MET)
def test_a_good_prerequisite_is_met_in_every_mode(mode: str, how: tuple[str, str]) -> None:
    plan = made(spec("w"), spec("t", "w", mode=mode))
    assert said(plan, plan.begin()) == ["w"]
    assert end(plan, "w", how) == ["t"]


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("how", BAD)
def test_a_bad_prerequisite_fails_all_but_toplevel(mode: str, how: tuple[str, str]) -> None:
    plan = made(spec("w"), spec("t", "w", mode=mode))
    list(plan.begin())
    assert end(plan, "w", how) == (["t"] if mode == "toplevel" else ["t=PREQ_FAIL"])


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("how", NO_VERDICT)
def test_a_prerequisite_without_a_verdict_blocks_all_but_toplevel(mode: str, how: tuple[str, str]) -> None:
    plan = made(spec("w"), spec("t", "w", mode=mode), spec("u", "t"))
    list(plan.begin())
    assert end(plan, "w", how) == (["t"] if mode == "toplevel" else ["t=BLOCKED", "u=BLOCKED"])


def test_closed_cases_carry_state_and_comment_of_the_table() -> None:
    plan = made(spec("w"), spec("t", "w"))
    list(plan.begin())
    (move,) = plan.ended(0, *FAIL)
    assert move == Closed(1, "COMPLETED", "PREQ_FAIL", "Failed to run due to failed prerequisites")


# items of W: (a, b), how they ended in turn; the answer for my item, or for a test without items
ROWS = [
    # W's items         mode         me   moves after a ended   after b ended
    ((PASS, None), "", "a", [], None),
    ((PASS, None), "toplevel", "a", [], None),
    ((PASS, None), "itemwait", "a", ["t/a"], None),
    ((PASS, None), "itemmatch", "a", ["t/a"], None),
    ((PASS, None), "itemwait", "c", [], None),
    ((PASS, None), "itemmatch", "c", ["t/c"], None),
    ((PASS, FAIL), "itemwait", "b", [], ["t/b=PREQ_FAIL"]),
    ((PASS, FAIL), "toplevel", "b", [], ["t/b"]),
    ((PASS, FAIL), "itemwait", "c", [], ["t/c=PREQ_FAIL"]),
    ((PASS, FAIL), "itemmatch", "c", ["t/c"], []),
    ((PASS, FAIL), "toplevel", "c", [], ["t/c"]),
    ((PASS, PASS), "itemwait", "c", [], ["t/c"]),
    ((FAIL, None), "", "a", ["t/a=PREQ_FAIL"], None),
    ((FAIL, None), "toplevel", "a", [], None),
    ((FAIL, None), "itemwait", "a", ["t/a=PREQ_FAIL"], None),
    ((FAIL, FAIL), "itemmatch", "c", [], ["t/c=PREQ_FAIL"]),
    ((FAIL, PASS), "itemwait toplevel", "a", ["t/a"], []),
    ((FAIL, PASS), "itemwait toplevel", "c", [], ["t/c"]),
    ((FAIL, None), "", None, ["t=PREQ_FAIL"], None),
    ((PASS, PASS), "", None, [], ["t"]),
    ((PASS, FAIL), "itemwait", None, [], ["t=PREQ_FAIL"]),
    ((FAIL, FAIL), "toplevel", None, [], ["t"]),
]


@pytest.mark.parametrize(("ends", "mode", "me", "first", "second"), ROWS)
def test_items_decide_as_the_table_says(
    ends: tuple[tuple[str, str], tuple[str, str] | None],
    mode: str,
    me: str | None,
    first: list[str],
    second: list[str] | None,
) -> None:
    plan = made(spec("w", items="a b"), spec("t", "w", mode=mode, items=me))
    assert said(plan, plan.begin()) == ["w/a", "w/b"]
    assert end(plan, "w/a", ends[0]) == first
    if ends[1] is not None:
        assert end(plan, "w/b", ends[1]) == second


def test_a_test_with_items_waits_whole_for_one_without() -> None:
    plan = made(spec("w"), spec("t", "w", mode="itemwait", items="a b"))
    assert said(plan, plan.begin()) == ["w"]
    assert end(plan, "w") == ["t/a", "t/b"]


def test_a_waiton_without_matching_items_discards_and_then_fails_down_the_chain() -> None:
    plan = made(spec("n", items=""), spec("w1", "n"), spec("w2", "w1"), spec("w3", "w2"))
    assert said(plan, plan.begin()) == ["n=ZERO_ITEMS", "w1=PREQ_DISCARDED", "w2=PREQ_FAIL", "w3=PREQ_FAIL"]
    assert plan.left() == 0


def test_a_toplevel_test_over_nothing_to_run_starts() -> None:
    """spec/runs.md 9.2 D5: never starting it without a word is the defect."""
    plan = made(spec("n", items=""), spec("t", "n", mode="toplevel"))
    assert said(plan, plan.begin()) == ["n=ZERO_ITEMS", "t"]


def test_a_toplevel_test_over_failed_prerequisites_starts() -> None:
    plan = made(spec("b"), spec("a", "b"), spec("t", "a", mode="toplevel"))
    list(plan.begin())
    assert end(plan, "b", FAIL) == ["a=PREQ_FAIL", "t"]


def test_only_the_item_of_a_failed_counterpart_fails() -> None:
    plan = made(spec("b", items="1 2 3"), spec("a", "b", mode="itemwait", items="1 2 3"), spec("t", "a"))
    list(plan.begin())
    assert end(plan, "b/1") == ["a/1"]
    assert end(plan, "b/2", FAIL) == ["a/2=PREQ_FAIL", "t=PREQ_FAIL"]
    assert end(plan, "b/3") == ["a/3"]


def test_fail_wins_over_blocked_in_either_order() -> None:
    for order in ("ab", "ba"):
        plan = made(spec("a"), spec("b"), spec("t", "a b"))
        list(plan.begin())
        moves = [end(plan, n, FAIL if n == "a" else ("LOST", "n/a")) for n in order]
        assert [m for found in moves for m in found] == ["t=PREQ_FAIL"]


# -- item maps


def test_a_mapped_item_waits_for_the_item_that_its_map_names() -> None:
    plan = made(
        spec("c", items="1/aa 2/aa"), spec("d", "c", mode="itemwait", items="1/res", itemmap=r"(\d+)/res \1/aa")
    )
    list(plan.begin())
    assert end(plan, "c/2/aa") == []
    assert end(plan, "c/1/aa") == ["d/1/res"]
    assert plan.waitons(2) == ["c/1/aa"]


def test_a_map_to_a_pattern_waits_for_all_that_it_matches() -> None:
    plan = made(spec("w", items="x/1 x/2 y/1"), spec("t", "w", mode="itemwait", items="x y", itemmap="(.*) \\1/%"))
    list(plan.begin())
    assert end(plan, "w/x/1") == []
    assert end(plan, "w/y/1") == ["t/y"]
    assert end(plan, "w/x/2") == ["t/x"]


# -- items that are computed late


def test_late_items_are_asked_for_once_their_prerequisites_allow_it() -> None:
    plan = made(spec("a"), spec("d", "a", deferred=True), spec("t", "d"))
    assert said(plan, plan.begin()) == ["a"]
    assert plan.unexpanded() == ["d"]
    assert end(plan, "a") == ["d?"]
    assert said(plan, plan.expanded("d", ((("V", "1"),), (("V", "2"),)))) == ["d/1", "d/2"]
    assert plan.item_of(ids(plan).index("d/2")) == (("V", "2"),)
    assert end(plan, "d/1") == []
    assert end(plan, "d/2") == ["t"]


def test_an_itemwise_test_is_expanded_when_one_item_has_ended() -> None:
    plan = made(spec("w", items="a b"), spec("d", "w", mode="itemwait", deferred=True))
    list(plan.begin())
    assert end(plan, "w/a", FAIL) == ["d?"]
    assert said(plan, plan.expanded("d", ((("V", "a"),), (("V", "b"),)))) == ["d/a=PREQ_FAIL"]
    assert end(plan, "w/b") == ["d/b"]


def test_a_test_whose_late_items_cannot_be_computed_is_closed_as_a_whole() -> None:
    plan = made(spec("a"), spec("d", "a", deferred=True), spec("t", "d"))
    list(plan.begin())
    assert end(plan, "a", FAIL) == ["d=PREQ_FAIL", "t=PREQ_FAIL"]


def test_late_items_that_are_none_are_zero_items() -> None:
    plan = made(spec("d", deferred=True), spec("t", "d"))
    assert said(plan, plan.begin()) == ["d?"]
    assert said(plan, plan.expanded("d", ())) == ["d=ZERO_ITEMS", "t=PREQ_DISCARDED"]


def test_late_items_are_filtered_by_the_pattern() -> None:
    plan = made(spec("d", deferred=True), want="d/b")
    list(plan.begin())
    assert said(plan, plan.expanded("d", ((("V", "a"),), (("V", "b"),)))) == ["d/b"]


def test_what_waits_item_by_item_for_late_items_is_linked_when_they_are_known() -> None:
    plan = made(spec("d", deferred=True), spec("t", "d", mode="itemwait", items="a b"))
    assert said(plan, plan.begin()) == ["d?"]
    assert said(plan, plan.expanded("d", ((("V", "a"),), (("V", "b"),)))) == ["d/a", "d/b"]
    assert end(plan, "d/b") == ["t/b"]


# -- selection and growth (2.5, 2.7)


def test_prerequisites_are_pulled_in_item_by_item() -> None:
    tests = [spec("a", items="1 2")]
    tests += [spec(x, w, mode="itemwait", items="1 2") for x, w in ("ba", "cb", "dc", "sd")]
    plan = made(*tests, want="s/1")
    assert sorted(ids(plan)) == ["a/1", "b/1", "c/1", "d/1", "s/1"]


def test_a_normal_prerequisite_comes_with_all_its_items() -> None:
    plan = made(spec("w", items="1 2"), spec("h", "w", items="1 2"), want="h/2")
    assert sorted(ids(plan)) == ["h/2", "w/1", "w/2"]
    assert [plan.reason(n) for n in range(3)] == ["prerequisite of h", "prerequisite of h", "matches 'h/2'"]


def test_a_waitor_is_pulled_in_and_not_waited_for() -> None:
    plan = made(spec("a"), spec("x", pulls="a"), want="x")
    assert sorted(said(plan, plan.begin())) == ["a", "x"]
    assert plan.reason(ids(plan).index("a")) == "wanted with x"


def test_unknown_waitons_and_oneself_are_dropped_and_told() -> None:
    plan = made(spec("x", "x nosuch"))
    assert said(plan, plan.begin()) == ["x"]
    assert sorted(p.text for p in plan.problems) == [
        "ERROR: test x has listed itself as a waiton or waitor, please correct this!",
        "ERROR: test x has unrecognised waiton testname nosuch",
    ]
    assert {p.where for p in plan.problems} == {"tests/x/testconfig:2"}


@pytest.mark.parametrize(
    ("want", "test"), [("b/9", spec("b")), ("b/", spec("b", items="1")), ("b/9", spec("b", items="1"))]
)
def test_no_matching_item_is_zero_items(want: str, test: object) -> None:
    plan = made(test, want=want)
    (move,) = plan.begin()
    assert move == Closed(0, "NOT_STARTED", "ZERO_ITEMS", "This test has no items which match test pattern.")


def test_an_item_that_comes_twice_is_one_case() -> None:
    assert ids(made(spec("b", items="1 2 1"))) == ["b/1", "b/2"]


def test_tags_choose_first_and_prerequisites_come_regardless() -> None:
    plan = made(spec("a", "b", tags="fast net"), spec("b", tags="slow"), spec("c", tags="slow"), tags="fast%")
    assert sorted(ids(plan)) == ["a", "b"]


def test_a_name_of_no_test_is_refused_with_the_nearest() -> None:
    with pytest.raises(NothingSelected) as e:
        made(spec("diskperf"), want="diskpref/1")
    assert e.value.lines() == ["no test is called 'diskpref'", "hint: did you mean diskperf?"]


def test_a_name_of_no_test_may_be_allowed() -> None:
    assert len(Plan.of(*area([spec("a")]), Selection("a,nosuch", unknown_ok=True)).cases) == 1


@pytest.mark.parametrize(("want", "tags"), [("x%", None), ("", None), ("%", "nosuch")])
def test_nothing_selected_is_said(want: str, tags: str | None) -> None:
    with pytest.raises(NothingSelected):
        made(spec("a"), want=want, tags=tags)


def test_a_circle_is_named_with_its_place() -> None:
    with pytest.raises(CycleError) as e:
        made(spec("a", "b"), spec("b", "c"), spec("c", "a"))
    assert e.value.lines()[0] == "tests/a/testconfig:2: cycle: a -> b -> c -> a"
    assert e.value.status == 3


# -- order, records, requests that join, cases that run again


def test_priority_comes_first_then_prerequisites_then_names() -> None:
    plan = made(spec("a"), spec("b", "a"), spec("c", priority=5), spec("d", priority=-1), spec("e"))
    assert ids(plan) == ["c", "a", "e", "b", "d"]
    assert sorted(range(5), key=plan.rank) == [0, 1, 2, 3, 4]
    assert said(plan, plan.begin()) == ["c", "a", "e", "d"]


def test_what_ended_before_counts_as_ended() -> None:
    plan = made(spec("a"), spec("b", "a"), spec("c"), spec("d", "c"))
    moves = plan.begin({CaseKey("a"): PASS, CaseKey("c"): FAIL, CaseKey("b"): ("NOT_STARTED", "n/a")})
    assert sorted(said(plan, moves)) == ["b", "d=PREQ_FAIL"]
    assert plan.left() == 1


def test_what_was_recorded_without_running_is_decided_again() -> None:
    plan = made(spec("a"), spec("b", "a"))
    moves = plan.begin({CaseKey("a"): PASS, CaseKey("b"): ("NOT_STARTED", "BLOCKED")})
    assert said(plan, moves) == ["b"]


def test_a_case_that_ends_twice_changes_nothing() -> None:
    plan = made(spec("a"), spec("b", "a"))
    list(plan.begin())
    assert end(plan, "a") == ["b"]
    assert end(plan, "a", FAIL) == []


def test_a_second_request_adds_only_new_cases() -> None:
    tests = [spec("w", items="1 2"), spec("h", "w", mode="itemwait", items="1 2"), spec("z")]
    plan = made(*tests, want="h/1")
    assert said(plan, plan.begin()) == ["w/1"]
    assert end(plan, "w/1") == ["h/1"]
    assert said(plan, plan.add(Selection("h"))) == ["w/2"]
    assert sorted(ids(plan)) == ["h/1", "h/2", "w/1", "w/2"]
    assert end(plan, "w/2") == ["h/2"]
    assert said(plan, plan.add(Selection("%"))) == ["z"]
    assert plan.left() == 3


def test_a_second_request_may_want_what_had_no_items() -> None:
    plan = made(spec("b", items="1 2"), spec("t", "b"), spec("p"), want="b/9,p/9")
    assert said(plan, plan.begin()) == ["b=ZERO_ITEMS", "p=ZERO_ITEMS"]
    assert said(plan, plan.add(Selection("t,p"))) == ["p", "b/1", "b/2"]
    assert end(plan, "b/1") == []
    assert end(plan, "b/2") == ["t"]


def test_a_second_request_for_items_still_waits_for_their_prerequisites() -> None:
    plan = made(spec("a"), spec("b", "a", items="1 2"), spec("t", "b"), want="b/9,t")
    assert said(plan, plan.begin()) == ["a", "b=ZERO_ITEMS", "t=PREQ_DISCARDED"]
    assert said(plan, plan.add(Selection("b"))) == []
    assert end(plan, "a") == ["b/1", "b/2"]
    end(plan, "b/1")
    assert end(plan, "b/2") == ["t"]


def test_a_refused_second_request_changes_nothing() -> None:
    plan = made(spec("a"))
    with pytest.raises(NothingSelected):
        plan.add(Selection("nosuch"))
    assert ids(plan) == ["a"]


def test_a_reopened_case_takes_along_what_it_had_closed() -> None:
    plan = made(spec("a"), spec("b", "a"), spec("c", "b"), spec("x"), spec("y", "x"))
    list(plan.begin())
    assert end(plan, "a", FAIL) == ["b=PREQ_FAIL", "c=PREQ_FAIL"]
    end(plan, "x", FAIL)
    again, moves = plan.reopen([ids(plan).index("a")])
    assert sorted(str(plan.cases[n]) for n in again) == ["a", "b", "c"]
    assert said(plan, moves) == ["a"]
    assert end(plan, "a") == ["b"]
    assert end(plan, "b") == ["c"]


def test_a_reopened_case_leaves_alone_what_another_one_closed() -> None:
    plan = made(spec("a"), spec("b"), spec("t", "a b"))
    list(plan.begin())
    end(plan, "a", FAIL)
    end(plan, "b", FAIL)
    again, moves = plan.reopen([0])
    assert again == [0]
    assert said(plan, moves) == ["a"]
    assert end(plan, "a") == []


# -- explaining


def test_what_a_case_waits_for_is_said_in_words() -> None:
    plan = made(
        spec("w", items="a b"), spec("t", "w", mode="itemwait", items="a b"), spec("u", "w"), spec("d", deferred=True),
        spec("v", "d"),
    )  # fmt: skip
    list(plan.begin())
    at = ids(plan).index
    assert plan.waiting(at("t/a")) == ["w/a has not ended"]
    assert plan.waiting(at("u")) == ["w: 2 of 2 items have not ended"]
    assert plan.waiting(at("v")) == ["d: its items are not known yet"]
    assert plan.waiting(at("w/a")) == []
    end(plan, "w/a", FAIL)
    assert plan.waiting(at("t/a")) == ["w/a ended badly"]


def test_edges_name_items_where_items_wait_and_tests_otherwise() -> None:
    plan = made(spec("w", items="a b"), spec("t", "w", mode="itemwait", items="a b"), spec("u", "t", mode="toplevel"))
    assert list(plan.edges()) == [("w/a", "t/a", "itemwait"), ("w/b", "t/b", "itemwait"), ("t", "u", "toplevel")]


def test_edges_between_tests_grow_with_the_sum_of_their_items() -> None:
    many = " ".join(map(str, range(200)))
    plan = made(spec("w", items=many), spec("t", "w", items=many))
    list(plan.begin())
    graph = plan._graph
    assert len(graph.target) + sum(len(j.outs) for j in graph.joins) <= 2


def test_the_moves_are_what_the_loop_takes() -> None:
    assert {planning.Ready, planning.Closed, planning.NeedItems} == {Ready, Closed, NeedItems}
