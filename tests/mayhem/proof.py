"""Prove from what a chaos run left behind that nothing was lost, nothing doubled, nothing ran twice at once.

    python tests/mayhem/proof.py AREA EVIDENCE [json]     print the figures, and each wrong; status 1 when there is one

AREA is at rest: nobody works in it any more.  EVIDENCE is the directory in
which `storm` kept what the actors said: `*.acks` (tokens of events whose writer
was told that they are written), `*.seen` (looks at states), `*.trace` (MT_TRACE,
one for each host), `faults.*` (who was killed when), `*.err` (stderr of all).
Simulated hosts have one clock, so that what two of them did can be put in
order; where the clocks of hosts may differ the file `slack` says by how much.

The journals are read here once more by a few lines of their own, not by mt's.
A rule that is broken is a `Wrong`: its name, and what was found.

  lost         an acknowledged event is in no journal, or not in the db
  doubled      an event is in the journals as two, or twice in the db
  move         somebody saw a case go a way that states.MOVES does not allow
  exclusion    a lock had two holders: two controllers of a run, two folds of a db
  fold         a db differs from a fresh fold of its journals, or the roll-up from its cases
  execution    an attempt ran twice, or a case counts as good and has not come to its end once
  orphan       a process of the area lives on
  answer       a query fails
  crash        a traceback
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mt.states import MOVES

TOKEN = re.compile(r"tok:[\w.-]+:\d+")
MT = str(Path(sys.executable).parent / "mt")
#: how many examples of one wrong are named
SHOWN = 5


class Wrong(NamedTuple):
    """One broken rule."""

    rule: str
    text: str
    n: int = 1


class Process(NamedTuple):
    """A process for good: the same pid exists on several hosts, and again later on one."""

    host: str
    pid: int
    start: int


class Report(NamedTuple):
    """Figures by name, and what is wrong."""

    figures: dict[str, int]
    wrongs: list[Wrong]

    def __str__(self) -> str:
        lines = [", ".join(f"{n} {name}" for name, n in self.figures.items())]
        return "\n".join([*lines, *(f"{w.rule}: {w.text}" for w in self.wrongs)])


def some(found: Iterable[object]) -> str:
    """How many, and the first of them."""
    every = sorted(map(str, found))
    return f"{len(every)}: {', '.join(every[:SHOWN])}"


# --- events -----------------------------------------------------------------


def journal_lines(directory: Path) -> Iterator[tuple[str, str]]:
    """(writer, line) of every whole line of a run's journals, wherever it has been moved."""
    for path in sorted([*directory.glob("*.ndjson*"), *directory.glob("drop/*.ndjson")]):
        if path.name.endswith(".tmp"):
            continue
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in body.split(b"\n")[:-1]:
            yield path.name.removesuffix(".ndjson"), line.decode("utf-8", "surrogateescape")


def events_of_tokens(lines: Iterable[tuple[str, str]]) -> dict[str, set[tuple[str, int]]]:
    """token -> the events, as (writer, number), that carry it."""
    found: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for writer, line in lines:
        for token in set(TOKEN.findall(line)):
            with suppress(ValueError, KeyError, TypeError):
                event = json.loads(line)
                found[token].add((event.get("w", writer), event["s"]))
    return found


def tokens_of_db(path: Path) -> Counter[str]:
    """How often each token is in the tables that keep all events."""
    found: Counter[str] = Counter()
    if not path.exists():
        return found  # a run that was registered, and nothing more
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        for table, column in (("said", "comment"), ("vals", "value"), ("notes", "text")):
            for (text,) in conn.execute(f"SELECT {column} FROM {table} WHERE {column} LIKE 'tok:%'"):
                found[text] += 1
    return found


