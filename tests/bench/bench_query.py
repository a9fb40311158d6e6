"""How long questions about a large run take, as whole commands.

    python tests/bench/bench_query.py [CASES]

Makes a run of so many cases (100 tests; one case in 100 failed, the rest
passed), folded, and times: the counts by status, a page of passed and one of
failed cases from the middle, one case, the tops, and `mt status`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mt.db import Store
from mt.fold import Folder
from mt.journal import Journal
from mt.model import CaseRow, RunKey

ASK = {
    "counts": "print(len(q.counts(s, 1)))",
    "page of PASS": "print(sum(1 for _ in q.cases(s, 1, statuses=['PASS'], limit=50, offset=%(half)d)))",
    "page of FAIL": "print(sum(1 for _ in q.cases(s, 1, statuses=['FAIL'], limit=50, offset=%(few)d)))",
    "page of all": "print(sum(1 for _ in q.cases(s, 1, limit=50, offset=%(half)d)))",
    "one case": "print(len(list(q.cases(s, 1, key=q.CaseKey('test7', 'item7')))))",
    "tops": "print(len(q.tops(s, 1)))",
    "runs": "print(len(q.find_runs(s)))",
    "is anything new": "from mt.fold import refresh\nprint(refresh(s, 1))",
}
BEGIN = "import sys\nfrom mt.db import Store\nfrom mt import queries as q\ns = Store(sys.argv[1])\n"


def make(home: str, cases: int) -> None:
    """A finished run."""
    store = Store(home, create=True)
    run = store.create_run(RunKey("ubuntu/nfs", "bench"), owner="bench")
    with Journal(store.journal_dir(run), "n12-1-1", buffered=True) as journal, Folder(store, run) as folder:
        for n in range(cases):
            status = "FAIL" if n % 100 == 37 else "PASS"
            row = CaseRow(
                f"test{n * 7 % 100}", f"item{n // 100}", 1, 2, "COMPLETED", status, "n12", n, "", 1.8e9, 1.8e9
            )
            journal.emit_row("case", row._replace(secs=1.5, dir=f"/data/links/ubuntu/nfs/w49.1/{row.test}/{row.item}"))
        journal.flush()
        begin = time.perf_counter()
        folder.fold()
        print(f"{'fold':20} {cases / (time.perf_counter() - begin):10.0f} /s")


def best(command: list[str]) -> float:
    """The best of three."""
    took = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.perf_counter() - begin)
    return min(took)


def main(cases: int) -> None:
    """Measure on this machine, in a temporary area."""
    with tempfile.TemporaryDirectory() as home:
        make(home, cases)
        (Path(home) / "megatest.config").write_text("[fields]\nA TEXT\nB TEXT\n")
        print(f"{'python alone':20} {best([sys.executable, '-c', 'pass']) * 1e3:8.1f} ms")
        for what, code in ASK.items():
            asked = BEGIN + code % {"half": cases // 2, "few": cases // 200}
            print(f"{what:20} {best([sys.executable, '-c', asked, home]) * 1e3:8.1f} ms")
        mt = [str(Path(sys.executable).parent / "mt")]
        for words in (["status"], ["runs"], ["tests", "-s", "FAIL", "--limit", "50"], ["tests", "--limit", "50"]):
            took = best([*mt, words[0], "-C", home, "-t", "ubuntu/nfs", "-r", "bench", *words[1:], "--allow-empty"])
            print(f"{'mt ' + ' '.join(words):32} {took * 1e3:8.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
