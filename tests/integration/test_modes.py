"""The storage modes on a real disk: each gives the same db, and no two who do not know of each other do harm."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mt import db, db_main, journals, live, queries, storage
from mt.db import Store
from mt.db_schema import RUN
from mt.errors import BusyError, NotPermitted, StoreError
from mt.fold import Folder, compact, refresh
from mt.journal import Journal, drop
from mt.locks.filelock import held, holder, is_held, watcher
from mt.locks.lease import current
from mt.model import CaseRow, RunKey
from mt.rebuild import TABLES, compare_main, compare_run, rebuild_main, rebuild_run
from mt.storage import DIRECT, MODES, NFS, SINGLE
from mt.upkeep import migrate_all, stat_run, vacuum_all

KEY = RunKey("ubuntu/nfs", "w49.1")
#: of the leases in these tests
SECONDS = 1.0


def made(home: Path, mode: str, **more: Any) -> Store:
    """A store in a mode, forced by its AREA."""
    Store(str(home), create=True)
    path = home / ".mtdb" / "AREA"
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"mode": mode, "why": "a test", "lease": SECONDS} | more))
    return Store(str(home))


class Run:
    """A store with one run."""

    def __init__(self, home: Path, mode: str) -> None:
        self.store = made(home, mode)
        self.id = self.store.create_run(KEY, owner="me")
        self.dir = self.store.journal_dir(self.id)
        self.path = self.store.run_db_path(self.id)

    def tell(self, test: str, status: str = "PASS", writer: str = "w1") -> None:
        with Journal(self.dir, writer) as journal:
            journal.emit_row("case", CaseRow(test, "", 1, 1, "RUNNING"))
            journal.emit_row("case", CaseRow(test, "", 1, 2, "COMPLETED", status))

    def note(self, text: str) -> None:
        drop(self.dir, [("note", {"test": "a", "text": text})])

    def fold(self) -> int:
        with Folder(self.store, self.id) as folder:
            return folder.settle()

    def contents(self) -> dict[str, list[Any]]:
        with closing(db.reader(self.path, RUN, self.store.mode)) as conn:
            return {t: sorted(conn.execute(f"SELECT * FROM {t}").fetchall()) for t in TABLES}

    def fresh(self) -> dict[str, list[Any]]:
        """What a fold of all journals into an empty db gives."""
        rebuild_run(self.store, self.id)
        return self.contents()

    def is_right(self) -> bool:
        """Whether the db is what its journals say, and main.db what the dbs say."""
        assert refresh(self.store, self.id)
        before = self.contents()
        assert compare_run(self.store, self.id) == []
        assert compare_main(self.store) == []
        return before == self.fresh()


@pytest.fixture(params=MODES)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run(tmp_path, request.param)


@pytest.fixture
def alone(tmp_path: Path) -> Run:
    """A run in the mode single-writer."""
    return Run(tmp_path, SINGLE)


def leftovers(store: Store) -> list[str]:
    return os.listdir(storage.live_home(store.area_id))


# -- every mode


def test_every_mode_folds_to_the_same(run: Run) -> None:
    with Folder(run.store, run.id) as folder:
        for n in range(3):
            run.tell(f"t{n}", "FAIL" if n else "PASS", f"w{n}")
            run.note(f"n{n}")
            assert folder.fold() == 3
        assert folder.fold() == 0
        assert folder.counts() == {("COMPLETED", "PASS"): 1, ("COMPLETED", "FAIL"): 2}
    assert sorted(str(c.key) for c in queries.cases(run.store, run.id)) == ["t0", "t1", "t2"]
    assert len(list(queries.notes(run.store, run.id))) == 3
    (row,) = queries.find_runs(run.store)
    assert row.counts == {"COMPLETED/PASS": 1, "COMPLETED/FAIL": 2}
    assert os.listdir(os.path.join(run.dir, "drop")) == []
    assert run.is_right()


def test_a_query_folds_what_is_new_in_every_mode(run: Run) -> None:
    run.tell("a")
    assert refresh(run.store, run.id)
    run.tell("a", "FAIL", "w2")
    assert refresh(run.store, run.id)
    assert [c.status for c in queries.cases(run.store, run.id)] == ["FAIL"]
    assert refresh(run.store, run.id)


def test_upkeep_works_in_every_mode(run: Run) -> None:
    run.tell("a")
    run.fold()
    assert [(was, now) for _, was, now in migrate_all(run.store)] == [(2, 2), (len(RUN), len(RUN))]
    assert len(vacuum_all(run.store)) == 2
    assert stat_run(run.store, run.id).cases == 1
    assert rebuild_main(run.store) == 1
    assert compact(run.store, run.id) is (run.store.mode != SINGLE)
    assert run.is_right()


def test_a_mode_decides_how_a_db_lies_on_the_disk(run: Run) -> None:
    run.tell("a")
    with Folder(run.store, run.id) as folder:
        folder.settle()
        with open(run.path, "rb") as f:
            f.seek(18)
            wal = f.read(2) == b"\2\2"
        assert wal is (run.store.mode == DIRECT)
        assert os.path.exists(run.path + "-wal") is (run.store.mode == DIRECT)
        assert len(leftovers(run.store)) == (2 if run.store.mode == SINGLE else 0)
        kept = live.kept(run.store, run.path, RUN)
        with db.locked(run.store, f"{run.id}.db"), closing(kept):
            (full,) = kept.opened().execute("PRAGMA synchronous").fetchone()
            assert full == {DIRECT: 1, NFS: 2, SINGLE: 0}[run.store.mode]
    assert leftovers(run.store) == []


def test_a_reader_on_a_network_disk_does_not_keep_writers_out(tmp_path: Path) -> None:
    run = Run(tmp_path, NFS)
    run.tell("a")
    run.fold()
    with closing(db.reader(run.path, RUN, NFS)) as conn:
        rows = conn.execute("SELECT * FROM cases")
        assert rows.fetchone()
        run.tell("b")
        assert run.fold() == 2


def test_who_reads_a_huge_db_on_a_network_disk_delays_the_fold_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, NFS)
    run.tell("a")
    run.fold()
    plain = sqlite3.connect
    monkeypatch.setattr("mt.db.sqlite3.connect", lambda *a, **k: plain(*a, **(k | {"timeout": 0.05})))
    with closing(plain(run.path, isolation_level=None)) as conn:
        conn.execute("BEGIN")
        assert conn.execute("SELECT count(*) FROM cases").fetchone() == (1,)
        run.tell("b")
        with Folder(run.store, run.id) as folder:
            assert folder.fold() == 0
            conn.execute("COMMIT")
            assert folder.fold() == 2
    assert run.is_right()


# -- the lease


HOLD = """
import os, sys
from mt.locks.filelock import held
with held(sys.argv[1], what="a test") as lease:
    print("held", flush=True)
    sys.stdin.readline()
    print(lease.lost(), flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process that holds a lease."""

    def __init__(self, path: str) -> None:
        command = [sys.executable, "-c", HOLD, path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)

    def has_lost(self) -> bool:
        """Ask it whether its lease was lost."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "True\n"


def test_a_lease_keeps_others_out_and_names_its_holder(alone: Run) -> None:
    path = alone.store.lock_path("run.1")
    assert path.endswith("/run.1.lease") and not is_held(path)
    with Other(path) as other:
        who = holder(path)
        assert who is not None and (who.pid, who.what) == (other.process.pid, "a test")
        with pytest.raises(BusyError, match=f"held by pid {who.pid}") as e, held(path, wait=False):
            pass
        assert "'.mtdb/locks/run.1.lease'" in e.value.what
        with pytest.raises(BusyError), held(path, wait=1.5 * SECONDS):
            pass
        assert is_held(path) and not other.has_lost()
        other.process.communicate("\n")
    assert not is_held(path) and holder(path) is None
    with held(path, wait=False) as lock:
        assert not lock.lost()


def test_the_lease_of_a_killed_holder_is_taken_at_once(alone: Run) -> None:
    path = alone.store.lock_path("1.db")
    with Other(path) as other:
        other.process.kill()
        other.process.wait()
        assert not is_held(path) and not watcher(path)()
        with held(path, wait=False):
            assert is_held(path)


def test_the_lease_of_a_stopped_holder_runs_out_and_it_learns_of_it(alone: Run) -> None:
    path = alone.store.lock_path("1.db")
    with Other(path) as other:
        os.kill(other.process.pid, signal.SIGSTOP)
        with held(path, wait=20.0):
            os.kill(other.process.pid, signal.SIGCONT)
            assert other.has_lost()
            other.process.communicate("\n")
            assert current(path).free is False
            with pytest.raises(BusyError), held(path, wait=False):
                pass


def test_the_death_of_a_holder_elsewhere_is_not_proved_by_its_pid(alone: Run) -> None:
    path = alone.store.lock_path("1.db")
    with Other(path) as other:
        other.process.kill()
        other.process.wait()
        claim = Path(path, str(current(path).number))
        elsewhere = json.loads(claim.read_text()) | {"boot": "another boot"}
        claim.write_text(json.dumps(elsewhere))
        assert is_held(path)
        with pytest.raises(BusyError), held(path, wait=False):
            pass
        with held(path, wait=20.0):
            assert is_held(path)


def test_of_many_who_want_a_lease_one_has_it_at_a_time(alone: Run, tmp_path: Path) -> None:
    code = """
import os, sys
from mt.locks.filelock import held
for _ in range(15):
    with held(sys.argv[1]):
        os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))
        os.unlink(sys.argv[2])
"""
    words = [alone.store.lock_path("x"), str(tmp_path / "inside")]
    crowd = [subprocess.Popen([sys.executable, "-c", code, *words]) for _ in range(4)]
    assert [each.wait(60) for each in crowd] == [0, 0, 0, 0]
    assert len(os.listdir(words[0])) < 40


# -- two folders at once


def paused_before(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Any) -> None:
    """Do something once, as others would, just before a function of the folder's way back into the area is called."""
    real = getattr(os, name)
    todo = [meanwhile]

    def late(*args: Any, **more: Any) -> Any:
        if todo and ".db" in str(args[0]):
            todo.pop()()
        return real(*args, **more)

    monkeypatch.setattr(f"mt.live.os.{name}", late)


def overtake(run: Run) -> None:
    """What another host does that takes the holder to be gone: takes the lease, folds, and puts back."""
    path = run.store.lock_path(f"{run.id}.db")
    claim = Path(path, str(current(path).number))
    before = claim.read_bytes()
    claim.write_text(json.dumps(json.loads(before) | {"pid": 2**22 + 1, "start": "0"}))  # provably dead
    run.tell("late", "FAIL", "w9")
    run.note("of the other")
    Folder(run.store, run.id).settle()


@pytest.mark.parametrize("where", ["fsync", "rename"])
def test_a_folder_that_was_overtaken_does_no_harm(alone: Run, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """One that has lost its lease does not put back; an older copy that is put back all the same is folded on."""
    alone.tell("a")
    alone.note("of ours")
    with monkeypatch.context() as m:
        if where == "rename":
            paused_before(m, "rename", lambda: overtake(alone))
        else:
            real, todo = os.fsync, [lambda: overtake(alone)]

            def late(fd: int) -> None:
                if todo:
                    todo.pop()()
                real(fd)

            m.setattr("mt.live.os.fsync", late)
        alone.fold()
    assert alone.is_right()
    assert len(alone.contents()["cases"]) == 2
    assert sorted(n.text for n in queries.notes(alone.store, alone.id)) == ["of ours", "of the other"]
    assert [r.counts for r in queries.find_runs(alone.store)] == [{"COMPLETED/PASS": 1, "COMPLETED/FAIL": 1}]


def test_two_who_take_over_the_same_drops_count_them_once(alone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(4):
        alone.note(f"n{n}")
    real, todo = journals._spooled, [True]

    def late(directory: str, name: str) -> bytes:
        if todo:
            todo.pop()
            assert journals.take_over(directory, sorted(os.listdir(directory + "/drop")), "spool-other.ndjson")
        return real(directory, name)

    monkeypatch.setattr(journals, "_spooled", late)
    alone.fold()
    assert sorted(n.text for n in queries.notes(alone.store, alone.id)) == ["n0", "n1", "n2", "n3"]
    assert alone.is_right()


FOLD = """
import sys
from mt.db import Store
from mt.fold import Folder
from mt.journal import Journal
store = Store(sys.argv[1])
with Folder(store, 1) as folder, Journal(store.journal_dir(1)) as journal:
    print("ready", flush=True)
    for n in range(200):
        journal.emit("note", test="a", item="", attempt=1, text=f"{sys.argv[2]}.{n}")
        folder.fold(wait=False)
"""


def test_folders_that_are_stopped_and_killed_at_any_time_end_in_a_fresh_fold(alone: Run) -> None:
    """Two fold at once; one is stopped for longer than its lease again and again, one is killed."""
    command = [sys.executable, "-c", FOLD, alone.store.home]
    first, second = (subprocess.Popen([*command, n], stdout=subprocess.PIPE, text=True) for n in ("1", "2"))
    for each in (first, second):
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for _ in range(3):
        os.kill(first.pid, signal.SIGSTOP)
        with Folder(alone.store, alone.id) as folder:
            folder.settle()
        os.kill(first.pid, signal.SIGCONT)
    second.kill()
    assert first.wait(60) == 0
    second.wait()
    for each in (first, second):
        assert each.stdout is not None
        each.stdout.close()
    assert alone.is_right()
    assert sum(n.text.startswith("1.") for n in queries.notes(alone.store, alone.id)) == 200
    alone.fold()
    assert leftovers(alone.store) == []


def test_two_who_create_one_run_at_once_get_one_id(alone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The main.db of the one shows nothing of the other, as on a disk that shows old files."""
    key = RunKey("ubuntu/nfs", "new")
    real, todo = db_main._reserve, [True]

    def late(store: Store, conn: sqlite3.Connection) -> int:
        if todo:
            todo.pop()
            with closing(db.connect(":memory:", db_main.MAIN)) as elsewhere:
                mine = db_main._reserve(store, elsewhere)
                assert db_main._claimed(store, key, mine) == mine == 2
        return real(store, conn)

    monkeypatch.setattr(db_main, "_reserve", late)
    assert alone.store.create_run(key, owner="me") == 2
    assert alone.store.run_key(2) == key
    assert alone.store.run_ids_on_disk() == [1, 2]
    assert alone.store.create_run(RunKey("ubuntu/nfs", "next"), owner="me") == 4
    db_main.forget_run(alone.store, 2)
    left = (os.path.basename(db_main._claim_of(alone.store, k)) for k in (KEY, RunKey("ubuntu/nfs", "next")))
    assert sorted(os.listdir(os.path.join(alone.store.root, "journal", "keys"))) == sorted(left)


# -- what is refused


def test_a_live_home_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = str(tmp_path)
    home = tmp_path / f"mt-{os.geteuid()}"
    home.mkdir(mode=0o755)
    with pytest.raises(NotPermitted, match="others may use it too"):
        storage.live_home("12345678-9", base)
    home.chmod(0o700)
    assert storage.live_home("12345678-9", base) == str(home / "12345678")
    monkeypatch.setattr("mt.storage.os.geteuid", lambda: os.getuid() + 1)
    home.rename(tmp_path / f"mt-{os.getuid() + 1}")
    with pytest.raises(NotPermitted, match="it is not ours"):
        storage.live_home("12345678-9", base)


def test_a_mode_that_does_not_fit_is_refused_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, DIRECT)
    run.tell("a")
    run.fold()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setattr(storage, "mount_of", lambda path: storage.Mount("nfs4"))
    monkeypatch.setattr("mt.storage.os.major", lambda device: 0)
    with pytest.raises(StoreError) as e:
        Store(str(tmp_path))
    assert e.value.hint == "mt db mode direct-nfs"
    assert e.value.what == (
        "the storage mode is direct, which would break the databases here: nfs4 with locks between hosts"
    )
    with pytest.raises(StoreError):
        Store(str(tmp_path), create=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_who_opened_a_store_before_its_mode_was_changed_writes_nothing(run: Run) -> None:
    other = next(mode for mode in MODES if mode != run.store.mode)
    run.tell("a")
    db.write_area(run.store.root, storage.Choice(other, "a test", ""), changing=False)
    with pytest.raises(BusyError, match="storage mode of the area"), Folder(run.store, run.id) as folder:
        folder.fold()
    assert not os.path.exists(run.path)


def test_a_store_that_is_made_on_a_disk_whose_locks_fail_gets_the_mode_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe does not trust a good type alone; a good probe does not make a bad type good."""
    monkeypatch.setattr(storage, "mount_of", lambda path: storage.Mount("nfs4"))
    assert storage.choose(str(tmp_path)).mode == NFS
    monkeypatch.setattr("mt.locks.probe.try_lock", lambda scratch: (True, "kept out"))
    monkeypatch.setattr("mt.locks.probe.try_database", lambda scratch: (False, "updates are lost"))
    assert storage.choose(str(tmp_path))[:2] == (SINGLE, "updates are lost")
    monkeypatch.undo()
    monkeypatch.setattr(storage, "mount_of", lambda path: storage.Mount("fuse.sshfs"))
    monkeypatch.setattr("mt.storage.tried", lambda path: pytest.fail("tried in vain"))
    assert storage.choose(str(tmp_path)).mode == SINGLE


def test_the_areas_own_word_decides_when_its_store_is_made(tmp_path: Path) -> None:
    (tmp_path / "megatest.config").write_text("[fields]\na TEXT\n[db]\nmode direct-nfs\n")
    store = Store(str(tmp_path), create=True)
    assert store.mode == NFS
    assert Store(str(tmp_path)).choice.why == "[db] mode direct-nfs"
