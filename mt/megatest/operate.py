"""`megatest -set-state-status`, `-set-run-status`, `-get-run-status`, `-lock`, `-unlock` (spec/runs.md 5.1 to 5.4).

A locked run is a frozen one (see mt-freeze): these commands see none of its
tests.  The status that a run is given by hand stands beside the one that its
tests roll up to, and never in its place.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import NamedTuple

from mt.area import Area
from mt.db import Store
from mt.environ import veiled
from mt.errors import MtError
from mt.megatest.prepare import prepared
from mt.megatest.selecting import runs, select, store_of
from mt.megatest.talk import Refused, Talk
from mt.megatest.words import Args
from mt.model import CaseRow, RunRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Here(NamedTuple):
    """The area that is changed, and its records: none where nothing was ever recorded."""

    area: Area
    store: Store | None
    target: str
    name: str


def entered(args: Args, talk: Talk, *, run: bool = True, pattern: bool = False, asks: bool = False) -> Here:
    """Open the area; raises Refused (1) where records cannot be written, unless the command only `asks` (5.1)."""
    ready = prepared(args, talk, run=run, pattern=pattern)
    area = ready.area
    old = os.path.join(area.home, "megatest.db")
    store = store_of(area)
    if asks:
        return Here(area, store, ready.run.target, ready.run.name)
    if (store is not None and not store.writable()) or (os.path.exists(old) and not os.access(old, os.W_OK)):
        raise Refused(1, f"cannot write the records of '{area.home}': read-only")
    return Here(area, store, ready.run.target, ready.run.name)


def echo(talk: Talk) -> None:
    """Say the own command line first (spec/runs.md 1.3)."""
    talk.say(1, shlex.join([os.path.basename(sys.argv[0] or "megatest"), *veiled(sys.argv[1:])]))


# -- runs as a whole


def meant(here: Here) -> list[RunRow]:
    """The runs that target and run name, which may be patterns, stand for."""
    return runs(here.store, here.target, here.name) if here.store is not None else []


def first(here: Here) -> tuple[Store, RunRow]:
    """The first run that is meant; raises Refused (1) without one."""
    found = meant(here)
    if here.store is None or not found:
        raise Refused(1, "No matching run found.")
    return here.store, found[0]


def set_run_status(args: Args, talk: Talk) -> int:
    """Give a run a status by hand, with -m as its comment (5.3)."""
    import time

    from mt.pipeline.frozen import record
    from mt.pipeline.naming import owner

    store, run = first(entered(args, talk))
    status, comment = args.value("-set-run-status") or "n/a", args.value("-m")
    said = {"status": status, "by": owner(), "t": round(time.time(), 3), "why": comment or ""}
    more = {} if comment is None else {"comment": comment}
    record(store, run.id, set_status=said, **more)
    return 0


def get_run_status(args: Args, talk: Talk) -> int:
    """Print the status that a run was given by hand, `n/a` when it was given none (5.3)."""
    _, run = first(entered(args, talk, asks=True))
    said = run.said.get("set_status") or {}
    print(said.get("status") or "n/a")
    return 0


def lock(args: Args, talk: Talk) -> int:
    """Freeze the runs that are meant, driven or not (5.4)."""
    from mt.pipeline.frozen import freeze

    here = entered(args, talk)
    for run in meant(here):
        freeze(records_in(here), run.id, args.value("-m") or "megatest -lock", even_driven=True)
    return 0


def unlock(args: Args, talk: Talk) -> int:
    """Thaw the runs that are meant, each after a `y` on standard input (5.4)."""
    from mt.pipeline.frozen import thaw

    here = entered(args, talk)
    for run in meant(here):
        print(f"Do you really wish to unlock run {run.id}?\n   y/n: ", flush=True)
        if sys.stdin.readline().strip() == "y":
            thaw(records_in(here), run.id, args.value("-m") or "megatest -unlock")
    return 0


def records_in(here: Here) -> Store:
    """The records of an area that has some; raises Refused (1) otherwise."""
    if here.store is None:
        raise Refused(1, "No matching run found.")
    return here.store


# -- cases


def set_state_status(args: Args, talk: Talk) -> int:
    """Give all tests that are meant a new state and status (5.2)."""
    echo(talk)
    state, comma, status = (args.value("-set-state-status") or "").partition(",")
    here = entered(args, talk, pattern=True)
    if not comma:
        talk.error("the parameter to -set-state-status is a comma separated state,status, like COMPLETED,PASS")
        return 0
    changed = 0
    for run, rows in select(args, here.store, here.area) if here.store is not None else ():
        if rows:
            change(here, run, rows, state, status.partition(",")[0], args.value("-m") or "", talk)
        changed += len(rows)
    if not changed:
        talk.info(1, "nothing is selected: nothing is set (the record of a test with items follows from its items)")
    return 0


def change(here: Here, run: RunRow, rows: list[CaseRow], state: str, status: str, comment: str, talk: Talk) -> None:
    """Record it for tests of one run, pass it on to their sub-runs, and let triggers know."""
    from mt.pipeline.byhand import impose

    store = records_in(here)
    recorded = impose(store, run.id, run.key, rows, state, status, comment)
    for row in rows:
        talk.info(1, f"setting {run.key}//{row.key} to {state}/{status}")
        pass_on(row, state, status, talk)
    heard(here.area, store, run, recorded)


def pass_on(row: CaseRow, state: str, status: str, talk: Talk) -> None:
    """Give the sub-run of a test the same state and status (4.12)."""
    from mt.pipeline.subrun import pass_setting

    try:
        if row.dir:
            pass_setting(row.dir, state, status, os.environ)
    except MtError as e:
        talk.error(e.what)


def heard(area: Area, store: Store, run: RunRow, rows: Iterable[CaseRow]) -> None:
    """Fire the triggers of what was written, and of what iterated tests roll up to (4.10)."""
    from mt.pipeline.aftermath import Aftermath

    if area.target is None:
        area = Area.open(area.home, target=run.target or None, run=run.name)
    after = Aftermath(area, store, run.id, run.key)
    for row in rows:
        try:
            own = area.spec(row.test).triggers
        except MtError:
            own = ()
        after.triggers.fire(after.change(row), own)
    after.ended(rows)
    after.follow()
