"""What an engine's word means for a case whose job ended before it.  Pure (lab/REPORT.md 1; spec/features.md B2, B7).

The word is only asked when the case itself cannot tell any more: what a case
wrote always counts.  A machine or an engine that is to blame makes it INFRA,
which the run tries again by itself; somebody's wish, or its own time limit,
makes it KILLED, and that is final until it is asked for again.
"""

from __future__ import annotations

import time

from mt.launchers.base import OVER, Word
from mt.model import CaseRow
from mt.states import LIVE

#: the fate of a job that the engine does not list any more, and of one it cannot be asked about
GONE, UNKNOWN = "gone", "unknown"

_SAYS = {
    "preempted": "it was preempted",
    "node-failed": "its host failed",
    "out-of-memory": "it used more memory than it had asked for",
    "time-limit": "it used more time than it had asked for",
    "cancelled": "it was cancelled",
    "failed": "it failed",
    "done": "it ended",
    "queued": "it was put back into the queue",
    "running": "the engine still counts it as running",
    GONE: "the engine knows nothing of it any more",
}


def ended(row: CaseRow, word: Word, *, own: bool, ours: bool) -> CaseRow:
    """The last row of a case that did not end before its job did.

    `own` tells that the job had this case only, so that the limits of the job
    are those of the case; `ours` that we cancelled it ourselves.  Of a case
    that is given up while it seems to run the generation stays: should it tell
    its end itself after all, that is later and counts.
    """
    engine, _, job = row.job.partition(":")
    says = _SAYS.get(word.fate, "it is not there any more")
    said = f" ({word.said})" if word.said else ""
    comment = f"its job {job or '?'} of {engine or 'the engine'} ended first: {says}{said}"
    reason = f"{engine} {word.said or word.fate}".strip()
    state, status = "COMPLETED", "INFRA"
    if ours:
        state, status, reason, comment = "INCOMPLETE", "KILLED", "", "cancelled"
    elif word.fate == "cancelled" or (word.fate == "time-limit" and own):
        state = status = "KILLED"
    gen = row.gen if status == "INFRA" and row.state in LIVE else row.gen + 1
    return row._replace(gen=gen, state=state, status=status, comment=comment, reason=reason, end=time.time())


def is_over(word: Word) -> bool:
    """Whether an engine says that a job does not run any more and will not."""
    return word.fate in OVER or word.fate == GONE


def is_blameless(row: CaseRow) -> bool:
    """Whether a case ended because of its job and may be tried again for that."""
    return bool(row.reason) and row.status == "INFRA"
