"""mt db mode, mt doctor --fs, and runs in each storage mode, as a user has them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from testarea import CONFIG, TARGET, Area

RUN = ("-t", TARGET, "-r", "w1")


def moded(area: Area, mode: str) -> Area:
    """The area, whose store will be made in this mode."""
    return area({"megatest.config": f"{CONFIG}\n[db]\nmode {mode}\n"})


def area_file(area: Area) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(area.read(".mtdb/AREA"))
    return said


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} does not come"
        time.sleep(0.01)


@pytest.mark.parametrize("mode", ["direct", "direct-nfs", "single-writer"])
def test_a_run_and_its_queries_are_the_same_in_every_mode(area: Area, mode: str) -> None:
    moded(area, mode).test("a", "true").test("b", "false").test("c", "mt step extra -- true", waiton="a")
    assert area.mt("run", *RUN, "-q").status == 1
    assert area_file(area)["mode"] == mode
    rows = area.rows("tests", *RUN)
    assert sorted((r["test"], r["status"]) for r in rows) == [("a", "PASS"), ("b", "FAIL"), ("c", "PASS")]
    assert {r["step"] for r in area.rows("steps", *RUN, "c")} >= {"s1"}
    assert area.rows("runs")[0]["state"] == "COMPLETED"
    assert area.mt("run", *RUN, "-q").status == 1
    area.ok("rerun", *RUN, "-q", "b", "--dry-run")
    assert area.mt("db", "check").status == 0
    assert area.rows("lock", "show") == []
    before = area.rows("tests", *RUN)
    area.ok("db", "rebuild", "--all", "-q")
    assert area.rows("tests", *RUN) == before


def test_a_controller_without_locks_is_one_and_is_replaced_when_it_is_killed(area: Area) -> None:
    """The second command joins the first; after kill -9 of the first the same command goes on at once."""
    moded(area, "single-writer").test("a", f"while [ ! -e {area.home}/go ]; do sleep 0.05; done").test("b", "true")
    with area.start("run", *RUN, "-q") as first:
        wait_for(area.home / ".mtdb" / "locks" / "run.1.lease" / "1")
        who = area.rows("lock", "show")
        assert [(r["lock"], r["pid"]) for r in who if r["lock"].startswith("run.")] == [("run.1.lease", first.pid)]
        refused = area.mt("run", *RUN, "-q", "--if-running", "fail")
        assert (refused.status, str(first.pid) in refused.err) == (4, True)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(60)  # its worker lives on, with our pipes
        (area.home / "go").touch()
    assert area.mt("run", *RUN, "-q").status == 0
    assert {r["status"] for r in area.rows("tests", *RUN)} == {"PASS"}


def test_the_mode_is_shown_and_changed_with_all_dbs(area: Area) -> None:
    area.test("a", "true")
    assert area.mt("db", "mode").status == 7
    area.ok("run", *RUN, "-q")
    (row,) = area.rows("db", "mode")
    assert (row["mode"], row["fits"]) == ("direct", "direct")
    before = area.rows("tests", *RUN)
    assert "would change from direct to direct-nfs; 2 dbs" in area.ok("db", "mode", "-n", "direct-nfs").err
    for mode in ("direct-nfs", "single-writer", "direct"):
        done = area.ok("db", "mode", mode)
        assert f"storage mode: {mode}, was" in done.err
        assert area_file(area)["mode"] == mode
        with open(area.home / ".mtdb" / "1.db", "rb") as f:
            assert f.read(20)[18:] == b"\1\1"  # the form that every mode can open
        assert area.rows("tests", *RUN) == before
    assert area.mt("db", "check").status == 0
    area.ok("db", "mode", "--lease", "7", "-q")
    (row,) = area.rows("db", "mode")
    assert (row["mode"], row["lease"]) == ("direct", 7.0)
    bad = area.mt("db", "mode", "cached")
    assert (bad.status, "must be one of direct, direct-nfs, single-writer" in bad.err) == (3, True)


def test_the_mode_is_not_changed_while_something_runs(area: Area) -> None:
    area.test("a", f"while [ ! -e {area.home}/go ]; do sleep 0.05; done")
    with area.start("run", *RUN, "-q") as first:
        wait_for(area.home / ".mtdb" / "locks" / "run.1.lock.holder")
        before = area_file(area)
        refused = area.mt("db", "mode", "direct-nfs")
        assert (refused.status, f"held by pid {first.pid}" in refused.err) == (4, True)
        (area.home / "go").touch()
        assert first.wait(60) == 0
    assert area_file(area) == before
    with closing(sqlite3.connect(area.home / ".mtdb" / "1.db")) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT * FROM cases").fetchone()
        refused = area.mt("db", "mode", "direct-nfs")
        assert (refused.status, "1.db" in refused.err) == (4, True)
        conn.execute("ROLLBACK")
    assert area_file(area)["mode"] == "direct"
    assert "changing" not in area_file(area)
    area.ok("tests", *RUN)


def test_a_change_of_the_mode_that_died_is_refused_by_all_and_said_again(area: Area) -> None:
    area.test("a", "true").ok("run", *RUN, "-q")
    said = area_file(area)
    (area.home / ".mtdb" / "AREA").write_text(json.dumps(said | {"changing": True}))
    refused = area.mt("tests", *RUN)
    assert (refused.status, refused.err.splitlines()[-1]) == (4, "mt: hint: mt db mode direct")
    area.ok("db", "mode", "direct-nfs", "-q")
    assert len(area.rows("tests", *RUN)) == 1


def test_doctor_tells_what_a_disk_can_do(area: Area) -> None:
    moded(area, "direct-nfs").test("a", "true").ok("run", *RUN, "-q")
    found = {r["check"]: r for r in area.rows("doctor", "--fs")}
    assert list(found) == ["file system", "options", "locks", "database", "mode that fits", "mode in force"]
    assert {r["result"] for r in found.values()} == {"ok"}
    assert found["mode in force"]["detail"] == "direct-nfs: [db] mode direct-nfs"
    other = {r["check"]: r for r in area.rows("doctor", "--fs", str(area.home.parent))}
    assert other["mode in force"]["detail"] == "none: nothing is recorded here"
    assert area.mt("doctor", "/tmp").status == 2


def test_doctor_tries_locks_between_hosts(area: Area) -> None:
    """ssh is a stand-in: two names of this host, one that sees another disk, and one that is not there."""
    shared = area.home.parent / "shared"
    for name in ("shared", "elsewhere", "bin"):
        (area.home.parent / name).mkdir()
    ssh = area.home.parent / "bin" / "ssh"
    python = shlex.quote(sys.executable)
    ssh.write_text(
        "#!/bin/bash\nwhile [[ $1 == -o ]]; do shift 2; done\nhost=$1; shift\n"
        '[[ $host == away ]] && { echo "ssh: connect to host away: No route to host" >&2; exit 255; }\n'
        "python3() { if [[ $host == alone ]]; then d=$(mktemp -d); touch $d/flock $d/fcntl; "
        f'{python} "$1" "$2" "$d"; else {python} "$@"; fi; }}\n'
        'eval "$*"\n'
    )
    ssh.chmod(0o755)
    env = {"PATH": f"{ssh.parent}:{area.env['PATH']}"}
    ask = ("doctor", "--fs", str(shared), "-f", "ndjson", "--hosts")
    good = {r["check"]: r for r in area.ok(*ask, "h1,h2", env=env).rows()}
    assert good["h1 against h2"]["detail"] == good["h2 against h1"]["detail"] == "flock and fcntl refused to the second"
    bad = area.mt(*ask, "alone", env=env)
    found = {r["check"]: r for r in bad.rows()}
    assert bad.status == 1
    assert found["here against alone"]["detail"] == "flock and fcntl granted to both at once"
    away = area.mt(*ask, "h1,away", env=env)
    assert {r["check"]: r["detail"] for r in away.rows()}["away against h1"].endswith("No route to host")


def test_the_manual_of_locks_names_the_modes() -> None:
    page = (Path(__file__).parents[2] / "man" / "mt-locks.7").read_text()
    for word in ("direct\\-nfs", "single\\-writer", "lease"):
        assert word in page
