"""A worker: a process that executes cases one after another, as its controller orders.

It is forked from the controller after planning, so it has the area and every
test at hand and a case costs no interpreter start.  Orders come down a socket,
one line each; the answer is one line when the case's last event is on disk.

When the controller dies the socket ends: the worker finishes its case, writes
its journal and leaves.  A controller that leaves on purpose releases its workers
first: then they finish their case, and what follows from it, alone.  While it
lives a worker holds a lock on its own journal; that is how the next controller
knows.  A worker that cannot write its journal tells so and leaves at once: what
it could not record did not happen.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from mt.errors import MtError, StoreError, why
from mt.journal import Journal, writer_name
from mt.locks.alive import keep_alive
from mt.model import CaseRow
from mt.pipeline import proc
from mt.pipeline.case import CaseRun, Interrupt, Order, Setup
from mt.trace import trace

_MOST_FDS = 4
CANCEL, RELEASE = b"cancel", b"release"


class Worker:
    """The loop of one worker process."""

    def __init__(self, link: socket.socket, journal: Journal, setup: Setup, parent: int) -> None:
        self.link = link
        self.journal = journal
        self.setup = setup
        self.parent = parent
        self.buffer = b""
        self.over = False  # no more orders: the controller left or said goodbye
        self.cancelled: Interrupt | None = None
        self.released = False  # the controller has left on purpose
        self.dress: Callable[[CaseRow], CaseRow] = lambda row: row  # what else is known of a case that begins
        self.places: list[int] = []  # what the case takes up among all runs of the area, as descriptors that hold it
        self.null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def serve(self) -> None:
        """Take orders until there are no more."""
        while True:
            line = self.next_line()
            if not line:
                return
            order = json.loads(line)
            row = self.execute(Order(order[0], order[1], order[2], tuple(map(tuple, order[3])), *order[4:]))
            self.leave_places()
            self.tell({"c": order[0], "row": row})
            if self.released:
                self.setup.after.alone(row)
            if self.cancelled or os.getppid() != self.parent:
                return

    def execute(self, order: Order) -> CaseRow:
        """Run one case in its own directory, and come back to a directory that cannot be removed."""
        proc.reap()
        case = CaseRun(self.setup, order, self.journal.emit_row, self.journal.flush)
        case.row = self.dress(case.row)
        case.asked, case.doubt, case.wake, case.source = self.asked, self.doubt, self.link.fileno(), self.null
        try:
            return case.run(self.still_ours)
        finally:
            os.chdir("/")

    def still_ours(self) -> bool:
        """Whether somebody wants the case: its controller lives, or has left it to us."""
        if os.getppid() != self.parent:
            self.receive(wait=False)
            return self.released
        return True

    def asked(self) -> Interrupt | None:
        """Between two looks of a running case: has the controller cancelled everything, are we told to go?"""
        self.beat()
        if not self.over:
            self.receive(wait=False)
        return self.cancelled

    def doubt(self, exits: Sequence[int]) -> Interrupt | None:
        """A step has failed: was a signal that was sent to all of us to blame?"""
        return None

    def beat(self) -> None:
        """Show that we live: a file time, not a row."""
        try:
            os.utime(self.journal.path)
        except OSError as e:
            trace("fs", self.journal.path, failed=why(e))  # one beat less ends no case

    def next_line(self) -> bytes:
        """The next order, or nothing when there will be none."""
        while b"\n" not in self.buffer:
            if self.over or self.cancelled:
                return b""
            self.receive(wait=True)
        line, _, self.buffer = self.buffer.partition(b"\n")
        if line == CANCEL:
            self.cancel("cancelled by its controller")
            return b""
        return b"" if line == RELEASE else line

    def receive(self, *, wait: bool) -> None:
        """Read what the controller sent; the end of the socket means that it has left."""
        try:
            body, fds = _received(self.link, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except (ConnectionError, InterruptedError):
            body, fds = b"", array("i")
        if not body:
            self.over = True
            return
        for fd in fds:
            os.set_inheritable(fd, False)
            self.places.append(fd)
        self.buffer += body
        lines = self.buffer.split(b"\n")
        if CANCEL in lines:
            self.cancel("cancelled by its controller")
        self.released = self.released or RELEASE in lines

    def leave_places(self) -> None:
        """The case has ended: its places are only the controller's now, or free when that is gone."""
        while self.places:
            os.close(self.places.pop())

    def cancel(self, comment: str) -> None:
        """End the running case at the next look; it may be run again."""
        self.cancelled = Interrupt("INCOMPLETE", "KILLED", comment)

    def tell(self, message: dict[str, Any]) -> None:
        """Answer the controller; one that has left needs no answer."""
        try:
            self.link.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except OSError:
            self.over = True


def _received(link: socket.socket, flags: int) -> tuple[bytes, array[int]]:
    """What came down a link, and the descriptors with it; socket.recv_fds does not hand its flags on."""
    fds = array("i")
    body, control, _, _ = link.recvmsg(65536, socket.CMSG_LEN(_MOST_FDS * fds.itemsize), flags)
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return body, fds


def work(link: socket.socket, setup: Setup, journal_dir: str, parent: int) -> int:
    """The whole life of a worker process; gives its exit status.

    It may outlive its controller, so it holds no file that somebody reads to its
    end: what it has to cry goes to the link, and else into a log of the store.
    """
    _settle(link, os.path.join(setup.db, "logs", "workers.log"))
    try:
        writer = writer_name()
        keep_alive(os.path.join(journal_dir, f"{writer}.ndjson"))
        journal = Journal(journal_dir, writer, buffered=True)
        worker = Worker(link, journal, setup, parent)
        signal.signal(signal.SIGTERM, lambda *_: worker.cancel("its worker was told to end"))
        worker.serve()
        journal.close()
    except MtError as e:
        _cry(link, e)
        return e.status
    except OSError as e:
        _cry(link, StoreError(f"cannot use '{e.filename}': {why(e)}" if e.filename else f"cannot go on: {why(e)}"))
        return StoreError.status
    return 0


def _settle(link: socket.socket, log: str) -> None:
    """Cut what ties us to the controller: its terminal, its signals, its locks and its files."""
    os.setsid()
    for sig in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(sig, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd != link.fileno():
            try:
                os.close(fd)
            except OSError:
                pass
    null = os.open(os.devnull, os.O_RDWR)
    for fd, to in ((0, null), (1, null), (2, _log(log, null))):
        os.dup2(to, fd)
    proc.become_subreaper()
    os.chdir("/")
    gc.freeze()


def _log(path: str, otherwise: int) -> int:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError:
        return otherwise


def _cry(link: socket.socket, error: MtError) -> None:
    try:
        link.sendall(json.dumps({"error": error.what, "status": error.status}).encode() + b"\n")
    except OSError:
        print(f"mt: {error.what}", file=sys.stderr)
