"""Whether a case need not run: the [skip] section of its test (spec/config.md T30).

Only the first key that is present counts: `prevrunning`, `fileexists`,
`rundelay`.  Pure but for what comes in as callables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from mt.durations import read_duration
from mt.model import CaseRow
from mt.states import LIVE

Others = Callable[[], Iterable[CaseRow]]


def reason(kind: str, value: str, directory: str, others: Others, now: float) -> str:
    """Why the case is skipped, or empty; `others` are rows of the same test and item in any run of the target."""
    if kind == "fileexists":
        path = os.path.join(directory, value.strip())
        return f"Skipping due to existence of file {path}" if value.strip() and os.path.exists(path) else ""
    rows = list(others())
    if any(r.state in LIVE for r in rows):
        return "Skipping due to previous test running"
    if kind == "rundelay":
        delay = read_duration(value).seconds
        last = max((r.end for r in rows if _counts(r)), default=0.0)
        if last and now - last < delay:
            return f"Skipping due to rundelay {value.strip()}: it ran {now - last:.0f} s ago"
    return ""


def _counts(row: CaseRow) -> bool:
    return row.state in ("COMPLETED", "INCOMPLETE") and row.status in ("PASS", "FAIL", "ABORT")
