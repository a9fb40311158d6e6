"""What an area records is written as a megatest.db that scripts read as ever (spec/runs.md 6.1, 6.5)."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import oldsample
import pytest

from mt import olddb, queries
from mt.db import Store
from mt.errors import AnswerNo, StoreError
from mt.exporting import export_db, is_ours
from mt.importing import import_db
from mt.journal import Journal
from mt.model import CaseKey, CaseRow, RunKey, StepRow
from mt.oldrows import facts_of

KEYS = ("SYSTEM", "FS")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "area"), create=True)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return oldsample.sample(tmp_path / "megatest.db")


@pytest.fixture
def there(store: Store, old: Path, tmp_path: Path) -> Path:
    """The sample, taken over and written again."""
    import_db(store, str(old))
    export_db(store, str(tmp_path / "out.db"), KEYS)
    return tmp_path / "out.db"


def columns_of(schema: str) -> dict[str, set[str]]:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.executescript(schema)
        tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: set(olddb.columns(conn, name)) for name in tables}


def test_every_table_of_the_old_program_is_there_with_its_columns(there: Path) -> None:
    with closing(sqlite3.connect(there)) as conn:
        found = {name: set(olddb.columns(conn, name)) for name in columns_of(oldsample.SCHEMA)}
    assert found == columns_of(oldsample.SCHEMA)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT SYSTEM, FS, runname, state, status, owner, event_time, comment FROM runs"
        " WHERE state <> 'deleted' ORDER BY id",
        "SELECT runname, testname, item_path, tests.status, host, cpuload, diskfree, uname, rundir, attemptnum,"
        " run_duration, tests.event_time, tests.comment FROM tests JOIN runs ON runs.id = run_id"
        " WHERE tests.state = 'COMPLETED' AND (item_path <> '' OR testname = 'setup') ORDER BY 1, 2, 3",
        "SELECT testname, item_path, stepname, s.state, s.status, s.event_time, logfile FROM test_steps s"
        " JOIN tests ON tests.id = test_id ORDER BY testname, item_path, s.id",
        "SELECT testname, item_path, category, variable, value, expected, tol, units, d.comment, d.status"
        " FROM test_data d JOIN tests ON tests.id = test_id ORDER BY variable",
        "SELECT testname, author, owner, description, tags, jobgroup FROM test_meta",
        "SELECT testname, state, status, comment, final_logf FROM tests WHERE testname = 'disk' AND item_path = ''",
        "SELECT final_logf FROM tests WHERE testname = 'setup' AND run_id = 1",
        "SELECT fieldname FROM keys ORDER BY id",
        "SELECT val FROM metadat WHERE var = 'MEGATEST_VERSION'",
    ],
)
def test_what_was_taken_over_reads_the_same_when_it_is_written_again(old: Path, there: Path, sql: str) -> None:
    assert oldsample.rows(there, sql) == oldsample.rows(old, sql)
    assert oldsample.rows(there, sql)


def test_numbers_are_those_of_the_listings_and_differ_between_runs(store: Store, there: Path) -> None:
    rows = oldsample.rows(there, "SELECT run_id, testname, item_path, id FROM tests")
    for run in queries.find_runs(store):
        mine = {CaseKey(test, item): n for run_id, test, item, n in rows if run_id == run.id}
        assert mine == queries.numbers(store, run.id)
    assert len({n for *_, n in rows}) == len(rows)


def test_counts_by_state_and_status_are_kept(there: Path) -> None:
    rows = oldsample.rows(there, "SELECT state, status, count FROM run_stats WHERE run_id = 1 ORDER BY 1, 2")
    assert rows == [
        ("COMPLETED", "FAIL", 1), ("COMPLETED", "PASS", 2), ("INCOMPLETE", "n/a", 1), ("NOT_STARTED", "n/a", 1),
    ]  # fmt: skip


def test_values_that_failed_and_passed_are_counted(there: Path) -> None:
    sql = "SELECT pass_count, fail_count FROM tests WHERE item_path = 'sda/4k'"
    assert oldsample.rows(there, sql) == [(1, 0)]


def test_only_the_newest_attempt_is_written_and_a_running_step_has_no_end(store: Store, tmp_path: Path) -> None:
    run = store.create_run(RunKey("u/n", "r1"), owner="ann")
    with Journal(store.journal_dir(run)) as journal:
        journal.emit_row("case", CaseRow("a", "", 1, 1, "COMPLETED", "FAIL", start=1.0, end=2.0, secs=1.0))
        journal.emit_row("step", StepRow("a", "", 1, "old", 1, "end", "1", start=1.0, secs=1.0))
        journal.emit_row("case", CaseRow("a", "", 2, 2, "RUNNING", start=5.0, dir="/nowhere"))
        journal.emit_row("step", StepRow("a", "", 2, "new", 1, "start", start=5.0))
    path = tmp_path / "out.db"
    assert export_db(store, str(path), KEYS) == 3  # a run, a test, a step
    assert oldsample.rows(path, "SELECT state, status, rundir, shortdir FROM tests") == [
        ("RUNNING", "n/a", "/nowhere", "/nowhere")
    ]
    assert oldsample.rows(path, "SELECT stepname, state, status FROM test_steps") == [("new", "start", "n/a")]


def test_the_directory_behind_the_link_is_the_short_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "link")
    run = store.create_run(RunKey("u/n", "r1"), owner="ann")
    with Journal(store.journal_dir(run)) as journal:
        journal.emit_row("case", CaseRow("a", "", 1, 1, "COMPLETED", "PASS", dir=str(tmp_path / "link")))
    export_db(store, str(tmp_path / "out.db"), KEYS)
    assert oldsample.rows(tmp_path / "out.db", "SELECT rundir, shortdir FROM tests") == [
        (str(tmp_path / "link"), str(tmp_path / "disk"))
    ]


def test_a_file_of_somebody_else_is_not_replaced_unless_asked(store: Store, old: Path) -> None:
    import_db(store, str(old))
    before = old.read_bytes()
    with pytest.raises(AnswerNo, match="was not written by mt"):
        export_db(store, str(old), KEYS)
    assert old.read_bytes() == before
    assert not is_ours(str(old))
    export_db(store, str(old), KEYS, force=True)
    assert is_ours(str(old))


def test_a_second_export_replaces_the_first_and_a_reader_keeps_what_it_had(store: Store, there: Path) -> None:
    with closing(sqlite3.connect(there)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM runs").fetchone()
        store.create_run(RunKey("u/n", "more"), owner="ann")
        export_db(store, str(there), KEYS)
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == before
    assert oldsample.rows(there, "SELECT count(*) FROM runs") == [(before[0] + 1,)]
    assert [p.name for p in there.parent.iterdir() if re.search(r"tmp$|wal$|journal$", p.name)] == []


def test_a_place_that_cannot_be_written_is_one_line(store: Store, tmp_path: Path) -> None:
    store.create_run(RunKey("u/n", "r"), owner="ann")
    with pytest.raises(StoreError, match="cannot write"):
        export_db(store, str(tmp_path / "nowhere" / "out.db"), KEYS)


def test_facts_of_a_host_come_back_from_their_note() -> None:
    assert facts_of("imported: cpuload=0.5 diskfree=40 archived=3 uname=Linux h1 4.4") == {
        "cpuload": "0.5", "diskfree": "40", "archived": "3", "uname": "Linux h1 4.4",
    }  # fmt: skip


def test_a_run_that_was_thawed_is_unlocked_and_a_top_record_has_the_page_of_its_items(
    store: Store, tmp_path: Path
) -> None:
    run = store.create_run(RunKey("u/n", "r1"), owner="ann")
    with Journal(store.journal_dir(run)) as journal:
        journal.emit("run", frozen=None)
        journal.emit_row("case", CaseRow("a", "1", 1, 1, "COMPLETED", "PASS", dir="/lt/u/n/r1/a/1"))
    export_db(store, str(tmp_path / "out.db"), KEYS)
    assert oldsample.rows(tmp_path / "out.db", "SELECT state FROM runs") == [("unlocked",)]
    assert oldsample.rows(tmp_path / "out.db", "SELECT item_path, rundir, final_logf FROM tests ORDER BY 1") == [
        ("", "/lt/u/n/r1/a", "megatest-rollup-a.html"),
        ("1", "/lt/u/n/r1/a/1", "logs/final.log"),
    ]


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that scripts may read; numbers of steps and counts depend on what was written when."""
    tables = {"runs": "*", "tests": "*", "test_meta": "testname, author", "metadat": "var, val"}
    tables |= {"test_steps": "test_id, stepname, state, status, event_time", "test_data": "test_id, variable, value"}
    tables |= {"run_stats": "run_id, state, status, count"}
    return {t: sorted(oldsample.rows(path, f"SELECT {columns} FROM {t}"), key=repr) for t, columns in tables.items()}


