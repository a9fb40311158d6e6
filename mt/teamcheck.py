"""What in a team's area a member could not write, and the line that mends it (spec/features.md B24)."""

from __future__ import annotations

import os
import shlex
import stat
from typing import NamedTuple

from mt import team
from mt.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: how many things are looked at below each directory
MOST = 5000
_SHOWN = 3


class Finding(NamedTuple):
    """What was found: whether it is good, and in words."""

    good: bool
    text: str


def findings(home: str, linktree: str, disks: Iterable[str], wish: str | None = None) -> Iterator[tuple[str, Finding]]:
    """What to say about an area and its group: who shares it, and what of it is closed to members.

    `wish` is its `[db] group`.  One that nobody shares gives one good finding.
    """
    store = os.path.join(home, ".mtdb")
    try:
        group = next((g for g in map(team.group_of, (home, store)) if g is not None), None)
        group = team.group_id(wish) if group is None and wish else group
    except ConfigError as e:
        yield "team", Finding(False, f"[db] group: {e.what}")
        return
    if group is None:
        yield "team", Finding(True, f"none: files are made with your umask {team.own_umask():04o}")
        return
    yield "team", _membership(group)
    places = [p for p in (store, linktree, *disks) if os.path.isdir(p) and _is_within(home, p)]
    yield "team files", _closed(group, places, store)


def _is_within(home: str, path: str) -> bool:
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(home), ""))


def _membership(group: int) -> Finding:
    name = team.group_name(group)
    mask = team.own_umask()
    if group not in (os.getegid(), *os.getgroups()) and os.geteuid():
        return Finding(False, f"group {name}, of which you are no member: lists work, nothing else does")
    taken = f"; your umask {mask:04o} counts as {mask & ~team.GROUP:04o} here" if mask & team.GROUP else ""
    return Finding(True, f"group {name}, whose members may write all that is made here{taken}")


def _closed(group: int, places: list[str], store: str) -> Finding:
    wrong: list[str] = []
    broken = []
    for place in places:
        here = [place] if team.group_of(place) != group else []
        here += closed(place, group, MOST, folders=place != store)
        wrong += here
        broken += [place] if here else []
    if not wrong:
        return Finding(True, "members may write all that was looked at")
    shown = ", ".join(f"'{path}'" for path in wrong[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    owners = ", ".join(sorted({team.user_name(os.lstat(p).st_uid) for p in wrong[:100] if os.path.lexists(p)}))
    return Finding(False, f"closed to members: {shown}{more}; for {owners} to type: {mending(group, broken)}")


def mending(group: int, places: Iterable[str]) -> str:
    """The line that opens directories, and all in them, to a group."""
    dirs = " ".join(map(shlex.quote, places))
    chgrp = f"chgrp -R {shlex.quote(team.group_name(group))} {dirs}"
    return f"{chgrp}; chmod -R g+rwX {dirs}; find {dirs} -type d -exec chmod g+s {{}} +"


def closed(root: str, group: int, most: int, *, folders: bool = False) -> Iterator[str]:
    """Paths below a directory that a member of the group could not write; links are not followed.

    Looks at so many things at most; with `folders` only directories count, which
    is enough to remove or replace what is in them.
    """
    todo = [root]
    while todo and most > 0:
        place = todo.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            most -= 1
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(found.st_mode):
                todo.append(entry.path)
                good = found.st_mode & team.SHARED == team.SHARED
            else:
                good = folders or stat.S_ISLNK(found.st_mode) or bool(found.st_mode & stat.S_IWGRP)
            if not good or (found.st_gid != group and not (folders and not stat.S_ISDIR(found.st_mode))):
                yield entry.path
