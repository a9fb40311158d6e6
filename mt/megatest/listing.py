"""`-list-runs`: runs, their tests, the steps of bad ones, as text, json, sexpr or sheets (spec/runs.md 5.9)."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from mt.megatest.selecting import is_locked, open_to_list, records, runs, store_of, wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mt.area import Area
    from mt.db import Store
    from mt.megatest.selecting import Wanted
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args
    from mt.model import CaseKey, CaseRow, RunRow, StepRow

RUN_FIELDS = ("id", "runname", "state", "status", "owner", "event_time", "comment", "fail_count", "pass_count")
TEST_FIELDS = (
    "id", "run_id", "testname", "state", "status", "event_time", "host", "cpuload", "diskfree", "uname", "rundir",
    "item_path", "run_duration", "final_logf", "comment", "shortdir", "attemptnum", "archived",
)  # fmt: skip
STEP_FIELDS = ("id", "stepname")
#: what stands where nothing is known (6.1)
NO_DIR, NO_LOG, NO_HOST = "/tmp/badname", "logs/final.log", "n/a"  # noqa: S108 - the word of old
#: what is shown of a test that went badly: field, and heading as wide as the widest one
DETAILS = (("cpuload", "cpuload:  "), ("diskfree", "diskfree: "), ("uname", "uname:    "), ("rundir", "rundir:   "))


class Fields(NamedTuple):
    """Which fields are shown; None for a table that is not."""

    runs: tuple[str, ...]
    tests: tuple[str, ...] | None
    steps: tuple[str, ...] | None


class Listed(NamedTuple):
    """A run with its records in the order of the list, and what their fields are asked of."""

    run: RunRow
    rows: list[CaseRow]
    facts: Facts


def list_runs(args: Args, talk: Talk) -> int:
    """`-list-runs PATT`."""
    opened = open_to_list(args, talk)
    fields = read_fields(args.value("-fields"), opened.area.keys)
    strange = [name for name in fields.tests or () if name not in TEST_FIELDS]
    if strange:
        talk.error(f"Invalid test fields specified: {', '.join(strange)}")
        return 0
    want = wanted(args, opened.area, name=args.value("-list-runs"), colon=False)._replace(target=opened.target)
    listed = list_of(opened.area, want, fields, args.value("-sort"))
    {"json": _json, "sexpr": _sexpr, "ods": _ods}.get(args.value("-dumpmode") or "", _text)(
        listed, fields, args.value("-o")
    )
    return 0


def read_fields(spec: str | None, keys: Sequence[str]) -> Fields:
    """What -fields says: `table:f1,f2+table`; a table without `:` has all its fields; a run at least its id."""
    every = {"runs": (*keys, *RUN_FIELDS), "tests": TEST_FIELDS, "steps": STEP_FIELDS}
    if spec is None:
        return Fields(**every)
    asked: dict[str, tuple[str, ...]] = {}
    for part in spec.split("+"):
        table, _, names = part.partition(":")
        asked[table] = tuple(name for name in names.split(",") if name) or every.get(table, ())
    return Fields(asked.get("runs") or ("id",), asked.get("tests"), asked.get("steps"))


def list_of(area: Area, want: Wanted, fields: Fields, sort: str | None) -> Iterator[Listed]:
    """The runs, oldest first; in each its tests by descending name and item path, or ascending by a field."""
    store = store_of(area)
    if store is None:
        return
    for run in runs(store, want.target, want.name):
        facts = Facts(store, run, area.keys)
        rows = records(store, run.id, want, tops=True)[::-1] if fields.tests is not None else []
        if sort in TEST_FIELDS:
            rows.sort(key=_ascending(facts.reader(sort)))
        yield Listed(run, rows, facts)


def _ascending(read: Callable[[CaseRow], object]) -> Callable[[CaseRow], tuple[bool, object]]:
    def place(row: CaseRow) -> tuple[bool, object]:
        value = read(row)
        return isinstance(value, str), value

    return place


# -- what the fields are


class Facts:
    """The fields of a run and of its tests, as the old program called and kept them; read when they are asked for."""

    def __init__(self, store: Store, run: RunRow, keys: Sequence[str]) -> None:
        self.store = store
        self.run = run
        self.keys = dict(zip(keys, run.target.split("/"), strict=False))
        self._numbers: dict[CaseKey, int] | None = None
        self._logs: dict[CaseKey, str] | None = None
        self._hosts: dict[CaseKey, dict[str, str]] | None = None

    def of_run(self, name: str) -> str:
        """A field of the run as text; `#f` for one that is not known, the counts among them."""
        run = self.run
        state = "locked" if is_locked(run) else "unlocked" if "frozen" in run.said else "new"
        said = run.said.get("set_status") or {}
        known = {
            "id": str(run.id), "runname": run.name, "state": state, "status": said.get("status") or "n/a",
            "owner": run.owner, "event_time": str(int(run.start)), "comment": run.comment, "target": run.target,
        }  # fmt: skip
        return self.keys.get(name) or known.get(name, "#f")

    def id(self, row: CaseRow) -> int:
        """The number of a record."""
        if self._numbers is None:
            from mt.queries import numbers

            self._numbers = numbers(self.store, self.run.id)
        return self._numbers.get(row.key, 0)

    def reader(self, name: str) -> Callable[[CaseRow], object]:
        """How to read a field of a test: text or a number."""
        readers: dict[str, Callable[[CaseRow], object]] = {
            "id": self.id,
            "run_id": lambda _: self.run.id,
            "testname": lambda row: row.test,
            "state": lambda row: row.state,
            "status": lambda row: row.status,
            "event_time": self.time,
            "host": lambda row: row.host or NO_HOST,
            "cpuload": lambda row: _number(self._of_host(row, "cpuload", "-1")),
            "diskfree": lambda row: _number(self._of_host(row, "diskfree", "-1")),
            "uname": lambda row: self._of_host(row, "uname", NO_HOST),
            "rundir": lambda row: row.dir or NO_DIR,
            "item_path": lambda row: row.item,
            "run_duration": _duration,
            "final_logf": self.final_log,
            "comment": lambda row: row.comment,
            "shortdir": _physical,
            "attemptnum": lambda row: row.pid,
            "archived": lambda row: _number(self._of_host(row, "archived", "0")),
        }
        return readers[name]

    def _of_host(self, row: CaseRow, name: str, usual: str) -> str:
        """What an imported record tells of its host; mt itself keeps none of this."""
        if self._hosts is None:
            self._hosts = _imported(self.store, self.run.id)
        return self._hosts[row.key].get(name, usual) if row.key in self._hosts else usual

    def time(self, row: CaseRow) -> int:
        """When a test began; one that has not, when its run was made."""
        return int(row.start or self.run.start)

    def final_log(self, row: CaseRow) -> str:
        """The log to read first; of an iterated test the page of its items."""
        if self._logs is None:
            from mt.queries import final_logs

            self._logs = final_logs(self.store, self.run.id)
        usual = f"megatest-rollup-{row.test}.html" if row.attempt == 0 else NO_LOG
        return self._logs.get(row.key, usual)


def _imported(store: Store, run_id: int) -> dict[CaseKey, dict[str, str]]:
    from mt.model import CaseKey
    from mt.oldrows import FACTS, facts_of
    from mt.queries import notes

    return {
        CaseKey(note.test, note.item): facts_of(note.text)
        for note in notes(store, run_id)
        if note.text.startswith(FACTS)
    }


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _duration(row: CaseRow) -> int:
    from mt.states import RUNNING

    if row.state in RUNNING and row.start:
        import time

        return max(int(time.time() - row.start), 0)
    return int(row.secs)


def _physical(row: CaseRow) -> str:
    """Where a run directory is in truth; the link tree leads there."""
    try:
        return os.readlink(row.dir)
    except OSError:
        return row.dir or NO_DIR


# -- text


def _text(listed: Iterable[Listed], fields: Fields, _output: str | None) -> None:
    write = sys.stdout.write
    for run, rows, facts in listed:
        if "target" not in fields.runs:
            write(f"Run: {run.target}/{run.name} ")
        write("".join(f"{name}: {facts.of_run(name)} " for name in fields.runs) + "\n")
        if fields.tests is not None:
            _write_tests(rows, facts, fields.tests, steps=fields.steps is not None)


def _write_tests(rows: list[CaseRow], facts: Facts, asked: tuple[str, ...], *, steps: bool) -> None:
    line = padded(facts) if {"state", "status", "event_time"} <= {*asked} else plain(facts, asked)
    shown = [(label, facts.reader(name)) for name, label in DETAILS if name in asked]
    told = _steps(facts, [row for row in rows if is_bad(row)]) if steps else {}
    write = sys.stdout.write
    for row in rows:
        write(line(row))
        if is_bad(row):
            write("".join(f"         {label}{read(row)}\n" for label, read in shown))
            write("".join(map(step_lines, told.get(row.key, ()))))


def is_bad(row: CaseRow) -> bool:
    """Whether details and steps are shown."""
    return row.status not in ("PASS", "WARN") and row.state != "NOT_STARTED"


def full_name(row: CaseRow) -> str:
    """`test` or `test(item)`."""
    return f"{row.test}({row.item})" if row.item else row.test


def padded(facts: Facts) -> Callable[[CaseRow], str]:
    """The line of a test when all is asked for."""

    def line(row: CaseRow) -> str:
        return (
            f"  Test: {full_name(row):25} State: {row.state:15} Status: {row.status:15} Runtime: {_duration(row):>5}s"
            f" Time: {facts.time(row):<22} Host: {row.host or NO_HOST:10}\n"
        )

    return line


def plain(facts: Facts, asked: tuple[str, ...]) -> Callable[[CaseRow], str]:
    """The line of a test with only what is asked for; its name is always whole (D8)."""
    labels = {
        "state": "State", "status": "Status", "run_duration": "Runtime", "event_time": "Time", "host": "Host",
    }  # fmt: skip
    shown = [(label, facts.reader(name)) for name, label in labels.items() if name in asked]

    def line(row: CaseRow) -> str:
        return f"  Test: {full_name(row)}" + "".join(f" {label}: {read(row)}" for label, read in shown) + "\n"

    return line


def _steps(facts: Facts, rows: list[CaseRow]) -> dict[CaseKey, list[StepRow]]:
    """The steps of the newest attempt of these records."""
    from mt.model import CaseKey
    from mt.queries import steps

    newest = {row.key: row.attempt for row in rows}
    found: dict[CaseKey, list[StepRow]] = {}
    if rows:
        for step in steps(facts.store, facts.run.id, tests=sorted({row.test for row in rows})):
            key = CaseKey(step.test, step.item)
            if newest.get(key) == step.attempt:
                found.setdefault(key, []).append(step)
    return found


def step_lines(step: StepRow) -> str:
    """A step: how it began, and how it ended once it has."""
    if step.state != "end":
        return _step_line(step.name, step.state, step.status, step.start)
    begun = _step_line(step.name, "start", "-", step.start) if step.secs else ""
    return begun + _step_line(step.name, step.state, step.status, step.start + step.secs)


def _step_line(name: str, state: str, status: str, time: float) -> str:
    return f"    Step: {name:20} State: {state:10} Status: {status:10} Time {int(time):<22}\n"


# -- data


def _json(listed: Iterable[Listed], fields: Fields, _output: str | None) -> None:
    import json

    text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    targets: dict[str, list[str]] = {}
    for run, rows, facts in listed:
        meta = text({name: facts.of_run(name) for name in fields.runs})
        readers = [(name, facts.reader(name)) for name in fields.tests or ()]
        tests = (f'"{facts.id(row)}":{text({name: read(row) for name, read in readers})}' for row in rows)
        data = f',"data":{{{",".join(tests)}}}' if rows else ""
        targets.setdefault(run.target, []).append(f'{text(run.name)}:{{"meta":{meta}{data}}}')
    sys.stdout.write("{" + ",".join(f"{text(t)}:{{{','.join(found)}}}" for t, found in targets.items()) + "}\n")


def _sexpr(listed: Iterable[Listed], fields: Fields, _output: str | None) -> None:
    from mt.megatest.sexpr import Pair, pretty

    targets: dict[str, list[object]] = {}
    for run, rows, facts in listed:
        meta = ["meta", *(Pair(name, facts.of_run(name)) for name in fields.runs)]
        readers = [(name, facts.reader(name)) for name in fields.tests or ()]
        tests = [[str(facts.id(row)), *(Pair(name, read(row)) for name, read in readers)] for row in rows]
        targets.setdefault(run.target, []).append([run.name, meta, *([["data", *tests]] if tests else [])])
    sys.stdout.write(pretty([[target, *found] for target, found in targets.items()]) + "\n")


def _ods(listed: Iterable[Listed], fields: Fields, output: str | None) -> None:
    from mt.sheets import write_ods

    made: list[Sequence[object]] = [("target", *fields.runs)]
    tests: list[Sequence[object]] = [("target", "runname", *(fields.tests or ()))]
    for run, rows, facts in listed:
        made.append((run.target, *map(facts.of_run, fields.runs)))
        readers = [facts.reader(name) for name in fields.tests or ()]
        tests += [(run.target, run.name, *(read(row) for read in readers)) for row in rows]
    sheets = {"Runs": made} | ({"Tests": tests} if fields.tests is not None else {})
    write_ods(output or "out.ods", sheets)
