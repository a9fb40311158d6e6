"""make a new test in this area

Writes `tests/TEST/testconfig` and one script for each step, ready to be filled in, and prints the paths of the files
that it made.  A test that exists is refused.

EXAMPLES

    $ mt new compile --steps build,check
    A test with two steps, each a script of its own.

    $ mt new regress --waiton compile --items 'SEED=1 2 3'
    A test with three items that runs when compile is good.

    $ mt new smoke -q && mt run smoke
    Make it and run it.

EXIT STATUS

    0  the test is there
    1  it was there before, or a file cannot be written
    2  a name or a list of items cannot be used
    3  there is no area here

SEE ALSO

    mt-init, mt-check, mt-run
"""

from __future__ import annotations

import os

from mt.errors import MtError
from mt.options import AreaOptions, flag, operand, opt
from mt.skeleton import missing, test, write
from mt.stdio import say


class Options(AreaOptions):
    """What was typed."""

    steps: str = opt("--steps", meta="A,B", default="run", help="its steps, in order")
    waiton: str | None = opt("--waiton", meta="A,B", help="tests that must be good first", complete="tests")
    items: tuple[str, ...] = opt("--items", meta="VAR=A B", help="an item variable and its values; may be repeated")
    message: str | None = opt("-m", "--message", meta="TEXT", help="what the test is for, in one line")
    dry_run: bool = flag("-n", "--dry-run", help="only print which files would be made")
    name: str = operand("TEST", help="its name")


def main(opts: Options) -> int:
    """Write the files and print their paths."""
    from mt.area import Area

    area = Area.open(opts.chdir, environ=os.environ)
    waitons = _names(opts.waiton)
    text = " ".join((opts.message or "").split())
    files = test(opts.name, _names(opts.steps), waiton=waitons, items=opts.items, description=text)
    if opts.name in area.tests():
        raise MtError(f"test '{opts.name}' exists already: '{area.tests()[opts.name]}'")
    for waiton in waitons:
        if waiton not in area.tests():
            say(f"there is no test '{waiton}' yet")
    where = os.path.join(area.home, "tests", opts.name)
    for path in missing(where, files) if opts.dry_run else write(where, files):
        if not opts.quiet:
            print(os.path.relpath(path))
    return 0


def _names(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").replace(",", " ").split())
