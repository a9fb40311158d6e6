"""mt step, mt result and mt value, as a script inside a test calls them."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testarea import BIN, Area


class Case:
    """A made-up running case: its directory, its environment, and what was said in it."""

    def __init__(self, area: Area) -> None:
        self.area = area
        self.dir = area.home / "case"
        self.dir.mkdir()
        self.journal = area.home / ".mtdb" / "journal" / "7"
        self.journal.mkdir(parents=True)
        facts = {
            "db": str(area.home / ".mtdb"), "id": 7, "target": "ubuntu/nfs", "run": "r1", "test": "t", "item": "a/b",
            "attempt": 2, "gen": 3, "dir": str(self.dir),
        }  # fmt: skip
        self.env = {"MT_CMDINFO": base64.b64encode(json.dumps(facts).encode()).decode()}

    def mt(self, *words: str, stdin: str | None = None) -> Any:
        """Run mt in the directory of the case."""
        return self.area.mt(*words, stdin=stdin, env=self.env, cwd=self.dir)

    def said(self) -> list[dict[str, Any]]:
        """What the worker of the case would read."""
        return [json.loads(line) for line in (self.dir / ".mt/said.ndjson").read_text().splitlines()]

    def dropped(self) -> list[dict[str, Any]]:
        """What the next fold would read, oldest first."""
        files = (self.journal / "drop").glob("*.ndjson")
        events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return sorted(events, key=lambda event: (event["t"], event["s"]))


@pytest.fixture
def case(area: Area) -> Case:
    """A running case."""
    return Case(area)


def plain(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without the number that only the journal has, and with times as the journal rounds them."""
    return [{n: round(v, 5) if n == "t" else v for n, v in e.items() if n != "s"} for e in events]


def test_a_result_reaches_the_worker_and_the_journal(case: Case) -> None:
    assert case.mt("result", "warn", "-m", "so so", "--log", "x.html").status == 0
    (event,) = case.said()
    about = {"k": "result", "test": "t", "item": "a/b", "attempt": 2}
    assert (
        event.items() >= {**about, "state": "COMPLETED", "status": "WARN", "comment": "so so", "log": "x.html"}.items()
    )
    assert plain(case.dropped()) == plain([event])


@pytest.mark.parametrize(("word", "status"), [("0", "PASS"), ("1", "FAIL"), ("255", "FAIL"), ("Pass", "PASS")])
def test_a_number_is_a_status_too(case: Case, word: str, status: str) -> None:
    assert case.mt("result", word).status == 0
    assert case.said()[0]["status"] == status


def test_auto_leaves_the_case_running_so_that_steps_still_count(case: Case) -> None:
    assert case.mt("result", "auto").status == 0
    assert (case.said()[0]["state"], case.said()[0]["status"]) == ("RUNNING", "AUTO")


def test_outside_a_test_there_is_one_clear_error(area: Area) -> None:
    for words in (["result", "PASS"], ["value", "a=1"], ["step", "s", "--", "true"]):
        result = area.mt(*words)
        assert (result.status, result.out) == (2, "")
        assert result.err.splitlines()[0] == "mt: not inside a test: MT_CMDINFO is not set"


def test_a_spoiled_mt_cmdinfo_is_an_error_and_not_a_traceback(area: Area) -> None:
    for word in ("x", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"db":1}').decode()):
        result = area.mt("result", "PASS", env={"MT_CMDINFO": word})
        assert result.status == 2
        assert "cannot read MT_CMDINFO" in result.err


def test_an_unknown_status_is_refused(case: Case) -> None:
    result = case.mt("result", "GREAT")
    assert result.status == 2
    assert "unknown status 'GREAT'" in result.err
    assert not (case.dir / ".mt").exists()


def test_a_value_is_judged_when_something_is_expected_of_it(case: Case) -> None:
    assert case.mt("value", "perf/speed=9.5", "--expect", "10", "--tol", "10%", "--units", "MB/s").status == 0
    assert case.mt("value", "n=3", "--expect", "4", "--check").status == 1
    assert case.mt("value", "name=abc", "--expect", "abc").status == 0
    assert case.mt("value", "x=1").status == 0
    rows = [(e["category"], e["variable"], e["value"], e["tol"], e["units"], e["status"]) for e in case.said()]
    assert rows == [
        ("perf", "speed", "9.5", "1.0", "MB/s", "pass"),
        ("", "n", "3", "0", "", "fail"),
        ("", "name", "abc", "", "", "pass"),
        ("", "x", "1", "", "", ""),
    ]
    assert plain(case.dropped()) == plain(case.said())


