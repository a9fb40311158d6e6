"""What others ask of a run that is being driven: more cases, an end (`control` says how they ask)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from mt.errors import MtError
from mt.model import CaseKey, CaseRow
from mt.pipeline import control, history
from mt.pipeline.loop import Loop
from mt.pipeline.plan import Plan, Selection
from mt.states import LIVE
from mt.stdio import say

Again = Callable[[CaseRow], bool]


class Joining:
    """The requests in the control directory of a run; `register` records new cases as waiting."""

    def __init__(self, ctl_dir: str, plan: Plan, register: Callable[[Iterable[CaseKey]], None]) -> None:
        self.ctl_dir = ctl_dir
        self.plan = plan
        self.register = register

    def orders(self) -> Iterator[Callable[[Loop], None]]:
        """What others ask of this run; each file is removed once it has been followed."""
        for path, body in control.requests(self.ctl_dir):
            yield partial(self.follow, path=path, body=body)

    def follow(self, loop: Loop, *, path: str, body: Mapping[str, Any]) -> None:
        """Follow one request; one that cannot be followed is said and dropped."""
        kind, by = str(body.get("kind")), str(body.get("by", "somebody"))
        try:
            if kind == "run":
                self.join(loop, body)
            elif kind in (control.DRAIN, control.CANCEL):
                loop.ask(kind, by)
            else:
                say(f"request '{os.path.basename(path)}' asks for something unknown: '{kind}'")
        except MtError as e:
            say(f"request of {by}: {e.what}")
        control.forget(path)

    def join(self, loop: Loop, body: Mapping[str, Any]) -> None:
        """Take the cases of another `mt run` or `mt rerun` into this run."""
        want = Selection(str(body.get("patterns") or "%"), body.get("tags"))
        again = again_of(body.get("again"))
        before = len(self.plan.cases)
        moves = list(self.plan.add(want))
        fresh = self.plan.cases[before:]
        self.register(c for c in fresh if c not in loop.course.recorded)
        loop.course.take(moves)
        loop.course.run_again(
            [n for n, key in enumerate(self.plan.cases) if wanted(loop.course.recorded.get(key), again)]
        )


def again_of(said: Any) -> Again:
    """Which ended cases run again, from a request; none without one.

    {"ids": [[test, item], ...]}, {"statuses": [...]} of states and statuses,
    {"ended": [...]} of statuses of what is over, {"all": true}.
    """
    if not isinstance(said, Mapping):
        return history.never
    ids = {CaseKey(*pair) for pair in said.get("ids") or ()}
    if said.get("all"):
        return lambda row: True
    words = frozenset(said.get("statuses") or ())
    ended = frozenset(said.get("ended") or ())
    return lambda row: (
        row.key in ids
        or row.status in words
        or row.state in words
        or (row.status in ended and row.state in ("COMPLETED", "KILLED"))
    )


def wanted(row: CaseRow | None, again: Again) -> bool:
    """Whether a recorded case is over and is asked for again."""
    return row is not None and row.state not in LIVE and row.state != "NOT_STARTED" and again(row)
