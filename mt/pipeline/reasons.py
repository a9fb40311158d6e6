"""Why a case is as it is, in a few lines, from what is recorded of it (and from the plan when it has not run).

`about` is given facts and tells reasons; it asks `Blockers` what a case waits
for only when the records do not say it.  The first word of an answer is one of
a fixed list, for programs: good, failed, skipped, prerequisite, waiting, slot,
undriven, queued (in a batch engine), silent, running, killed, lost, interrupted,
unjudged, empty, absent.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from mt.durations import shown
from mt.errorlines import error_lines
from mt.errors import MtError
from mt.model import CaseKey, CaseRow, RunKey, StepRow, ValueRow
from mt.rows import is_judged, step_is_good, text_log
from mt.states import LIVE, verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mt.area import Area
    from mt.pipeline.handed import Handed
    from mt.pipeline.plan import Plan

#: at most so many lines of one kind
MOST = 8


class Facts(NamedTuple):
    """What is recorded of a case; `controlled` tells whether a controller drives its run now.

    `handed` is what is known of it when a batch engine has it.
    """

    row: CaseRow
    steps: Sequence[StepRow]
    values: Sequence[ValueRow]
    controlled: bool
    handed: Handed | None = None


class Answer(NamedTuple):
    """One word and the lines that explain it."""

    word: str
    lines: list[str]


def about(facts: Facts, blockers: Callable[[CaseKey], list[str]], *, now: float | None = None) -> Answer:
    """Why a recorded case is as it is."""
    row = facts.row
    if row.state == "NOT_STARTED":
        return _not_started(facts, blockers)
    if row.state in LIVE:
        return _live(facts, time.time() if now is None else now)
    if row.status in ("PREQ_FAIL", "PREQ_DISCARDED"):
        return _prerequisite(facts, blockers)
    if row.status == "SKIP" and not facts.steps:
        return Answer("skipped", [f"skipped: {row.comment or 'by [skip] of its testconfig'}"])
    return _ended(facts)


def _state(row: CaseRow) -> str:
    return f"{row.state}/{row.status}" + (f": {row.comment}" if row.comment else "")


def _not_started(facts: Facts, blockers: Callable[[CaseKey], list[str]]) -> Answer:
    row = facts.row
    if row.status == "ZERO_ITEMS":
        return Answer("empty", ["no item of this test was to run", *_comment(row)])
    lines = [] if row.status == "n/a" else [_state(row)]
    found = blockers(row.key)
    if found:
        lines += ["it waits:", *_indented(found)]
    if not facts.controlled:
        return Answer("undriven", [*lines, "nobody drives this run now; `mt run` with its target and name goes on"])
    if found:
        return Answer("waiting", lines)
    return Answer("slot", [*lines, "nothing holds it back but room: it waits for a free slot or its job group"])


def _prerequisite(facts: Facts, blockers: Callable[[CaseKey], list[str]]) -> Answer:
    found = blockers(facts.row.key)
    lines = ["not run, because of what it waits for:", *_indented(found or [facts.row.comment or facts.row.status])]
    return Answer("prerequisite", lines)


def _live(facts: Facts, now: float) -> Answer:
    row = facts.row
    where = " ".join(w for w in (f"on {row.host}" if row.host else "", f"as job {row.job}" if row.job else "") if w)
    since = f"for {shown(max(now - row.start, 0))}" if row.start else ""
    if row.state == "LAUNCHED" and facts.handed:
        return Answer("queued", [*facts.handed.waiting(now), *_undriven(facts), *_comment(row)])
    if row.state == "LAUNCHED":
        return Answer("silent", [f"handed over {where} {since} and silent since".replace("  ", " "), *_comment(row)])
    step = next((s for s in reversed(facts.steps) if s.state == "start"), None)
    lines = [" ".join(w for w in ("it runs", where, since) if w)]
    lines += facts.handed.running(now) if facts.handed else []
    if row.state == "KILLREQ":
        lines.append("somebody asked for a kill; its worker has not answered yet")
    if step:
        lines.append(
            f"in step {step.name}, for {shown(max(now - step.start, 0))}; log {os.path.join(row.dir, text_log(step))}"
        )
        lines += _indented(_tail(os.path.join(row.dir, text_log(step)), 3))
    return Answer("running", lines)


def _undriven(facts: Facts) -> list[str]:
    if facts.controlled:
        return []
    return ["nobody drives this run now: jobs go on, and `mt run` with its target and name takes up what they did"]


def _ended(facts: Facts) -> Answer:
    row = facts.row
    lines = [_state(row), *_ran_as(facts)]
    word = {"KILLED": "killed", "LOST": "lost", "INCOMPLETE": "interrupted"}.get(row.state, "")
    kind = verdict(row.state, row.status)
    if kind == "good" and row.status in ("PASS", "AUTO"):
        names = ", ".join(step.name for step in facts.steps[:MOST])
        ran = f"every step is good: {names}" if facts.steps else "no step is recorded"
        return Answer("good", [*lines, ran])
    for step in facts.steps:
        if not step_is_good(step):
            lines += _of_step(row, step)
    failed = [v for v in facts.values if v.type != "logpro" and v.status.lower().startswith(("fail", "error"))]
    lines += [f"value {_value(v)}" for v in failed[:MOST]]
    return Answer(word or {"good": "good", "bad": "failed"}.get(kind, "unjudged"), lines)


def _ran_as(facts: Facts) -> list[str]:
    """Which job ran it, and what its engine says of that."""
    row = facts.row
    if not row.job:
        return []
    where = f" on {row.host}" if row.host else ""
    waited = f", after {shown(row.queued)} in the queue" if row.queued else ""
    return [f"it ran as job {row.job}{where}{waited}", *(facts.handed.ended() if facts.handed else [])]


def _value(v: ValueRow) -> str:
    name = f"{v.category}/{v.variable}" if v.category else v.variable
    units = f" {v.units}" if v.units else ""
    return f"{name} is {v.value}{units}, expected {v.expected}{f' ({v.tol})' if v.tol else ''}: {v.status}"


def _of_step(row: CaseRow, step: StepRow) -> list[str]:
    """What a step that is not good did, the rule that said so, and the lines of its log."""
    exits = "|".join(map(str, step.exits))
    lines = [f"step {step.name}: {_code(step)}" + (f", exit {exits}" if exits and exits != step.status else "")]
    if step.comment:
        lines.append(f"  {step.comment}")
    path = os.path.join(row.dir, text_log(step))
    lines.append(f"  log {path}")
    return lines + _indented(_bad_lines(path))


def _code(step: StepRow) -> str:
    from mt.pipeline.verdict import CODES

    if not step.status.isdigit():
        return step.status
    return f"{CODES.get(int(step.status), 'FAIL')} ({step.status})" if is_judged(step) else f"status {step.status}"


def _comment(row: CaseRow) -> list[str]:
    return [row.comment] if row.comment else []


def _indented(lines: Sequence[str]) -> list[str]:
    more = [f"  ... and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return [f"  {line}" for line in lines[:MOST]] + more


def _bad_lines(path: str) -> list[str]:
    """`NUMBER: LINE` of the log that read like trouble, else its last lines."""
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            found = [f"{n}: {line}" for n, line in error_lines(source, MOST)]
    except OSError:
        return []
    return found or _tail(path, 3)


def _tail(path: str, most: int) -> list[str]:
    try:
        with open(path, "rb") as source:
            source.seek(max(os.fstat(source.fileno()).st_size - 4096, 0))
            lines = source.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-most:]


# -- from the area's files


class Blockers:
    """What cases of one run wait for, by the plan that the area's files make; read at the first question."""

    def __init__(self, run: RunKey, open_area: Callable[[], Area], recorded: Callable[[], Iterable[CaseRow]]) -> None:
        self.run = run
        self._recorded = recorded
        self._open = open_area
        self._area: Area | None = None

    @property
    def area(self) -> Area:
        """The area, read once."""
        if self._area is None:
            self._area = self._open()
        return self._area

    def of(self, key: CaseKey) -> list[str]:
        """What a case waits for, in words; what the files cannot tell is said instead."""
        try:
            plan = self._plan(key)
        except MtError as e:
            return [f"(the area's files cannot tell: {e.what})"]
        number = next((n for n, other in enumerate(plan.cases) if other == key), None)
        return [] if number is None else plan.waiting(number)

    def _plan(self, key: CaseKey) -> Plan:
        from mt.pipeline.plan import NeedItems, Plan, Selection

        plan = Plan.of(self.area.tests(), self.area.spec, Selection(str(key)))
        ended = {
            row.key: (row.state, row.status)
            for row in self._recorded()
            if row.key != key and row.state != "NOT_STARTED" and row.state not in LIVE
        }
        moves = list(plan.begin(ended))
        while moves:
            move = moves.pop()
            if isinstance(move, NeedItems):
                moves.extend(plan.expanded(move.test, self.area.items(move.test)))
        return plan

    def absent(self, key: CaseKey) -> Answer:
        """Why a run has no such case; raises ConfigError when the area has no such test."""
        spec = self.area.spec(key.test)
        lines = [f"test {key.test} is in {spec.dir}, and was not selected for {self.run}"]
        if key.item:
            items = self.area.items(key.test)
            paths = ["/".join(value for _, value in item) for item in items or ()]
            if key.item not in paths:
                some = ", ".join(paths[:MOST]) + (", ..." if len(paths) > MOST else "")
                lines = [f"test {key.test} has no item {key.item}; " + (f"it has {some}" if some else "it has none")]
        return Answer("absent", [*lines, f"`mt run -t {self.run.target} -r {self.run.name} {key.test}` would run it"])
