"""The old command as a script inside a test calls it (spec/runs.md 1.5, 1.6)."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest
from testarea import BIN, Area

from mt.db import Store
from mt.journal import drop, row_fields
from mt.model import CaseKey, CaseRow, RunKey
from mt.queries import cases, numbers, said


class Case:
    """A made-up running case: its directory, its environment, and what was said in it."""

    def __init__(self, area: Area, item: str = "a/b") -> None:
        self.area = area
        self.dir = area.home / "case"
        self.dir.mkdir()
        self.journal = area.home / ".mtdb" / "journal" / "7"
        self.journal.mkdir(parents=True)
        facts = {
            "db": str(area.home / ".mtdb"), "id": 7, "target": "ubuntu/nfs", "run": "r1", "test": "t", "item": item,
            "attempt": 2, "gen": 3, "dir": str(self.dir),
        }  # fmt: skip
        self.env = {"MT_CMDINFO": base64.b64encode(json.dumps(facts).encode()).decode()}

    def mt(self, *words: str, **more: Any) -> Any:
        """Run megatest in the directory of the case."""
        return self.area.mt(*words, **{"prog": "megatest", "env": self.env, "cwd": self.dir, **more})

    def ok(self, *words: str, **more: Any) -> Any:
        """The same, insisting on 0 and silence."""
        result = self.mt(*words, **more)
        assert (result.status, result.out, result.err) == (0, "", "")
        return result

    def said(self) -> list[dict[str, Any]]:
        """What the worker of the case would read."""
        path = self.dir / ".mt/said.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def dropped(self) -> list[dict[str, Any]]:
        """What the next fold would read, oldest first."""
        files = (self.journal / "drop").glob("*.ndjson")
        events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted(events, key=lambda event: (event["t"], event["s"]))

    def steps(self) -> list[tuple[str, str, str, str, str]]:
        """Name, state, status, log and comment of the steps."""
        return [(e["name"], e["state"], e["status"], e["log"], e["comment"]) for e in self.said() if e["k"] == "step"]

    def values(self) -> list[tuple[str, str, str, str]]:
        """Category, variable, value and status of the data."""
        return [(e["category"], e["variable"], e["value"], e["status"]) for e in self.said() if e["k"] == "value"]

    def results(self) -> list[tuple[str, str, str, str]]:
        """State, status, comment and log of what the test said of itself."""
        return [(e["state"], e["status"], e["comment"], e["log"]) for e in self.said() if e["k"] == "result"]


@pytest.fixture
def case(area: Area) -> Case:
    """A running case."""
    return Case(area)


INSIDE = [
    ("-step", "s", "-state", "start", "-status", "running"),
    ("-test-status", ":state", "COMPLETED", ":status", "PASS"),
    ("-setlog", "x.log"),
    ("-set-toplog", "x.log"),
    ("-summarize-items",),
    ("-load-test-data",),
    ("-set-values", ":value", "1"),
    ("-runstep", "s", "true"),
]


@pytest.mark.parametrize("words", INSIDE, ids=lambda words: words[0])
def test_outside_of_a_test_it_is_status_5(words: tuple[str, ...], area: Area) -> None:
    """spec/runs.md 1.2: 5."""
    result = area.mt(*words, prog="megatest")
    assert (result.status, result.out) == (5, "")
    assert result.err.startswith("ERROR: not inside a test: MT_CMDINFO is not set")


def test_a_spoiled_cmdinfo_is_status_5_too(area: Area) -> None:
    """spec/runs.md 1.2: 5."""
    result = area.mt("-setlog", "x", prog="megatest", env={"MT_CMDINFO": "x"})
    assert result.status == 5
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("-step", "s"),
        ("-step", "s", "-state", "start"),
        ("-step", "s", ":status", "0"),
        ("-test-status",),
        ("-test-status", ":state", "COMPLETED"),
        ("-test-status", "-state", "COMPLETED", "-status", "PASS"),
        ("-runstep", "s"),
        ("-runstep", "s", "-logpro", "s.logpro"),
    ],
)
def test_missing_words_are_status_6_and_nothing_is_recorded(words: tuple[str, ...], case: Case) -> None:
    """spec/runs.md 1.2: 6; only the colon forms count for -test-status (1.5)."""
    result = case.mt(*words)
    assert (result.status, result.out) == (6, "")
    assert result.err.startswith("ERROR: ")
    assert case.said() == case.dropped() == []


def test_a_step_is_recorded_by_either_spelling(case: Case) -> None:
    """spec/runs.md 1.5 -step."""
    case.ok("-step", "a", "-state", "start", "-status", "running")
    case.ok("-step", "a", ":state", "end", ":status", "3", "-setlog", "a.log", "-m", "so so")
    assert case.steps() == [("a", "start", "running", "", ""), ("a", "end", "3", "a.log", "so so")]
    assert case.results() == [("", "", "", "a.log")], "-setlog also becomes the log of the test"
    assert [e["k"] for e in case.dropped()] == ["step", "step", "result"]
    assert [e["exits"] for e in case.said() if e["k"] == "step"] == [[], [3]]


def test_a_step_works_from_any_directory(case: Case) -> None:
    """spec/runs.md 1.5: the case is that of MT_CMDINFO, wherever one is."""
    (case.dir / "a.dat").write_text("[final]\nexit-code 0\nexit-status PASS\n")
    case.ok("-step", "a", "-state", "end", "-status", "0", cwd=case.area.home.parent)
    assert case.steps() == [("a", "end", "0", "", "PASS")]


DAT = """\
[rule-3]
operator <
section LogFileBody
desc speed
status FAIL
expected 10
measured 12.5
type +/-2
pass 0
fail 1

