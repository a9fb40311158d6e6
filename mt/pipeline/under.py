"""Run a command under something that we hold: it gets our signals, its status is ours, and it may inherit the lock.

The caller stays its parent, to give signs of life and to give back what it
holds when the command has ended.  A signal that a process sent us is passed
on; one that came from the terminal has reached the command as well, which is
in the same foreground group.
"""

from __future__ import annotations

import os
import signal
import time

from mt.errors import LaunchError, MtError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: what is passed on; what stops and continues us is left to the kernel
PASSED = tuple(getattr(signal, f"SIG{n}") for n in "HUP INT QUIT TERM USR1 USR2 ALRM WINCH".split())


class NoCommand(LaunchError):
    """There is no such command."""

    status = 127


class NotRunnable(LaunchError):
    """The command is there and cannot be run."""

    status = 126


def under(
    argv: Sequence[str], environ: Mapping[str, str], inherited: Iterable[int] = (),
    begun: Callable[[int], None] = lambda pid: None, beat: Callable[[], None] = lambda: None, every: float = 10.0,
) -> int:  # fmt: skip
    """Run the command and wait for it; gives its exit status, 128 and the number of the signal that ended it.

    `inherited` are descriptors that it gets; `begun` is told its pid; `beat` is
    called every so many seconds.  Raises NoCommand and NotRunnable.
    """
    waited = {*PASSED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        child = _spawn(argv, environ, inherited, before)
        begun(child)
        return _wait(child, waited, beat, every)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _spawn(argv: Sequence[str], environ: Mapping[str, str], inherited: Iterable[int], mask: Iterable[int]) -> int:
    if not argv[0]:
        raise NoCommand("cannot run '': it has no name")
    for fd in inherited:
        os.set_inheritable(fd, True)
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]  # that Python ignores them is no affair of the command
    try:
        return os.posix_spawnp(argv[0], list(argv), dict(environ), setsigmask=list(mask), setsigdef=defaults)
    except FileNotFoundError as e:
        raise NoCommand(f"cannot run '{argv[0]}': {why(e)}") from e
    except OSError as e:
        raise NotRunnable(f"cannot run '{argv[0]}': {why(e)}") from e
    except ValueError as e:
        raise MtError(f"cannot run '{argv[0]}': {e}") from e


def _wait(child: int, waited: Iterable[int], beat: Callable[[], None], every: float) -> int:
    """Pass signals on until the child has ended."""
    due = time.monotonic() + every
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        got = signal.sigtimedwait(waited, max(due - time.monotonic(), 0))
        if got is None:
            beat()
            due = time.monotonic() + every
        elif got.si_signo != signal.SIGCHLD and got.si_code <= 0:
            _pass_on(child, got.si_signo)


def _pass_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except OSError:
        return
