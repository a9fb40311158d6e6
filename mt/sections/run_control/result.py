"""say how the test that calls this went

A step of a test calls `mt result` to give the test's verdict, with a comment that people see in lists and reports and,
when it is worth reading, a log file.  What was said last stands when the test ends, whatever its steps say; a script
that wants them to count says AUTO or nothing.

STATUS is one of PASS, FAIL, WARN, CHECK, WAIVED, SKIP, ABORT, INFRA or AUTO, in any letter case, or a number: 0 is
PASS, any other is FAIL.  AUTO lets the measured values count (see mt-value): when all steps are good and a value
failed, the test is FAIL.

EXAMPLES

    $ mt result WARN -m "3 of 1000 points are outside the mask"
    Tell the run that this test passed with a warning.

    $ mt result AUTO --log report.html
    Let the measured values decide, and make report.html the log of this test.

EXIT STATUS

    0  recorded
    2  not inside a test, or no such status
    5  cannot be recorded

SEE ALSO

    mt-value, mt-step, mt-run
"""

from __future__ import annotations

import os

from mt.errors import UsageError
from mt.inside import inside
from mt.options import operand, opt

STATUSES = ("PASS", "FAIL", "WARN", "CHECK", "WAIVED", "SKIP", "ABORT", "INFRA", "AUTO")


class Options:
    """What was typed."""

    status: str = operand("STATUS", help="PASS, FAIL, WARN, CHECK, WAIVED, SKIP, ABORT, INFRA, AUTO, or a number")
    message: str | None = opt("-m", "--message", meta="TEXT", help="a comment, one line")
    state: str | None = opt("--state", meta="STATE", help="the state, when it is not to be COMPLETED")
    log: str | None = opt("--log", meta="FILE", help="the log to read first", complete="files")


def main(opts: Options) -> int:
    """Record one result."""
    here = inside(os.environ)
    status = named(opts.status)
    said = here.event(
        "result",
        state=opts.state or ("RUNNING" if status == "AUTO" else "COMPLETED"),  # AUTO is decided at the end
        status=status,
        comment=opts.message or "",
        log=opts.log or "",
    )
    here.tell([said])
    return 0


def named(word: str) -> str:
    """The status that a word or a number means; raises UsageError for any other word."""
    if word.lstrip("-").isdigit():
        return "PASS" if int(word) == 0 else "FAIL"
    if word.upper() not in STATUSES:
        raise UsageError(f"unknown status '{word}'", hint="one of " + ", ".join(STATUSES))
    return word.upper()
