"""Inside a case: one step, from its command line to its status.

A step is `command > NAME.log`, then the log rules when there are any
(spec/config.md 4.3, 4.4).  The worker is in the run directory, so every name
here is relative to it.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mt.errors import ConfigError, LaunchError, MtError, why
from mt.infra import Rules, judged_by
from mt.model import StepRow, ValueRow
from mt.pipeline import machine, proc, verdict
from mt.pipeline.stepline import Line, parse_line

BASH = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
_NOT_FOUND, _NOT_RUNNABLE = 127, 126


class Rig(NamedTuple):
    """What all steps of one case share; `rules` gives those of `[infra]`, asked only when a step failed."""

    test: str
    item: str
    attempt: int
    env: Mapping[str, str]
    mark: bytes
    watch: proc.Watch
    wake: int
    source: int
    record: Callable[[str, Any], object]
    flush: Callable[[], None]
    every_stage: bool
    kills: machine.Kills
    rules: Callable[[], Rules]


class Ran(NamedTuple):
    """How the command of a step ended, and what stood in its way: it could not be started, or the machine failed."""

    ended: proc.Ended
    trouble: str = ""
    machine: str = ""


class Done(NamedTuple):
    """How one step went; `code` is the log processor's where there is one, which is what `judged` says."""

    code: int
    status: str
    message: str
    ended: proc.Ended
    judged: bool = False


class Passing:
    """What steps hand on: `.ezsteps/STEP.sh` or `.ezsteps/STEP` that a step left is sourced by those after it (T12)."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [name.replace("/", "_") for name in names]
        if len(names) > 1:
            try:
                os.mkdir(".ezsteps")
            except OSError:
                pass  # it is there already, or nothing can be handed on

    def command(self, number: int, command: str) -> str:
        """The command of step `number` (from 1), after what earlier steps have left."""
        left = [path for name in self.names[: number - 1] for path in _left_by(name)]
        return "".join(f". ./{shlex.quote(path)}\n" for path in left) + command if left else command


def _left_by(name: str) -> list[str]:
    return [path for path in (f".ezsteps/{name}.sh", f".ezsteps/{name}") if os.path.isfile(path)][:1]


def run_step(rig: Rig, number: int, name: str, command: str, rules: str | None) -> Done:
    """Run one step and record its start and end; never raises for what the step itself does wrong."""
    log = name.replace("/", "_") + ".log"
    begun = time.time()
    row = StepRow(rig.test, rig.item, rig.attempt, name, number, "start", "-", (), 0, begun, log=log)
    line = parse_line(command)
    ran = _execute(rig, line, log, row)
    ended = ran.ended
    code = verdict.pipeline_code(ended.exits, every_stage=rig.every_stage)
    message = ran.trouble or verdict.describe(ended.exits, every_stage=rig.every_stage)
    shown, judged = log, False
    if not ended.killed:
        rules_file = _rules_file(name, rules)
        if rules_file:
            judged = True
            code, message, shown = _judge(rig, name, rules_file, log)
    status = "KILLED" if ended.killed else verdict.step_status(code, judged=judged)
    if status in verdict.BAD:
        blame = ran.machine or blamed(rig, ended, log, judged=judged)
        if blame:
            status, message = "INFRA", f"{message}, {blame}" if message else blame
    rig.record(
        "step",
        row._replace(
            state="end", status=str(code), exits=ended.exits, secs=round(ended.secs, 6), cpu=round(ended.cpu, 6),
            rss=ended.rss, log=shown, comment=ended.killed or message,
        ),
    )  # fmt: skip
    return Done(code, status, message, ended, judged)


def _execute(rig: Rig, line: Line, log: str, row: StepRow) -> Ran:
    """Start and wait; a command that cannot be started ends at once with 126 or 127 and says so in its log."""
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as e:
        raise MtError(f"cannot write '{log}': {why(e)}") from e
    try:
        try:
            pids = _start(line, rig.env, out, rig.source)
        except MtError as e:
            _tell(out, f"mt: {e.what}\n")
            code = _NOT_FOUND if "not found" in e.what else _NOT_RUNNABLE
            rig.record("step", row)
            blame = "" if isinstance(e, LaunchError) else "which is no fault of the test"
            return Ran(proc.Ended((code,), 0.0, 0.0, 0), e.what, blame)
        rig.record("step", row._replace(pid=pids[0]))
        return watched(rig, pids)
    finally:
        os.close(out)


def _tell(out: int, text: str) -> None:
    """Write to a log, if that is possible."""
    try:
        os.write(out, text.encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # what is said stands in the record too


def watched(rig: Rig, pids: Sequence[int]) -> Ran:
    """Wait for processes, and tell whether the kernel ended one of them for want of memory."""
    before = [rig.kills.at_once()]

    def slow() -> None:
        """The step lasts: time for what costs more."""
        rig.flush()
        before[0] = rig.kills.count() if before[0] is None else before[0]

    ended = proc.wait(pids, rig.watch, mark=rig.mark, wake=rig.wake, slow=slow)
    blame = "" if ended.killed else machine.ended_by_kernel(ended.exits, before[0], rig.kills)
    return Ran(ended, "", blame)


def blamed(rig: Rig, ended: proc.Ended, log: str, *, judged: bool, start: int = 0) -> str:
    """Why a failure is the machine's, in words: the disk is full, or a rule of `[infra]` fits; empty when it is not."""
    full = machine.full(".")
    if full:
        return full
    rules = rig.rules()
    exits = ended.exits if rig.every_stage else ended.exits[-1:]
    return judged_by(rules, exits, machine.tail(log, start) if rules.logs else "", by_log_rules=judged)


