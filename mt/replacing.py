"""Write a whole file or nothing: a reader sees the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mt.errors import MtError, why


@contextmanager
def replacing(path: str, error: type[MtError] = MtError) -> Iterator[str]:
    """A name beside `path` to write to, which takes its place when the block ends well; raises `error`."""
    made = f"{path}.{os.getpid()}.tmp"
    try:
        try:
            yield made
            os.replace(made, path)
        finally:
            if os.path.lexists(made):
                os.unlink(made)
    except OSError as e:
        raise error(f"cannot write '{path}': {why(e)}") from e
