"""Whatever breaks while a run is on a Slurm, each case has one true result and none that had ended runs again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.around import FaultyDisk, sample
from onslurm import OnSlurm
from slurmcluster import until
from slurmlab import Slurm
from testarea import TARGET, Area

IN = ("-t", TARGET, "-r", "r1")
WAYS = ("job", "array", "pilot")
#: asks soon, so that what only the engine can tell is known soon
QUICK = "poll=0.5s..1s"


@pytest.fixture
def on(area: Area, slurm: Slurm) -> OnSlurm:
    """An area on the cluster of all tests, of which nothing may be broken."""
    return OnSlurm(area, slurm)


@pytest.fixture
def own(area: Area, own_slurm: Slurm) -> OnSlurm:
    """An area on a cluster of its own."""
    return OnSlurm(area, own_slurm)


def launcher(way: str, more: str = "") -> str:
    """The text of a launcher."""
    return f"slurm submit={way} {QUICK} {more}".strip()


def heard(process: subprocess.Popen[str], word: str) -> None:
    """Read what a command says until it says this."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            return
    raise AssertionError(f"'{word}' was not said: {lines}")


def ended(process: subprocess.Popen[str], seconds: float = 90) -> tuple[int, str]:
    """The status of a command, and what it said."""
    _, err = process.communicate(timeout=seconds)
    assert "Traceback" not in err, err
    return process.returncode, err


# -- the controller of the run


#: the same for what takes long: the suite runs one way, the long suite all of them
SOME = [pytest.param("job", marks=pytest.mark.slow), pytest.param("array", marks=pytest.mark.slow), "pilot"]


@pytest.mark.parametrize("way", WAYS)
def test_the_next_command_takes_over_what_a_killed_one_has_handed_over(on: OnSlurm, way: str) -> None:
    on.cases("one", "a b c d e", do=on.hold).cases("two", waiton="one")
    words = on.command(launcher=launcher(way, "jobs=3"))
    with on.started(*words) as first:
        on.wait_noted("begin", 3)
        first.kill()
        ended(first)
    with on.started(*words) as second:
        on.go()
        assert ended(second)[0] == 0
    on.proper()
    assert set(on.noted("begin").values()) == {1}


@pytest.mark.parametrize("way", SOME)
def test_cases_that_end_without_a_controller_have_ended_for_the_next_one(on: OnSlurm, way: str) -> None:
    on.cases("one", "a b c", do=on.hold).cases("two", waiton="one")
    words = on.command(launcher=launcher(way))
    with on.started(*words) as first:
        on.wait_noted("begin", 3)
        first.kill()
        ended(first)
    on.go()
    on.wait_noted("end", 3)
    assert on.area.mt(*words).status == 0
    on.proper()
    assert set(on.noted("begin").values()) == {1}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("script", ["kill -9 $PPID", 'real "$@"; kill -9 $PPID'], ids=["before", "after"])
def test_a_command_that_dies_while_it_submits_loses_nothing(on: OnSlurm, way: str, script: str) -> None:
    on.cases("one", "a b c")
    on.instead("sbatch", script)
    words = on.command(launcher=launcher(way))
    assert on.area.mt(*words).status == -signal.SIGKILL
    on.as_it_was("sbatch")
    assert on.area.mt(*words).status == 0
    on.proper()
    assert set(on.noted("begin").values()) == {1}


