"""What a job takes from its bag, when it leaves, and what it believes of a step that fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from testarea import TARGET, Area

from mt.db import Store
from mt.errors import StoreError
from mt.journal import Journal
from mt.pipeline.bag import Bag, Claim, Entry, Reader, Terms
from mt.pipeline.case import Interrupt
from mt.pipeline.pilot import TOLD, Pilot


def _terms(**more: object) -> Terms:
    usual = {
        "home": "/a", "target": TARGET, "run": "r", "run_id": 1, "contour": "", "old": False, "env": {"A": "b"},
        "setvars": [], "engine": "slurm", "way": "pilot", "idle": 0.0,
    }  # fmt: skip
    return Terms(**{**usual, **more})  # type: ignore[arg-type]


def _entry(test: str, secs: float = 0.0) -> Entry:
    return Entry([0, test, "", [], 1, 1, True], secs, 0.0)


@pytest.fixture
def bag(tmp_path: Path) -> Bag:
    return Bag.make(str(tmp_path / "batch"), "b1", _terms())


Fly = Callable[..., Pilot]


@pytest.fixture
def fly(bag: Bag, tmp_path: Path) -> Iterator[Fly]:
    """A job for the bag, of which only what it takes and believes is tried: it has no area."""
    setup: Any = SimpleNamespace(host="n1")
    made: list[Pilot] = []
    with Journal(str(tmp_path), "w", buffered=True) as journal:

        def make(task: int = 0, **terms: object) -> Pilot:
            reader = Reader(bag)
            reader.look()
            made.append(Pilot(reader, _terms(**terms), "slurm:7", task, journal, setup))
            return made[-1]

        yield make
        for pilot in made:
            pilot.link.close()
            pilot.waker.close()
            os.close(pilot.null)


# -- what it takes


def test_orders_are_dealt_by_their_numbers(bag: Bag, fly: Fly) -> None:
    bag.add([_entry(name) for name in "abcde"])
    path = Path(bag.path, "orders.ndjson")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{torn\n" + b"".join(lines[2:]))
    assert list(fly(0, share=2).numbers()) == [0, 2, 4]
    assert list(fly(1, share=2).numbers()) == [3]


def test_a_share_that_was_not_shown_whole_at_first_is_taken_whole(bag: Bag, fly: Fly) -> None:
    bag.add([_entry("a"), _entry("b")])
    pilot = fly(1, share=2)
    bag.add([_entry("c"), _entry("d")])
    assert list(pilot.numbers()) == [1, 3]


def test_free_orders_are_taken_by_their_numbers_and_what_cannot_be_read_is_passed_over(bag: Bag, fly: Fly) -> None:
    bag.add([_entry("a")])
    bag.say([{"o": "odd", "n": 1}, {"o": _entry("z"), "n": 10**30}, {"closed": True}])
    began = time.monotonic()
    assert list(fly().numbers()) == [0, 10**30]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("share", [0, 1])
def test_who_is_told_to_end_takes_nothing_more(bag: Bag, fly: Fly, share: int) -> None:
    bag.add([_entry("a"), _entry("b"), _entry("c")])
    for tell in (lambda it: it.cancel(TOLD), lambda it: setattr(it, "leaving", True)):
        pilot = fly(share=share)
        before = len(bag.taken())
        numbers = pilot.numbers()
        next(numbers)
        tell(pilot)
        assert list(numbers) == []
        assert len(bag.taken()) == before + 1


def test_who_wins_an_order_when_all_is_over_does_not_run_it(
    bag: Bag, fly: Fly, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag.add([_entry("a")])
    pilot, claim = fly(), Bag.claim

    def late(self: Bag, number: int, who: Claim) -> bool:
        Bag(bag.path).say([{"over": True}])  # between our look at the orders and our claim
        return claim(self, number, who)

    monkeypatch.setattr(Bag, "claim", late)
    assert list(pilot.numbers()) == []


@pytest.mark.parametrize("share", [0, 1])
def test_who_comes_when_the_claims_are_gone_leaves_quietly(bag: Bag, fly: Fly, share: int) -> None:
    bag.add([_entry("a")])
    pilot = fly(share=share)
    bag.tidy()
    assert list(pilot.numbers()) == []
    assert bag.is_tidy


def test_who_cannot_see_whether_a_won_order_is_his_ends_loudly(bag: Bag, fly: Fly) -> None:
    bag.add([_entry("a")])
    pilot = fly()
    Path(bag.path, "orders.ndjson").rename(Path(bag.path, "elsewhere"))
    with pytest.raises(StoreError, match="orders"):
        list(pilot.numbers())


def test_a_failed_append_of_orders_uses_their_numbers_up(bag: Bag, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Bag, lines: Any) -> None:
        raise StoreError("no space left")

    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(Bag, "say", full)
        bag.add([_entry("a"), _entry("b")])  # the first line may be on disk
    assert bag.add([_entry("c")]) == range(2, 3)


def test_a_case_that_may_not_fit_is_left_to_others_also_without_a_warning(bag: Bag, fly: Fly) -> None:
    pilot = fly(secs=120.0, notice=0)
    assert pilot.fits(1000.0)  # its first one: no other job would have more time
    pilot.number = 0
    assert pilot.fits(70.0) and not pilot.fits(90.0) and pilot.fits(0.0)
    pilot.began -= 110
    assert not pilot.fits(0.0)


# -- what it believes


@pytest.mark.parametrize(
    ("exits", "long"),
    [
        ([1], False), ([2], False), ([127], False), ([255], False), ([0, 1], False),
        ([-15], True), ([143], True), ([129], True), ([0, -9], True),
    ],
)  # fmt: skip
def test_only_an_end_by_a_signal_makes_it_wait_long_for_one_of_its_own(
    fly: Fly, monkeypatch: pytest.MonkeyPatch, exits: list[int], long: bool
) -> None:
    pilot = fly()
    waits: list[float] = []
    monkeypatch.setattr(pilot, "rest", waits.append)
    assert pilot.doubt(exits) is None
    assert len(waits) == 1 and (waits[0] == 0.3 if long else 0 < waits[0] <= 0.05)


@pytest.mark.parametrize("exits", [[2], [-15]])
def test_a_signal_of_its_own_that_comes_soon_after_the_end_of_a_step_is_the_reason(fly: Fly, exits: list[int]) -> None:
    pilot = fly()
    late = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGTERM))  # as long as it was seen to take on Slurm
    old = {sig: signal.getsignal(sig) for sig in (15, 2, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)}
    try:
        pilot.obey()
        late.start()
        assert pilot.doubt(exits) == Interrupt("INCOMPLETE", "KILLED", TOLD)
        assert pilot.leaving and pilot.ended_by == signal.SIGTERM
    finally:
        late.join()
        for sig, handler in old.items():
            signal.signal(sig, handler)


# -- its beginning, as an engine sees it


class Begun:
    """A job that waits for what its bag says, which comes through a pipe in place of the file."""

    def __init__(self, area: Area, bag: Bag) -> None:
        self.area, self.bag = area, bag
        os.makedirs(Store(str(area.home), create=True).journal_dir(1))
        self.terms = Path(bag.path, "bag.json")
        self.terms.unlink()
        os.mkfifo(self.terms)
        self.job = subprocess.Popen(
            (sys.executable, "-m", "mt.pipeline.pilot", bag.path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.fd = os.open(self.terms, os.O_WRONLY)  # when the job has opened it to read

    def tell(self, **terms: object) -> tuple[int, bytes]:
        """What the bag says; gives the job's exit status and what it printed."""
        said = _terms(home=str(self.area.home), env=self.area.env, **terms)
        os.write(self.fd, json.dumps(said._asdict()).encode())
        os.close(self.fd)
        out, err = self.job.communicate(timeout=30)
        return self.job.returncode, out + err

    def writers(self) -> list[Path]:
        return list(self.area.home.glob(".mtdb/journal/*/*"))


