"""What reading an area may do to the world, as one object (spec/config.md 1.4 to 1.8).

`config` and `expr` run commands, read files and make directories only through
`Effects`.  `SystemEffects` does it; tests hand in a fake that only remembers.
An environment is always an argument: nothing here reads or writes os.environ.
"""

from __future__ import annotations

import os
from typing import Protocol

from mt.team import make_shared
from mt.trace import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Effects(Protocol):
    """The shell, files, host and clock as a reader of configuration sees them."""

    def shell(self, command: str, env: Mapping[str, str], cwd: str) -> tuple[int, str]:
        """Run a command line in a shell; gives exit status and standard output; raises OSError if it cannot start."""

    def run(self, command: str, env: Mapping[str, str], cwd: str) -> int:
        """Run a command line whose output is talk (it goes to our stderr); gives the exit status."""

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises OSError."""

    def is_program(self, path: str) -> bool:
        """Whether path is an executable file."""

    def make_directory(self, path: str) -> None:
        """Make a directory with its parents; one that is there is fine; raises OSError."""

    def tests(self, directories: Iterable[str]) -> list[str]:
        """Names of the sub-directories that hold a testconfig, each once, in order."""

    def user_home(self, name: str) -> str | None:
        """The home directory of a user, None for an unknown one."""

    def cpus(self) -> int:
        """How many processors this host has."""

    def host(self) -> str:
        """The name of this host."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait, because an expression asks for it."""


def decode(data: bytes) -> str:
    """Bytes of a file or command as text: UTF-8, and a line that is not UTF-8 as Latin-1.

    Surrogates are avoided on purpose: SQLite and JSON refuse them.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(_decode_line(line) for line in data.split(b"\n"))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


class SystemEffects:
    """The real world; commands run in bash when there is one (spec/config.md X8), else in sh."""

    def __init__(self) -> None:
        self._shell = ""

    def shell(self, command: str, env: Mapping[str, str], cwd: str) -> tuple[int, str]:
        """Run a command line with empty standard input and its complaints on our stderr."""
        import subprocess

        trace("spawn", command, cwd=cwd)
        done = subprocess.run(
            [self._program(), "-c", command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        return done.returncode, decode(done.stdout.replace(b"\0", b""))

    def run(self, command: str, env: Mapping[str, str], cwd: str) -> int:
        """Run a command line whose standard output joins our stderr: stdout is data only."""
        import subprocess

        trace("spawn", command, cwd=cwd)
        words = [self._program(), "-c", command]
        # descriptor 2 itself: sys.stderr may be replaced by something without a descriptor
        done = subprocess.run(words, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=2, check=False)
        return done.returncode

    def _program(self) -> str:
        if not self._shell:
            import shutil

            self._shell = shutil.which("bash") or "/bin/sh"
        return self._shell

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        with open(path, "rb") as file:
            return file.read()

    def is_program(self, path: str) -> bool:
        """Whether path is an executable file."""
        return os.path.isfile(path) and os.access(path, os.X_OK)

    def make_directory(self, path: str) -> None:
        """Make a directory with its parents."""
        make_shared(path)

    def tests(self, directories: Iterable[str]) -> list[str]:
        """Names of the visible sub-directories with a testconfig; a directory that cannot be listed holds none."""
        found: dict[str, None] = {}
        for directory in directories:
            try:
                names = sorted(os.listdir(directory))
            except OSError:
                continue
            for name in names:
                if name[0] != "." and os.path.isfile(os.path.join(directory, name, "testconfig")):
                    found[name] = None
        return list(found)

    def user_home(self, name: str) -> str | None:
        """The home directory of a user as the password database has it."""
        import pwd

        try:
            return pwd.getpwnam(name).pw_dir
        except KeyError:
            return None

    def cpus(self) -> int:
        """How many processors this host has."""
        return os.cpu_count() or 1

    def host(self) -> str:
        """The name of this host."""
        return os.uname().nodename

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        import time

        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        import time

        time.sleep(seconds)
