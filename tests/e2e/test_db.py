"""mt db and mt lock: what they say of sound, broken and lost dbs, as a user sees it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from recorded import Recorded
from testarea import TARGET, Area

from mt.db_schema import MAIN, RUN
from mt.locks.filelock import held
from mt.model import StepRow


def recorded(area: Area) -> Recorded:
    run = Recorded(area)
    run.case("a")
    run.case("b", "1", status="FAIL")
    with_step = StepRow("a", "", 1, "s1", 1, "end", "0", (0,), secs=1.0)
    run.tell("step", **with_step._asdict())
    return run


def test_sound_dbs_have_no_differences(area: Area) -> None:
    recorded(area)
    result = area.mt("db", "check")
    assert (result.status, result.out, result.err) == (0, "", "")


def test_a_row_that_somebody_changed_is_a_difference_until_it_is_rebuilt(area: Area) -> None:
    run = recorded(area)
    area.ok("db", "check")
    with closing(sqlite3.connect(run.store.run_db_path(run.id))) as conn:
        conn.execute("UPDATE cases SET status = 'PASS' WHERE test = 'b'")
        conn.commit()
    result = area.mt("db", "check", "-f", "ndjson")
    assert result.status == 1
    (row,) = result.rows()
    assert (row["db"], row["table"], row["only_db"], row["only_journals"]) == (f"{run.id}.db", "cases", 1, 1)
    assert area.ok("db", "rebuild", "r1").err == f"mt: rebuilt {run.id}.db: 3 events\n"
    area.ok("db", "check", "r1")


def test_a_db_of_random_bytes_is_one_line_and_the_hint_mends_it(area: Area) -> None:
    run = recorded(area)
    before = area.ok("tests", "-t", TARGET, "-r", "r1", "-f", "ndjson").out
    with open(run.store.run_db_path(run.id), "wb") as f:
        f.write(b"\x00random\xff" * 999)
    for words in (["tests"], ["status"], ["steps"], ["db", "stat"]):
        result = area.mt(*words, *(["-t", TARGET, "-r", "r1"] if words[0] != "db" else []))
        assert result.status == 5, words
        assert result.err == (
            f"mt: cannot use '.mtdb/{run.id}.db': file is not a database\nmt: hint: mt db rebuild {run.id}\n"
        )
    assert area.mt("db", "check").status == 1
    area.ok("db", "rebuild", str(run.id))
    assert area.ok("tests", "-t", TARGET, "-r", "r1", "-f", "ndjson").out == before


def test_all_dbs_can_be_gone(area: Area) -> None:
    recorded(area)
    before = area.ok("runs", "-f", "ndjson").out
    for path in (area.home / ".mtdb").glob("*.db*"):
        path.unlink()
    assert area.ok("db", "rebuild", "--all", "--dry-run").err == "mt: would rebuild 1.db\nmt: would rebuild main.db\n"
    assert not list((area.home / ".mtdb").glob("*.db"))
    area.ok("db", "rebuild", "--all", "-q")
    assert area.ok("runs", "-f", "ndjson").out == before
    area.ok("db", "check")


def test_a_broken_main_db_is_mended_by_its_hint(area: Area) -> None:
    run = recorded(area)
    before = area.ok("runs", "-f", "ndjson").out
    (area.home / ".mtdb" / "main.db").write_bytes(b"garbage" * 1000)
    result = area.mt("runs")
    assert result.status == 5
    assert result.err.endswith("hint: mt db rebuild --main\n")
    area.ok("db", "rebuild", "--main")
    assert area.ok("runs", "-f", "ndjson").out == before
    assert run.store.run_id(run.key) == run.id


def test_sizes_versions_and_what_is_behind_are_shown(area: Area) -> None:
    run = recorded(area)
    area.ok("runs")
    run.case("c")
    (row,) = area.ok("db", "stat", "-f", "ndjson").rows()
    assert (row["number"], row["id"], row["version"], row["cases"]) == (run.id, str(run.key), len(RUN), 2)
    assert row["behind"] > 0 and row["db"] > 0 and row["journals"] > 0
    rows = {r["db"]: (r["before"], r["now"]) for r in area.ok("db", "migrate", "-f", "ndjson").rows()}
    newest = {".mtdb/main.db": (len(MAIN),) * 2, f".mtdb/{run.id}.db": (len(RUN),) * 2}
    assert rows == newest
    assert {r["db"] for r in area.ok("db", "vacuum", "-f", "ndjson").rows()} == set(rows)
    area.ok("db", "check")


def test_runs_that_are_not_there_and_nothing_named(area: Area) -> None:
    recorded(area)
    assert area.mt("db", "check", "none").status == 7
    assert area.mt("db", "rebuild").status == 2
    assert area.mt("db", "rebuild", f"{TARGET}//r%").status == 0


def test_an_area_without_records_says_so(area: Area) -> None:
    for words in (("db", "check"), ("lock", "show")):
        result = area.mt(*words)
        assert result.status == 7
        assert "nothing is recorded" in result.err


def test_locks_name_their_holders_while_they_are_held(area: Area) -> None:
    run = recorded(area)
    assert area.ok("lock", "show", "-f", "ndjson").rows() == []
    with held(run.store.lock_path(f"run.{run.id}"), what="drives the run"):
        (row,) = area.ok("lock", "show", "-f", "ndjson").rows()
        assert (row["lock"], row["held"], row["what"]) == (f"run.{run.id}.lock", True, "drives the run")
        assert row["pid"] and row["host"] and row["user"] and row["since"] and row["command"]
    found = {r["lock"]: r["held"] for r in area.ok("lock", "show", "--all", "-f", "ndjson").rows()}
    assert found[f"run.{run.id}.lock"] is False
    assert found["main.db.lock"] is False
