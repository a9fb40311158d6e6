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

from mt.deltas import changes, writer
from mt.errors import StoreError, why
from mt.options import operand, opt
from mt.snapshot import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.environ import Change


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
    text = render(changes(load(opts.old), new), opts.format)
    try:
        if opts.output and opts.output != "-":
            with open(opts.output, "w", encoding="utf-8") as out:
                out.write(text)
        else:
            sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise StoreError(f"cannot write '{opts.output or 'standard output'}': {why(e)}") from e
    return 0


def render(groups: dict[str, list[Change]], form: str) -> str:
    """The difference as a text in one of the formats (spec/runs.md 5.17)."""
    if form == "json":
        return json.dumps({name: _object(name, group) for name, group in groups.items()}, indent=1) + "\n"
    line = writer(form)
    parts = []
    for name, group in groups.items():
        if group:
            parts.append(f"# {name.capitalize()} vars\n" + "".join(line(c) + "\n" for c in group))
    return "\n".join(parts)


def _object(name: str, group: list[Change]) -> dict[str, object]:
    if name == "changed":
        return {c.name: {"old": c.old, "new": c.new} for c in group}
    return {c.name: c.old if c.new is None else c.new for c in group}
