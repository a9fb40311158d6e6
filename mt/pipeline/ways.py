"""How cases are given to a batch engine: one job each, an array, or pilots that pull them.  Pure.

job     one job per case: what a case asks is what its job asks; best for few long cases
array   one submission whose tasks get a fixed share each; best for many long cases
pilot   a few jobs that each take the next free case until none is left; best for short cases, and where nobody
        knows how long they take: more pilots are added while the rest would take too long
"""

from __future__ import annotations

from typing import NamedTuple

#: a case that takes so many seconds is worth a job of its own
LONG = 60.0
#: seconds of work that one task or pilot should find, so that its start is worth while
WORTH = 60.0
#: so few cases of unknown length get a job each
FEW = 4
#: pilots for cases of unknown length: at least so many, and one for so many cases
LEAST, EACH = 4, 100
#: seconds: more pilots come when the rest would take longer
PATIENCE = 20.0


class Shape(NamedTuple):
    """A way, and the number of jobs, tasks or pilots to begin with."""

    way: str
    jobs: int


def shape(asked: str, ready: int, secs: float | None, most: int, *, arrays: int, flying: bool) -> Shape:
    """How to hand over `ready` cases (at least one) that take `secs` each (None: not known).

    `asked` is auto or a way, `most` how many jobs there may be at once, `arrays`
    the greatest array of the engine (0: it has none), `flying` whether pilots
    are there already that take cases of this kind.
    """
    way = asked if asked != "auto" else _chosen(ready, secs, flying=flying)
    if way == "array" and arrays < 1:
        way = "job" if asked == "auto" else "pilot"
    if way == "job":
        return Shape(way, ready)
    if way == "array":
        return Shape(way, min(_tasks(ready, secs, most), arrays))
    return Shape(way, pilots(ready, secs, most))


def is_long(secs: float | None) -> bool:
    """Whether a case is worth a job of its own."""
    return secs is not None and secs >= LONG


def _chosen(ready: int, secs: float | None, *, flying: bool) -> str:
    if is_long(secs):
        return "array" if ready > 1 else "job"
    if flying or ready > FEW or secs is not None:
        return "pilot"
    return "job"


def _tasks(ready: int, secs: float | None, most: int) -> int:
    """One task for each case, unless they are so short that a task can do several."""
    if secs is None or secs >= LONG:
        return ready if secs is not None else min(ready, most)
    return min(ready, most, max(-int(-ready * secs // WORTH), min(most, LEAST)))


def pilots(ready: int, secs: float | None, most: int) -> int:
    """How many pilots to begin with."""
    wanted = ready / EACH if secs is None else ready * secs / WORTH
    return max(min(ready, most, max(LEAST, -int(-wanted // 1))), 1)


def more(free: int, pilots_now: int, secs: float, most: int) -> int:
    """How many pilots to add while `free` cases are not taken and one takes `secs`; at most as many as there are."""
    if not free or pilots_now >= most or free * secs / max(pilots_now, 1) <= PATIENCE:
        return 0
    return min(free, most - pilots_now, max(pilots_now, 1))
