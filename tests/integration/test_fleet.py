"""What a fleet makes of what its engine says and does not say: no case is lost, none ends for a moment's trouble."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mt.errors import ConfigError, StoreError
from mt.launchers.base import Ask
from mt.launchers.words import Choice
from mt.model import CaseKey
from mt.pipeline import control
from mt.pipeline.bag import Bag, Claim
from mt.pipeline.case import Order
from tests.scriptedslurm import Clock, Rig

Rigs = Callable[..., Rig]


@pytest.fixture
def rig_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rigs]:
    """Makes a rig for a choice, and lets nothing run on."""
    made: list[Rig] = []

    def make(**choice: object) -> Rig:
        made.append(Rig(tmp_path, Clock(monkeypatch), **choice))
        return made[-1]

    yield make
    for rig in made:
        rig.leave()


def _names(n: int) -> list[str]:
    return [f"t{i}" for i in range(n)]


def _kill(rig: Rig, test: str) -> None:
    control.ask_kill(rig.fleet.world.setup.kill_dir, CaseKey(test, ""), "ann", "no use")


# -- cases that somebody stops


def test_a_waiting_case_that_is_stopped_takes_no_other_of_its_task_with_it(rig_of: Rigs) -> None:
    rig = rig_of(way="array", jobs=2)
    rig.give(*_names(6))
    assert rig.place("t0").lot.share == 2
    rig.claim("t0", "1_0")
    _kill(rig, "t4")
    (row,) = rig.look()
    assert (row.test, row.state, row.comment) == ("t4", "KILLED", "killed before it began: ann no use")
    assert rig.slurm.calls("scancel") == []


def test_a_waiting_case_that_is_stopped_and_has_a_job_of_its_own_ends_that(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.give("a", "b")
    _kill(rig, "b")
    assert [row.test for row in rig.look()] == ["b"]
    rig.look()
    assert rig.slurm.calls("scancel") == ["--quiet 2"]


# -- refusals


def test_that_more_pilots_are_refused_ends_no_case(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give(*_names(500), secs=1)
    rig.slurm.lists(*(f"1_{n}|RUNNING|n1|None" for n in range(9)))
    rig.look(2)
    rig.slurm.refuse("Job violates accounting/QOS policy")
    assert rig.look(20, seconds=5) == []
    assert len(rig.slurm.calls("sbatch")) > 1
    assert rig.fleet.refused == {}
    rig.slurm.accept()
    rig.look(8, seconds=5)
    assert len(rig.place("t0").lot.subs) > 1


def test_what_is_refused_before_any_job_ran_is_refused_for_good(rig_of: Rigs) -> None:
    rig = rig_of()
    rig.slurm.refuse("invalid partition specified: xyz")
    rig.give("a", "b")
    rig.look(2)
    assert [(row.test, row.status) for row in rig.ended] == [("a", "INFRA"), ("b", "INFRA")]
    assert len(rig.slurm.calls("sbatch")) == 1


def test_an_error_that_nobody_knows_must_be_said_twice(rig_of: Rigs) -> None:
    rig = rig_of()
    rig.slurm.refuse("something odd")
    rig.give("a")
    assert rig.ended == []
    rig.slurm.accept()
    rig.look(2, seconds=2)
    assert rig.ended == [] and rig.place("a").lot.subs
    rig.slurm.refuse("something odd")


def test_refusals_after_all_jobs_have_ended_are_believed_in_the_end(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a", "b")
    rig.slurm.lists("1_0|COMPLETED|n1|None", "1_1|COMPLETED|n1|None")
    rig.slurm.refuse("your account has expired")
    rig.look(12, seconds=31)
    assert [row.status for row in rig.ended] == ["INFRA", "INFRA"]
    assert len(rig.slurm.calls("sbatch")) == 1 + rig.choice.lost + 1


def test_an_answer_without_an_id_is_asked_for_once_more_and_then_a_refusal(rig_of: Rigs) -> None:
    rig = rig_of()
    rig.slurm.says("sbatch", "echo welcome")
    rig.give("a")
    rig.look(20, seconds=10)
    assert len(rig.slurm.calls("sbatch")) == 2
    assert [(row.status, row.comment) for row in rig.ended] == [
        ("INFRA", "slurm did not take its job: its answer has no job id: an answer that was not expected: welcome")
    ]


# -- shares that are too long for their jobs


def test_a_share_that_goes_on_with_every_job_ends_well_however_many_it_takes(rig_of: Rigs) -> None:
    rig = rig_of(way="array", jobs=1)
    rig.give(*_names(8))
    for n in range(8):
        task, job = f"{n + 1}_0", f"{n + 1}"
        rig.claim(f"t{n}", task)
        rig.slurm.lists(f"{task}|RUNNING|n1|None")
        rig.look(2)
        rig.pass_case(f"t{n}", task)
        rig.slurm.lists(f"{task}|COMPLETED|n1|None")
        rig.look(4)
        assert job
    assert [row.status for row in rig.ended] == ["PASS"] * 8


def test_a_share_of_which_no_job_takes_anything_ends_as_infra(rig_of: Rigs) -> None:
    rig = rig_of(way="array", jobs=1)
    rig.give(*_names(3))
    rig.slurm.lists(*(f"{n}_0|FAILED|n1|NonZeroExitCode" for n in range(1, 30)))
    rig.look(40)
    assert [row.status for row in rig.ended] == ["INFRA"] * 3
    assert len(rig.slurm.calls("sbatch")) == 1 + rig.choice.lost


def test_long_cases_get_a_task_each_even_when_there_are_more_than_an_array_takes(rig_of: Rigs) -> None:
    rig = rig_of()
    rig.give(*_names(1500), secs=600)
    assert rig.place("t0").lot.share == 1000 and len(rig.place("t0").lot.orders) == 1000
    assert len(rig.slurm.calls("sbatch")) == 1 and rig.fleet.ready
    rig.slurm.lists(*(f"1_{n}|COMPLETED|n1|None" for n in range(960)))
    for n in range(960):
        rig.claim(f"t{n}", f"1_{n}")
        rig.pass_case(f"t{n}", f"1_{n}")
    rig.look(2)
    assert not rig.fleet.ready and rig.place("t1499").lot.share == 500


# -- jobs whose journals cannot be seen


def test_a_taker_whose_journal_is_not_to_be_seen_yet_is_waited_for(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    rig.claim("a", "1_0", "n1-7-x")
    rig.slurm.lists("1_0|RUNNING|n1|None")
    assert rig.look(10, seconds=3) == []
    rig.sight["n1-7-x"] = "alive"
    assert rig.look(30, seconds=5) == []


def test_a_taker_of_which_nothing_is_ever_seen_is_blamed(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    rig.claim("a", "1_0", "n1-7-x")
    rig.slurm.lists("1_0|RUNNING|n1|None")
    rows = rig.look(30, seconds=5)
    assert [(row.status, row.job) for row in rows] == [("INFRA", "slurm:1_0")]


def test_a_taker_that_is_dead_is_blamed_soon(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    rig.claim("a", "1_0", "n1-7-x")
    rig.sight["n1-7-x"] = "dead"
    rig.slurm.lists("1_0|NODE_FAIL|n1|None")
    rows = rig.look(12)
    assert [(row.status, row.reason) for row in rows] == [("INFRA", "slurm NODE_FAIL")]


# -- another controller


def test_an_order_that_was_withdrawn_just_before_a_crash_is_handed_over_anew(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a", "b")
    place = rig.place("a")
    assert place.lot.bag.withdraw(place.number)
    rig.fleet = rig.new_fleet()
    assert rig.fleet.adopt(rig.living.values()) == []
    rig.look(3)
    assert rig.place("a").lot.bag.name != place.lot.bag.name
    assert rig.place("b").lot.bag.name == place.lot.bag.name


def test_an_order_that_was_withdrawn_in_a_bag_that_cannot_be_read_is_no_case_that_runs(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a", "b")
    place = rig.place("a")
    assert place.lot.bag.withdraw(place.number)
    Path(place.lot.bag.path, "bag.json").write_text("{")
    rig.fleet = rig.new_fleet()
    assert sorted(row.test for row in rig.fleet.adopt(rig.living.values())) == ["a", "b"]


def test_an_order_that_we_have_withdrawn_ourselves_is_not_handed_over_anew(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a", "b")
    assert sorted(row.test for row in rig.fleet.drain(rig.living)) == ["a", "b"]
    rig.look(3)  # before the ends are told
    assert not rig.fleet.ready and len(rig.fleet.lots) == 1


# -- disks and hosts


def test_a_full_disk_keeps_no_job_from_being_cancelled(rig_of: Rigs, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = rig_of(way="pilot")
    rig.give(*_names(3))

    def full(*_: object) -> None:
        raise StoreError("cannot write: no space left on device")

    monkeypatch.setattr(Bag, "say", full)
    monkeypatch.setattr(Bag, "log_all", full)
    rows = rig.fleet.cancel(rig.living)
    assert rig.slurm.calls("scancel") == ["--quiet 1"] and len(rows) == 3


def test_what_is_kept_back_when_a_run_is_drained_was_not_killed(rig_of: Rigs) -> None:
    rig = rig_of(way="job", jobs=1)
    rig.give("a", "b")
    rows = {row.test: row for row in rig.fleet.drain(rig.living)}
    assert (rows["b"].state, rows["b"].status) == ("INCOMPLETE", "n/a")


def test_a_submission_that_hangs_holds_nobody_up_and_its_job_is_used(rig_of: Rigs, tmp_path: Path) -> None:
    rig = rig_of(way="pilot")
    go = tmp_path / "go"
    rig.slurm.says("sbatch", f'while ! [ -e "{go}" ]; do sleep 0.05; done; echo 5')
    began = time.perf_counter()
    rig.give("a")
    rig.look(5, seconds=0.1)
    assert time.perf_counter() - began < 8
    assert not rig.place("a").lot.subs and len(rig.slurm.calls("sbatch")) == 1
    go.touch()
    for sending in rig.fleet.sending.values():
        sending.asking.wait(20)
    rig.look(2)
    assert [sub.job for sub in rig.place("a").lot.subs] == ["5"] and len(rig.slurm.calls("sbatch")) == 1


def test_a_submission_that_is_taken_after_the_run_was_cancelled_is_cancelled(rig_of: Rigs, tmp_path: Path) -> None:
    rig = rig_of(way="pilot")
    go = tmp_path / "go"
    rig.slurm.says("sbatch", f'while ! [ -e "{go}" ]; do sleep 0.05; done; echo 5')
    rig.give("a")
    for row in rig.fleet.cancel(rig.living):
        rig.end(row)
    go.touch()
    for sending in rig.fleet.sending.values():
        sending.asking.wait(20)
    rig.look(2)
    assert rig.slurm.calls("scancel") == ["--quiet 5"]


# -- an engine that lists not all


def test_an_engine_that_never_lists_jobs_that_run_gets_no_flood_of_them(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot", jobs=4)
    rig.give(*_names(40))
    rig.sight["w"] = "alive"
    for n in range(30):  # the first pilot runs case after case, and squeue knows nothing of it
        rig.claim(f"t{n}", "1_0")
        rig.look(4, seconds=6)
        rig.pass_case(f"t{n}", "1_0")
    assert len(rig.slurm.calls("sbatch")) <= 1 + rig.choice.lost + 1
    assert [row.status for row in rig.ended] == ["PASS"] * 30


def test_reasons_to_wait_that_change_all_the_time_fill_no_log(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    for n in range(20):
        rig.slurm.lists(f"1_0|PENDING||{'Priority' if n % 2 else 'Resources'}")
        rig.look(2)
    words = [line for line in rig.place("a").lot.bag.logged() if line["e"] == "word"]
    assert 1 <= len(words) <= 3
    assert rig.place("a").lot.word("1_0").said == "PENDING (Priority)"


def test_lots_of_which_nothing_will_come_are_forgotten(rig_of: Rigs) -> None:
    rig = rig_of(way="job", jobs=1)
    for n in range(5):
        rig.give(f"t{n}")
        rig.look()
        rig.claim(f"t{n}", str(n + 1))
        rig.pass_case(f"t{n}", str(n + 1))
    rig.look()
    assert len(rig.fleet.lots) <= 1


# -- what a review of fleets has shown


def test_when_a_case_began_says_nothing_of_how_long_a_word_is_waited_for(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.give("a")
    rig.claim("a", "1")
    rig.sight["w"] = "alive"
    rig.slurm.lists("1|RUNNING|n1|None")
    rig.look(2)
    row = rig.living[CaseKey("a", "")]._replace(state="RUNNING", job="slurm:1", host="n1", pid=7, gen=3)
    rig.living[row.key] = row
    rig.look(5, seconds=30)
    rig.slurm.lists("1|CANCELLED|n1|None")
    ends = []
    while not ends and len(ends) < 40:
        end = rig.fleet.blame(row)
        rig.look()
        ends += [end] if end else []
    assert [(end.state, end.reason) for end in ends] == [("KILLED", "slurm CANCELLED")]


def test_a_bag_that_is_tidied_is_not_adopted(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a", "b")
    place = rig.place("a")
    running = rig.living[CaseKey("a", "")]._replace(state="RUNNING", job="slurm:1_0", host="n1", pid=7)
    place.lot.bag.tidy()
    rig.fleet = rig.new_fleet()
    orphans = rig.fleet.adopt([running, rig.living[CaseKey("b", "")]])
    assert [row.test for row in orphans] == ["b"]
    rig.look(2)


def test_what_was_asked_of_an_engine_is_asked_again_after_a_crash_before_the_first_submission(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot", ask=Ask(memory=37 << 20, flags=("--comment=hi",)), jobs=1)
    rig.slurm.says("sbatch", "echo 'sbatch: error: Socket timed out' >&2; exit 1")
    rig.give("a")
    place = rig.place("a")
    rig.slurm.accept()
    rig.fleet = rig.new_fleet()
    rig.fleet.adopt(rig.living.values())
    rig.look(3)
    assert "--comment=hi" in rig.slurm.calls("sbatch")[-1]
    (script,) = [path for path in Path(place.lot.bag.path).glob("job-*") if "--mem=37M" in path.read_text()][-1:]
    assert script
    assert rig.place("a").lot.choice == rig.choice


def test_jobs_that_nobody_lists_and_that_take_nothing_count_as_gone_in_the_end(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot", jobs=2)
    rig.give(*_names(12))
    rig.sight["w"] = "alive"
    for n in range(6):
        rig.claim(f"t{n}", "1_0")
        rig.look(4, seconds=6)
        rig.pass_case(f"t{n}", "1_0")
    lot = rig.place("t11").lot
    assert lot.blind
    rig.sight.clear()
    before = len(rig.slurm.calls("sbatch"))
    rig.look(10, seconds=30)
    assert len(rig.slurm.calls("sbatch")) > before


def test_interrupts_do_not_wait_for_a_cancel_that_hangs(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    rig.slurm.says("scancel", "exec sleep 100")
    rig.fleet.urgency = lambda: 2
    began = time.perf_counter()
    for row in rig.fleet.cancel(rig.living):
        rig.end(row)
    rig.fleet.finish()
    assert time.perf_counter() - began < 5


def test_nothing_is_submitted_after_an_interrupt(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.fleet.urgency = lambda: 1
    rig.give("a", "b")
    rig.look(3)
    assert rig.slurm.calls("sbatch") == []


def test_cases_here_wait_only_a_moment_for_slow_submissions(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.fleet.others = lambda: True
    rig.slurm.says("sbatch", f'sleep 0.9; grep -c . "{rig.slurm.root}/sbatch.calls"')
    rig.slurm.lists(*(f"{n}|PENDING||Priority" for n in range(1, 5)))
    began = time.perf_counter()
    rig.give(*_names(4))
    assert time.perf_counter() - began < 0.8
    for _ in range(20):
        for sending in rig.fleet.sending.values():
            sending.asking.wait(20)
        rig.look()
    assert all(rig.place(f"t{n}").lot.given(rig.place(f"t{n}").number) for n in range(4))


def test_one_look_submits_for_all_kinds_of_cases_together_only_so_long(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.slurm.says("sbatch", f'sleep 0.7; grep -c . "{rig.slurm.root}/sbatch.calls"')
    for n in range(12):
        choice = rig.choice._replace(ask=Ask(memory=n + 1))
        rig.fleet.take(Order(0, f"t{n}", "", (), 1, 1, True), choice)
    began = time.perf_counter()
    rig.hand_over()
    assert time.perf_counter() - began < 4


@pytest.mark.parametrize("lost", [0, 3])
def test_pilots_that_are_preempted_again_and_again_and_get_on_end_no_case(rig_of: Rigs, lost: int) -> None:
    rig = rig_of(way="pilot", jobs=1, lost=lost)
    rig.give(*_names(8))
    rig.sight["w"] = "alive"
    for n in range(8):
        job = f"{n + 1}_0"
        rig.claim(f"t{n}", job)
        rig.slurm.lists(f"{job}|RUNNING|n1|None")
        rig.look(2)
        rig.slurm.lists(f"{job}|PREEMPTED|n1|None", f"{n + 2}_0|PENDING||Priority")
        rig.look(4)
        rig.pass_case(f"t{n}", job)
    assert [row.status for row in rig.ended] == ["PASS"] * 8


def test_jobs_that_were_taken_while_their_answer_was_lost_do_not_stay_in_the_queue(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.slurm.says("sbatch", "echo 'sbatch: error: Socket timed out' >&2; exit 1")
    rig.give("a")
    rig.look(3)
    rig.slurm.says("sbatch", "echo 9")
    rig.look(3, seconds=10)
    rig.claim("a", "9_0")
    rig.pass_case("a", "9_0")
    rig.slurm.lists("7|PENDING||Priority", "8|RUNNING|n1|None", "9_0|COMPLETED|n1|None")
    rig.fleet.finish()
    assert rig.slurm.calls("scancel") == ["--quiet 7"]


def test_the_job_of_a_case_is_recorded_once(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.fleet.others = lambda: True
    rig.slurm.says("sbatch", f'sleep 0.1; grep -c . "{rig.slurm.root}/sbatch.calls"')
    rig.slurm.lists(*(f"{n}|PENDING||Priority" for n in range(1, 11)))
    rig.give(*_names(10))
    for _ in range(20):
        for sending in rig.fleet.sending.values():
            sending.asking.wait(20)
        rig.look()
    assert Counter(row.test for row in rig.told if row.job) == Counter(_names(10))


def test_a_request_to_stop_a_case_is_kept_until_its_end_is_recorded(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    _kill(rig, "a")
    rig.clock.on(2)
    (row,) = rig.fleet.look(rig.living)
    kill_dir = Path(rig.fleet.world.setup.kill_dir)
    assert list(kill_dir.iterdir())
    rig.end(row)
    assert not list(kill_dir.iterdir())


def test_what_a_dead_controller_withdrew_is_not_handed_over_in_a_run_that_was_stopped(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    place = rig.place("a")
    assert place.lot.bag.withdraw(place.number)
    rig.fleet = rig.new_fleet()
    rig.fleet.adopt(rig.living.values())
    assert [row.test for row in rig.fleet.drain(rig.living)] == ["a"]
    rig.look(3)
    assert len(rig.slurm.calls("sbatch")) == 1


def test_pilots_that_are_opened_after_the_last_word_hear_it_as_well(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    rig.fleet.no_more()
    rig.give("b")
    rig.fleet.no_more()
    assert all(lot.closed for lot in rig.fleet.lots)


def test_a_bag_that_was_not_made_whole_and_of_which_nothing_lives_is_tidied_up(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    bag = rig.place("a").lot.bag
    Path(bag.path, "bag.json").write_text('{"env": {"SECRET": "x')
    rig.fleet = rig.new_fleet()
    rig.fleet.adopt([])
    assert bag.is_tidy and not Path(bag.path, "bag.json").exists()


def test_a_kind_of_cases_with_many_jobs_lets_others_have_their_turn(rig_of: Rigs) -> None:
    rig = rig_of(way="job")
    rig.slurm.says("sbatch", f'sleep 0.3; grep -c . "{rig.slurm.root}/sbatch.calls"')
    rig.slurm.lists(*(f"{n}|PENDING||Priority" for n in range(1, 60)))
    other = rig.choice._replace(ask=Ask(memory=1))
    for n in range(40):
        rig.fleet.take(Order(0, f"t{n}", "", (), 1, 1, True), rig.choice)
    rig.fleet.take(Order(0, "other", "", (), 1, 1, True), other)
    rig.hand_over()
    for _ in range(4):
        for sending in rig.fleet.sending.values():
            sending.asking.wait(20)
        rig.look()
    assert rig.place("other").lot.subs
    assert len(rig.slurm.calls("sbatch")) < 41


def test_a_run_that_leaves_waits_for_a_submission_that_is_slow(rig_of: Rigs, tmp_path: Path) -> None:
    rig = rig_of(way="pilot")
    go = tmp_path / "go"
    rig.slurm.says("sbatch", f'while ! [ -e "{go}" ]; do sleep 0.05; done; echo 5')
    rig.fleet.others = lambda: True
    rig.give("a")
    assert rig.fleet.is_busy()
    go.touch()
    for sending in rig.fleet.sending.values():
        sending.asking.wait(20)
    rig.look()
    assert not rig.fleet.is_busy()


def test_what_a_run_leaves_to_its_jobs_is_not_cancelled_at_its_end(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    rig.slurm.lists("1_0|PENDING||Priority", "7_0|PENDING||Priority")
    rig.look(2)
    rig.fleet.finish()
    assert rig.slurm.calls("scancel") == []


def test_a_launcher_that_is_not_understood_any_more_loses_no_bag(rig_of: Rigs) -> None:
    rig = rig_of(way="pilot")
    rig.give("a")
    bag = rig.place("a").lot.bag

    def broken(text: str) -> Choice | None:
        raise ConfigError("launcher 'night': it names no engine")

    rig.fleet = rig.new_fleet()
    rig.fleet.world = rig.fleet.world._replace(read=broken)
    assert rig.fleet.adopt(rig.living.values()) == []
    assert rig.place("a").lot.bag.name == bag.name
    rig.fleet.cancel(rig.living)
    assert rig.slurm.calls("scancel") == ["--quiet 1"]


def test_many_cases_of_shares_whose_jobs_got_on_cost_one_look_each(rig_of: Rigs) -> None:
    rig = rig_of(way="array", jobs=10)
    rig.give(*_names(2000))
    lot = rig.place("t0").lot
    for n in range(1000):
        assert lot.bag.claim(n, Claim(f"slurm:{lot.given(n)}", "n1", 7, "w"))
    read: list[int] = []
    real = lot.bag.claimed
    lot.bag.claimed = lambda n: read.append(n) or real(n)  # type: ignore[method-assign,func-returns-value]
    assert lot.parts(lot.bag.taken()) == set(range(10))
    assert lot.parts(lot.bag.taken()) == set(range(10))
    assert len(read) == 1000
