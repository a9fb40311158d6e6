"""`mt launcher list` and `mt launcher try`: what can start cases here, and the proof that it does."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sshlab
from batchfakes.records import PENDING, RUNNING
from fakebatch import FakeEngine
from slurmlab import Slurm
from testarea import CONFIG, Area

Make = Callable[[str, Path], FakeEngine]
ENGINES = ["slurm", "lsf", "pbs", "torque", "sge", "htcondor", "ssh"]


def tried(area: Area, *words: str, env: Mapping[str, str] | None = None, status: int = 0) -> dict[str, dict[str, Any]]:
    """The checks of a trial by name; nothing is left behind."""
    before = sorted(area.home.rglob("*"))
    result = area.mt("launcher", "try", *words, "-f", "ndjson", env=env)
    assert result.status == status, result.out + result.err
    assert sorted(area.home.rglob("*")) == before
    return {row["check"]: row for row in result.rows()}


def bad(checks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{c['check']}: {c['note']}" for c in checks.values() if c["result"] not in ("ok", "skip")]


# -- list


def test_all_engines_are_listed_with_what_is_missing(area: Area, tmp_path: Path) -> None:
    rows = {row["name"]: row for row in area.rows("launcher", "list", env={"PATH": str(tmp_path)})}
    assert list(rows) == ["local", "command", *ENGINES]
    assert rows["local"]["ok"] and rows["local"]["used"] == ["by default"]
    assert (rows["slurm"]["ok"], rows["slurm"]["available"]) == (False, "no sbatch, squeue, scancel on PATH")
    assert rows["lsf"]["engine"] == "lsf" and rows["command"]["ok"]


def test_an_engine_tells_its_version(area: Area, fake_engine: Make, tmp_path: Path) -> None:
    env = fake_engine("lsf", tmp_path).env
    rows = {row["name"]: row for row in area.rows("launcher", "list", env=env)}
    assert rows["lsf"]["ok"] and "LSF" in rows["lsf"]["available"]


def test_what_the_area_names_is_listed_with_its_users(area: Area) -> None:
    area(
        {
            "megatest.config": CONFIG
            + "[launcher night]\nengine ssh\nhosts a:2\n\n[launcher wrong]\nengine nosuch\n\n"
            + "[jobtools]\nlauncher night\n\n[host-types]\nbig slurm mem=8G\nown nbfake\nodd no-such-program -x\n"
        }
    )
    rows = {row["name"]: row for row in area.rows("launcher", "list")[len(ENGINES) + 2 :]}
    assert (rows["night"]["kind"], rows["night"]["used"], rows["night"]["what"]) == (
        "section", ["[jobtools] launcher"], "ssh hosts=a:2",
    )  # fmt: skip
    assert not rows["wrong"]["ok"] and "there is no engine 'nosuch'" in rows["wrong"]["available"]
    assert rows["slurm"]["used"] == ["[host-types] big"]
    assert (rows["no-such-program"]["ok"], rows["no-such-program"]["available"]) == (
        False, "no 'no-such-program' on PATH",
    )  # fmt: skip
    assert area.rows("launcher", "list")[0]["used"] == ["[host-types] own"]


def test_no_area_is_needed_to_list(area: Area, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    assert len(area.rows("launcher", "list", cwd=outside)) == len(ENGINES) + 2
    assert area.mt("launcher", "list", "-C", str(outside)).status == 3


# -- try: what needs no engine


def test_our_own_workers_are_tried(area: Area) -> None:
    checks = tried(area, "local")
    assert list(checks) == [
        "start", "disk there", "disk both ways", "python", "clock", "memory", "end", "cancel",
    ]  # fmt: skip
    assert bad(checks) == []
    assert checks["cancel"]["note"] == "TERM ended it"


def test_a_command_in_front_is_tried(area: Area) -> None:
    checks = tried(area, "env LAUNCHED=yes nice")
    assert bad(checks) == []
    assert checks["cancel"]["result"] == "skip"


def test_a_command_that_does_not_start_a_job_fails(area: Area) -> None:
    checks = tried(area, "echo cannot start: ", "--timeout", "2s", status=1)  # it ends well, and starts nothing
    assert checks["start"]["result"] == "fail"
    assert "cannot start: " in checks["start"]["note"]


@pytest.mark.parametrize("text", ["false", "no-such-program-here -x"])
def test_a_command_that_fails_is_status_6(area: Area, text: str) -> None:
    checks = tried(area, text, status=6)
    assert checks["start"]["result"] == "fail"


def test_without_an_area_a_directory_must_be_named(area: Area, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    result = area.mt("launcher", "try", "local", cwd=outside)
    assert (result.status, "--dir" in result.err) == (3, True)
    assert area.mt("launcher", "try", "local", "--dir", ".", cwd=outside).status == 0
    assert list(outside.iterdir()) == []
    assert area.mt("launcher", "try", "local", "--dir", "nosuch", cwd=outside).status == 5


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["slurm mem=lots"], 3, "memory"),
        (["ssh hosts="], 3, "hosts"),
        (["local", "--timeout", "soon"], 2, "--timeout"),
        ([], 2, "LAUNCHER is missing"),
    ],
)
def test_what_cannot_be_understood_is_said(area: Area, words: list[str], status: int, says: str) -> None:
    result = area.mt("launcher", "try", *words)
    assert result.status == status
    assert says in result.err and len(result.err.splitlines()) <= 2


def test_an_engine_that_is_not_installed_is_status_6(area: Area) -> None:
    checks = tried(area, "lsf", status=6)
    assert list(checks) == ["programs"]
    assert checks["programs"]["note"] == "no bsub, bjobs, bkill on PATH"


# -- try: faithful fakes


@pytest.mark.parametrize("name", ["lsf", "pbs", "torque", "sge", "htcondor"])
def test_a_fake_engine_that_works_has_no_failed_check(area: Area, fake_engine: Make, tmp_path: Path, name: str) -> None:
    engine = fake_engine({"pbs": "openpbs"}.get(name, name), tmp_path)
    checks = tried(area, f"{name} mem=1G cores=1", env=engine.env)
    assert [c for c in bad(checks) if not c.startswith("memory: ")] == []
    assert {"submit", "queue", "start", "disk both ways", "job id", "end", "array", "cancel"} <= set(checks)
    assert not any(row.state in (PENDING, RUNNING) for row in engine.jobs())


@pytest.mark.parametrize(
    ("knobs", "status", "check", "says"),
    [
        ({"refuse": "no such queue"}, 6, "submit", ""),
        ({"away": True}, 6, "submit", ""),
        ({"expired": True}, 6, "submit", ""),
        ({"pend": "no host is free"}, 1, "start", "has not begun after 2s"),
        ({"swallow": True}, 1, "queue", "does not list the job"),
        ({"garbage": "?? what ??"}, 1, "queue", "cannot be asked"),
    ],
)
def test_what_is_wrong_with_an_engine_is_one_failed_check(
    area: Area, fake_engine: Make, tmp_path: Path, knobs: dict[str, object], status: int, check: str, says: str
) -> None:
    engine = fake_engine("lsf", tmp_path)
    engine.set(**knobs)
    checks = tried(area, "lsf", "--timeout", "2s", env=engine.env, status=status)
    assert checks[check]["result"] == "fail"
    assert says in checks[check]["note"] and checks[check]["note"]
    engine.set(garbage=None)
    assert not any(row.state in (PENDING, RUNNING) for row in engine.jobs())


def test_an_interrupted_trial_leaves_nothing_in_the_queue(area: Area, fake_engine: Make, tmp_path: Path) -> None:
    engine = fake_engine("lsf", tmp_path)
    engine.set(pend="no host is free")
    with area.start("launcher", "try", "lsf", env=engine.env) as trial:
        engine.until(lambda rows: len(rows) == 1)
        trial.send_signal(signal.SIGINT)
        trial.communicate(timeout=60)
    assert trial.returncode == 130
    engine.until(lambda rows: not any(row.state in (PENDING, RUNNING) for row in rows))
    assert not list(area.home.glob("**/try-*"))


def test_a_python_that_is_not_on_the_host_is_seen(area: Area, fake_engine: Make, tmp_path: Path) -> None:
    engine = fake_engine("lsf", tmp_path)
    checks = tried(area, "lsf python=/no/such/python", "--timeout", "20s", env=engine.env, status=1)
    assert "/no/such/python" in checks["start"]["note"]
    assert "array" not in checks


# -- try: the real thing


def test_a_real_slurm_works(area: Area, slurm: Slurm) -> None:
    checks = tried(area, "slurm mem=200M cores=2 time=10m", env=slurm.env)
    assert bad(checks) == []
    assert checks["memory"]["note"].startswith("asked 200M: SLURM_MEM_PER_NODE 200M")
    assert checks["job id"]["result"] == checks["array"]["result"] == "ok"
    assert checks["cancel"]["note"] == "CANCELLED; SIGTERM reached it"


def test_a_partition_that_is_not_there_is_status_6(area: Area, slurm: Slurm) -> None:
    checks = tried(area, "slurm queue=nosuch", env=slurm.env, status=6)
    assert "invalid partition" in checks["submit"]["note"]


def test_every_host_of_ssh_is_tried(area: Area, sshd: sshlab.SshLab) -> None:
    checks = tried(area, "ssh hosts=a:2,b", env=sshd.env)
    assert bad(checks) == []
    assert {"start on a", "start on b", "disk both ways on b", "cancel"} <= set(checks)
