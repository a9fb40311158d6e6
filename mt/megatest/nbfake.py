"""`nbfake CMD ARGS...`: start a command detached, here or on another host, and go on (spec/config.md 2.4, M11).

The command keeps the directory and the environment, has no terminal and no
standard input, survives a hang-up, and writes what it says to $NBFAKE_LOG, or
else to `NBFAKE-<ISO year>WW<week>.<day>_<HH:MM:SS>` in this directory.  With
$NBFAKE_HOST it is started there by ssh, in the same directory, with PATH,
DISPLAY and the MT_ variables of here.  `nbfind` is the same program by another
name; `remrun HOST CMD ARGS...` takes the host as its first word.

Words stay words, whatever is in them.  One lone word with blanks, which is no
program, is a line for the shell: that is how old scripts wrote it.

The exit status tells of the start alone: 0, 1 for a wrong call or a log that
cannot be written, 126 or 127 when the command cannot be run or is not there,
and ssh's own 255 when the host cannot be reached.

Old areas start every case with it, so it imports next to nothing.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: what decides about this start, and is no business of the command
OWN = ("NBFAKE_HOST", "NBFAKE_LOG")
_BLANKS = " \t\n"


def main(argv: Sequence[str] | None = None) -> int:
    """`nbfake` and `nbfind`."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "-help", "--help"):
        return _usage("nbfake CMD [ARGS...]", words)
    return start(words, os.environ.get("NBFAKE_HOST", ""))


def remrun(argv: Sequence[str] | None = None) -> int:
    """`remrun HOST CMD ARGS...`: what `NBFAKE_HOST=HOST nbfake CMD ARGS...` does."""
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) < 2 or words[0].startswith("-"):
        return _usage("remrun HOST CMD [ARGS...]", words)
    return start(words[1:], words[0])


def _usage(text: str, words: Sequence[str]) -> int:
    asked = bool(words) and words[0] in ("-h", "-help", "--help")
    (sys.stdout if asked else sys.stderr).write(f"usage: {text}\n")
    return 0 if asked else 1


def start(words: Sequence[str], host: str) -> int:
    """Start a command detached; gives the exit status."""
    given = os.environ.get("NBFAKE_LOG", "")
    log = given or log_name(time.time())
    env = {name: value for name, value in os.environ.items() if name not in OWN}
    return _there(words, host, env, log) if host else _here(words, env, log, fresh=bool(given))


def log_name(now: float) -> str:
    """The log of a command started at that moment, local time."""
    return time.strftime("NBFAKE-%GWW%V.%u_%H:%M:%S", time.localtime(now))


def command_of(words: Sequence[str], path: str) -> list[str]:
    """The words to start: a lone one that is a shell line goes to the shell."""
    if len(words) == 1 and any(c in words[0] for c in _BLANKS) and not _found(words[0], path):
        return ["/bin/sh", "-c", words[0]]
    return list(words)


def _found(name: str, path: str) -> str:
    """The program of that name, or an empty text."""
    folders = [""] if "/" in name else path.split(":")
    tried = (os.path.join(folder, name) for folder in folders)
    return next((full for full in tried if os.access(full, os.X_OK) and not os.path.isdir(full)), "")


def _here(words: Sequence[str], env: Mapping[str, str], log: str, *, fresh: bool) -> int:
    argv = command_of(words, env.get("PATH", os.defpath))
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if fresh else os.O_APPEND)
    try:
        out = os.open(log, flags, 0o666)
    except OSError as e:
        return _failed(1, f"cannot write '{log}': {(e.strerror or '').lower()}")
    try:
        _spawn(argv, env, out)
    except OSError as e:
        text = f"cannot run '{argv[0]}': {(e.strerror or '').lower()}"
        os.write(out, f"nbfake: {text}\n".encode("utf-8", "surrogateescape"))
        return _failed(127 if isinstance(e, FileNotFoundError) else 126, text)
    finally:
        os.close(out)
    return 0


def _spawn(argv: list[str], env: Mapping[str, str], out: int) -> None:
    """Start a program in a session of its own; a script without `#!` is the shell's. Raises OSError."""
    import errno
    import signal

    program = _found(argv[0], env.get("PATH", os.defpath)) or argv[0]
    if "/" not in program:
        raise FileNotFoundError(errno.ENOENT, "command not found")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the command inherits it, as from nohup
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    files = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate((nothing, out, out))]
    reset = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        os.posix_spawn(program, argv, env, file_actions=files, setsid=True, setsigdef=reset)
    except OSError as e:
        if e.errno != errno.ENOEXEC:
            raise
        lines = ["/bin/sh", program, *argv[1:]]
        os.posix_spawn("/bin/sh", lines, env, file_actions=files, setsid=True, setsigdef=reset)
    finally:
        os.close(nothing)


def _failed(status: int, text: str) -> int:
    from mt.stdio import say

    say(text, prog="nbfake")
    return status


def _there(words: Sequence[str], host: str, env: Mapping[str, str], log: str) -> int:
    import subprocess

    from mt.errors import LaunchError
    from mt.remote import host_word

    sys.stderr.flush()
    try:
        host_word(host)
    except LaunchError as e:
        return _failed(126, e.what)
    try:
        return subprocess.run(["ssh", "-n", host, remote_line(words, env, log, here(env))], check=False).returncode
    except OSError as e:
        return _failed(126, f"cannot run 'ssh': {(e.strerror or '').lower()}")


def here(env: Mapping[str, str]) -> str:
    """This directory as the shell names it: a link tree is there on all hosts, its disk may be not."""
    shown = env.get("PWD", "")
    try:
        return shown if os.path.samefile(shown, ".") else os.getcwd()
    except OSError:
        return os.getcwd()


def remote_line(words: Sequence[str], env: Mapping[str, str], log: str, directory: str) -> str:
    """What ssh is told: start it in the background and come back; any login shell can read it."""
    from shlex import join, quote

    from mt.remote import entering, login_line

    kept = sorted(n for n in env if n.startswith("MT_") or n in ("PATH", "DISPLAY"))
    lone = len(words) == 1 and any(c in words[0] for c in _BLANKS)
    command = join(["/bin/sh", "-c", words[0]] if lone else words)
    return login_line(f"{entering(directory, env, kept)}nohup {command} > {quote(log)} 2>&1 < /dev/null &")
