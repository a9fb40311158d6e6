"""How many events a second one process folds, and what writing one costs.

    python tests/bench/bench_fold.py [CASES]

Each case makes four events, as a worker writes them: running, a step begun, the
step ended, done.  Prints events a second for a first fold and for a second one
over the same cases, the cost of an emit, of a fold that finds nothing new, and
of one that finds a single event.
"""

from __future__ import annotations

import sys
import tempfile
import time

from mt.db import Store
from mt.fold import Folder, compact
from mt.journal import Journal, drop
from mt.model import CaseRow, RunKey, StepRow
from mt.rebuild import rebuild_run

PLACE = "/data/links/ubuntu/nfs/none/w49.1"


def write_cases(journal: Journal, cases: int, attempt: int) -> int:
    """The events of cases that all pass; gives their number."""
    for n in range(cases):
        test, item = f"test{n % 100}", f"item{n // 100}"
        now = 1_800_000_000.0 + n
        run = CaseRow(test, item, attempt, 1, "RUNNING", host="n12", pid=n, start=now, dir=f"{PLACE}/{test}/{item}")
        journal.emit_row("case", run)
        journal.emit_row("step", StepRow(test, item, attempt, "main", 1, "start", start=now))
        step = StepRow(test, item, attempt, "main", 1, "end", "0", (0,), n, now, 0.5, 0.3, 1 << 20, "main.log")
        journal.emit_row("step", step)
        done = run._replace(gen=2, state="COMPLETED", status="PASS", end=now + 1, secs=1.0, cpu=0.3, rss=1 << 20)
        journal.emit_row("case", done)
    return 4 * cases


def told(what: str, seconds: float, n: int) -> None:
    """One line of the result."""
    print(f"{what:28} {n / seconds:10.0f} /s {seconds / n * 1e6:10.1f} us")


def main(cases: int) -> None:
    """Measure on this machine, in a temporary area."""
    with tempfile.TemporaryDirectory() as home:
        store = Store(home, create=True)
        run = store.create_run(RunKey("ubuntu/nfs", "bench"), owner="bench")
        directory = store.journal_dir(run)
        with Journal(directory, "n12-1-1") as journal, Folder(store, run) as folder:
            begin = time.perf_counter()
            with journal.batch():
                journal.emit(
                    "cases", test="test0", items=[f"more{n}" for n in range(cases)], attempt=1, gen=0,
                    state="NOT_STARTED", status="n/a",
                )  # fmt: skip
            folder.fold()
            told("register", time.perf_counter() - begin, cases)
            for attempt, what in ((1, "first fold"), (2, "fold of a second attempt")):
                begin = time.perf_counter()
                n = write_cases(journal, cases, attempt)
                told("emit", time.perf_counter() - begin, n)
                begin = time.perf_counter()
                assert folder.fold() == n
                told(what, time.perf_counter() - begin, n)
            begin = time.perf_counter()
            for _ in range(1000):
                folder.fold()
            told("fold of nothing", time.perf_counter() - begin, 1000)
            begin = time.perf_counter()
            for n in range(300):
                journal.emit("note", test="test1", item="", attempt=1, text=str(n))
                folder.fold()
            told("emit and fold of one", time.perf_counter() - begin, 300)
            begin = time.perf_counter()
            for n in range(300):
                drop(directory, [("note", {"test": "test1", "text": str(n)})])
            told("drop", time.perf_counter() - begin, 300)
            begin = time.perf_counter()
            folder.fold()
            told("fold of drops", time.perf_counter() - begin, 300)
        begin = time.perf_counter()
        compact(store, run)
        told("compact", time.perf_counter() - begin, 8 * cases)
        begin = time.perf_counter()
        rebuild_run(store, run)
        told("rebuild", time.perf_counter() - begin, 8 * cases)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
