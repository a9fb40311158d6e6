"""The words for where a case is (state) and how it went (status), and how many combine into one.

Pure tables and functions: spec/runs.md 3, spec/architecture.md 6.11.  The fold
and the roll-up are joins over these ranks, so they do not depend on order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LIVE = ("LAUNCHED", "REMOTEHOSTSTART", "RUNNING", "KILLREQ")
RUNNING = ("RUNNING", "REMOTEHOSTSTART", "LAUNCHED")
ENDED = ("COMPLETED", "ARCHIVED", "KILLED", "STUCK", "INCOMPLETE", "DELETED", "LOST")
OK = ("PASS", "WARN", "CHECK", "WAIVED", "SKIP")
UNROLLED = ("DELETED", "REMOVING", "CLEANING", "ARCHIVE_REMOVING")
TERMINAL = ("COMPLETED", "KILLED", "INCOMPLETE", "STUCK", "ARCHIVED", "DELETED")

#: state -> what it means, in the order in which lists show them
STATES: dict[str, str] = {
    "NOT_STARTED": "registered, waiting for its turn, or reset to run again",
    "LAUNCHED": "handed to a worker or a batch system, no sign of life yet",
    "REMOTEHOSTSTART": "its worker has begun on its host",
    "RUNNING": "its steps run",
    "KILLREQ": "somebody asked for a kill; the worker has not answered yet",
    "LOST": "its worker gave no sign of life; neither failed nor running",
    "COMPLETED": "finished; the status tells how",
    "KILLED": "ended by a kill or by a time limit",
    "INCOMPLETE": "interrupted; the same command runs it again",
    "STUCK": "set by hand",
    "UNKNOWN": "set by hand",
    "REMOVING": "its data are being removed",
    "CLEANING": "its directory is being cleaned before it runs",
    "ARCHIVE_REMOVING": "its data are being removed after archiving",
    "ARCHIVED": "its data are saved elsewhere and removed",
    "DELETED": "removed; treated as not existing",
}

#: status -> what it means, worst last within the verdicts
STATUSES: dict[str, str] = {
    "n/a": "no result yet",
    "PASS": "good",
    "SKIP": "not run on purpose",
    "WARN": "good, with warnings",
    "WAIVED": "failed, and excused",
    "CHECK": "good, and somebody should look",
    "DEAD": "its worker disappeared",
    "FAIL": "not good",
    "INFRA": "could not be judged: the machine, a disk or the batch system failed, not the test",
    "PREQ_FAIL": "not run: a prerequisite failed",
    "PREQ_DISCARDED": "not run: a prerequisite could not run",
    "ABORT": "stopped itself",
    "AUTO": "to be derived from measured values",
    "KILLED": "ended by a kill or a time limit",
    "ZERO_ITEMS": "no item matches",
    "LAUNCHED": "handed over",
    "STARTED": "some items wait, others are done",
    "BLOCKED": "waits on something that cannot run",
    "TEN_STRIKES": "tried to start too often",
    "TIMED_OUT": "nothing ran for too long",
}

#: how far a state is in the life of one attempt: breaks ties between events of one generation
RANK: dict[str, int] = {
    "NOT_STARTED": 0,
    "LAUNCHED": 1,
    "REMOTEHOSTSTART": 2,
    "RUNNING": 3,
    "LOST": 4,
    "KILLREQ": 5,
    "CLEANING": 6,
    "UNKNOWN": 7,
    "STUCK": 8,
    "INCOMPLETE": 9,
    "KILLED": 10,
    "COMPLETED": 11,
    "REMOVING": 12,
    "ARCHIVE_REMOVING": 13,
    "ARCHIVED": 14,
    "DELETED": 15,
}

_BEFORE_END = frozenset(RANK) - {"NOT_STARTED"}
_AFTER_END = frozenset(s for s in RANK if RANK[s] >= RANK["UNKNOWN"])

#: state -> states that may follow it within one attempt (a new attempt may always begin)
MOVES: dict[str, frozenset[str]] = {
    s: frozenset(_AFTER_END if s in TERMINAL or RANK[s] >= RANK["UNKNOWN"] else _BEFORE_END) for s in RANK
} | {"NOT_STARTED": frozenset(RANK)}


def order(attempt: int, gen: int, state: str, writer: str, seq: int) -> tuple[int, int, int, int, str, int]:
    """The place of an event among all events of its case; the greatest one is the case.

    Within one attempt a started state beats NOT_STARTED and an ended one beats
    both, whatever the generation: a worker's verdict is never undone by somebody
    who had not seen it.  These three tiers are exactly the ways of no return in
    MOVES, so the greatest event never makes an illegal move.
    """
    rank = RANK.get(state, RANK["UNKNOWN"])
    return (attempt, (rank > 0) + (rank >= 7), gen, rank, writer, seq)


_STATE_WORTH = {
    "RUNNING": 8,
    "REMOTEHOSTSTART": 7,
    "LAUNCHED": 6,
    "COMPLETED": 5,
    "NOT_STARTED": 4,
    "KILLED": 3,
    "KILLREQ": 2,
    "STUCK": 1,
}
_STATUS_WORTH = {
    "ABORT": 12,
    "PREQ_DISCARDED": 11,
    "PREQ_FAIL": 10,
    "FAIL": 9,
    "DEAD": 8,
    "INFRA": 8,
    "STUCK/DEAD": 7,
    "CHECK": 6,
    "WAIVED": 5,
    "WARN": 4,
    "SKIP": 3,
    "PASS": 2,
    "n/a": 1,
}
_CALM = ("n/a", "na", "PASS", "FAIL", "WARN", "CHECK", "WAIVED", "DEAD", "SKIP")


def worst(statuses: Iterable[str]) -> str:
    """The worst status, by the order of spec/runs.md 3.3; `n/a` when there is none that counts."""
    return max(statuses, key=lambda s: _STATUS_WORTH.get(s, 0), default="n/a")


def roll_items(counts: Mapping[tuple[str, str], int]) -> tuple[str, str] | None:
    """State and status of a test's top record from {(state, status): n} of its items.

    None when no item counts (all removed): then nothing changes.
    """
    rows = [k for k, n in counts.items() if n > 0 and k[0] not in UNROLLED]
    if not rows:
        return None
    stirred = any(s == "NOT_STARTED" and t not in _CALM for s, t in rows)
    failed = any(t == "PREQ_FAIL" for _, t in rows)
    if any(s in RUNNING for s, _ in rows):
        state = "RUNNING"
    elif failed:
        state = "NOT_STARTED"
    elif stirred:
        state = "COMPLETED"
    else:
        left = [s for s, _ in rows if s != "COMPLETED"]
        state = max(left or ["COMPLETED"], key=lambda s: _STATE_WORTH.get(s, 0))
    if failed:
        status = "PREQ_FAIL"
    elif state == "NOT_STARTED" or (stirred and state == "COMPLETED"):
        status = "STARTED"
    else:
        status = worst(t for _, t in rows)
    return state, status


def verdict(state: str, status: str) -> str:
    """One of `good`, `bad`, `live`, `waiting`, `unfinished`: what a case means for its run's exit status."""
    if state in ("COMPLETED", "ARCHIVED"):
        if status in OK or status == "AUTO":
            return "good"
        return "unfinished" if status in ("INFRA", "n/a") else "bad"
    if state == "KILLED":
        return "bad"
    if state in LIVE:
        return "live"
    if state == "NOT_STARTED" and status == "n/a":
        return "waiting"
    if state == "DELETED":
        return "good"
    return "unfinished"


