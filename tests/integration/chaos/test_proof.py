"""The proof sees what it looks for: every rule is broken on purpose, in data and in a whole area."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mayhem import proof
from mayhem.proof import Mark, Process, Wrong
from mayhem.storm import Place, Storm, Weather, prepare
from testarea import TARGET, Area

A, B = Process("a", 7, 1), Process("b", 7, 1)


def lock(t: float, who: Process, op: str) -> dict[str, Any]:
    return {"t": t, "ev": "lock", "what": "run.1.lock", "op": op, **who._asdict()}


def rules(wrongs: list[Wrong]) -> list[str]:
    return [w.rule for w in wrongs]


def test_an_event_that_is_nowhere_or_twice_is_seen() -> None:
    events = {"x": {("w", 1)}, "y": {("w", 2), ("v", 1)}, "z": {("w", 3)}}
    kinds = dict.fromkeys("xyz", "note")
    assert proof.check_events({"x"}, {"x": {("w", 1)}}, {"x": "note"}, {"x": 1}) == []
    assert rules(proof.check_events({"n"}, {}, {}, {})) == ["lost"], "acknowledged, in no journal"
    found = proof.check_events(set("xyz"), events, kinds, {"x": 1, "y": 2})
    assert sorted(rules(found)) == ["doubled", "doubled", "lost"]
    assert rules(proof.check_events(set(), {}, {}, {"x": 1})) == ["lost"], "a db that knows more than its journals"


def test_one_event_that_stands_in_two_files_is_one_event() -> None:
    line = '{"k":"note","s":1,"t":1.0,"w":"h-1-a","test":"t","text":"tok:h:1"}'
    found = proof.events_of_tokens([("spool", line), ("all.ndjson.gz", line)])
    assert found == {"tok:h:1": {("h-1-a", 1)}}


def test_a_way_of_no_return_is_seen() -> None:
    case = ("r", "t", "1")
    assert proof.check_moves([(*case, 1, "RUNNING"), (*case, 1, "COMPLETED"), (*case, 2, "RUNNING")]) == []
    assert rules(proof.check_moves([(*case, 1, "COMPLETED"), (*case, 1, "RUNNING")])) == ["move"]
    assert rules(proof.check_moves([(*case, 2, "RUNNING"), (*case, 1, "COMPLETED")])) == ["move"]


def test_two_holders_of_one_lock_are_seen_unless_the_first_was_killed_before() -> None:
    assert proof.check_exclusion([lock(1, A, "acquire"), lock(2, A, "release"), lock(3, B, "acquire")], {}) == []
    both = [lock(1, A, "acquire"), lock(3, B, "acquire")]
    assert rules(proof.check_exclusion(both, {})) == ["exclusion"]
    assert proof.check_exclusion(both, {A: 2.0}) == []
    assert rules(proof.check_exclusion(both, {A: 4.0})) == ["exclusion"], "killed too late to be an excuse"
    assert rules(proof.check_exclusion(both, {A._replace(host="c"): 2.0})) == ["exclusion"], "another host's pid"
    late = [lock(1, A, "acquire"), lock(3, B, "acquire"), lock(3.2, A, "release"), lock(4, B, "release")]
    assert rules(proof.check_exclusion(late, {})) == ["exclusion"]
    assert proof.check_exclusion(late, {}, slack=0.5) == [], "clocks of two machines"
    assert rules(proof.check_dead([lock(9, A, "acquire")], {A: 2.0})) == ["evidence"]


def test_an_attempt_that_ran_twice_or_never_ended_is_seen() -> None:
    row = {"id": "r//t/1", "run": "r", "item": "1", "attempt": 2, "state": "COMPLETED", "status": "PASS", "comment": ""}
    good = [Mark("r", "1", 1, "a,1", False), Mark("r", "1", 2, "a,2", False), Mark("r", "1", 2, "a,2", True)]
    assert proof.check_executions(good, [row]) == []
    assert rules(proof.check_executions(good[:2], [row])) == ["execution"], "passed without an end"
    assert rules(proof.check_executions([*good, Mark("r", "1", 1, "b,1", False)], [row])) == ["execution"]
    assert rules(proof.check_executions([*good, Mark("r", "1", 3, "b,1", False)], [row])) == ["execution"]
    assert rules(proof.check_executions(good, [row | {"status": "FAIL"}])) == ["execution"]


@pytest.fixture
def rested(area: Area, tmp_path: Path) -> tuple[Area, Path]:
    """An area in which one run was driven in calm weather."""
    evidence = tmp_path / "evidence"
    prepare(area, evidence, 4)
    area.ok("run", "-q", "-t", TARGET, "-r", "r", env={"CHAOS": str(evidence)})
    return area, evidence


def said(area: Area, evidence: Path) -> list[str]:
    return sorted({w.rule for w in proof.prove(area.home, evidence).wrongs})


def test_what_is_wrong_in_an_area_is_found(rested: tuple[Area, Path]) -> None:
    area, evidence = rested
    report = proof.prove(area.home, evidence)
    assert not report.wrongs, str(report)
    assert (report.figures["cases"], report.figures["finished"], report.figures["events acknowledged"]) == (4, 4, 1)

    (evidence / "more.acks").write_text("tok:nobody:1\n")
    with closing(sqlite3.connect(area.home / ".mtdb" / "2.db")) as conn, conn:
        conn.execute("UPDATE cases SET status = 'FAIL' WHERE item = '2'")
    assert said(area, evidence) == ["execution", "fold", "lost"]
    area.ok("db", "rebuild", "--all")
    (evidence / "more.acks").unlink()

    (evidence / "x.err").write_text("Traceback (most recent call last):\n")
    done = subprocess.run([sys.executable, proof.__file__, area.home, evidence], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1] == "crash: Traceback (most recent call last):", done.stdout


@contextmanager
def lingering(area: Area) -> Iterator[int]:
    """A process that says it belongs to the area and stays."""
    env = area.env | {"MT_RUN_AREA_HOME": str(area.home)}
    with subprocess.Popen(["sleep", "1000"], env=env) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_process_that_is_left_behind_is_found(area: Area) -> None:
    assert proof.check_orphans(area.home, 0) == []
    with lingering(area) as pid:
        (wrong,) = proof.check_orphans(area.home, 0)
        assert wrong.rule == "orphan" and f"{pid} sleep 1000" in wrong.text


def test_the_fault_log_names_whom_a_storm_has_killed(area: Area, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    prepare(area, evidence, 1)
    storm = Storm(area.env, evidence, Weather(1, 0), [Place(os.uname().nodename, (), area.home)])
    writer = storm.actors[0]
    with storm.cleaned():
        storm.start(writer)
        assert writer.process
        acks = evidence / "write0.acks"
        while not acks.exists() or not acks.read_text():
            assert writer.process.poll() is None
            os.sched_yield()
        (being,) = storm.beings()
        assert being.kind == "write"
        storm.strike("test", [being])
        assert writer.process.wait(30) == -signal.SIGKILL
    (row,) = map(json.loads, (evidence / f"faults.{os.uname().nodename}").read_text().splitlines())
    assert row["killed"] == [[os.uname().nodename, writer.process.pid, being.who.start]]
    deaths, faults = proof.deaths_of(evidence)
    assert faults == 1 and list(deaths) == [being.who]
    assert proof.read_mark("r.1,3,2,h1,77.begin") == Mark("r.1", "3", 2, "h1,77", False)
