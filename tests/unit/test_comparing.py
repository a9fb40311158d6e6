"""How tests of two runs compare, rule by rule (spec/runs.md 5.15)."""

from __future__ import annotations

import pytest

from mt.comparing import CLASSES, Outcome, classified, compare, tallied
from mt.model import CaseKey


def done(status: str) -> Outcome:
    return "COMPLETED", status


RUNNING: Outcome = ("RUNNING", "n/a")
KILLED: Outcome = ("KILLED", "KILLED")


@pytest.mark.parametrize(
    ("src", "dest", "kind"),
    [
        (RUNNING, KILLED, "BOTH-BAD"),
        (RUNNING, None, "BOTH-BAD"),
        (done("PASS"), RUNNING, "NOT-IN-DEST"),
        (done("FAIL"), None, "NOT-IN-DEST"),
        (RUNNING, done("PASS"), "NOT-IN-SRC"),
        (None, done("FAIL"), "NOT-IN-SRC"),
        *((done(s), done(s), "CLEAN") for s in ("PASS", "SKIP", "WAIVED", "WARN")),
        *((done(s), done(s), "BOTH-BAD") for s in ("FAIL", "ABORT", "CHECK")),
        (done("PASS"), done("FAIL"), "WORSE"),
        (done("FAIL"), done("PASS"), "BETTER"),
        (done("ABORT"), done("DEAD"), "WORSE"),
        (done("CHECK"), done("ABORT"), "BETTER"),
        (done("CHECK"), done("DEAD"), "BOTH-BAD"),
        *((done(s), done("PASS"), "NOT-IN-SRC") for s in ("DELETED", "INCOMPLETE", "STUCK/DEAD", "N/A", "n/a")),
    ],
)
def test_a_test_has_its_class(src: Outcome | None, dest: Outcome | None, kind: str) -> None:
    assert classified(src, dest) == kind


def test_statuses_rank_from_pass_to_abort() -> None:
    order = ["PASS", "WARN", "WAIVED", "SKIP", "FAIL", "ABORT", "anything"]
    for n, better in enumerate(order):
        for worse in order[n + 1 :]:
            assert classified(done(better), done(worse)) == "WORSE", (better, worse)
            assert classified(done(worse), done(better)) == "BETTER", (better, worse)


def test_tests_are_compared_by_full_name_and_a_change_is_shown() -> None:
    src = {CaseKey("b", "1"): done("PASS"), CaseKey("a"): done("PASS"), CaseKey("old"): done("WARN")}
    dest = {CaseKey("b", "1"): done("FAIL"), CaseKey("a"): done("PASS"), CaseKey("new"): KILLED}
    found = compare(src, dest)
    assert [(str(d.key), d.kind, str(d)) for d in found] == [
        ("a", "CLEAN", "PASS->PASS"),
        ("b/1", "WORSE", "PASS->FAIL"),
        ("new", "BOTH-BAD", "absent->KILLED/KILLED"),
        ("old", "NOT-IN-DEST", "WARN->absent"),
    ]
    assert tallied(found) == {**dict.fromkeys(CLASSES, 0), "WORSE": 1, "NOT-IN-DEST": 1, "BOTH-BAD": 1, "CLEAN": 1}
