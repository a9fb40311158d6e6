"""Who may do what in which area: `[access]` and `[accesstypes]` (spec/runs.md 1.8).

    [access]
    quick ann:all *:look

    [accesstypes]
    all run remove rerun set-ss archive kill list
    look list

Without `[access]` everybody may do everything.  With it, what is not granted
is denied: an area that is not listed, a user who is not listed where there is
no `*`, a type that does not name the action.

Pure.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def granted(access: Mapping[str, str] | None, types: Mapping[str, str], *, user: str, action: str, area: str) -> bool:
    """Whether a user may do an action in an area; `access` is None where there is no such section."""
    if access is None:
        return True
    kind = _kind(access.get(area, ""), user)
    return kind is not None and action in types.get(kind, "").split()


def _kind(entries: str, user: str) -> str | None:
    """The access type of a user: the own entry, else that of everyone."""
    pairs = [entry.partition(":") for entry in entries.split()]
    for wanted in (user, "*"):
        for name, _, kind in pairs:
            if name == wanted:
                return kind
    return None
