"""run a command in a saved environment

The command sees the variables of FILE and no others, whatever is set now; it is also looked up on the PATH of FILE.

EXAMPLES

    $ mt env run before.json -- make check
    Run make as if nothing had been set since before.json was saved.

    $ mt env run before.json
    Print the environment of the file, as NAME=VALUE.

EXIT STATUS

    0-125  that of the command
    2      FILE holds no environment
    126    the command cannot be run
    127    there is no such command

SEE ALSO

    mt-env-save, mt-env-delta
"""

from __future__ import annotations

import os
import sys

from mt.errors import why
from mt.options import command, operand
from mt.snapshot import load
from mt.stdio import say


class Options:
    """What was typed."""

    file: str = operand("FILE", help="an environment made by mt-env-save", complete="files")
    argv: tuple[str, ...] = command("CMD", help="the command and its arguments")


def main(opts: Options) -> int:
    """Become the command, or print what it would see."""
    values = load(opts.file)
    if not opts.argv:
        sys.stdout.write("".join(f"{name}={value}\n" for name, value in sorted(values.items())))
        return 0
    sys.stdout.flush()
    try:
        os.execvpe(opts.argv[0], list(opts.argv), values)  # noqa: S606 - the user's own command
    except OSError as e:
        say(f"cannot run '{opts.argv[0]}': {why(e)}")
        return 127 if isinstance(e, FileNotFoundError) else 126
