"""A bag of orders: the files through which a controller and the jobs of a batch engine work together.

    .mtdb/batch/RUN-ID/BAG/
        bag.json        what all its orders share, written before anything else (mode 0600: it holds an environment)
        orders.ndjson   one line for each order, and the controller's later words to all jobs; only it appends
        claims/N        made by whoever runs order N, or by the controller to withdraw it
        jobs.ndjson     the controller's log of what it submitted and what the engine said
        out/            what the jobs print

The claim is the fence: a file is made exclusively by one process only, on every
file system (lab: O_EXCL had one winner on all of them), so an order runs once,
however often an engine starts the job that was to run it.  All files that
another host opens are there before it is told of them, and what grows is opened
anew at each look, which makes a network client ask its server.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mt.errors import MtError, StoreError, why
from mt.replacing import replacing
from mt.stdio import write_whole
from mt.trace import trace

ORDERS, CLAIMS, JOBS, TERMS, OUT = "orders.ndjson", "claims", "jobs.ndjson", "bag.json", "out"


class Terms(NamedTuple):
    """What all orders of a bag share, and what a job must know to open the same area for the same run.

    `env` is the environment of the command that drives the run, `setvars` what
    it was told to set.  `launcher` and `ask` say how its jobs are
    submitted.  `share` is 0 where jobs take the next free order, else the number of tasks among which
    the orders are dealt: task k runs orders k, k + share and so on.  `secs` is
    the time a job has, 0 when nothing was said; `idle` how long one waits for
    more orders.
    """

    home: str
    target: str
    run: str
    run_id: int
    contour: str
    old: bool
    env: Mapping[str, str]
    setvars: Sequence[tuple[str, str]]
    engine: str
    way: str
    share: int = 0
    secs: float = 0.0
    notice: float = 60.0
    idle: float = 60.0
    launcher: str = ""
    ask: Mapping[str, Any] = {}


class Entry(NamedTuple):
    """One order in a bag: the Order as a list, how long it may take (0: not known), and when it was handed over."""

    order: list[Any]
    secs: float
    sent: float


class Claim(NamedTuple):
    """Who has taken an order; a `writer` that is empty is a controller that withdrew it."""

    job: str
    host: str
    pid: int
    writer: str


class Bag:
    """One bag, for both sides; raises StoreError when its files cannot be used."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.out = os.path.join(path, OUT)
        self.count = 0
        self._made: set[int] = set()

    def __str__(self) -> str:
        """Its directory."""
        return self.path

    # -- the controller's side ------------------------------------------------------------------

    @classmethod
    def make(cls, above: str, name: str, terms: Terms) -> Bag:
        """A new bag in a directory that is made when it is not there."""
        bag = cls(os.path.join(above, name))
        try:
            for part in (OUT, CLAIMS):
                os.makedirs(os.path.join(bag.path, part))
            for part in (ORDERS, JOBS):
                os.close(_opened(os.path.join(bag.path, part)))
            fd = _opened(os.path.join(bag.path, TERMS), 0o600)
            try:
                write_whole(fd, json.dumps(terms._asdict()).encode("utf-8", "surrogateescape"))
            finally:
                os.close(fd)
        except OSError as e:
            raise StoreError(f"cannot make '{bag.path}': {why(e)}") from e
        return bag

    def add(self, entries: Sequence[Entry]) -> range:
        """Append orders; gives their numbers, which are used up also when that fails: some of it may be on disk."""
        first = self.count
        self.count += len(entries)
        self.say([{"o": entry, "n": number} for number, entry in enumerate(entries, first)])
        return range(first, self.count)

    def say(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append lines to what all jobs of the bag read: orders, or `{"closed": true}` (no more
        will come), `{"over": true}` (all have ended), `{"stop": WHY}`, `{"revoke": N}`.
        """
        _append(os.path.join(self.path, ORDERS), lines)

    def log(self, event: str, **fields: Any) -> None:
        """Append a line to the log of submissions and of what the engine said."""
        self.log_all(event, [fields])

    def log_all(self, event: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append several at once."""
        now = round(time.time(), 3)
        _append(os.path.join(self.path, JOBS), [{"e": event, "t": now, **fields} for fields in lines])

    def withdraw(self, number: int) -> bool:
        """Take an order back; False when somebody has claimed it already: then it runs or has run."""
        return self.claim(number, Claim("", "", 0, ""))

    def tidy(self) -> None:
        """All orders have ended: whoever comes late finds nothing to run, and what served only that is removed.

        Whoever dies on the way leaves one of the directories of claims, by which
        the next one knows that there is something left (`is_tidy`).  Raises
        StoreError where that cannot be written, or is somebody else's.
        """
        self._forget_environment()
        self.say([{"over": True}])
        for folder, of_no_use in ((self.out, _is_empty), (self.path, _is_script)):
            for entry in _entries(folder):
                if of_no_use(entry):
                    with suppress(OSError):
                        os.unlink(entry.path)
        claims, gone = os.path.join(self.path, CLAIMS), os.path.join(self.path, f".{CLAIMS}")
        with suppress(OSError):
            os.rename(claims, gone)  # at once: half of the claims would be orders that look free
        shutil.rmtree(gone, ignore_errors=True)

    @property
    def is_over(self) -> bool:
        """Whether nobody can take an order any more: all have ended, or there is no such bag."""
        return not os.path.isdir(os.path.join(self.path, CLAIMS))

    @property
    def is_half_tidied(self) -> bool:
        """Whether somebody died while tidying up, so that nobody knows any more who took what."""
        return self.is_over and os.path.isdir(os.path.join(self.path, f".{CLAIMS}"))

    @property
    def is_tidy(self) -> bool:
        """Whether nothing is left here that served only to run orders."""
        return self.is_over and not self.is_half_tidied

    def _forget_environment(self) -> None:
        """No job needs it any more, and it may hold secrets; raises StoreError where it is somebody else's."""
        path = os.path.join(self.path, TERMS)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as f:
                said = json.load(f)
            body = json.dumps({**said, "env": {}, "setvars": []})
            with replacing(path) as name, open(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                f.write(body)
        except (ValueError, TypeError):  # it was not written whole: nobody can use it
            with suppress(OSError):
                os.unlink(path)
        except FileNotFoundError:
            return
        except PermissionError as e:
            raise StoreError(f"cannot read '{path}': {why(e)}") from e
        except (OSError, MtError) as e:
            trace("fs", path, failed=str(e))

    # -- both sides -----------------------------------------------------------------------------

    def terms(self) -> Terms:
        """What was agreed; raises StoreError for a bag that is not there or was not made whole."""
        path = os.path.join(self.path, TERMS)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as f:
                return Terms(**json.load(f))
        except OSError as e:
            raise StoreError(f"cannot read '{path}': {why(e)}") from e
        except (ValueError, TypeError) as e:
            raise StoreError(f"cannot read '{path}': it was not written whole") from e

    def claim(self, number: int, who: Claim) -> bool:
        """Take an order; one of all who try gets it."""
        path = os.path.join(self.path, CLAIMS, str(number))
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return False
        except OSError as e:
            if os.path.exists(path):  # some network file systems tell the loser something else
                return False
            raise StoreError(f"cannot make '{path}': {why(e)}") from e
        try:
            write_whole(fd, json.dumps(who).encode())
        except OSError as e:
            raise StoreError(f"cannot write '{path}': {why(e)}") from e
        finally:
            os.close(fd)
        return True

    def claimed(self, number: int) -> Claim | None:
        """Who has taken an order; None when nobody has, a Claim without a host when its claimer died at once."""
        try:
            with open(os.path.join(self.path, CLAIMS, str(number)), encoding="utf-8") as f:
                return Claim(*json.load(f))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            return Claim("", "", 0, "?")

    def taken(self) -> set[int]:
        """The numbers of all orders that somebody has taken."""
        try:
            return {int(name) for name in os.listdir(os.path.join(self.path, CLAIMS)) if name.isdigit()}
        except OSError as e:
            raise StoreError(f"cannot read '{os.path.join(self.path, CLAIMS)}': {why(e)}") from e

    def logged(self) -> Iterator[dict[str, Any]]:
        """The log of submissions, line by line; what cannot be read is left out."""
        yield from _lines(os.path.join(self.path, JOBS))


class Reader:
    """What the controller has put into a bag, as a job reads it: a little more at each look."""

    def __init__(self, bag: Bag) -> None:
        self.bag = bag
        self.path = os.path.join(bag.path, ORDERS)
        self.entries: dict[int, Entry] = {}  # by number; what cannot be read is not there
        self.many = 0  # one more than the greatest number
        self.closed = False
        self.stopped = ""
        self.over = False
        self.revoked: set[int] = set()
        self._at = 0

    def look(self) -> bool:
        """Read what is new; tells whether there was something.  Raises StoreError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                body = _rest(fd, self._at)
            finally:
                os.close(fd)
        except OSError as e:
            raise StoreError(f"cannot read '{self.path}': {why(e)}") from e
        whole = body[: body.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.split(b"\n"):
            self._take(line)
        return bool(whole)

    def after(self, number: int) -> int:
        """The least number of an order that can be read, from this one on; `many` when there is none."""
        return min((n for n in self.entries if n >= number), default=self.many)

    def _take(self, line: bytes) -> None:
        """Read one line; one that its writer did not finish was not told to anybody, others may be of a later mt."""
        said = _said(line)
        entry, number = _entry(said.get("o")), said.get("n", self.many)
        if entry is not None and _is_number(number):
            self.entries.setdefault(number, entry)
            self.many = max(self.many, number + 1)
        self.over = self.over or said.get("over") is True
        self.closed = self.closed or self.over or said.get("closed") is True
        if isinstance(said.get("stop"), str):
            self.stopped = self.stopped or said["stop"]
        if _is_number(said.get("revoke")):
            self.revoked.add(said["revoke"])


#: what the parts of an order are, as JSON has them; the last two may be missing (`case.Order`)
_PARTS: tuple[type | tuple[type, ...], ...] = (int, str, str, list, int, int, int, int, (list, type(None)))
_LEAST = 7


def _entry(said: Any) -> Entry | None:
    """An order as a line tells it; None for what is none."""
    if not isinstance(said, list) or len(said) != len(Entry._fields):
        return None
    order, *times = said
    if not isinstance(order, list) or not _LEAST <= len(order) <= len(_PARTS):
        return None
    good = all(isinstance(one, kind) for one, kind in zip(order, _PARTS, strict=False))
    if not good or not all(map(_is_pair, order[3])) or not all(map(_is_time, times)):
        return None
    return Entry(order, *times)


def _is_pair(said: Any) -> bool:
    return isinstance(said, list) and len(said) == 2 and all(isinstance(one, str) for one in said)


def _is_time(said: Any) -> bool:
    return isinstance(said, (int, float)) and 0 <= said < 1e15  # no NaN, and nothing that is too large to count with


def _is_number(said: Any) -> bool:
    return type(said) is int and said >= 0  # True is an int as well


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _is_empty(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False) and entry.stat().st_size == 0
    except OSError:
        return False


def _is_script(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith("job-")


def bags_of(store_root: str, run_id: int) -> str:
    """The directory of all bags of a run."""
    return os.path.join(store_root, "batch", str(run_id))


def bags_left(above: str) -> list[Bag]:
    """The bags of a run that no controller has tidied up, by age."""
    try:
        found = [Bag(os.path.join(above, name)) for name in sorted(os.listdir(above))]
    except OSError:
        return []
    return [bag for bag in found if not bag.is_tidy]


def tidy_over(above: str, tokens: Iterable[str]) -> None:
    """Tidy up all bags of a run that nobody drives but those of which a case lives, as its token tells.

    What a crashed or interrupted controller left behind is an environment, which may hold secrets.
    """
    bags = bags_left(above)
    needed = {named[0] for token in tokens if bags and (named := order_of(token))}
    for bag in bags:
        if bag.name not in needed:
            with suppress(StoreError):  # of another member of the team: theirs to tidy up
                bag.tidy()


def token_of(bag: Bag, number: int) -> str:
    """The token of an attempt: which order of which bag it is."""
    return f"{bag.name}-{number}"


def order_of(token: str) -> tuple[str, int] | None:
    """The name of the bag and the number of the order that a token names; None for no such token."""
    name, dash, number = token.rpartition("-")
    return (name, int(number)) if dash and name and number.isdigit() else None


def _opened(path: str, mode: int = 0o664) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)


def _append(path: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Append whole lines in one write; after a line that somebody did not finish there is a new one first."""
    body = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    try:
        fd = _opened(path)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            write_whole(fd, b"\n" + body if torn else body)
        finally:
            os.close(fd)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e


def _lines(path: str) -> Iterator[dict[str, Any]]:
    try:
        with open(path, "rb") as f:
            body = f.read()
    except OSError:
        return
    yield from filter(None, map(_said, body.split(b"\n")))


def _said(line: bytes) -> dict[str, Any]:
    """What a line says; nothing when it cannot be read, or is nested so deeply that nobody has written it for us."""
    try:
        said = json.loads(line) if line else None
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _rest(fd: int, at: int) -> bytes:
    """All of a file from an offset on."""
    parts = []
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)
