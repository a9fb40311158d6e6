"""make a new area that can be run at once

Writes megatest.config, runconfigs.config, one test and a .gitignore into DIR (the current directory without one) and
prints the paths of the files that it made.  Nothing that exists is overwritten, and a directory that is an area
already is refused.  With --demo there are N trivial tests in place of the one that shows how it is done.

With --group the area is a team's from the start: DIR is given to that group with setgid, and every member may run, stop
and remove what another one has started (mt-db(5), "A team's area").

EXAMPLES

    $ mt init hello && cd hello && mt run
    From nothing to a result.

    $ mt init --keys OS,RELEASE -n
    Which files an area with two keys would have.

    $ mt init big --demo 1000 -q
    A playground of a thousand tests.

    $ mt init shared --group staff  #: needs to be a member of staff
    An area that all members of staff may use.

EXIT STATUS

    0  the area is there
    1  it was an area before, or a file cannot be written
    2  a key has no good name
    3  there is no such group
    9  DIR cannot be given to the group

SEE ALSO

    mt-new, mt-check, mt-run
"""

from __future__ import annotations

import os

from mt.errors import MtError, UsageError, why
from mt.options import flag, operand, opt
from mt.skeleton import area, missing, write


class Options:
    """What was typed."""

    keys: str = opt("--keys", meta="A,B", default="SYSTEM", help="the keys of a target, in order")
    demo: int = opt("--demo", meta="N", default=0, help="N trivial tests")
    group: str | None = opt("--group", meta="NAME", help="a team's area: this group may write all that is made in it")
    dry_run: bool = flag("-n", "--dry-run", help="only print which files would be made")
    quiet: bool = flag("-q", "--quiet", help="print nothing")
    dir: str | None = operand("DIR", help="where; made when it is not there", need=False, complete="dirs")


def main(opts: Options) -> int:
    """Write the files and print their paths."""
    if opts.demo < 0:
        raise UsageError("--demo needs a positive number")
    where = opts.dir or "."
    if os.path.lexists(os.path.join(where, "megatest.config")):
        raise MtError(f"'{os.path.join(where, 'megatest.config')}' exists already", hint="mt new TEST adds a test")
    files = area(tuple(k.strip() for k in opts.keys.split(",")), demo=opts.demo)
    if opts.group and not opts.dry_run:
        _share(where, opts.group)
    made = missing(where, files) if opts.dry_run else write(where, files)
    if not opts.quiet:
        for path in made:
            print(os.path.normpath(path))
    return 0


def _share(where: str, name: str) -> None:
    """Make the directory and give it to a group; those above that were missing stay the user's own."""
    from mt import team

    group = team.group_id(name)
    try:
        os.makedirs(where, exist_ok=True)
    except OSError as e:
        raise MtError(f"cannot make '{where}': {why(e)}") from e
    team.share(where, group)