def passed(state: str, status: str) -> bool:
    """Whether a case ran and was good, with no need of an excuse: after an earlier failure in its run it is flaky."""
    return state in ("COMPLETED", "ARCHIVED") and status in ("PASS", "WARN", "CHECK", "AUTO")


def roll_run(counts: Mapping[tuple[str, str], int], *, controlled: bool) -> tuple[str, str]:
    """State and status of a run from {(state, status): n} of its cases (spec/architecture.md 6.11)."""
    known = [k for k, n in counts.items() if n > 0]
    rows = [k for k in known if k[0] not in UNROLLED]
    if not rows and known and not controlled and all(s == "DELETED" for s, _ in known):
        return "DELETED", "n/a"
    if not rows:
        return ("RUNNING", "n/a") if controlled else ("NOT_STARTED", "n/a")
    bad_end = ("KILLED", "INCOMPLETE", "STUCK", "LOST")
    status = worst("CHECK" if s in bad_end and t not in ("FAIL", "ABORT") else t for s, t in rows)
    if controlled or any(s in LIVE for s, _ in rows):
        return "RUNNING", status
    if all(s == "NOT_STARTED" for s, _ in rows):
        return "NOT_STARTED", status
    if any(s in ("NOT_STARTED", "LOST", "INCOMPLETE") for s, _ in rows):
        return "INCOMPLETE", status
    return "COMPLETED", status


def exit_status(counts: Mapping[tuple[str, str], int]) -> int:
    """0 all good, 1 something failed, 8 no failure but not all is done (DESIGN.md section 5)."""
    seen = {verdict(s, t) for (s, t), n in counts.items() if n > 0}
    if "bad" in seen:
        return 1
    return 8 if seen - {"good"} else 0
