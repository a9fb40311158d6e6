"""What happened at a site, and the state of all jobs that follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: the number of the only task of a job that is no array
ALONE = -1

PENDING, RUNNING, ENDED, GONE = "pending", "running", "ended", "gone"

Event = dict[str, Any]


class Task:
    """One task of an array, or the only one of a job."""

    __slots__ = (
        "cpu",
        "ended",
        "killed",
        "living",
        "number",
        "pids",
        "rss",
        "started",
        "state",
        "status",
        "suspended",
        "word",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = PENDING
        #: process ids of all its runs, and of those that have not ended
        self.pids: list[int] = []
        self.living: list[int] = []
        #: somebody asked for its end
        self.killed = False
        #: the knob has stopped it: set for one query
        self.suspended = False
        #: the status of wait(), and the knob's or the scheduler's word for the end
        self.status = 0
        self.word = ""
        self.started = self.ended = 0.0
        self.cpu = 0.0
        self.rss = 0

    @property
    def code(self) -> int:
        """The exit status, 0 when a signal ended it."""
        return self.status >> 8

    @property
    def signal(self) -> int:
        """The signal that ended it, or 0."""
        return self.status & 0x7F


class Job:
    """A submission: what the engine's front wrote of it (`spec`), and its tasks by number."""

    __slots__ = ("id", "name", "queue", "spec", "submitted", "tasks")

    def __init__(self, number: int, submitted: float, spec: dict[str, Any]) -> None:
        self.id = number
        self.submitted = submitted
        self.spec = spec
        self.name: str = spec["name"]
        self.queue: str = spec["queue"]
        self.tasks = {n: Task(n) for n in spec["tasks"] or [ALONE]}

    @property
    def array(self) -> bool:
        return bool(self.spec["tasks"])

    def unfinished(self) -> bool:
        return any(task.state in (PENDING, RUNNING) for task in self.tasks.values())

    def running(self) -> int:
        return sum(task.state == RUNNING for task in self.tasks.values())


class Records:
    """All jobs, folded from the events read so far."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.last = 100

    def fold(self, lines: bytes) -> None:
        for line in lines.splitlines():
            self.take(json.loads(line))

    def take(self, event: Event) -> None:
        if event["e"] == "submit":
            self._submitted(event)
            return
        job = self.jobs[event["id"]]
        for number in [event["task"]] if "task" in event else event["tasks"]:
            task = job.tasks[number]
            _TAKERS[event["e"]](task, event)

    def _submitted(self, event: Event) -> None:
        self.last = event["id"]
        if not event["job"].get("swallowed"):
            self.jobs[event["id"]] = Job(event["id"], event["t"], event["job"])

    def tasks(self) -> Iterator[tuple[Job, Task]]:
        for job in self.jobs.values():
            for task in job.tasks.values():
                yield job, task


def _started(task: Task, event: Event) -> None:
    task.state = RUNNING
    task.pids.append(event["pid"])
    task.living.append(event["pid"])
    task.started = event["t"]


def _ended(task: Task, event: Event) -> None:
    task.living.remove(event["pid"])
    task.status, task.word = event["status"], event["word"]
    task.ended = event["t"]
    task.cpu += event["cpu"]
    task.rss = max(task.rss, event["rss"])
    if not task.living and task.state != GONE:
        task.state = PENDING if event["again"] else ENDED


def _deleted(task: Task, event: Event) -> None:
    task.state, task.word, task.killed, task.ended = ENDED, "deleted", True, event["t"]


def _killed(task: Task, event: Event) -> None:
    task.killed = True


def _gone(task: Task, event: Event) -> None:
    task.state = GONE


_TAKERS = {"start": _started, "end": _ended, "deleted": _deleted, "kill": _killed, "gone": _gone}
