"""Runs whose controller, a worker, or everything is killed at random lose nothing and repeat nothing that was recorded.

Each case appends one line to a file of its own at its very end, so that file counts finished executions.  The same
command is given again until it ends with 0.  MT_KILL_SEED repeats a sequence of kills, MT_KILL_CASES sets the size.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from testarea import BIN, TARGET, Area

RUN = ("run", "-q", "-t", TARGET, "-r", "r1")
SEED = int(os.environ.get("MT_KILL_SEED") or random.SystemRandom().randrange(10**6))


def children(pid: int) -> list[int]:
    """The living children of a process: the workers of a controller."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill(pid: int) -> None:
    """End one process without a word."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds, or has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 10)[0])
    finally:
        os.close(fd)


def strike(controller: int, whom: str, chance: random.Random) -> str:
    """Kill the controller, one worker, or the controller with all workers, in any order; tells what it was."""
    workers = children(controller)
    if whom == "worker" and workers:
        kill(chance.choice(workers))
    elif whom == "all":
        for pid in chance.sample([controller, *workers], len(workers) + 1):
            kill(pid)
    else:
        kill(controller)
        return "controller"
    return whom


class Ordeal:
    """One area of cases, a sequence of kills, and what came of it."""

    def __init__(self, area: Area, cases: int, seed: int) -> None:
        self.area = area
        self.cases = cases
        self.chance = random.Random(seed)
        self.strikes = 0  # while there was something left to do
        self.done = area.home / "done"
        self.done.mkdir()
        step = f"sleep 0.0$((RANDOM % 4)); echo $MT_TEST_NAME $N >> {self.done}/$N"
        area.test("t", step, items={"N": " ".join(map(str, range(cases)))})

    def until_killed(self, longest: float) -> None:
        """Begin or go on, and strike after a random while, again and again until the controller is hit."""
        process = subprocess.Popen(
            [str(BIN / "mt"), *RUN, "-j", "4"], cwd=self.area.home, env=self.area.env, stdin=subprocess.DEVNULL
        )
        with process:
            whom = "worker"
            while whom == "worker" and self.wait_for_some(process):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self.chance.random() * longest)
                if process.poll() is None:
                    self.strikes += len(list(self.done.iterdir())) < self.cases
                    whom = strike(process.pid, self.chance.choice(["controller", "worker", "all"]), self.chance)
            assert process.wait(60) == (0 if whom == "worker" else -signal.SIGKILL), "a run goes on when a worker dies"

    def wait_for_some(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until one more case has finished; tells whether the run still lives then."""
        before = len(list(self.done.iterdir()))
        until = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < until:
            if len(list(self.done.iterdir())) > before or before == self.cases:
                return True
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        return process.poll() is None

    def recorded(self) -> dict[str, int]:
        """{item: executions that finished} of the cases that count as ended now."""
        rows = self.area.rows("tests", "-q", "-t", TARGET, "-r", "r1", "--state", "COMPLETED", "--allow-empty")
        return {row["item"]: self.executions(row["item"]) for row in rows if row["status"] == "PASS"}

    def executions(self, item: str) -> int:
        """How often a case has come to its end."""
        path = self.done / item
        return len(path.read_text().splitlines()) if path.exists() else 0


def endure(ordeal: Ordeal, kills: int) -> None:
    """Kill and go on; then everything is there, once."""
    seen: dict[str, int] = {}
    for _ in range(kills):
        ordeal.until_killed(longest=0.003 * ordeal.cases / kills)
        now = ordeal.recorded()
        assert seen.items() <= now.items(), "a case that was recorded is neither forgotten nor executed again"
        assert 0 not in now.values(), "what is recorded as good has been executed"
        seen = now
    print(f"{ordeal.strikes} blows")
    assert ordeal.strikes >= kills / 2, "most blows have hit a run that had something to do"
    for _ in range(20):
        done = ordeal.area.mt(*RUN, "-j", "4")
        if done.status == 0:
            break
        assert done.status == 8, done.err
    assert done.status == 0, done.err
    assert seen.items() <= ordeal.recorded().items()
    rows = ordeal.area.rows("tests", "-q", "-t", TARGET, "-r", "r1")
    assert sorted(int(row["item"]) for row in rows) == list(range(ordeal.cases))
    assert {(row["state"], row["status"]) for row in rows} == {("COMPLETED", "PASS")}
    for row in rows:
        assert 1 <= ordeal.executions(row["item"]) <= row["attempt"], row["id"]
    check = ordeal.area.mt("db", "check")
    assert check.status == 0, check.out + check.err
    assert "0 ran" in ordeal.area.ok("run", "-t", TARGET, "-r", "r1").err


def test_a_run_survives_random_kills(area: Area) -> None:
    print(f"MT_KILL_SEED={SEED}")
    endure(Ordeal(area, int(os.environ.get("MT_KILL_CASES") or 60), SEED), kills=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_of_a_thousand_cases_survives_twenty_random_kills(area: Area) -> None:
    print(f"MT_KILL_SEED={SEED}")
    endure(Ordeal(area, 1000, SEED), kills=20)


@pytest.mark.parametrize("whom", ["controller", "worker", "all"])
def test_what_a_dead_process_leaves_behind_is_ended_or_adopted(area: Area, whom: str) -> None:
    """Only one execution of a case is ever alive: the next controller adopts it, or ends it first."""
    begun, go = area.home / "begun", area.home / "go"
    os.mkfifo(begun)
    os.mkfifo(go)
    told = f"test -e {area.home}/second && free=1; echo $$ > {begun}"
    area.test("t", f"{told}; test $free || read word < {go}; echo x >> {area.home}/n")
    with area.start(*RUN) as first:
        pid = int(begun.read_text())
        strike(first.pid, whom, random.Random(0))
        (area.home / "second").touch()
        if whom == "controller":
            first.wait(60)
            with area.start(*RUN) as second:
                go.write_text("go\n")
                assert second.wait(60) == 0
        elif whom == "worker":
            assert begun.read_text()
            assert first.wait(60) == 0
        else:
            first.wait(60)
            with area.start(*RUN) as second:
                assert begun.read_text()
                assert second.wait(60) == 0
        assert gone(pid)
    assert area.read("n") == "x\n"
    (row,) = area.rows("tests", "-q", "-t", TARGET, "-r", "r1")
    assert (row["status"], row["attempt"]) == ("PASS", 1 if whom == "controller" else 2)
    area.ok("db", "check")


def test_a_worker_whose_controller_is_gone_waits_without_turning(area: Area) -> None:
    """The end of its socket can be read for ever: that must not keep the worker busy."""
    area.test("t", "touch $MT_RUN_AREA_HOME/begun; while [ ! -e $MT_RUN_AREA_HOME/gate ]; do sleep 0.05; done")
    with area.start(*RUN) as controller:
        awaited(area.home / "begun")
        (worker,) = children(controller.pid)
        controller.kill()
        controller.communicate()
    before = busy(worker)
    select.select([], [], [], 2)  # long enough to see one that turns
    assert busy(worker) - before < 0.5
    (area.home / "gate").touch()
    area.ok(*RUN)


def busy(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def awaited(path: Path) -> None:
    """Until a file is there."""
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)
