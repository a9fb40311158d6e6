"""What a keep policy keeps: pure decisions about runs and cases (spec/features.md B22)."""

from __future__ import annotations

import pytest

from mt.model import CaseRow, RunRow
from mt.pipeline.keeping import Policy, reached

DAY = 86400.0
NOW = 1000 * DAY


def run(number: int, days: float, target: str = "t") -> RunRow:
    """A run that began and ended so many days ago."""
    return RunRow(number, target, f"r{number}", "COMPLETED", "PASS", "ann", NOW - days * DAY, NOW - days * DAY, {})


RUNS = [run(1, 30), run(2, 20), run(3, 10), run(4, 30, "u")]


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        (Policy(), [1, 4, 2, 3]),
        (Policy(keep=1), [1, 2]),
        (Policy(keep=0), [1, 4, 2, 3]),
        (Policy(keep=9), []),
        (Policy(older=15 * DAY), [1, 4, 2]),
        (Policy(keep=1, older=25 * DAY), [1]),
        (Policy(keep=2, older=5 * DAY), [1]),
    ],
)
def test_newest_runs_of_each_target_and_young_ones_are_kept(policy: Policy, gone: list[int]) -> None:
    assert [r.id for r in reached(RUNS, policy, NOW)] == gone


def test_a_run_that_ended_lately_is_young_however_long_ago_it_began() -> None:
    assert reached([run(1, 30)._replace(end=NOW - DAY)], Policy(older=2 * DAY), NOW) == []


@pytest.mark.parametrize(
    ("state", "status", "level"),
    [
        ("COMPLETED", "PASS", "logs"), ("COMPLETED", "WARN", "logs"), ("COMPLETED", "WAIVED", "logs"),
        ("COMPLETED", "FAIL", "none"), ("KILLED", "KILLED", "none"), ("INCOMPLETE", "DEAD", "none"),
        ("COMPLETED", "INFRA", "none"), ("RUNNING", "n/a", "all"), ("KILLREQ", "n/a", "all"),
        ("NOT_STARTED", "n/a", "all"), ("ARCHIVED", "PASS", "all"), ("DELETED", "n/a", "all"),
    ],
)  # fmt: skip
def test_what_stays_of_a_case_follows_its_verdict(state: str, status: str, level: str) -> None:
    policy = Policy(failed="numbers", passed="logs")
    assert policy.level(CaseRow("a", "", state=state, status=status)) == level