def kept_kinds(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """token -> the kind of its event: not every kind is kept forever in the db."""
    found = {}
    for _, line in lines:
        for token in TOKEN.findall(line):
            with suppress(ValueError):
                found[token] = json.loads(line).get("k", "")
    return found


def check_events(
    acknowledged: set[str], written: Mapping[str, set[tuple[str, int]]], kinds: Mapping[str, str], db: Mapping[str, int]
) -> list[Wrong]:
    """Acknowledged events are once in the journals, and those of which the db keeps all are once in the db."""
    wrongs = []
    kept = {t for t, kind in kinds.items() if kind in ("result", "value", "note")}
    checks = [
        ("lost", "acknowledged, in no journal", acknowledged - written.keys()),
        ("lost", "in a journal, not in the db", {t for t in kept if not db.get(t)}),
        ("doubled", "in the journals as several events", {t for t, events in written.items() if len(events) > 1}),
        ("doubled", "in the db more than once", {t for t, n in db.items() if n > 1}),
        ("lost", "in the db, in no journal", db.keys() - written.keys()),
    ]
    for rule, text, found in checks:
        if found:
            wrongs.append(Wrong(rule, f"{text}: {some(found)}", len(found)))
    return wrongs


# --- moves ------------------------------------------------------------------


def check_moves(seen: Iterable[Sequence[Any]]) -> list[Wrong]:
    """What one watcher saw, look after look, in its order: (run, test, item, attempt, state)."""
    last: dict[tuple[str, ...], tuple[int, str]] = {}
    wrongs = []
    for run, test, item, attempt, state in seen:
        key = (run, test, item)
        was = last.get(key)
        if was and (attempt < was[0] or (attempt == was[0] and state != was[1] and state not in MOVES[was[1]])):
            wrongs.append(Wrong("move", f"{'/'.join(key)} went from {was[1]} ({was[0]}) to {state} ({attempt})"))
        last[key] = (attempt, state)
    return wrongs


# --- exclusion --------------------------------------------------------------


def check_exclusion(
    trace: Iterable[Mapping[str, Any]], deaths: Mapping[Process, float], slack: float = 0.0
) -> list[Wrong]:
    """No lock was taken while a process held it that had not been killed before.

    The same for leases: none runs out in a storm, whose pauses are shorter.
    `slack` is by how many seconds the clocks of two hosts may differ.
    """
    wrongs = []
    for lock, held in holdings(trace, deaths).items():
        until, had = 0.0, None
        for begin, end, who in sorted(held):
            if until > begin + slack:
                wrongs.append(Wrong("exclusion", f"{who} took {lock} at {begin}, which {had} held until {until}"))
            if end >= until:
                until, had = end, who
    return wrongs


def holdings(
    trace: Iterable[Mapping[str, Any]], deaths: Mapping[Process, float]
) -> dict[str, list[tuple[float, float, Process]]]:
    """lock -> (begin, end, process) of each holding; who never gave it back held it to his death, or for ever."""
    found: dict[str, list[tuple[float, float, Process]]] = defaultdict(list)
    begun: dict[tuple[str, Process], float] = {}
    for row in trace:
        if row["ev"] == "lock" and row["op"] in ("acquire", "release"):
            who, lock = Process(row["host"], row["pid"], row["start"]), in_store(row["what"])
            if row["op"] == "acquire":
                begun[lock, who] = row["t"]
            elif (lock, who) in begun:
                found[lock].append((begun.pop((lock, who)), row["t"], who))
    for (lock, who), begin in begun.items():
        found[lock].append((begin, deaths.get(who, float("inf")), who))
    return found


def in_store(path: str) -> str:
    """A path from `.mtdb` on: the area may be mounted at different places."""
    return path.rpartition("/.mtdb/")[2] or path


def check_dead(trace: Iterable[Mapping[str, Any]], deaths: Mapping[Process, float]) -> list[Wrong]:
    """The fault log is right: who was killed did nothing afterwards (or the check above proves nothing)."""
    late = set()
    for row in trace:
        who = Process(row["host"], row["pid"], row["start"])
        if row["t"] > deaths.get(who, float("inf")) + 1:
            late.add(who)
    return [Wrong("evidence", f"killed, and at work later: {some(late)}")] if late else []


# --- executions -------------------------------------------------------------


class Mark(NamedTuple):
    """A step's file in `marks`: RUN,ITEM,ATTEMPT,HOST,PID with the ending .begin or .end."""

    run: str
    item: str
    attempt: int
    who: str
    end: bool


def read_mark(name: str) -> Mark:
    """A mark from its name."""
    words, _, ending = name.rpartition(".")
    run, item, attempt, host, pid = words.split(",")
    return Mark(run, item, int(attempt), f"{host},{pid}", ending == "end")


def check_executions(marks: Iterable[Mark], rows: Iterable[Mapping[str, Any]]) -> list[Wrong]:
    """Each attempt ran at most once; the attempt that counts as PASS came to its end exactly once."""
    began: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    ended: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for mark in marks:
        (ended if mark.end else began)[mark[:3]].add(mark.who)
    wrongs = [
        Wrong("execution", f"{key} ran {len(who)} times: {some(who)}") for key, who in began.items() if len(who) > 1
    ]
    for row in rows:
        key = (row["run"], row["item"], row["attempt"])
        if (row["state"], row["status"]) != ("COMPLETED", "PASS"):
            wrongs.append(Wrong("execution", f"{row['id']} ended as {row['state']}/{row['status']}: {row['comment']}"))
        elif len(ended[key]) != 1:
            wrongs.append(Wrong("execution", f"{row['id']} passed, and came to its end {len(ended[key])} times"))
        newer = max((k[2] for k in began if k[:2] == key[:2]), default=0)
        if newer > row["attempt"]:
            wrongs.append(Wrong("execution", f"{row['id']} counts attempt {row['attempt']}, and {newer} has run"))
    return wrongs


# --- processes --------------------------------------------------------------


def living(area: Path) -> list[int]:
    """The processes that work in the area, on all simulated hosts of this machine, zombies aside."""
    here = f"MT_RUN_AREA_HOME={area}".encode()
    found = []
    for word in os.listdir("/proc"):
        if word.isdigit():
            with suppress(OSError):
                if here in Path(f"/proc/{word}/environ").read_bytes().split(b"\0") and state_of(int(word)) != "Z":
                    found.append(int(word))
    return found


def state_of(pid: int) -> str:
    """The letter of ps."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


def check_orphans(area: Path, patience: float = 10) -> list[Wrong]:
    """Nothing of the area lives; what ends by itself within some seconds is none."""
    until = time.monotonic() + patience
    while (left := living(area)) and time.monotonic() < until:
        time.sleep(0.05)
    names = []
    for pid in left:
        with suppress(OSError):
            names.append(f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()[:80]}")
    return [Wrong("orphan", some(names))] if names else []


# --- folds ------------------------------------------------------------------


def fold_all(area: Path) -> None:
    """Fold what is new, and wait for it: a question does not when the lease of somebody dead has yet to run out."""
    from mt.db import Store
    from mt.fold import Folder

    store = Store(str(area))
    for run in store.run_ids_on_disk():
        with Folder(store, run) as folder:
            folder.settle()


def run_mt(*words: str, area: Path) -> subprocess.CompletedProcess[str]:
    """A command of mt in the area, from outside of any run."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MT_")}
    return subprocess.run([MT, *words, "-C", str(area)], capture_output=True, text=True, env=env, check=False)


