"""How long planning takes and how much memory it needs.

    python tests/bench/bench_plan.py [CASES ...]

For each number of cases (default 100000 and 1000000) makes an area of 20
layers of 2 tests; each item waits item by item for the same item of both tests
of the layer before, so there are nearly twice as many edges as cases.  Times the planner
alone (of + begin), a whole run of the plan (every case ends), and the command
`mt plan`, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAYERS, WIDE = 20, 2
CORE = """\
import json, resource, sys, time
sys.path.insert(0, sys.argv[2])
from fakes.specs import spec, area
from mt.pipeline.plan import Plan, Selection
n = int(sys.argv[1]) // 40
items = " ".join(map(str, range(n)))
specs = [spec(f"t{a}_{b}", f"t{a-1}_0 t{a-1}_1" if a else "", mode="itemwait", items=items)
         for a in range(20) for b in range(2)]
at = time.perf_counter()
plan = Plan.of(*area(specs), Selection())
moves = list(plan.begin())
planned = time.perf_counter() - at
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
assert len(moves) == 2 * n, len(moves)
at = time.perf_counter()
for move in moves:
    moves.extend(plan.ended(move.case, "COMPLETED", "PASS"))
assert len(moves) == 40 * n and not plan.left()
print(json.dumps({"cases": len(plan.cases), "edges": len(plan._graph.target), "plan s": round(planned, 2),
                  "plan MB": round(rss), "run through s": round(time.perf_counter() - at, 2),
                  "cpu s": round(time.process_time(), 2)}))
"""


def make(home: Path, cases: int) -> None:
    """The same area as files."""
    items = " ".join(map(str, range(cases // (LAYERS * WIDE))))
    home.mkdir()
    (home / "megatest.config").write_text("[fields]\nA TEXT\n[setup]\nlinktree lt\n")
    (home / "runconfigs.config").write_text("[x]\n")
    for layer in range(LAYERS):
        for n in range(WIDE):
            test = home / "tests" / f"t{layer}_{n}"
            test.mkdir(parents=True)
            waits = f"waiton t{layer - 1}_0 t{layer - 1}_1\nmode itemwait\n" if layer else ""
            (test / "testconfig").write_text(f"[ezsteps]\na true\n[requirements]\n{waits}\n[items]\nI {items}\n")


def command(home: Path, *words: str) -> dict[str, float]:
    """Seconds, seconds of processor time (which other load disturbs less), and megabytes of one command."""
    at = time.perf_counter()
    with open(os.devnull, "wb") as null:
        done = subprocess.Popen([sys.executable, "-m", "mt", *words], cwd=home, stdout=null, stderr=null)
        _, status, usage = os.wait4(done.pid, 0)
        done.returncode = status
    if status:
        raise SystemExit(f"mt {' '.join(words)}: status {status}")
    secs, cpu = time.perf_counter() - at, usage.ru_utime + usage.ru_stime
    return {"s": round(secs, 2), "cpu s": round(cpu, 2), "MB": round(usage.ru_maxrss / 1024)}


def main(sizes: list[int]) -> None:
    """Print one JSON line for each size and way."""
    tests = str(Path(__file__).parents[1])
    for cases in sizes:
        done = subprocess.run([sys.executable, "-c", CORE, str(cases), tests], stdout=subprocess.PIPE, check=True)
        print(json.dumps({"what": "planner", **json.loads(done.stdout)}), flush=True)
        with tempfile.TemporaryDirectory() as tmp:
            home = Path(tmp) / "area"
            make(home, cases)
            for words in (("plan", "-t", "x", "-q"), ("plan", "-t", "x", "-q", "-f", "ids")):
                print(
                    json.dumps({"what": "mt " + " ".join(words), "cases": cases, **command(home, *words)}), flush=True
                )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [100_000, 1_000_000])
