"""What `mtutil` says: results on stdout, trouble on stderr, one line each."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.errors import MtError


class Talk:
    """The messages of one command; `failed` once something went wrong that its user should mend."""

    def __init__(self) -> None:
        self.failed = False
        self._said: set[str] = set()

    def print(self, text: str) -> None:
        """A result."""
        sys.stdout.write(f"{text}\n")

    def error(self, text: str) -> None:
        """Something that the user should mend; the command ends with 1."""
        self.failed = True
        self._say(f"ERROR: {text}")

    def failure(self, error: MtError) -> None:
        """An expected error, in one line with its hint."""
        first, *hint = error.lines()
        self.error(f"{first} ({hint[0]})" if hint else first)

    def warn(self, text: str) -> None:
        """Something that is put up with."""
        self._say(f"WARNING: {text}")

    def once(self, text: str) -> None:
        """A warning that one command gives only once."""
        if text not in self._said:
            self._said.add(text)
            self.warn(text)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self._say(f"INFO: {text}")

    @staticmethod
    def _say(line: str) -> None:
        try:
            sys.stdout.flush()
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
        except OSError:
            pass
