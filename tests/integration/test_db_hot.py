"""A db whose writer was killed in the middle of a write is read by whoever comes next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from recorded import Recorded
from testarea import Area

from mt import queries
from mt.db import Store
from mt.fold import Folder, refresh
from mt.journal import Journal
from mt.locks.filelock import held
from mt.model import RunKey

DIES = """
import os, sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA journal_mode = DELETE")
conn.execute("PRAGMA cache_size = 1")
conn.execute("BEGIN IMMEDIATE")
conn.execute("CREATE TABLE more (x)")
conn.execute("INSERT INTO more VALUES (zeroblob(3000000))")
os.kill(os.getpid(), 9)
"""


def test_a_write_that_was_cut_off_is_taken_back_by_the_next_question(tmp_path: Path) -> None:
    store = Store(str(tmp_path), create=True)
    run = store.create_run(RunKey("u/n", "r1"), owner="ann")
    with Journal(store.journal_dir(run)) as journal, Folder(store, run) as folder:
        journal.emit("case", test="a", item="", state="COMPLETED", status="PASS")
        folder.settle()
    path = store.run_db_path(run)
    assert subprocess.run([sys.executable, "-c", DIES, path], check=False).returncode == -9
    assert os.path.exists(path + "-journal")
    assert refresh(store, run)
    assert [row.test for row in queries.cases(store, run)] == ["a"]
    assert not os.path.exists(path + "-journal")


def test_a_run_db_that_is_being_made_holds_nothing_yet(area: Area) -> None:
    """Whoever makes it was killed between the file and its tables, or is not so far: no question fails for that."""
    run = Recorded(area)
    run.case("t")
    Path(run.store.run_db_path(run.id)).touch()
    with held(run.store.lock_path(f"{run.id}.db")):
        refresh(run.store, run.id)
        assert list(queries.cases(run.store, run.id)) == []
    refresh(run.store, run.id)
    assert [row.test for row in queries.cases(run.store, run.id)] == ["t"]