@pytest.mark.parametrize("way", SOME)
def test_a_command_that_dies_between_any_two_operations_of_a_submission_loses_nothing(on: OnSlurm, way: str) -> None:
    on.cases("one", "a b")
    lost_at_each(on, way, 4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", WAYS)
def test_a_command_may_die_at_any_operation_of_a_submission(on: OnSlurm, way: str) -> None:
    on.cases("one", "a b")
    lost_at_each(on, way, 1000)


def lost_at_each(on: OnSlurm, way: str, many: int) -> None:
    """Kill the command before some of its operations on bags, each in a run of its own; the next one ends the run."""
    disk = FaultyDisk(on.area, ".mtdb/batch")
    assert on.run(launcher=launcher(way), run="whole", env=disk.env(only="run")).status == 0
    total = disk.count()
    assert total > 5
    for number in sorted(set(sample(total, min(many, total), 1))):
        on.notes.write_text("")
        name = f"dies-{number}"
        killed = on.run(launcher=launcher(way), run=name, env=disk.env(only="run", die=True, first=number, last=number))
        if disk.count() < number:  # how often bags are looked at is a matter of time
            assert killed.status == 0
            continue
        assert killed.status == -signal.SIGKILL, (number, total, disk.failed())
        done = on.run(launcher=launcher(way), run=name)
        assert done.status == 0, (number, disk.failed(), done)
        on.proper(run=name)
        assert set(on.noted("begin").values()) == {1}, (number, disk.failed())


# -- jobs and nodes


@pytest.mark.parametrize("way", SOME)
def test_a_job_that_its_host_could_not_start_is_replaced(on: OnSlurm, way: str) -> None:
    """Slurm holds it for ever: `launch failed requeued held`, as happens on busy hosts where credentials expire."""
    on.cases("one", "a b")
    on.instead("sbatch", 'if [ -e "$0.again" ]; then real "$@"; else touch "$0.again"; real --hold "$@"; fi')
    on.instead("squeue", 'real "$@" | sed "s/JobHeldUser/launch failed requeued held/"')
    done = on.run(launcher=launcher(way))
    assert done.status == 0, done
    on.as_it_was("squeue")
    on.proper()


@pytest.mark.parametrize("way", SOME)
def test_a_case_whose_job_is_requeued_runs_again(on: OnSlurm, way: str) -> None:
    on.cases("one", "a b", do=on.hold)
    with on.started(*on.command(launcher=launcher(way))) as run:
        on.wait_noted("begin", 2)
        on.wait_states(2, "RUNNING")
        job = next(row["job"] for row in on.rows() if row["item"] == "a").partition(":")[2]
        on.cluster.requeue(job)
        on.wait_noted("begin", 3)
        on.go()
        status, err = ended(run)
        assert status == 0, err
    on.proper()
    assert on.noted("begin")["one/a"] == 2


@pytest.mark.parametrize("way", SOME)
def test_cases_of_a_node_that_is_set_down_run_on_another(own: OnSlurm, way: str) -> None:
    own.cases("one", "a b c", do=own.hold)
    with own.started(*own.command(launcher=launcher(way, "flags=--cpus-per-task=7"))) as run:
        own.wait_noted("begin", 3)
        own.cluster.set_down("n1")
        own.wait_noted("begin", 4)
        own.go()
        status, err = ended(run)
        assert status == 0, err
    own.proper()


@pytest.mark.parametrize("jobs", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["with-its-jobs", "alone"])
def test_a_node_that_is_lost_costs_no_result(own: OnSlurm, jobs: bool) -> None:
    own.cases("one", "a b c d", do=own.hold)
    with own.started(*own.command(launcher=launcher("job", "flags=--cpus-per-task=7"))) as run:
        own.wait_noted("begin", 4)
        own.wait_states(4, "RUNNING")
        own.cluster.kill_node("n1", jobs=jobs)
        own.cluster.wait_node("n1", "down")
        own.go()
        if jobs:  # what was lost runs again, as soon as there is room
            own.cluster.revive_node("n1")
        status, err = ended(run)
        assert status == 0, err
    own.cluster.start()
    own.proper()
    assert (sum(own.noted("begin").values()) > 4) == jobs, own.noted("begin")


# -- Slurm's controller


def test_a_run_goes_on_when_slurm_forgets_its_jobs(own: OnSlurm) -> None:
    """What was submitted less than some seconds before the controller is killed, it does not know any more."""
    own.cases("one", "a b c", do=own.hold).cases("two", waiton="one")
    with own.started(*own.command(launcher=launcher("pilot"))) as run:
        own.wait_noted("begin", 3)
        own.cluster.kill_controller()
        own.cluster.restart_controller()
        own.go()
        status, err = ended(run)
        assert status == 0, err
    own.proper()


def test_a_run_goes_on_while_slurm_answers_nobody(own: OnSlurm) -> None:
    own.cases("one", "a b c", do=own.hold).cases("two", waiton="one")
    with own.started(*own.command(launcher=launcher("pilot"))) as run:
        own.wait_noted("begin", 3)
        own.cluster.freeze_controller()
        try:
            own.go()
            until(lambda: len(own.noted()) == 4, 60, "all end without the controller of Slurm")
        finally:
            own.cluster.thaw_controller()
        status, err = ended(run)
        assert status == 0, err
    own.proper()


def test_jobs_are_submitted_when_slurm_is_back(own: OnSlurm) -> None:
    own.cases("one", "a b c")
    own.cluster.kill_controller()
    with own.started(*own.command(launcher=launcher("job"))) as run:
        heard(run, "trying again")
        own.cluster.restart_controller()
        status, err = ended(run)
        assert status == 0, err
    own.proper()


@pytest.mark.parametrize("program", ["sbatch", "scancel"])
def test_interrupts_are_obeyed_while_a_command_of_slurm_hangs(on: OnSlurm, program: str) -> None:
    """A submission is given up at the first one, the end of jobs at the third."""
    on.cases("one", "a", do=on.hold)
    on.instead(program, "exec sleep 300")
    with on.started(*on.command(launcher=launcher("job"))) as run:
        if program == "sbatch":
            on.wait_called("sbatch", 1)
            run.send_signal(signal.SIGINT)
        else:
            on.wait_noted("begin", 1)
            run.send_signal(signal.SIGINT)
            heard(run, "again to end")
            run.send_signal(signal.SIGINT)
            on.wait_called("scancel", 1)
            run.send_signal(signal.SIGINT)
        assert ended(run, 25)[0] == 130
    on.as_it_was(program)
    on.go()
    assert on.run(launcher=launcher("job")).status == 0
    on.at_rest()


# -- what people do


@pytest.mark.parametrize("way", WAYS)
def test_a_case_whose_job_somebody_cancels_is_killed_and_stays_so(on: OnSlurm, way: str) -> None:
    on.cases("one", "a b", do=on.hold)
    with on.started(*on.command(launcher=launcher(way))) as run:
        on.wait_noted("begin", 2)
        on.wait_states(2, "RUNNING")
        job = next(row["job"] for row in on.rows() if row["item"] == "a").partition(":")[2]
        on.cluster.run("scancel", job)
        on.wait_states(1, "KILLED")
        on.go()
        assert ended(run)[0] == 1
    on.proper({"one/a": "KILLED"})
    assert on.noted("begin") == {"one/a": 1, "one/b": 1}
    (why,) = [row for row in on.rows() if row["item"] == "a"]
    assert job in why["comment"] and "cancelled" in why["comment"], why


@pytest.mark.parametrize("way", SOME)
def test_a_job_that_somebody_cancels_is_not_tried_again_however_long_slurm_tidies_up(
    area: Area, new_slurm: Callable[..., Slurm], tmp_path: Path, way: str
) -> None:
    epilog = tmp_path / "epilog"
    epilog.write_text("#!/bin/sh\nsleep 6\n")  # while it runs the job is COMPLETING, and how it ended is not told
    epilog.chmod(0o755)
    on = OnSlurm(area, new_slurm(extra=f"Epilog={epilog}"))
    on.cases("one", "a b", do=on.hold)
    with on.started(*on.command(launcher=launcher(way))) as run:
        on.wait_noted("begin", 2)
        on.wait_states(2, "RUNNING")
        job = next(row["job"] for row in on.rows() if row["item"] == "a").partition(":")[2]
        on.cluster.run("scancel", job)
        on.wait_states(1, "KILLED")  # scancel does not wait for the signal, so the gate stays shut until then
        on.go()
        assert ended(run)[0] == 1
    on.proper({"one/a": "KILLED"})
    assert on.noted("begin") == {"one/a": 1, "one/b": 1}


def test_what_a_step_says_of_a_signal_that_was_meant_for_its_job_is_no_failure(on: OnSlurm) -> None:
    on.area({
        "busy": """\
            case $N in
            make*) exec make -s -f "${0%busy}forever" ;;
            trap*) trap 'exit 1' TERM; sleep 100 & wait; exit 1 ;;
            list*) sleep 100 || exit 2; exit 2 ;;
            esac
            """,
        "forever": "all:\n\tsleep 100\n",
    })  # fmt: skip
    # the outer shell outlives its child in any case
    on.cases("one", "make1 make2 trap list", do=f"trap : TERM; sh {on.home}/busy")
    with on.started(*on.command(launcher=launcher("job"))) as run:
        on.wait_noted("begin", 4)
        on.wait_states(4, "RUNNING")
        on.cluster.run("scancel", *(row["job"].partition(":")[2] for row in on.rows()))
        assert ended(run)[0] == 1
    on.proper({"one": "KILLED"})
    assert set(on.noted("begin").values()) == {1}


def test_a_queued_case_and_a_running_one_can_be_killed(on: OnSlurm) -> None:
    on.cases("held", "a", more="[requirements]\nflags --hold\n").cases("one", "a b", do=on.hold)
    with on.started(*on.command(launcher=launcher("job"))) as run:
        on.wait_noted("begin", 2)
        on.wait_states(1, "LAUNCHED")
        on.area.ok("stop", *IN, "one/a", "held/a", "-m", "wrong board")
        on.wait_states(2, "KILLED")
        on.go()
        assert ended(run)[0] == 1
    on.proper({"one/a": "KILLED", "held": "KILLED"})
    assert all("wrong board" in row["comment"] for row in on.rows() if row["status"] == "KILLED"), on.rows()


@pytest.mark.parametrize("way", SOME)
@pytest.mark.parametrize("how", ["stop", "interrupt"])
def test_a_drained_run_ends_what_has_begun_and_takes_back_the_rest(on: OnSlurm, way: str, how: str) -> None:
    on.cases("held", "a b", more="[requirements]\nflags --hold\n").cases("one", "a b", do=on.hold)
    on.cases("two", waiton="one")
    words = on.command(launcher=launcher(way))
    with on.started(*words) as run:
        on.wait_noted("begin", 2)
        on.wait_states(2, "LAUNCHED")
        if how == "stop":
            on.area.ok("stop", *IN)
        else:
            run.send_signal(signal.SIGINT)
        until(lambda: not any(r["state"] == "LAUNCHED" for r in on.rows()), 30, "the rest is taken back")
        on.go()
        assert ended(run)[0] == (130 if how == "interrupt" else 8)
    assert on.noted() == {"one/a": 1, "one/b": 1}
    on.at_rest()
    on.cases("held", "a b")
    assert on.area.mt(*words).status == 0
    on.proper()
    assert set(on.noted("begin").values()) == {1}


def cancelled(on: OnSlurm, many: int, way: str) -> float:
    """Seconds from the second interrupt of a run with so many running cases to its end."""
    import time

    on.instead("scancel", 'real "$@"')
    on.cases("one", " ".join(f"c{n}" for n in range(many)), do="exec sleep 600")
    words = on.command(launcher=launcher(way, f"jobs={many}"))
    with on.started(*words) as run:
        on.wait_noted("begin", many, 110)
        run.send_signal(signal.SIGINT)
        on.wait_states(many, "RUNNING")
        begun = time.monotonic()
        run.send_signal(signal.SIGINT)
        assert ended(run)[0] == 130
        took = time.monotonic() - begun
    assert {(row["state"], row["status"]) for row in on.rows()} == {("INCOMPLETE", "KILLED")}
    assert on.called("scancel") <= 3
    on.at_rest()
    return took


def test_the_second_interrupt_cancels_all_in_few_calls(on: OnSlurm) -> None:
    assert cancelled(on, 40, "job") < 60


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_the_second_interrupt_cancels_two_hundred_in_five_seconds(on: OnSlurm, way: str) -> None:
    assert cancelled(on, 200, way) < 5


def test_the_third_interrupt_leaves_and_the_next_command_adopts(on: OnSlurm) -> None:
    """What was cancelled may come to its end in its last seconds: that is no result, and it runs again."""
    on.cases("one", "a b", do=f"trap '' TERM; {on.hold}")
    on.instead("scancel", "exit 0")
    words = on.command(launcher=launcher("job"))
    with on.started(*words) as run:
        on.wait_noted("begin", 2)
        for word in ("again to end", "again to leave", "left 2 cases"):
            run.send_signal(signal.SIGINT)
            heard(run, word)
        status, err = ended(run)
        assert status == 130, err
    on.as_it_was("scancel")
    on.go()
    assert on.area.mt(*words).status == 0
    assert set(on.outcome().values()) == {("COMPLETED", "PASS")}
    on.at_rest()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_time_limit_ends_the_case_whose_own_it_is_and_spares_the_others(on: OnSlurm) -> None:
    """Slurm counts in minutes, and looks twice in one."""
    on.cases("own", "a", do="exec sleep 900").cases("other", "a", do='[ "$(grep -c other "$NOTES")" = 2 ] || sleep 900')
    config = """
[jobtools]
flexi-launcher yes

[launchers]
own/% alone
% shared

[host-types]
alone slurm submit=job time=1m poll=1s
shared slurm submit=pilot time=1m poll=1s
"""
    on.area({"megatest.config": on.area.read("megatest.config") + config})
    assert on.area.mt("run", *IN, timeout=380).status == 1
    on.proper({"own": "KILLED"})
    assert on.noted("begin") == {"own/a": 1, "other/a": 2}
