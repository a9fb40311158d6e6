"""From what is typed to rows: which runs, which cases, and how one looks (spec/features.md 5.1).

Every query does the same three things: it finds runs (those named by ids or by
-t and -r, else the last run of this user), folds what is new in their journals,
and turns records into dicts whose keys are a promise.  Here is where that is
said once.  Times leave as ISO 8601 with zone, durations as seconds, sizes as
bytes.
"""

from __future__ import annotations

import os
import time

from mt.errors import NothingSelected
from mt.model import CaseKey, CaseRow, RunKey, RunRow, StepRow, ValueRow, case_id
from mt.options import AreaOptions, RowOptions, RunOptions, flag, opt
from mt.states import STATES, STATUSES, passed, verdict
from mt.stdio import read_ids, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from mt.db import Store
    from mt.queries import Top
    from mt.selectors import Id

    Row = dict[str, Any]


class EmptyOption:
    """For verbs to which an empty answer is an error unless said otherwise."""

    allow_empty: bool = flag("--allow-empty", help="nothing found is no error")


class RunsOptions(RunOptions, RowOptions, EmptyOption):
    """Options of verbs that list runs."""


class CaseOptions(RunOptions, EmptyOption):
    """Options of verbs that choose cases."""

    status: str | None = opt(
        "-s", "--status", meta="LIST", help="only these statuses, as FAIL,ABORT", complete="statuses"
    )
    state: str | None = opt("--state", meta="LIST", help="only these states, as RUNNING,LAUNCHED")


class CaseRowOptions(CaseOptions, RowOptions):
    """Options of verbs that choose cases and print rows."""


def home(opts: AreaOptions) -> str:
    """The area's directory: at or above -C, else that of the environment, else at or above here."""
    from mt.home import find

    return find(opts.chdir, os.environ)


def store(opts: AreaOptions) -> Store:
    """The records of the area; raises NothingSelected where nothing was ever recorded."""
    from mt.db import Store

    where = home(opts)
    if not os.path.exists(os.path.join(where, ".mtdb", "AREA")):
        raise NothingSelected(f"nothing is recorded in '{where}' yet", hint="mt run")
    return Store(where)


# -- which runs


class Runs:
    """The runs of one area, asked for once each; what is asked of a run is folded first."""

    def __init__(self, opts: RunOptions) -> None:
        self.opts = opts
        self.store = store(opts)
        #: whether runs of which nothing is left are meant too
        self.removed = False
        self._found: dict[tuple[str | None, str | None], list[RunRow]] = {}
        self._fresh: set[int] = set()

    def matching(self, target: str | None, name: str | None) -> list[RunRow]:
        """Runs by target and name, oldest first; without either, the last run of this user."""
        key = (target or self.opts.target, name or self.opts.run)
        if key not in self._found:
            self._found[key] = [self._last()] if key == (None, None) else self._ask(*key)
        return self._found[key]

    def _ask(self, target: str | None, name: str | None) -> list[RunRow]:
        from mt.queries import find_runs

        return [run for run in find_runs(self.store, target, name) if self.removed or run.state != "DELETED"]

    def _last(self) -> RunRow:
        from mt.queries import last_run

        inside = RunKey(os.environ.get("MT_TARGET", ""), os.environ.get("MT_RUNNAME", ""))
        if all(inside) and (found := self._ask(*inside)):
            return found[0]
        last = last_run(self.store, user()) or last_run(self.store)
        if last is None:
            raise NothingSelected("there are no runs in this area yet", hint="mt run")
        if not self.opts.quiet:
            say(f"run {last.key}")
        return last

    def named(self, words: Sequence[str], *, default_last: bool = False) -> list[RunRow]:
        """Runs by name, `TARGET//RUN` or -t and -r; without any all of them, or only the last one."""
        found: dict[int, RunRow] = {}
        for target, name in self._asked(words):
            if (target, name) == (None, None) and not (default_last or self.opts.target or self.opts.run):
                rows = self._ask(None, None)
            else:
                rows = self.matching(target, name)
            found.update((run.id, run) for run in rows)
        return list(found.values())

    @staticmethod
    def _asked(words: Sequence[str]) -> list[tuple[str | None, str | None]]:
        if not words:
            return [(None, None)]
        pairs_of = (word.partition("//") for word in read_ids(words))
        return [(a, b.partition("//")[0] or None) if slashes else (None, a) for a, slashes, b in pairs_of]

    def forget(self) -> None:
        """Look at the journals and at main.db anew from now on."""
        self._found.clear()
        self._fresh.clear()

    def fresh(self, run: RunRow) -> RunRow:
        """A run as it stands after what is new has been folded."""
        from mt.queries import run_of

        self.fold(run)
        return run_of(self.store, run.id) or run

    def fold(self, run: RunRow) -> None:
        """Take up what is new in the journals of a run, once."""
        if run.id not in self._fresh:
            from mt.fold import refresh

            self._fresh.add(run.id)
            refresh(self.store, run.id)


