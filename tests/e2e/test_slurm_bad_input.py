"""What people and sites get wrong about Slurm: one clear line, and the same command works once it is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from onslurm import OnSlurm, clear
from slurmlab import Slurm
from testarea import Area

ONLY_INFRA = 8


@pytest.fixture
def on(area: Area, slurm: Slurm) -> OnSlurm:
    """An area with two cases, on the cluster that all tests share."""
    return OnSlurm(area, slurm).cases("one", "a b")


@pytest.mark.parametrize(
    ("wrong", "said", "hint"),
    [
        ("slurm queue=nosuch", "invalid partition specified: nosuch", "sinfo -s"),
        ("slurm mem=900T", "memory specification can not be satisfied", "sinfo -N"),
        ("slurm flags=--nosuch", "unrecognized option '--nosuch'", "man sbatch"),
    ],
)
def test_what_slurm_refuses_is_told_in_one_line(on: OnSlurm, wrong: str, said: str, hint: str) -> None:
    done = on.run(launcher=wrong)
    assert done.status == ONLY_INFRA, done
    lines = clear(done).splitlines()
    assert [line for line in lines if f"slurm did not take a job: {said}" in line], done.err
    assert [line for line in lines if line.startswith("mt: hint: ") and hint in line], done.err
    assert {row["status"] for row in on.rows()} == {"INFRA"}
    assert on.run().status == 0
    on.proper()


def test_without_sbatch_nothing_is_begun(on: OnSlurm, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = on.run(env={"PATH": str(tmp_path / "none")})
    assert done.status == 6, done
    assert clear(done).splitlines()[0] == "mt: cannot use launcher 'slurm': 'sbatch' is not on PATH"
    assert on.rows() == [] or {row["state"] for row in on.rows()} == {"NOT_STARTED"}
    assert on.run().status == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slurm qeue=x", "launcher 'slurm qeue=x': unknown key 'qeue'"),
        ("slurm mem=lots", "launcher 'slurm mem=lots': "),
        ("slurm submit=fast", "launcher 'slurm submit=fast': "),
        ("ssh hosts=", "launcher 'ssh hosts=': "),
    ],
)
def test_a_launcher_that_cannot_be_read_is_one_line_of_config(on: OnSlurm, text: str, said: str) -> None:
    done = on.run(launcher=text)
    assert done.status == 3, done
    assert said in clear(done).splitlines()[0]


def test_what_jobs_print_before_they_die_is_shown(on: OnSlurm) -> None:
    """They end before they take a case; more of them would not help."""
    done = on.run(launcher="slurm python=/no/python poll=0.5s lost=1")
    assert done.status == ONLY_INFRA, done
    assert "jobs of slurm end before they take a case: " in clear(done)
    assert "/no/python: not found" in done.err
    assert on.run().status == 0
    on.proper()


def test_an_answer_of_sbatch_that_is_none_loses_no_case(on: OnSlurm) -> None:
    """It is tried again: whether there is a job now nobody knows, and one too many does nothing."""
    on.instead("sbatch", 'if [ -e "$0.again" ]; then real "$@"; else touch "$0.again"; echo "garbage ]["; fi')
    done = on.run()
    assert done.status == 0, done
    clear(done)
    on.proper()


def test_garbage_from_squeue_ends_nothing(on: OnSlurm) -> None:
    on.instead("squeue", "echo '}{ garbage'")
    on.cases("hold", do=on.hold)
    with on.started(*on.command(launcher="slurm poll=0.2s..0.4s")) as run:
        on.wait_noted("begin", 3)
        while on.called("squeue") < 3:
            on.wait_noted("begin", 3)
        on.go()
        _, err = run.communicate(timeout=60)
        assert run.returncode == 0, err
    assert err.count("slurm cannot be asked") == 1, err
    on.as_it_was("squeue")
    on.proper()
