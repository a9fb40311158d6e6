"""What people and sites get wrong about Slurm: one clear line, and the same command works once it is right."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from onslurm import OnSlurm, clear
from slurmlab import Slurm
from testarea import BIN, Area

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


def test_a_submission_that_is_swallowed_is_made_again_and_at_last_given_up(on: OnSlurm) -> None:
    on.instead("sbatch", "echo 987654")
    done = on.run(launcher="slurm poll=0.2s lost=1")
    assert done.status == ONLY_INFRA, done
    assert "accepted and never listed" in clear(done)
    assert on.called("sbatch") > 1
    on.as_it_was("sbatch")
    assert on.run().status == 0
    on.proper()


def test_a_squeue_that_fails_for_a_while_ends_nothing(on: OnSlurm) -> None:
    on.instead("squeue", "echo 'slurm_load_jobs error: Unexpected message received' >&2; exit 1")
    on.cases("hold", do=on.hold)
    with on.started(*on.command(launcher="slurm poll=0.2s..0.4s")) as run:
        on.wait_noted("begin", 3)
        on.wait_called("squeue", 3)
        on.instead("squeue", 'real "$@"')
        on.wait_called("squeue", on.called("squeue") + 2)
        on.go()
        _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert err.count("slurm cannot be asked: ") == 1, err
    on.proper()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_without_munge_cases_wait_until_it_is_back(area: Area, own_slurm: Slurm) -> None:
    """Its commands need most of a minute to find out."""
    own = OnSlurm(area, own_slurm).cases("one", "a b")
    own_slurm.lose_credentials()
    with own.started(*own.command(launcher="slurm poll=0.5s")) as run:
        assert run.stderr is not None
        first = run.stderr.readline()
        assert "munge" in first.lower() and "trying again" in first, first
        own_slurm.start()
        _, err = run.communicate(timeout=300)
        assert run.returncode == 0, err
    own.proper()


@pytest.mark.slow
def test_a_configuration_of_slurm_that_is_not_there_is_one_line(on: OnSlurm, tmp_path: Path) -> None:
    """They look for it for a minute."""
    done = on.run(env={"SLURM_CONF": str(tmp_path / "none.conf")})
    assert done.status == ONLY_INFRA, done
    lines = clear(done).splitlines()
    assert [line for line in lines if "slurm did not take a job: " in line and "none.conf" in line], done.err
    assert on.run().status == 0
    on.proper()


def test_an_area_that_hosts_do_not_see_is_told_of(on: OnSlurm) -> None:
    """The directory of bags is on a disk of this host only: jobs find nothing there, and cannot even say so."""
    bags = on.home / ".mtdb" / "batch"
    bags.mkdir(parents=True)
    private = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{bags}" && exec "$@"', "sh"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts of one's own here")
    words = on.command(launcher="slurm poll=0.5s lost=1")
    done = subprocess.run(
        [*private, str(BIN / "mt"), *words], env=on.area.env, cwd=on.home, capture_output=True, text=True, check=False
    )
    assert done.returncode == ONLY_INFRA, done
    assert "jobs of slurm end before they take a case: " in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert on.run().status == 0
    on.proper()


def test_garbage_from_squeue_ends_nothing(on: OnSlurm) -> None:
    on.instead("squeue", "echo '}{ garbage'")
    on.cases("hold", do=on.hold)
    with on.started(*on.command(launcher="slurm poll=0.2s..0.4s")) as run:
        on.wait_noted("begin", 3)
        on.wait_called("squeue", 3)
        on.go()
        _, err = run.communicate(timeout=60)
        assert run.returncode == 0, err
    assert err.count("slurm cannot be asked") == 1, err
    on.as_it_was("squeue")
    on.proper()
