"""`mt run` on the fakes of LSF, OpenPBS, Torque, Grid Engine and HTCondor: as here, whatever the engine does."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fakebatch import FakeEngine
from onfakes import FAKES, OnFake, ended, heard
from slurmcluster import until
from testarea import TARGET, Area

from mt.launchers import engine as table

Make = Callable[[str, Path], FakeEngine]
On = Callable[[str], OnFake]
IN = ("-t", TARGET, "-r", "r1")


@pytest.fixture
def on(area: Area, fake_engine: Make, tmp_path: Path) -> On:
    """An area on the fake of an engine of mt: `on("pbs")`."""
    return lambda engine: OnFake(area, fake_engine(FAKES[engine], tmp_path), engine)


# -- the same as here


@pytest.mark.parametrize(
    "engine", ["lsf", "sge", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pbs", "htcondor", "torque"))]
)
def test_every_way_comes_to_what_a_run_here_comes_to(on: On, engine: str) -> None:
    far = on(engine)
    far.cases("base")
    far.cases("spread", "a b c", waiton="base")
    far.cases("bad", "x y", waiton="base", do='[ "$N" = x ]')
    far.cases("never", waiton="bad")
    queue = "" if engine == "htcondor" else "queue short\n"
    far.cases("asks", waiton="spread", more=f"[requirements]\ncores 2\nmemory 100M\ntime 5m\n{queue}")
    assert far.run(launcher="local", run="here").status == 1
    want, noted = far.outcome("here"), far.noted()
    assert {status for _, status in want.values()} >= {"PASS", "FAIL"}, want
    for way in ("job", "array", "pilot", "auto"):
        far.notes.write_text("")
        done = far.run(launcher=far.by(way), run=way)
        assert (done.status, far.outcome(way)) == (1, want), (way, done)
        assert far.noted() == noted, way
        ran = [row for row in far.rows(way) if row["test"] != "never"]
        assert all(str(r["job"]).startswith(f"{engine}:") and r["host"] and r["queued"] >= 0 for r in ran), ran
        single = {row["job"] for row in ran}
        assert len(single) == len(ran) if way == "job" else len(single) <= len(ran), (way, single)
    asked = [row.spec for row in far.fake.jobs() if row.queue == "short"]
    assert asked or engine == "htcondor"
    far.area.ok("db", "check")
    far.at_rest()


# -- what people see


#: {knob: {engine: what it says of a job}}
SAID = {
    "pend": {"lsf": "PEND (Not enough licences)", "sge": ": qw, as of", "htcondor": "Idle"},
    "hold": {"lsf": "PSUSP", "sge": ": hqw, as of", "htcondor": "Held (Not enough licences)"},
}


@pytest.mark.parametrize(("engine", "way"), [("lsf", "job"), ("sge", "array"), ("htcondor", "pilot")])
@pytest.mark.parametrize("knob", SAID)
def test_people_are_told_why_cases_wait(on: On, engine: str, way: str, knob: str) -> None:
    far = on(engine)
    far.cases("one", "a b")
    far.fake.set(**{knob: "Not enough licences"})
    with far.started(*far.command(launcher=far.by(way))) as run:
        until(lambda: far.queue(), 20, "they are submitted")
        far.wait_states(2, "LAUNCHED")
        fate = "queued" if knob == "pend" else "held"
        until(lambda: {job["state"] for job in far.area.rows("jobs", *IN)} == {fate}, 20, f"they are {fate}")
        told = far.area.ok("why", *IN, "one/a").out
        assert engine in told and SAID[knob][engine] in told, told
        far.fake.set(**{knob: False})
        status, err = ended(run)
    assert status == 0, err
    far.proper()


@pytest.mark.parametrize(("engine", "way"), [("lsf", "pilot"), ("sge", "job"), ("htcondor", "array"), ("pbs", "job")])
def test_a_case_whose_job_somebody_cancels_is_killed_and_stays_so(on: On, engine: str, way: str) -> None:
    far = on(engine)
    far.cases("one", "a b", do=far.hold)
    with far.started(*far.command(launcher=far.by(way))) as run:
        far.wait_noted("begin", 2)
        far.wait_states(2, "RUNNING")
        job = far.job_of("one/a")
        far.cancel(job)
        far.wait_states(1, "KILLED")
        far.go()
        assert ended(run)[0] == 1
    far.proper({"one/a": "KILLED"})
    assert far.noted("begin") == {"one/a": 1, "one/b": 1}
    (row,) = [row for row in far.rows() if row["item"] == "a"]
    assert job in row["comment"] and "cancelled" in row["comment"], row


def test_grid_engine_tells_a_case_that_its_job_is_deleted(on: On) -> None:
    """By USR2, before it kills; the steps of the case get TERM, and may end as they like."""
    far = on("sge")
    far.cases("one", "a", do=f"trap '{far.home}/note told' TERM; sleep 600 & wait; {far.home}/note gently; false")
    far.fake.set(grace=20)
    with far.started(*far.command(launcher=far.by("job"))) as run:
        far.wait_noted("begin", 1)
        far.wait_states(1, "RUNNING")
        far.cancel(far.job_of("one/a"))
        assert ended(run)[0] == 1
    far.proper({"one/a": "KILLED"})
    assert (far.noted("told"), far.noted("gently")) == ({"one/a": 1}, {"one/a": 1})


def test_a_case_whose_queued_job_somebody_cancels_is_killed(on: On) -> None:
    far = on("lsf")
    far.cases("one", "a b")
    far.fake.set(pend="Not enough licences")
    with far.started(*far.command(launcher=far.by("job"))) as run:
        until(lambda: len(far.queue()) == 2, 20, "they are submitted")
        far.wait_states(2, "LAUNCHED")
        far.cancel(far.job_of("one/a"))
        far.wait_states(1, "KILLED")
        far.fake.set(pend=False)
        assert ended(run)[0] == 1
    far.proper({"one/a": "KILLED"})
    assert far.noted("begin") == {"one/b": 1}


@pytest.mark.parametrize(("engine", "way"), [("lsf", "job"), ("htcondor", "array"), ("sge", "pilot")])
def test_the_second_interrupt_cancels_sixty_jobs_in_three_calls(on: On, engine: str, way: str) -> None:
    far = on(engine).watched()
    far.cases("one", " ".join(f"c{n}" for n in range(60)), do="exec sleep 600")
    far.fake.set(slots=6)
    with far.started(*far.command(launcher=far.by(way, "jobs=60"))) as run:
        far.wait_noted("begin", 4 if way == "pilot" else 6)
        run.send_signal(signal.SIGINT)
        until(lambda: not any(row["state"] == "LAUNCHED" for row in far.rows()), 20, "the rest is taken back")
        run.send_signal(signal.SIGINT)
        status, err = ended(run)
        assert status == 130, err
    assert {(row["state"], row["status"]) for row in far.rows()} <= {("INCOMPLETE", "KILLED"), ("INCOMPLETE", "n/a")}
    assert far.calls_of("cancel") <= 3
    far.at_rest()


@pytest.mark.parametrize(("engine", "way"), [("torque", "job"), ("lsf", "array"), ("pbs", "pilot")])
def test_a_drained_run_ends_what_has_begun_and_the_same_command_does_the_rest(on: On, engine: str, way: str) -> None:
    far = on(engine)
    far.cases("one", "a b c d", do=far.hold).cases("two", waiton="one")
    far.fake.set(slots=2)
    words = far.command(launcher=far.by(way))
    with far.started(*words) as run:
        far.wait_noted("begin", 2)
        far.wait_states(2, "LAUNCHED")
        run.send_signal(signal.SIGINT)
        until(lambda: not any(row["state"] == "LAUNCHED" for row in far.rows()), 20, "the rest is taken back")
        far.go()
        status, err = ended(run)
        assert status == 130, err
    assert sum(far.noted().values()) == 2
    far.at_rest()
    assert far.area.mt(*words).status == 0
    far.proper()
    assert set(far.noted("begin").values()) == {1}


# -- the controller


@pytest.mark.parametrize(("engine", "way"), [("sge", "job"), ("pbs", "array"), ("lsf", "pilot"), ("htcondor", "pilot")])
def test_the_next_command_takes_over_what_a_killed_one_has_handed_over(on: On, engine: str, way: str) -> None:
    far = on(engine)
    far.cases("one", "a b c d", do=far.hold).cases("two", waiton="one")
    far.fake.set(slots=2)
    words = far.command(launcher=far.by(way))
    with far.started(*words) as first:
        far.wait_noted("begin", 2)
        first.kill()
        ended(first)
    with far.started(*words) as second:
        far.go()
        status, err = ended(second)
        assert status == 0, err
    far.proper()
    assert set(far.noted("begin").values()) == {1}


@pytest.mark.parametrize("engine", ["lsf", "torque"])
def test_the_third_interrupt_leaves_and_the_next_command_adopts(on: On, engine: str) -> None:
    far = on(engine)
    far.cases("one", "a b", do=f"trap '' TERM; {far.hold}")
    words = far.command(launcher=far.by("job"))
    cancel = table(engine).programs[2]
    far.instead(cancel, "exit 0")
    with far.started(*words) as run:
        far.wait_noted("begin", 2)
        for said in ("again to end them", "again to leave them", ""):
            run.send_signal(signal.SIGINT)
            heard(run, said)
        status, err = ended(run)
        assert status == 130, err
    far.as_it_was(cancel)
    far.go()
    assert far.area.mt(*words).status == 0
    assert set(far.outcome().values()) == {("COMPLETED", "PASS")}  # cancelled cases may have come to their end
    far.at_rest()
