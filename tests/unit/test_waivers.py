"""What an entry of [waivers] means (spec/runs.md 3.7, spec/config.md T35)."""

from __future__ import annotations

import pytest
from fakes.specs import spec

from mt.model import CaseRow, RunKey
from mt.pipeline.waivers import DIFF, LOGPRO, Earlier, Entry, decide, entry, filled, passes, rule_of

RULES = {"same": "cmp %file1% %file2%", "quiet": "grep -q ok %file1% # %waivername%"}


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("logpro a.log", Entry("w", "logpro", "a.log")),
        ("same  *.log", Entry("w", "same", "*.log")),
        ("out.txt", Entry("w", "", "out.txt")),
        ("out.txt same", Entry("w", "same", "out.txt")),
        ("out.txt diff", Entry("w", "diff", "out.txt")),
        ("unknown out.txt", Entry("w", "unknown", "out.txt")),
        ("  ", None),
    ],
)
def test_an_entry_is_a_rule_and_a_file(value: str, meant: Entry | None) -> None:
    """T35 writes `NAME RULE GLOB`, spec/runs.md 3.7 `name file [rule]`: both are read."""
    assert entry("w", value, RULES) == meant


def test_the_rule_is_that_of_the_testconfig_else_logpro_else_diff() -> None:
    """T35: a name that is no rule falls back."""
    assert rule_of(Entry("w", "same", "f"), RULES, has_logpro=True) == RULES["same"]
    assert rule_of(Entry("w", "logpro", "f"), RULES, has_logpro=True) == LOGPRO
    assert rule_of(Entry("w", "logpro", "f"), RULES, has_logpro=False) == DIFF
    assert rule_of(Entry("w", "", "f"), {}, has_logpro=False) == DIFF


def test_marks_are_replaced_by_the_files_of_both_runs_and_the_name() -> None:
    made = filled(LOGPRO, Entry("w1", "logpro", "*.log"), "/new dir/t", "/old/t")
    assert made == "diff '/new dir/t'/*.log /old/t/*.log | logpro w1.logpro w1.html"


@pytest.mark.parametrize(
    ("command", "code", "holds"),
    [
        (LOGPRO, 0, True),
        (LOGPRO, 2, True),
        (LOGPRO, 1, False),
        ("diff a b | /opt/bin/logpro w.logpro w.html", 2, True),
        (DIFF, 0, True),
        (DIFF, 1, False),
        (DIFF, 2, False),
        ("logpro w.logpro w.html < f | grep x", 2, False),
        ("grep logpro f", 2, False),
    ],
)
def test_a_warning_of_log_rules_is_enough_but_trouble_of_diff_is_not(command: str, code: int, holds: bool) -> None:
    """D15 of spec/config.md 7: accept 0 and 2, where 2 is a verdict of logpro."""
    assert passes(command, code) is holds


def test_without_waivers_nothing_is_excused() -> None:
    assert not decide(spec("t"), "/nowhere", None, {}).excused


def test_the_earlier_run_must_have_it_waived() -> None:
    waived = spec("t")._replace(waivers=(("w", "f"),))
    assert "no other run" in decide(waived, "/nowhere", None, {}).why
    old = Earlier(RunKey("u", "r1"), CaseRow("t", "", state="COMPLETED", status="PASS"))
    assert "COMPLETED/PASS in u//r1" in decide(waived, "/nowhere", old, {}).why
