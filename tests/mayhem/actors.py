"""The programs of the chaos suite that are killed: `python actors.py KIND ...`, on any host, until somebody ends them.

  begin AREA SECONDS      make the store and the run of the writers; leases last so long (this one ends by itself)
  write AREA RUN FILE     append events to the journals of a run, by every way that mt.journal knows
  set AREA ID FILE        set a case by hand with `mt set`, again and again
  watch AREA RUN FILE     list the cases of a run with `mt tests`, again and again
  pack AREA RUN FILE      pack the journals of a run while others write them
  stat AREA RUN FILE      fold by asking, in other ways: `mt db stat`, `mt runs`, `mt values`

A writer notes in its own FILE what was acknowledged, one token a line, right
after the call that took it came back; a watcher what it saw.  A disk that is
full is no end for them: what failed was not acknowledged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

MT = str(Path(sys.executable).parent / "mt")
MARK = "tok"


class Notes:
    """An own file of lines; each is on its way to the disk when `add` comes back, even if we are killed then."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def add(self, *lines: str) -> None:
        if lines:
            os.write(self.fd, "".join(f"{line}\n" for line in lines).encode())


def tokens() -> Iterator[str]:
    """Words that nobody else says, on any host, however often pids come back."""
    from mt.journal import writer_name

    return (f"{MARK}:{writer_name()}:{n}" for n in count(1))


def event(token: str, n: int) -> tuple[str, dict[str, object]]:
    """An event of one of four kinds that carries the token."""
    about = {"test": "raw", "item": str(n % 40), "attempt": 1 + n // 200}
    state = ("NOT_STARTED", "LAUNCHED", "RUNNING", "COMPLETED", "KILLED")[n // 40 % 5]
    kinds: list[tuple[str, dict[str, object]]] = [
        ("result", {**about, "comment": token}),
        ("value", {**about, "category": "c", "variable": token, "value": token}),
        ("note", {**about, "text": token}),
        ("case", {**about, "gen": n, "state": state, "status": "n/a", "comment": token}),
    ]
    return kinds[n % len(kinds)]


def write(area: str, run: str, file: str) -> None:
    """One by one, in batches, as drops, and with a new journal now and then."""
    from mt.db import Store
    from mt.errors import StoreError
    from mt.journal import Journal, drop

    store, notes, words = Store(area), Notes(file), tokens()
    directory = store.journal_dir(int(run))
    for turn in count():
        try:
            with Journal(directory) as journal:
                for n in range(turn % 7 + 1):
                    token = next(words)
                    kind, fields = event(token, turn + n)
                    journal.emit(kind, **fields)
                    notes.add(token)
                several = [next(words) for _ in range(turn % 5)]
                with journal.batch():
                    for n, token in enumerate(several):
                        kind, fields = event(token, turn + n)
                        journal.emit(kind, **fields)
                notes.add(*several)
            several = [next(words) for _ in range(turn % 3)]
            if several:
                drop(directory, [event(token, turn + n) for n, token in enumerate(several)])
                notes.add(*several)
        except StoreError as e:
            complain(e)
        rest()


def begin(area: str, seconds: str) -> None:
    from mt.db import Store
    from mt.journal import Journal
    from mt.model import RunKey

    store = Store(area, create=True)
    path = Path(area, ".mtdb", "AREA")
    path.write_text(json.dumps({**json.loads(path.read_text()), "lease": float(seconds)}))
    run = store.create_run(RunKey("ubuntu/nfs", "raw"), owner="me")
    with Journal(store.journal_dir(run)) as journal:
        journal.emit("case", test="byhand", item="", attempt=1, gen=1, state="COMPLETED", status="PASS")


def rest() -> None:
    """Leave the processor to others for a while: this is about order, not about speed."""
    import select

    select.select([], [], [], 0.01)


def complain(what: object) -> None:
    print(what, file=sys.stderr, flush=True)


def call(*words: str) -> tuple[int, str]:
    done = subprocess.run([MT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.stderr:
        complain(f"mt {' '.join(words)}: {done.returncode}: {done.stderr}")
    return done.returncode, done.stdout


def set_by_hand(area: str, case: str, file: str) -> None:
    notes = Notes(file)
    for n, token in enumerate(tokens()):
        status, _ = call("set", "-q", "-C", area, ("PASS", "FAIL", "WAIVED")[n % 3], case, "-m", token)
        if status == 0:
            notes.add(token)


def watch(area: str, runs: str, file: str) -> None:
    """Note [run, test, item, attempt, state] of what changed since the last look, and an empty line for each look."""
    notes = Notes(file)
    last: dict[str, tuple[int, str]] = {}
    while True:
        _, newest = call(
            "runs", "-C", area, "-r", runs, "--sort", "-start", "--limit", "4", "-f", "ids", "--allow-empty"
        )
        ids = newest.split()
        status, said = call("tests", "-q", "-C", area, "-f", "ndjson", "--allow-empty", *ids) if ids else (0, "")
        rows = [json.loads(line) for line in said.splitlines()] if status == 0 else []
        news = [r for r in rows if last.get(r["id"]) != (r["attempt"], r["state"])]
        last |= {r["id"]: (r["attempt"], r["state"]) for r in news}
        notes.add("", *(json.dumps([r["run"], r["test"], r["item"], r["attempt"], r["state"]]) for r in news))


def stat(area: str, run: str, file: str) -> None:
    asked = [("db", "stat"), ("runs",), ("values", "-t", "%", "-r", run, "--allow-empty", "-f", "ndjson")]
    for n in count():
        call(*asked[n % len(asked)], "-C", area)


def pack(area: str, run: str, file: str) -> None:
    from mt.db import Store
    from mt.errors import MtError
    from mt.fold import compact

    store = Store(area)
    while True:
        try:
            compact(store, int(run))
        except MtError as e:
            complain(e)
        rest()


KINDS: dict[str, Callable[..., None]] = {
    "begin": begin,
    "pack": pack,
    "write": write,
    "set": set_by_hand,
    "watch": watch,
    "stat": stat,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](*sys.argv[2:])
