"""`megatest -run` and its kin: the same run as `mt run` drives, in the manner of old (spec/runs.md 1.4, 4.1, 4.6).

It comes back when nothing is left to start unless it is to wait, its status is
0 whatever the tests did, an earlier run directory keeps its files without
-preclean, and of a pipeline only the last stage counts.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial

from mt.area import Area
from mt.config import Problem
from mt.db import Store
from mt.environ import veiled
from mt.megatest.prepare import Ready, prepared
from mt.megatest.talk import Refused, Talk
from mt.megatest.words import Args, comma_list
from mt.model import CaseRow, RunKey
from mt.pipeline.contract import Policy
from mt.pipeline.naming import owner
from mt.pipeline.plan import Selection
from mt.pipeline.run import Manner, Outcome, Request
from mt.pipeline.run import run as drive
from mt.states import LIVE

#: what `-rerun-clean` resets where the area does not say (spec/config.md 2.1)
CLEAN_STATES = "KILLREQ,KILLED,UNKNOWN,INCOMPLETE,STUCK,NOT_STARTED"
CLEAN_STATUSES = "FAIL,INCOMPLETE,ABORT,CHECK,DEAD,PREQ_FAIL,PREQ_DISCARDED"
#: what a further pass runs again (spec/runs.md 4.6)
SECOND = ("STUCK/DEAD", "n/a", "ZERO_ITEMS")
#: states of which no progress line is printed (spec/runs.md 4.7)
UNSHOWN = ("NOT_STARTED", "LAUNCHED", "RUNNING", "REMOTEHOSTSTART", "DELETED")
#: states of which it is known whether they run (spec/runs.md 4.5)
LAUNCHABLE = frozenset({"NOT_STARTED", "INCOMPLETE", "DELETED", "COMPLETED", "KILLED", "LOST", *LIVE})
#: seconds between two looks of a waiting command
_LOOK = 1.0


def run(args: Args, talk: Talk) -> int:
    """Register the run and launch what is chosen until nothing is left to launch; always 0 once under way."""
    talk.say(1, shlex.join([os.path.basename(sys.argv[0] or "megatest"), *veiled(sys.argv[1:])]))
    ready = prepared(args, talk)
    refuse(ready.area)
    pattern = chosen(args, ready.area)
    if pattern is None:
        talk.warn("there is no test pattern for this run. Exiting now.")
        return 0
    ready.area.prepare()
    os.makedirs(os.path.join(ready.area.home, "logs"), exist_ok=True)
    store = Store(ready.area.home, create=True)
    reset(args, ready, store, pattern)
    announce(ready, store, talk)
    return passes(ready, store, request_of(args, ready, pattern, talk), talk)


def refuse(area: Area) -> None:
    """Raise Refused when nothing can be recorded: read-only, or too little room (spec/runs.md 1.4)."""
    if not os.access(area.home, os.W_OK):
        raise Refused(1, f"cannot write in '{area.home}': you do not have the permissions to run here")
    need = area.number("setup", "dbdir-space-required", 100000)
    where = os.statvfs(area.home)
    free = where.f_bavail * where.f_frsize / 1024
    if free < need:
        raise Refused(1, f"not enough space in '{area.home}': {free:.0f} KB free, {need:.0f} KB wanted")


def chosen(args: Args, area: Area) -> str | None:
    """The test pattern of a command (spec/runs.md 2.4); None when --modepatt names one that is not there."""
    asked = args.value("-testpatt", "-runtests")
    forced = args.value("--modepatt")
    pattern = area.testpatt(asked, forced or args.value("-modepatt"), force=forced is not None)
    items = args.value("-itempatt")
    if pattern is None or items is None:
        return pattern
    return ",".join(f"{piece.partition('/')[0]}/{items}" for piece in pattern.split(",") if piece)


def announce(ready: Ready, store: Store, talk: Talk) -> None:
    """Renew what is recorded of the tests of the area, and say what has changed (spec/runs.md 4.1, 7)."""
    from mt.testmeta import update_meta

    for line in update_meta(ready.area, store, store.create_run(ready.run, owner=owner())):
        print(line)
    sys.stdout.flush()


# -- what is reset before


def reset(args: Args, ready: Ready, store: Store, pattern: str) -> None:
    """Let recorded cases be as if never started, as -rerun-clean, -rerun-all and allow-auto-rerun ask."""
    run_id = store.run_id(ready.run)
    if run_id is None:
        return
    if args.has("-rerun-all"):
        back(store, run_id, lambda row: True)
    elif args.has("-rerun-clean"):
        states = frozenset(comma_list(ready.area.setting("validvalues", "cleanrerun-states") or CLEAN_STATES))
        statuses = frozenset(comma_list(ready.area.setting("validvalues", "cleanrerun-statuses") or CLEAN_STATUSES))
        back(store, run_id, lambda row: row.state in states or row.status in statuses)
    words = (ready.area.setting("setup", "allow-auto-rerun") or "").split()
    if words:
        from mt.patterns import TestPattern

        pairs = [(state, status) for state, _, status in (word.partition("/") for word in words)]
        mine = TestPattern(pattern).matches
        back(store, run_id, lambda row: mine(row.test, row.item) and any(_is(row, *pair) for pair in pairs))


def _is(row: CaseRow, state: str, status: str) -> bool:
    """Whether a row is in a state, and with a status when one is named; a word may also be a status of no state."""
    return (row.state == state and status in ("", row.status)) or (not status and row.status == state)


def back(store: Store, run_id: int, which: Callable[[CaseRow], bool]) -> None:
    """Record chosen cases that do not run as not started."""
    from mt import queries
    from mt.fold import refresh
    from mt.journal import drop, row_fields
    from mt.pipeline.byhand import changed

    refresh(store, run_id)
    rows = [row for row in queries.cases(store, run_id) if row.state not in LIVE and which(row)]
    todo = [row for row in rows if (row.state, row.status) != ("NOT_STARTED", "n/a")]
    if todo:
        drop(store.journal_dir(run_id), [("case", row_fields(changed(row, "NOT_STARTED", "n/a", ""))) for row in todo])
        refresh(store, run_id)


# -- the request, and its passes


def request_of(args: Args, ready: Ready, pattern: str, talk: Talk) -> Request:
    """What the command asks of the run."""
    clean = args.has("-preclean", "-rerun-clean", "-rerun-all")
    wait = args.has("-run-wait") or ready.area.setting("setup", "run-wait") == "yes"
    policy = Policy(clean=clean, leave=not wait, one_pass=args.has("-one-pass"), spare=True)
    again: dict[str, object] | None = None
    if args.has("-force"):
        again = {"all": True}
    elif args.has("-rerun"):
        again = {"ended": list(comma_list(args.value("-rerun")))}
    manner = Manner(partial(_tell, talk), partial(Lines, talk, ready), args.value("-contour") or "", old=True)
    want = Selection(pattern, args.value("-tagexpr"), unknown_ok=True)
    return Request(ready.run, want, again, policy=policy, quiet=True, owner=owner(), manner=manner)


def passes(ready: Ready, store: Store, request: Request, talk: Talk) -> int:
    """Drive the run, and again while something is left that a further pass may run (spec/runs.md 4.6)."""
    more = int(ready.area.number("setup", "reruns", 1))
    outcome = once(ready.area, store, request, talk)
    for _ in range(max(more, 0)):
        if outcome is None or outcome.cut or not left_over(outcome):
            break
        again = request.again or {"statuses": list(SECOND)}
        request = request._replace(again=again, policy=request.policy._replace(clean=True))
        outcome = once(ready.area, store, request, talk)
    return 4 if outcome is not None and outcome.status == 130 else 0


def once(area: Area, store: Store, request: Request, talk: Talk) -> Outcome | None:
    """One pass, which megatest.db follows; None when nothing is selected, which is no error here."""
    from mt.errors import NothingSelected
    from mt.pipeline.mirror import Mirror

    unlaunched(store, request, talk)
    copy = Mirror(area.home, area.keys)
    try:
        return drive(area, request, lambda beat: copy.look())
    except NothingSelected as e:
        talk.warn(e.what)
        return None
    finally:
        copy.close()


def unlaunched(store: Store, request: Request, talk: Talk) -> None:
    """Say of recorded cases in states of no meaning here that they are not launched (spec/runs.md 4.5, 7)."""
    from mt import queries
    from mt.patterns import TestPattern
    from mt.pipeline.joining import again_of

    run_id = store.run_id(request.run)
    odd = {state for state, _ in queries.counts(store, run_id)} - LAUNCHABLE if run_id is not None else set()
    if run_id is None or not odd:
        return
    mine, again = TestPattern(request.want.patterns).matches, again_of(request.again)
    for row in queries.cases(store, run_id, states=sorted(odd)):
        if mine(row.test, row.item) and not again(row):
            talk.error(f"Failed to launch test {row.key}. Unrecognised state {row.state}")


def left_over(outcome: Outcome) -> bool:
    """Whether there are cases that a further pass may run."""
    return any(
        n and (status in SECOND or f"{state}/{status}" in SECOND)
        for (state, status), n in outcome.counts.items()
        if state in ("COMPLETED", "NOT_STARTED", "STUCK")
    )


def _tell(talk: Talk, problem: Problem) -> None:
    """What is wrong with a test, in the words of old."""
    if problem.text.startswith(("ERROR:", "WARNING:")):
        talk.say(0, problem.text)
        return
    text = f"{problem.where}: {problem.text}" if problem.where else problem.text
    (talk.error if problem.level == "error" else talk.warn)(text)


# -- what is shown


class Lines:
    """The progress lines of old, on stdout (spec/runs.md 4.7)."""

    def __init__(self, talk: Talk, ready: Ready, run: str, total: int, slots: int, quiet: bool) -> None:
        self.talk = talk
        self.ready = ready

    def ended(self, row: CaseRow, name: str) -> None:
        """One line for a case that is over; dependents of bad ones are warned of."""
        if row.status in ("PREQ_FAIL", "PREQ_DISCARDED"):
            self.talk.warn(f"test {row.key} has FAILED prerequisites or other issue. Not launching it.")
        elif row.status == "BLOCKED":
            self.talk.warn(
                "FAILS or incomplete tests maybe preventing completion of this run."
                f" Watch for issues with test {row.key}, continuing for now"
            )
        if row.state not in UNSHOWN:
            print(progress_line(row, self.ready.area.linktree, self.ready.run), flush=True)

    def note(self, text: str) -> None:
        """What the loop has to say."""
        self.talk.info(1, text)

    def tick(self, running: int, queued: int = 0) -> None:
        """Nothing moves here."""

    def clear(self) -> None:
        """Nothing is to be cleared."""


def progress_line(row: CaseRow, linktree: str, run: RunKey) -> str:
    """State, status, start, duration and path of a case, padded as ever."""
    where = os.path.join(linktree, run.target, run.name, str(row.key))
    return f"{row.state:<12s}{row.status:<12s}{started(row.start):<20s}{duration(row.secs):<12s}{where:<40s}"


def started(when: float) -> str:
    """`2026ww31.5 10:22`: year, week, day of the week, time."""
    if not when:
        return "n/a"
    local = time.localtime(when)
    return time.strftime("%Gww%V.%u %H:%M", local)


def duration(secs: float) -> str:
    """`1h 2m 3s` without the parts that are zero; `0s` for nothing."""
    whole = int(secs)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return " ".join(f"{n}{unit}" for n, unit in parts if n) or "0s"


# -- waiting


def wait(args: Args, talk: Talk) -> int:
    """`-run-wait` alone: until no test matches the selectors (spec/runs.md 1.4)."""
    from mt.megatest.selecting import select

    for status, what, given in (
        (1, "-target", args.value("-target", "-reqtarg")),
        (2, "-runname", args.value("-runname", ":runname")),
        (3, "-testpatt", args.value("-testpatt")),
    ):
        if not given:
            raise Refused(status, f"Missing required parameter for -run-wait: you must specify {what}")
    ready = prepared(args, talk)
    if not os.access(ready.area.home, os.W_OK):
        raise Refused(1, f"cannot write in '{ready.area.home}'")
    store = Store(ready.area.home, create=True)
    while any(rows for _, rows in select(args, store)):
        time.sleep(_LOOK)
    return 0
