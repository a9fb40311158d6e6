"""Which log of a case is read first (spec/runs.md 1.5, 5.9)."""

from __future__ import annotations

from recorded import Recorded
from testarea import Area

from mt.fold import refresh
from mt.model import CaseKey
from mt.queries import FINAL_LOG, final_logs


def test_the_first_log_to_read_is_what_the_test_named_else_a_page_else_the_last_log(area: Area) -> None:
    run = Recorded(area)
    run.case("nothing")
    run.case("plain")
    run.step("plain", "", "a", number=1)
    run.step("plain", "", "b", number=2)
    run.case("judged", "1")
    run.step("judged", "1", "a", number=1, log="a.html")
    run.step("judged", "1", "b", number=2)
    run.case("named", attempt=2)
    run.step("named", "", "a", number=1, log="a.html", attempt=2)
    run.tell("result", test="named", item="", attempt=2, state="", status="", comment="", log="mine.html")
    run.tell("result", test="named", item="", attempt=1, state="", status="", comment="", log="old.html")
    run.tell("result", test="judged", item="", attempt=1, state="", status="", comment="", log="top.html")
    refresh(run.store, run.id)
    found = final_logs(run.store, run.id)
    assert found == {
        CaseKey("plain"): "b.log",
        CaseKey("judged", "1"): "a.html",
        CaseKey("judged"): "top.html",
        CaseKey("named"): "mine.html",
    }
    assert found.get(CaseKey("nothing"), FINAL_LOG) == "logs/final.log"
    assert final_logs(run.store, run.id, tests=["plain"]) == {CaseKey("plain"): "b.log"}


def test_logs_of_older_attempts_do_not_count(area: Area) -> None:
    run = Recorded(area)
    run.case("t", attempt=1)
    run.step("t", "", "old", attempt=1)
    run.case("t", attempt=2)
    refresh(run.store, run.id)
    assert final_logs(run.store, run.id) == {}