[final]
exit-code 1
exit-status FAIL
message value: speed
"""


def test_a_step_takes_up_what_its_dat_file_holds(case: Case) -> None:
    """spec/runs.md 1.5 -step and 1.6, spec/config.md P30."""
    (case.dir / "a.dat").write_text(DAT)
    case.ok("-step", "a", "-state", "end", "-status", "1", "-m", "not this")
    assert case.steps() == [("a", "end", "1", "", "FAIL: value: speed")]
    assert case.values() == [("a", "rule-3", "12.5", "FAIL"), ("a", "final", "1", "FAIL")]
    rule, final = (e for e in case.said() if e["k"] == "value")
    shown = ("expected", "tol", "units", "comment", "type")
    assert [rule[n] for n in shown] == ["10", "2", "n/a", "speed", "+/-2"]
    assert [final[n] for n in shown] == ["0", "0", "n/a", "value: speed", "logpro"]


def test_a_dat_file_that_says_nothing_changes_nothing(case: Case) -> None:
    """spec/runs.md 1.5 -step: an empty S.dat, or one that is none."""
    (case.dir / "a.dat").write_text("")
    (case.dir / "b.dat").write_bytes(b"\0\xff")
    case.ok("-step", "a", "-state", "end", "-status", "0", "-m", "mine")
    case.ok("-step", "b", "-state", "end", "-status", "0", "-m", "mine")
    assert [comment for *_, comment in case.steps()] == ["mine", "mine"]
    assert case.values() == []


def test_words_beyond_validvalues_are_recorded_all_the_same(case: Case) -> None:
    """spec/runs.md 1.5 and spec/config.md validvalues: only a remark, at level 3."""
    config = case.area.read("megatest.config")
    case.area({"megatest.config": config + "\n[validvalues]\nstate start end\nstatus 0 1\n"})
    case.ok("-step", "a", "-state", "odd", "-status", "0")
    result = case.mt("-step", "b", "-state", "odd", "-status", "7", "-debug", "3")
    assert result.status == 0
    assert "WARNING: state odd is none of [validvalues] state: start end" in result.err
    assert "WARNING: status 7 is none of [validvalues] status: 0 1" in result.err
    assert [(name, state) for name, state, *_ in case.steps()] == [("a", "odd"), ("b", "odd")]


@pytest.mark.parametrize(
    ("word", "status"),
    [("0", "PASS"), ("1", "FAIL"), ("-1", "FAIL"), ("WARN", "WARN"), ("AUTO", "AUTO"), ("odd", "odd")],
)
def test_a_test_names_its_result(word: str, status: str, case: Case) -> None:
    """spec/runs.md 1.5 -test-status, spec/config.md T86."""
    case.ok("-test-status", ":state", "COMPLETED", ":status", word, "-m", "text", "-setlog", "l.html")
    assert case.results() == [("COMPLETED", status, "text", "l.html")]


def test_odd_states_are_taken_as_they_are(case: Case) -> None:
    """spec/config.md T4 [QA blocktestxz]."""
    case.ok("-test-status", ":state", "STUCK/DEAD", ":status", "KEEP_TRYING")
    assert case.results() == [("STUCK/DEAD", "KEEP_TRYING", "", "")]


def test_logs_are_named_for_the_test_and_for_its_top_record(case: Case) -> None:
    """spec/runs.md 1.5 -setlog, -set-toplog."""
    case.ok("-setlog", "mine.html", "-set-toplog", "../all.html")
    assert case.results() == [("", "", "", "mine.html")], "the worker of an item is not told of the top record"
    logs = [(e["item"], e["log"]) for e in case.dropped()]
    assert sorted(logs) == [("", "../all.html"), ("a/b", "mine.html")]


def test_the_top_record_of_a_test_without_items_is_the_test(area: Area) -> None:
    """spec/runs.md 1.5 -set-toplog."""
    case = Case(area, item="")
    case.ok("-set-toplog", "all.html")
    assert case.results() == [("", "", "", "all.html")]


def test_rows_of_data_are_judged(case: Case) -> None:
    """spec/runs.md 1.6 and spec/config.md T85: every row of the table; D7: no tolerance, no status."""
    rows = """\
