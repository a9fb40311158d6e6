#!/usr/bin/env python3
"""1,000 trivial cases on a private Slurm of four node daemons: bench_slurm.py [TURNS] [DIRECTORY].

In turn: one sbatch per case by a shell loop (which keeps no record, so it is what nobody can beat that way), one job
per case by mt, arrays and pilots by mt, and mt's own workers.  Seconds until the last result is known; rows give
medians, and rates as multiples of the loop's.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from slurmcluster import Cluster

MT = str(Path(sys.executable).with_name("mt"))
MANY = 1000
WAYS = {
    "mt, one job per case": "slurm submit=job jobs=1000",
    "mt, array": "slurm submit=array jobs=8",
    "mt, pilots": "slurm submit=pilot",
    "mt, its own workers": "local",
}


def area(home: Path) -> None:
    """An area with one test of as many items."""
    (home / "megatest.config").write_text(f"[fields]\nT TEXT\n[setup]\nlinktree {home}/lt\n[disks]\nd {home}/lt\n")
    (home / "runconfigs.config").write_text("[x]\n")
    (home / "lt").mkdir()
    (home / "tests" / "t").mkdir(parents=True)
    items = " ".join(map(str, range(MANY)))
    (home / "tests" / "t" / "testconfig").write_text(f"[ezsteps]\ns /bin/true\n[items]\nK {items}\n")


def by_mt(home: Path, launcher: str, env: Mapping[str, str]) -> float:
    """Seconds of a run in a fresh area."""
    area(home)
    return seconds([MT, "run", "-q", "-C", str(home), "-t", "x", "-r", "r", "-L", launcher], env)


def by_loop(home: Path, env: Mapping[str, str]) -> float:
    """Seconds of one sbatch per case, until the queue is empty and every case has left its file."""
    text = (
        f"cd {home}; for n in $(seq {MANY}); do"
        f' sbatch -Q -o {home}/%j.out --wrap "/bin/true && : >{home}/ok.$n" || exit 1; done;'
        ' while [ -n "$(squeue -h -o %i | head -n 1)" ]; do sleep 0.05; done'
    )
    took = seconds(["bash", "-c", text], env)
    done = sum(name.startswith("ok.") for name in os.listdir(home))
    if done != MANY:
        sys.exit(f"only {done} of {MANY} jobs ran")
    return took


def seconds(argv: list[str], env: Mapping[str, str]) -> float:
    """How long a command takes, which must succeed."""
    begun = time.monotonic()
    subprocess.run(argv, env=dict(env), check=True)
    return time.monotonic() - begun


def main(turns: int, above: str) -> None:
    """Measure and print."""
    lab = Cluster(Path(tempfile.mkdtemp(prefix="s", dir="/tmp")))
    lab.start({"nodes": 4, "cpus": 64})
    env = {**os.environ, **lab.env}
    times: dict[str, list[float]] = {}
    try:
        for _ in range(turns):
            for name, launcher in {"one sbatch per case": "", **WAYS}.items():
                home = Path(tempfile.mkdtemp(dir=above))
                took = by_mt(home, launcher, env) if launcher else by_loop(home, env)
                times.setdefault(name, []).append(took)
                shutil.rmtree(home)
    finally:
        lab.stop()
        shutil.rmtree(lab.home, ignore_errors=True)
    loop = statistics.median(times["one sbatch per case"])
    print(f"load of the machine: {os.getloadavg()[0]:.1f}; {MANY} cases, medians of {turns}")
    for name, took in times.items():
        middle = statistics.median(took)
        print(f"{name:22} {middle:7.2f} s {MANY / middle:7.0f} cases/s {loop / middle:6.1f} x the loop")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2] if len(sys.argv) > 2 else "/dev/shm")
