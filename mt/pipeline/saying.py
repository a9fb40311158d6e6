"""What a test says of itself, and how that and the verdict of its steps become one (spec/runs.md 3.5, T4, T86).

The worker is in the run directory, so the file is named relative to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mt.errors import MtError, why
from mt.inside import SAID
from mt.pipeline.verdict import Overall

Event = Mapping[str, Any]


def said(attempt: int) -> list[Event]:
    """What the test told of itself during this attempt, in order; a torn line is left out.

    `at` of an event is where its line begins, in bytes.  Raises MtError when it
    cannot be read: a test that said FAIL must not pass because of that.
    """
    try:
        with open(SAID, "rb") as f:
            lines = f.readlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise MtError(f"cannot read '{SAID}': {why(e)}") from e
    events: list[Event] = []
    at = 0
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and event.get("attempt") == attempt:
            events.append({**event, "at": at})
        at += len(line)
    return events


def length() -> int:
    """How much has been said so far, in bytes; raises MtError."""
    try:
        return os.stat(SAID).st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as e:
        raise MtError(f"cannot read '{SAID}': {why(e)}") from e


def final(so_far: Overall, events: Sequence[Event], overruled: int) -> tuple[str, str, str]:
    """The last state, status and comment of a case.

    What it said last wins over its steps, but what it said before `overruled`
    does not: there a step ended that failed or that log rules judged.  AUTO asks
    for a verdict by the measured values; one that is overruled, or said by a
    test that goes on, only makes things worse.  A result without a state is no
    verdict: it brings a comment or a log (`megatest -setlog`).
    """
    told = [e for e in events if e.get("k") == "result"]
    remark = next((str(e["comment"]) for e in reversed(told) if e.get("comment")), "")
    results = [e for e in told if e.get("state")]
    if not results:
        return "COMPLETED", so_far.status, so_far.comment or remark
    last = results[-1]
    state, status = str(last["state"]), str(last.get("status") or so_far.status)
    comment = remark or so_far.comment
    over = last["at"] < overruled
    goes_on = state == "RUNNING" or over
    if goes_on and status.startswith("AUTO") and not (over and last.get("at_once")):
        return "COMPLETED", *_worse(so_far, events, comment)
    if goes_on:
        return "COMPLETED", so_far.status, so_far.comment or comment
    if status.startswith("AUTO"):
        status, comment = from_values(events, status, comment)
    return state, status, comment


def _worse(so_far: Overall, events: Sequence[Event], comment: str) -> tuple[str, str]:
    """The verdict of the steps, or a worse one by the values: these beat PASS, and a failed one all that is good."""
    if so_far.status == "PASS":
        return from_values(events, "AUTO", comment)
    if so_far.status in ("WARN", "CHECK"):
        failed, told = from_values(events, so_far.status, comment)
        if failed == "FAIL":
            return failed, told
    return so_far.status, so_far.comment or comment


def from_values(events: Sequence[Event], status: str, comment: str) -> tuple[str, str]:
    """AUTO becomes a verdict by the measured values (T86): the last value of a name counts."""
    last = {(e.get("category"), e.get("variable")): str(e.get("status", "")) for e in events if e.get("k") == "value"}
    failed = sorted(str(name[1]) for name, how in last.items() if how.lower().startswith("fail"))
    if failed:
        return "FAIL", comment or "values out of tolerance: " + ", ".join(failed[:5])
    passed = any(how.lower() == "pass" for how in last.values())
    return ("PASS" if passed else status), comment
