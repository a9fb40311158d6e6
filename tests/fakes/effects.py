"""Effects that touch nothing: commands answer from a table or a function, files are a dict."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping


class FakeEffects:
    """Remembers in `ran` and `made` what was asked; `answers` maps a command to (status, output)."""

    def __init__(
        self,
        answers: Mapping[str, tuple[int, str]] | Callable[[str, Mapping[str, str]], tuple[int, str]] | None = None,
        files: Mapping[str, str | bytes | OSError] | None = None,
        programs: Iterable[str] = (),
        tests: Iterable[str] = (),
    ) -> None:
        self.answers = answers or {}
        self.files = dict(files or {})
        self.programs = set(programs)
        self.test_names = list(tests)
        self.ran: list[str] = []
        self.made: list[str] = []
        self.slept: list[float] = []
        self.looked: list[str] = []
        self.now = 0.0
        self.each_takes = 0.0

    def shell(self, command: str, env: Mapping[str, str], cwd: str) -> tuple[int, str]:
        """The answer to a command; unknown ones are not found, as a shell would say."""
        self.ran.append(command)
        self.now += self.each_takes
        if callable(self.answers):
            return self.answers(command, env)
        return self.answers.get(command, (127, ""))

    def run(self, command: str, env: Mapping[str, str], cwd: str) -> int:
        """The status of a command."""
        return self.shell(command, env, cwd)[0]

    def read(self, path: str) -> bytes:
        """A file of the dict."""
        found = self.files.get(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        if isinstance(found, OSError):
            raise found
        return found.encode() if isinstance(found, str) else found

    def is_program(self, path: str) -> bool:
        """Whether it was named as one."""
        return path in self.programs

    def make_directory(self, path: str) -> None:
        """Only remembered."""
        self.made.append(path)

    def tests(self, directories: Iterable[str]) -> list[str]:
        """The names given."""
        self.looked.extend(directories)
        return self.test_names

    def user_home(self, name: str) -> str | None:
        """Only `ann` lives here."""
        return "/home/ann" if name == "ann" else None

    def cpus(self) -> int:
        """Always four."""
        return 4

    def host(self) -> str:
        """Always the same."""
        return "n1"

    def monotonic(self) -> float:
        """A clock that commands move."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Only remembered."""
        self.slept.append(seconds)
