"""A megatest.db is taken over whole or not at all, once, and what is in it comes back as it was (spec/runs.md 6.1)."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import oldsample
import pytest

from mt import importing, olddb, queries
from mt.db import Store
from mt.db_main import test_meta as recorded_meta
from mt.errors import BusyError, StoreError
from mt.exporting import export_db
from mt.importing import Choice, Imported, import_db
from mt.model import CaseKey, RunKey, RunRow
from mt.rebuild import compare_run, rebuild_run

FIRST, SECOND = RunKey("ubuntu/nfs", "w04.1"), RunKey("centos/local", "w04.2")
BEGUN = oldsample.BEGUN


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "area"), create=True)


@pytest.fixture
def old(tmp_path: Path) -> str:
    return str(oldsample.sample(tmp_path / "megatest.db"))


def contents(store: Store) -> list[Any]:
    """Everything that questions can tell of all runs."""
    found: list[Any] = []
    for run in queries.find_runs(store, order="id"):
        found.append(run)
        for ask in (queries.cases, queries.steps, queries.values, queries.said, queries.notes):
            found.append(list(ask(store, run.id)))
        found.append(queries.numbers(store, run.id))
    return found


def without_ids(found: list[Any]) -> list[Any]:
    """The same, but for the ids of runs: one that was reserved and never used is not given again."""
    plain = [list(each) if isinstance(each, dict) else each for each in found]
    return [each._replace(id=0) if isinstance(each, RunRow) else each for each in plain]


def what(done: list[Imported]) -> list[str]:
    return [run.what for run in done]


def case(store: Store, run: RunKey, test: str, item: str = "") -> Any:
    run_id = store.run_id(run)
    assert run_id is not None
    return next(queries.cases(store, run_id, key=CaseKey(test, item)))


def test_runs_come_with_target_name_owner_time_and_comment(store: Store, old: str) -> None:
    done = import_db(store, old)
    assert done == [
        Imported(1, FIRST, "new", cases=5, tops=1, gone=1, cut=1, steps=3, values=2),
        Imported(2, SECOND, "new", cases=1),
        Imported(3, RunKey("ubuntu/nfs", "w03.9"), "deleted"),
    ]
    first, second = queries.find_runs(store, order="id")
    assert (first.key, first.owner, first.start, first.comment) == (FIRST, "ann", BEGUN, "nightly")
    assert first.counts["COMPLETED/PASS"] == 2
    assert second.said["set_status"]["status"] == "reviewed"
    assert second.said["frozen"]["by"] == "ann"


def test_cases_keep_what_mt_has_a_column_for(store: Store, old: str) -> None:
    import_db(store, old)
    row = case(store, FIRST, "setup")
    assert (row.state, row.status, row.host, row.pid, row.comment) == ("COMPLETED", "PASS", "h1", 4711, "fine")
    assert (row.start, row.end, row.secs, row.dir) == (BEGUN + 10, BEGUN + 12, 2, "/lt/ubuntu/nfs/r/setup")
    later = case(store, FIRST, "later")
    assert (later.state, later.host, later.dir, later.start, later.end) == ("NOT_STARTED", "", "", 0, 0)


def test_a_case_that_ran_is_interrupted_because_nobody_drives_it(store: Store, old: str) -> None:
    import_db(store, old)
    row = case(store, FIRST, "busy")
    assert (row.state, row.reason) == ("INCOMPLETE", "it was RUNNING/n/a on h1 when it was imported")
    assert (row.start, row.end) == (BEGUN + 10, BEGUN + 17)


def test_start_and_end_of_a_step_are_joined(store: Store, old: str) -> None:
    import_db(store, old)
    write, read = queries.steps(store, 1, key=CaseKey("disk", "sda/4k"))
    assert (write.name, write.number, write.state, write.status, write.exits) == ("write", 1, "end", "0", (0,))
    assert (write.start, write.secs, write.log) == (BEGUN + 10, 3, "write.log")
    assert (read.name, read.status, read.start, read.secs) == ("read", "1", BEGUN + 13, 1)


def test_values_metadata_and_logs_come_too(store: Store, old: str) -> None:
    import_db(store, old)
    mean, note = queries.values(store, 1)
    assert mean[3:] == ("speed", "mean", "5", "4.5", "0.25", "MB/s", "ok, good", "pass", "")
    assert (note.value, note.status) == ("fast", "")
    assert recorded_meta(store)["setup"] == {
        "author": "ann", "owner": "bob", "description": "makes things", "tags": "fast,net",
    }  # fmt: skip
    logs = queries.final_logs(store, 1)
    assert logs[CaseKey("setup")] == "setup.html"


def test_a_top_record_leaves_its_comment_and_log_and_is_no_case(store: Store, old: str) -> None:
    import_db(store, old)
    assert [row.item for row in queries.cases(store, 1, tests=["disk"])] == ["sda/4k", "sdb/4k"]
    (said,) = queries.said(store, 1, key=CaseKey("disk"))
    assert (said.state, said.status, said.comment) == ("COMPLETED", "FAIL", "see items")
    assert said.log == "megatest-rollup-disk.html"


def test_numbers_follow_the_old_ones(store: Store, old: str) -> None:
    import_db(store, old)
    assert [str(key) for key in queries.numbers(store, 1)] == [
        "setup", "disk", "disk/sda/4k", "disk/sdb/4k", "later", "busy",
    ]  # fmt: skip


def test_a_second_import_changes_nothing(store: Store, old: str) -> None:
    import_db(store, old)
    before = contents(store)
    journals = sorted(Path(store.root).glob("journal/*/*"))
    assert what(import_db(store, old)) == ["known", "known", "deleted"]
    assert what(import_db(store, old, Choice(merge=True))) == ["merged", "merged", "deleted"]
    assert what(import_db(store, old, Choice(suffix=".old"))) == ["known", "known", "deleted"]
    assert contents(store) == before
    assert sorted(Path(store.root).glob("journal/*/*")) == journals


def test_imported_runs_are_rebuilt_from_their_journals(store: Store, old: str) -> None:
    import_db(store, old)
    before = contents(store)
    Path(old).unlink()
    Path(store.main_path).unlink()
    for run_id in (1, 2):
        rebuild_run(store, run_id)
        assert compare_run(store, run_id) == []
    after = contents(store)
    assert after == before


def test_a_dry_run_counts_and_writes_nothing(store: Store, old: str) -> None:
    done = import_db(store, old, dry=True)
    assert done[0] == Imported(1, FIRST, "new", cases=5, tops=1, gone=1, cut=1, steps=3, values=2)
    assert store.run_ids_on_disk() == []
    assert list((Path(store.root) / "tmp").iterdir()) == []


def test_patterns_choose_runs(store: Store, old: str) -> None:
    assert [run.run for run in import_db(store, old, Choice(target="centos/%"))] == [SECOND]
    assert [run.run for run in import_db(store, old, Choice(name="w04.1"))] == [FIRST]


def test_a_run_whose_name_is_taken_is_left_alone_merged_or_kept_apart(store: Store, old: str) -> None:
    run = store.create_run(FIRST, owner="bob")
    with importing.Folder(store, run) as folder:
        from mt.journal import Journal

        with Journal(store.journal_dir(run)) as journal:
            journal.emit("case", test="setup", item="", attempt=1, gen=1, state="COMPLETED", status="FAIL")
        folder.fold()
    assert what(import_db(store, old)) == ["taken", "new", "deleted"]
    assert [str(row.key) for row in queries.cases(store, run)] == ["setup"]
    apart = import_db(store, old, Choice(suffix=".old"))
    assert (apart[0].run.name, apart[0].what) == ("w04.1.old", "new")
    merged = import_db(store, old, Choice(merge=True))
    assert (merged[0].what, merged[0].cases) == ("merged", 4)
    assert case(store, FIRST, "setup").status == "FAIL"
    assert case(store, FIRST, "disk", "sdb/4k").comment == "slow"


def test_death_between_runs_leaves_whole_runs_and_the_next_import_goes_on(
    store: Store, old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def dies(old: str, new: str) -> None:
        if "import-" in Path(new).name:
            raise KeyboardInterrupt
        rename(old, new)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mt.importing.os.rename", dies)
        import_db(store, old)
    assert store.run_ids_on_disk() == [1]  # it has its name and nothing else
    assert what(import_db(store, old)) == ["new", "new", "deleted"]
    fresh = Store(str(tmp_path / "other"), create=True)
    import_db(fresh, old)
    assert contents(store)[1:7] == contents(fresh)[1:7]


def damaged(path: Path) -> None:
    """Overwrite pages in the middle of a file that is large enough to have some."""
    oldsample.many(path, 1, 3000)
    with path.open("r+b") as f:
        f.seek(path.stat().st_size // 2)
        f.write(b"\xff" * 40_000)


def no_db(path: Path) -> None:
    path.write_bytes(b"random bytes" * 1000)


def other_db(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE x (y)")


def wrong_columns(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT)")
        conn.execute("CREATE TABLE tests (id INTEGER PRIMARY KEY)")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_db, "file is not a database"),
        (damaged, "malformed|not a database|disk image"),
        (other_db, "it is no megatest.db, it has no table runs"),
        (wrong_columns, "its table runs has no column runname"),
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.touch(), "it is no megatest.db"),
    ],
)
def test_what_is_no_sound_megatest_db_is_one_line_and_leaves_nothing(
    store: Store, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "bad.db"
    make(path)
    with pytest.raises(StoreError, match=said) as e:
        import_db(store, str(path))
    assert str(path) in e.value.what
    assert "\n" not in e.value.what
    assert store.run_ids_on_disk() == []
    assert list((Path(store.root) / "tmp").iterdir()) == []


def test_a_file_that_is_being_written_is_busy(old: str) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BusyError, match="somebody else is writing it"), olddb.opened(old, wait=0.05):
            pass


def test_a_file_in_wal_mode_is_read_with_what_is_not_checkpointed(store: Store, old: str) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA wal_autocheckpoint = 0")
        conn.execute("UPDATE tests SET comment = 'in the wal' WHERE testname = 'setup' AND run_id = 1")
        import_db(store, old)
    assert case(store, FIRST, "setup").comment == "in the wal"


def test_an_older_file_without_some_columns_and_tables_is_read(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "ancient.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(
            "CREATE TABLE runs (id INTEGER PRIMARY KEY, SYSTEM TEXT, FS TEXT, runname TEXT, event_time TIMESTAMP);"
            "CREATE TABLE tests (id INTEGER PRIMARY KEY, run_id INTEGER, testname TEXT, state TEXT, status TEXT);"
            "INSERT INTO runs VALUES (1, 'ubuntu', 'nfs', 'r1', 1400000000);"
            "INSERT INTO tests VALUES (1, 1, 'a', 'COMPLETED', 'WARN');"
        )
    (done,) = import_db(store, str(path))
    assert (done.run, done.cases) == (RunKey("ubuntu/nfs", "r1"), 1)
    assert case(store, done.run, "a").status == "WARN"


def test_bytes_that_are_no_text_do_not_stop_an_import(store: Store, old: str) -> None:
    with closing(sqlite3.connect(old)) as conn:
        conn.execute("UPDATE tests SET comment = CAST(x'ff4142' AS TEXT), cpuload = 'x' WHERE testname = 'setup'")
        conn.execute("UPDATE tests SET run_duration = 'long', event_time = NULL WHERE testname = 'busy'")
        conn.commit()
    import_db(store, old)
    assert case(store, FIRST, "setup").comment == "\ufffdAB"


def test_a_run_without_a_usable_name_is_left_out(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with oldsample.OldDb(path) as made:
        for name in ("", "a/b", ".."):
            made.run(name)
    assert what(import_db(store, str(path))) == ["bad name"] * 3


def test_key_columns_are_read_in_the_order_of_the_table_keys(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with oldsample.OldDb(path) as made:
        made.conn.execute("DELETE FROM keys")
        made.add("keys", fieldname="FS", fieldtype="TEXT")
        made.add("keys", fieldname="SYSTEM", fieldtype="TEXT")
        made.run("r1", "ubuntu/nfs")
    assert import_db(store, str(path))[0].run.target == "nfs/ubuntu"


def test_a_file_that_was_written_from_the_area_itself_brings_nothing(store: Store, old: str, tmp_path: Path) -> None:
    import_db(store, old)
    export_db(store, str(tmp_path / "out.db"), ("SYSTEM", "FS"))
    assert what(import_db(store, str(tmp_path / "out.db"))) == ["known", "known"]
    other = Store(str(tmp_path / "other"), create=True)
    assert what(import_db(other, str(tmp_path / "out.db"))) == ["new", "new"]
    assert case(other, FIRST, "disk", "sdb/4k").comment == "slow"


IMPORT = """
import sys
from mt.db import Store
from mt.importing import import_db
import_db(Store(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("moment", ["tmp/import-*", "tmp/import-*/4.ndjson", "journal/1", "journal/4/import-*.ndjson"])
def test_an_import_that_is_killed_goes_on_and_nothing_comes_twice(store: Store, tmp_path: Path, moment: str) -> None:
    """kill -9 as soon as a file is there; the same import then finishes what was begun."""
    path = str(oldsample.many(tmp_path / "big.db", 6, 80))
    with subprocess.Popen([sys.executable, "-c", IMPORT, store.home, path]) as process:
        while process.poll() is None and not list(Path(store.root).glob(moment)):
            os.sched_yield()
        process.kill()
    import_db(store, path)
    clean = Store(str(tmp_path / "clean"), create=True)
    import_db(clean, path)
    assert without_ids(contents(store)) == without_ids(contents(clean))
    for run_id in (run.id for run in queries.find_runs(store)):
        assert compare_run(store, run_id) == []