def user() -> str:
    """The name of this user, as runs record their owner."""
    from mt.team import user_name

    return user_name(os.getuid())


# -- which cases


class Picked:
    """Cases of one run that are asked for: all, those named one by one, and those that match patterns."""

    def __init__(self, run: RunRow) -> None:
        self.run = run
        self.everything = False
        self.named: dict[tuple[str, str | None], list[Id]] = {}
        self.patterns: list[tuple[Callable[[str, str], bool], Id]] = []

    def add(self, asked: Id) -> None:
        """Ask for what an id names; an id without a test asks for all cases."""
        from mt.patterns import TestPattern, is_wild

        if asked.test is None and not asked.words:
            self.everything = True
        elif asked.test is not None and not is_wild(asked.test + (asked.item or "")):
            self.named.setdefault((asked.test, asked.item), []).append(asked)
        else:
            self.patterns.append((TestPattern.glob(asked.pattern).matches, asked))

    @property
    def removed(self) -> bool:
        """Whether removed cases are asked for, as `one:DELETED`."""
        asked = [*(i for ids in self.named.values() for i in ids), *(i for _, i in self.patterns)]
        return any("DELETED" in i.words for i in asked)

    def takes(self, row: CaseRow) -> bool:
        """Whether a case is among them."""
        if self.everything:
            return True
        for key in ((row.test, row.item), (row.test, None)):
            if any(i.accepts(row.state, row.status) for i in self.named.get(key, ())):
                return True
        return any(i.accepts(row.state, row.status) and match(row.test, row.item) for match, i in self.patterns)

    def takes_test(self, top: CaseRow) -> bool:
        """Whether a test as a whole is among them; an item that is asked for asks for its test."""
        return self.takes(top) or any(test == top.test for test, _ in self.named)

    @property
    def tests(self) -> list[str] | None:
        """The only tests that can be meant, when they are known by name."""
        return None if self.everything or self.patterns else sorted({test for test, _ in self.named})


def pick(runs: Runs, words: Sequence[str], *, null: bool = False) -> list[Picked]:
    """What ids (or `-`, for those on stdin) and the options ask for, run by run; all cases without an id."""
    picked: dict[int, Picked] = {}
    if not words:
        for run in runs.matching(None, None):
            picked.setdefault(run.id, Picked(run)).everything = True
        return list(picked.values())
    from mt.selectors import parse_id

    for asked in map(parse_id, read_ids(words, null=null)):
        for run in runs.matching(asked.target, asked.run):
            picked.setdefault(run.id, Picked(run)).add(asked)
    return list(picked.values())


def words_of(text: str | None, known: Iterable[str]) -> tuple[str, ...]:
    """A comma list of states or statuses; letter case is forgiven for those that mt knows, areas may have others."""
    table = {word.lower(): word for word in known}
    words = [word.strip() for word in (text or "").split(",")]
    return tuple(table.get(word.lower(), word) for word in words if word)


