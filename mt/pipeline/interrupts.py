"""The interrupt contract: the first drains, the second cancels, the third leaves (DESIGN.md section 4).

SIGTERM cancels at once, a lost terminal drains, SIGUSR1 asks for the status.
The handlers only count; the loop looks at the count when it wakes up.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any


class Interrupts:
    """What signals have asked for so far; a context manager that puts the old handlers back."""

    def __init__(self) -> None:
        self.level = 0  # 1 drain, 2 cancel, 3 leave
        self.status_wanted = False
        self.by = ""
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old: dict[int, Any] = {}
        self._wakeup = -1

    def __enter__(self) -> Interrupts:
        """Take over the signals."""
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            if signal.getsignal(sig) is signal.SIG_IGN and sig != signal.SIGUSR1:
                continue  # started by nohup or as a shell's background job: stay deaf
            self._old[sig] = signal.signal(sig, self._handle)
        self._wakeup = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(self._wakeup)
        for sig, old in self._old.items():
            signal.signal(sig, old)
        os.close(self.reader)
        os.close(self.writer)

    def _handle(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGUSR1:
            self.status_wanted = True
            return
        self.by = signal.Signals(sig).name
        if sig == signal.SIGINT:
            self.level += 1
        elif sig == signal.SIGTERM:
            self.level = max(self.level + 1, 2)
        else:
            self.level = max(self.level, 1)

    def drain(self) -> None:
        """Empty the wake-up pipe."""
        try:
            while os.read(self.reader, 512):
                pass
        except BlockingIOError:
            pass
