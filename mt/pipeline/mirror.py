"""The area's megatest.db follows what is recorded, for scripts that read it (spec/runs.md 6.4).

`python -m mt.pipeline.mirror HOME KEY...` writes it once.  The old run command
has that done every few seconds while it runs, in a process of its own: nothing
that starts tests waits for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from mt.db import Store, has_bytes
from mt.errors import MtError
from mt.exporting import export_db, is_ours
from mt.locks.filelock import held
from mt.queries import find_runs

#: where an area of the old program has its records
OLD_DB = "megatest.db"
#: an area with more records than this has its file written on demand only
MIRRORED = 200000
#: seconds before the first copy of a run, between two, and for which part of the time copies may be made
FIRST, BETWEEN, PART = 1.0, 5.0, 10


def renew(store: Store, home: str, keys: Sequence[str]) -> bool:
    """Let the file follow; False when it is a foreign one, which stays as it is.  Raises MtError."""
    path = os.path.join(home, OLD_DB)
    if has_bytes(path) and not is_ours(path):
        return False
    if sum(n for run in find_runs(store) for n in run.counts.values()) > MIRRORED:
        return True
    with held(store.lock_path("mirror"), what=OLD_DB):  # what was read first must not replace what was read later
        export_db(store, path, keys)
    return True


def follows(home: str) -> bool:
    """Whether an area has such a file, of ours."""
    path = os.path.join(home, OLD_DB)
    return has_bytes(path) and is_ours(path)


class Mirror:
    """Copies made while a run goes on: at most one at a time, and seldom when they take long."""

    def __init__(self, home: str, keys: Sequence[str]) -> None:
        self.words = [sys.executable, "-P", "-m", "mt.pipeline.mirror", home, *keys]
        self.due = time.monotonic() + FIRST
        self.begun = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Begin a copy when it is time."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return
            self.process = None
            self.due = now + max(BETWEEN, PART * (now - self.begun))
        if now >= self.due:
            self.begun = now
            quiet = subprocess.DEVNULL
            self.process = subprocess.Popen(
                self.words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
            )  # fmt: skip

    def close(self) -> None:
        """Wait for the copy that is being made."""
        if self.process is not None:
            self.process.wait()
            self.process = None


def main(home: str, *keys: str) -> int:
    """One copy; what cannot be written now is written later."""
    try:
        renew(Store(home), home, keys)
    except MtError as e:
        return e.status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
