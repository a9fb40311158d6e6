"""`mt rollup`, and `megatest -summarize-items` within a test (spec/runs.md 1.5, 5.16; spec/config.md 5.3)."""

from __future__ import annotations

import pytest
from testarea import BIN, TARGET, Area


@pytest.fixture
def ran(area: Area) -> Area:
    """An area with one run of a test with items, one of them bad, and of a test without."""
    area.test("sim", "test $I = good", items={"I": "good bad"}).test("one", "true")
    assert area.mt("run", "-t", TARGET, "-r", "r1", "-q").status == 1
    return area


def test_items_add_up_to_a_row_and_a_page(ran: Area) -> None:
    rows = {row["test"]: row for row in ran.rows("rollup")}
    assert (rows["sim"]["state"], rows["sim"]["status"], rows["sim"]["cases"]) == ("COMPLETED", "FAIL", 2)
    assert rows["sim"]["page"] == str(ran.home / "lt" / TARGET / "r1" / "sim" / "megatest-rollup-sim.html")
    assert (rows["one"]["status"], rows["one"]["page"]) == ("PASS", "")
    text = (ran.home / "lt" / TARGET / "r1" / "sim" / "megatest-rollup-sim.html").read_text()
    assert '<a href="bad/s1.log">' in text


def test_a_verdict_set_by_hand_reaches_the_page(ran: Area) -> None:
    ran.ok("set", "WAIVED", "sim/bad", "-m", "known")
    row = ran.rows("rollup", "si%")[0]
    assert row["status"] == "WAIVED"
    assert "known" in ran.read(f"lt/{TARGET}/r1/sim/megatest-rollup-sim.html")


def test_a_dry_run_writes_nothing(ran: Area) -> None:
    page = ran.home / "lt" / TARGET / "r1" / "sim" / "megatest-rollup-sim.html"
    page.unlink(missing_ok=True)
    assert ran.ok("rollup", "-n").lines()[0].startswith("id\t")
    assert not page.exists()


def test_nothing_that_matches_is_an_error(ran: Area) -> None:
    assert ran.mt("rollup", "no-such").status == 7
    assert ran.ok("rollup", "no-such", "--allow-empty").out == ""


def test_a_failing_command_of_the_area_is_said_and_is_the_status(ran: Area) -> None:
    ran({"megatest.config": ran.read("megatest.config") + "\n[testrollup]\nsim exit 4\n"})
    done = ran.mt("rollup")
    assert done.status == 1
    assert "mt: [testrollup] sim ended with 4" in done.err
    assert "COMPLETED" in done.out


def test_a_test_may_ask_for_the_page_of_its_items(area: Area) -> None:
    """spec/runs.md 1.5: -summarize-items makes megatest-rollup-TEST.html of the toplevel now."""
    page = f"$MT_LINKTREE/{TARGET}/r1/sim/megatest-rollup-sim.html"
    command = f"{BIN}/megatest -summarize-items && cp {page} seen.html && mt rollup -n > rows"
    area.test("sim", command, items={"I": "a"})
    area.ok("run", "-t", TARGET, "-r", "r1", "-q")
    seen = area.read(f"lt/{TARGET}/r1/sim/a/seen.html")
    assert "<td>a<td>RUNNING<td" in seen
    assert "\tRUNNING\t" in area.read(f"lt/{TARGET}/r1/sim/a/rows")
