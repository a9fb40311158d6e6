"""print one value of the area's files

The value is what the area works with: expressions, includes and commands done. It is printed as it is, with all its
lines. In runconfigs a key that the target does not set is looked for in [default].

With --origin the file and line it came from are printed in front, and a tab.

EXAMPLES

    $ mt config get setup linktree
    Where the results are.

    $ mt config get --file runconfigs default ORIGIN
    A run variable that all targets share; name a target and use -t for one of its own.

    $ mt config get jobtools launcher || echo 'no launcher: jobs run here'
    Ask whether something is set.

EXIT STATUS

    0  printed
    1  not set
    3  the value could not be made: a command or an expression failed; or the file cannot be read

SEE ALSO

    mt-config-show, mt-check, mt-config(5)
"""

from __future__ import annotations

import sys

from mt.options import operand
from mt.sections.utilities.config import FileOptions, chosen, found, tell
from mt.stdio import say


class Options(FileOptions):
    """What was typed."""

    section: str = operand("SECTION", help="the section, without brackets")
    key: str = operand("KEY", help="the key")


def main(opts: Options) -> int:
    """Print the value."""
    config = chosen(opts)
    hit = found(config, opts.section, opts.key)
    if hit is None:
        status = tell((p for p in config.problems if p.level == "error"), opts)
        if not opts.quiet:
            say(f"[{opts.section}] {opts.key} is not set in {config.shown(config.path)}")
        return status or 1
    section, value = hit
    where = config.where(section, opts.key)
    origin = f"{where}\t" if opts.origin else ""
    sys.stdout.write(f"{origin}{value}\n")
    return tell((p for p in config.problems if p.where == where), opts)
