"""Write events: one JSON line each, appended by one process to a file of its own (ARCHITECTURE.md "Data").

Nobody shares a journal, so writing takes no lock, never waits for anybody and
works on any file system.  An event is `{"k":KIND,"s":SEQ,"t":TIME,...}`; its
writer is the name of its file.  A line that was written whole, newline and
all, is acknowledged and never lost by the death of any process; a torn last
line was never acknowledged and the fold lets it wait.

`mt step` and its kin import this in milliseconds: no sqlite3, no dataclasses.
"""

from __future__ import annotations

import fcntl
import json
import os
import time

from mt.errors import StoreError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, NamedTuple

    Event = tuple[str, Mapping[str, Any]] | Mapping[str, Any]

#: how every event is written; a NaN is a bug of its writer, JSON has none
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

_TAIL = 1 << 20
_PACKED = "all.ndjson.gz"


def start_token(pid: int | str = "self") -> str:
    """When a process of this host began, in kernel ticks as hex; empty when it is gone.

    A pid comes back after a while, a pair of pid and start token does not.
    Raises nothing: where there is no /proc the token is empty for every process.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            stat = f.read()
        return f"{int(stat[stat.rindex(b')') :].split()[20]):x}"
    except (OSError, ValueError, IndexError):
        return ""


def boot_id() -> str:
    """The id of this boot of this kernel; empty when it cannot be told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            return f.read().strip()
    except (OSError, ValueError):
        return ""


def host_name() -> str:
    """This host's name with only characters that are safe in a file name."""
    name = os.uname().nodename or "localhost"
    return "".join(c if (c.isalnum() and c.isascii()) or c in "._" else "_" for c in name)


def writer_name() -> str:
    """`HOST-PID-STARTTOKEN` of the calling process: unlike that of any other, on any host, after any reboot."""
    token = start_token() or f"{time.time_ns():x}"
    return f"{host_name()}-{os.getpid()}-{token}{boot_id()[:4]}"


class Journal:
    """One process's own journal in `directory` (a run's `journal/<id>`); raises StoreError when it cannot be written.

    `emit` appends at once, in one write; with `buffered` events gather until
    `flush`.  `batch` buffers for the length of a `with`.  A failed write (disk
    full) may leave part of a line: the next write begins with a newline, so the
    part becomes one unreadable line and nothing else is touched.

    A forked child must not use its parent's journal; it closes it and opens its own.
    A process that closes its journal and opens it again goes on with its numbers,
    also when the closed one has been packed in between: where something was
    packed a new file begins with the microseconds since the boot, which no
    earlier file of this process has reached.
    The open journal is held by a shared flock, as `mt.locks.alive.keep_alive`
    does it: a compaction takes away only files that nobody holds.
    """

    def __init__(self, directory: str, writer: str | None = None, *, buffered: bool = False) -> None:
        self.writer = writer or writer_name()
        self.path = os.path.join(directory, f"{self.writer}.ndjson")
        self._buffered = buffered
        self._held: list[bytes] = []
        try:
            self._fd = _open(self.path)
        except OSError as e:
            raise StoreError(f"cannot open journal '{self.path}': {why(e)}") from e
        self._seq, self._torn = _last(self._fd)
        if not self._seq and os.path.exists(os.path.join(directory, _PACKED)):
            self._seq = time.monotonic_ns() // 1000

    def emit(self, kind: str, /, **fields: Any) -> int:
        """Append one event; gives its sequence number, which is acknowledged unless the journal buffers."""
        return self._put(kind, fields)

    def emit_row(self, kind: str, row: NamedTuple) -> int:
        """Append a whole row (CaseRow, StepRow, ValueRow) as one event."""
        return self._put(kind, row_fields(row))

    def _put(self, kind: str, fields: Mapping[str, Any]) -> int:
        seq = self._seq + 1
        line = event_line(kind, seq, fields)
        self._seq = seq
        if not self._buffered and not self._held:
            self._write(line)
            return seq
        self._held.append(line)
        if not self._buffered:
            self.flush()
        return seq

    def flush(self) -> None:
        """Write what was held back; what could not be written is kept for the next flush."""
        if not self._held:
            return
        self._write(b"".join(self._held))
        self._held = []

    def batch(self) -> _Batch:
        """`with journal.batch():` holds events back and writes them all at the end, in one write."""
        return _Batch(self)

    def close(self) -> None:
        """Flush and close; a second close is nothing."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Journal:
        """Close at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _write(self, body: bytes) -> None:
        """Append all of body, healing a torn line first.

        On an error, `self._torn` says whether the file now ends within a line.
        """
        data = b"\n" + body if self._torn else body
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:] if done else data)
        except OSError as e:
            if done:
                self._torn = data[done - 1] != 10
            self._keep_whole(body, done - (len(data) - len(body)))
            raise StoreError(f"cannot write journal '{self.path}': {why(e)}") from e
        self._torn = False

    def _keep_whole(self, body: bytes, done: int) -> None:
        """After a failed write of held lines, hold only those that did not get out whole."""
        if self._held:
            self._held = [body[body.rfind(b"\n", 0, max(done, 0)) + 1 :]]


