"""The fixture that puts the fake commands of a batch engine on PATH (`batchfakes/`), and leaves nothing behind.

    def test_x(fake_engine, tmp_path):
        lsf = fake_engine("lsf", tmp_path)
        subprocess.run(["bsub", ...], env=lsf.env)
        lsf.set(slots=1, away=True)       # turn a knob; None or False turns it back

Knobs:
    slots=N        so many tasks at once (4)
    grace=SECONDS  from the first signal of a cancelled job to KILL (0.5)
    slow=SECONDS   every command takes so long
    away, expired  every command fails: the server is not there, the credential is no longer good
    garbage=TEXT   queries print that
    refuse=WHY     submissions fail
    swallow        submissions seem to succeed, and no job ever appears
    pend=REASON    nothing starts; hold=REASON  the same, in the engine's words for held jobs
    suspend        what runs is stopped
    twice          each task starts twice, under one id
    end_word=WORD  ends are reported as: preempted, memory, time, node
and for running jobs, `all`, an id `101` or a task `101.4`, once:
    lose           killed, and the engine knows nothing of it any more
    end            killed (use it with end_word)
    requeue        killed, and started again under the same id
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest
from batchfakes.front import engine_named
from batchfakes.records import ALONE, Records
from batchfakes.site import MARK, Site

#: knobs for one use
ONCE = {"lose", "end", "requeue"}
_HERE = Path(__file__).resolve().parent
_LAUNCHER = """\
#!{python} -SE
import sys
sys.path[:0] = [{here!r}]
from batchfakes.front import main
sys.exit(main({engine!r}, {command!r}, {home!r}))
"""


class Row(NamedTuple):
    """One task as the fake knows it; `task` is None for a job that is no array, `status` as wait() gives it."""

    id: int
    task: int | None
    name: str
    queue: str
    state: str
    status: int
    pids: tuple[int, ...]
    spec: dict[str, Any]


class FakeEngine:
    """The commands of one engine in a directory of their own, and the site behind them."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.home = home
        self.bin = home / "bin"
        self.bin.mkdir(parents=True)
        for command in engine_named(name).commands:
            path = self.bin / command
            path.write_text(
                _LAUNCHER.format(
                    python=sys.executable, here=str(_HERE), engine=name, command=command, home=str(self.state)
                )
            )
            path.chmod(0o755)
        #: what else is in the environment
        self.own: dict[str, str] = {}
        self._site = Site(str(self.state))

    @property
    def state(self) -> Path:
        return self.home / "site"

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the engine is installed."""
        return {**os.environ, **self.own, "PATH": f"{self.bin}:{os.environ['PATH']}", MARK: str(self.state)}

    def set(self, **knobs: object) -> None:
        """Turn knobs; those for one use have had their effect when this returns, if jobs run."""
        for name, value in knobs.items():
            path = self.state / "knobs" / name
            if value is None or value is False:
                path.unlink(missing_ok=True)
                continue
            path.with_name(f".{name}").write_text("1" if value is True else str(value))
            path.with_name(f".{name}").replace(path)
        for name in set(knobs) & ONCE:
            while self._site.wake() and (self.state / "knobs" / name).exists():
                sleep(0.002)
        self._site.wake()

    def jobs(self) -> list[Row]:
        """All tasks of all jobs that were submitted, forgotten ones too."""
        records = Records()
        with self._site.held():
            lines = self.state / "events.ndjson"
            records.fold(lines.read_bytes() if lines.exists() else b"")
        return [
            Row(
                job.id,
                None if t.number == ALONE else t.number,
                job.name,
                job.queue,
                t.state,
                t.status,
                tuple(t.pids),
                job.spec,
            )
            for job, t in records.tasks()
        ]

    def until(self, true: Callable[[list[Row]], object], seconds: float = 20.0) -> list[Row]:
        """The jobs, as soon as this holds for them."""
        end = monotonic() + seconds
        while not true(rows := self.jobs()):
            assert monotonic() < end, f"it never came: {[row[:7] for row in rows]}"
            sleep(0.005)
        return rows

    def close(self) -> None:
        """End the scheduler and all that runs in the site's name."""
        end = monotonic() + 10.0
        while left := self._left():
            assert monotonic() < end, f"these do not end: {left}"
            for pid in left:
                _kill(pid)
            sleep(0.002)

    def _left(self) -> list[int]:
        """Processes of the scheduler and of jobs: they, and what they start, have the mark of the site."""
        mark = f"{MARK}={self.state}\0".encode()
        found = _scheduler(self.state / "scheduler.lock")
        found += [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if mark in _environment(pid)]
        return [pid for pid in found if pid != os.getpid()]


def _scheduler(lock: Path) -> list[int]:
    """The scheduler's process id, while it (or a job that it is just starting) holds its lock."""
    if not lock.exists():
        return []
    with lock.open("rb") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return [int(text)] if (text := f.read()) else []
    return []


def _environment(pid: int) -> bytes:
    """The environment of a living process; nothing of a zombie's is left."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


@pytest.fixture
def fake_engine() -> Iterator[Callable[[str, Path], FakeEngine]]:
    """Installs a fake engine: `fake_engine("lsf", tmp_path)`; its jobs are killed after the test."""
    made: list[FakeEngine] = []

    def make(name: str, home: Path) -> FakeEngine:
        made.append(FakeEngine(name, home / f"fake-{name}"))
        return made[-1]

    yield make
    for engine in made:
        engine.close()