class NoAnswer(Exception):
    """A question that mt did not answer."""


def asked(*words: str, area: Path) -> list[dict[str, Any]]:
    """The rows of a query; raises NoAnswer."""
    done = run_mt(*words, "-f", "ndjson", area=area)
    if done.returncode:
        raise NoAnswer(f"mt {' '.join(words)}: {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows_of(area: Path) -> list[dict[str, Any]]:
    """All cases of all runs."""
    return asked("tests", "-q", "-t", "%", "-r", "%", "--allow-empty", area=area)


def check_folds(area: Path) -> list[Wrong]:
    """`mt db check` is content, and a copy whose dbs were made anew from the journals tells the same.

    The copy is on a local disk, and decides itself about its storage mode.
    """
    wrongs = []
    done = run_mt("db", "check", area=area)
    if done.returncode:
        wrongs.append(Wrong("fold", f"mt db check: {done.returncode}: {done.stdout}{done.stderr}"))
    before = (rows_of(area), summary(area))
    with tempfile.TemporaryDirectory(prefix="mt-proof-") as scratch:
        wrongs += check_copy(area, Path(scratch) / "copy", before)
    return wrongs


def check_copy(area: Path, copy: Path, before: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> list[Wrong]:
    """Copy the area without its dbs, make them anew, and compare the answers."""
    wrongs = []
    shutil.copytree(area, copy, ignore=shutil.ignore_patterns("runs", "lt", "*.db*", "locks", "tmp", "AREA"))
    for name in ("locks", "tmp"):
        (copy / ".mtdb" / name).mkdir()
    facts = json.loads((area / ".mtdb" / "AREA").read_text())
    kept = {name: facts[name] for name in ("id", "layout")}
    (copy / ".mtdb" / "AREA").write_text(json.dumps(kept))
    done = run_mt("db", "rebuild", "--all", area=copy)
    if done.returncode:
        wrongs.append(Wrong("fold", f"mt db rebuild: {done.returncode}: {done.stdout}{done.stderr}"))
    after = (rows_of(copy), summary(copy))
    for name, had, got in zip(("cases", "runs"), before, after, strict=True):
        if had != got:
            odd = [f"{a} / {b}" for a, b in zip(had, got, strict=False) if a != b]
            wrongs.append(Wrong("fold", f"{name} differ after a rebuild ({len(had)}, {len(got)}): {odd[:2]}"))
    return wrongs


def summary(area: Path) -> list[dict[str, Any]]:
    """The roll-up of the runs, as `mt runs` shows it."""
    return asked("runs", area=area)


# --- all --------------------------------------------------------------------


def lines_of(paths: Iterable[Path]) -> Iterator[str]:
    """The whole lines of files."""
    for path in sorted(paths):
        yield from path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")[:-1]


def deaths_of(evidence: Path) -> tuple[dict[Process, float], int]:
    """Who was killed when, and how many faults there were."""
    deaths: dict[Process, float] = {}
    faults = 0
    for line in lines_of(evidence.glob("faults.*")):
        row = json.loads(line)
        faults += row.get("counts", 1)
        for host, pid, start in row.get("killed", ()):
            deaths.setdefault(Process(host, pid, start), row["t"])
    return deaths, faults


def prove(area: Path, evidence: Path) -> Report:
    """Look at everything."""
    try:
        return looked_at(area, evidence)
    except NoAnswer as e:
        return Report({}, [Wrong("answer", str(e))])


def looked_at(area: Path, evidence: Path) -> Report:
    """The report, when mt answers all questions."""
    wrongs = check_orphans(area)
    fold_all(area)
    written: dict[str, set[tuple[str, int]]] = defaultdict(set)
    kinds: dict[str, str] = {}
    in_db: Counter[str] = Counter()
    rows = rows_of(area)
    for run in sorted(p for p in (area / ".mtdb" / "journal").iterdir() if p.name.isdigit()):
        lines = list(journal_lines(run))
        for token, events in events_of_tokens(lines).items():
            written[token] |= {(f"{run.name}:{writer}", number) for writer, number in events}
        kinds |= kept_kinds(lines)
        in_db += tokens_of_db(area / ".mtdb" / f"{run.name}.db")
    acknowledged = set(lines_of(evidence.glob("*.acks")))
    wrongs += check_events(acknowledged, written, kinds, in_db)
    looks = 0
    for path in evidence.glob("*.seen"):
        seen = list(lines_of([path]))
        looks += seen.count("")
        wrongs += check_moves(map(json.loads, filter(None, seen)))
    deaths, faults = deaths_of(evidence)
    trace = sorted(map(json.loads, lines_of(evidence.glob("*.trace"))), key=lambda row: row["t"])
    slack = evidence / "slack"
    wrongs += check_exclusion(trace, deaths, float(slack.read_text()) if slack.exists() else 0.0)
    wrongs += check_dead(trace, deaths)
    marks = [read_mark(name) for name in os.listdir(evidence / "marks")]
    driven = {mark.run for mark in marks}
    wrongs += check_executions(marks, [row for row in rows if row["run"] in driven])
    wrongs += check_folds(area)
    told = "".join(p.read_text(errors="replace") for p in evidence.glob("*.err"))
    if "Traceback" in told:
        at = told.index("Traceback")
        wrongs.append(Wrong("crash", told[at : at + 3000]))
    count: Counter[str] = Counter()
    for wrong in wrongs:
        count[wrong.rule] += wrong.n
    figures = {
        "faults": faults,
        "events acknowledged": len(acknowledged),
        "events written": len(written),
        "lost": count["lost"],
        "doubled": count["doubled"],
        "cases": sum(row["run"] in driven for row in rows),
        "executions begun": sum(not m.end for m in marks),
        "finished": sum(m.end for m in marks),
        "looks": looks,
        "orphans": count["orphan"],
    }
    return Report(figures, wrongs)


def main(words: list[str]) -> int:
    """The command."""
    if len(words) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    report = prove(Path(words[0]).resolve(), Path(words[1]).resolve())
    print(json.dumps(report) if words[2:] == ["json"] else report)
    return int(bool(report.wrongs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
