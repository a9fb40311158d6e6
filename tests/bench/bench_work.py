#!/usr/bin/env python3
"""W1, W2, W4, W5, W6 of mt side by side with make, ninja and ctest: bench_work.py [RUNS] [DIRECTORY].

Every tool does the same: a directory for each of 1,000 tests, /bin/true run there with a log of its own, the result
recorded, two at a time.  W1 has independent tests; W2 has 20 layers of 50, each test after two of the layer before.
W4 is the same command again, W5 a list of the results, W6 start-up.  The tools take turns, and fresh inputs are made
outside the timing; a row gives medians, and the ratio to make as the median of ratios of one turn.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

MT = str(Path(sys.executable).with_name("mt"))
WIDTH, LAYERS = 50, 20
STEP = "mkdir -p runs/t%d && cd runs/t%d && /bin/true >step.log 2>&1"
Make = Callable[[Path, bool], None]


def before(n: int, dag: bool) -> list[int]:
    """What test n waits for."""
    if not dag or n < WIDTH:
        return []
    base, place = (n // WIDTH - 1) * WIDTH, n % WIDTH
    return [base + place, base + (place + 1) % WIDTH]


def make(home: Path, dag: bool) -> None:
    """A Makefile."""
    lines = ["all: " + " ".join(f"runs/t{n}/ok" for n in range(1000))]
    for n in range(1000):
        lines.append(f"runs/t{n}/ok: {' '.join(f'runs/t{w}/ok' for w in before(n, dag))}\n\t@{STEP % (n, n)} && : >ok")
    (home / "Makefile").write_text("\n".join(lines) + "\n")


def ninja(home: Path, dag: bool) -> None:
    """A build.ninja."""
    lines = ["rule t\n  command = cd runs/t$k && /bin/true >step.log 2>&1 && : >ok"]
    for n in range(1000):
        lines.append(f"build runs/t{n}/ok: t {' '.join(f'runs/t{w}/ok' for w in before(n, dag))}\n  k = {n}")
    (home / "build.ninja").write_text("\n".join(lines) + "\n")


def ctest(home: Path, dag: bool) -> None:
    """A CTestTestfile.cmake."""
    lines = []
    for n in range(1000):
        lines.append(f'add_test(t{n} /bin/sh -c "{STEP % (n, n)}")')
        if waits := ";".join(f"t{w}" for w in before(n, dag)):
            lines.append(f'set_tests_properties(t{n} PROPERTIES DEPENDS "{waits}")')
    (home / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")


def area(home: Path, dag: bool) -> None:
    """An area: W1 is one test of 1,000 items; W2 has a layer a test, its items waiting on two of the layer before."""
    (home / "megatest.config").write_text(f"[fields]\nT TEXT\n[setup]\nlinktree {home}/lt\n[disks]\nd {home}/lt\n")
    (home / "runconfigs.config").write_text("[default]\n[x]\n")
    (home / "lt").mkdir()
    if not dag:
        _test(home, "t", range(1000), "")
        return
    for layer in range(LAYERS):
        for half in "ab":
            waits = f"[requirements]\nwaiton a{layer - 1} b{layer - 1}\nmode itemwait\n" if layer else ""
            _test(home, f"{half}{layer}", range(WIDTH // 2), waits)


def _test(home: Path, name: str, items: Sequence[int], more: str) -> None:
    folder = home / "tests" / name
    folder.mkdir(parents=True)
    folder.joinpath("testconfig").write_text(f"[ezsteps]\ns /bin/true\n[items]\nK {' '.join(map(str, items))}\n{more}")


TOOLS: dict[str, tuple[Make, list[str]]] = {
    "make": (make, ["make", "-s", "-j2", "all"]),
    "ninja": (ninja, ["ninja", "-j2", "--quiet"]),
    "ctest": (ctest, ["ctest", "-j2", "-Q"]),
    "mt": (area, [MT, "run", "-t", "x", "-r", "r", "-j2", "-q"]),
}


def timed(command: Sequence[str], home: Path) -> float:
    """The seconds that a command takes; it must end well."""
    began = time.monotonic()
    subprocess.run(command, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def turn(top: Path, dag: bool, again: bool) -> dict[str, float]:
    """One turn of all tools that are here; with `again` the time of the second, idle command."""
    found = {}
    for name, (write, command) in TOOLS.items():
        if shutil.which(command[0]) is None:
            continue
        home = top / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        write(home, dag)
        first = timed(command, home)
        found[name] = timed(command, home) if again else first
    return found


def show(title: str, turns: list[dict[str, float]]) -> None:
    """Medians, and ratios to make."""
    for name in turns[0]:
        wall = statistics.median(t[name] for t in turns)
        ratio = statistics.median(t[name] / t["make"] for t in turns)
        print(f"{title:<4} {name:<8} {wall:8.3f} s   {ratio:6.2f} x make", flush=True)


def commands(home: Path, runs: int) -> None:
    """W5 and W6: whole commands, and what they take over a bare Python."""
    bare = statistics.median(timed([sys.executable, "-c", "pass"], home) for _ in range(runs * 5))
    print(f"W6   bare python3 -c pass {bare * 1000:6.1f} ms")
    for title, words in (
        ("W5", ["tests", "-q", "-t", "x", "-r", "r"]),
        ("W6", ["--version"]),
        ("Q", ["status", "-q", "-t", "x", "-r", "r"]),
    ):
        wall = statistics.median(timed([MT, *words], home) for _ in range(runs * 5))
        print(f"{title:<4} mt {words[0]:<12} {wall * 1000:6.1f} ms   {(wall - bare) * 1000:5.1f} over bare")


def main() -> None:
    """Run all of it."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as name:
        top = Path(name)
        print(f"# load {os.getloadavg()[0]:.1f}, {runs} turns, in {top.parent}")
        show("W1", [turn(top, False, False) for _ in range(runs)])
        show("W2", [turn(top, True, False) for _ in range(runs)])
        show("W4", [turn(top, False, True) for _ in range(runs)])
        commands(top / "mt", runs)


if __name__ == "__main__":
    main()
