"""Processes: start one, or a pipeline of several; wait for all of them; end a whole tree.

A lone program is started by posix_spawn in a session of its own, in the current
directory of the worker (a worker runs one case at a time, so it may chdir).  A
pipeline `a | b | c` is bound with plumbum and every stage keeps its own status
(spec/architecture.md L101, 4.7).  The environment is always handed over whole;
nothing of ours leaks into a child (L102).

The worker is a child subreaper, so a daemon that a step leaves behind becomes
the worker's own child and can still be found and ended.  The tree of a case is
everything below its stages, plus every descendant of the worker whose
environment carries the case's mark: changing group or session does not hide it.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mt.errors import LaunchError, MtError, why
from mt.trace import trace

#: seconds between TERM and KILL (spec/config.md T25)
GRACE = 5.0
#: a step that ends sooner than this never causes a look at control files or a flush
QUICK = 0.02
#: seconds between two looks at control files and limits
TICK = 0.5
#: a host that has no room for one more process or file says nothing about the program
_NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE)
_PR_SET_CHILD_SUBREAPER = 36
_ONCE_KILLED = 0.05

Watch = Callable[[], str]


class Ended(NamedTuple):
    """How the stages of a step ended: statuses in order (negative = signal), seconds, cpu seconds, peak bytes."""

    exits: tuple[int, ...]
    secs: float
    cpu: float
    rss: int
    killed: str = ""


def become_subreaper() -> None:
    """Make this process the new parent of orphans below it; without the call they would escape to init."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def find_program(name: str, path: str) -> str | None:
    """Where `name` is on a PATH; names with a slash are taken as they are, relative to the current directory."""
    if "/" in name:
        return name if os.path.exists(name) else None
    for folder in path.split(":"):
        full = os.path.join(folder or ".", name)
        if os.access(full, os.X_OK) and not os.path.isdir(full):
            return full
    return None


