"""`mt graph`: waits as a picture or as rows."""

from __future__ import annotations

import pytest
from testarea import TARGET, Area


@pytest.fixture
def waits(area: Area) -> Area:
    """An area where `last` waits for a test with items and for one that fails."""
    area.test("many", "true", items={"N": "1 2"}).test("bad", "false", waiton="many")
    return area.test("last", "true", waiton="many bad").test("alone", "true")


def test_tests_are_nodes_and_waits_are_arrows(waits: Area) -> None:
    out = waits.ok("graph").out
    assert out.startswith("digraph plan {\n")
    assert '"many" [shape=folder, label="many\\n2 items"];' in out
    assert sorted(line.strip() for line in out.splitlines() if "->" in line) == [
        '"bad" -> "last";',
        '"many" -> "bad";',
        '"many" -> "last";',
    ]
    assert "fillcolor" not in out


def test_items_are_drawn_on_request(waits: Area) -> None:
    assert '"many/1";' in waits.ok("graph", "--items").out


def test_a_run_gives_the_colours(waits: Area) -> None:
    assert waits.mt("run", "-t", TARGET, "-r", "r1").status == 1
    out = waits.ok("graph", "-r", "r1").out
    assert 'fillcolor="#f4a9a3", tooltip="COMPLETED/FAIL"' in next(
        x for x in out.splitlines() if x.startswith('  "bad"')
    )
    assert '"alone" [style=filled, fillcolor="#b7e4b0", tooltip="COMPLETED/PASS"];' in out
    assert waits.ok("graph", f"{TARGET}//r1//%", "-f", "mermaid").out.count("classDef") == 2
    assert waits.mt("graph", "-r", "r2").status == 7


def test_rows_name_each_wait_and_the_lonely(waits: Area) -> None:
    rows = waits.rows("graph")
    pairs = sorted((row["test"], row["waits_for"], row["mode"]) for row in rows)
    assert pairs == [
        ("alone", "", ""),
        ("bad", "many", "normal"),
        ("last", "bad", "normal"),
        ("last", "many", "normal"),
        ("many", "", ""),
    ]
    assert waits.ok("graph", "-f", "rows").out.startswith("test\twaits_for\tmode\tstate\tstatus\n")


def test_a_pattern_takes_what_it_waits_for_along(waits: Area) -> None:
    out = waits.ok("graph", "bad", "-f", "mermaid").out
    assert "many" in out
    assert "last" not in out
    assert waits.mt("graph", "nothing").status == 7


def test_it_goes_into_a_file(waits: Area) -> None:
    assert waits.ok("graph", "-o", "x.dot").out == ""
    assert waits.read("x.dot").startswith("digraph")