def _start(line: Line, env: Mapping[str, str], out: int, source: int) -> list[int]:
    if line.shell:
        return [proc.spawn((BASH, "-c", line.shell), env, out, source, BASH)]
    if len(line.stages) == 1:
        return [proc.spawn(line.stages[0], env, out, source)]
    if not line.stages:
        return [proc.spawn(("true",), env, out, source)]
    return proc.spawn_pipeline(line.stages, env, out, source)


def run_script(rig: Rig, command: str, log: str) -> tuple[proc.Ended, str]:
    """Run the runscript through the shell, appending its output to the launcher log (spec/config.md T3).

    Also gives why its failure would be the machine's; empty when it is its own.
    """
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        start = os.fstat(out).st_size
        ran = watched(rig, [proc.spawn((BASH, "-c", command), rig.env, out, rig.source, BASH)])
    finally:
        os.close(out)
    if ran.ended.killed or ran.ended.exits == (0,):
        return ran.ended, ""
    return ran.ended, ran.machine or blamed(rig, ran.ended, log, judged=False, start=start)


def script_command(value: str) -> str:
    """The runscript as the shell shall see it: a file of the run directory, a path, or a command on PATH."""
    word, _, more = value.strip().partition(" ")
    if "/" not in word and os.path.isfile(word):
        if not os.access(word, os.X_OK):
            try:
                os.chmod(word, os.stat(word).st_mode | 0o110)  # noqa: S103 - as T3 asks
            except OSError:
                return value
        return f"./{word} {more}".rstrip()
    return value


def _rules_file(name: str, rules: str | None) -> str | None:
    """The log rules of a step: its file wins over the section, whose text is written to that file."""
    path = name.replace("/", "_") + ".logpro"
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as e:  # a step must not pass because its rules cannot be read
        raise MtError(f"cannot read '{path}': {why(e)}") from e
    else:
        return path
    if rules is None:
        return None
    try:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(f";; rules of step {name}\n;; from the [logpro] section of the testconfig\n{rules}\n")
    except OSError:
        with suppress(OSError):  # half of the rules must not be taken for all of them the next time
            os.unlink(path)
        raise
    return path


def _judge(rig: Rig, name: str, rules_file: str, log: str) -> tuple[int, str, str]:
    """The log processor's code, its message, and the page it wrote; its values become rows."""
    from mt.pipeline.logpro import judge_file

    stem = name.replace("/", "_")
    try:
        found = judge_file(rules_file, log, f"{stem}.html", f"{stem}.dat")
    except ConfigError as e:
        return 1, f"{e.where}: {e.what}" if e.where else e.what, log
    for value in found.values:
        rig.record(
            "value",
            ValueRow(
                rig.test, rig.item, rig.attempt, name, value.name, str(value.measured), str(value.expected),
                str(value.tol), value.units, value.desc, value.status, value.type,
            ),
        )  # fmt: skip
    return found.code, found.message, f"{stem}.html"