a,b,1,2,0,,c,pass
x,v1,1.05,1.0,0.1
x,v2,1.2,1.0,0.1
x,v3,5,3,>
x,v4,3,3,>
x,v5,5,3,=
x,v6,5,3
x,v7,ok,ok,0
 foo , rab , 1.0e9 , 10e9 , 1e9
foo,bla,1.2,1.9,<
foo,bra,1.2,pass,x
x,v8,1,1,0,,c,n/a
x,v9,"1,5",1
x,v10,1,1,,u
"""
    case.ok("-load-test-data", stdin=rows)
    assert case.values() == [
        ("a", "b", "1", "pass"),
        ("x", "v1", "1.05", "pass"),
        ("x", "v2", "1.2", "fail"),
        ("x", "v3", "5", "pass"),
        ("x", "v4", "3", "fail"),
        ("x", "v5", "5", "ERROR: bad tol comparator ="),
        ("x", "v6", "5", ""),
        ("x", "v7", "ok", ""),
        ("foo", "rab", "1.0e9", "fail"),
        ("foo", "bla", "1.2", "pass"),
        ("foo", "bra", "1.2", ""),
        ("x", "v8", "1", "pass"),
        ("x", "v9", "1,5", ""),
        ("x", "v10", "1", "ERROR: bad tol comparator "),
    ]
    assert len(list((case.journal / "drop").iterdir())) == 1, "one call, one drop"


def test_data_that_are_no_text_are_kept_as_far_as_they_go(case: Case) -> None:
    """spec/runs.md 1.6: a test's output is bytes."""
    script = f"printf 'a,b,\\377x\\n' | {BIN}/megatest -load-test-data -m $'\\377'"
    done = subprocess.run(["bash", "-c", script], cwd=case.dir, env={**case.area.env, **case.env}, check=False)
    assert done.returncode == 0
    assert case.values() == [("a", "b", "\ufffdx", "")]


def test_loaded_data_change_a_result_that_was_named_before(case: Case) -> None:
    """spec/runs.md 1.6: the roll-up of -load-test-data."""
    case.ok("-load-test-data", stdin="a,b,1,1,0\n")
    assert case.results() == [], "a test that runs is judged at its end"
    case.ok("-test-status", ":state", "COMPLETED", ":status", "ABORT")
    case.ok("-load-test-data", stdin="a,c,1,1,0\n")
    case.ok("-load-test-data", stdin="a,d,1,2,0\n")
    case.ok("-load-test-data", stdin="a,d,2,2,0\n")
    assert [r[:2] for r in case.results()] == [("COMPLETED", s) for s in ("ABORT", "PASS", "FAIL")]


