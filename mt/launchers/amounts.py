"""Numbers, sizes and lengths of time in a launcher, and how the engines write them.

Pure; a ValueError says in words what is wrong.
"""

from __future__ import annotations

import math
import re

from mt.durations import read_duration

MIB = 1 << 20
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) *(?:([KMGTP])?(?:I?B)?)", re.ASCII | re.IGNORECASE)
#: letter -> bytes; Slurm, LSF and PBS all count in powers of 1024, and take a bare number as megabytes here
_UNITS = {"K": 1 << 10, "M": MIB, "": MIB, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_CLOCK = re.compile(r"(?:([0-9]{1,4})-)?([0-9]{1,5}):([0-5]?[0-9]):([0-5]?[0-9])", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


def count(text: str, least: int) -> int:
    """A whole number of at least so much."""
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) >= least):
        raise ValueError("a whole number is wanted" + (f" from {least} on" if least else ""))
    return int(text)


def memory(text: str) -> int:
    """Bytes of `4G`, `1.5GB`, `4000M`; a bare number is megabytes, which are of 1024 times 1024 bytes."""
    found = _SIZE.fullmatch(text)
    size = float(found[1]) * _UNITS[(found[2] or "").upper()] if found else 0
    if found and not found[2] and "b" in text.lower():
        size = float(found[1])  # plain bytes
    if not 1 <= size < 1 << 60:
        raise ValueError("this is no amount of memory")
    return math.ceil(size)


def time(text: str) -> float:
    """Seconds of `90m`, `1h 30m`, `1:30:00` or `2-00:00:00`, at least one.

    A bare number is refused: it would be minutes for one engine, and seconds
    for another.  So is `1:30`, for the same reason.
    """
    found = _CLOCK.fullmatch(text)
    if found:
        days, hours, minutes, secs = (int(part or 0) for part in found.groups())
        total = ((days * 24 + hours) * 60 + minutes) * 60 + secs
    else:
        total, doubts = read_duration(text)
        if any(word.isdigit() for word in text.split()):
            raise ValueError("a length of time needs a unit")
        if any("counts nothing" in doubt for doubt in doubts):
            raise ValueError("this is no length of time")
    if not 0 < total < 10 * 365 * 86400:
        raise ValueError("this is no length of time for a job")
    return float(total)


def seconds(text: str) -> float:
    """Seconds of a short time: `30`, `0.5s`, `2m`."""
    if _NUMBER.fullmatch(text.removesuffix("s")):
        return float(text.removesuffix("s"))
    return time(text)


# -- as engines write them


def megabytes(size: int) -> int:
    """Whole megabytes, not less than asked."""
    return -(-size // MIB)


def clock(secs: float) -> str:
    """`H:MM:SS`, not less than asked: Slurm, PBS and Torque read it."""
    minutes, left = divmod(math.ceil(secs), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def minutes(secs: float) -> int:
    """Whole minutes, not less than asked."""
    return math.ceil(secs / 60)
