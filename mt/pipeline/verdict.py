"""From exit codes to statuses: script, steps, and how steps add up (spec/config.md T4, T14 to T17).

Pure.  A log processor's code replaces the command's; without one every exit but
0 is a failure.  A failure that is the machine's is INFRA (spec/features.md B7):
it ends a case like a FAIL does, and says nothing about the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: what a step may be judged where the machine may be to blame instead
BAD = ("FAIL", "ABORT")
CODES = {0: "PASS", 1: "FAIL", 2: "WARN", 3: "CHECK", 4: "WAIVED", 5: "ABORT", 6: "SKIP"}


class Overall(NamedTuple):
    """The verdict so far, its comment, and whether the next step may run."""

    status: str = "PASS"
    comment: str = ""
    go_on: bool = True


def script_status(code: int, current: str = "n/a") -> str:
    """The status of a test whose runscript ended with code (negative = killed by a signal)."""
    if current.startswith("AUTO"):
        return {0: "AUTO", 2: "AUTO-WARN"}.get(code, CODES.get(code, "FAIL"))
    return CODES.get(code, "FAIL")


def pipeline_code(exits: Sequence[int], *, every_stage: bool = True) -> int:
    """One exit code for all stages: the last that failed, else 0.

    A left stage ended by SIGPIPE did nothing wrong: its reader had read enough.
    Without `every_stage` only the last one counts, as in a plain shell.
    """
    if not every_stage:
        return exits[-1]
    for n in range(len(exits) - 1, -1, -1):
        last = n == len(exits) - 1
        if exits[n] != 0 and (last or exits[n] not in (-13, 141)):
            return exits[n]
    return 0


def step_status(code: int, *, judged: bool) -> str:
    """The status of one step; judged = the code is the log processor's."""
    if judged:
        return CODES.get(code, "FAIL")
    return "PASS" if code == 0 else "FAIL"


def after_step(so_far: Overall, step: str, status: str, message: str = "") -> Overall:
    """The verdict after one more step (T17): a WARN is only ever worsened by a FAIL, or by the machine."""
    go_on = status in ("PASS", "WARN")
    if status == "INFRA" and so_far.status in ("PASS", "WARN"):
        return infra(f"step {step}", message)
    if so_far.status == "WARN" and status != "FAIL":
        return Overall("WARN", so_far.comment, go_on)
    if so_far.status not in ("PASS", "WARN"):
        return Overall(so_far.status, so_far.comment, go_on)
    if status == "PASS":
        return Overall("PASS", so_far.comment, True)
    if status == "FAIL":
        return Overall("FAIL", f"Failed at step {step}" + (f": {message}" if message else ""), False)
    return Overall(status, f"{step}: {message}" if message else f"Logpro {status.lower()} found at step {step}", go_on)


def infra(what: str, message: str) -> Overall:
    """The verdict when a step, or whatever it was, could not be judged."""
    return Overall("INFRA", f"The machine failed at {what}: {message}", False)


def describe(exits: Sequence[int], *, every_stage: bool = True) -> str:
    """Why a step without log rules failed, in words: `exit 3`, `signal SEGV`, `stage 2 of 3: exit 1`."""
    import signal

    code = pipeline_code(exits, every_stage=every_stage)
    if code == 0:
        return ""
    number = len(exits) - 1 - list(reversed(exits)).index(code)
    try:
        word = f"exit {code}" if code > 0 else f"signal {signal.Signals(-code).name.removeprefix('SIG')}"
    except ValueError:
        word = f"signal {-code}"
    return f"stage {number + 1} of {len(exits)}: {word}" if len(exits) > 1 else word