class Cases:
    """The cases that a command line asks for, and what is recorded of them."""

    def __init__(self, opts: CaseOptions, words: Sequence[str]) -> None:
        self.opts = opts
        self.states = words_of(opts.state, STATES)
        self.statuses = words_of(opts.status, STATUSES)
        self.runs = Runs(opts)
        self.runs.removed = "DELETED" in self.states
        self.picked = pick(self.runs, words, null=bool(getattr(opts, "null", False)))

    def again(self) -> bool:
        """Ask anew from now on, for the same cases of the same runs; gives whether they are all still there."""
        self.runs.forget()
        for picked in self.picked:
            picked.run = self.runs.fresh(picked.run)
        return True

    def of(self, picked: Picked) -> Iterator[CaseRow]:
        """The cases of one of the runs, by test and item."""
        from mt.queries import cases

        self.runs.fold(picked.run)
        found = cases(self.runs.store, picked.run.id, states=self.states, statuses=self.statuses, tests=picked.tests)
        if not (self.runs.removed or picked.removed):
            found = (row for row in found if row.state != "DELETED")
        return found if picked.everything else (row for row in found if picked.takes(row))

    def __iter__(self) -> Iterator[tuple[RunRow, CaseRow]]:
        """Every case with its run."""
        for picked in self.picked:
            for row in self.of(picked):
                yield picked.run, row

    def all_of(self, run: RunRow) -> Iterator[CaseRow]:
        """All cases of a run, asked for or not."""
        from mt.queries import cases

        return cases(self.runs.store, run.id)

    def tops(self, picked: Picked) -> Iterator[Row]:
        """One row for each test that is asked for, its items rolled up."""
        from mt.queries import tops

        self.runs.fold(picked.run)
        for top in tops(self.runs.store, picked.run.id):
            row = CaseRow(top.test, "", state=top.state, status=top.status)
            fits = (not self.states or top.state in self.states) and (not self.statuses or top.status in self.statuses)
            fits = fits and (top.state != "DELETED" or self.runs.removed or picked.removed)
            if fits and picked.takes_test(row):
                yield top_row(picked.run.key, top)

    def flaky(self, picked: Picked) -> set[CaseKey]:
        """Cases of which an earlier attempt failed; those that pass now are flaky."""
        from mt.queries import attempts

        self.runs.fold(picked.run)
        return {old.key for old in attempts(self.runs.store, picked.run.id) if verdict(old.state, old.status) == "bad"}

    def steps(self, picked: Picked) -> Iterator[StepRow]:
        """The steps of the tests that are asked for, of all attempts."""
        from mt.queries import steps

        return steps(self.runs.store, picked.run.id, tests=picked.tests)

    def steps_of(self, picked: Picked, rows: Sequence[CaseRow]) -> dict[CaseKey, list[StepRow]]:
        """The steps of the newest attempt of each of these cases."""
        from mt.queries import steps

        if len(rows) == 1:
            found = steps(self.runs.store, picked.run.id, key=rows[0].key)
        else:
            found = steps(self.runs.store, picked.run.id, tests=sorted({row.test for row in rows}))
        newest = {row.key: row.attempt for row in rows}
        kept: dict[CaseKey, list[StepRow]] = {}
        for step in found:
            key = CaseKey(step.test, step.item)
            if newest.get(key) == step.attempt:
                kept.setdefault(key, []).append(step)
        return kept

    def values(self, picked: Picked, key: CaseKey | None = None) -> Iterator[ValueRow]:
        """The values of the tests that are asked for, or of one case, of all attempts."""
        from mt.queries import values

        return values(self.runs.store, picked.run.id, key=key, tests=None if key else picked.tests)

    def attempts(self, picked: Picked, key: CaseKey) -> Iterator[CaseRow]:
        """Older attempts of a case."""
        from mt.queries import attempts

        return attempts(self.runs.store, picked.run.id, key=key)

    def said(self, picked: Picked, key: CaseKey) -> list[Row]:
        """What a case said of itself."""
        from mt.queries import said

        found = said(self.runs.store, picked.run.id, key=key)
        return [{**row._asdict(), "time": stamp(row.time)} for row in found]

    def notes(self, picked: Picked, key: CaseKey) -> list[Row]:
        """Notes about a case."""
        from mt.queries import notes

        found = notes(self.runs.store, picked.run.id, key=key)
        return [{**row._asdict(), "time": stamp(row.time)} for row in found]

    def is_controlled(self, picked: Picked) -> bool:
        """Whether a controller drives the run now."""
        from mt.locks.filelock import is_held

        return is_held(self.runs.store.lock_path(f"run.{picked.run.id}"))


# -- how a row looks


def stamp(seconds: float) -> str:
    """A moment as local time with zone, `2026-11-24T02:11:09+01:00`; empty for never."""
    if not seconds:
        return ""
    when = time.localtime(seconds)
    zone = time.strftime("%z", when)
    return time.strftime("%Y-%m-%dT%H:%M:%S", when) + zone[:3] + ":" + zone[3:]


def is_judged(step: StepRow) -> bool:
    """Whether log rules decided about a step; their page is then its log."""
    return step.log.endswith(".html")


def step_is_good(step: StepRow) -> bool:
    """Whether a test goes on after this step: 0, or a warning of log rules; one that has not ended is good so far."""
    return step.state != "end" or step.status in ("0", "PASS", "pass", "-") or (step.status == "2" and is_judged(step))


def text_log(step: StepRow) -> str:
    """The file with what the step said, relative to the run directory; the page of its rules is another file."""
    return step.log if step.log and not is_judged(step) else f"{step.name.replace('/', '_')}.log"


