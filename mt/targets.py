"""Targets: the values of an area's keys, as `V1/V2/...` (spec/config.md 2.1 fields, R3, R13).

Pure: names in, answers or ConfigErrors out.
"""

from __future__ import annotations

from mt.errors import ConfigError
from mt.selectors import Glob, is_wild

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: names of columns and of things that every run has: no key may be called so, whatever its case
RESERVED = frozenset((
    "runname", "state", "status", "owner", "event_time", "comment", "fail_count", "pass_count", "contour",
))  # fmt: skip


def reserved(keys: Iterable[str]) -> list[str]:
    """Those keys whose names are taken."""
    return [key for key in keys if key.lower() in RESERVED]


def parts(target: str, keys: Sequence[str]) -> dict[str, str]:
    """The value of each key; raises ConfigError when the target does not have exactly one for each.

    A target is written into paths, so `.` and `..` are no values either.
    """
    values = target.split("/")
    if len(values) != len(keys):
        raise ConfigError(f"invalid target '{target}': {_counted(len(values), keys)}", hint=_hint(keys))
    for key, value in zip(keys, values, strict=True):
        if value.strip() in ("", ".", "..") or "\0" in value:
            raise ConfigError(f"invalid target '{target}': the value of {key} is '{value}'", hint=_hint(keys))
    return dict(zip(keys, values, strict=True))


def _counted(found: int, keys: Sequence[str]) -> str:
    wanted = len(keys)
    return f"it has {found} part{'s' if found != 1 else ''}, the area has {wanted} key{'s' if wanted != 1 else ''}"


def _hint(keys: Sequence[str]) -> str:
    return (
        f"a target of this area is {'/'.join(keys).upper()}" if keys else "name the keys in [fields] of megatest.config"
    )


def is_pattern(target: str) -> bool:
    """Whether the word stands for several targets."""
    return is_wild(target)


def matching(names: Iterable[str], pattern: str | None) -> list[str]:
    """Names sorted, those that match the comma list when there is one (R13)."""
    if not pattern:
        return sorted(names)
    glob = Glob(pattern)
    return sorted(name for name in names if glob.matches(name))


def nearest(word: str, names: Iterable[str]) -> str | None:
    """A hint that names what may have been meant, or what there is; None when there is nothing."""
    import difflib

    known = list(names)
    near = difflib.get_close_matches(word, known, 3, 0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    more = ", ..." if len(known) > 5 else ""
    return f"there are: {', '.join(sorted(known)[:5])}{more}" if known else None
