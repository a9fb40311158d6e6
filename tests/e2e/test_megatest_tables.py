"""megatest -testdata-csv, -list-run-time, -list-test-time (spec/runs.md 5.12, 5.13, 9.2 D10)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from recorded import BEGUN, Recorded
from testarea import TARGET, Area

HEADER = "target,run,test,itempath,category,var,value,comment"


def table(area: Area, *words: str, **more: Any) -> list[str]:
    """The lines that are printed."""
    done = area.mt(*words, prog="megatest", **more)
    assert done.status == 0, done.err
    return done.lines()


@pytest.fixture
def measured(area: Area) -> Recorded:
    """Values of a and of it/1."""
    run = Recorded(area)
    run.case("a")
    run.case("it", "1", status="FAIL")
    run.value("a", "", "power/volt_in", "1.05", "pass", comment="x, y")
    run.value("a", "", "power/amps", "3", "fail")
    run.value("a", "", "steps/lines", "7", type="logpro")
    run.value("it", "1", "time/Volt", "9")
    return run


def test_values_are_rows_without_quotes_and_without_those_of_log_rules(measured: Recorded) -> None:
    """spec/runs.md 5.12."""
    assert table(measured.area, "-testdata-csv", "%") == [
        HEADER,
        f"{TARGET},r1,a,,power,amps,3,",
        f"{TARGET},r1,a,,power,volt_in,1.05,x, y",
        f"{TARGET},r1,it,1,time,Volt,9,",
    ]


def test_category_and_variable_are_matched_by_like(measured: Recorded) -> None:
    """spec/runs.md 5.12, its example."""
    area = measured.area
    assert [line.split(",")[5] for line in table(area, "-testdata-csv", "%/volt%")[1:]] == ["volt_in", "Volt"]
    assert [line.split(",")[5] for line in table(area, "-testdata-csv", "pow%/%")[1:]] == ["amps", "volt_in"]
    assert [line.split(",")[5] for line in table(area, "-testdata-csv", "AMPS")[1:]] == ["amps"]
    assert [line.split(",")[5] for line in table(area, "-testdata-csv", "v_lt")[1:]] == ["Volt"]
    assert table(area, "-testdata-csv", "*") == [HEADER]


def test_the_tests_are_selected(measured: Recorded) -> None:
    """spec/runs.md 5.12, 2.1."""
    area = measured.area
    Recorded(area, "r2").case("a")
    assert len(table(area, "-testdata-csv", "%", "-testpatt", "it")) == 2
    assert len(table(area, "-testdata-csv", "%", "-status", "PASS")) == 3
    assert table(area, "-testdata-csv", "%", "-runname", "r2") == [HEADER]
    assert table(area, "-testdata-csv", "%", "-target", "suse/%") == [HEADER]


def test_only_the_newest_attempt_counts(measured: Recorded) -> None:
    """spec/runs.md 5.12: as when rows were replaced."""
    measured.case("a", attempt=2, gen=5)
    measured.value("a", "", "power/amps", "4", attempt=2)
    assert [line for line in table(measured.area, "-testdata-csv", "%") if ",a," in line] == [
        f"{TARGET},r1,a,,power,amps,4,"
    ]


@pytest.fixture
def timed(area: Area) -> Recorded:
    """Run r1 took 3 min 20 s."""
    run = Recorded(area)
    run.case("a", start=BEGUN, secs=12.7)
    run.case("it", "1", start=BEGUN + 190, secs=10.0)
    return run


def test_minutes_of_runs_as_text_csv_and_json(timed: Recorded) -> None:
    """spec/runs.md 5.13, 9.2 D10."""
    area = timed.area
    assert table(area, "-list-run-time") == [f"{TARGET}  r1  3"]
    assert table(area, "-list-run-time", "-dumpmode", "csv") == [f"{TARGET},r1,3"]
    (line,) = table(area, "-list-run-time", "-dumpmode", "json")
    assert json.loads(line) == [{"target": TARGET, "run-name": "r1", "run-time": 3}]


def test_runs_are_chosen_by_two_patterns(timed: Recorded) -> None:
    """spec/runs.md 5.13."""
    area = timed.area
    Recorded(area, "r2", target="suse/nfs").case("a", start=BEGUN, secs=60.0)
    assert table(area, "-list-run-time", "-target-patt", "su%") == ["suse/nfs  r2  1"]
    assert table(area, "-list-run-time", "-run-patt", "%1") == [f"{TARGET}  r1  3"]
    assert table(area, "-list-run-time", "-run-patt", "x%") == ["Data not found!!"]


def test_seconds_of_tests_as_text_csv_and_json(timed: Recorded) -> None:
    """spec/runs.md 5.13: an item path or N/A."""
    words = ("-list-test-time", "-target", TARGET, "-runname", "r1")
    assert table(timed.area, *words) == ["a  N/A  12", "it  N/A  0", "it  1  10"]
    assert table(timed.area, *words, "-dumpmode", "csv") == ["a,N/A,12", "it,N/A,0", "it,1,10"]
    (line,) = table(timed.area, *words, "-dumpmode", "json")
    assert json.loads(line)[0] == {"test-name": "a", "test-item": "N/A", "test-time": 12}


def test_target_and_run_name_are_exact(timed: Recorded) -> None:
    """spec/runs.md 5.13."""
    for words in (("-target", TARGET), ("-runname", "r1"), ("-target", TARGET, "-runname", "r%")):
        done = timed.area.mt("-list-test-time", *words, prog="megatest")
        assert (done.status, done.out) == (0, "")
        assert done.err.startswith("ERROR: ")
    assert table(timed.area, "-list-test-time", "-target", TARGET, "-runname", "r2") == ["Data not found!!"]


def test_an_area_without_runs_has_no_data(area: Area) -> None:
    """spec/runs.md 5.12, 5.13."""
    assert table(area, "-testdata-csv", "%") == [HEADER]
    assert table(area, "-list-run-time") == ["Data not found!!"]
    assert table(area, "-list-test-time", "-target", TARGET, "-runname", "r1") == ["Data not found!!"]
