"""Waivers carried on by real comparisons of real files (spec/runs.md 3.7, spec/config.md T35)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.specs import spec
from recorded import Recorded
from testarea import BIN, Area

from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline.waivers import Answer, Earlier, Final, decide, earlier, settled

ENV = {"PATH": f"{os.defpath}:{BIN}", "HOME": "/nonexistent"}


class Two:
    """The directory of a failed case now and that of the waived one before."""

    def __init__(self, top: Path) -> None:
        self.new, self.old = top / "new dir", top / "old"
        self.new.mkdir()
        self.old.mkdir()

    def write(self, name: str, new: str | None, old: str | None) -> None:
        for place, text in ((self.new, new), (self.old, old)):
            if text is not None:
                (place / name).write_text(text)

    def decide(self, waivers: dict[str, str], rules: dict[str, str] | None = None, comment: str = "") -> Answer:
        test = spec("t")._replace(waivers=tuple(waivers.items()), waiver_rules=tuple((rules or {}).items()))
        row = CaseRow("t", "", state="COMPLETED", status="WAIVED", dir=str(self.old), comment=comment)
        return decide(test, str(self.new), Earlier(RunKey("u", "r1"), row), ENV)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_a_failure_with_the_same_file_stays_waived_and_keeps_the_comment(two: Two) -> None:
    two.write("out.txt", "same\n", "same\n")
    assert two.decide({"w": "out.txt"}, comment="ticket 12") == Answer(True, "ticket 12", "waived as in u//r1: w")
    assert two.decide({"w": "diff out.txt"}).comment == "waived in u//r1"


def test_a_failure_with_another_file_fails(two: Two) -> None:
    two.write("out.txt", "new\n", "old\n")
    answer = two.decide({"w": "out.txt"})
    assert not answer.excused
    assert answer.why == "waiver 'w' does not hold: exit 1 of diff"
    assert "> old" in (two.new / "mt_launch.log").read_text()


def test_every_entry_must_pass(two: Two) -> None:
    two.write("a", "1\n", "1\n")
    two.write("b", "1\n", "2\n")
    assert two.decide({"one": "a", "other": "diff a"}).excused
    assert not two.decide({"one": "a", "other": "b"}).excused


def test_the_rule_of_the_testconfig_decides(two: Two) -> None:
    two.write("out.txt", "took 3 s\nbad\n", "took 5 s\nbad\n")
    rules = {"notime": "grep -v took %file1% > n; grep -v took %file2% > o; cmp n o"}
    assert two.decide({"w": "notime out.txt"}, rules).excused
    assert two.decide({"w": "out.txt notime"}, rules).excused
    assert not two.decide({"w": "out.txt"}, rules).excused


def test_the_difference_is_judged_by_log_rules_of_the_waivers_name(two: Two) -> None:
    """With `NAME.logpro` the difference goes through logpro; 2, a warning, is good enough (D15)."""
    two.write("out.txt", "serial 17\n", "serial 16\n")
    (two.new / "w.logpro").write_text('(expect:error in "LogFileBody" = 0 "changed" #/fatal/)\n')
    assert two.decide({"w": "logpro out.txt"}).excused
    assert (two.new / "w.html").exists()
    (two.new / "w.logpro").write_text('(expect:warning in "LogFileBody" = 0 "serial" #/serial/)\n')
    assert two.decide({"w": "logpro out.txt"}).excused
    (two.new / "w.logpro").write_text('(expect:error in "LogFileBody" = 0 "serial" #/serial/)\n')
    assert not two.decide({"w": "logpro out.txt"}).excused


def test_a_missing_file_excuses_nothing_even_when_its_rules_would_pass_an_empty_difference(two: Two) -> None:
    two.write("out.txt", "x\n", None)
    (two.new / "w.logpro").write_text("")
    answer = two.decide({"w": "logpro out.txt"})
    assert not answer.excused
    assert answer.why == f"waiver 'w' does not hold: there is no 'out.txt' in '{two.old}'"
    assert "names no file" in two.decide({"w": " "}).why


def test_the_file_may_be_a_pattern(two: Two) -> None:
    two.write("sim_17.log", "x\n", None)
    two.write("sim_16.log", None, "x\n")
    assert two.decide({"w": "diff sim_*.log"}).excused


def test_a_command_that_cannot_run_excuses_nothing(two: Two) -> None:
    two.write("f", "x", "x")
    assert "exit 127 of odd" in two.decide({"w": "odd f"}, {"odd": "no-such-command %file1%"}).why
    assert not two.decide({"w": "odd f"}, {"odd": "kill $$"}).excused


def test_a_run_directory_that_takes_no_log_excuses_nothing(two: Two) -> None:
    two.write("f", "x", "x")
    (two.new / "mt_launch.log").mkdir()
    assert "is a directory" in two.decide({"w": "f"}).why


def test_a_comparison_ends_when_its_case_must_end(two: Two) -> None:
    two.write("f", "x", "x")
    test = spec("t")._replace(waivers=(("w", "slow f"),), waiver_rules=(("slow", "sleep 60"),))
    row = CaseRow("t", "", state="COMPLETED", status="WAIVED", dir=str(two.old))
    answer = decide(test, str(two.new), Earlier(RunKey("u", "r1"), row), ENV, lambda: "killed by somebody")
    assert answer == Answer(False, "", "waiver 'w' does not hold: killed by somebody")


def test_the_most_recent_other_run_that_has_the_case_counts(area: Area) -> None:
    """Runs without the case, of other targets, and this run itself are passed over."""
    first, second, third, other = (
        Recorded(area, "r1"), Recorded(area, "r2"), Recorded(area, "r3"), Recorded(area, "r4", target="suse/nfs"),
    )  # fmt: skip
    now = Recorded(area, "now")
    first.case("t", "1", status="PASS")
    second.case("t", "1", status="WAIVED", comment="known")
    third.case("t", "2", status="FAIL")
    other.case("t", "1", status="ABORT")
    now.case("t", "1", status="FAIL")
    found = earlier(now.store, now.id, now.key.target, CaseKey("t", "1"))
    assert found is not None
    assert (found.run.name, found.row.status, found.row.comment) == ("r2", "WAIVED", "known")
    assert earlier(now.store, now.id, now.key.target, CaseKey("t", "9")) is None


def test_a_removed_case_is_as_if_it_had_never_been(area: Area) -> None:
    first, second, now = Recorded(area, "r1"), Recorded(area, "r2"), Recorded(area, "now")
    first.case("t", status="WAIVED")
    second.case("t", state="DELETED", status="n/a")
    found = earlier(now.store, now.id, now.key.target, CaseKey("t"))
    assert found is not None and found.run.name == "r1"


# -- what a worker asks


def test_a_good_verdict_is_never_looked_at_twice(tmp_path: Path) -> None:
    test = spec("t")._replace(waivers=(("w", "f"),))
    for status in ("PASS", "WARN", "SKIP", "WAIVED", "AUTO"):
        row = CaseRow("t", "", status=status, comment="x")
        found = settled("/nowhere", RunKey("u", "r"), row, test, str(tmp_path), None, {})
        assert found == Final(status, "x")


def test_a_failure_is_settled_by_the_waiver_of_the_run_before(area: Area) -> None:
    before, now = Recorded(area, "r1"), Recorded(area, "r2")
    before.case("t", status="WAIVED", comment="ticket 12")
    now.case("t", status="FAIL")
    for run in (before, now):
        (run.dir("t") / "out.txt").write_text("same\n")
    test = spec("t")._replace(waivers=(("w", "out.txt"),))

    def verdict() -> Final:
        row = CaseRow("t", "", status="FAIL", comment="Failed at step a")
        old = earlier(now.store, now.id, now.key.target, CaseKey("t"))
        return settled(str(area.home), now.key, row, test, str(now.dir("t")), old, ENV)

    assert verdict() == Final("WAIVED", "ticket 12", (f"waived as in {before.key}: w",))
    (now.dir("t") / "out.txt").write_text("other\n")
    assert verdict() == Final("FAIL", "Failed at step a", ("waiver 'w' does not hold: exit 1 of diff",))
    area({"waivers.config": "[quarantine t]\nticket BUG-1\nuntil 2999-01-01\n"})
    quarantined = verdict()
    assert quarantined.status == "WAIVED"
    assert quarantined.comment == "quarantined until 2999-01-01 (BUG-1): Failed at step a"
    assert quarantined.notes[-1] == "FAIL excused by [quarantine t]"


def test_a_failure_that_never_ran_before_is_not_excused(tmp_path: Path) -> None:
    test = spec("t")._replace(waivers=(("w", "f"),))
    row = CaseRow("t", "", status="FAIL", comment="x")
    found = settled(str(tmp_path), RunKey("u", "r"), row, test, str(tmp_path), None, ENV)
    assert (found.status, found.comment) == ("FAIL", "x")
    assert found.notes[0].startswith("no waiver to carry on: ")