def spawn(argv: Sequence[str], env: Mapping[str, str], out: int, source: int, program: str | None = None) -> int:
    """Start one program in a session of its own, with stdin from `source` and stdout, stderr to `out`."""
    where = program or find_program(argv[0], env.get("PATH", os.defpath))
    if where is None:
        raise LaunchError(f"cannot run '{argv[0]}': command not found")
    try:
        pid = os.posix_spawn(
            where,
            list(argv),
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, source, 0),
                (os.POSIX_SPAWN_DUP2, out, 1),
                (os.POSIX_SPAWN_DUP2, out, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as e:
        raise _unlaunched(argv[0], e) from e
    trace("spawn", argv[0], child=pid)
    return pid


def _unlaunched(program: str, e: OSError) -> MtError:
    """What it means that a program could not be started: a LaunchError is about it, anything else about this host."""
    kind = MtError if e.errno in _NO_ROOM else LaunchError
    return kind(f"cannot run '{program}': {why(e)}")


def spawn_pipeline(stages: Sequence[Sequence[str]], env: Mapping[str, str], out: int, source: int) -> list[int]:
    """Start `a | b | c` with plumbum; gives the process of each stage, first to last.

    All stderr and the last stdout go to `out`.  plumbum closes the left ends, so
    a stage whose reader has left gets SIGPIPE.
    """
    from functools import reduce
    from operator import or_

    from plumbum import LocalPath
    from plumbum.commands.base import BaseCommand
    from plumbum.machines.local import LocalCommand

    programs: list[BaseCommand] = []
    for argv in stages:
        where = find_program(argv[0], env.get("PATH", os.defpath))
        if where is None:
            raise LaunchError(f"cannot run '{argv[0]}': command not found")
        programs.append(LocalCommand(LocalPath(where))[list(argv[1:])])
    machine: Any = programs[0].machine
    try:
        with machine.env():  # plumbum lays the child's environment over its own: empty that first
            for name in machine.env.getdict().keys() - env.keys():
                del machine.env[name]
            last = reduce(or_, programs).popen(
                stdin=source, stdout=out, stderr=out, env=dict(env), cwd=os.getcwd(), new_session=True
            )
    except OSError as e:
        raise _unlaunched(e.filename or stages[0][0], e) from e
    pids = _stages(last)
    trace("spawn", " | ".join(s[0] for s in stages), child=pids)
    return pids


def _stages(last: Any) -> list[int]:
    """The processes of plumbum's pipeline, first to last; from here on they are reaped by pid, not by Popen."""
    pids: list[int] = []
    while last is not None:
        pids.append(last.pid)
        last.returncode = 0
        last = getattr(last, "srcproc", None)
    return pids[::-1]


def wait(pids: Sequence[int], watch: Watch, *, mark: bytes, wake: int = -1, slow: Callable[[], None]) -> Ended:
    """Wait until every stage has ended; gives statuses, time and resources.

    `watch` is asked every half second, and whenever `wake` has something to
    read; a non-empty answer is the reason to end the whole tree: TERM, then
    KILL after the grace period.  `slow` is called once if the step is not over
    after a blink, for flushing what was recorded.
    """
    waiting: _Waiting | None = None
    try:
        waiting = _Waiting(pids, mark)
        if waiting.look(QUICK):
            slow()
            if wake >= 0:
                waiting.also(wake)
            while waiting.look(_ONCE_KILLED if waiting.killed else TICK):
                waiting.press(watch)
    except BaseException:  # whoever cannot watch a step any more must not leave it running
        _end_at_once(pids, mark)
        if waiting:
            waiting.close()
        raise
    if waiting.killed:
        _sweep(pids, mark, waiting.deadline)
    return waiting.ended()


class _Waiting:
    """The stages that have not ended yet, and what the others used."""

    def __init__(self, pids: Sequence[int], mark: bytes) -> None:
        self.begun = time.monotonic()
        self.pids = pids
        self.mark = mark
        self.left = {os.pidfd_open(pid): n for n, pid in enumerate(pids)}
        self.exits = [0] * len(pids)
        self.cpu = 0.0
        self.rss = 0
        self.killed = ""
        self.deadline = 0.0
        self.quiet = False  # the last look saw nothing but time, or the wake descriptor
        self.wake = -1
        self.poll = select.poll()
        for fd in self.left:
            self.poll.register(fd, select.POLLIN)

    def also(self, wake: int) -> None:
        """From now on wake up as well when this descriptor can be read."""
        self.wake = wake
        self.poll.register(wake, select.POLLIN)

    def look(self, seconds: float) -> bool:
        """Wait for something to happen; tells whether stages are left."""
        events = self.poll.poll(seconds * 1000)
        self.quiet = not events
        for fd, what in events:
            if fd != self.wake:
                self._gone(fd)
                continue
            self.quiet = True
            if what & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                self.poll.unregister(fd)  # the other end is gone, and an end can be read for ever
        return bool(self.left)

    def _gone(self, fd: int) -> None:
        number = self.left.pop(fd)
        self.poll.unregister(fd)
        os.close(fd)
        _, status, used = os.wait4(self.pids[number], 0)
        self.exits[number] = os.waitstatus_to_exitcode(status)
        self.cpu += used.ru_utime + used.ru_stime
        self.rss = max(self.rss, used.ru_maxrss * 1024)

    def press(self, watch: Watch) -> None:
        """Ask whether the tree must end, and end it; harder when the grace period is over."""
        if self.killed:
            if time.monotonic() >= self.deadline:
                signal_tree(self.pids, self.mark, signal.SIGKILL)
        elif self.quiet:
            self.killed = watch()
            if self.killed:
                self.deadline = time.monotonic() + GRACE
                signal_tree(self.pids, self.mark, signal.SIGTERM)

    def close(self) -> None:
        """Give back the descriptors of stages that are waited for no more."""
        for fd in self.left:
            os.close(fd)
        self.left.clear()

    def ended(self) -> Ended:
        """The result, when no stage is left."""
        return Ended(tuple(self.exits), time.monotonic() - self.begun, self.cpu, self.rss, self.killed)


def _end_at_once(pids: Sequence[int], mark: bytes) -> None:
    """KILL what was started, also where not even /proc can be read."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        _sweep(pids, mark, 0.0)


def _sweep(pids: Sequence[int], mark: bytes, deadline: float) -> None:
    """After a kill: what outlived its stages gets the rest of the grace period, then KILL, until nothing is left."""
    for _ in range(2000):
        reap()
        if not tree(pids, mark):
            return
        if time.monotonic() >= deadline:
            signal_tree(pids, mark, signal.SIGKILL)
        select.poll().poll(10)


def reap() -> None:
    """Collect descendants that were left to us and have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def signal_tree(pids: Sequence[int], mark: bytes, sig: int) -> int:
    """Send a signal to every process of a case; gives how many there were."""
    found = tree(pids, mark)
    for pid in found:
        try:
            os.kill(pid, sig)
        except (ProcessLookupError, PermissionError):
            pass
    return len(found)


def tree(pids: Sequence[int], mark: bytes) -> set[int]:
    """All living processes of a case: below its stages, or below this worker with the mark in their environment."""
    roots = [*pids, os.getpid()] if mark else pids
    children = _children_below(roots)
    if children is None:
        children = {}
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
    found = _below(children, pids) | {p for p in pids if _exists(p)}
    if mark:
        for pid in _below(children, [os.getpid()]) - found:
            if mark in _environ(pid):
                found |= {pid} | _below(children, [pid])
    return found


def _children_below(roots: Sequence[int]) -> dict[int, list[int]] | None:
    """Who is whose living child, below some processes only; None where the kernel does not tell.

    On a busy host that is a few files in place of one for each of its processes.
    """
    children: dict[int, list[int]] = {}
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid in children:
            continue
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue  # it is gone, and with it what it had
        children[pid] = []
        for task in tasks:
            try:
                with open(f"/proc/{pid}/task/{task}/children", "rb") as f:
                    told = f.read()
            except OSError:
                if not os.path.exists("/proc/thread-self/children"):
                    return None
                continue
            children[pid] += [child for child in map(int, told.split()) if _exists(child)]
        todo.extend(children[pid])
    return children


def marked(mark: bytes) -> set[int]:
    """All processes of this machine that carry the mark: what a dead worker left behind."""
    return {pid for pid, _ in _parents() if pid != os.getpid() and mark in _environ(pid)}


def _below(children: Mapping[int, Sequence[int]], roots: Sequence[int]) -> set[int]:
    found: set[int] = set()
    todo = [c for r in roots for c in children.get(r, ())]
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo.extend(children.get(pid, ()))
    return found


def _parents() -> list[tuple[int, int]]:
    """(pid, parent) of every living process; zombies are left out, they only wait to be reaped."""
    rows = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as f:
                    state, parent = f.read().rpartition(b")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state != b"Z":
                rows.append((int(name), int(parent)))
    return rows


def _exists(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def _environ(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return f.read()
    except OSError:
        return b""
