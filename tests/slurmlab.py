"""The fixtures `slurm`, `own_slurm` and `new_slurm`: a real Slurm for tests, as `slurmcluster.py` makes it.

| fixture | what |
|---|---|
| `slurm` | one cluster for all tests and workers of a session, four nodes of 64 cores; kill nothing, leave nodes up |
| `own_slurm` | one for this test alone, two nodes of 16 cores, which are soon seen to be lost; kill what you like |
| `new_slurm(**settings)` | more of the latter, with settings of your own |

A cluster outlives nobody: each of its users holds a shared lock, which the
kernel takes away however the user ends, and `flock ... slurm-lab stop` waits to
have it alone.  Where Slurm is missing these tests skip; with MT_CI they fail.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from slurmcluster import CONTROLLER, MUNGE, Cluster, LabError, missing, until

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "slurm-lab"
_OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL")


class Slurm(Cluster):
    """A cluster, and what tests do with one."""

    def sbatch(self, *words: str, wrap: str = "") -> str:
        """Submit and give the job's id; what it prints goes below the cluster's own directory."""
        said = ["--wrap", wrap] if wrap else []
        return (
            self.run("sbatch", "--parsable", "-o", f"{self.home}/log/job-%j.out", *words, *said).split(";")[0].strip()
        )

    def scontrol(self, *words: str) -> str:
        """Run scontrol."""
        return self.run("scontrol", *words)

    def job_state(self, job: str) -> str:
        """`PENDING`, `RUNNING`, ...; empty for a job that Slurm does not know (any more)."""
        with suppress(LabError):
            return "".join(self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T").split()[:1])
        return ""

    def wait_job(self, job: str, *states: str, seconds: float = 20) -> str:
        """Wait until a job is in one of the states (default: over), and say in which."""
        wanted = states or _OVER
        until(lambda: self.job_state(job) in wanted, seconds, f"job {job} is {' or '.join(wanted)}")
        return self.job_state(job)

    def wait_node(self, node: str, *states: str, seconds: float = 30) -> None:
        """Wait until the controller thinks so of a node: `idle`, `down`, `mixed`, ..., with or without `*`."""

        def reached() -> bool:
            with suppress(LabError):
                return self.states()[node].rstrip("*") in states
            return False

        until(reached, seconds, f"{node} is {' or '.join(states)}")

    def wait_saved(self, seconds: float = 15) -> None:
        """Wait until what the controller knows now is on disk; a kill -9 forgets what is newer, up to five seconds."""
        file, now = self.home / "state" / "job_state", time.time()
        until(lambda: file.exists() and file.stat().st_mtime > now, seconds, "the queue is on disk")

    def set_down(self, node: str, reason: str = "test") -> None:
        """Take a node away at once: its jobs are ended and requeued, or NODE_FAIL."""
        self.scontrol("update", f"NodeName={node}", "State=DOWN", f"Reason={reason}")

    def resume(self, node: str) -> None:
        """Let a node that was set down be used again."""
        self.scontrol("update", f"NodeName={node}", "State=RESUME")
        self.wait_node(node, "idle", "mixed", "allocated")

    def requeue(self, job: str) -> None:
        """Have a job ended and started again with the same id, after a few seconds."""
        self.scontrol("requeue", job)

    def kill_node(self, node: str, *, jobs: bool = False) -> None:
        """End the daemon of a node by KILL; its jobs go on unless `jobs`, as when the power is lost."""
        self.kill(node, jobs=jobs)

    def revive_node(self, node: str) -> None:
        """Start what was killed, and wait until the node can be used."""
        self.start()
        self.wait_node(node, "idle", "mixed", "allocated")

    def freeze_node(self, node: str) -> None:
        """The node answers nobody; its jobs go on."""
        self.freeze(node)

    def thaw_node(self, node: str) -> None:
        """It answers again."""
        self.thaw(node)

    def kill_controller(self) -> None:
        """End the controller by KILL: no command of Slurm works; jobs go on."""
        self.kill(CONTROLLER)

    def restart_controller(self) -> None:
        """Start what was killed, and wait until the controller answers."""
        self.start()

    def freeze_controller(self) -> None:
        """Every command of Slurm hangs until its time (MessageTimeout) is over."""
        self.freeze(CONTROLLER)

    def lose_credentials(self) -> None:
        """End munge by KILL: nobody can prove who they are until `start`."""
        self.kill(MUNGE)

    def thaw_controller(self) -> None:
        """It answers again."""
        self.thaw(CONTROLLER)


@contextmanager
def used(cluster: Slurm) -> Iterator[None]:
    """Keep a cluster from being stopped meanwhile, and see to it that it is stopped when nobody uses it any more."""
    users = cluster.home / "run" / "users"
    users.parent.mkdir(parents=True, exist_ok=True)
    with open(users, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # waits while it is being stopped
        stop = ["flock", str(users), sys.executable, str(SCRIPT), "stop", str(cluster.home)]
        with open(users.parent / "stop.log", "ab") as log:
            stopper = subprocess.Popen(
                stop, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=cluster.env
            )
        try:
            yield
        finally:
            lock.close()
            _leave(stopper, users)


def _leave(stopper: subprocess.Popen[bytes], users: Path) -> None:
    """Wait for the cluster to stop, unless others still use it: then theirs, or this stopper, will see to it."""
    for _ in range(100):
        with suppress(subprocess.TimeoutExpired):
            stopper.wait(0.3)
            return
        with open(users) as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            break
    stopper.returncode = 0  # not ours to wait for


def need(why: str) -> None:
    """Skip, or fail in CI, if something that can be installed is not there; `why` says what, empty when it is."""
    if why and os.environ.get("MT_CI"):
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The cluster of this session, started by the first test of any worker that wants it."""
    need(missing())
    place = tmp_path_factory.getbasetemp()
    cluster = Slurm((place.parent if os.environ.get("PYTEST_XDIST_WORKER") else place) / "slurm")
    with used(cluster):
        cluster.start({"nodes": 4, "cpus": 64, "msgtimeout": 5})
        yield cluster


@pytest.fixture
def new_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Slurm]]:
    """Start clusters for this test alone: `new_slurm(nodes=3)`."""
    need(missing())
    with ExitStack() as stack:

        def start(**settings: int | str) -> Slurm:
            cluster = Slurm(tmp_path_factory.mktemp("s"))
            stack.enter_context(used(cluster))
            cluster.start({"nodes": 2, "cpus": 16, "timeout": 3, "msgtimeout": 2, "killwait": 1, **settings})
            return cluster

        yield start


@pytest.fixture
def own_slurm(new_slurm: Callable[..., Slurm]) -> Slurm:
    """A cluster for this test alone, whose nodes are seen to be down some 10 s after they are lost."""
    return new_slurm()
