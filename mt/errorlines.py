"""Finding the lines of a log that a person looks for first: pure, for logs that have no rules.

Log rules say it better; these words only guess.  A line that says that there
were none (`0 errors`, `no error`, `errors: 0`) is not one of them.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BAD = re.compile(
    r"(?<![A-Za-z])(?i:errors?|fatal|fail|failed|failures?|exception|traceback|abort(?:ed)?|panic|assert(?:ion)?"
    r"|segmentation fault|bus error|core dumped|killed|out of memory|undefined reference|no such file"
    r"|permission denied|command not found|cannot|can't|unable to|no space left)(?![A-Za-z])"
    r"|[a-z](?:Error|Exception)\b"
)
_CALM = re.compile(
    r"\b(?:0|no|without)\s+(?:errors?|failures?|failed|fatal)\b|\b(?:errors?|failures?|failed)\s*[:=]\s*0\b",
    re.IGNORECASE,
)


def looks_bad(line: str) -> bool:
    """Whether a line reads like trouble."""
    return bool(_BAD.search(line)) and not (_CALM.search(line) and not _BAD.search(_CALM.sub("", line)))


def error_lines(lines: Iterable[str], most: int | None = None) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of the lines that look bad, at most so many."""
    found = 0
    for number, line in enumerate(lines, 1):
        if most is not None and found >= most:
            return
        if looks_bad(line):
            found += 1
            yield number, line.rstrip("\r\n")
