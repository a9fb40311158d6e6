"""An environment in a file: one JSON object, readable by its owner only (it may hold secrets)."""

from __future__ import annotations

import json
import os
import sys

from mt.errors import MtError, UsageError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def save(path: str, values: Mapping[str, str]) -> None:
    """Write an environment; the file appears whole, `-` is stdout.  Raises MtError naming the file."""
    text = json.dumps(dict(values), indent=1, sort_keys=True) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    made = f"{path}.{os.getpid()}"
    try:
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(made, path)
    except OSError as e:
        raise MtError(f"cannot write '{path}': {why(e)}") from e


def load(path: str) -> dict[str, str]:
    """Read an environment; raises UsageError when the file holds none."""
    try:
        with open(path, encoding="utf-8") as source:
            found = json.load(source)
    except OSError as e:
        raise UsageError(f"cannot read '{path}': {why(e)}") from e
    except ValueError as e:
        raise UsageError(f"cannot read '{path}': not a saved environment: {e}", hint="mt env save FILE") from e
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise UsageError(f"cannot read '{path}': not a saved environment", hint="mt env save FILE")
    return found
