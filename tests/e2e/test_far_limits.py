"""Job groups and exclusive cases on a batch engine count in all runs, also after a takeover (spec/runs.md 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakebatch import FakeEngine
from onfakes import OnFake
from slurmcluster import until
from testarea import CONFIG, Area

Make = Callable[[str, Path], FakeEngine]


@pytest.fixture
def far(area: Area, fake_engine: Make, tmp_path: Path) -> Iterator[OnFake]:
    """Tests a, b, c of a job group of two, and x which is exclusive, on an engine; all of them hold until `go`."""
    made = OnFake(area, fake_engine("lsf", tmp_path), "lsf")
    area({"megatest.config": CONFIG + "\n[jobgroups]\ng 2\n"})
    for name in "abc":
        made.cases(name, do=made.hold, more="[test_meta]\njobgroup g\n")
    yield made.cases("x", do=made.hold, more="[requirements]\nmode exclusive\n")
    made.go()


def holders(area: Area) -> list[object]:
    return [row["pid"] for row in area.rows("sem", "group.g", "--list")]


def test_cases_far_away_take_places_of_their_group_in_all_runs(far: OnFake) -> None:
    with far.started(*far.command("a,b", "-q")) as one:
        far.wait_noted("begin", 2)
        assert holders(far.area) == [one.pid] * 2
        with far.started(*far.command("c", "-q", run="r2")) as two:
            until(lambda: far.rows("r2"), 30, "another run knows its case")
            assert holders(far.area) == [one.pid] * 2 and far.noted("begin")["c"] == 0
            far.go()
            assert (one.wait(60), two.wait(60)) == (0, 0)
    assert far.noted() == {"a": 1, "b": 1, "c": 1} and holders(far.area) == []


def test_who_takes_over_has_the_places_and_claims_of_what_it_adopts(far: OnFake) -> None:
    with far.started(*far.command("a,b,x", "-q")) as first:
        far.wait_noted("begin", 3)
        first.kill()
        first.wait()
    assert holders(far.area) == [], "nobody on another host can hold them"
    with far.started(*far.command("-q")) as second:
        until(lambda: len(holders(far.area)) == 2, 30, "both have their places again")
        assert holders(far.area) == [second.pid] * 2
        with far.started(*far.command("x", "-q", run="r2")) as other:
            until(lambda: far.rows("r2"), 30, "another run knows the case")
            assert far.noted("begin") == {"a": 1, "b": 1, "x": 1}
            far.go()
            assert (second.wait(60), other.wait(60)) == (0, 0)
    assert far.noted() == {"a": 1, "b": 1, "c": 1, "x": 2}


def test_that_another_run_has_begun_an_exclusive_case_meanwhile_is_said(far: OnFake) -> None:
    with far.started(*far.command("x", "-q")) as first:
        far.wait_noted("begin", 1)
        first.kill()
        first.wait()
    with far.started(*far.command("x", "-q", run="r2")) as other:
        far.wait_noted("begin", 2)
        with far.started(*far.command("x")) as second:
            assert second.stderr is not None
            said = next((line for line in second.stderr if "goes on" in line), "")
            far.go()
            second.stderr.read()
            assert (second.wait(60), other.wait(60)) == (0, 0)
    assert said == "mt: x goes on, though another run has taken its claim to be the only one meanwhile\n"