@pytest.mark.parametrize(
    ("words", "row"),
    [
        ((":value", "3"), ("", "", "3", "")),
        ((":value", "3", ":expected", "3", ":tol", "0", ":variable", "v"), ("", "v", "3", "pass")),
        ((":value", "3", ":expected", "4", ":tol", "<", ":category", "c"), ("c", "", "3", "pass")),
        ((":value", "3", ":expected", "4"), ("", "", "3", "")),
    ],
)
def test_one_value_needs_no_more_than_the_value(words: tuple[str, ...], row: tuple[str, ...], case: Case) -> None:
    """spec/runs.md 1.5 -set-values, C3, D7; D17: it does not wait."""
    case.ok("-set-values", *words)
    assert case.values() == [row]
    assert case.results() == []


def test_values_and_result_can_be_set_in_one_call(case: Case) -> None:
    """spec/runs.md 1.5: several may stand in one call; -m is the comment of the test."""
    words = ("-test-status", ":state", "COMPLETED", ":status", "0", "-m", "level", "-set-values", ":value", "1e6")
    case.ok(*words, ":expected", "1.1e6", ":tol", "1e5", ":units", "Hz", ":category", "c", ":variable", "f")
    assert case.values() == [("c", "f", "1e6", "pass")]
    assert case.results() == [("COMPLETED", "PASS", "level", "")]


def test_all_that_one_call_asks_for_is_done_in_the_old_order(case: Case) -> None:
    """spec/runs.md 1.5: data, logs, steps, value, result."""
    words = ("-test-status", ":state", "COMPLETED", ":status", "AUTO", "-step", "s", "-state", "end", "-status", "0")
    case.ok(*words, "-load-test-data", "-setlog", "l", "-set-values", ":value", "1", stdin="a,b,1\n")
    assert [e["k"] for e in case.said()] == ["value", "step", "value", "result"]
    assert case.results() == [("COMPLETED", "AUTO", "", "l")]


def test_what_was_asked_before_missing_words_is_recorded(case: Case) -> None:
    """spec/runs.md 1.5, 1.2: the old program had done it by then."""
    assert case.mt("-setlog", "l", "-load-test-data", "-test-status", stdin="a,b,1\n").status == 6
    assert case.values() == [("a", "b", "1", "")]
    assert case.results() == [("", "", "", "l")]


@pytest.mark.parametrize(("code", "status"), [(0, 0), (1, 1), (2, 2), (3, 3), (9, 3), (255, 3)])
def test_a_command_is_run_as_a_step_and_its_code_is_ours(code: int, status: int, case: Case) -> None:
    """spec/runs.md 1.5 -runstep, 1.2; D17: the record keeps the code."""
    result = case.mt("-runstep", "w", "-m", "try", f"echo out; echo err >&2; exit {code}")
    assert (result.status, result.out, result.err) == (status, "", "")
    assert (case.dir / "w.log").read_text() == "out\nerr\n"
    assert case.steps() == [("w", "start", "n/a", "w.log", "try"), ("w", "end", str(code), "w.log", "try")]
    assert case.results() == []


def test_the_words_of_a_step_are_one_command_line_for_the_shell(case: Case) -> None:
    """spec/runs.md 1.5 -runstep: cmd args..."""
    case.ok("-runstep", "w", "echo", "one  two", "| wc", "-w;", "echo $MT_TEST")
    assert (case.dir / "w.log").read_text().split() == ["2"]


RULES = """\
(expect:warning in "LogFileBody" = 0 "none" #/careful/)
(expect:error in "LogFileBody" = 0 "none" #/wrong/)
"""


