"""What turns one environment into another, line by line: for sh, for csh, for files of an area (spec/runs.md 5.17).

Pure.  The new value of a variable is written, always so that the language at
hand gives exactly this value back.
"""

from __future__ import annotations

from mt.environ import Change, csh_quote, diff, sh_quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: what changes from call to call and says nothing
NOISE = ("_", "SHLVL", "OLDPWD", "PWD")


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, list[Change]]:
    """What must change in `old` to give `new`, by name, as `added`, `removed` and `changed`; noise is left out."""
    found = [change for change in diff(old, new) if change.name not in NOISE]
    return {
        "added": [c for c in found if c.old is None],
        "removed": [c for c in found if c.new is None],
        "changed": [c for c in found if c.old is not None and c.new is not None],
    }


def writer(form: str) -> Callable[[Change], str]:
    """How a change is written in `sh`, `csh` or `ini`."""
    return {"sh": _sh, "csh": _csh, "ini": _ini}[form]


def _sh(change: Change) -> str:
    if change.new is None:
        return f"unset {change.name}"
    return f"export {change.name}={sh_quote(change.new)}"


def _csh(change: Change) -> str:
    if change.new is None:
        return f"unsetenv {change.name}"
    return f"setenv {change.name} {csh_quote(change.new) or chr(34) * 2}"


def _ini(change: Change) -> str:
    """A line for sections whose values pass through the shell; what such a line cannot say is a comment."""
    if change.new is None:
        return f"# {change.name} is not set"
    if "\n" in change.new or "#{" in change.new:
        return f"# {change.name}: its value cannot be written in one line"
    fresh = _grown(change)
    if fresh:
        return f'{change.name} #{{scheme (env:min-path "{fresh}" "#{{getenv {change.name}}}")}}'
    return f"{change.name} {sh_quote(change.new)}".rstrip()


def _grown(change: Change) -> str:
    """What a path variable gained, as a path; empty when it is none or lost something."""
    if not change.name.endswith("PATH") or not change.old or not change.new:
        return ""
    old, new = change.old.split(":"), change.new.split(":")
    if not set(old) <= set(new) or '"' in change.new or "\\" in change.new:
        return ""
    return ":".join(p for p in new if p not in old)
