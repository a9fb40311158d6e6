"""save the environment in a file

All variables of the environment of this command go to FILE as one JSON object.  The file can be read by its owner only,
because variables hold passwords more often than one thinks.

EXAMPLES

    $ mt env save before.json
    Keep the environment as it is now, for mt-env-delta and mt-env-run.

    $ mt env save - | jq -r .PATH
    See one variable as a child process gets it.

EXIT STATUS

    0  saved
    1  FILE cannot be written

SEE ALSO

    mt-env-delta, mt-env-run
"""

from __future__ import annotations

import os

from mt.options import operand
from mt.snapshot import save


class Options:
    """What was typed."""

    file: str = operand("FILE", help="the file; - is standard output", complete="files")


def main(opts: Options) -> int:
    """Save what this process was started with."""
    save(opts.file, os.environ)
    return 0
