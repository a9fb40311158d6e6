"""Lists of jobs: ranges of array tasks, ids in portions for a command, and the words of states.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from mt.launchers.base import Argv, Unreadable, Word

#: ids in one command; each is some 10 to 50 bytes, so this fits any limit on arguments
PORTION = 1000
#: more array tasks than any engine allows: an answer with more is rubbish
_MOST = 1_000_000
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", re.ASCII)
#: an end says so much by itself that the reason of the engine only repeats it
_CLEAR = ("done", "cancelled", "preempted", "node-failed", "out-of-memory", "time-limit")


def numbers(text: str) -> Iterator[int]:
    """The numbers of `1-5,7,10-20:2`, each once for each time it is said; raises Unreadable for anything else."""
    for part in text.split(","):
        found = _RANGE.fullmatch(part)
        first, last, step = (int(n) if n else None for n in found.groups()) if found else (None, None, None)
        if first is None or step == 0:
            raise Unreadable(f"'{shortened(text)}' is no list of array tasks")
        several = range(first, (first if last is None else last) + 1, step or 1)
        if not 0 < len(several) <= _MOST:
            raise Unreadable(f"'{shortened(text)}' is no list of array tasks")
        yield from several


def portions(command: Argv, jobs: Sequence[str]) -> list[Argv]:
    """The command with all these jobs, as often as their number needs it."""
    return [(*command, *jobs[at : at + PORTION]) for at in range(0, len(jobs), PORTION)]


def wholes(jobs: Sequence[str], mark: str) -> list[str]:
    """Jobs and arrays without the number of a task, which comes after a mark; each once."""
    return list(dict.fromkeys(job.partition(mark)[0] for job in jobs))


def word(fates: Mapping[str, str], state: str, reason: str = "", host: str = "") -> Word:
    """The word for a state of an engine.

    One that is in no table is a state of a later release: such a job counts as
    running, because then it is asked about again, and what it writes counts.
    """
    fate = fates.get(state, "running")
    with_reason = reason and fate not in _CLEAR and fate != "running"
    return Word(fate, f"{state} ({reason})" if with_reason else state, host)


def label(name: str, most: int = 200) -> str:
    """A name that every engine takes: begins with a letter, and has letters, digits, and `_.-` only."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return (plain if plain[:1].isalpha() else f"j{plain}")[:most]


def quoted(text: str) -> str:
    """A word for a directive line, in double quotes where it needs them."""
    if re.fullmatch(r"[\w@%+=:,./^$-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def shortened(text: str) -> str:
    """The begin of something that cannot be read, for a message."""
    line = "".join(c if c.isprintable() else " " for c in text[:60])
    return f"{line}..." if len(text) > 60 else line
