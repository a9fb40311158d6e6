"""`mt run` on fake engines that are away, lie, forget, refuse, or end jobs: one true result for each case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakebatch import FakeEngine
from onfakes import FAKES, OnFake, ended
from onslurm import clear
from slurmcluster import until
from testarea import TARGET, Area

Make = Callable[[str, Path], FakeEngine]
On = Callable[[str], OnFake]
IN = ("-t", TARGET, "-r", "r1")
#: the exit status of a run whose machines alone are to blame
ONLY_INFRA = 8


@pytest.fixture
def on(area: Area, fake_engine: Make, tmp_path: Path) -> On:
    """An area on the fake of an engine of mt: `on("pbs")`."""
    return lambda engine: OnFake(area, fake_engine(FAKES[engine], tmp_path), engine)


# -- submissions


@pytest.mark.parametrize(
    ("engine", "way"), [("lsf", "job"), pytest.param("pbs", "array", marks=pytest.mark.slow), ("htcondor", "pilot")]
)
def test_cases_wait_for_an_engine_that_is_away(on: On, engine: str, way: str) -> None:
    far = on(engine).watched()
    far.cases("one", "a b c")
    far.fake.set(away=True)
    with far.started(*far.command(launcher=far.by(way, "lost=0"))) as run:
        far.wait_calls("submit", 2)
        assert {row["state"] for row in far.rows()} <= {"NOT_STARTED", "LAUNCHED"}
        far.fake.set(away=False)
        status, err = ended(run)
    assert status == 0, err
    assert err.count("trying again") == 1, err
    far.proper()


REFUSALS = {
    "lsf": "FOO: No such queue. Job not submitted.",
    "sge": "denied: the user is not allowed",
    "pbs": "Unknown queue",
    "htcondor": "ERROR: no",
}


@pytest.mark.parametrize(
    ("engine", "way"),
    [("lsf", "job"), ("sge", "pilot"), pytest.param("pbs", "array", marks=pytest.mark.slow), ("htcondor", "auto")],
)
def test_a_refused_submission_is_told_in_one_line_and_the_same_command_works_later(
    on: On, engine: str, way: str
) -> None:
    far = on(engine).cases("one", "a b c").cases("two", waiton="one")
    far.fake.set(refuse=REFUSALS[engine])
    done = far.run(launcher=far.by(way))
    assert done.status == ONLY_INFRA, done
    assert clear(done).count("did not take a job") == 1, done.err
    infra = [row for row in far.rows() if row["test"] == "one"]
    assert {row["status"] for row in infra} == {"INFRA"}, infra
    assert all(f"{engine} did not take its job" in row["comment"] for row in infra), infra
    far.fake.set(refuse=False)
    assert far.run(launcher=far.by(way)).status == 0
    far.proper()


@pytest.mark.parametrize("engine", ["lsf", "htcondor", pytest.param("sge", marks=pytest.mark.slow)])
def test_an_expired_credential_is_told_in_one_line(on: On, engine: str) -> None:
    far = on(engine).cases("one", "a b")
    far.fake.set(expired=True)
    done = far.run()
    assert (done.status, clear(done).count("did not take a job")) == (ONLY_INFRA, 1), done
    assert {row["status"] for row in far.rows()} == {"INFRA"}
    far.fake.set(expired=False)
    assert far.run().status == 0
    far.proper()


@pytest.mark.parametrize(
    ("engine", "way"), [("lsf", "job"), pytest.param("torque", "array", marks=pytest.mark.slow), ("sge", "pilot")]
)
def test_jobs_that_never_appear_are_submitted_anew_and_then_given_up(on: On, engine: str, way: str) -> None:
    far = on(engine).watched()
    far.cases("one", "a b")
    far.fake.set(swallow=True)
    done = far.run(launcher=far.by(way, "lost=1"))
    assert done.status == ONLY_INFRA, done
    (line,) = [line for line in clear(done).splitlines() if line.startswith("mt: jobs of")]
    assert "never listed" in line, done.err
    rows = far.rows()
    assert {row["status"] for row in rows} == {"INFRA"}, rows
    assert all("never listed" in row["comment"] for row in rows), rows
    assert far.calls_of("submit") == (4 if way == "job" else 2)
    far.fake.set(swallow=False)
    assert far.run(launcher=far.by(way)).status == 0
    far.proper()


# -- queries


@pytest.mark.parametrize("engine", ["sge", pytest.param("pbs", marks=pytest.mark.slow)])
@pytest.mark.parametrize("knob", ["away", "garbage", "expired"])
def test_cases_end_whatever_queries_say(on: On, engine: str, knob: str) -> None:
    far = on(engine).watched()
    far.cases("one", "a b c", do=far.hold)
    with far.started(*far.command(launcher=far.by("pilot"))) as run:
        far.wait_noted("begin", 3)
        far.fake.set(**{knob: "<html>it works!" if knob == "garbage" else True})
        far.wait_calls("poll", 3)
        far.go()
        far.wait_noted("end", 3)
        until(lambda: {row["state"] for row in far.rows()} == {"COMPLETED"}, 20, "all have ended for mt")
        far.fake.set(**{knob: False})
        status, err = ended(run)
    assert status == 0, err
    far.proper()
    assert set(far.noted("begin").values()) == {1}
    assert err.count("cannot be asked") == 1, err


# -- what becomes of jobs


@pytest.mark.parametrize(
    ("engine", "way"),
    [
        ("lsf", "job"),
        ("htcondor", "pilot"),
        pytest.param("lsf", "pilot", marks=pytest.mark.slow),
        pytest.param("htcondor", "job", marks=pytest.mark.slow),
    ],
)
def test_a_job_that_is_killed_and_forgotten_runs_again(on: On, engine: str, way: str) -> None:
    far = on(engine)
    far.cases("one", "a b", do=far.hold)
    with far.started(*far.command(launcher=far.by(way))) as run:
        far.wait_noted("begin", 2)
        far.wait_states(2, "RUNNING")
        far.fake.set(lose="all")
        far.wait_noted("begin", 4)
        far.go()
        status, err = ended(run)
    assert status == 0, err
    far.proper()


def test_what_ended_a_case_is_told_when_it_is_not_tried_again(on: On) -> None:
    far = on("lsf")
    far.cases("one", "a", do=far.hold)
    with far.started(*far.command(launcher=far.by("job", "lost=0"))) as run:
        far.wait_noted("begin", 1)
        far.wait_states(1, "RUNNING")
        far.fake.set(lose="all")
        status, err = ended(run)
    (row,) = far.rows()
    assert (status, row["status"]) == (ONLY_INFRA, "INFRA"), (err, row)
    assert "the engine knows nothing of it any more" in row["comment"], row


@pytest.mark.parametrize(
    ("engine", "way"), [("sge", "job"), pytest.param("pbs", "pilot", marks=pytest.mark.slow), ("lsf", "array")]
)
def test_a_case_whose_job_is_requeued_runs_again(on: On, engine: str, way: str) -> None:
    far = on(engine)
    far.cases("one", "a b", do=far.hold)
    with far.started(*far.command(launcher=far.by(way))) as run:
        far.wait_noted("begin", 2)
        far.wait_states(2, "RUNNING")
        far.fake.set(requeue="all")
        far.wait_noted("begin", 4)
        far.go()
        status, err = ended(run)
    assert status == 0, err
    far.proper()


@pytest.mark.parametrize(("engine", "way"), [("htcondor", "job"), ("torque", "array"), ("sge", "pilot")])
def test_every_case_runs_once_where_each_job_is_started_twice_at_once(on: On, engine: str, way: str) -> None:
    far = on(engine).cases("one", "a b c d e f")
    far.fake.set(twice=True, slots=6)
    done = far.run(launcher=far.by(way))
    assert done.status == 0, done
    far.proper()
    assert set(far.noted("begin").values()) == {1}


#: (knob end_word, engine) -> how the case ends whose job ends so
ENDS = [
    ("memory", "lsf", "INFRA", "memory"),
    ("memory", "htcondor", "INFRA", "memory"),
    ("time", "lsf", "KILLED", "time"),
    ("time", "torque", "KILLED", "time"),
    ("time", "sge", "KILLED", "time"),
    ("node", "sge", "INFRA", "host failed"),
    ("node", "lsf", "INFRA", "host failed"),
]


@pytest.mark.parametrize(("word", "engine", "status", "told"), ENDS)
def test_the_engine_s_word_for_the_end_of_a_job_counts(on: On, word: str, engine: str, status: str, told: str) -> None:
    far = on(engine)
    far.cases("one", "a", do=far.hold)
    far.fake.set(end_word=word)
    with far.started(*far.command(launcher=far.by("job", "lost=0"))) as run:
        far.wait_noted("begin", 1)
        far.wait_states(1, "RUNNING")
        far.fake.set(end="all")
        ended(run)
    (row,) = far.rows()
    assert row["status"] == status and told in row["comment"], row
    far.at_rest()


@pytest.mark.parametrize("engine", ["lsf", pytest.param("pbs", marks=pytest.mark.slow)])
def test_a_preempted_job_runs_again(on: On, engine: str) -> None:
    far = on(engine)
    far.cases("one", "a", do=far.hold)
    far.fake.set(end_word="preempted")
    with far.started(*far.command(launcher=far.by("job"))) as run:
        far.wait_noted("begin", 1)
        far.wait_states(1, "RUNNING")
        far.fake.set(end="all")
        far.wait_noted("begin", 2)
        far.fake.set(end_word=False)
        far.go()
        status, err = ended(run)
    assert status == 0, err
    far.proper()
