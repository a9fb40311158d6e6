"""Kill a run at random moments, again and again; the same command always finishes it."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MT = str(Path(sys.executable).with_name("mt"))


def make_area(home: Path, cases: int) -> None:
    """One test of many items; each execution that gets far enough leaves a line in a file of its case."""
    (home / "done").mkdir()
    (home / "lt").mkdir()
    (home / "megatest.config").write_text(f"[fields]\nT TEXT\n[setup]\nlinktree {home}/lt\n[disks]\nd {home}/lt\n")
    (home / "runconfigs.config").write_text("[default]\n[x]\n")
    test = home / "tests" / "t"
    test.mkdir(parents=True)
    items = " ".join(map(str, range(cases)))
    test.joinpath("testconfig").write_text(
        f'[ezsteps]\ns sh -c "sleep 0.01; echo $MT_CMDINFO >>{home}/done/$K"\n[items]\nK {items}\n'
    )


def children(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == pid:
                found.append(int(name))
    return found


def kill(pid: int) -> None:
    """SIGKILL to a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def attack(run: subprocess.Popen[bytes], dice: random.Random) -> None:
    """Let the run live for a random while, then kill its controller, a worker, or all of them."""
    watch = os.pidfd_open(run.pid)
    try:
        select.select([watch], [], [], dice.uniform(0.1, 0.6))
    finally:
        os.close(watch)
    workers = children(run.pid)
    what = dice.choice(("controller", "worker", "all"))
    if what == "worker" and workers:
        kill(dice.choice(workers))
    elif what == "all":
        for worker in workers:
            kill(worker)
    kill(run.pid)
    run.wait()


def mt(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command in the area."""
    return subprocess.run([MT, *words], cwd=home, capture_output=True, text=True, check=False)


def check_killed_run(home: Path, cases: int, kills: int) -> None:
    """Attack a run so many times, finish it, and look at what is recorded."""
    seed = int(os.environ.get("MT_SEED", "0")) or random.randrange(1 << 30)
    print(f"seed {seed}: MT_SEED={seed} does it again")
    dice = random.Random(seed)
    make_area(home, cases)
    command = [MT, "run", "-t", "x", "-r", "r", "-j2", "-q"]
    for _ in range(kills):
        attack(subprocess.Popen(command, cwd=home, stderr=subprocess.DEVNULL, start_new_session=True), dice)
    last = mt(home, "run", "-t", "x", "-r", "r", "-j2")
    assert last.returncode == 0, last.stderr
    rows = [
        json.loads(line) for line in mt(home, "tests", "-q", "-t", "x", "-r", "r", "-f", "ndjson").stdout.splitlines()
    ]
    assert len(rows) == len({row["id"] for row in rows}) == cases
    assert {(row["state"], row["status"]) for row in rows} == {("COMPLETED", "PASS")}
    for row in rows:
        executions = (home / "done" / row["item"]).read_text().splitlines()
        assert 1 <= len(executions) <= row["attempt"] + 1, row["id"]
    checked = mt(home, "db", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    again = mt(home, "run", "-t", "x", "-r", "r", "-j2")
    assert "0 ran" in again.stderr


def test_a_run_that_is_killed_again_and_again_ends_with_each_result_once(tmp_path: Path) -> None:
    check_killed_run(tmp_path, 100, 5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_cases_survive_twenty_kills(tmp_path: Path) -> None:
    check_killed_run(tmp_path, 1000, 20)
