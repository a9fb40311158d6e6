"""What runs of an area share: places that their cases hold, whoever dies (spec/runs.md 4.4)."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testarea import CONFIG, TARGET, Area

HELD = "echo on >{home}/{name}.on; until test -e {home}/{name}.go; do sleep 0.05; done"


@pytest.fixture
def held(area: Area) -> Iterator[Area]:
    """An area with job group g of one case at a time, and tests a and b in it that wait for the file NAME.go."""
    area({"megatest.config": CONFIG + "\n[jobgroups]\ng 1\n"})
    for name in ("a", "b"):
        area.test(name, HELD.format(home=area.home, name=name), more="[test_meta]\njobgroup g\n")
    yield area.test("free")
    for name in ("a", "b"):  # so that nothing goes on when a test has failed
        Path(area.home / f"{name}.go").touch()


@contextmanager
def begun(area: Area, name: str) -> Iterator[subprocess.Popen[str]]:
    """A run of one test, once its case runs; a controller that is still there in the end is killed."""
    with area.start("run", "-t", TARGET, "-r", name, name) as process:
        try:
            until(lambda: (area.home / f"{name}.on").exists())
            yield process
        finally:
            process.kill()


def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens in other processes."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        select.poll().poll(20)


def holders(area: Area) -> list[dict[str, object]]:
    return area.rows("sem", "group.g", "--list")


def test_a_case_keeps_the_place_of_its_group_when_its_controller_is_killed(held: Area) -> None:
    """4.4: jobgroups count the live tests of all runs."""
    with begun(held, "a") as controller:
        (row,) = holders(held)
        assert (row["token"], row["pid"], row["command"]) == (1, controller.pid, f"run {TARGET}//a")
        controller.send_signal(signal.SIGKILL)
        controller.wait()
    assert len(holders(held)) == 1
    assert held.mt("sem", "group.g", "--no-wait", "--", "true").status == 4
    Path(held.home / "a.go").touch()
    held.ok("sem", "group.g", "--wait", "60", "--", "true")
    until(lambda: not holders(held))


def test_a_place_is_free_as_soon_as_its_case_has_ended(held: Area) -> None:
    with begun(held, "a") as one, held.start("run", "-t", TARGET, "-r", "b", "b") as two:
        held.ok("run", "-t", TARGET, "-r", "c", "free", "-q")  # another group, or none, is not held up
        assert not (held.home / "b.on").exists()
        for name in ("a", "b"):
            Path(held.home / f"{name}.go").touch()
        assert one.wait() == 0 and two.wait() == 0
    assert holders(held) == []


def test_a_killed_worker_leaves_no_place_behind(held: Area) -> None:
    Path(held.home / "b.go").touch()
    with begun(held, "a") as controller:
        (worker,) = Path(f"/proc/{controller.pid}/task/{controller.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        Path(held.home / "a.go").touch()
        controller.wait()
    held.ok("run", "-t", TARGET, "-r", "b", "b", "-q")
    assert holders(held) == []


def test_a_command_that_counts_with_a_group_keeps_its_cases_back(held: Area) -> None:
    script = f"mt run -t {TARGET} -r a a -q & sleep 0.5; test ! -e a.on && touch a.go; echo $?"
    done = held.sh(f"mt sem group.g -- bash -c '{script}'; wait; until test -e a.on; do sleep 0.05; done")
    assert done.out == "0\n"
