"""write a script that does a case again elsewhere

The script needs bash, not mt: it sets the environment of the case, copies the files of its test, runs the steps in
order with their logs, applies the log rules where `logpro` is installed, and ends with 0 for a good verdict, 1 for any
other, 2 when it could not be tried.  It works in a directory of its own and touches neither the area nor its records.

The files are copied from where the test is; with --embed they are within the script, which can then be mailed.  What
the test would read as it is now (files, `#{shell ...}` in the testconfig) counts, not what it was when the case ran;
its environment is the recorded one.

One case goes to standard output, or to -o FILE.  Several go to files in the directory of -o, or here: their names are
printed.

EXAMPLES

    $ mt repro ubuntu/nfs//w49.1//diskperf/sda/4k > again.sh
    A script for one case; then `bash again.sh`.

    $ mt repro one --embed -o one.sh --allow-empty
    All of it in one file.

    $ mt tests -s FAIL -f ids | mt repro - -o scripts/ --allow-empty
    A script for each failure.

EXIT STATUS

    0  it was written
    1  files cannot be read or written
    2  usage
    3  the area's files cannot be used
    7  nothing matches

SEE ALSO

    mt-shell, mt-rerun, mt-log
"""

from __future__ import annotations

import os
import sys

from mt.errors import StoreError, why
from mt.options import flag, opt, rest
from mt.rows import CaseOptions, Cases, answer, home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Options(CaseOptions):
    """What was typed."""

    embed: bool = flag("--embed", help="put the files of the test into the script")
    output: str | None = opt(
        "-o", "--output", meta="FILE", help="write to FILE, or for several cases into this directory", complete="files"
    )
    null: bool = flag("-0", "--null", help="ids on stdin end with NUL")
    ids: tuple[str, ...] = rest("ID", help="the cases; - reads ids from stdin", need=True, complete="ids")


def main(opts: Options) -> int:
    """Write the scripts."""
    from mt.pipeline.repro import name_of, script
    from mt.pipeline.standing import stand

    where = home(opts)
    places = [stand(where, run.id, run.key, row, os.environ) for run, row in Cases(opts, opts.ids)]
    into = opts.output if opts.output and (opts.output.endswith("/") or os.path.isdir(opts.output)) else None
    if len(places) == 1 and into is None:
        _write(script(places[0], embed=opts.embed), opts.output)
        return 0
    into = into or opts.output or "."
    names = list(_distinct(name_of(place) for place in places))
    for place, name in zip(places, names, strict=True):
        path = os.path.join(into, f"{name}.sh")
        _write(script(place, embed=opts.embed), path)
        print(path)
    return answer(len(places), opts, "cases")


def _distinct(names: Iterable[str]) -> Iterable[str]:
    """Names with a number behind those that are taken."""
    taken: dict[str, int] = {}
    for name in names:
        taken[name] = taken.get(name, 0) + 1
        yield name if taken[name] == 1 else f"{name}-{taken[name]}"


def _write(text: str, path: str | None) -> None:
    body = text.encode("utf-8", "surrogateescape")
    if not path or path == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        return
    try:
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(body)
            os.fchmod(out.fileno(), 0o755)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e
