"""The directory of one engine: knobs, events, and how a command changes them."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from batchfakes.records import GONE, PENDING, RUNNING, Event, Job, Records, Task

#: the variable in every job that names its site; the fixture finds what is left by it
MARK = "FAKEBATCH_STATE"
_KNOBS = {"slots": "4", "grace": "0.5"}


class Site:
    """One site; opening it makes what is missing."""

    def __init__(self, home: str) -> None:
        self.home = home
        for name in ("knobs", "spool"):
            os.makedirs(f"{home}/{name}", exist_ok=True)
        self.records = Records()
        self._read = 0

    def knob(self, name: str) -> str:
        """What a knob says; empty when it is not turned."""
        try:
            with open(f"{self.home}/knobs/{name}", encoding="utf-8") as f:
                return f.read().strip()
        except FileNotFoundError:
            return _KNOBS.get(name, "")

    def spent(self, name: str) -> str:
        """What a knob for one use says, which is turned back by that."""
        said = self.knob(name)
        if said:
            os.unlink(f"{self.home}/knobs/{name}")
        return said

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else reads or changes the events meanwhile; what happened before has been read."""
        with open(f"{self.home}/lock", "wb") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.catch_up()
            try:
                yield
            finally:
                # a job being started has a copy of the lock, for a moment
                fcntl.flock(f, fcntl.LOCK_UN)

    def catch_up(self) -> None:
        try:
            with open(f"{self.home}/events.ndjson", "rb") as f:
                f.seek(self._read)
                lines = f.read()
        except FileNotFoundError:
            return
        self._read += len(lines)
        self.records.fold(lines)

    def look(self) -> None:
        """Read what has happened, for a query; turned knobs hold what waits, and stop what runs."""
        with self.held():
            if self.knob("suspend"):
                for _, task in self.records.tasks():
                    task.suspended = task.state == RUNNING
            if self.knob("hold"):
                for job in self.records.jobs.values():
                    job.spec["held"] = True

    def add(self, events: Sequence[Event]) -> None:
        """Write what happened now; the site must be held."""
        now = time.time()
        text = "".join(json.dumps({**event, "t": now}) + "\n" for event in events)
        with open(f"{self.home}/events.ndjson", "ab") as f:
            f.write(text.encode())
        self.catch_up()

    def submit(self, spec: dict[str, Any], script: bytes, env: dict[str, str]) -> int:
        """A new job; gives its number.  The caller wakes the scheduler."""
        with self.held():
            number = self.records.last + 1
            with open(f"{self.home}/spool/{number}.sh", "wb") as f:
                f.write(script)
            with open(f"{self.home}/spool/{number}.env", "w", encoding="utf-8") as f:
                json.dump(env, f)
            if self.knob("swallow"):
                spec = {**spec, "swallowed": True}
            self.add([{"e": "submit", "id": number, "job": spec}])
        return number

    def cancel(self, wanted: Sequence[tuple[Job, Task]]) -> None:
        """End these tasks: what waits never starts, what runs gets signals from the scheduler.

        The site must be held.
        """
        events: list[Event] = []
        for job, task in wanted:
            kind = {PENDING: "deleted", RUNNING: "kill"}.get(task.state)
            if kind:
                events.append({"e": kind, "id": job.id, "task": task.number})
        self.add(events)

    def visible(self) -> list[Job]:
        """All jobs that the engine has not forgotten altogether."""
        return [job for job in self.records.jobs.values() if any(t.state != GONE for t in job.tasks.values())]

    def wake(self) -> bool:
        """Tell the scheduler that there is something new; False when there is none."""
        try:
            with open(os.open(f"{self.home}/wake", os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0) as f:
                f.write(b".")
        except OSError:
            return False  # nobody reads, or it has just left
        return True
