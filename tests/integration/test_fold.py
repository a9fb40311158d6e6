"""The store on a real disk: what is folded, from where, and what every crash point leaves behind."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mt import db, db_run, journals, pack, queries
from mt.db import Store
from mt.db_schema import RUN
from mt.errors import MtError, NotPermitted, StoreError
from mt.fold import Folder, compact, is_behind, refresh
from mt.journal import Journal, drop
from mt.locks.alive import keep_alive
from mt.locks.filelock import held
from mt.model import CaseKey, CaseRow, RunKey, StepRow, ValueRow
from mt.rebuild import TABLES, compare_main, compare_run, rebuild_main, rebuild_run

KEY = RunKey("ubuntu/nfs", "w49.1")


class Run:
    """A store with one run."""

    def __init__(self, home: Path) -> None:
        self.store = Store(str(home), create=True)
        self.id = self.store.create_run(KEY, owner="me", comment="first")
        self.dir = Path(self.store.journal_dir(self.id))
        self.db = Path(self.store.run_db_path(self.id))

    def tell(self, *rows: CaseRow, writer: str = "w1") -> None:
        with Journal(str(self.dir), writer) as journal:
            for row in rows:
                journal.emit_row("case", row)

    def fold(self) -> int:
        with Folder(self.store, self.id) as folder:
            return folder.fold()

    def contents(self) -> dict[str, list[Any]]:
        with closing(db.reader(str(self.db), RUN)) as conn:
            return {t: sorted(conn.execute(f"SELECT * FROM {t}").fetchall()) for t in TABLES}

    def states(self) -> dict[str, tuple[str, str]]:
        return {str(c.key): (c.state, c.status) for c in queries.cases(self.store, self.id)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def fill(run: Run) -> None:
    """Some of everything, by several writers and a drop."""
    run.tell(CaseRow("a", "1", 1, 1, "RUNNING", start=5.0), CaseRow("a", "1", 1, 2, "COMPLETED", "PASS", end=9.5))
    run.tell(CaseRow("a", "2", 1, 1, "COMPLETED", "FAIL", end=8.0), writer="w2")
    run.tell(CaseRow("a", "2", 2, 2, "COMPLETED", "PASS", end=10.0), CaseRow("b", ""), writer="w2")
    with Journal(str(run.dir), "w3") as journal:
        journal.emit_row("step", StepRow("b", "", 1, "main", 1, "start", start=4.0))
        journal.emit_row("value", ValueRow("b", "", 1, "speed", "max", "7"))
        journal.emit("meta", test="b", key="author", value="somebody")
        journal.emit("run", comment="second")
        journal.emit("note", test="b", item="", attempt=1, text="waits")
    with open(run.dir / "w4.ndjson", "wb") as f:
        f.write(b'no event\n{"k":"from the future","s":1}\n\xff\n{"torn')
    drop(str(run.dir), [("step", {"test": "b", "name": "main", "state": "end", "status": "PASS", "t": 6.5})])
    drop(str(run.dir), [("result", {"test": "b", "status": "PASS"})])


def test_a_fold_applies_every_event_once_and_then_nothing(run: Run) -> None:
    fill(run)
    with Folder(run.store, run.id) as folder:
        assert folder.fold() == 12
        before = run.contents()
        assert folder.fold() == 0
        assert folder.counts() == {("COMPLETED", "PASS"): 2, ("NOT_STARTED", "n/a"): 1}
    assert run.fold() == 0
    assert run.contents() == before
    assert run.states() == {"a/1": ("COMPLETED", "PASS"), "a/2": ("COMPLETED", "PASS"), "b": ("NOT_STARTED", "n/a")}
    assert [(c.attempt, c.status) for c in queries.attempts(run.store, run.id)] == [(1, "FAIL")]
    (step,) = queries.steps(run.store, run.id)
    assert (step.state, step.status, step.start, step.secs) == ("end", "PASS", 4.0, 2.5)
    assert os.listdir(run.dir / "drop") == []


def test_main_db_shows_what_a_run_rolls_up_to(run: Run) -> None:
    fill(run)
    run.fold()
    (row,) = queries.find_runs(run.store)
    assert row.counts == {"COMPLETED/PASS": 2, "NOT_STARTED/n/a": 1}
    assert (row.state, row.status, row.owner, row.comment, row.end) == ("INCOMPLETE", "PASS", "me", "second", 10.0)
    with held(run.store.lock_path(f"run.{run.id}")):
        run.tell(CaseRow("b", "", 1, 1, "RUNNING"))
        run.fold()
        assert [(r.state, r.end) for r in queries.find_runs(run.store)] == [("RUNNING", 0.0)]
    run.tell(CaseRow("b", "", 1, 2, "COMPLETED", "FAIL", end=11.0))
    run.fold()
    assert [(r.state, r.status, r.end) for r in queries.find_runs(run.store)] == [("COMPLETED", "FAIL", 11.0)]


def test_a_run_whose_controller_was_killed_runs_no_more(run: Run) -> None:
    with held(run.store.lock_path(f"run.{run.id}")):
        run.tell(CaseRow("b", "", 1, 1, "COMPLETED", "PASS"), CaseRow("c", ""))
        run.fold()
        assert queries.find_runs(run.store)[0].state == "RUNNING"
    assert queries.find_runs(run.store)[0].state == "INCOMPLETE"
    assert queries.find_runs(run.store, states=["RUNNING"]) == []


def test_lines_that_are_no_events_are_kept_with_their_place_and_stop_nothing(run: Run) -> None:
    fill(run)
    run.fold()
    assert [(file, at) for file, at, _ in run.contents()["bad"]] == [
        ("w4.ndjson", 0),
        ("w4.ndjson", 9),
        ("w4.ndjson", 39),
    ]


def test_a_torn_line_waits_until_it_is_whole(run: Run) -> None:
    line = b'{"k":"case","s":1,"test":"t","state":"RUNNING"}\n'
    path = run.dir / "w1.ndjson"
    for cut in (1, 20, len(line) - 1):
        path.write_bytes(line[:cut])
        assert run.fold() == 0
    path.write_bytes(line)
    assert run.fold() == 1
    assert run.contents()["bad"] == []


def test_an_event_that_comes_twice_changes_nothing(run: Run) -> None:
    fill(run)
    run.fold()
    before = run.contents()
    again = run.dir / "w9.ndjson"
    lines = [
        journals.named_line(line, "w3", "w3.ndjson", 0) for line in (run.dir / "w3.ndjson").read_text().splitlines()
    ]
    again.write_bytes(b"".join(lines))
    assert run.fold() == 5
    assert run.contents() == before


class Died(Exception):
    """Stands for SIGKILL at this point."""


def die(*_: object, **__: object) -> None:
    raise Died


@pytest.mark.parametrize("point", ["save", "offsets", "commit", "unlink", "main"])
def test_death_within_a_fold_leaves_what_the_next_fold_completes(
    run: Run, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    fill(run)
    with monkeypatch.context() as m:
        if point == "save":
            m.setattr(db_run.Batch, "save", die)
        elif point == "offsets":
            m.setattr(db_run, "save_offsets", die)
        elif point == "unlink":
            m.setattr("mt.fold.os.unlink", die)
        elif point == "commit":
            m.setattr("mt.fold.db.transaction", die)
        else:
            m.setattr(Folder, "_tell_main", die)
        with pytest.raises(Died):
            run.fold()
    assert refresh(run.store, run.id)
    folded = run.contents()
    assert compare_run(run.store, run.id) == []
    assert compare_main(run.store) == []
    rebuild_run(run.store, run.id)
    assert run.contents() == folded
    assert len(folded["said"]) == 1
    assert os.listdir(run.dir / "drop") == []


def test_a_torn_end_of_the_spool_is_cut_before_drops_are_taken_again(run: Run) -> None:
    drop(str(run.dir), [("note", {"test": "t", "text": "a"})])
    (run.dir / journals.SPOOL).write_bytes(b'{"w":"x","k":"no')
    assert run.fold() == 1
    contents = run.contents()
    assert (len(contents["notes"]), contents["bad"]) == (1, [])


def test_a_drop_that_is_no_event_is_kept_too(run: Run) -> None:
    (run.dir / "drop" / "x.ndjson").write_bytes(b'{"k":"note","s":1,"test":"t","text":"a"}\n\xfe{\n')
    run.fold()
    rebuild_run(run.store, run.id)
    contents = run.contents()
    assert contents["bad"] == [("drop/x.ndjson", 41, "\\udcfe{")]
    assert len(contents["notes"]) == 1


def test_many_batches_and_pieces_give_the_same_as_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(run)
    run.fold()
    whole = run.contents()
    monkeypatch.setattr("mt.fold.BATCH", 1)
    monkeypatch.setattr(journals, "CHUNK", 7)
    rebuild_run(run.store, run.id)
    assert run.contents() == whole


# -- compaction


def pack_steps() -> Iterator[Callable[[pytest.MonkeyPatch], None]]:
    """Ways to die within a compaction."""
    yield lambda m: m.setattr("mt.pack.os.rename", die)
    yield lambda m: m.setattr("mt.pack.os.fsync", die)
    yield lambda m: m.setattr(db_run, "move_offsets", die)
    yield lambda m: m.setattr("mt.pack.os.unlink", die)


def test_a_compacted_run_is_one_file_that_says_the_same(run: Run) -> None:
    fill(run)
    run.fold()
    before = run.contents()
    assert compact(run.store, run.id)
    assert sorted(os.listdir(run.dir)) == [journals.GZ, "drop", "run.json"]
    assert not is_behind(run.store, run.id)
    assert run.fold() == 0
    assert run.contents() == before
    rebuild_run(run.store, run.id)
    assert run.contents() == before
    assert not compact(run.store, run.id)


def test_a_compacted_run_can_go_on_and_be_compacted_again(run: Run) -> None:
    fill(run)
    compact(run.store, run.id)
    run.tell(CaseRow("b", "", 1, 5, "COMPLETED", "PASS"), writer="w9")
    drop(str(run.dir), [("note", {"test": "b", "text": "again"})])
    assert run.fold() == 2
    drop(str(run.dir), [("note", {"test": "b", "text": "and again"})])
    assert run.fold() == 1
    before = run.contents()
    assert compact(run.store, run.id)
    rebuild_run(run.store, run.id)
    assert run.contents() == before
    assert len(before["notes"]) == 3


@pytest.mark.parametrize("step", range(4))
def test_death_within_a_compaction_loses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    fill(run)
    run.fold()
    before = run.contents()
    with monkeypatch.context() as m:
        list(pack_steps())[step](m)
        with pytest.raises(Died):
            compact(run.store, run.id)
    assert refresh(run.store, run.id)
    assert run.contents() == before
    drop(str(run.dir), [("note", {"test": "b", "text": "later"})])
    assert refresh(run.store, run.id)
    assert compact(run.store, run.id)
    rebuild_run(run.store, run.id)
    after = run.contents()
    assert len(after.pop("notes")) == len(before.pop("notes")) + 1
    assert after == before


def test_the_journal_of_a_living_writer_is_left_alone(run: Run) -> None:
    fill(run)
    fd = keep_alive(str(run.dir / "live.ndjson"))
    try:
        with Journal(str(run.dir), "live") as journal:
            journal.emit("note", test="t", text="a")
            compact(run.store, run.id)
            journal.emit("note", test="t", text="b")
    finally:
        os.close(fd)
    run.fold()
    assert len(run.contents()["notes"]) == 3
    assert compact(run.store, run.id)
    lines = gzip.decompress((run.dir / journals.GZ).read_bytes()).splitlines()
    assert sum(json.loads(line).get("w") == "live" for line in lines) == 2
    assert pack.compact(run.store, run.id) is False


def test_what_a_writer_says_between_the_fold_and_the_packing_is_not_lost(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(run)
    dead = pack._dead

    def late(directory: str, stack: Any, most: int) -> list[str]:
        run.tell(CaseRow("late", ""), writer="w1")
        return dead(directory, stack, most)

    monkeypatch.setattr(pack, "_dead", late)
    assert compact(run.store, run.id)
    assert "late" in run.states()
    rebuild_run(run.store, run.id)
    assert "late" in run.states()


def test_an_open_journal_is_a_sign_of_life_by_itself(run: Run) -> None:
    with Journal(str(run.dir), "live") as journal:
        compact(run.store, run.id)
        journal.emit("note", test="t", text="a")
        assert run.fold() == 1


# -- broken and lost dbs


def test_a_db_of_random_bytes_is_one_error_and_is_not_touched(run: Run) -> None:
    fill(run)
    run.fold()
    before = run.contents()
    garbage = bytes(range(256)) * 40
    run.db.write_bytes(garbage)
    run.tell(CaseRow("x", ""))
    for ask in (run.fold, lambda: list(queries.cases(run.store, run.id)), lambda: refresh(run.store, run.id)):
        with pytest.raises(StoreError) as e:
            ask()
        assert e.value.what == f"cannot use '.mtdb/{run.id}.db': file is not a database"
        assert e.value.hint == f"mt db rebuild {run.id}"
    assert run.db.read_bytes() == garbage
    rebuild_run(run.store, run.id)
    after = run.contents()
    assert len(after["cases"]) == len(before["cases"]) + 1
    assert after["steps"] == before["steps"]


def test_a_db_of_a_newer_version_is_refused_and_not_touched(run: Run) -> None:
    run.tell(CaseRow("x", ""))
    run.fold()
    with closing(sqlite3.connect(run.db)) as conn:
        conn.execute("PRAGMA user_version = 99")
    before = run.db.read_bytes()
    run.tell(CaseRow("y", ""))
    for ask in (run.fold, lambda: list(queries.cases(run.store, run.id))):
        with pytest.raises(StoreError, match="its version 99 is newer than 3") as e:
            ask()
        assert e.value.hint == f"mt db rebuild {run.id}"
    assert run.db.read_bytes() == before


def test_a_folder_notices_a_db_that_was_replaced(run: Run) -> None:
    run.tell(CaseRow("x", ""))
    with Folder(run.store, run.id) as folder:
        folder.fold()
        rebuild_run(run.store, run.id)
        run.tell(CaseRow("y", ""))
        assert folder.fold() == 1
        assert folder.counts() == {("NOT_STARTED", "n/a"): 2}
    assert sorted(run.states()) == ["x", "y"]


def test_a_lost_db_comes_back_with_the_next_question(run: Run) -> None:
    fill(run)
    run.fold()
    before = run.contents()
    for name in os.listdir(run.store.root):
        if name.endswith((".db", "-wal", "-shm")):
            os.unlink(os.path.join(run.store.root, name))
    assert [r.key for r in queries.find_runs(run.store)] == [KEY]
    assert refresh(run.store, run.id)
    assert run.contents() == before
    assert queries.find_runs(run.store)[0].counts == {"COMPLETED/PASS": 2, "NOT_STARTED/n/a": 1}


def test_a_lost_main_db_is_made_from_the_runs(run: Run) -> None:
    fill(run)
    run.fold()
    before = queries.find_runs(run.store)
    os.unlink(run.store.main_path)
    assert queries.find_runs(run.store) == before
    Path(run.store.main_path).write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError, match=r"main\.db") as e:
        queries.find_runs(run.store)
    assert e.value.hint == "mt db rebuild --main"
    assert rebuild_main(run.store) == 1
    assert queries.find_runs(run.store) == before


def test_ids_are_never_used_again_even_when_main_db_is_lost(run: Run) -> None:
    second = run.store.create_run(RunKey("ubuntu/nfs", "b"), owner="me")
    os.unlink(run.store.main_path)
    assert run.store.run_id(KEY) == run.id
    assert run.store.create_run(KEY, owner="me") == run.id
    assert run.store.create_run(RunKey("ubuntu/nfs", "c"), owner="me") == second + 1


def test_a_compare_sees_a_row_that_is_not_from_the_journals(run: Run) -> None:
    fill(run)
    run.fold()
    assert compare_run(run.store, run.id) == []
    with closing(sqlite3.connect(run.db)) as conn:
        conn.execute("UPDATE cases SET status = 'PASS', state = 'COMPLETED' WHERE test = 'b'")
        conn.execute("DELETE FROM vals")
        conn.commit()
    found = {d.table: (d.only_db, d.only_journals) for d in compare_run(run.store, run.id)}
    assert found == {"cases": (1, 1), "vals": (0, 1)}


# -- areas that cannot be written


def as_nobody(check: Callable[[], None], where: Path) -> None:
    """Run the check in a child that may write nothing there; root changes its user, others the modes."""
    for path in (where, *where.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in where.parents:
        if os.getuid() == 0 and path.stat().st_uid == 0 and str(path) != "/":
            path.chmod(path.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            check()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("left", ["closed", "wal"])
def test_an_area_that_cannot_be_written_answers_as_of_its_last_fold(tmp_path: Path, left: str) -> None:
    home = tmp_path / "area"
    run = Run(home)
    fill(run)
    run.fold()
    if left == "wal":  # as a killed folder leaves it
        with closing(sqlite3.connect(run.db)) as writer:
            writer.execute("INSERT INTO notes VALUES ('w', 1, 1.0, 't', '', 1, 'in the wal')")
            writer.commit()
            files = {n: (home / ".mtdb" / n).read_bytes() for n in os.listdir(run.store.root) if "db-wal" in n}
            main = run.db.read_bytes()
        for name, body in files.items():
            (home / ".mtdb" / name).write_bytes(body)
        run.db.write_bytes(main)
    run.tell(CaseRow("new", ""))

    def check() -> None:
        store = Store(str(home))
        assert not store.writable()
        assert is_behind(store, run.id)
        assert refresh(store, run.id) is False
        assert len(list(queries.cases(store, run.id))) == 3
        notes = [n.text for n in queries.notes(store, run.id)]
        assert notes == (["in the wal", "waits"] if left == "wal" else ["waits"])
        assert [r.key for r in queries.find_runs(store)] == [KEY]
        with pytest.raises(NotPermitted):
            Folder(store, run.id).fold()
        with pytest.raises(MtError):
            store.create_run(RunKey("x", "y"), owner="me")
        try:
            Journal(store.journal_dir(run.id))
            raise AssertionError("a journal was opened")
        except StoreError:
            pass

    as_nobody(check, home)


# -- pages of cases


def test_pages_of_cases_are_those_of_the_whole_list(run: Run) -> None:
    for test in "ab":
        run.tell(
            *(CaseRow(test, f"{n:02}", 1, 1, "COMPLETED", "FAIL" if n == 7 else "PASS") for n in range(20)),
            writer=test,
        )
    run.fold()
    everything = list(queries.cases(run.store, run.id))
    assert [str(c.key) for c in everything] == sorted(str(c.key) for c in everything)
    for words in ((), ("FAIL",), ("PASS",), ("PASS", "FAIL"), ("ABORT",)):
        fitting = [c for c in everything if not words or c.status in words]
        assert list(queries.cases(run.store, run.id, statuses=words)) == fitting
        assert list(queries.cases(run.store, run.id, statuses=words, limit=3, offset=1)) == fitting[1:4]
        assert list(queries.cases(run.store, run.id, statuses=words, states=["RUNNING"])) == []
    assert [c.item for c in queries.cases(run.store, run.id, key=CaseKey("a", "07"), statuses=["FAIL"])] == ["07"]


def test_a_text_in_a_pattern_is_never_sql(run: Run) -> None:
    assert queries.find_runs(run.store, "x' OR '1'='1") == []
    assert queries.find_runs(run.store, "%", "w49.%")[0].key == KEY
    assert list(queries.cases(run.store, run.id, statuses=["x' OR '1'='1"])) == []
