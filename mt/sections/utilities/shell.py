"""be where a case was: its directory, its variables

Starts $SHELL, or the command after `--`, in the run directory of a case, with the environment that the case wrote down
when it ran (`megatest.sh`), or with one made anew from the area's files where that is gone.  It says where you are, and
ends with the status of the command.  A lone word with blanks after `--` is a line for the shell.

Nothing is told to the run from there: MT_CMDINFO is not set, so `mt step`, `mt result` and `mt value` refuse.

With --there it is done by ssh on the host where the case ran.

EXAMPLES

    $ mt shell ubuntu/nfs//w49.1//diskperf/sda/4k
    Stand where it failed.

    $ mt shell one -- 'pwd; ls'
    Look, and come back.

    $ mt shell one --there
    The same on the host where it ran.

EXIT STATUS

    0    that of the command; also
    1    the run directory is gone
    2    usage, or several cases are meant
    3    the area's files cannot be used
    6    the command cannot be started
    7    nothing matches
    255  the host cannot be reached (--there)

SEE ALSO

    mt-paths, mt-repro, mt-log
"""

from __future__ import annotations

import os
import sys

from mt.errors import LaunchError, NothingSelected, UsageError, why
from mt.options import command, flag, operand
from mt.rows import CaseOptions, Cases, home
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.pipeline.standing import Standing


class Options(CaseOptions):
    """What was typed."""

    there: bool = flag("--there", help="on the host where the case ran, by ssh")
    id: str = operand("ID", help="the case", complete="ids")
    command: tuple[str, ...] = command(help="the command; default: $SHELL")


def main(opts: Options) -> int:
    """Go there; comes back only when the command cannot be started."""
    from mt.pipeline import standing

    place = _place(opts)
    words = _words(opts.command)
    away = opts.there and bool(place.row.host) and place.row.host not in (os.uname().nodename, "localhost")
    if not away:
        standing.there(place)
    if not opts.quiet:
        _say(place, place.row.host if away else os.uname().nodename)
    sys.stdout.flush()
    return _away(place, words, typed=bool(opts.command)) if away else _here(place, words)


def _place(opts: Options) -> Standing:
    """The one case that is meant."""
    from mt.pipeline.standing import stand

    cases = Cases(opts, [opts.id])
    found = list(cases)
    if not found:
        raise NothingSelected(f"no case is called '{opts.id}'", hint="mt tests lists them")
    if len(found) > 1:
        raise UsageError(f"'{opts.id}' means {len(found)} cases: name one", hint=f"mt tests '{opts.id}'")
    run, row = found[0]
    return stand(home(opts), run.id, run.key, row, os.environ)


def _words(typed: tuple[str, ...]) -> list[str]:
    if not typed:
        return [os.environ.get("SHELL") or "/bin/bash"]
    if len(typed) == 1 and any(c in typed[0] for c in " \t\n"):
        return ["/bin/bash", "-c", typed[0]]
    return list(typed)


def _say(place: Standing, host: str) -> None:
    row = place.row
    say(f"{place.id}: {row.state}/{row.status}{f' ({row.comment})' if row.comment else ''}")
    say(f"in {place.directory} on {host}")
    if place.remade:
        say("its environment was not kept: this is what it would get now")
    for problem in place.area.problems:
        if problem.level == "error":
            say(f"{problem.where}: {problem.text}")


def _here(place: Standing, words: list[str]) -> int:
    from mt.pipeline.proc import find_program

    os.chdir(place.directory)
    program = find_program(words[0], place.env["PATH"])
    if program is None:
        raise LaunchError(f"cannot run '{words[0]}': command not found")
    try:
        os.execve(program, words, place.env)  # noqa: S606 - the user's own program, named by the user
    except OSError as e:
        raise LaunchError(f"cannot run '{words[0]}': {why(e)}") from e


def _away(place: Standing, words: list[str], *, typed: bool) -> int:
    """By ssh, with a terminal when there is one here; the session's own variables are those of over there."""
    import subprocess
    from shlex import join

    from mt.pipeline.standing import is_session
    from mt.remote import entering, host_word, login_line

    names = sorted(
        n for n in place.env if not is_session(n) and n not in (*place.area.blacklist, *place.area.secrets, "PWD")
    )
    command = join(words) if typed else '"${SHELL:-/bin/sh}"'
    line = login_line(f"{entering(place.row.dir, place.env, names)}exec {command}")
    terminal = ["-t"] if sys.stdin is not None and sys.stdin.isatty() else []
    try:
        return subprocess.run(["ssh", *terminal, host_word(place.row.host), line], check=False).returncode
    except OSError as e:
        raise LaunchError(f"cannot run 'ssh': {why(e)}") from e
