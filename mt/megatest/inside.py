"""What tests call while they run: steps, values, results and logs, told to mt (spec/runs.md 1.5, 1.6).

One call may ask for several things; they happen in the old order: data from
standard input, the logs of test and top record, the page of the items, a
command run as a step, a step by hand, one value, the test's own result.
Everything is an event, said to the worker and dropped into the journal of the
run (`mt/inside.py`): no database is opened here.

What a test says of itself is a `result` event; one without a state only brings
a comment or a log.  That of a top record has an empty item.
"""

from __future__ import annotations

import os
import sys
import time

from mt.errors import MtError, StoreError, UsageError
from mt.inside import inside
from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from mt.inside import Inside
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args

#: what describes the one value of -set-values
_VALUE = ("category", "variable", "value", "expected", "tol", "units")


def tell(args: Args, talk: Talk) -> int:
    """Do all that one call inside a test asks for; raises Refused: 5 outside of a test, 6 when words are missing."""
    try:
        here = inside(os.environ)
    except UsageError as e:
        raise Refused(5, f"{e.what}; this must be called inside of a test") from e
    call = Call(here, args, talk)
    try:
        code = call.work()
    except Refused:
        call.send()
        raise
    try:
        call.send()
    except StoreError as e:
        if code == 0:
            raise
        talk.error(e.what)
    return code if code <= 2 else 3


