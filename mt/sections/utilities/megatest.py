"""the old command line of megatest, as old scripts and users type it

Everything after `mt megatest` is read as the program megatest reads it; megatest(1) has its options.  With -v the
command of mt that does the same is printed first, so that one can move on.

EXAMPLES

    $ mt megatest -version
    The version that this command line is that of.

    $ mt megatest -v -show-keys
    The keys of the area, and how to ask for them today.

EXIT STATUS

    0   done; also when tests failed
    1   refused: the area or what was asked cannot be used
    2   no megatest.config here or above
    3   -target, -runname or -testpatt is missing
    4   interrupted, or a test could not be started
    5   called outside of a test what is meant for inside
    6   -step or -test-status without state and status; -runstep without a command
    50  the records cannot be read or written

SEE ALSO

    megatest, mt-help, mt-run, mt-tests
"""

from __future__ import annotations

from mt.options import rest


class Options:
    """What was typed."""

    as_typed = True
    words: tuple[str, ...] = rest("WORD", help="the old command line")


def main(opts: Options) -> int:
    """Hand the words on."""
    from mt.megatest.main import main as old

    return old(opts.words)