class _Batch:
    """The block of `Journal.batch`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._before = journal._buffered

    def __enter__(self) -> Journal:
        self._journal._buffered = True
        return self._journal

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._journal._buffered = self._before
        if not self._before:
            self._journal.flush()


def _open(path: str) -> int:
    """The file for appending, held so that nobody takes it away; where there are no locks, just open."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
        except OSError:
            return fd
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)


def event_line(kind: str, seq: int, fields: Mapping[str, Any]) -> bytes:
    """One event as it stands in a journal, newline included; a field `t` replaces the time of now."""
    return (_encode({"k": kind, "s": seq, "t": round(time.time(), 6), **fields}) + "\n").encode("ascii")


def row_fields(row: NamedTuple) -> dict[str, Any]:
    """A row's fields without those that have their default: an absent field means the default."""
    usual = row._field_defaults
    return {n: v for n, v in zip(row._fields, row, strict=True) if n not in usual or usual[n] != v}


def _last(fd: int) -> tuple[int, bool]:
    """The last sequence number of an existing journal, and whether its last line is torn."""
    size = os.fstat(fd).st_size
    if not size:
        return 0, False
    body = os.pread(fd, _TAIL, max(size - _TAIL, 0))
    seq = _last_seq(body)
    if seq is None and size > _TAIL:
        seq = _last_seq(os.pread(fd, size, 0))
    return seq or 0, not body.endswith(b"\n")


def _last_seq(body: bytes) -> int | None:
    for line in reversed(body.split(b"\n")):
        try:
            return int(json.loads(line)["s"])
        except (ValueError, KeyError, TypeError):
            continue
    return None


def drop(directory: str, events: Sequence[Event]) -> str:
    """Leave a complete one-shot journal in `directory/drop`, made by rename; gives its path.

    For short calls (`mt step`, `mt set`): nothing stays open, and a reader sees
    all of it or nothing.  An event is (kind, fields) or a mapping with its kind
    under "k".  `directory` is the run's `journal/<id>`.  Raises StoreError.
    """
    name = f"{writer_name()}-{time.time_ns():x}.ndjson"
    home = os.path.join(directory, "drop")
    temporary = os.path.join(home, f".{name}.tmp")
    body = b"".join(_drop_line(n, e) for n, e in enumerate(events, 1))
    try:
        _write_new(temporary, body, home)
        os.rename(temporary, os.path.join(home, name))
    except OSError as e:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise StoreError(f"cannot write '{os.path.join(home, name)}': {why(e)}") from e
    return os.path.join(home, name)


def _drop_line(seq: int, event: Event) -> bytes:
    if isinstance(event, tuple):
        return event_line(event[0], seq, event[1])
    fields = {n: v for n, v in event.items() if n not in ("k", "s")}
    return event_line(event["k"], seq, fields)


def _write_new(path: str, body: bytes, home: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o666)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(home)):
            raise
        from mt.team import make_shared

        make_shared(home)
        fd = os.open(path, flags, 0o666)
    try:
        if not os.fstat(fd).st_mode & 0o040:  # a step may have set a umask of its own, and another member folds
            from mt.team import open_for_group

            open_for_group(fd, home)
        done = 0
        while done < len(body):
            done += os.write(fd, body[done:])
    finally:
        os.close(fd)
