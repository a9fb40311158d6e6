"""A private Slurm can be started, hit and stopped at will: tests of batch runs stand on that (scripts/slurm-lab)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slurmcluster import Cluster, LabError, running, until
from slurmlab import SCRIPT, Slurm, need, used

Made = Callable[..., Slurm]


def lab(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script as people do."""
    return subprocess.run(
        [sys.executable, SCRIPT, *words], capture_output=True, text=True, env={**os.environ, **env}, timeout=60
    )


def everything(cluster: Cluster) -> list[int]:
    """All daemons of a cluster and all that runs in its jobs."""
    pids = [int(word) for word in os.listdir("/proc") if word.isdigit()]
    return [pid for pid in pids if (cluster.is_daemon(pid) or cluster.is_job(pid)) and running(pid)]


def daemons(cluster: Cluster) -> dict[str, int | None]:
    return {name: cluster.pid(name) for name in ("munged", *cluster.names)}


def test_a_job_runs_on_the_cluster_that_all_tests_share(slurm: Slurm) -> None:
    job = slurm.sbatch("-w", "n3", wrap="echo $SLURMD_NODENAME")
    assert slurm.wait_job(job) == "COMPLETED"
    assert (slurm.home / "log" / f"job-{job}.out").read_text() == "n3\n"
    assert "CPUTot=64" in slurm.scontrol("show", "node", "n3")


def test_a_second_start_leaves_alone_what_runs_and_a_third_revives_what_died(own_slurm: Slurm) -> None:
    before = daemons(own_slurm)
    assert all(before.values())
    own_slurm.start()
    assert daemons(own_slurm) == before
    own_slurm.kill_node("n2")
    own_slurm.lose_credentials()
    assert (own_slurm.pid("n2"), own_slurm.pid("munged")) == (None, None)
    own_slurm.revive_node("n2")
    after = daemons(own_slurm)
    assert all(after.values())
    assert {name for name in after if after[name] != before[name]} == {"n2", "munged"}
    assert own_slurm.wait_job(own_slurm.sbatch("-w", "n2", wrap="true")) == "COMPLETED"


def test_other_settings_are_refused_while_it_runs(own_slurm: Slurm) -> None:
    with pytest.raises(LabError, match=r"runs with other settings than cpus=3: stop it first"):
        own_slurm.start({"cpus": 3})
    assert all(daemons(own_slurm).values())


def test_after_stop_no_process_of_daemons_or_jobs_is_left(new_slurm: Made) -> None:
    cluster = new_slurm()
    stubborn = cluster.sbatch(wrap="trap '' TERM; while :; do sleep 1; done")
    cluster.sbatch("-w", "n2", wrap="setsid sleep 600 & wait")
    cluster.wait_job(stubborn, "RUNNING")
    cluster.freeze_node("n1")
    assert len(everything(cluster)) >= 4 + 2
    assert lab("stop", str(cluster.home)).returncode == 0
    assert everything(cluster) == []
    assert not list((cluster.home / "run").glob("*.pid"))


def test_two_labs_side_by_side_know_nothing_of_each_other(new_slurm: Made) -> None:
    one, two = new_slurm(nodes=1), new_slurm(nodes=1)
    assert one.settings and two.settings
    assert abs(one.settings.port - two.settings.port) >= 200
    job = two.sbatch(wrap="sleep 600")
    two.wait_job(job, "RUNNING")
    assert one.job_state(job) == ""
    one.stop()
    assert not everything(one)
    assert two.job_state(job) == "RUNNING"


def test_all_listen_on_loopback_only(own_slurm: Slurm) -> None:
    assert own_slurm.settings
    ours = range(own_slurm.settings.port, own_slurm.settings.port + 200)
    listeners = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, port = line.split()[1].split(":")
            if line.split()[3] == "0A" and int(port, 16) in ours:
                listeners.append(address)
    assert listeners == ["0100007F"] * 3


def test_a_lost_node_is_seen_down_and_its_job_runs_again_when_it_is_back(own_slurm: Slurm, tmp_path: Path) -> None:
    own_slurm.sbatch("--requeue", "-w", "n2", wrap=f"echo run $SLURM_RESTART_COUNT >>{tmp_path}/trace; sleep 600")
    until((tmp_path / "trace").exists, 10, "the job runs")
    victims = own_slurm.jobs("n2")
    assert len(victims) >= 2
    own_slurm.kill_node("n2", jobs=True)
    assert not any(map(running, victims))
    own_slurm.wait_node("n2", "down")
    assert own_slurm.states()["n1"] == "idle"
    own_slurm.revive_node("n2")
    until(lambda: (tmp_path / "trace").read_text() == "run\nrun 1\n", 20, "the job runs again")