def step_row(run: RunKey, step: StepRow) -> Row:
    """One step as every format shows it; `good` is None while it runs."""
    return {
        "id": case_id(run, CaseKey(step.test, step.item)),
        "target": run.target,
        "run": run.name,
        "test": step.test,
        "item": step.item,
        "attempt": step.attempt,
        "step": step.name,
        "number": step.number,
        "state": step.state,
        "status": step.status,
        "good": step_is_good(step) if step.state == "end" else None,
        "exits": list(step.exits),
        "start": stamp(step.start),
        "secs": step.secs,
        "cpu": step.cpu,
        "rss": step.rss,
        "log": step.log,
        "comment": step.comment,
    }


def value_row(run: RunKey, value: ValueRow) -> Row:
    """One measured value as every format shows it."""
    return {
        "id": case_id(run, CaseKey(value.test, value.item)),
        "target": run.target,
        "run": run.name,
        **value._asdict(),
    }


def case_row(run: RunKey, row: CaseRow, *, flaky: bool = False) -> Row:
    """One case as every format shows it (spec/features.md 5.1); `flaky` when an earlier attempt failed."""
    return {
        "id": case_id(run, row.key),
        "target": run.target,
        "run": run.name,
        "test": row.test,
        "item": row.item,
        "state": row.state,
        "status": row.status,
        "attempt": row.attempt,
        "flaky": flaky and passed(row.state, row.status),
        "infra": row.status == "INFRA",
        "host": row.host,
        "job": row.job,
        "queued": row.queued,
        "start": stamp(row.start),
        "end": stamp(row.end),
        "secs": row.secs,
        "cpu": row.cpu,
        "rss": row.rss,
        "comment": row.comment,
        "reason": row.reason,
        "signature": signature(row),
        "dir": row.dir,
    }


def signature(row: CaseRow) -> str:
    """Six letters that are the same for failures whose comments differ only in numbers; empty for other verdicts."""
    if verdict(row.state, row.status) != "bad":
        return ""
    from zlib import crc32

    words = " ".join(w for w in row.comment.split() if not any(c.isdigit() for c in w))
    return f"{crc32(f'{row.test} {row.status} {words}'.encode()):08x}"[:6]


def top_row(run: RunKey, top: Top) -> Row:
    """One test with what its cases roll up to."""
    return {
        "id": case_id(run, CaseKey(top.test)),
        "target": run.target,
        "run": run.name,
        "test": top.test,
        "item": "",
        "state": top.state,
        "status": top.status,
        "cases": top.cases,
        **tallied(top.counts),
        "items": top.items,
        "counts": {f"{state}/{status}": n for (state, status), n in sorted(top.counts.items())},
    }


def tallied(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """How many cases are good, bad, live, waiting and unfinished; removed ones are none of them."""
    tally = {"good": 0, "bad": 0, "live": 0, "waiting": 0, "unfinished": 0}
    for (state, status), n in counts.items():
        if state == "DELETED":
            continue
        tally[verdict(state, status)] += n
    return tally


def run_row(run: RunRow) -> Row:
    """One run as every format shows it: its cases by verdict, and in full."""
    tally = tallied(pairs(run.counts))
    total = sum(tally.values())
    ended = total - tally["live"] - tally["waiting"]
    return {
        "id": str(run.key),
        "target": run.target,
        "run": run.name,
        "state": run.state,
        "status": run.status,
        "cases": total,
        **tally,
        "percent": round(100 * ended / total, 1) if total else 0.0,
        "owner": run.owner,
        "start": stamp(run.start),
        "end": stamp(run.end),
        "secs": round(max(run.end - run.start, 0.0), 3) if run.end else 0.0,
        "comment": run.comment,
        "counts": run.counts,
        "frozen": frozen_by(run),
        "set_status": str(run.said.get("set_status", {}).get("status", "")),
    }


def frozen_by(run: RunRow) -> str:
    """Who froze a run, when and why, as one text; empty when it is not frozen."""
    said = run.said.get("frozen")
    if not said:
        return ""
    why = f": {said['why']}" if said.get("why") else ""
    return f"by {said.get('by', 'somebody')} since {stamp(float(said.get('t', 0.0)))}{why}"


def pairs(counts: dict[str, int]) -> dict[tuple[str, str], int]:
    """{"STATE/STATUS": n} as {(state, status): n}."""
    return {(key.partition("/")[0], key.partition("/")[2]): n for key, n in counts.items()}


def answer(count: int, opts: EmptyOption, what: str) -> int:
    """0 when something was found; raises NothingSelected otherwise, unless an empty answer is allowed."""
    if count == 0 and not opts.allow_empty:
        raise NothingSelected(f"no {what} found", hint="mt runs lists all runs; --allow-empty makes this no error")
    return 0
