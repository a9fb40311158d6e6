"""A `megatest.db` as Megatest 1.65 left it, made by hand for tests: its schema, and rows as its programs wrote them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

BEGUN = 1_516_900_000

SCHEMA = """
CREATE TABLE keys (id INTEGER PRIMARY KEY, fieldname TEXT, fieldtype TEXT, CONSTRAINT keyconstraint UNIQUE (fieldname));
CREATE TABLE runs (id INTEGER PRIMARY KEY,
  SYSTEM TEXT DEFAULT '', FS TEXT DEFAULT '',
  runname TEXT DEFAULT 'norun', contour TEXT DEFAULT '', state TEXT DEFAULT '', status TEXT DEFAULT '',
  owner TEXT DEFAULT '', event_time TIMESTAMP DEFAULT (strftime('%s','now')), comment TEXT DEFAULT '',
  fail_count INTEGER DEFAULT 0, pass_count INTEGER DEFAULT 0, last_update INTEGER DEFAULT (strftime('%s','now')),
  CONSTRAINT runsconstraint UNIQUE (runname, SYSTEM, FS));
CREATE TABLE run_stats (id INTEGER PRIMARY KEY, run_id INTEGER, state TEXT, status TEXT, count INTEGER,
  last_update INTEGER DEFAULT (strftime('%s','now')));
CREATE TABLE tests (id INTEGER PRIMARY KEY, run_id INTEGER DEFAULT -1, testname TEXT DEFAULT 'noname',
  host TEXT DEFAULT 'n/a', cpuload REAL DEFAULT -1, diskfree INTEGER DEFAULT -1, uname TEXT DEFAULT 'n/a',
  rundir TEXT DEFAULT '/tmp/badname', shortdir TEXT DEFAULT '/tmp/badname', item_path TEXT DEFAULT '',
  state TEXT DEFAULT 'NOT_STARTED', status TEXT DEFAULT 'FAIL', attemptnum INTEGER DEFAULT 0,
  final_logf TEXT DEFAULT 'logs/final.log', logdat TEXT DEFAULT '', run_duration INTEGER DEFAULT 0,
  comment TEXT DEFAULT '', event_time TIMESTAMP DEFAULT (strftime('%s','now')),
  fail_count INTEGER DEFAULT 0, pass_count INTEGER DEFAULT 0, archived INTEGER DEFAULT 0,
  last_update INTEGER DEFAULT (strftime('%s','now')),
  CONSTRAINT testsconstraint UNIQUE (run_id, testname, item_path));
CREATE TABLE test_steps (id INTEGER PRIMARY KEY, test_id INTEGER, stepname TEXT, state TEXT DEFAULT 'NOT_STARTED',
  status TEXT DEFAULT 'n/a', event_time TIMESTAMP, comment TEXT DEFAULT '', logfile TEXT DEFAULT '',
  last_update INTEGER DEFAULT (strftime('%s','now')),
  CONSTRAINT test_steps_constraint UNIQUE (test_id, stepname, state));
CREATE TABLE test_data (id INTEGER PRIMARY KEY, test_id INTEGER, category TEXT DEFAULT '', variable TEXT, value REAL,
  expected REAL, tol REAL, units TEXT, comment TEXT DEFAULT '', status TEXT DEFAULT 'n/a', type TEXT DEFAULT '',
  last_update INTEGER DEFAULT (strftime('%s','now')),
  CONSTRAINT test_data_constraint UNIQUE (test_id, category, variable));
CREATE TABLE test_rundat (id INTEGER PRIMARY KEY, test_id INTEGER, update_time TIMESTAMP, cpuload INTEGER DEFAULT -1,
  diskfree INTEGER DEFAULT -1, diskusage INTEGER DEFAULT -1, run_duration INTEGER DEFAULT 0);
