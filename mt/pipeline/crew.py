"""The local launcher: as many workers as there are slots, forked when they are first needed.

Pure fork, no interpreter start: a worker begins with everything the controller
has read.  The controller sends orders and gets answers through one socket per
worker; a socket that ends without an answer is a worker that died.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mt.errors import LaunchError, why
from mt.model import CaseRow
from mt.pipeline.case import Order, Setup
from mt.pipeline.worker import CANCEL, RELEASE, work
from mt.trace import trace

#: descriptors that no worker takes: dbs, journals, locks and what commands of the area need
_SPARE_FDS = 24


class Answer(NamedTuple):
    """A worker said that a case is over."""

    row: CaseRow
    number: int


class Died(NamedTuple):
    """A worker is gone: the case it had, and what it said last."""

    number: int | None
    error: str
    status: int


class Member:
    """One worker as its controller sees it."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.buffer = b""
        self.number: int | None = None  # the case it runs

    def fileno(self) -> int:
        """For select."""
        return self.link.fileno()


def _linked() -> tuple[socket.socket, socket.socket]:
    """Both ends of a link; raises OSError also when so few descriptors are left that nothing else could be opened."""
    ours, theirs = socket.socketpair()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or theirs.fileno() < most - _SPARE_FDS:
        return ours, theirs
    ours.close()
    theirs.close()
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Crew:
    """All workers of one controller."""

    def __init__(self, setup: Setup, journal_dir: str) -> None:
        self.setup = setup
        self.journal_dir = journal_dir
        self.members: dict[int, Member] = {}  # by file descriptor
        self.idle: list[Member] = []

    def busy(self) -> int:
        """How many workers run a case."""
        return len(self.members) - len(self.idle)

    def hire(self, enrol: Callable[[int], None]) -> Member:
        """Fork one more worker; `enrol` is told its descriptor.  Raises LaunchError where there is no room for it."""
        pair: tuple[socket.socket, ...] = ()
        parent = os.getpid()
        try:
            ours, theirs = pair = _linked()
            gc.collect(0)
            pid = os.fork()
        except OSError as e:
            for link in pair:
                link.close()
            raise LaunchError(f"cannot start a worker: {why(e)}", hint="see ulimit -a") from e
        if pid == 0:
            status = 6
            try:
                ours.close()
                status = work(theirs, self.setup, self.journal_dir, parent)
            except BaseException:  # a bug: it must be seen, though only the worker dies of it
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        theirs.close()
        trace("spawn", "worker", child=pid)
        member = Member(pid, ours)
        self.members[member.fileno()] = member
        enrol(member.fileno())
        return member

    def order(self, order: Order, enrol: Callable[[int], None], places: Sequence[int] = ()) -> bool:
        """Give a case to an idle worker, or to a new one; False when there can be no more than there are.

        `places` are the descriptors of what the case takes up among all runs of
        the area: the worker holds them too, until the case has ended.
        Raises LaunchError when there is none at all.
        """
        line = json.dumps(order, separators=(",", ":")).encode() + b"\n"
        while True:
            try:
                member = self.idle.pop() if self.idle else self.hire(enrol)
            except LaunchError:
                if not self.busy():
                    raise
                return False
            try:
                _send(member.link, line, places)
            except OSError:
                continue  # it died while idle; its end is seen by `hear`
            member.number = order.number
            return True

    def hear(self, fd: int) -> list[Answer | Died]:
        """Read what one worker says; a worker that has gone is forgotten here."""
        member = self.members.get(fd)
        if member is None:
            return []
        try:
            body = member.link.recv(65536)
        except OSError:
            body = b""
        if not body:
            return [self._bury(member)]
        member.buffer += body
        *lines, member.buffer = member.buffer.split(b"\n")
        heard: list[Answer | Died] = []
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if "error" in message:
                heard.append(Died(member.number, message["error"], message["status"]))
                member.number = None
                continue
            heard.append(Answer(CaseRow(*message["row"]), message["c"]))
            member.number = None
            self.idle.append(member)
        return heard

    def _bury(self, member: Member) -> Died:
        number, member.number = member.number, None
        del self.members[member.fileno()]
        if member in self.idle:
            self.idle.remove(member)
        member.link.close()
        _, status = os.waitpid(member.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return Died(number, f"its worker (pid {member.pid}) ended with {code}" if number is not None else "", 0)

    def dismiss(self) -> None:
        """Tell idle workers that there is nothing more to do."""
        for member in self.idle:
            try:
                member.link.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        self.idle.clear()

    def cancel(self) -> None:
        """Tell every busy worker to end its case now."""
        for member in self.members.values():
            try:
                member.link.sendall(CANCEL + b"\n")
            except OSError:
                pass

    def release(self) -> None:
        """Leave busy workers to themselves: they finish their case and what follows from it."""
        for member in self.members.values():
            try:
                member.link.sendall(RELEASE + b"\n")
            except OSError:
                pass
        self.leave()

    def leave(self) -> list[int]:
        """Forget the workers without waiting; gives the pids of those that still live."""
        pids = [m.pid for m in self.members.values()]
        for member in self.members.values():
            member.link.close()
        self.members.clear()
        return pids


def _send(link: socket.socket, line: bytes, fds: Sequence[int]) -> None:
    """Send a line, with descriptors if there are any."""
    sent = socket.send_fds(link, [line], list(fds)) if fds else 0
    if sent < len(line):
        link.sendall(line[sent:])