class Call:
    """One call: what it has to say, gathered until it is sent."""

    def __init__(self, here: Inside, args: Args, talk: Talk) -> None:
        self.here = here
        self.args = args
        self.talk = talk
        self.comment = clean(args.value("-m"))
        self.events: list[dict[str, Any]] = []
        #: what the test says of itself in this call, one event however many options say it
        self.result = {"state": "", "status": "", "comment": "", "log": clean(args.value("-setlog"))}

    def work(self) -> int:
        """Everything, in the old order; gives the code of -runstep."""
        args, code = self.args, 0
        if args.has("-load-test-data"):
            self.load(read_input())
        if args.has("-set-toplog"):
            self.top_log(clean(args.value("-set-toplog")))
        if args.has("-summarize-items"):
            self.send()
            try:
                summarize(self.here, self.talk)
            except MtError as e:
                self.talk.warn(f"the page of {self.here.test} was not written: {e.lines()[0]}")
        if args.has("-runstep"):
            code = self.run_step(clean(args.value("-runstep")))
        if args.has("-step"):
            self.step(clean(args.value("-step")))
        if args.has("-test-status", "-set-values"):
            self.values_and_result()
        return code

    def send(self) -> None:
        """Say what was gathered, and forget it; raises StoreError."""
        events, self.events = self.events, []
        if any(self.result.values()):
            at_once = {"at_once": True} if self.result["status"].startswith("AUTO") else {}
            events.append(self.here.event("result", **self.result, **at_once))
            self.result = dict.fromkeys(self.result, "")
        self.here.tell(events)

    # -- data

    def load(self, lines: Iterable[str]) -> None:
        """Rows of data; a test that has named its result already gets it anew from its values (1.6)."""
        from mt.tolerance import read_csv

        self.events += [self.here.event("value", **row) for row in read_csv(lines)]
        found = rolled_up([*self.here.said(), *self.events])
        if found:
            self.events.append(self.here.event("result", state=found[0], status=found[1], comment="", log=""))

    def one_value(self) -> None:
        """The value that :value and its companions describe; only :value is needed (C3), and nothing waits (D17)."""
        from mt.tolerance import measured

        row: dict[str, str | None] = {n: clean(self.args.value(f":{n}")) for n in _VALUE if self.args.has(f":{n}")}
        self.events.append(self.here.event("value", **measured({**row, "comment": self.comment})))

    # -- what the test says of itself

    def values_and_result(self) -> None:
        """-set-values and -test-status: only the colon forms count."""
        args = self.args
        state, status = args.value(":state"), args.value(":status")
        if args.has("-test-status") and (state is None or status is None):
            raise Refused(6, "-test-status needs :state and :status")
        if args.has(":value"):
            self.one_value()
        elif not args.has("-test-status"):
            self.talk.warn("-set-values without :value sets nothing")
        if state is not None and status is not None:
            self.result |= {"state": clean(state), "status": named(clean(status))}
            check_words(self.here, self.talk, state, status)
        self.result["comment"] = self.comment

    def top_log(self, path: str) -> None:
        """The log of the test's top record, which is the test itself when it has no items."""
        event = self.here.event("result", state="", status="", comment="", log=path)
        self.events.append({**event, "item": ""})

    # -- steps

    def step(self, name: str) -> None:
        """Record a step by hand, with the data and the outcome that NAME.dat holds for it."""
        state, status = self.args.value("-state", ":state"), self.args.value("-status", ":status")
        if state is None or status is None:
            raise Refused(6, "-step needs -state and -status")
        check_words(self.here, self.talk, state, status)
        comment = self.comment
        path = os.path.join(self.here.dir, f"{name}.dat")
        if os.path.exists(path):
            from mt.pipeline.logpro.dat import load

            found = load(path, name)
            self.events += [self.here.event("value", **row) for row in (found.rows if found else ())]
            comment = (found.comment if found else None) or comment
        exits = [int(status)] if state == "end" and status.isdigit() else []
        log = self.result["log"]
        if state != "start" and not (
            comment and log
        ):  # one record holds both rows of old: what began it said counts on
            begun = self._said_of(name)
            comment, log = comment or str(begun.get("comment", "")), log or str(begun.get("log", ""))
        self._step(name, clean(state), clean(status), exits=exits, log=log, comment=comment)

    def _said_of(self, name: str) -> dict[str, Any]:
        """The last event of a step of this attempt."""
        events = (e for e in reversed(self.here.said()) if e.get("k") == "step" and e.get("name") == name)
        return next(events, {})

    def run_step(self, name: str) -> int:
        """Run the left-over words as a step, by the shell and where we are; gives the code that counts."""
        if not self.args.rest:
            raise Refused(6, "-runstep: nothing to run")
        from mt.pipeline.command import execute

        log = f"{name}.log"
        begun = time.time()
        about: dict[str, object] = {"pid": os.getpid(), "start": begun, "log": self._seen(log), "comment": self.comment}
        self._step(name, "start", "n/a", exits=[], **about)
        self.send()
        done = execute((shell(), "-c", " ".join(self.args.rest)), log, echo=False)
        code = self._judged(name, log) if self.args.has("-logpro") else done.code
        used = {"secs": round(done.secs, 6), "cpu": round(done.cpu, 6), "rss": done.rss}
        self._step(name, "end", str(code), exits=[done.code], **about, **used)
        return code

    def _judged(self, name: str, log: str) -> int:
        """The code of the log rules; their page becomes the log of the test."""
        from mt.pipeline.logpro import judge_file

        rules = self.args.value("-logpro") or ""
        try:
            with open(f"{name}_logpro.log", "wb") as annotated:
                code = judge_file(rules, log, f"{name}.html", f"{name}.dat", annotated=annotated).code
        except MtError as e:
            self.talk.error(e.lines()[0])
            return 1
        self.result["log"] = self._seen(f"{name}.html")
        return code

    def _seen(self, name: str) -> str:
        """A file made here, as it is called from the run directory when it is somewhere below that."""
        where, top = os.path.realpath(name), os.path.realpath(self.here.dir)
        return os.path.relpath(where, top) if where.startswith(top + os.sep) else os.path.abspath(name)

    def _step(self, name: str, state: str, status: str, **fields: object) -> None:
        row: dict[str, object] = {"number": 0, "pid": 0, "start": time.time(), "secs": 0.0, "cpu": 0.0, "rss": 0}
        self.events.append(self.here.event("step", name=name, state=state, status=status, **{**row, **fields}))


def clean(text: str | None) -> str:
    """A word as the store takes it: bytes that are no UTF-8 cannot be kept."""
    if not text or text.isascii():
        return text or ""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def named(status: str) -> str:
    """The status that is meant: of numbers 0 is PASS and any other FAIL."""
    if not status[:1].strip("0123456789+-."):
        from mt.tolerance import number

        found = number(status)
        return status if found is None else "FAIL" if found else "PASS"
    return status


