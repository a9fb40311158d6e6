"""show what differs between two saved environments

The output changes the environment of A into that of B: text for sh, csh, or for an area's files (ini), in the groups
added, removed and changed.  Without B it is the environment of now.

For ini a path variable that only grew is written as an addition to the path that is there, so the file fits other
machines; include it in [env-override] or in runconfigs.config.

EXAMPLES

    $ mt env save before.json && . ./setup.sh && mt env save after.json && mt env delta before.json after.json
    See what a set-up script does.

    $ eval "$(mt env delta now.json wanted.json)"
    Do it again without the script.

    $ mt env delta before.json after.json -f ini -o tools.config
    Make a file for [include tools.config].

EXIT STATUS

    0  also when there is no difference
    2  a file holds no environment

SEE ALSO

    mt-env-save, mt-env-run, mt-config(5)
"""

from __future__ import annotations

import json
import os
import sys

from mt.environ import Change, csh_quote, diff, sh_quote
from mt.errors import MtError, why
from mt.options import operand, opt
from mt.snapshot import load

#: what changes from call to call and says nothing
NOISE = ("_", "SHLVL", "OLDPWD", "PWD")


class Options:
    """What was typed."""

    format: str = opt(
        "-f",
        "--format",
        meta="FORMAT",
        choices=("sh", "csh", "ini", "json"),
        default="sh",
        help="sh, csh, ini or json",
    )
    output: str | None = opt("-o", "--output", meta="FILE", help="write to FILE", complete="files")
    old: str = operand("A", help="the environment to start from", complete="files")
    new: str | None = operand("B", help="the wanted one; default: that of now", need=False, complete="files")


def main(opts: Options) -> int:
    """Print the difference."""
    new = load(opts.new) if opts.new else dict(os.environ)
    changes = [c for c in diff(load(opts.old), new) if c.name not in NOISE]
    text = render(changes, opts.format)
    try:
        if opts.output and opts.output != "-":
            with open(opts.output, "w", encoding="utf-8") as out:
                out.write(text)
        else:
            sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise MtError(f"cannot write '{opts.output or 'standard output'}': {why(e)}") from e
    return 0


def render(changes: list[Change], form: str) -> str:
    """The difference as a text in one of the formats (spec/runs.md 5.17)."""
    groups = {
        "added": [c for c in changes if c.old is None],
        "removed": [c for c in changes if c.new is None],
        "changed": [c for c in changes if c.old is not None and c.new is not None],
    }
    if form == "json":
        return json.dumps({name: _object(name, group) for name, group in groups.items()}, indent=1) + "\n"
    line = {"sh": _sh, "csh": _csh, "ini": _ini}[form]
    parts = []
    for name, group in groups.items():
        if group:
            parts.append(f"# {name.capitalize()} vars\n" + "".join(line(c) + "\n" for c in group))
    return "\n".join(parts)


def _object(name: str, group: list[Change]) -> dict[str, object]:
    if name == "changed":
        return {c.name: {"old": c.old, "new": c.new} for c in group}
    return {c.name: c.old if c.new is None else c.new for c in group}


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
