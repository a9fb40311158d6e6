"""From what was typed to a request, and from an outcome to what is said: shared by `mt run` and `mt rerun`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from mt import queries, retries
from mt.area import Area
from mt.db import Store
from mt.errors import BusyError, ConfigError, MtError, UsageError, why
from mt.fold import refresh
from mt.model import CaseKey, RunKey, case_id
from mt.pipeline import history, naming
from mt.pipeline.contract import Policy
from mt.pipeline.joining import again_of
from mt.pipeline.plan import Plan, Selection
from mt.pipeline.run import Outcome, Request, planned, run
from mt.selectors import parse_id
from mt.states import verdict
from mt.stdio import say


class Typed(Protocol):
    """The options that `mt run` and `mt rerun` share."""

    chdir: str | None
    target: str | None
    run: str | None
    quiet: bool
    jobs: int | None
    load: float | None
    fail_fast: bool
    max_fail: int | None
    retries: int | None
    retry: str | None
    tags: str | None
    order: str | None
    launcher: str | None
    keep_files: bool
    set_vars: tuple[str, ...]


def from_run(opts: Typed, words: Sequence[str]) -> tuple[Area, Request]:
    """The area and the request of a `mt run` command line; ids may name target and run, which then must agree."""
    target, name, pieces = opts.target, opts.run, []
    for word in words:
        if "//" not in word:
            pieces.append(word)
            continue
        said = parse_id(word)
        target, name = agreed(target, said.target, "target"), agreed(name, said.run, "run")
        pieces.append(literal(CaseKey(said.test, said.item or "")) if said.test and said.item else said.test or "%")
    area, key = open_area(opts, target, name)
    patterns = ",".join(pieces) if pieces else None
    pattern = area.testpatt(patterns) or "%"
    return area, make(area, opts, key, Selection(pattern, opts.tags), None)


def agreed(old: str | None, new: str | None, what: str) -> str | None:
    """One value for all ids; UsageError when they name several."""
    if old and new and old != new:
        raise UsageError(f"ids of several {what}s: '{old}' and '{new}'", hint=f"one {what} at a time")
    return new or old


def open_area(opts: Typed, target: str | None, name: str | None) -> tuple[Area, RunKey]:
    """Open the area for a target and a run name; fills in what was not said."""
    pairs = [_pair(text) for text in opts.set_vars]
    if name is not None:
        naming.checked(name)
    area = Area.open(opts.chdir, target=target, run=name, setvars=pairs)
    if area.target is None and area.keys:
        target = naming.only_target(area)
        if target and not opts.quiet:
            say(f"target: {target}")
    key_area = area if target is None or area.target else Area.open(opts.chdir, target=target, run=name, setvars=pairs)
    key = naming.run_key(key_area, name, quiet=opts.quiet)
    area = key_area if name else Area.open(opts.chdir, target=key.target or None, run=key.name, setvars=pairs)
    refuse_unknown(area)
    return area, key


def refuse_unknown(area: Area) -> None:
    """Raise ConfigError for a target that no section of runconfigs is about, where there are such sections."""
    target = area.target
    if not target or (area.runconfigs and area.runconfigs.items(target)):
        return  # before all targets are read, which runs the commands of each
    known = [t for t in area.targets() if t != "default"]
    if not known or target in known:
        return
    from mt.targets import nearest

    hint = nearest(target, known) or "mt targets"
    raise ConfigError(f"unknown target '{target}': no section of runconfigs.config is about it", hint=hint)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set '{text}': not VAR=VALUE")
    return name, value


def make(area: Area, opts: Typed, key: RunKey, want: Selection, again: dict[str, Any] | None) -> Request:
    """A Request from options, and from what the area says of retries."""
    if opts.retries is not None and opts.retries < 0:
        raise UsageError(f"--retries {opts.retries}: at least 0")
    most = 1 if opts.fail_fast else opts.max_fail
    asked, usual = retries.asked(opts.retries, opts.retry), retries.read(area.config, "setup")
    policy = Policy(asked, usual, most, not opts.keep_files)
    if opts.jobs is not None and opts.jobs < 1:
        raise UsageError(f"-j {opts.jobs}: at least 1")
    order = tuple(ordered(opts.order)) if opts.order else ()
    return Request(
        key, want, again, opts.jobs, opts.load, policy, order, opts.quiet, naming.owner(), opts.launcher or ""
    )


def ordered(path: str) -> Iterable[CaseKey]:
    """The cases of an order file: one id a line."""
    try:
        text = sys.stdin.read() if path == "-" else _text(path)
    except OSError as e:
        raise MtError(f"cannot read order '{path}': {why(e)}") from e
    for line in text.split():
        said = parse_id(line)
        if said.test:
            yield CaseKey(said.test, said.item or "")


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def literal(key: CaseKey) -> str:
    """A pattern piece that means just this case, as far as the pattern language allows."""
    item = re.sub(r"([.^$+?{}\[\]|()\\])", r"\\\1", key.item)
    return f"{key.test}/{item}" if key.item else key.test


def obeyed(area: Area, request: Request, if_running: str) -> Outcome | None:
    """Run the request; None when somebody drives the run and `skip` was asked for."""
    from mt.locks.filelock import holder

    store = Store(area.home, create=True)
    run_id = store.run_id(request.run)
    path = store.lock_path(f"run.{run_id}") if run_id is not None else None
    who = holder(path) if path else None
    if path and who is not None and if_running == "skip":
        say(f"{request.run} is driven by {who}: skipped")
        return None
    if path and who is not None and if_running == "fail":
        raise BusyError(f"cannot drive run '{request.run}': driven by {who}", hint="mt lock show")
    if path and who is not None and if_running == "wait":
        from mt.locks.filelock import held

        with held(path, wait=True, what="waits for the run"):
            pass
    return run(area, request)


def report(outcome: Outcome | None, request: Request, *, quiet: bool, fail_flaky: bool = False) -> int:
    """Say how it ended, in one or two lines on stderr; gives the exit status: 1 for flaky cases too, if so asked."""
    if outcome is None:
        return 0
    if fail_flaky and outcome.flaky and outcome.status in (0, 8):
        outcome = outcome._replace(status=1)
    if not quiet:
        say(summary(outcome, request))
        if outcome.cut:
            say(f"stopped early: {outcome.cut}; the same command goes on")
        elif outcome.status == 1 and any(verdict(*how) == "bad" for how in outcome.counts):
            say("hint: mt why ID says why; mt rerun runs what failed again")
    return outcome.status


def summary(outcome: Outcome, request: Request) -> str:
    """One line: the run, counts by status, time."""
    words: dict[str, int] = {}
    for (state, status), n in sorted(outcome.counts.items()):
        word = status if state == "COMPLETED" else f"{state}/{status}"
        words[word] = words.get(word, 0) + n
    counted = ", ".join(f"{n} {word}" for word, n in sorted(words.items(), key=lambda p: -p[1])) or "nothing"
    unsteady = f", {outcome.flaky} of them flaky" if outcome.flaky else ""
    return f"{request.run}: {counted}{unsteady}; {outcome.ran} ran in {outcome.secs:.1f} s"


def recorded(area: Area, request: Request) -> history.History:
    """What is recorded of a run, without changing anything."""
    if not os.path.exists(os.path.join(area.db_dir, "AREA")):
        return history.History({}, {}, [], [])
    store = Store(area.home)
    run_id = store.run_id(request.run)
    if run_id is None:
        return history.History({}, {}, [], [])
    refresh(store, run_id)
    rows = queries.cases(store, run_id)
    return history.sort_out(rows, history.eyes(store, run_id), again_of(request.again))


def decisions(plan: Plan, past: history.History) -> Iterable[tuple[CaseKey, str, str]]:
    """For each case what would be done, and why."""
    living = {row.key for row in past.living}
    for number, key in enumerate(plan.cases):
        row = past.rows.get(key)
        if key in past.kept:
            yield key, "keep", f"it is {row.state}/{row.status}" if row else ""
        elif key in living:
            yield key, "adopt", "it runs already"
        elif row is not None and row.state != "NOT_STARTED":
            yield key, "run", f"it is {row.state}/{row.status}; {plan.reason(number)}"
        else:
            yield key, "run", plan.reason(number)


def dry(area: Area, request: Request, opts: Typed) -> int:
    """Print what would be done: action, id and reason as tab-separated rows."""
    plan = planned(area, request)
    for key, action, reason in decisions(plan, recorded(area, request)):
        print(f"{action}\t{case_id(request.run, key)}\t{reason}")
    for test in plan.unexpanded():
        print(f"expand\t{request.run}//{test}\tits items are computed when its prerequisites are done")
    return 0


def explain(area: Area, request: Request) -> None:
    """One line for each case on stderr."""
    for key, action, reason in decisions(planned(area, request), recorded(area, request)):
        say(f"{action} {key}: {reason}")


def detached(area: Area, request: Request, opts: Typed) -> int:
    """Start a process of its own that drives the run, and come back when it has begun."""
    planned(area, request)
    area.prepare()
    store = Store(area.home, create=True)
    run_id = store.create_run(request.run, owner=request.owner)
    log = os.path.join(store.root, "logs", f"run-{run_id}.log")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        status = 70
        try:
            status = _daemon(area, request, log, writer)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    os.wait()
    if said:
        raise MtError(f"cannot start the run: {said}")
    if not opts.quiet:
        say(f"{request.run} goes on in the background; mt wait waits for it, mt status shows it; log '{log}'")
    return 0


def _daemon(area: Area, request: Request, log: str, pipe: int) -> int:
    """The first child: leave the session, fork once more, and drive the run there."""
    os.setsid()
    if os.fork():
        return 0
    null, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o664)
    for fd, to in ((null, 0), (out, 1), (out, 2)):
        os.dup2(fd, to)
    waiting = [pipe]

    def begun(trouble: str = "") -> None:
        """Let the one go that waits for us to begin, with what went wrong if something did."""
        for fd in waiting:
            os.write(fd, os.fsencode(trouble))
            os.close(fd)
        waiting.clear()

    try:
        return report(run(area, request, begun=begun), request, quiet=False)
    except MtError as e:
        begun(e.what)
        for line in e.lines():
            say(line)
        return e.status
