"""The old commands that look after an area (spec/runs.md 1.4, 3.6, 5.8, 6.5)."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import oldsample
from recorded import Recorded
from testarea import TARGET, Area, Result


def megatest(area: Area, *words: str) -> Result:
    return area.mt(*words, prog="megatest")


def old_db(area: Area) -> Path:
    return oldsample.sample(area.home / "megatest.db")


# -- metadata


def test_update_meta_prints_each_changed_field_once(area: Area) -> None:
    """spec/runs.md 6.5 -update-meta; 7 `Updating <test> <field> to <value>` on stdout."""
    area.test("a", more="[test_meta]\nauthor ann\ntags fast,net\n")
    first = megatest(area, "-update-meta")
    assert (first.status, first.out) == (0, "Updating a author to ann\nUpdating a tags to fast,net\n")
    assert megatest(area, "-update-meta").out == ""
    area.test("a", more="[test_meta]\nauthor bob\ntags fast,net\n")
    assert megatest(area, "-update-meta").out == "Updating a author to bob\n"


# -- dbs in and out


def test_import_takes_over_the_areas_own_megatest_db_once(area: Area) -> None:
    """spec/runs.md 6.5 -import-megatest.db."""
    old_db(area)
    first = megatest(area, "-import-megatest.db")
    assert first.status == 0
    assert "INFO: (0) imported 2 of 3 runs from megatest.db" in first.err
    rows = area.rows("tests", "-t", TARGET, "-r", "w04.1")
    assert {row["id"]: row["status"] for row in rows}[f"{TARGET}//w04.1//disk/sdb/4k"] == "FAIL"
    assert "imported 0 of 3 runs" in megatest(area, "-import-megatest.db").err


def test_import_without_a_file_or_with_a_broken_one_is_one_error_line(area: Area) -> None:
    missing = megatest(area, "-import-megatest.db")
    assert (missing.status, missing.out) == (1, "")
    assert missing.err.startswith("ERROR: there is no megatest.db in ")
    (area.home / "megatest.db").write_bytes(b"garbage" * 999)
    broken = megatest(area, "-import-megatest.db")
    assert broken.status == 50
    assert broken.err.count("\n") == 1
    assert "file is not a database" in broken.err


def test_sync_writes_a_file_that_scripts_read(area: Area) -> None:
    """spec/runs.md 6.5 -sync-to-megatest.db prints `Synced N records to megatest.db`; 6.1 the tables."""
    run = Recorded(area)
    run.case("a", comment="fine")
    run.case("b", "1", status="FAIL")
    run.step("a", "", "s1")
    run.value("a", "", "speed/mean", "5", "pass", expected="4.5")
    done = megatest(area, "-sync-to-megatest.db")
    assert (done.status, done.out, done.err) == (0, "Synced 7 records to megatest.db\n", "")
    path = area.home / "megatest.db"
    assert oldsample.rows(path, "SELECT SYSTEM, FS, runname FROM runs") == [("ubuntu", "nfs", "r1")]
    assert oldsample.rows(path, "SELECT testname, item_path, state, status FROM tests ORDER BY 1, 2") == [
        ("a", "", "COMPLETED", "PASS"),
        ("b", "", "COMPLETED", "FAIL"),
        ("b", "1", "COMPLETED", "FAIL"),
    ]
    assert oldsample.rows(path, "SELECT variable, value, expected, status FROM test_data") == [("mean", 5, 4.5, "pass")]


def test_numbers_of_tests_are_those_that_list_runs_shows(area: Area) -> None:
    """spec/runs.md 5.9 (id), 6.1 tests.id."""
    for name in ("r1", "r2"):
        run = Recorded(area, name)
        run.case("b", "1")
        run.case("a")
    megatest(area, "-sync-to-megatest.db")
    listed = megatest(
        area, "-list-runs", "%", "-dumpmode", "json", "-fields", "runs:runname+tests:id,testname,item_path"
    )
    shown = set()
    for name, run_data in json.loads(listed.out)[TARGET].items():
        for number, fields in run_data["data"].items():
            shown.add((name, fields["testname"], fields["item_path"], int(number)))
    path = area.home / "megatest.db"
    sql = "SELECT runname, testname, item_path, tests.id FROM tests JOIN runs ON runs.id = run_id"
    assert set(oldsample.rows(path, sql)) == shown
    assert len(shown) == 6


def test_sync_keeps_what_the_old_program_wrote_and_import_still_finds_it(area: Area) -> None:
    before = old_db(area).read_bytes()
    Recorded(area).case("a")
    first = megatest(area, "-sync-to-megatest.db")
    assert first.status == 0
    assert first.err.startswith("WARNING: the megatest.db of the old program is kept as megatest.db.before-mt")
    assert (area.home / "megatest.db.before-mt").read_bytes() == before
    assert oldsample.rows(area.home / "megatest.db", "SELECT runname FROM runs") == [("r1",)]
    assert megatest(area, "-sync-to-megatest.db").err == ""
    assert "imported 2 of 3 runs" in megatest(area, "-import-megatest.db").err


def test_rebuild_mends_a_broken_db(area: Area) -> None:
    """spec/runs.md 6.5 -rebuild-db."""
    run = Recorded(area)
    run.case("a")
    before = area.rows("tests", "-t", TARGET, "-r", "r1")
    Path(run.store.run_db_path(run.id)).write_bytes(b"garbage" * 999)
    done = megatest(area, "-rebuild-db")
    assert (done.status, done.err) == (0, "INFO: (0) rebuilt 1.db from 1 events\n")
    assert area.rows("tests", "-t", TARGET, "-r", "r1") == before
    assert megatest(area, "-rebuild-db").err == ""


def test_cleanup_removes_what_belongs_to_no_run_and_nothing_else(area: Area) -> None:
    """spec/runs.md 6.5 -cleanup-db."""
    run = Recorded(area)
    run.case("a")
    before = area.rows("tests", "-t", TARGET, "-r", "r1")
    root = Path(run.store.root)
    (root / "77.db").write_bytes(b"")
    (root / "kill" / "77").mkdir()
    old, new = root / "tmp" / "old", root / "tmp" / "new"
    for path in (old, new):
        path.touch()
    os.utime(old, (1e9, 1e9))
    done = megatest(area, "-cleanup-db")
    assert done.status == 0
    assert {line.split()[3] for line in done.err.splitlines() if "removed" in line} == {
        "77.db,",
        "kill/77,",
        "tmp/old,",
    }
    assert new.exists()
    assert not (root / "77.db").exists() and not (root / "kill" / "77").exists() and not old.exists()
    assert area.rows("tests", "-t", TARGET, "-r", "r1") == before


def test_commands_of_upkeep_do_nothing_where_nothing_is_recorded(area: Area) -> None:
    for option in ("-rebuild-db", "-cleanup-db", "-mark-incompletes"):
        assert megatest(area, option).status == 0, option
        assert not (area.home / ".mtdb").exists(), option


def test_outside_of_an_area_the_status_is_two(area: Area) -> None:
    """spec/runs.md 1.2."""
    for option in ("-update-meta", "-import-megatest.db", "-sync-to-megatest.db", "-rebuild-db", "-cleanup-db"):
        assert area.mt(option, prog="megatest", cwd=area.home.parent).status == 2, option


# -- dead tests


def test_mark_incompletes_ends_tests_whose_process_is_dead(area: Area) -> None:
    """spec/runs.md 3.6, 5.8: the sane thing instead of nothing [D]."""
    run = Recorded(area)
    run.case("dead", state="RUNNING", status="n/a", pid=999_999_999)
    run.case("fine")
    done = megatest(area, "-mark-incompletes")
    assert done.status == 0
    assert f"{TARGET}//r1//dead was RUNNING, and its process on h1 is dead" in done.err
    assert "marked 1 tests as incomplete" in done.err
    rows = {row["test"]: (row["state"], row["status"]) for row in area.rows("tests", "-t", TARGET, "-r", "r1")}
    assert rows == {"dead": ("INCOMPLETE", "DEAD"), "fine": ("COMPLETED", "PASS")}
    assert "marked 0 tests" in megatest(area, "-mark-incompletes").err


def test_rollup_is_disabled(area: Area) -> None:
    """spec/runs.md 5.8."""
    done = megatest(area, "-rollup", "-target", TARGET, "-runname", "r1")
    assert (done.status, done.out, done.err) == (0, "", "WARNING: -rollup is disabled; nothing was done\n")
    assert megatest(area, "-rollup", "-target", TARGET).status == 3


# -- kept configs


def test_clean_cache_deletes_kept_configs_of_one_run_only(area: Area) -> None:
    """spec/runs.md 1.4 -clean-cache."""
    place = area.home / "lt" / TARGET / "r1"
    other = area.home / "lt" / TARGET / "r2"
    for folder in (place, other):
        folder.mkdir(parents=True)
        for name in (".megatest.cfg-1-2", ".runconfigs.cfg-1-2", ".other"):
            (folder / name).touch()
    assert megatest(area, "-clean-cache", "-target", TARGET, "-runname", "r1").status == 0
    assert [p.name for p in place.iterdir()] == [".other"]
    assert len(list(other.iterdir())) == 3


def test_clean_cache_says_what_it_needs(area: Area) -> None:
    done = megatest(area, "-clean-cache", "-target", TARGET)
    assert (done.status, done.err) == (0, "ERROR: -clean-cache needs -target and -runname\n")


# -- the new verbs


def test_mt_db_import_prints_what_became_of_each_run(area: Area) -> None:
    path = oldsample.sample(area.home.parent / "old.db")
    dry = area.ok("db", "import", "-n", str(path), "-f", "ndjson")
    assert not (area.home / ".mtdb").exists()
    rows = {row["id"]: row for row in dry.rows()}
    assert rows[f"{TARGET}//w04.1"]["what"] == "new"
    assert [rows[f"{TARGET}//w04.1"][n] for n in ("cases", "steps", "values", "tops", "gone", "cut")] == [
        5,
        3,
        2,
        1,
        1,
        1,
    ]
    done = area.ok("db", "import", str(path), "-f", "ndjson")
    assert done.rows() == dry.rows()
    assert {row["what"] for row in area.rows("db", "import", str(path))} == {"known", "deleted"}
    area.ok("db", "check")


def test_mt_db_import_refuses_other_keys_and_says_which_names_are_taken(area: Area) -> None:
    path = oldsample.sample(area.home.parent / "old.db")
    Recorded(area, "w04.1").case("mine")
    taken = area.mt("db", "import", str(path))
    assert taken.status == 1
    assert f"'{TARGET}//w04.1': taken; --merge adds to it, --into SUFFIX keeps it apart" in taken.err
    area.ok("db", "import", str(path), "--into", ".old", "-q")
    assert len(area.rows("tests", "-t", TARGET, "-r", "w04.1.old")) == 5
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DELETE FROM keys WHERE fieldname = 'FS'")
        conn.commit()
    other = area.mt("db", "import", str(path))
    assert other.status == 3
    assert f"mt: the keys of '{path}' are SYSTEM, those of the area SYSTEM/FS\n" in other.err
    assert area.mt("db", "import", str(path) + ".no").status == 5


def test_mt_db_export_refuses_to_replace_what_it_did_not_write(area: Area) -> None:
    old_db(area)
    Recorded(area).case("a")
    refused = area.mt("db", "export")
    assert refused.status == 1
    assert "was not written by mt" in refused.err
    elsewhere = area.home.parent / "out.db"
    assert area.ok("db", "export", str(elsewhere)).err == f"mt: wrote 2 records to {elsewhere}\n"
    area.ok("db", "export", "--force", "-q")
    assert oldsample.rows(area.home / "megatest.db", "SELECT testname FROM tests") == [("a",)]