def test_only_what_changed_is_written_again_and_nothing_when_nothing_did(
    store: Store, there: Path, tmp_path: Path
) -> None:
    before = identity(there)
    count = export_db(store, str(there), KEYS)
    assert identity(there) == before
    with Journal(store.journal_dir(2)) as journal:
        journal.emit_row("case", CaseRow("more", "1", 1, 1, "COMPLETED", "PASS"))
        journal.emit("meta", test="more", key="author", value="cid")
    assert export_db(store, str(there), KEYS) == count + 3  # the case, its top record, the metadata of its test
    export_db(store, str(tmp_path / "anew.db"), KEYS)
    assert dump(there) == dump(tmp_path / "anew.db")


def test_runs_that_are_gone_leave_the_file(store: Store, there: Path, tmp_path: Path) -> None:
    shutil.rmtree(store.journal_dir(1))
    Path(store.run_db_path(1)).unlink()
    Path(store.main_path).unlink()
    export_db(store, str(there), KEYS)
    assert oldsample.rows(there, "SELECT id FROM runs") == [(2,)]
    export_db(store, str(tmp_path / "anew.db"), KEYS)
    assert dump(there) == dump(tmp_path / "anew.db")


def test_a_case_that_runs_is_written_again_because_its_seconds_grow(store: Store, there: Path) -> None:
    with Journal(store.journal_dir(2)) as journal:
        journal.emit_row("case", CaseRow("setup", "", 2, 2, "RUNNING", start=1.0))
    export_db(store, str(there), KEYS)
    before = identity(there)
    export_db(store, str(there), KEYS)
    assert identity(there) != before


def test_a_file_of_another_area_or_with_other_keys_is_made_anew(store: Store, there: Path, tmp_path: Path) -> None:
    other = Store(str(tmp_path / "other"), create=True)
    other.create_run(RunKey("u/n", "theirs"), owner="ann")
    export_db(other, str(there), KEYS)
    assert oldsample.rows(there, "SELECT runname FROM runs") == [("theirs",)]
    export_db(other, str(there), ("A", "B"))
    assert oldsample.rows(there, "SELECT A, B FROM runs") == [("u", "n")]
