"""Which run a command is about when it does not say everything: target and run name by default."""

from __future__ import annotations

import getpass
import time

from mt.area import Area
from mt.errors import UsageError
from mt.model import RunKey
from mt.stdio import say

#: the longest run name: it becomes a directory
LONGEST = 200


def owner() -> str:
    """The name of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def only_target(area: Area) -> str | None:
    """The one target that runconfigs names, when there is just one."""
    known = [t for t in area.targets() if t != "default"]
    return known[0] if len(known) == 1 else None


def run_key(area: Area, name: str | None, *, quiet: bool) -> RunKey:
    """Target and run name for a new or known run; a name that was not typed is today's, and is said.

    Raises UsageError for names that cannot become directories.
    """
    if area.target is None and area.keys:
        known = [t for t in area.targets() if t != "default"]
        hint = f"-t {known[0]}; mt targets lists them" if known else "-t " + "/".join(area.keys)
        raise UsageError("which target? none is given", hint=hint)
    chosen = name or time.strftime("%Gw%V.%u")
    if not name and not quiet:
        say(f"run name: {chosen}")
    return RunKey(area.target or "", checked(chosen))


def checked(name: str) -> str:
    """A run name that may become one directory, or UsageError."""
    if not name.strip():
        raise UsageError("the run name is empty")
    if "/" in name:
        raise UsageError(f"bad run name '{name}': it contains a slash", hint="a run name becomes a directory name")
    if len(name.encode("utf-8", "surrogateescape")) > LONGEST:
        raise UsageError(f"bad run name '{name[:40]}...': longer than {LONGEST} bytes")
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise UsageError(f"bad run name {name!r}: it contains control characters")
    if "%" in name or "*" in name:
        raise UsageError(f"bad run name '{name}': % and * are wildcards", hint="mt runs lists the runs there are")
    if name in (".", ".."):
        raise UsageError(f"bad run name '{name}': it is no name of its own")
    if any("\udc80" <= c <= "\udcff" for c in name):
        raise UsageError(f"bad run name {name!a}: not UTF-8", hint="its rows are to be read by other programs")
    return name
