"""print the version of mt

With -v also the version of Python and where mt is installed: what a bug report needs.

EXAMPLES

    $ mt version
    One line: mt and its version.  `mt --version` and `mt -V` print the same.

    $ mt version -v

EXIT STATUS

    0  always

SEE ALSO

    mt(1), mt-help(1)
"""

from __future__ import annotations

from mt import __version__
from mt.options import flag


class Options:
    """What can be typed after `mt version`."""

    verbose: bool = flag("-v", "--verbose", help="also print Python's version and where mt is installed")


def main(opts: Options) -> int:
    """Print the version."""
    print(f"mt {__version__}")
    if opts.verbose:
        import os
        import platform
        import sys

        print(f"python {platform.python_version()} {sys.executable}")
        print(f"home {os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))}")
        print(f"system {platform.system()} {platform.release()} {platform.machine()}")
    return 0
