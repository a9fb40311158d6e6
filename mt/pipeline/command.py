"""One command with its output in a log: what `mt step NAME -- CMD` and `megatest -runstep` run.

It starts in milliseconds, so it imports nothing but what every command has
loaded anyway.
"""

from __future__ import annotations

import os
import time

from mt.errors import MtError, why
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Done:
    """How a command ended: code as a shell would say it, seconds, cpu seconds, peak bytes."""

    def __init__(self, code: int, secs: float = 0.0, cpu: float = 0.0, rss: int = 0) -> None:
        self.code = code
        self.secs = secs
        self.cpu = cpu
        self.rss = rss


def execute(argv: Sequence[str], log: str, *, echo: bool) -> Done:
    """Run a command with stdout and stderr in `log`; with echo the output goes to our own stdout too."""
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as e:
        raise MtError(f"cannot write '{log}': {why(e)}") from e
    try:
        if not echo:
            return _wait(_spawn(argv, out))
        read, write = os.pipe()
        started = _spawn(argv, write)
        os.close(write)
        _tee(read, out)
        return _wait(started)
    finally:
        os.close(out)


def _spawn(argv: Sequence[str], out: int) -> tuple[int, float] | Done:
    """Process and begin, or why it could not be started, said in the log as well.

    From here on a signal to us is passed on to it, so that its end is still
    recorded; one that comes in between waits until there is somebody to pass it to.
    """
    import signal

    begun = time.monotonic()
    actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    plain = [signal.SIGPIPE, signal.SIGXFSZ]
    ends = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        pid = os.posix_spawnp(
            argv[0], list(argv), os.environ, file_actions=actions, setsigdef=plain, setsigmask=list(usual)
        )
        for number in ends:
            signal.signal(number, lambda number, frame: _pass_on(pid, number))
    except OSError as e:
        os.write(out, f"mt: cannot run '{argv[0]}': {why(e)}\n".encode())
        say(f"cannot run '{argv[0]}': {why(e)}")
        return Done(127 if isinstance(e, FileNotFoundError) else 126)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)
    return pid, begun


def _pass_on(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _wait(started: tuple[int, float] | Done) -> Done:
    """Wait for the process and take what it used."""
    if isinstance(started, Done):
        return started
    pid, begun = started
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    return Done(code if code >= 0 else 128 - code, time.monotonic() - begun, cpu, used.ru_maxrss * 1024)


def _tee(read: int, out: int) -> None:
    """Copy all that comes to the log and to stdout; a reader of ours that has left does not stop the step."""
    listening = True
    with open(read, "rb", buffering=0) as pipe:
        while body := pipe.read(65536):
            write_all(out, body)
            try:
                if listening:
                    write_all(1, body)
            except BrokenPipeError:
                listening = False


def write_all(fd: int, body: bytes) -> None:
    """Write past every buffer of ours, so that nothing is left to be written to a reader that has gone."""
    done = 0
    while done < len(body):
        done += os.write(fd, body[done:])