@pytest.mark.parametrize(("text", "code"), [("fine", 0), ("wrong", 1), ("careful", 2)])
def test_log_rules_judge_a_step_in_place_of_its_code(text: str, code: int, case: Case) -> None:
    """spec/runs.md 1.5 -runstep -logpro; spec/config.md 5.3 STEP_logpro.log."""
    (case.dir / "w.logpro").write_text(RULES)
    result = case.mt("-runstep", "w", "-logpro", "w.logpro", f"echo {text}; exit 7")
    assert (result.status, result.out, result.err) == (code, "", "")
    assert case.steps()[-1] == ("w", "end", str(code), "w.log", "")
    assert case.said()[-2]["exits"] == [7]
    assert case.results() == [("", "", "", "w.html")], "the page is the log of the test"
    assert (case.dir / "w.html").exists()
    assert "LOGPRO SUMMARY" in (case.dir / "w_logpro.log").read_text()
    assert case.values() == [], "only -step takes up the .dat file"


def test_rules_that_are_not_there_are_a_failure(case: Case) -> None:
    """spec/runs.md 1.5 -runstep -logpro: logpro leaves with 1."""
    assert case.mt("-runstep", "w", "-logpro", "none.logpro", "true").status == 1
    assert case.steps()[-1][2] == "1"


def test_a_step_runs_where_it_is_called(case: Case) -> None:
    """spec/runs.md 1.5 -runstep: its files are beside it, and recorded as seen from the run directory."""
    (case.dir / "sub").mkdir()
    case.ok("-runstep", "w", "pwd", cwd=case.dir / "sub")
    assert (case.dir / "sub/w.log").read_text().strip() == str(case.dir / "sub")
    assert [log for _, _, _, log, _ in case.steps()] == ["sub/w.log"] * 2


def test_a_store_that_cannot_be_written_is_status_50(case: Case) -> None:
    """spec/runs.md 1.2: 50."""
    case.journal.rmdir()
    result = case.mt("-setlog", "x")
    assert result.status == 50
    assert result.err.startswith("ERROR: cannot record what 't' said")


def test_what_a_case_is_can_be_shown(case: Case) -> None:
    """spec/runs.md 5.11 -show-cmdinfo."""
    facts = json.loads(case.mt("-show-cmdinfo", "-dumpmode", "json").out)
    assert facts["test-name"] == "t"
    assert facts["runname"] == "r1"
    assert '(target . "ubuntu/nfs")' in case.mt("-show-cmdinfo").out
    outside = case.area.mt("-show-cmdinfo", prog="megatest")
    assert (outside.status, outside.out) == (0, "")
    assert outside.err.startswith("INFO: (0) there is nothing to show")


# -- in a real run


def test_a_fold_takes_up_all_that_was_said(area: Area) -> None:
    """spec/runs.md 1.5, 1.6, in a run from beginning to end."""
    area.test("t", "$MT_MEGATEST -step x -state start -status 0 && echo a,b,1,1,0 | $MT_MEGATEST -load-test-data",
              "$MT_MEGATEST -setlog own.html -set-toplog top.html; $MT_MEGATEST -step x -state end -status 2 -m why",
              items={"I": "a b"})  # fmt: skip
    assert area.mt("run", "-t", "ubuntu/nfs", "-r", "r1", "-q").status == 0
    steps = [(r["step"], r["status"], r["comment"]) for r in area.rows("steps", "t/a", "-r", "r1") if r["step"] == "x"]
    assert steps == [("x", "2", "why")]
    values = area.rows("values", "-c", "t/b", "-r", "r1")
    assert [(r["category"], r["variable"], r["status"]) for r in values] == [("a", "b", "pass")]
    logs = {(s.item, s.log) for s in said(Store(str(area.home)), 1) if s.log}
    assert logs == {("a", "own.html"), ("b", "own.html"), ("", "top.html")}


SCRIPT = """\
#!/bin/bash
$MT_MEGATEST -runstep look -logpro look.logpro "ls /"
$MT_MEGATEST -test-status :state COMPLETED :status $? -m level -set-values :value 1 :variable v
$MT_MEGATEST -setlog own.html
exit 0
"""


