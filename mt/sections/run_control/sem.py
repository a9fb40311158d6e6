"""hold a token of a semaphore while a command runs

Licences, boards and other things of which there are few are shared by all users and hosts that use the same directory:
at most N commands run under the semaphore NAME at once.  N is -n, else the line `NAME N` of the section `[semaphores]`
in the area's megatest.config, else 1.  The semaphore is in --dir, else in $MT_SEM_DIR, else in the area.

The cases of a job group G of an area hold tokens of its semaphore `group.G`, and where the area says
`max_concurrent_jobs`, all its cases hold tokens of `jobs`: a command may count with them.

Without a free token mt waits.  -k K takes K tokens at once, all or none, so that two who want several never wait for
each other.  CMD finds the numbers of its tokens in $MT_SEM_TOKENS: `3`, or `1 4`; signals are passed on to it.

A token is free again when CMD has ended.  When mt dies first, even by kill -9, CMD keeps the token until it ends
itself.  The kernel frees the tokens of dead holders at once; one who is out of reach (on a host that does not share
locks with ours, or before a reboot) loses its token after 90 s without a sign of life.  A directory with the setgid
bit that its group may write (chmod g+ws DIR) is for a team: what is made in it may be written by the group as well.

EXAMPLES

    $ mt sem licence -n 5 --dir . -- echo simulate
    At most five simulations at once of all who do this here.

    $ mt sem boards -n 4 -k 2 --dir . -- sh -c 'echo with boards $MT_SEM_TOKENS'
    Two of four boards.

    $ mt sem licence -n 5 --dir . --wait 60 -- echo now; echo $?
    4 when none was free for a minute.

    $ mt sem --list -f ndjson
    Who has tokens of any semaphore of the area, for a program; `alive` is `unknown` of one who is out of reach.

EXIT STATUS

    0-255  that of CMD; 128 and more when a signal ended it
    0      with --list
    2      usage
    3      the area does not say a number of tokens that can be used
    4      no token is free, or none was for so long
    5      the files of the semaphore cannot be used
    9      you may not write them
    126    CMD cannot be run
    127    there is no such command

SEE ALSO

    mt-lock-hold, mt-lock-show, mt-locks(7)
"""

from __future__ import annotations

import os

from mt.errors import ConfigError, UsageError
from mt.options import AreaOptions, RowOptions, command, flag, operand, opt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mt.locks.semaphore import Held, Row, Semaphore

COLUMNS = ("semaphore", "token", "user", "host", "pid", "since", "alive", "command")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    tokens: int | None = opt("-n", "--tokens", meta="N", help="the semaphore has N tokens")
    count: int = opt("-k", "--count", meta="K", help="take K tokens at once", default=1)
    dir: str | None = opt("--dir", meta="DIR", help="the semaphore is in DIR, not in the area", complete="dirs")
    wait: float | None = opt("--wait", meta="SECONDS", help="wait at most so long")
    no_wait: bool = flag("--no-wait", help="do not wait at all")
    list: bool = flag("--list", help="show who has tokens, of NAME or of all semaphores")
    name: str | None = operand("NAME", help="the semaphore; any text", need=False)
    argv: tuple[str, ...] = command("CMD", help="the command and its arguments")


def main(opts: Options) -> int:
    """List, or run the command under its tokens."""
    if opts.list:
        return _list(opts)
    if not opts.name or not opts.argv:
        raise UsageError(f"mt sem: {'CMD' if opts.name else 'NAME'} is missing", hint="mt sem NAME -- CMD")
    if opts.wait is not None and not 0 <= opts.wait < float("inf"):
        raise UsageError(f"mt sem: --wait: '{opts.wait:g}' is no time to wait", hint="mt sem -h")
    from mt.environ import veiled
    from mt.locks.owners import BEAT
    from mt.locks.semaphore import Semaphore
    from mt.pipeline.under import under

    semaphore = Semaphore(_directory(opts), opts.name, _size(opts, opts.name))
    patience = 0 if opts.no_wait else opts.wait
    command_line = " ".join(veiled(opts.argv))
    with semaphore.wait(opts.count, patience, command_line, lambda: _say_waiting(opts, semaphore)) as held:
        env = {**os.environ, "MT_SEM_TOKENS": " ".join(map(str, held.numbers))}
        return under(opts.argv, env, held.descriptors(), held.belongs_to, lambda: _beat(held), BEAT)


def _directory(opts: Options) -> str:
    """Where the semaphore is; an area's is made when it is needed."""
    found = opts.dir or (None if opts.chdir else os.environ.get("MT_SEM_DIR"))
    if found:
        return found
    from mt.home import find

    try:
        return os.path.join(find(opts.chdir, os.environ), ".mtdb", "locks")
    except ConfigError as e:
        raise ConfigError(e.what, hint="--dir DIR or $MT_SEM_DIR name a directory without an area") from e


def _size(opts: Options, name: str) -> int:
    if opts.tokens is not None:
        return opts.tokens
    from mt.home import find

    try:
        home = find(opts.chdir, os.environ)
    except ConfigError:
        return 1
    from mt.area import Area

    area = Area.open(home)
    section, key = _setting(name)
    text = area.setting(section, key)
    if text is None:
        return 1
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(
            f"[{section}] {key}: '{text}' is not a number of tokens", where=area.config.where(section, key)
        )
    return int(text)


def _setting(name: str) -> tuple[str, str]:
    """Where an area says how many tokens a semaphore has; those of its runs have limits of their own."""
    if name == "jobs":
        return "setup", "max_concurrent_jobs"
    group = name.removeprefix("group.")
    return ("semaphores", name) if group == name else ("jobgroups", group)


def _say_waiting(opts: Options, semaphore: Semaphore) -> None:
    if not opts.quiet:
        from mt.stdio import say

        say(f"{semaphore.busy().what}; waiting")


def _beat(held: Held) -> None:
    for number in held.beat():
        from mt.stdio import say

        say(f"token {number} of semaphore '{held.name}' was lost: no sign of life from us for too long")


def _list(opts: Options) -> int:
    from mt.locks.semaphore import all_rows, rows
    from mt.locks.teamfiles import directory_of
    from mt.stdio import write_rows

    if opts.argv:
        raise UsageError("mt sem: --list runs no command", hint="mt sem -h")
    where = _directory(opts)
    found = rows(directory_of(where, opts.name)) if opts.name else all_rows(where)
    write_rows((_shown(row) for row in found), opts, COLUMNS)
    return 0


def _shown(row: Row) -> dict[str, Any]:
    from mt.rows import stamp

    said = row.owner
    alive = "yes" if row.alive else "unknown"
    return {
        "semaphore": row.name, "token": row.token, "user": said.user, "host": said.host, "pid": said.pid,
        "since": stamp(said.since), "alive": alive, "command": said.command, "child": said.child,
    }  # fmt: skip