def test_rows_on_stdin_may_be_csv_or_objects_and_are_recorded_at_once(case: Case) -> None:
    rows = 'foo,bla,1.2,1.9,<\n\nfoo,rab,1.0e9,10e9,1e9,Hz,"a, b"\n{"category":"c","variable":"v","value":2.5}\n'
    assert case.mt("value", "-", stdin=rows).status == 0
    found = [(e["category"], e["variable"], e["value"], e["comment"], e["status"]) for e in case.said()]
    assert found == [
        ("foo", "bla", "1.2", "", "pass"),
        ("foo", "rab", "1.0e9", "a, b", "fail"),
        ("c", "v", "2.5", "", ""),
    ]
    assert len(list((case.journal / "drop").iterdir())) == 1


@pytest.mark.parametrize("rows", ["a,b\n", "{\n", "a,,3\n", '{"value":1}\n'])
def test_a_row_that_is_none_is_named_by_its_line_and_nothing_is_recorded(case: Case, rows: str) -> None:
    result = case.mt("value", "-", stdin="ok,v,1\n" + rows)
    assert result.status == 2
    assert result.err.startswith("mt: line 2: standard input: not a row of data")
    assert not (case.dir / ".mt").exists()


def test_a_step_runs_its_command_and_leaves_with_its_code(case: Case) -> None:
    result = case.mt("step", "work", "-m", "try", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.status, result.out, result.err) == (3, "", "")
    assert (case.dir / "work.log").read_text() == "out\nerr\n"
    start, end = case.said()
    assert (start["name"], start["state"], start["status"]) == ("work", "start", "-")
    assert (end["state"], end["status"], end["exits"], end["log"], end["comment"]) == (
        "end",
        "3",
        [3],
        "work.log",
        "try",
    )
    assert end["secs"] > 0
    assert end["rss"] > 100_000
    assert end["start"] == start["start"]
    assert plain(case.dropped()) == plain([start, end])


def test_a_step_shows_its_output_on_request(case: Case) -> None:
    result = case.mt("step", "talk", "-v", "--", "echo", "hello", "-v")
    assert (result.status, result.out) == (0, "hello -v\n")
    assert (case.dir / "talk.log").read_text() == "hello -v\n"


def test_a_step_whose_reader_leaves_still_ends_and_is_recorded(case: Case) -> None:
    script = "mt step many -v -- seq 100000 | head -n 1; exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", script], cwd=case.dir, env={**case.area.env, **case.env}, check=False)
    assert done.returncode == 0
    assert (case.dir / "many.log").read_text().endswith("\n100000\n")
    assert case.said()[-1]["state"] == "end"


def test_a_command_that_is_not_there_is_status_127_and_said_in_the_log(case: Case) -> None:
    result = case.mt("step", "gone", "--", "no-such-command")
    assert result.status == 127
    assert "cannot run 'no-such-command'" in result.err
    assert "cannot run 'no-such-command'" in (case.dir / "gone.log").read_text()
    assert case.said()[-1]["status"] == "127"


def test_a_command_ended_by_a_signal_is_128_and_more(case: Case) -> None:
    assert case.mt("step", "shot", "--", "sh", "-c", "kill -9 $$").status == 128 + 9


def test_a_step_that_is_told_to_end_records_the_end_of_its_command(case: Case) -> None:
    ready = case.dir / "ready"
    os.mkfifo(ready)
    words = [str(BIN / "mt"), "step", "long", "--", "sh", "-c", "echo > ready; exec sleep 100"]
    with subprocess.Popen(words, cwd=case.dir, env={**case.area.env, **case.env}) as process:
        assert Path(ready).read_text() == "\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert [e["state"] for e in case.said()] == ["start", "end"]


def test_the_log_rules_of_a_step_decide_in_place_of_its_code(case: Case) -> None:
    (case.dir / "judged.logpro").write_text('(expect:warning in "LogFileBody" = 0 "none" #/careful/)\n')
    assert case.mt("step", "judged", "--", "sh", "-c", "echo be careful; exit 9").status == 2
    end = case.said()[-1]
    assert (end["status"], end["exits"], end["log"]) == ("2", [9], "judged.html")
    assert (case.dir / "judged.html").exists()