def shell() -> str:
    """What runs the words of -runstep: bash where there is one (spec/config.md X8)."""
    return "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"


def read_input() -> Iterator[str]:
    """The lines of standard input, whatever bytes they are."""
    if sys.stdin is not None:
        for line in sys.stdin.buffer:
            yield line.decode("utf-8", "replace")


def rolled_up(events: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    """State and status that loaded values give a test which had named its result; None when nothing changes.

    A test that has not, or that says RUNNING, is judged when it ends.
    """
    from mt.tolerance import tally

    results = [e for e in events if e.get("k") == "result" and e.get("state")]
    if not results or results[-1]["state"] == "RUNNING":
        return None
    state, status = str(results[-1]["state"]), str(results[-1]["status"])
    last = {(e["category"], e["variable"]): str(e["status"]) for e in events if e.get("k") == "value"}
    passed, failed = tally(last.values())
    new = "FAIL" if failed else "PASS" if passed and status not in ("WARN", "FAIL") else status
    return (state, new) if new != status else None


def check_words(here: Inside, talk: Talk, state: str, status: str) -> None:
    """Words that [validvalues] does not know are only remarked on, at level 3; the area is not read otherwise."""
    if not talk.shown(3):
        return
    from mt.area import Area

    try:
        area = Area.open(os.path.dirname(here.db), environ=os.environ)
    except MtError as e:
        talk.say(3, f"WARNING: [validvalues] cannot be read: {e.what}")
        return
    for kind, word in (("state", state), ("status", status)):
        allowed = (area.setting("validvalues", kind) or "").split()
        if allowed and word not in allowed:
            talk.say(3, f"WARNING: {kind} {word} is none of [validvalues] {kind}: {' '.join(allowed)}")


def summarize(here: Inside, talk: Talk) -> None:
    """Write the page of the test's items now, whatever log the top record has."""
    from mt.area import Area
    from mt.db import Store
    from mt.fold import refresh
    from mt.model import RunKey
    from mt.pipeline.itempage import summarize as write_pages

    home = os.path.dirname(here.db)
    store = Store(home)
    refresh(store, here.run_id)
    run = RunKey(here.target, here.run)
    area = Area.open(home, target=here.target, run=here.run, environ=os.environ)
    for written in write_pages(area, store, here.run_id, run, [here.test], force=True):
        if written.trouble:
            talk.warn(f"the page of {here.test} was not written: {written.trouble}")


# -- about the case, from outside as well


def show_cmdinfo(args: Args, talk: Talk) -> int:
    """What MT_CMDINFO says, as pairs or, with -dumpmode json, as an object."""
    try:
        here = inside(os.environ)
    except UsageError as e:
        talk.info(0, f"there is nothing to show: {e.what}")
        return 0
    facts: dict[str, str | int] = {
        "toppath": os.path.dirname(here.db), "work-area": here.dir, "test-name": here.test, "item-path": here.item,
        "run-id": here.run_id, "target": here.target, "runname": here.run, "attempt": here.attempt,
    }  # fmt: skip
    import json

    if args.value("-dumpmode") == "json":
        print(json.dumps(facts))
    else:
        lines = (f"({name} . {json.dumps(value, ensure_ascii=False)})" for name, value in facts.items())
        print("(" + "\n ".join(lines) + ")")
    return 0


def recover(args: Args, talk: Talk) -> int:
    """Settle a case whose worker is gone, by what is on disk; `-recover-test RUN-ID,TEST-ID`."""
    words = (args.value("-recover-test") or "").split(",")
    if len(words) != 2 or not all(word.strip().isdigit() for word in words):
        raise Refused(1, "-recover-test needs RUN-ID,TEST-ID, two numbers")
    from mt.db import Store
    from mt.megatest.prepare import open_area
    from mt.pipeline.history import patience
    from mt.pipeline.recover import recover_case

    area = open_area(args, talk)
    state, status, why = recover_case(Store(area.home), int(words[0]), int(words[1]), patience(area))
    talk.info(0, f"test {words[1].strip()} of run {words[0].strip()} is {state}/{status}: {why}")
    return 0
