"""Compare how the tests of two runs went (spec/runs.md 5.15).  Pure: outcomes in, classes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mt.model import CaseKey

#: state and status
Outcome = tuple[str, str]

CLASSES = ("WORSE", "BETTER", "NOT-IN-DEST", "NOT-IN-SRC", "BOTH-BAD", "CLEAN")
#: statuses from the best to the worst; all others are worse still
RANKING = ("PASS", "WARN", "WAIVED", "SKIP", "FAIL", "ABORT")
_CLEAN = ("PASS", "SKIP", "WAIVED", "WARN")
_NO_RESULT = ("DELETED", "INCOMPLETE", "STUCK/DEAD", "N/A")


class Difference(NamedTuple):
    """One test of two runs: its class, and how it went in each; None where it is not there."""

    key: CaseKey
    kind: str
    src: Outcome | None
    dest: Outcome | None

    def __str__(self) -> str:
        """`PASS->FAIL`; a state that is not COMPLETED stands in front of its status."""
        return f"{shown(self.src)}->{shown(self.dest)}"


def shown(outcome: Outcome | None) -> str:
    """An outcome as one word."""
    if outcome is None:
        return "absent"
    state, status = outcome
    return status if state == "COMPLETED" else f"{state}/{status}"


def is_complete(outcome: Outcome | None) -> bool:
    """Whether a test has a result."""
    return outcome is not None and outcome[0] == "COMPLETED" and outcome[1].upper() not in _NO_RESULT


def classified(src: Outcome | None, dest: Outcome | None) -> str:
    """The class of a test from how it went in both runs.

    Results that differ and rank alike, which is so only for those that no
    ranking names, are bad in both.
    """
    if not (is_complete(src) and is_complete(dest)):
        return "NOT-IN-DEST" if is_complete(src) else "NOT-IN-SRC" if is_complete(dest) else "BOTH-BAD"
    if src == dest:
        return "CLEAN" if src and src[1] in _CLEAN else "BOTH-BAD"
    before, after = _rank(src), _rank(dest)
    return "BOTH-BAD" if before == after else "WORSE" if before < after else "BETTER"


def _rank(outcome: Outcome | None) -> int:
    status = outcome[1] if outcome else ""
    return RANKING.index(status) if status in RANKING else len(RANKING)


def compare(src: Mapping[CaseKey, Outcome], dest: Mapping[CaseKey, Outcome]) -> list[Difference]:
    """Every test that is in either run, by name and item."""
    keys = sorted({*src, *dest})
    return [Difference(k, classified(src.get(k), dest.get(k)), src.get(k), dest.get(k)) for k in keys]


def tallied(differences: Iterable[Difference]) -> dict[str, int]:
    """{class: n} of all classes, in their order."""
    counts = dict.fromkeys(CLASSES, 0)
    for difference in differences:
        counts[difference.kind] += 1
    return counts
