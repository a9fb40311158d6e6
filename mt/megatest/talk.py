"""What the old command says: results on stdout, everything else on stderr or in a log, by level (A9, A10)."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mt.megatest.words import Args


class Refused(Exception):
    """The command ends here, with this status and an error line (none when `text` is empty)."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def levels(text: str | None) -> Callable[[int], bool]:
    """Which levels are shown: `N` all up to N, `N,M` exactly these; 1 for anything else (A9)."""
    words = (text or "1").split(",")
    if not all(word.strip().isdigit() for word in words):
        return lambda level: level <= 1
    numbers = frozenset(int(word) for word in words)
    if len(words) == 1:
        most = max(numbers)
        return lambda level: level <= most
    return lambda level: level in numbers


class Talk:
    """The messages of one command."""

    def __init__(self, args: Args, environ: Mapping[str, str]) -> None:
        self.debug = args.value("-debug", "-debug-noprop") or environ.get("MT_DEBUG_MODE")
        self.shown = levels(self.debug)
        self.log = args.value("-log")

    def say(self, level: int, text: str) -> None:
        """A line of a level, as it is."""
        if not self.shown(level):
            return
        try:
            if self.log:
                self._append(self.log, text)
            else:
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()
        except OSError:
            pass

    @staticmethod
    def _append(path: str, text: str) -> None:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "a", encoding="utf-8", errors="surrogateescape") as out:
            out.write(f"{text}\n")

    def error(self, text: str) -> None:
        """An error of level 0; a text that already says ERROR is not marked twice."""
        self.say(0, text if text.startswith("ERROR:") else f"ERROR: {text}")

    def warn(self, text: str) -> None:
        """A warning of level 0."""
        self.say(0, text if text.startswith("WARNING:") else f"WARNING: {text}")

    def info(self, level: int, text: str) -> None:
        """An info line of a level."""
        self.say(level, f"INFO: ({level}) {text}")
