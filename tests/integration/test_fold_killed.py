"""Writers and folders are killed at random moments; every event that was acknowledged is in the db exactly once.

The seed of the moments is printed on failure; set MT_TEST_SEED to repeat one.
A writer prints the number of an event after `emit` has given it back.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from mt import db, queries
from mt.db import Store
from mt.db_schema import RUN
from mt.fold import Folder, compact
from mt.model import RunKey
from mt.rebuild import compare_main, compare_run, rebuild_run

WRITE = """
import sys
from mt.db import Store
from mt.journal import Journal, drop
from mt.locks.alive import keep_alive
from mt.journal import writer_name
import os
store = Store(sys.argv[1])
directory = store.journal_dir(1)
keep_alive(os.path.join(directory, writer_name() + ".ndjson"))
journal = Journal(directory)
name, n = sys.argv[2], 0
while True:
    n += 1
    if n % 7 == 0:
        drop(directory, [("result", {"test": name, "item": str(n), "comment": name})])
    else:
        journal.emit("result", test=name, item=str(n), comment=name)
    if n % 3 == 0:
        journal.emit("case", test=name, item=str(n % 30), attempt=1 + n // 90, gen=n, state="RUNNING", status="n/a")
    sys.stdout.write(str(n) + "\\n")
    sys.stdout.flush()
"""
FOLD = """
import sys
from mt.db import Store
from mt.errors import BusyError
from mt.fold import Folder, compact, refresh
store = Store(sys.argv[1])
way = sys.argv[2]
folder = Folder(store, 1)
while True:
    if way == "fold":
        folder.fold()
    elif way == "ask":
        refresh(store, 1)
    else:
        compact(store, 1)
"""


def start(code: str, home: Path, word: str, out: Path | None = None) -> subprocess.Popen[bytes]:
    target = open(out, "ab") if out else subprocess.DEVNULL
    try:
        return subprocess.Popen([sys.executable, "-c", code, str(home), word], stdout=target)
    finally:
        if out:
            target.close()  # type: ignore[union-attr]


def acknowledged(path: Path) -> int:
    lines = path.read_bytes().split(b"\n")[:-1]
    return int(lines[-1]) if lines else 0


def mayhem(home: Path, seed: int, seconds: float) -> dict[str, int]:
    """Start and kill writers and folders for a while; gives how far each writer had got."""
    draw = random.Random(seed)
    end = time.monotonic() + seconds
    writers: dict[str, subprocess.Popen[bytes]] = {}
    folders: list[subprocess.Popen[bytes]] = []
    said = home.parent / "said"
    said.mkdir()
    generation = 0
    alive: list[str] = []
    while time.monotonic() < end:
        while len(alive) < 2:
            generation += 1
            name = f"w{generation}"
            writers[name] = start(WRITE, home, name, said / name)
            alive.append(name)
        while len(folders) < 3:
            folders.append(start(FOLD, home, draw.choice(("fold", "fold", "ask", "compact"))))
        moment = time.monotonic() + draw.uniform(0.02, 0.4)
        victim = draw.randrange(5)
        process = writers[alive[victim]] if victim < len(alive) else folders[victim % len(folders)]
        try:  # somebody who died by itself died of a bug
            process.wait(max(moment - time.monotonic(), 0))
            pytest.fail(f"a process ended by itself with {process.returncode}, seed {seed}")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        if victim < len(alive):
            alive.pop(victim)
        else:
            folders.pop(victim % len(folders))
    for process in [*(writers[n] for n in alive), *folders]:
        process.kill()
        process.wait(60)
    return {name: acknowledged(said / name) for name in writers}


def check(home: Path, seed: int, told: dict[str, int]) -> None:
    store = Store(str(home))
    with Folder(store, 1) as folder:
        folder.settle()
    with closing(db.reader(store.run_db_path(1), RUN)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",), f"seed {seed}"
        for name, last in told.items():
            found = [int(i) for (i,) in conn.execute("SELECT item FROM said WHERE test = ?", (name,))]
            assert len(found) == len(set(found)), f"twice, seed {seed}"
            lost = set(range(1, last + 1)) - set(found)
            assert not lost, f"lost {sorted(lost)[:5]} of {name}, seed {seed}"
            assert max(found, default=0) <= last + 1, f"never written, seed {seed}"
    assert compare_run(store, 1) == [], f"seed {seed}"
    assert compare_main(store) == [], f"seed {seed}"
    before = list(queries.cases(store, 1))
    assert compact(store, 1) in (True, False)
    rebuild_run(store, 1)
    assert list(queries.cases(store, 1)) == before, f"seed {seed}"
    assert compare_run(store, 1) == [], f"seed {seed}"


@pytest.mark.parametrize("seconds", [3.0, pytest.param(60.0, marks=[pytest.mark.chaos, pytest.mark.slow])])
def test_no_acknowledged_event_is_lost_or_doubled_by_kills(tmp_path: Path, seconds: float) -> None:
    seed = int(os.environ.get("MT_TEST_SEED") or random.SystemRandom().randrange(1 << 30))
    home = tmp_path / "area"
    store = Store(str(home), create=True)
    assert store.create_run(RunKey("t", "r"), owner="me") == 1
    told = mayhem(home, seed, seconds)
    assert sum(told.values()) > 100, f"nothing happened, seed {seed}"
    check(home, seed, told)


CREATE = """
import sys
from mt.db import Store
from mt.model import RunKey
store = Store(sys.argv[1], create=True)
print(*(store.create_run(RunKey("t", f"r{n}"), owner=sys.argv[2]) for n in range(20)))
"""


def test_processes_that_register_the_same_runs_at_once_agree_on_ids(tmp_path: Path) -> None:
    made = [
        subprocess.Popen([sys.executable, "-c", CREATE, str(tmp_path), str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    answers = {p.communicate(timeout=100)[0] for p in made}
    assert all(p.returncode == 0 for p in made)
    (answer,) = answers
    assert len(set(answer.split())) == 20
    assert len(queries.find_runs(Store(str(tmp_path)))) == 20


def test_two_folders_at_once_fold_each_event_once(tmp_path: Path) -> None:
    home = tmp_path / "area"
    store = Store(str(home), create=True)
    store.create_run(RunKey("t", "r"), owner="me")
    folders = [start(FOLD, home, "fold") for _ in range(3)]
    writer = start(WRITE, home, "w1", tmp_path / "said")
    try:
        deadline = time.monotonic() + 60
        while (
            not (tmp_path / "said").exists() or acknowledged(tmp_path / "said") < 2000
        ) and time.monotonic() < deadline:
            assert writer.poll() is None and all(f.poll() is None for f in folders)
            os.sched_yield()
    finally:
        for process in (writer, *folders):
            process.kill()
            process.wait(60)
    check(home, 0, {"w1": acknowledged(tmp_path / "said")})
    with closing(sqlite3.connect(store.run_db_path(1))) as conn:
        assert conn.execute("SELECT count(*) FROM said").fetchone()[0] >= 2000