def test_a_node_that_is_set_down_requeues_its_job_at_once(own_slurm: Slurm) -> None:
    job = own_slurm.sbatch("--requeue", "-w", "n1", wrap="sleep 600")
    lost = own_slurm.sbatch("--no-requeue", "-w", "n1", wrap="sleep 600")
    own_slurm.wait_job(job, "RUNNING")
    own_slurm.wait_job(lost, "RUNNING")
    own_slurm.set_down("n1")
    assert own_slurm.wait_job(lost) == "NODE_FAIL"
    assert own_slurm.job_state(job) in ("PENDING", "COMPLETING")
    own_slurm.resume("n1")


def test_a_controller_that_was_killed_knows_its_queue_again(own_slurm: Slurm) -> None:
    running_job = own_slurm.sbatch(wrap="sleep 600")
    waiting = own_slurm.sbatch("--hold", wrap="true")
    own_slurm.wait_job(running_job, "RUNNING")
    own_slurm.wait_saved()
    own_slurm.kill_controller()
    with pytest.raises(LabError, match="Unable to contact slurm controller"):
        own_slurm.run("squeue")
    own_slurm.restart_controller()
    assert (own_slurm.job_state(running_job), own_slurm.job_state(waiting)) == ("RUNNING", "PENDING")


def test_a_frozen_controller_answers_nobody_until_it_is_thawed(own_slurm: Slurm) -> None:
    own_slurm.freeze_controller()
    with pytest.raises(LabError):
        own_slurm.run("squeue", timeout=1)
    own_slurm.thaw_controller()
    assert own_slurm.run("squeue", "-h") == ""


def test_a_cluster_is_stopped_when_its_last_user_is_killed(
    tmp_path_factory: pytest.TempPathFactory, slurm: Slurm
) -> None:
    home = tmp_path_factory.mktemp("s")
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from slurmlab import Slurm, used
cluster = Slurm(Path({str(home)!r}))
with used(cluster):
    cluster.start({{"nodes": 1}})
    print("up", flush=True)
    sys.stdin.read()
"""
    cluster = Slurm(home)
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout
        assert user.stdout.readline() == "up\n"
        with used(cluster):  # a second one, so that it must go on for a while
            user.kill()
            user.wait()
            assert cluster.wait_job(cluster.sbatch(wrap="true")) == "COMPLETED"
    assert everything(cluster) == []


def test_the_script_says_in_one_line_what_it_cannot_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("s"))
    for words, env, said in (
        (("start", home), {"PATH": home}, "no Slurm here (munge, sbatch"),
        (("start", home), {"SLURM_TIMEOUT": "soon"}, "SLURM_TIMEOUT 'soon': not a whole number"),
        (("start", home), {"SLURM_EXTRA": "Nonsense=1"}, "slurmctld does not start: slurmctld: error: "),
        (("start", home + "x" * 80), {}, "bytes too long"),
        (("kill", home, "n1"), {}, f"'{home}': no lab was started there"),
    ):
        done = lab(*words, **env)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert said in done.stderr
    assert (lab("start").returncode, lab("start", home, "four").returncode) == (2, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes a host name")
def test_a_host_whose_name_leads_elsewhere_has_a_lab_on_loopback_as_well(own_slurm: Slurm) -> None:
    own_slurm.stop()
    renamed = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere.invalid && exec "$@"', "sh"]
    words = [*renamed, sys.executable, str(SCRIPT), "start", str(own_slurm.home)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SlurmctldHost=localhost(127.0.0.1)" in own_slurm.conf.read_text()
    assert own_slurm.wait_job(own_slurm.sbatch(wrap="true")) == "COMPLETED"


def test_what_is_missing_is_a_reason_to_skip_but_not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    need("")
    monkeypatch.delenv("MT_CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Slurm here"):
        need("no Slurm here")
    monkeypatch.setenv("MT_CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no Slurm here"):
        need("no Slurm here")