CREATE TABLE test_meta (id INTEGER PRIMARY KEY, testname TEXT DEFAULT '', owner TEXT DEFAULT '',
  author TEXT DEFAULT '', description TEXT DEFAULT '', reviewed TIMESTAMP, iterated TEXT DEFAULT '', avg_runtime REAL,
  avg_disk REAL, tags TEXT DEFAULT '', jobgroup TEXT DEFAULT 'default',
  CONSTRAINT test_meta_constraint UNIQUE (testname));
CREATE TABLE metadat (id INTEGER PRIMARY KEY, var TEXT, val TEXT, CONSTRAINT metadat_constraint UNIQUE (var));
CREATE TABLE tasks_queue (id INTEGER PRIMARY KEY, action TEXT DEFAULT '', owner TEXT, state TEXT DEFAULT 'new',
  target TEXT DEFAULT '', name TEXT DEFAULT '', testpatt TEXT DEFAULT '', keylock TEXT, params TEXT,
  creation_time TIMESTAMP, execution_time TIMESTAMP);
CREATE TABLE archive_disks (id INTEGER PRIMARY KEY, archive_area_name TEXT, disk_path TEXT, last_df INTEGER DEFAULT -1,
  last_df_time TIMESTAMP, creation_time TIMESTAMP);
CREATE TABLE archive_blocks (id INTEGER PRIMARY KEY, archive_disk_id INTEGER, disk_path TEXT,
  last_du INTEGER DEFAULT -1, last_du_time TIMESTAMP, creation_time TIMESTAMP);
CREATE TABLE archive_allocations (id INTEGER PRIMARY KEY, archive_block_id INTEGER, testname TEXT, item_path TEXT,
  creation_time TIMESTAMP);
CREATE TABLE archives (id INTEGER PRIMARY KEY, test_id INTEGER, state TEXT DEFAULT 'new', status TEXT DEFAULT 'n/a',
  archive_type TEXT DEFAULT 'bup', du INTEGER, archive_path TEXT);
CREATE TABLE extradat (id INTEGER PRIMARY KEY, run_id INTEGER, key TEXT, val TEXT);
CREATE TABLE access_log (id INTEGER PRIMARY KEY, user TEXT, accessed TIMESTAMP, args TEXT);
CREATE TRIGGER update_tests_trigger AFTER UPDATE ON tests FOR EACH ROW BEGIN
  UPDATE tests SET last_update = (strftime('%s','now')) WHERE id = old.id; END;
"""


class OldDb:
    """The file, and methods that add rows the way the old programs did; `with` commits and closes."""

    def __init__(self, path: Path, schema: str = SCHEMA) -> None:
        self.path = path
        self.conn = sqlite3.connect(path)
        self.conn.executescript(schema)
        self.add("metadat", var="MEGATEST_VERSION", val="1.6506")
        for key in ("SYSTEM", "FS"):
            self.add("keys", fieldname=key, fieldtype="TEXT")

    def __enter__(self) -> OldDb:
        return self

    def __exit__(self, *_: object) -> None:
        self.conn.commit()
        self.conn.close()

    def add(self, table: str, **row: Any) -> int:
        """Insert a row; gives its id."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        done = self.conn.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
        return int(done.lastrowid or 0)

    def run(self, name: str, target: str = "ubuntu/nfs", **more: Any) -> int:
        """A run."""
        system, fs = target.split("/")
        usual = {"state": "new", "status": "n/a", "owner": "ann", "event_time": BEGUN}
        return self.add("runs", SYSTEM=system, FS=fs, runname=name, **{**usual, **more})

    def test(
        self, run: int, name: str, item: str = "", state: str = "COMPLETED", status: str = "PASS", **m: Any
    ) -> int:
        """A test record that ran for two seconds on h1."""
        place = f"/lt/ubuntu/nfs/r/{name}/{item}".rstrip("/")
        usual = {
            "host": "h1", "cpuload": 0.5, "diskfree": 4000, "uname": "Linux h1 4.4 x86_64", "rundir": place,
            "shortdir": place.replace("/lt", "/disk0"), "attemptnum": 4711, "run_duration": 2,
            "event_time": BEGUN + 10,
        }  # fmt: skip
        usual |= {"testname": name, "item_path": item, "state": state, "status": status}
        return self.add("tests", run_id=run, **{**usual, **m})

    def step(self, test: int, name: str, status: str | None = "0", begin: int = BEGUN + 10, secs: int = 1) -> None:
        """A step: its start row, and its end row unless `status` is None."""
        rest = {"logfile": f"{name}.log"}
        self.add("test_steps", test_id=test, stepname=name, state="start", status="n/a", event_time=begin)
        if status is not None:
            self.add(
                "test_steps", test_id=test, stepname=name, state="end", status=status, event_time=begin + secs, **rest
            )  # fmt: skip

    def value(
        self, test: int, category: str, variable: str, value: Any, expected: Any = None, tol: Any = None, **m: Any
    ) -> None:
        """A measured value."""
        row = {"category": category, "variable": variable, "value": value, "expected": expected, "tol": tol}
        self.add("test_data", test_id=test, **row, **m)