def test_begin_and_end_of_a_step_can_be_said_by_hand(case: Case) -> None:
    assert case.mt("step", "hand", "start").status == 0
    assert case.mt("step", "hand", "end", "4", "-m", "sorry").status == 0
    assert [(e["name"], e["state"], e["status"], e["comment"]) for e in case.said()] == [
        ("hand", "start", "-", ""),
        ("hand", "end", "4", "sorry"),
    ]


@pytest.mark.parametrize("words", [["s"], ["s", "begin"], ["s", "start", "--", "true"], ["../s", "start"]])
def test_a_step_that_is_neither_is_a_usage_error(case: Case, words: list[str]) -> None:
    assert case.mt("step", *words).status == 2


def test_a_store_that_cannot_be_written_is_status_5(case: Case) -> None:
    case.journal.rmdir()
    result = case.mt("result", "PASS")
    assert result.status == 5
    assert result.err.startswith("mt: cannot record what 't' said: ")


def test_calls_inside_tests_import_nothing_slow(case: Case) -> None:
    heavy = {"sqlite3", "filelock", "dataclasses", "argparse", "subprocess", "tabulate", "plumbum", "csv", "asyncio"}
    for words in (["result", "PASS"], ["value", "a=1"], ["step", "s", "--", "true"], ["step", "s", "start"]):
        done = subprocess.run(
            [str(BIN / "python"), "-X", "importtime", "-m", "mt", *words],
            cwd=case.dir, env={**case.area.env, **case.env}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seen = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert not seen & heavy


@pytest.mark.parametrize(
    ("said", "status", "comment"),
    [
        ("mt result WARN -m careful", "WARN", "careful"),
        ("mt result 1", "FAIL", ""),
        ("mt value a=1 --expect 2; mt result AUTO", "FAIL", "values out of tolerance: a"),
        ("mt value a=1 --expect 2; mt value a=2 --expect 2; mt result AUTO", "PASS", ""),
        ("mt value a=1 --expect 1; mt result AUTO; false", "FAIL", "Failed at step s1: exit 1"),
        ("mt value a=1 --expect 2 --check", "FAIL", "Failed at step s1: exit 1"),
        ("mt value a=1 --expect 2", "PASS", ""),
        ("mt step inner -- false || true", "PASS", ""),
    ],
)
def test_what_a_test_says_becomes_its_verdict(area: Area, said: str, status: str, comment: str) -> None:
    area.test("t", said)
    area.mt("run", "-t", "ubuntu/nfs", "-r", "r1", "-q")
    (row,) = area.rows("tests")
    assert (row["state"], row["status"], row["comment"]) == ("COMPLETED", status, comment)


def test_a_failed_value_beats_a_warning_and_a_good_one_does_not(area: Area) -> None:
    rules = '[logpro]\ns1 ;;\n  (expect:warning in "LogFileBody" = 0 "none" #/careful/)\n'
    area.test("bad", "echo careful; mt value a=1 --expect 2; mt result AUTO", more=rules)
    area.test("good", "echo careful; mt value a=2 --expect 2; mt result AUTO", more=rules)
    area.mt("run", "-t", "ubuntu/nfs", "-r", "r1", "-q")
    assert {row["test"]: row["status"] for row in area.rows("tests")} == {"bad": "FAIL", "good": "WARN"}


def test_what_was_said_in_a_run_can_be_asked_for(area: Area) -> None:
    area.test(
        "t", "mt step inner -m hi -- sh -c 'echo text; exit 3'; mt value perf/x=4 --units s; mt result CHECK -m look"
    )
    area.mt("run", "-t", "ubuntu/nfs", "-r", "r1", "-q")
    (row,) = area.rows("show", "t")
    assert [(s["step"], s["status"]) for s in row["steps"] if s["step"] == "inner"] == [("inner", "3")]
    assert [(v["category"], v["variable"], v["value"], v["units"]) for v in row["values"]] == [("perf", "x", "4", "s")]
    assert [(said["status"], said["comment"]) for said in row["said"]] == [("CHECK", "look")]
    assert area.ok("log", "t", "--step", "inner").out == "text\n"
