"""THE MAIN PATH: one run, top to bottom.

    request → plan → history → workers → loop → record → fold → show → verdict

`drive` is the whole of it for the controller of a run.  Only one process
controls a run (a lock); a second `mt run` leaves its request with the first
(`join`) and waits with it.  Everything is recorded before it is shown, so the
same command goes on from wherever this one died.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mt import queries
from mt.area import Area
from mt.db import Store
from mt.errors import BusyError, MtError, StoreError
from mt.fold import Folder, compact
from mt.journal import Journal, writer_name
from mt.locks.alive import keep_alive
from mt.locks.filelock import held, watcher
from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline import control, history, hooks
from mt.pipeline.aftermath import Aftermath
from mt.pipeline.choosing import Launchers
from mt.pipeline.contract import Beat
from mt.pipeline.crew import Crew
from mt.pipeline.desk import RunDesk
from mt.pipeline.engines import advice_on, fleet_of
from mt.pipeline.frozen import refuse_frozen
from mt.pipeline.ground import Ground
from mt.pipeline.interrupts import Interrupts
from mt.pipeline.joining import again_of
from mt.pipeline.loop import Loop, describe_left
from mt.pipeline.plan import Plan
from mt.pipeline.ready import setup_of
from mt.pipeline.record import fold, follow, record, show
from mt.pipeline.request import Manner, Outcome, Request
from mt.pipeline.room import limits_of
from mt.pipeline.sending import sender_of
from mt.states import exit_status, passed
from mt.stdio import say

__all__ = ["Manner", "Outcome", "Request", "drive", "planned", "run"]


def nothing() -> None:
    """Tell nobody."""


def drive(
    area: Area, store: Store, request: Request, each: Callable[[Beat], None] = lambda beat: None,
    begun: Callable[[], None] = nothing,
) -> Outcome:  # fmt: skip
    """Control the run until nothing of it is left to do; raises BusyError when somebody else does."""
    start = time.monotonic()
    run_id = store.create_run(request.run, owner=request.owner)
    with controlled(store, run_id) as ground_of, ground_of(area, request.run) as ground:
        refuse_frozen(store, run_id)
        plan = planned(area, request)
        past = recall(ground, request)
        setup = setup_of(area, store, run_id, request.run, contour=request.manner.contour, old=request.manner.old)
        after = Aftermath(area, store, run_id, request.run, setup.linktree)
        launchers = Launchers.of_area(area, request.launcher)
        sender = sender_of(area, setup, launchers, ground.journal.emit_row)
        fleet = fleet_of(ground, setup, launchers, request, past)
        desk = RunDesk(ground, plan, past.living, after, sender, fleet)
        desk.register(key for key in plan.cases if key not in past.rows)
        begun()
        hooks.before(area, request.run, first=not past.rows)
        with Interrupts() as interrupts:
            crew = Crew(setup, store.journal_dir(run_id))
            limits = limits_of(area, store, request)
            loop = Loop(plan, crew, limits, interrupts, desk, request.policy, past.rows)
            if fleet:
                fleet.urgency, fleet.others = lambda: interrupts.level, lambda: crew.busy() > 0
            loop.course.bump = 1 if past.living else 0
            loop.waits.prefer(request.order)
            progress = request.manner.shown(str(request.run), len(plan.cases), limits.slots, request.quiet)
            beats = loop.beats(past.kept, [row.key for row in past.living])
            kept = record(beats, ground.journal)
            folded = fold(kept, ground.folder)
            followed = follow(folded, after, ground.folder)
            ran = sum(len(beat.ran) for beat in show(followed, progress, request.run, each))
            progress.clear()
            limits.close()
            if fleet and interrupts.level < 3:
                fleet.finish()
        hooks.after(area, request.run)
        ground.folder.fold()
        after.follow()
        rows = loop.course.recorded
        if loop.left:
            say(describe_left(loop.left))
        if fleet and not request.quiet and (hint := advice_on(ground, rows.values())):
            say(hint)
    counts = history.counts(rows, plan.cases)
    finish(store, run_id)
    status = 130 if interrupts.level else exit_status(counts)
    unsteady = flaky(store, run_id, rows, plan.cases)
    return Outcome(status, counts, loop.course.draining, time.monotonic() - start, ran, unsteady)


def flaky(store: Store, run_id: int, rows: Mapping[CaseKey, CaseRow], keys: Iterable[CaseKey]) -> int:
    """How many of these cases failed in this run before they passed; asks only when one was tried more than once."""
    again = {key for key in keys if (row := rows.get(key)) and row.attempt > 1 and passed(row.state, row.status)}
    return len(again.intersection(queries.flaky(store, run_id))) if again else 0


def planned(area: Area, request: Request) -> Plan:
    """The plan of a request, with what was put right in the tests said once."""
    plan = Plan.of(area.tests(), area.spec, request.want)
    of_area = [] if request.manner.old else [p for p in area.problems if p.level == "error"]  # of old: said before
    for problem in dict.fromkeys((*of_area, *plan.problems)):
        request.manner.tell(problem)
    return plan


def recall(ground: Ground, request: Request) -> history.History:
    """What is recorded; cases of dead workers become interrupted ones, and what they left running is ended."""
    ground.folder.fold()
    rows = queries.cases(ground.store, ground.run_id)
    past = history.sort_out(rows, history.eyes(ground.store, ground.run_id), again_of(request.again))
    if past.dead:
        history.end_leftovers(past.dead)
        with ground.journal.batch() as journal:
            for row in map(history.interrupted, past.dead):
                journal.emit_row("case", row)
                past.rows[row.key] = row
    return past


@contextmanager
def controlled(store: Store, run_id: int) -> Iterator[Callable[[Area, RunKey], Any]]:
    """Be the one controller of a run for the block."""

    @contextmanager
    def ground(area: Area, run: RunKey) -> Iterator[Ground]:
        directory = store.journal_dir(run_id)
        writer = writer_name()
        alive = keep_alive(os.path.join(directory, f"{writer}.ndjson"))
        try:
            with Journal(directory, writer) as journal:
                folder = Folder(store, run_id)
                try:
                    yield Ground(area, store, run_id, run, journal, folder)
                finally:
                    folder.close()
        finally:
            os.close(alive)

    with held(store.lock_path(f"run.{run_id}"), wait=False, what="controls the run"):
        yield ground


def finish(store: Store, run_id: int) -> None:
    """Store what the run rolls up to now that nobody controls it, and compact its journals when it is over."""
    folder = Folder(store, run_id)
    try:
        folder.settle()
    finally:
        folder.close()
    try:
        compact(store, run_id)
    except BusyError:
        pass
    except StoreError as e:
        say(f"{e.what}; all of it stays as it is")  # the verdict is recorded: whoever ends this run next packs it


def join(store: Store, request: Request) -> str:
    """Leave a request with the controller of a run; gives the path of the request."""
    run_id = store.run_id(request.run)
    if run_id is None:
        raise MtError(f"no run '{request.run}'")
    want = request.want
    return control.ask(
        store.ctl_dir(run_id), "run", by=request.owner, patterns=want.patterns, tags=want.tags, again=request.again
    )


def run(
    area: Area, request: Request, each: Callable[[Beat], None] = lambda beat: None,
    begun: Callable[[], None] = nothing,
) -> Outcome:  # fmt: skip
    """Drive the run, or join the one that drives it and wait; then drive on if it left before it read the request.

    `begun` is called once the run is ours or the request is with its controller: from then on `mt wait` waits for it.
    """
    area.prepare()
    store = Store(area.home, create=True)
    try:
        return drive(area, store, request, each, begun)
    except BusyError as e:
        if "run." not in e.what:
            raise
        path = join(store, request)
        say(f"{e.what.partition(': held by ')[2] or 'another process'} drives this run: joining it")
        begun()
    run_id = store.create_run(request.run, owner=request.owner)
    if request.policy.leave and taken(store.lock_path(f"run.{run_id}"), path):
        return Outcome(0, {}, "", 0.0, 0)
    with held(store.lock_path(f"run.{run_id}"), wait=True, what="waits for the run"):
        pass
    if os.path.exists(path):
        control.forget(path)
        return run(area, request, each, begun)
    return looked_up(area, store, run_id, request)


def taken(lock: str, path: str) -> bool:
    """Wait until the controller has taken a request; False when it left before it did."""
    driven = watcher(lock)
    while os.path.exists(path):
        if not driven():
            return not os.path.exists(path)
        select.poll().poll(50)
    return True


def looked_up(area: Area, store: Store, run_id: int, request: Request) -> Outcome:
    """The verdict of a request that somebody else has driven."""
    folder = Folder(store, run_id)
    try:
        folder.fold()
    finally:
        folder.close()
    rows = {row.key: row for row in queries.cases(store, run_id)}
    tests = {key.test for key in planned(area, request).cases}
    keys = [key for key in rows if key.test in tests]
    counts = history.counts(rows, keys)
    return Outcome(exit_status(counts), counts, "", 0.0, 0, flaky(store, run_id, rows, keys))