@pytest.fixture
def begun(area: Area, bag: Bag) -> Iterator[Begun]:
    area.test("a", "s true")
    bag.add([_entry("a")])
    made = Begun(area, bag)
    yield made
    made.job.kill()
    made.job.communicate()


@pytest.mark.parametrize("sig", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_a_warning_that_comes_while_a_job_begins_is_remembered(begun: Begun, sig: int) -> None:
    begun.job.send_signal(sig)
    assert begun.tell() == (0, b"")
    assert begun.bag.taken() == set()


def test_a_job_that_nobody_warns_takes_its_order(begun: Begun) -> None:
    assert begun.tell() == (0, b"")
    assert begun.bag.taken() == {0}


def test_a_job_of_a_bag_that_is_tidied_as_it_begins_touches_nothing(begun: Begun) -> None:
    begun.bag.say([{"over": True}])
    assert begun.tell(target="no/such/target") == (0, b"")
    assert begun.bag.taken() == set() and begun.writers() == []


def test_a_job_of_a_bag_that_has_lost_its_environment_touches_nothing(area: Area, bag: Bag) -> None:
    bag.add([_entry("a")])
    before = _terms(home=str(area.home), env={})
    Path(bag.path, "bag.json").write_text(json.dumps(before._asdict()), encoding="utf-8")
    ran = subprocess.run((sys.executable, "-m", "mt.pipeline.pilot", bag.path), capture_output=True, timeout=30)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, b"")
    assert bag.taken() == set() and not (area.home / ".mtdb").exists()
