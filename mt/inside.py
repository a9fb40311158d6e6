"""What a command knows when it is called inside a running test, and how it tells mt something.

The worker puts MT_CMDINFO into the environment of every step: base64 of one
JSON object that names the area's store, the run, the case and the attempt.
What is told goes two ways, both without a lock: as lines of `.mt/said.ndjson`
in the run directory, which the worker reads when a step ends (so the verdict
needs no database), and as a drop in the journal of the run, which the next
fold takes up (so it is recorded even when the worker dies).

These commands run thousands of times inside tests: this module imports no
sqlite3, no filelock and no dataclasses.
"""

from __future__ import annotations

import errno
import os
import time

from mt.errors import StoreError, UsageError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

SAID = ".mt/said.ndjson"


class Inside:
    """The case that a command was called in."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError when a fact is absent or of the wrong kind."""
        self.db = str(facts["db"])
        self.run_id = int(facts["id"])
        self.target = str(facts["target"])
        self.run = str(facts["run"])
        self.test = str(facts["test"])
        self.item = str(facts["item"])
        self.attempt = int(facts["attempt"])
        self.gen = int(facts["gen"])
        self.dir = str(facts["dir"])

    def event(self, kind: str, **fields: object) -> dict[str, object]:
        """One event about this case, now."""
        about = {"test": self.test, "item": self.item, "attempt": self.attempt}
        return {"k": kind, "t": time.time(), **about, **fields}

    def tell(self, events: Sequence[dict[str, Any]]) -> None:
        """Say it to the worker and drop it into the journal; raises StoreError when neither can be written."""
        if not events:
            return
        lost = [e for e in (self._say(events), self._drop(events)) if e]
        if lost:
            raise StoreError(f"cannot record what '{self.test}' said: {lost[0]}")

    def said(self) -> list[dict[str, Any]]:
        """What this attempt has said so far, in order."""
        return said(self.dir, self.attempt)

    def _say(self, events: Sequence[dict[str, Any]]) -> str:
        import json

        path = os.path.join(self.dir, SAID)
        own = (e for e in events if e["item"] == self.item)  # the top record of a test has no worker
        lines = "".join(json.dumps(e, separators=(",", ":")) + "\n" for e in own)
        try:
            _append(path, lines.encode())
        except OSError as e:
            return f"'{path}': {why(e)}"
        return ""

    def _drop(self, events: Sequence[dict[str, Any]]) -> str:
        from mt.journal import drop

        try:
            drop(os.path.join(self.db, "journal", str(self.run_id)), events)
        except StoreError as e:
            return e.what
        return ""


def said(directory: str, attempt: int) -> list[dict[str, Any]]:
    """What an attempt with this run directory said of itself, in order; lines that cannot be read are left out."""
    import json

    try:
        with open(os.path.join(directory, SAID), encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except OSError:
        return []
    found: list[dict[str, Any]] = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("attempt") == attempt:
            found.append(event)
    return found


def _append(path: str, body: bytes) -> None:
    """Append in one write, so that lines of two writers never mix; after a torn line a new one is begun.

    A disk that takes only a part of it is full: raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o666)
    except FileNotFoundError:
        from mt.team import make_shared

        make_shared(os.path.dirname(path))
        fd = os.open(path, flags, 0o666)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            body = b"\n" + body
        if os.write(fd, body) < len(body):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(fd)


def inside(environment: Mapping[str, str]) -> Inside:
    """The case that this environment belongs to; raises UsageError outside a test."""
    packed = environment.get("MT_CMDINFO")
    if not packed:
        raise UsageError("not inside a test: MT_CMDINFO is not set", hint="call this from a step of a test; see mt-run")
    import binascii
    import json

    try:
        return Inside(json.loads(binascii.a2b_base64(packed)))
    except (ValueError, KeyError, TypeError) as e:
        raise UsageError(f"cannot read MT_CMDINFO: {type(e).__name__}: {e}") from e
