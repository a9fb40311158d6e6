"""What `mt run` says while it runs: one moving line on a terminal, failures and a summary everywhere.

All of it is talk and goes to stderr, at most five times a second.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Protocol

from mt.config import Problem
from mt.model import CaseRow
from mt.states import verdict
from mt.stdio import colour, paint, say

_EVERY = 0.2
#: what only follows from another failure is counted, not named
_FOLLOWS = ("PREQ_FAIL", "PREQ_DISCARDED", "BLOCKED")


def say_problem(problem: Problem) -> None:
    """Say what is wrong with a test, and where."""
    say(f"{problem.where}: {problem.text}" if problem.where else problem.text)


class Shown(Protocol):
    """How a run is shown to whoever started it."""

    def ended(self, row: CaseRow, name: str) -> None:
        """One case is over."""
        ...

    def note(self, text: str) -> None:
        """One line of talk."""
        ...

    def tick(self, running: int, queued: int = 0) -> None:
        """A beat has passed."""
        ...

    def clear(self) -> None:
        """It is over."""
        ...


class Progress:
    """Counts cases as they end and shows it."""

    def __init__(self, run: str, total: int, slots: int = 1, quiet: bool = False) -> None:
        self.run = run
        self.total = total
        self.quiet = quiet
        self.slots = slots
        self.begun = time.monotonic()
        self.done = 0
        self.ran = 0
        self.bad = 0
        self.rate_secs = 0.0
        self.shown = 0.0
        self.moving = not quiet and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.ink = colour(sys.stderr)
        self._line = False

    def ended(self, row: CaseRow, name: str) -> None:
        """One case is over; failures are named at once."""
        self.done += 1
        kind = verdict(row.state, row.status)
        if row.secs:
            self.ran += 1
            self.rate_secs += row.secs
        if kind != "good":
            self.bad += 1
            if not self.quiet and row.status not in _FOLLOWS:
                word = row.status if row.state == "COMPLETED" else f"{row.state}/{row.status}"
                comment = f": {row.comment}" if row.comment else ""
                self.say(f"{self._paint(row.status, word)} {name}{comment}")

    def _paint(self, status: str, text: str) -> str:
        return paint(status, text) if self.ink else text

    def tick(self, running: int, queued: int = 0) -> None:
        """Draw the moving line when it is time."""
        if not self.moving:
            return
        now = time.monotonic()
        if now - self.shown >= _EVERY:
            self.shown = now
            self._write("\r\x1b[K" + self.text(running, queued)[: _width() - 1])
            self._line = True

    def text(self, running: int, queued: int = 0) -> str:
        """Counts, rate and time left as one line; what is `queued` waits for a batch engine, not for a slot."""
        secs = max(time.monotonic() - self.begun, 0.001)
        left = self.total - self.done
        parts = [f"{self.run}: {self.done}/{self.total}", f"{running} running"]
        if queued:
            parts.append(f"{queued} queued")
        if self.bad:
            parts.append(f"{self.bad} not good")
        if self.ran:
            parts.append(f"{self.ran / secs:.1f}/s")
            if left > 0:
                parts.append(
                    f"{_span(left * self.rate_secs / self.ran / max(running if queued else self.slots, 1))} left"
                )
        return ", ".join(parts)

    def say(self, text: str) -> None:
        """One line of talk, above the moving line."""
        self.clear()
        self._write(f"mt: {text}\n")

    def note(self, text: str) -> None:
        """One line of talk, unless it is to be quiet."""
        if not self.quiet:
            self.say(text)

    def clear(self) -> None:
        """Take the moving line away."""
        if self._line:
            self._write("\r\x1b[K")
            self._line = False

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self.moving = False


def _width() -> int:
    try:
        return int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        try:
            return os.get_terminal_size(2).columns
        except OSError:
            return 80


def _span(secs: float) -> str:
    if secs < 60:
        return f"{secs:.0f} s"
    if secs < 3600:
        return f"{int(secs // 60)} min {int(secs % 60)} s"
    return f"{int(secs // 3600)} h {int(secs % 3600 // 60)} min"
