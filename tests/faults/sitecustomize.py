"""File operations that fail on purpose: put on PYTHONPATH, so that every Python of a command under test has it.

`FAULTY_DISK` in the environment is a JSON object:

    below   directories; only what is below one of them may fail
    error   the name of an errno: ENOSPC, EIO, ESTALE, EDQUOT, EROFS, EMFILE
    first, last   operations are counted from 1 over all processes; these fail (last absent: all from the first on)
    share, seed   or: this share of all operations, drawn from this seed
    die     or: the process is killed before such an operation, in place of an error
    only    a word of the command line; processes without it are spared and not counted
    calls   the names of the operations that count; absent: all that change something
    state   a file that holds the counter; every operation that failed is a line of `<state>.log`

`FAULTY_CLOCK` is a seed: then the wall clock jumps by days.

It knows nothing of mt, and mt knows nothing of it.  What C libraries write
(SQLite) does not come by here; tests/faults/shim.c is for that.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import json
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

CHANGING = (
    "open", "write", "pwrite", "truncate", "ftruncate", "fsync", "rename", "replace", "link", "symlink", "unlink",
    "remove", "mkdir", "rmdir", "utime", "chmod", "fchmod",
)  # fmt: skip
READING = ("read", "pread", "open-read", "scandir", "listdir", "stat")

_BY_FD = ("write", "pwrite", "ftruncate", "fsync", "fchmod", "read", "pread")
_TWO_NAMES = ("rename", "replace", "link", "symlink")


class Disk:
    """The faults of one process; the counter is shared by all of them."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.below = tuple(os.path.join(os.path.abspath(d), "") for d in said["below"])
        self.error = getattr(errno, said.get("error", "ENOSPC"))
        self.first = said.get("first", 0)
        self.last = said.get("last", 1 << 60)
        self.share, self.seed = said.get("share", 0.0), said.get("seed", 0)
        self.calls = frozenset(said.get("calls") or CHANGING)
        self.state = said["state"]
        self.dies = bool(said.get("die"))
        self.open, self.write, self.close = os.open, os.write, os.close
        self.pread, self.pwrite, self.readlink, self.getcwd = os.pread, os.pwrite, os.readlink, os.getcwd

    def look(self, call: str, what: Any) -> None:
        """Count an operation; raises the OSError if it is one that fails."""
        if call not in self.calls:
            return
        path = self.path(what)
        if path is None or not path.startswith(self.below):
            return
        number = self.count()
        if self.fails(number):
            fd = self.open(self.state + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self.write(fd, f"{number} {call} {path}\n".encode("utf-8", "surrogateescape"))
            self.close(fd)
            if self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self.error, os.strerror(self.error), path)

    def fails(self, number: int) -> bool:
        """Whether the operation of this number is one that fails."""
        if self.share:
            return random.Random(self.seed * 1_000_003 + number).random() < self.share
        return bool(self.first) and self.first <= number <= self.last

    def path(self, what: Any) -> str | None:
        """The absolute path that is meant."""
        try:
            if isinstance(what, int):
                return self.readlink(f"/proc/self/fd/{what}")
            name = os.fsdecode(what)
            return name if name.startswith("/") else os.path.join(self.getcwd(), name)
        except (OSError, TypeError):
            return None

    def count(self) -> int:
        """One more: the number of this operation."""
        fd = self.open(self.state, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            body = self.pread(fd, 8, 0)
            number = (struct.unpack("q", body)[0] if len(body) == 8 else 0) + 1
            self.pwrite(fd, struct.pack("q", number), 0)
        finally:
            self.close(fd)
        return number


def wrapped(disk: Disk, call: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `os` that looks first; of two names the second is the one that is made."""

    def operation(*words: Any, **more: Any) -> Any:
        at = 1 if call in _TWO_NAMES and len(words) > 1 else 0
        where = more.get("dir_fd") if more.get("dir_fd") is not None else more.get("dst_dir_fd")
        name = words[at] if len(words) > at else more.get("path", more.get("dst"))
        if where is not None and isinstance(name, str | bytes):
            name = os.path.join(disk.path(where) or "", os.fsdecode(name))
        disk.look(call, name)
        return plain(*words, **more)

    operation.__name__ = call
    return operation


def install(disk: Disk) -> None:
    """Put the faults in the way of everything that Python code does with files."""
    plain_open = os.open

    def low_open(path: Any, flags: int, *words: Any, **more: Any) -> int:
        changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        name, where = path, more.get("dir_fd")
        if where is not None and isinstance(name, str | bytes):
            name = os.path.join(disk.path(where) or "", os.fsdecode(name))
        disk.look("open" if changes else "open-read", name)
        return plain_open(path, flags, *words, **more)

    for call in (*CHANGING, *READING):
        if call not in ("open", "open-read"):
            put(call, wrapped(disk, call, getattr(os, call)))
    put("open", low_open)
    opened = high_open(disk, io.open)
    builtins.open = io.open = opened


def put(call: str, operation: Callable[..., Any]) -> None:
    """Put a function in the place of one of `os`, with all that `os` says of what it can."""
    for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if getattr(os, call) in able:
            able.add(operation)
    setattr(os, call, operation)


def high_open(disk: Disk, plain: Callable[..., Any]) -> Callable[..., Any]:
    """`open()`, whose files look before each raw write, read and flush."""

    class Raw(io.FileIO):
        def write(self, body: Any) -> int:
            disk.look("write", self.fileno())
            return super().write(body)

        def readinto(self, buffer: Any) -> int:
            disk.look("read", self.fileno())
            return super().readinto(buffer)

        def readall(self) -> bytes:
            disk.look("read", self.fileno())
            return super().readall()

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        path = disk.path(file)
        if path is None or not path.startswith(disk.below):
            return plain(file, mode, buffering, encoding, errors, newline, closefd, opener)
        changes = any(c in mode for c in "wax+")
        if not isinstance(file, int):
            disk.look("open" if changes else "open-read", file)
        raw: Any = Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter if changes else io.BufferedReader
        buffer = kind(raw)
        if "b" in mode:
            return buffer
        text = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    return opened


def shake_clock(seed: int) -> None:
    """Let the wall clock jump by a day and back, at one of a few calls; the monotonic clock goes on."""
    plain, plain_ns = time.time, time.time_ns
    draw = random.Random(seed * 1_000_003 + os.getpid())

    def jump() -> int:
        return draw.choice((0, 0, -86_400, 86_400))

    time.time = lambda: plain() + jump()
    time.time_ns = lambda: plain_ns() + jump() * 1_000_000_000


def _begin() -> None:
    disk, clock = os.environ.get("FAULTY_DISK"), os.environ.get("FAULTY_CLOCK")
    said = json.loads(disk) if disk else {}
    if said and said.get("only", sys.orig_argv[0]) in sys.orig_argv:
        install(Disk(said))
    if clock:
        shake_clock(int(clock))


_begin()
