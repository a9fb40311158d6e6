"""What jobs asked for and did not use, or nearly ran out of (spec/features.md B25).  Pure.

A queue is shorter for those who ask for what they need.  Only good cases count:
one that failed early says nothing about what a test needs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mt.durations import shown
from mt.states import verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mt.launchers.base import Ask
    from mt.model import CaseRow
    from mt.pipeline.jobs import JobRow

#: shares of what was asked below (memory, cores, time) or above which (memory) something is said
LITTLE_MEMORY, MUCH_MEMORY, LITTLE_CPU, LITTLE_TIME = 0.25, 0.9, 0.5, 0.1
#: what is proposed is so much more than what was used
_SPARE, _SPARE_TIME = 1.25, 3.0
_K, _M, _G = 1 << 10, 1 << 20, 1 << 30
#: bytes: to ask for so much less is not worth a word
_TRIFLE = 256 << 20
#: seconds: a case that is shorter tells nothing about processors or time
_SHORT = 1.0


class Use(NamedTuple):
    """What one good case used, and what its job asked; `took` is how long its job worked, 0 where that says nothing."""

    test: str
    ask: Ask
    secs: float
    cpu: float
    rss: int
    took: float = 0.0


class Advice(NamedTuple):
    """One thing that a test should ask for in place of what it asks now; numbers in bytes, cores or seconds."""

    test: str
    what: str
    asked: float
    used: float
    cases: int
    instead: float
    text: str


def uses(rows: Iterable[CaseRow], job_of: Callable[[str], JobRow | None]) -> list[Use]:
    """What good cases used, for those whose job (`slurm:123_4`) `job_of` knows."""
    good = [row for row in rows if row.job and row.secs and verdict(row.state, row.status) == "good"]
    jobs = {name: job_of(name) for name in {row.job for row in good}}
    took: dict[str, float] = {}
    for row in good:
        took[row.job] = took.get(row.job, 0.0) + row.secs
    found = []
    for row in good:
        job = jobs[row.job]
        if job is not None:
            found.append(Use(row.test, job.ask, row.secs, row.cpu, row.rss, took[row.job] * (job.way != "pilot")))
    return found


def advice(rows: Iterable[Use]) -> list[Advice]:
    """What each test should ask for in place of what it asks, by test."""
    tests: dict[str, list[Use]] = {}
    for row in rows:
        tests.setdefault(row.test, []).append(row)
    made = (part(name, tests[name]) for name in sorted(tests) for part in (_memory, _cores, _time))
    return [one for one in made if one is not None]


def hint(found: Sequence[Advice]) -> str:
    """One line for the end of a run; empty when there is nothing to say."""
    if not found:
        return ""
    first = max(found, key=lambda a: (a.used > a.asked * MUCH_MEMORY, a.cases))
    more = f"; {len(found) - 1} more" if len(found) > 1 else ""
    return f"{first.test} {first.text}{more} (mt jobs --advice)"


def _memory(test: str, rows: Sequence[Use]) -> Advice | None:
    rows = [row for row in rows if row.ask.memory and row.rss]
    if not rows:
        return None
    asked, used = min(row.ask.memory for row in rows), max(row.rss for row in rows)
    much = used > asked * MUCH_MEMORY
    instead = _round(used * _SPARE)
    if not much and (used >= asked * LITTLE_MEMORY or asked - instead < _TRIFLE):
        return None
    return _advice(test, "memory", (asked, used, instead), len(rows), size, "is safer" if much else "would do")


def _cores(test: str, rows: Sequence[Use]) -> Advice | None:
    rows = [row for row in rows if row.ask.cores > 1 and row.secs >= _SHORT]
    if not rows:
        return None
    asked, used = min(row.ask.cores for row in rows), max(row.cpu / row.secs for row in rows)
    instead = max(math.ceil(used * 1.1), 1)
    if used >= asked * LITTLE_CPU or instead >= asked:
        return None
    return _advice(test, "cores", (asked, used, instead), len(rows), _count, "would do")


def _time(test: str, rows: Sequence[Use]) -> Advice | None:
    rows = [row for row in rows if row.ask.time and row.took >= _SHORT]
    if not rows:
        return None
    asked, used = min(row.ask.time for row in rows), max(row.took for row in rows)
    instead = float(math.ceil(used * _SPARE_TIME / 60) * 60)
    if used >= asked * LITTLE_TIME or instead >= asked:
        return None
    return _advice(test, "time", (asked, used, instead), len(rows), shown, "would do")


def _advice(
    test: str, what: str, of: tuple[float, float, float], cases: int, text: Callable[[float], str], end: str
) -> Advice:
    asked, used, instead = of
    many = f"over {cases} cases" if cases > 1 else "in its only case"
    said = f"asked {text(asked)}, used at most {text(used)} {many}: {what} {text(instead).replace(' ', '')} {end}"
    return Advice(test, what, asked, used, cases, instead, said)


def _round(size: float) -> int:
    """A size that people would write: whole G from 2 G on, else steps of 128 M."""
    step = _G if size > 2 * _G else 128 * _M
    return math.ceil(size / step) * step


def size(found: float) -> str:
    """Bytes for people, `3.1G`."""
    for unit, letter in ((_G, "G"), (_M, "M"), (_K, "K")):
        if found >= unit:
            return f"{found / unit:.1f}".removesuffix(".0") + letter
    return f"{found:.0f}"


def _count(found: float) -> str:
    return f"{found:.1f}".removesuffix(".0")
