"""The programs that a testconfig carries itself: `[script NAME]` sections as files (spec/architecture.md 6.9).

An extension: no area of Megatest has such sections.  They are written into the
run directory before the first step, so that a step names one like a command.
"""

from __future__ import annotations

import os

from mt.errors import MtError, why
from mt.testspec import Pairs

_MODE = 0o700
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_scripts(scripts: Pairs, directory: str) -> None:
    """Write each (name, text) as a program into a directory, replacing what is there; raises MtError naming the file.

    What is there may be a link into the test's own directory (a copy command
    with `cp -s` makes such), so it is removed and never written through.
    """
    for name, text in scripts:
        path = os.path.join(directory, name)
        try:
            if os.path.lexists(path):
                os.unlink(path)
            fd = os.open(path, _FLAGS, _MODE)
            with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        except OSError as e:
            raise MtError(f"cannot write script '{name}' into '{directory}': {why(e)}") from e
