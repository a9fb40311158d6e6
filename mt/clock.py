"""Time, as two functions that a test can replace."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the run loop asks of time."""

    def now(self) -> float:
        """Seconds since 1970, for records; never compared between machines."""
        ...

    def mono(self) -> float:
        """Seconds that never go back, for durations and limits on this machine."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Wall time."""
        return time.time()

    def mono(self) -> float:
        """Monotonic time."""
        return time.monotonic()
