"""The jobs of a run on batch engines, as the logs of its bags tell of them (mt/pipeline/bag.py says what a bag is).

Nothing is asked of an engine here: a row says what the controller has heard
last, and when.  A line that is torn or unknown is passed over, so a log that
somebody is just writing, or that a later mt has written, can be read.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any, NamedTuple

from mt.db import read_area
from mt.errors import MtError
from mt.launchers import ENGINES, engine
from mt.launchers.base import OVER, Ask, Word
from mt.pipeline.bag import ORDERS, Bag, bags_of, order_of
from mt.pipeline.fates import GONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping


#: the fate of a job whose orders have all ended before the engine said that it is over
LEFT = "left"
#: fates after which a job does nothing any more
SHUT = (*OVER, GONE, LEFT)
#: the kinds of lines in a log that tell something here
KINDS = ("submitted", "word", "cancelled", "refused", "trouble")
#: bytes at the end of the orders in which the last word to all jobs is looked for
_END = 200
#: more tasks than any array has, and an amount that nobody asks for: who reads them has no log of ours before him
_TASKS, _GREATEST = 1_000_000, 1e18


class JobRow(NamedTuple):
    """A job or a task of an array as `job` (`slurm:123_4`), or `tasks` of an array of which nothing was said yet.

    `array` is the whole submission (`slurm:123`), `bag` the directory of the
    orders that it takes.  `fate` is a word of `mt.launchers.base`, empty until
    the engine was heard of it, `left` when it has nothing to do any more; `said`
    are the engine's own words.  `submitted`, `began`
    (first heard to run) and `changed` (heard last) are seconds since 1970, 0
    for never.
    """

    job: str
    array: str
    launcher: str
    way: str
    bag: str
    ask: Ask
    submitted: float
    tasks: int = 1
    fate: str = ""
    said: str = ""
    host: str = ""
    began: float = 0.0
    changed: float = 0.0

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.job.partition(":")[0]

    @property
    def id(self) -> str:
        """The job as its engine knows it."""
        return self.job.partition(":")[2]

    @property
    def is_open(self) -> bool:
        """Whether it may still run or begin, as far as was heard."""
        return self.fate not in SHUT


class Said(NamedTuple):
    """Something that happened to a bag as a whole: a submission that was refused, or trouble with the engine."""

    time: float
    kind: str
    text: str


class BagLog:
    """What the log of one bag tells; `over` when all its orders have ended, so that no job has anything to do."""

    def __init__(self, path: str, lines: Iterable[Mapping[str, Any]], *, over: bool = False) -> None:
        self.path = path
        self.over = over
        self.said: list[Said] = []
        self._arrays: dict[str, JobRow] = {}
        self._ids: dict[str, list[str]] = {}  # of the tasks of each array
        self._array_of: dict[str, str] = {}
        self._whole: dict[str, str] = {}  # the name of an array by its id
        self._told: dict[str, JobRow] = {}
        for line in lines:
            if _text(line, "e") in KINDS:
                getattr(self, f"_{line['e']}")(line)

    @classmethod
    def of(cls, path: str) -> BagLog:
        """The log of the bag in a directory; one without a log has no jobs."""
        return cls(path, Bag(path).logged(), over=_is_over(path))

    def jobs(self, known: Container[str] = ()) -> Iterator[JobRow]:
        """Every job; tasks one by one once the engine spoke of them or they are `known` by name, the others as one."""
        for name, array in self._arrays.items():
            alone = [i for i in self._ids[name] if i in self._told or f"{array.engine}:{i}" in known]
            yield from (self._settled(self._row(ident)) for ident in alone)
            silent = len(self._ids[name]) - len(alone)
            if silent:
                yield self._settled(array._replace(tasks=silent))

    def open_ids(self, name: str) -> Iterator[str]:
        """The ids of all jobs and tasks of an engine that may still run or begin."""
        if not self.over:
            mine = (ident for ident, array in self._array_of.items() if self._arrays[array].engine == name)
            yield from (ident for ident in mine if self._row(ident).is_open)

    def hear(self, ident: str, word: Word, when: float) -> None:
        """Take what an engine says of a job or task; one that is not of this bag is passed over."""
        if ident in self._array_of:
            row = self._row(ident)
            began = row.began or (when if word.fate == "running" else 0.0)
            host = word.host or row.host
            self._told[ident] = row._replace(fate=word.fate, said=word.said, host=host, changed=when, began=began)

    def job(self, name: str) -> JobRow | None:
        """One job or task by its name (`slurm:123_4`), as it was submitted when nothing was said of it yet."""
        ident = name.partition(":")[2]
        array = self._array_of.get(ident)
        if array is None:
            return self._settled(self._arrays[name]) if name in self._arrays else None
        return self._settled(self._row(ident))

    def _settled(self, row: JobRow) -> JobRow:
        return row._replace(fate=LEFT, said="") if self.over and row.is_open else row

    def _row(self, ident: str) -> JobRow:
        array = self._arrays[self._array_of[ident]]
        return self._told.get(ident) or array._replace(job=f"{array.engine}:{ident}", tasks=1)

    # -- one for each kind of line ---------------------------------------------------------------

    def _submitted(self, line: Mapping[str, Any]) -> None:
        name, ident = _text(line, "engine"), _text(line, "id")
        if name not in ENGINES or not ident:
            return
        job, tasks = f"{name}:{ident}", _whole(line.get("tasks"))
        ids = [engine(name).task(ident, n) for n in range(tasks)] if tasks else [ident]
        self._ids[job] = ids
        self._whole[ident] = job
        self._array_of.update(dict.fromkeys(ids, job))
        self._arrays[job] = JobRow(
            job, job, _text(line, "launcher", name), _text(line, "way"), self.path,
            ask_of(line.get("ask")), _time(line), max(tasks, 1),
        )  # fmt: skip

    def _word(self, line: Mapping[str, Any]) -> None:
        word = Word(_text(line, "fate"), _text(line, "said"), _text(line, "host"))
        if isinstance(line.get("fate"), str) and word.fate:
            self.hear(_text(line, "job"), word, _time(line))

    def _cancelled(self, line: Mapping[str, Any]) -> None:
        asked = line.get("jobs")
        for ident in map(str, asked if isinstance(asked, list) else ()):
            mine = self._ids.get(self._whole.get(ident, ""), ())
            for task in mine or [ident] * (ident in self._array_of):
                if self._row(task).is_open:
                    self.hear(task, Word("cancelled", ""), _time(line))

    def _refused(self, line: Mapping[str, Any]) -> None:
        self.said.append(Said(_time(line), "refused", _text(line, "why")))

    def _trouble(self, line: Mapping[str, Any]) -> None:
        self.said.append(Said(_time(line), "trouble", _text(line, "what")))


class RunJobs:
    """The bags of one run, each read once; a run without any has no jobs."""

    def __init__(self, store_root: str, run_id: int) -> None:
        self.directory = bags_of(store_root, run_id)
        self._logs: dict[str, BagLog] = {}
        self._names: list[str] | None = None

    def bags(self) -> Iterator[BagLog]:
        """The logs of all bags, in the order in which they were made."""
        if self._names is None:
            self._names = _folders(self.directory)
        yield from map(self.bag, self._names)

    def bag(self, name: str) -> BagLog:
        """The log of one bag by its name."""
        if name not in self._logs:
            self._logs[name] = BagLog.of(os.path.join(self.directory, name))
        return self._logs[name]

    def bag_of(self, token: str) -> tuple[BagLog, int] | None:
        """The bag and the number of the order that the token of a case names."""
        named = order_of(token)
        if named is None or not os.path.isdir(os.path.join(self.directory, named[0])):
            return None
        return self.bag(named[0]), named[1]

    def job(self, name: str) -> JobRow | None:
        """One job or task of any bag by its name."""
        return next((job for log in self.bags() if (job := log.job(name))), None)

    def jobs(self, known: Container[str] = ()) -> Iterator[JobRow]:
        """Every job of the run, oldest first; `known` tasks have rows of their own."""
        for log in self.bags():
            yield from log.jobs(known)


def job_name(suite: str, run_id: int, store_root: str) -> str:
    """The name of all jobs of a run, for people and for queries by name: the same for every controller of the run."""
    kept = re.sub(r"[^A-Za-z0-9_.]", "_", suite)[:20] or "area"
    parts = ["mt", kept, str(run_id), f"{os.stat(store_root).st_ino:x}"]
    with suppress(MtError):
        parts.append(read_area(store_root).id[:8])  # a directory on another disk may have the same number
    return "-".join(parts)


def jobs_of(store_root: str, run_id: int) -> list[JobRow]:
    """The jobs of a run, oldest first; without a directory of bags there are none."""
    return list(RunJobs(store_root, run_id).jobs())


def ask_of(said: object) -> Ask:
    """What a job asked for, as its log has it; what is no such thing was not asked for."""
    found = said if isinstance(said, dict) else {}
    number = {name: found[name] for name in ("cores", "memory", "time") if _is_number(found.get(name))}
    text = {name: str(found.get(name) or "") for name in ("queue", "account", "licences")}
    flags = found.get("flags")
    return Ask(
        int(number.get("cores", 0)), int(number.get("memory", 0)), float(number.get("time", 0.0)),
        text["queue"], text["account"], text["licences"], tuple(map(str, flags if isinstance(flags, list) else ())),
    )  # fmt: skip


def _folders(directory: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except OSError:
        return []


def _is_over(path: str) -> bool:
    """Whether the controller's last word to the jobs of a bag is that all orders have ended."""
    try:
        with open(os.path.join(path, ORDERS), "rb") as f:
            f.seek(max(os.fstat(f.fileno()).st_size - _END, 0))
            return f.read().rstrip().rpartition(b"\n")[2].replace(b" ", b"") == b'{"over":true}'
    except OSError:
        return False


def _is_number(found: object) -> bool:
    """Whether this is an amount or a time, and not what JSON of Python calls one (NaN, 1e999)."""
    return isinstance(found, int | float) and 0 <= found <= _GREATEST


def _time(line: Mapping[str, Any]) -> float:
    found = line.get("t")
    return float(found) if found is not None and _is_number(found) else 0.0


def _whole(found: object) -> int:
    return found if isinstance(found, int) and 0 < found <= _TASKS else 0


def _text(line: Mapping[str, Any], name: str, default: str = "") -> str:
    """A word of a line; numbers are words as well, anything else was not said."""
    found = line.get(name)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else default
