"""What is asked of a running run, as files: kill a case, stop the run, join it with another request.

A kill is a line in the case's control file, which its worker looks at twice a
second; no database is needed for it (spec/architecture.md 4.6).  A request to
the controller is a file that appears by rename in the run's control directory
and is removed when it has been answered, so a request is never lost: whoever
controls the run next finds it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from mt.errors import MtError, why
from mt.model import CaseKey
from mt.stdio import write_whole

DRAIN, CANCEL = "drain", "cancel"


def control_name(case: CaseKey) -> str:
    """The file name of a case's control file: reversible where short, hashed where a file name would be too long."""
    name = str(case).replace("%", "%25").replace("/", "%2F")
    raw = os.fsencode(name)
    if len(raw) <= 200:
        return name + ".ctl"
    import hashlib

    return os.fsdecode(raw[:100]) + "-" + hashlib.sha256(raw).hexdigest()[:24] + ".ctl"


def ask_kill(kill_dir: str, case: CaseKey, by: str, reason: str) -> None:
    """Append one KILL line to a case's control file, made when it is not there."""
    line = f"KILL {by} {' '.join(reason.split())}\n".encode()[:500]
    path = os.path.join(kill_dir, control_name(case))
    try:
        os.makedirs(kill_dir, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o664)
        try:
            write_whole(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as e:
        raise MtError(f"cannot write '{path}': {why(e)}") from e


def kill_asked(path: str) -> str:
    """What a control file says about killing: `BY REASON`, or empty; any line that contains KILL counts."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError:
        return ""
    at = text.find("KILL ")
    return text[at + 5 :].splitlines()[0].strip() or "asked" if at >= 0 else ""


def forget(path: str) -> None:
    """Remove a control file that has been answered."""
    try:
        os.unlink(path)
    except OSError:
        pass


def ask(ctl_dir: str, kind: str, **fields: Any) -> str:
    """Leave a request for the run's controller; gives its path, which is gone once it is answered."""
    from mt.journal import writer_name

    try:
        os.makedirs(ctl_dir, exist_ok=True)
        number = 0
        while True:
            path = os.path.join(ctl_dir, f"req-{writer_name()}-{number}.json")
            if not os.path.exists(path):
                break
            number += 1
        temporary = os.path.join(ctl_dir, f".{os.path.basename(path)}")
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump({"kind": kind, **fields}, f)
        os.rename(temporary, path)
    except OSError as e:
        raise MtError(f"cannot write a request in '{ctl_dir}': {why(e)}") from e
    return path


def requests(ctl_dir: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The open requests in order of age, with their paths; unreadable ones are dropped."""
    try:
        names = [n for n in os.listdir(ctl_dir) if n.startswith("req-")]
    except OSError:
        return
    for path in sorted((os.path.join(ctl_dir, n) for n in names), key=_age):
        try:
            with open(path, encoding="utf-8") as f:
                found = json.load(f)
        except (OSError, ValueError):
            forget(path)
            continue
        if isinstance(found, dict):
            yield path, found


def _age(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
