"""`mt plan` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testarea import TARGET, Area


@pytest.fixture
def planned(area: Area) -> Area:
    """Compile, then four simulations of two seeds each, then a report; and one job apart."""
    area.test("compile")
    area.test("sim", waiton="compile", items={"SEED": "1 2"}, more="[test_meta]\njobgroup lic\ntags slow\n")
    area.test("check", waiton="sim", items={"SEED": "1 2"}, more="[requirements]\nmode itemwait\n")
    area.test("report", waiton="check", more="[requirements]\nmode toplevel\npriority 5\n")
    area.test("apart")
    return area


def test_rows_come_in_the_order_in_which_cases_will_start(planned: Area) -> None:
    rows = planned.rows("plan", "-j", "9")
    ids = [row["id"] for row in rows]
    assert set(ids[:2]) == {"compile", "apart"}
    assert ids[2:] == ["sim/1", "sim/2", "check/1", "check/2", "report"]
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    by_id = {row["id"]: row for row in rows}
    assert by_id["check/2"]["waits"] == ["sim/2"]
    assert by_id["check/2"]["mode"] == "itemwait"
    assert by_id["report"]["waits"] == ["check"]
    assert by_id["report"]["priority"] == 5
    assert by_id["sim/1"]["group"] == "lic"
    assert by_id["sim/1"]["why"] == "matches '%'"
    assert by_id["sim/1"]["start"] == by_id["compile"]["end"]
    assert by_id["compile"]["start"] == 0


def test_prerequisites_come_along_and_say_for_whom(planned: Area) -> None:
    rows = planned.rows("plan", "check/2")
    assert [(row["id"], row["why"]) for row in rows] == [
        ("compile", "prerequisite of sim"), ("sim/2", "prerequisite of check"), ("check/2", "matches 'check/2'"),
    ]  # fmt: skip


def test_planning_writes_nothing(planned: Area) -> None:
    before = sorted(planned.home.rglob("*"))
    planned.ok("plan", "-f", "table")
    assert sorted(planned.home.rglob("*")) == before


def test_tags_choose_tests(planned: Area) -> None:
    assert [row["id"] for row in planned.rows("plan", "--tags", "slow")] == ["compile", "sim/1", "sim/2"]


def test_a_job_group_limits_what_runs_at_once(planned: Area) -> None:
    config = planned.read("megatest.config")
    planned({"megatest.config": config + "\n[jobgroups]\nlic 1\n"})
    rows = {row["id"]: row for row in planned.rows("plan", "sim", "-j", "9")}
    assert rows["sim/2"]["start"] == rows["sim/1"]["end"]
    assert rows["sim/2"]["held"] == "group"


def test_ids_are_bare_and_whole_once_target_and_run_are_said(planned: Area) -> None:
    assert planned.ok("plan", "apart", "-f", "ids").out == "apart\n"
    assert planned.ok("plan", "sim/1", "-t", TARGET, "-r", "r1", "-f", "ids").lines()[-1] == f"{TARGET}//r1//sim/1"


def test_an_id_with_a_run_names_target_and_run(planned: Area) -> None:
    assert planned.ok("plan", f"{TARGET}//r1//apart", "-f", "ids").out == f"{TARGET}//r1//apart\n"
    assert planned.mt("plan", f"{TARGET}//r1//apart", "-r", "r2").status == 2


def test_the_graph_is_drawn_for_graphviz_and_mermaid(planned: Area, tmp_path: Path) -> None:
    text = planned.ok("plan", "-f", "dot").out
    assert text.startswith("digraph plan {\n")
    assert '"sim/1" -> "check/1"' in text
    assert '"compile" -> "sim"' in text
    assert '"check" -> "report" [style=dashed]' in text
    assert planned.ok("plan", "-f", "mermaid", "-o", str(tmp_path / "plan.mmd")).out == ""
    assert (tmp_path / "plan.mmd").read_text().startswith("flowchart LR\n")


def test_what_was_measured_is_what_is_expected(area: Area) -> None:
    area.test("long", "sleep 0.6").test("short").test("after", waiton="long")
    area.ok("run", "-r", "r1", "-q", "-j", "2")
    rows = {row["id"]: row for row in area.rows("plan", "-j", "2")}
    assert rows["long"]["secs"] >= 0.6
    assert rows["short"]["secs"] < 0.6
    assert rows["after"]["start"] == rows["long"]["end"]
    assert [row["id"] for row in area.rows("plan", "--critical", "-j", "2")] == ["long", "after"]


def test_what_failed_comes_first_when_asked_for(area: Area) -> None:
    area.test("aaa", "sleep 0.3").test("zzz", "false")
    assert [row["id"] for row in area.rows("plan", "-j", "1")] == ["aaa", "zzz"]
    assert area.mt("run", "-r", "r1", "-q").status == 1
    assert [row["id"] for row in area.rows("plan", "-j", "1", "--first-to-fail")] == ["zzz", "aaa"]


def test_the_order_can_be_given_to_a_run(area: Area) -> None:
    for name in ("aaa", "bbb", "ccc"):
        area.test(name, "sleep 0.2", "echo $MT_TEST_NAME >>$MT_RUN_AREA_HOME/order")
    area.test("ccc", "false")
    assert area.mt("run", "-r", "r1", "-q", "-j", "1").status == 1
    area({"order": ""})
    area.test("ccc", "echo $MT_TEST_NAME >>$MT_RUN_AREA_HOME/order")
    done = area.sh("mt plan --first-to-fail -f ids -q -j 1 | mt run -r r2 -q -j 1 --order -")
    assert done.status == 0, done.err
    order = area.read("order").split()
    assert order[0] == "ccc"
    assert sorted(order) == ["aaa", "bbb", "ccc"]


def test_a_test_whose_items_are_computed_late_is_one_row(area: Area) -> None:
    area.test("late", items={"I": "[system echo 1 2]"})
    (row,) = area.rows("plan")
    assert (row["id"], row["late"]) == ("late", True)


def test_a_circle_is_an_error_of_the_area_with_its_place(area: Area) -> None:
    area.test("a", waiton="b").test("b", waiton="a")
    done = area.mt("plan")
    assert done.status == 3
    assert done.out == ""
    first, hint = done.err.splitlines()
    assert first.startswith("mt: tests/a/testconfig:")
    assert first.endswith("cycle: a -> b -> a")
    assert hint == "mt: hint: take one waiton out of the circle"


def test_nothing_selected_is_status_7_unless_allowed(planned: Area) -> None:
    done = planned.mt("plan", "cmpile")
    assert done.status == 7
    assert done.err == "mt: no test is called 'cmpile'\nmt: hint: did you mean compile?\n"
    assert planned.mt("plan", "nosuch%").status == 7
    assert planned.mt("plan", "nosuch%", "--allow-empty").status == 0


def test_an_unknown_waiton_is_told_and_the_test_planned(area: Area) -> None:
    area.test("a", waiton="nosuch")
    done = area.mt("plan", "-f", "json", "-q")
    assert done.status == 0
    assert "test a has unrecognised waiton testname nosuch" in done.err
    assert [row["id"] for row in json.loads(done.out)] == ["a"]


def test_a_count_of_no_slots_is_a_usage_error(planned: Area) -> None:
    assert planned.mt("plan", "-j", "0").status == 2
