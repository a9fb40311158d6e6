"""Prove that a launcher works, by jobs that tell what they see (`mt launcher try`; mt/pipeline/probing.py is the jobs).

A check is a row: what, `ok`, `warn`, `fail` or `skip`, seconds, and a note for
people.  Everything is done as a run would do it: the same interpreter, the same
kind of files, the same commands of the engine.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any, NamedTuple

import mt
from mt.errors import StoreError, why
from mt.launchers.words import Choice, launchers_named, read_choice
from mt.pipeline.choosing import Launcher, detaches
from mt.pipeline.probing import read
from mt.pipeline.thrift import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeVar

    from mt.config import Config

    T = TypeVar("T")
    Hello = dict[str, Any]

#: seconds between two looks, at first and at most
_SOON, _LATE = 0.02, 0.5
#: seconds by which a clock may differ, and in which an answer should come over a shared disk
_CLOCK, _SLOW = 5.0, 5.0
#: a limit of memory that is further from what was asked is not what was meant
_NEAR = 0.1


class Check(NamedTuple):
    """One thing that was tried; after one that is `fatal` nothing else can be."""

    check: str
    result: str
    secs: float | None
    note: str
    fatal: bool = False


def trial(text: str, config: Config | None, place: str, patience: float, env: Mapping[str, str]) -> Iterator[Check]:
    """Try a launcher, with files in a new directory below `place` that is gone afterwards.

    `patience` is how many seconds a job may take to begin, and to end.  Raises
    ConfigError for a launcher that cannot be understood, StoreError for a place
    that cannot be used.
    """
    choice = read_choice(text, launchers_named(config) if config else {})
    try:
        directory = tempfile.mkdtemp(prefix="try-", dir=place)
    except OSError as e:
        raise StoreError(f"cannot make a directory in '{place}': {why(e)}", hint="--dir names another place") from e
    try:
        yield from _chosen(text, choice, config, directory, patience, env).checks()
    finally:
        _remove(directory)


def _chosen(
    text: str, choice: Choice | None, config: Config | None, directory: str, patience: float, env: Mapping[str, str]
) -> Trial:
    if choice is not None:
        from mt.pipeline.trying_engines import EngineTrial

        return EngineTrial(choice, directory, patience, env)
    shell = not config or config.get("jobtools", "useshell") != "no"
    local = text.strip() in ("", "local") or (detaches(text) and not env.get("NBFAKE_HOST"))
    return CommandTrial(Launcher("" if local else text, shell, local), directory, patience, env)


class Trial:
    """What all trials share: files, patience, and what a job tells."""

    engine = "local"

    def __init__(self, directory: str, patience: float, env: Mapping[str, str]) -> None:
        self.directory = directory
        self.patience = patience
        self.env = env
        self.out = os.path.join(directory, "out")
        self.token = secrets.token_hex(8)
        os.mkdir(self.out)
        for name, body in (("token", self.token), ("ask", "")):
            with open(os.path.join(directory, name), "w", encoding="ascii") as f:
                f.write(body)

    def checks(self) -> Iterator[Check]:
        """All checks, one after the other."""
        raise NotImplementedError

    def command(self, python: str, name: str, *, hold: bool = False) -> tuple[str, ...]:
        """The words that start a job of ours, which gives up when nobody comes."""
        seconds = f"{self.patience * 3 + 60:.0f}"
        words = (python, "-m", "mt.pipeline.probing", self.directory, name, self.engine, seconds)
        return (*words, "hold") if hold else words

    # -- what a job tells ---------------------------------------------------------------------------

    def told(self, name: str) -> Hello | None:
        """What a job wrote into a file; None when it is not there yet."""
        try:
            if name not in os.listdir(self.directory):  # asks the server, as opening a name that was not there does not
                return None
            found: Hello = json.loads(read(os.path.join(self.directory, name)))
        except (OSError, ValueError):
            return None
        return found

    def wait(self, done: Callable[[], T | None], seconds: float = 0.0) -> T | None:
        """What is there at last; None when it does not come in time (as long as our patience, or so many seconds)."""
        until, pause = time.monotonic() + (seconds or self.patience), _SOON
        while (found := done()) is None and time.monotonic() < until:
            time.sleep(pause)
            pause = min(pause * 1.5, _LATE)
        return found

    def of_hello(self, hello: Hello, name: str, *, asked_memory: int = 0, where: str = "") -> Iterator[Check]:
        """The checks of a job that has begun: disk, Python, clock, memory."""
        host, late = hello["host"], time.time() - hello["time"]
        same = hello["token"] == self.token
        note = f"{host} reads what was written here" if same else f"{host} sees another '{self.directory}'"
        yield Check(f"disk there{where}", "ok" if same else "fail", None, note)
        yield self._answer(hello, f"{name}.answer", where)
        yield self._python(hello, where)
        ahead = -late if late < 0 else 0.0
        result = "warn" if ahead > _CLOCK or late > self.patience + _CLOCK else "ok"
        yield Check(f"clock{where}", result, None, f"{ahead:.0f} s ahead of ours" if ahead > _CLOCK else "like ours")
        yield _memory(hello, asked_memory, where)

    def _answer(self, hello: Hello, name: str, where: str) -> Check:
        begun = time.monotonic()
        asked = f"{secrets.token_hex(8)}\n"
        with open(os.path.join(self.directory, "ask"), "w", encoding="ascii") as f:
            f.write(asked)
        found = self.wait(lambda: self.told(name))
        secs = time.monotonic() - begun
        if found is None or found["text"] != asked:
            note = f"what is written here does not come to {hello['host']} in {secs:.0f} s, or its answer not back"
            return Check(f"disk both ways{where}", "fail", secs, note)
        slow = "; its caches are slow" if secs > _SLOW else ""
        return Check(f"disk both ways{where}", "warn" if slow else "ok", secs, f"{hello['host']} answered{slow}")

    @staticmethod
    def _python(hello: Hello, where: str) -> Check:
        note = f"Python {hello['python']} with mt {hello['mt']} in {hello['where']}"
        if hello["mt"] != mt.__version__:
            return Check(f"python{where}", "fail", None, f"{note}; here it is mt {mt.__version__}")
        other = hello["python"] != sys.version.split()[0]
        return Check(f"python{where}", "warn" if other else "ok", None, note)

    def last_output(self) -> str:
        """The last line that a job has printed."""
        from mt.pipeline.lots import last_line

        return last_line(self.out)


def _memory(hello: Hello, asked: int, where: str) -> Check:
    """Whether the memory that was asked for is what the job may use: engines count in units of their own."""
    limits: dict[str, int] = hello["memory"]
    seen = ", ".join(f"{name} {size(value)}" for name, value in limits.items())
    if not asked:
        return Check(f"memory{where}", "skip", None, f"none was asked for{f'; limits: {seen}' if seen else ''}")
    if not limits:
        return Check(f"memory{where}", "warn", None, f"{size(asked)} was accepted; nothing there limits it")
    if any(abs(value - asked) <= asked * _NEAR for value in limits.values()):
        return Check(f"memory{where}", "ok", None, f"asked {size(asked)}: {seen}")
    return Check(
        f"memory{where}", "warn", None, f"asked {size(asked)}, and got {seen}: does the engine count otherwise?"
    )


class CommandTrial(Trial):
    """A command in front, or nothing at all, which is `local`."""

    def __init__(self, launcher: Launcher, directory: str, patience: float, env: Mapping[str, str]) -> None:
        super().__init__(directory, patience, env)
        self.launcher = launcher
        self.started: list[subprocess.Popen[bytes]] = []

    def checks(self) -> Iterator[Check]:
        """Start one job and let it answer; of our own ones end another."""
        try:
            yield from self._checks()
        finally:
            for process in self.started:
                with suppress(ProcessLookupError):
                    process.kill()
                process.wait()

    def _checks(self) -> Iterator[Check]:
        name = self.launcher.words[0] if self.launcher.words else ""
        found = not name or shutil.which(name, path=self.env.get("PATH")) or self.launcher.shell
        if name and not found:
            yield Check("programs", "fail", None, f"no '{name}' on PATH", fatal=True)
            return
        begun = time.monotonic()
        try:
            process = self.start("one")
        except OSError as e:
            yield Check("start", "fail", None, f"cannot run '{name or sys.executable}': {why(e)}", fatal=True)
            return
        hello = self.wait(lambda: self.told("one.0.hello") or self._failed(process))
        secs = time.monotonic() - begun
        if hello is None or "status" in hello:
            said = self.last_output()
            what = f"it ended with {hello['status']}" if hello else f"nothing began within {secs:.0f} s"
            yield Check("start", "fail", secs, f"{what}{f': {said}' if said else ''}", fatal=bool(hello))
            return
        yield Check("start", "ok", secs, f"on {hello['host']}, as process {hello['pid']}")
        yield from self.of_hello(hello, "one.0")
        yield self._end(process)
        yield (
            self._cancel()
            if self.launcher.local
            else Check(
                "cancel", "skip", None, "a command has no way to end what it started; mt-kill asks the case itself"
            )
        )

    def start(self, name: str, *, hold: bool = False) -> subprocess.Popen[bytes]:
        """Start a job as a case would be; raises OSError."""
        job = self.command(sys.executable, name, hold=hold)
        argv = job if self.launcher.local else self.launcher.argv(job)
        with open(os.path.join(self.out, name), "wb") as log:
            process = subprocess.Popen(
                argv, env=dict(self.env), cwd=self.out, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    @staticmethod
    def _failed(process: subprocess.Popen[bytes]) -> Hello | None:
        """The bad status of the launching command; a good one says nothing, because it may only have handed it over."""
        return {"status": process.returncode} if process.poll() else None

    def _end(self, process: subprocess.Popen[bytes]) -> Check:
        begun = time.monotonic()
        status = self.wait(process.poll)
        secs = time.monotonic() - begun
        if status is None:
            return Check("end", "warn", secs, "the job has answered, and the command still runs")
        return Check(
            "end", "warn" if status else "ok", secs, f"the command ended with {status}" if status else "it left"
        )

    def _cancel(self) -> Check:
        begun = time.monotonic()
        process = self.start("two", hold=True)
        if self.wait(lambda: self.told("two.0.hello")) is None:
            return Check("cancel", "fail", time.monotonic() - begun, "a second job did not begin")
        begun = time.monotonic()
        process.terminate()
        ended = self.wait(lambda: None if process.poll() is None else True)
        return Check(
            "cancel", "ok" if ended else "fail", time.monotonic() - begun, "TERM ended it" if ended else "it lives"
        )


def _remove(directory: str) -> None:
    """Take the directory away; a job that has just been ended may still close its output there."""
    for _ in range(20):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            return
        time.sleep(_SOON * 5)
    raise StoreError(f"cannot remove '{directory}': somebody still writes there")