def test_a_log_that_is_named_later_leaves_the_result_as_it_was(area: Area) -> None:
    """spec/runs.md 1.5 -setlog, -test-status, 3.5: rules warn (2), and any number but 0 is FAIL."""
    rules = '(expect:warning in "LogFileBody" = 0 "w" #/etc/)\n'
    area(
        {"tests/t/testconfig": "[setup]\nrunscript main.sh\n", "tests/t/main.sh": SCRIPT, "tests/t/look.logpro": rules}
    )
    assert area.mt("run", "-t", "ubuntu/nfs", "-r", "r1", "-q").status == 1
    (row,) = area.rows("tests", "-r", "r1")
    assert (row["state"], row["status"], row["comment"]) == ("COMPLETED", "FAIL", "level")


def test_the_page_of_the_items_is_written_when_it_is_asked_for(area: Area) -> None:
    """spec/runs.md 1.5 -summarize-items, spec/config.md 5.3: also when the top record has another log."""
    page = "$MT_LINKTREE/$MT_TARGET/$MT_RUNNAME/t/megatest-rollup-t.html"
    script = f"$MT_MEGATEST -set-toplog top.html -summarize-items && cp {page} seen.html && grep -c RUNNING {page}"
    area.test("t", script, items={"I": "a"})
    assert area.mt("run", "-t", "ubuntu/nfs", "-r", "r1", "-q").status == 0
    assert "<h1>ubuntu/nfs//r1//t</h1>" in area.read("runs/ubuntu/nfs/r1/t/a/seen.html")


# -- recovering


class Lost:
    """A recorded case whose worker died, with what it had said of itself."""

    def __init__(self, area: Area, *events: dict[str, Any], state: str = "RUNNING") -> None:
        self.area = area
        self.store = Store(str(area.home), create=True)
        self.id = self.store.create_run(RunKey("ubuntu/nfs", "r1"), owner="tester")
        where = area.home / "lt/gone"
        (where / ".mt").mkdir(parents=True)
        lines = [json.dumps({"k": "result", "test": "t", "item": "", "attempt": 1, "comment": "", **e}) for e in events]
        (where / ".mt/said.ndjson").write_text("".join(line + "\n" for line in lines))
        row = CaseRow("t", "", 1, 2, state, "n/a", host="elsewhere", pid=1, dir=str(where))
        drop(self.store.journal_dir(self.id), [("case", row_fields(row))])

    def recover(self, word: str | None = None) -> Any:
        """Call -recover-test."""
        return self.area.mt("-recover-test", word or f"{self.id},1", prog="megatest")

    def row(self) -> tuple[str, str]:
        """How the case is recorded now."""
        assert numbers(self.store, self.id) == {CaseKey("t"): 1}
        (row,) = cases(self.store, self.id)
        return row.state, row.status


def test_a_lost_test_becomes_what_it_had_said(area: Area) -> None:
    """spec/runs.md 1.5 -recover-test."""
    lost = Lost(area, {"state": "COMPLETED", "status": "WARN", "attempt": 1})
    result = lost.recover()
    assert (result.status, result.out) == (0, "")
    assert "is COMPLETED/WARN" in result.err
    assert lost.row() == ("COMPLETED", "WARN")


def test_a_lost_test_that_had_said_nothing_is_interrupted(area: Area) -> None:
    """spec/runs.md 1.5 -recover-test."""
    lost = Lost(area, {"state": "COMPLETED", "status": "PASS", "attempt": 7}, {"state": "RUNNING", "status": "AUTO"})
    assert lost.recover().status == 0
    assert lost.row() == ("INCOMPLETE", "DEAD")


def test_a_test_that_has_ended_is_left_alone(area: Area) -> None:
    """spec/runs.md 1.5 -recover-test."""
    lost = Lost(area, state="COMPLETED")
    assert "nothing to recover" in lost.recover().err
    assert lost.row() == ("COMPLETED", "n/a")


@pytest.mark.parametrize("word", ["x", "1", "1,x", "99,1", "1,99"])
def test_what_is_no_test_cannot_be_recovered(word: str, area: Area) -> None:
    """spec/runs.md 1.5 -recover-test."""
    result = Lost(area).recover(word)
    assert result.status == 1
    assert result.err.startswith("ERROR: ")
