"""set the verdict of cases by hand

The new status is recorded as an event with who, when and why; the older one stays in the journal.  STATUS alone means
COMPLETED/STATUS; `NOT_STARTED` makes the case run again with the next `mt run`.  A case that is running keeps its
worker: stop it first.

EXAMPLES

    $ mt set WAIVED one -m 'known, ticket 4711' --allow-empty
    Excuse a failure.

    $ mt tests -s FAIL -f ids | mt set NOT_STARTED - --allow-empty
    Let what failed run again later.

EXIT STATUS

    0  it was recorded
    2  usage
    4  one of the cases is running
    7  nothing matches
    9  the run is frozen

SEE ALSO

    mt-tests, mt-rerun, mt-show, mt-freeze
"""

from __future__ import annotations

from mt.errors import UsageError
from mt.options import flag, operand, opt, rest
from mt.rows import CaseOptions, Cases, answer
from mt.stdio import say


class Options(CaseOptions):
    """What was typed."""

    message: str = opt("-m", "--message", meta="TEXT", default="", help="why; it becomes the comment")
    dry_run: bool = flag("-n", "--dry-run", help="say what would be set, and do nothing")
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    word: str = operand("STATUS", help="STATUS, or STATE/STATUS")
    ids: tuple[str, ...] = rest(
        "ID", help="ids or patterns of cases; - reads them from stdin", need=True, complete="ids"
    )


def main(opts: Options) -> int:
    """Record it."""
    from mt.model import case_id
    from mt.pipeline.byhand import set_cases
    from mt.pipeline.frozen import refuse_frozen

    state, status = _words(opts.word)
    cases = Cases(opts, opts.ids)
    done = 0
    for picked in cases.picked:
        rows = list(cases.of(picked))
        done += len(rows)
        if rows:
            refuse_frozen(cases.runs.store, picked.run.id)
        if rows and not opts.dry_run:
            set_cases(cases.runs.store, picked.run.id, rows, state, status, opts.message)
        if not opts.quiet:
            for row in rows:
                say(f"{case_id(picked.run.key, row.key)}: {row.state}/{row.status} -> {state}/{status}")
    return answer(done, opts, "cases")


def _words(text: str) -> tuple[str, str]:
    """State and status from what was typed."""
    from mt.states import LIVE, STATES

    state, slash, status = text.partition("/")
    if not slash:
        state, status = (text, "n/a") if text in STATES else ("COMPLETED", text)
    if not state or not status:
        raise UsageError(f"bad status '{text}': not STATUS or STATE/STATUS")
    if state in LIVE or state not in STATES:
        hint = "COMPLETED, KILLED, INCOMPLETE, STUCK, UNKNOWN, DELETED or NOT_STARTED"
        raise UsageError(f"bad state '{state}': it cannot be set by hand", hint=hint)
    return state, status