def sample(path: Path) -> Path:
    """Two runs and a deleted one, with everything that is taken over or left behind."""
    with OldDb(path) as old:
        first = old.run("w04.1", comment="nightly")
        plain = old.test(first, "setup", final_logf="setup.html", comment="fine")
        old.step(plain, "main", begin=BEGUN + 10, secs=2)
        old.test(
            first, "disk", state="COMPLETED", status="FAIL", comment="see items", final_logf="megatest-rollup-disk.html"
        )
        good = old.test(first, "disk", "sda/4k")
        old.step(good, "write", secs=3)
        old.step(good, "read", status="1", begin=BEGUN + 13)
        old.value(good, "speed", "mean", 5, 4.5, 0.25, units="MB/s", status="pass", comment="ok, good")
        old.value(good, "speed", "note", "fast", status="n/a")
        old.test(first, "disk", "sdb/4k", status="FAIL", comment="slow")
        old.test(first, "gone", state="DELETED", status="n/a", comment="")
        old.test(first, "later", state="NOT_STARTED", status="n/a", host="n/a", rundir="/tmp/badname", run_duration=0)
        old.test(first, "busy", state="RUNNING", status="n/a", run_duration=7)
        second = old.run("w04.2", "centos/local", state="locked", status="reviewed", event_time=BEGUN + 86_400)
        old.test(second, "setup", event_time=BEGUN + 86_410)
        old.run("w03.9", state="deleted")
        old.add("test_meta", testname="setup", author="ann", owner="bob", description="makes things", tags="fast,net")
        old.add(
            "test_rundat", test_id=plain, update_time=BEGUN + 11, cpuload=3, diskfree=9, diskusage=8, run_duration=1
        )
        old.add("run_stats", run_id=first, state="COMPLETED", status="PASS", count=2)
    return path


def many(path: Path, runs: int, tests: int) -> Path:
    """A large file: runs of so many one-step tests each, every hundredth with items' top records left out."""
    with OldDb(path) as old:
        for r in range(runs):
            run = old.run(f"r{r}", event_time=BEGUN + r)
            at = r * tests
            rows = (
                (
                    at + n + 1,
                    run,
                    f"t{n % 100}",
                    "h1",
                    f"/lt/u/n/r{r}/t{n % 100}/i{n // 100}",
                    f"i{n // 100}",
                    BEGUN + n,
                )
                for n in range(tests)
            )
            old.conn.executemany(
                "INSERT INTO tests (id, run_id, testname, host, rundir, item_path, event_time, state, status,"
                " run_duration)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'COMPLETED', 'PASS', 2)", rows,
            )  # fmt: skip
            steps = (
                (at + n + 1, s, v, BEGUN + n + (s == "end"))
                for n in range(tests)
                for s, v in (("start", "n/a"), ("end", "0"))
            )
            old.conn.executemany(
                "INSERT INTO test_steps (test_id, stepname, state, status, event_time, logfile)"
                " VALUES (?, 'main', ?, ?, ?, 'main.log')", steps,
            )  # fmt: skip
    return path


def rows(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What a script that reads the file with SQL gets."""
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql, values).fetchall()
