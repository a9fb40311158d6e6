"""One case, top to bottom, inside its worker: directory, environment, script, steps, verdict.

The events a case leaves in the journal: a `case` row when it starts, a pair of
`step` rows for each step, a `case` row whenever the status so far changes, and
one when it is over.  They are flushed before anything slow happens and before
the controller is told of the end: what was told is on disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mt import infra
from mt.errors import MtError, why
from mt.model import CaseRow, RunKey
from mt.pipeline import casedir, caseenv, control, machine, proc, saying, summary, verdict
from mt.pipeline.steps import Passing, Rig, run_script, run_step, script_command
from mt.pipeline.waivers import Earlier, Final
from mt.states import OK
from mt.testspec import StepSpec, TestSpec, step_env

LAUNCH_LOG = "mt_launch.log"


class Order(NamedTuple):
    """What the controller asks of a worker: run this case, as this attempt.

    `record` is the number of its record, for triggers; `before` the same case in
    an earlier run, for waivers: both only where a test has such.
    """

    number: int
    test: str
    item: str
    vars: tuple[tuple[str, str], ...]
    attempt: int
    gen: int
    clean: bool
    record: int = 0
    before: tuple[Any, ...] | None = None


class Setup(NamedTuple):
    """What all cases of one run share, made once before the first worker starts."""

    run_id: int
    run: RunKey
    db: str
    kill_dir: str
    linktree: str
    host: str
    shared: caseenv.Shared
    spec: Callable[[str, Mapping[str, str]], TestSpec]
    disk: Callable[[TestSpec], str]
    source: Callable[[str], casedir.Source]
    copy_command: str
    limit: float | None
    every_stage: bool
    environment_files: Callable[[str, Mapping[str, str], caseenv.Shared], None]
    case_values: Callable[[Mapping[str, str], Iterable[str]], dict[str, str]]
    old: bool
    contour: str
    after: After
    rules: infra.Rules
    kills: machine.Kills


class After(Protocol):
    """What follows from how a case goes, beside its record."""

    def listens(self, spec: TestSpec) -> bool:
        """Whether there are triggers for a test."""
        ...

    def begun(self, row: CaseRow, placed: Placed) -> None:
        """A case has its directory: fire the triggers of all that it went through so far."""
        ...

    def changed(self, row: CaseRow, placed: Placed) -> None:
        """A state or status was recorded: fire its triggers."""
        ...

    def excused(self, row: CaseRow, placed: Placed, watch: Callable[[], str]) -> Final:
        """Status and comment of a case that has ended, its waivers considered."""
        ...

    def alone(self, row: CaseRow) -> None:
        """A case is over whose controller has left: do what it would have done for the test as a whole."""
        ...


class Interrupt(NamedTuple):
    """Why a case must end before its time, and the state that follows."""

    state: str
    status: str
    comment: str


class Note(NamedTuple):
    """Why something was decided about a case."""

    test: str
    item: str
    attempt: int
    text: str


class Placed(NamedTuple):
    """A case that has its directory: its test, the directory, and the environment of its steps."""

    spec: TestSpec
    real: str
    env: Mapping[str, str]
    number: int
    before: Earlier | None


class CaseRun:
    """One attempt of one case; `run()` does it and gives the final row."""

    def __init__(
        self, setup: Setup, order: Order, emit: Callable[[str, Any], object], flush: Callable[[], None]
    ) -> None:
        self.setup = setup
        self.order = order
        self.emit = emit
        self.flush = flush
        self.begun = time.monotonic()
        self.gen = order.gen
        where = os.path.join(setup.linktree, setup.run.target, setup.run.name, order.test, order.item).rstrip("/")
        self.row = CaseRow(  # the directory is known from the start, so that what a dead worker left can be found
            order.test, order.item, order.attempt, order.gen, host=setup.host, pid=os.getpid(), start=time.time(),
            dir=where,
        )  # fmt: skip
        self.stop: Interrupt | None = None
        self.asked: Callable[[], Interrupt | None] = lambda: None
        self.doubt: Callable[[Sequence[int]], Interrupt | None] = lambda exits: None
        self.wake = -1
        self.source = -1
        self.cpu = 0.0
        self.rss = 0
        self.control = os.path.join(setup.kill_dir, control.control_name(self.row.key))
        self.limit = setup.limit
        self.placed: Placed | None = None
        self.overruled = 0  # bytes of what the test said that a verdict of a step has overruled since

    # -- the whole case -------------------------------------------------------------------------

    def run(self, still_ours: Callable[[], bool]) -> CaseRow:
        """Run the case; gives its last row, already recorded and flushed.

        Raises only what concerns the store.  `still_ours` is asked once after
        the start has been recorded: a worker whose controller has just died
        gives the case back untouched.
        """
        self.record("RUNNING", "n/a")
        self.flush()
        if not still_ours():
            left = Interrupt("INCOMPLETE", "n/a", "its controller left before it began")
            return self.finish(self.asked() or left)
        asked = control.kill_asked(self.control)
        if asked:
            control.forget(self.control)
            return self.finish(Interrupt("KILLED", "KILLED", f"killed before it began: {asked}"))
        try:
            spec, rig, real = self.prepare()
            self.placed = Placed(spec, real, rig.env, self.order.record, Earlier.of(self.order.before))
            self.limit = spec.runtimelim if spec.runtimelim is not None else self.setup.limit
            if self.setup.after.listens(spec):
                self.setup.after.begun(self.row, self.placed)
            so_far = self.script_and_steps(spec, rig)
        except MtError as e:
            where = f"{e.where}: " if e.where else ""
            return self.finish(Interrupt("COMPLETED", "INFRA", f"{where}{e.what}"))
        except OSError as e:
            return self.finish(Interrupt("COMPLETED", "INFRA", f"cannot use '{e.filename or '.'}': {why(e)}"))
        if self.stop:
            return self.finish(self.stop)
        row = self.finish(
            self.excused(Interrupt(*saying.final(so_far, saying.said(self.order.attempt), self.overruled)))
        )
        if row.status != "PASS" or self.setup.old:
            summary.write(real, row, self.setup.run)
        return row

    def record(self, state: str, status: str, comment: str = "") -> CaseRow:
        """Append the case as it is now; every record is one generation later."""
        self.gen += 1
        self.row = self.row._replace(gen=self.gen, state=state, status=status, comment=comment)
        self.emit("case", self.row)
        if self.placed and state == "RUNNING":
            self.tell(self.row)
        return self.row

    def tell(self, row: CaseRow) -> None:
        """Let triggers know of a state and status that is recorded."""
        if self.placed and self.setup.after.listens(self.placed.spec):
            self.flush()
            self.setup.after.changed(row, self.placed)

    def excused(self, end: Interrupt) -> Interrupt:
        """The end with its status waived, when it is a bad one and there is an excuse (spec/config.md T35)."""
        if end.status in OK or self.placed is None:
            return end
        row = self.row._replace(state=end.state, status=end.status, comment=end.comment)
        final = self.setup.after.excused(row, self.placed, self.watch)
        for text in final.notes:
            self.emit("note", Note(row.test, row.item, row.attempt, text))
        return end._replace(status=final.status, comment=final.comment)

    def finish(self, end: Interrupt) -> CaseRow:
        """Record the end of the case and flush: from here on it is acknowledged."""
        self.row = self.row._replace(
            end=time.time(), secs=round(time.monotonic() - self.begun, 6), cpu=round(self.cpu, 6), rss=self.rss
        )
        row = self.record(end.state, end.status, end.comment)
        self.flush()
        self.tell(row)
        if self.row.secs > proc.QUICK:
            control.forget(self.control)
        return row

    # -- before the steps -----------------------------------------------------------------------

    def prepare(self) -> tuple[TestSpec, Rig, str]:
        """Directory, files and environment; the worker is in the directory afterwards."""
        o, s = self.order, self.setup
        env = dict(s.shared.env)
        env.update(o.vars)
        env["MT_TEST_NAME"], env["MT_ITEMPATH"] = o.test, o.item
        spec = s.spec(o.test, env)
        where = casedir.places(s.disk(spec), s.linktree, s.run.target, s.run.name, o.test, o.item)
        self.row = self.row._replace(dir=where.link)
        casedir.make(where, clean=o.clean)
        who = caseenv.Who(s.db, s.run_id, s.run, o.test, o.item, o.attempt, self.gen, where.link)
        added = caseenv.case_variables(who, o.vars, where.real, where.link)
        env.update(added)
        named = s.case_values(env, dict(o.vars))
        env.update(named)
        added.update(named)
        if spec.dynamic:
            spec = s.spec(o.test, env)
        os.chdir(where.real)
        self.complain(spec)
        self.bring_files(spec, where.real, env)
        if spec.scripts:
            from mt.pipeline.scripts import write_scripts

            write_scripts(spec.scripts, where.real)
        s.environment_files(where.real, added, s.shared)
        env.update(spec.prelaunch)
        env["PATH"] = env.get("PATH", os.defpath) + ":."
        rig = Rig(
            o.test, o.item, o.attempt, env, caseenv.mark(who), self.watch, self.wake, self.source, self.emit,
            self.flush, s.every_stage, s.kills, lambda: infra.rules_of(spec.config).over(s.rules),
        )  # fmt: skip
        return spec, rig, where.real

    def complain(self, spec: TestSpec) -> None:
        """Say in the launcher log who runs the case, and what was wrong in the testconfig as it was read for it."""
        wrong = [p for p in spec.problems if p.level == "error"] if spec.dynamic else []
        if wrong or self.setup.old:  # of old the log was there in any case
            with open(LAUNCH_LOG, "a", encoding="utf-8", errors="surrogateescape") as log:
                log.write(f"LAUNCHCMD: run by the worker with pid {os.getpid()} on {self.setup.host}\n")
                log.writelines(f"ERROR: {p.where}: {p.text.removeprefix('ERROR: ')}\n" for p in wrong)

    def bring_files(self, spec: TestSpec, real: str, env: Mapping[str, str]) -> None:
        """Copy the test's files in, by the area's own copy command when it has one."""
        if not self.setup.copy_command:
            casedir.fill(self.setup.source(spec.dir), real)
            return
        command = casedir.copy_command(self.setup.copy_command, spec.dir, real)
        out = os.open(LAUNCH_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            pid = proc.spawn(("/bin/sh", "-c", command), env, out, self.source, "/bin/sh")
            ended = proc.wait([pid], self.watch, mark=b"", slow=self.flush)
        finally:
            os.close(out)
        if ended.exits != (0,):
            trouble = f"cannot copy test directory '{spec.dir}': {verdict.describe(ended.exits)} of testcopycmd"
            if not self.setup.old:
                raise MtError(trouble)
            with open(LAUNCH_LOG, "a", encoding="utf-8", errors="surrogateescape") as log:
                log.write(f"ERROR: {trouble}\n")

    # -- script and steps -----------------------------------------------------------------------

    def script_and_steps(self, spec: TestSpec, rig: Rig) -> verdict.Overall:
        """Run the script, then the steps; gives the verdict so far (T4 to T17)."""
        so_far = verdict.Overall()
        if spec.runscript:
            ended, blame = run_script(rig, script_command(spec.runscript), LAUNCH_LOG)
            self.used(ended)
            code = ended.exits[0]
            status = verdict.script_status(code)
            words = verdict.describe(ended.exits) or status
            if blame and status in verdict.BAD:
                self.overruled = saying.length()
                return verdict.infra("runscript", f"{words}, {blame}")
            so_far = verdict.Overall(status, "" if status == "PASS" else f"runscript: {words}", True)
            if code < 0 or self.stop:
                return so_far
        steps, rules = self.steps(spec)
        passing = Passing([step.name for step in steps])
        for number, step in enumerate(steps, 1):
            stepping = rig._replace(env=step_env(rig.env, step.vars)) if step.vars else rig
            done = run_step(stepping, number, step.name, passing.command(number, step.command), rules.get(step.name))
            self.used(done.ended)
            if self.stop:
                return so_far
            if done.judged or done.status != "PASS":
                self.overruled = saying.length()
            script_failed = spec.runscript is not None and so_far.status not in ("PASS", "WARN")
            before = so_far
            so_far = verdict.after_step(so_far, step.name, done.status, done.message)
            if script_failed:
                so_far = before._replace(go_on=done.status in ("PASS", "WARN"))
            if not so_far.go_on:
                break
            if number < len(steps) and so_far.status != self.row.status:
                self.record("RUNNING", so_far.status)
        return so_far

    def steps(self, spec: TestSpec) -> tuple[Sequence[StepSpec], Mapping[str, str]]:
        """The steps of a test with their log rules; a sub-run is one more, after the others (T65)."""
        if not spec.subrun:
            return spec.steps, spec.logpro
        from mt.pipeline.subrun import NAME, subrun_of

        below = subrun_of(spec, self.setup.run, os.path.dirname(self.setup.db))
        if below is None:
            return spec.steps, spec.logpro
        below.prepare(os.getcwd())
        rules = spec.logpro if below.rules is None else {**spec.logpro, NAME: below.rules}
        return (*spec.steps, below.step), rules

    def used(self, ended: proc.Ended) -> None:
        """Add up what a step used; of one that failed: was its end a signal that was meant for its worker as well?"""
        self.cpu += ended.cpu
        self.rss = max(self.rss, ended.rss)
        if self.stop is None and any(ended.exits):  # a script says 1 or 2 when what it called was ended
            self.stop = self.doubt(ended.exits)

    def watch(self) -> str:
        """Asked twice a second while a step runs: is there a reason to end it?"""
        self.stop = self.stop or self._reason()
        return self.stop.comment if self.stop else ""

    def _reason(self) -> Interrupt | None:
        asked = control.kill_asked(self.control)
        if asked:
            return Interrupt("KILLED", "KILLED", f"killed by {asked}")
        if self.limit is not None and time.monotonic() - self.begun > self.limit:
            return Interrupt("KILLED", "KILLED", f"ran longer than its limit of {self.limit:g} s")
        return self.asked()
