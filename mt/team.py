"""A team's area: what mt makes in it, every member may write (spec/features.md B24).

A directory that is setgid and that its group may write belongs to a team.  The
kernel hands such a directory's group and setgid bit down to all that is made in
it; what spoils it is the umask of the member who makes it.  So a command that
opens a team's area takes the group's bits out of its umask, once and before it
makes anything (`join`): no file ever stands there with other rights for an
instant, and what the steps of tests make is the team's too.  SQLite makes files
for their maker alone whatever the umask says, so a db is made before SQLite
opens it (`make_file`); its -wal and -shm follow the db's rights.

In an area that is no team's nothing is changed, and the one thing that is paid
is a stat.  Who may do what is said by the rights of files and nowhere else: a
rule in a file of the area would not keep out a member who may write the files.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from functools import lru_cache

from mt.errors import ConfigError, MtError, NotPermitted, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: what a umask must not take from what a team shares
GROUP = 0o070
#: what makes a directory a team's
SHARED = stat.S_ISGID | stat.S_IWGRP
_READ_ONLY = 30  # EROFS: no rights help there


def group_of(directory: str) -> int | None:
    """The group that a directory is shared with; None when it is not shared, or not there."""
    try:
        return _shares(os.stat(directory))
    except OSError:
        return None


def _shares(found: os.stat_result) -> int | None:
    return found.st_gid if found.st_mode & SHARED == SHARED else None


def is_shared(directory: str) -> bool:
    """Whether a directory is made for a team: setgid, and writable for its group."""
    return group_of(directory) is not None


def group_above(path: str) -> int | None:
    """The group that the nearest directory at or above a path is shared with."""
    place = os.path.abspath(path)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    return group_of(place)


def of_area(home: str, wish: str | None = None) -> int | None:
    """The group that owns an area: that of its store, before there is one of its directory, else `[db] group`.

    A store that is there decides alone, so that all who use it agree.  Raises
    ConfigError for a wish that is no group.
    """
    try:
        return _shares(os.stat(os.path.join(home, ".mtdb")))
    except OSError:
        found = group_of(home)
    return group_id(wish) if found is None and wish else found


def group_id(name: str) -> int:
    """The number of a group by its name or number; raises ConfigError."""
    import grp

    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"no group '{name}' on this host", hint="getent group lists them") from None


# -- the umask


def join(group: int | None) -> None:
    """Make what this process and its children make from now on writable for the group of its directory.

    Without a group the umask is again what it was at the start: a process that
    goes from a team's area to another one must not open that one's files.
    """
    if group is not None:
        own = own_umask()
        if own & GROUP:
            os.umask(own & ~GROUP)
    elif own_umask.cache_info().currsize:
        os.umask(own_umask())


@lru_cache(maxsize=1)
def own_umask() -> int:
    """The umask that this process was started with, as long as it is first asked before `join` has changed it."""
    own = os.umask(0o077)
    os.umask(own)
    return own


@contextmanager
def apart() -> Iterator[None]:
    """Within the block the user's own umask counts: for files that are made where he says, which are his."""
    if not own_umask.cache_info().currsize:
        yield
        return
    before = os.umask(own_umask())
    try:
        yield
    finally:
        os.umask(before)


# -- making things


def make_file(path: str) -> None:
    """Make an empty file in a team's directory, with the rights that `join` gives; elsewhere make none."""
    if is_shared(os.path.dirname(path)):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))


def open_for_group(fd: int, directory: str) -> None:
    """Let the group read a file of ours that another umask than the team's has closed: a step may set its own."""
    found = os.fstat(fd)
    if not found.st_mode & stat.S_IRGRP and is_shared(directory):
        os.fchmod(fd, stat.S_IMODE(found.st_mode) | 0o060)


def make_directory(path: str, group: int | None) -> None:
    """Make a directory and those above it; the ones that were missing are shared with the group.

    Those that are there stay as they are: they may be anybody's.  Raises
    OSError, and NotPermitted where the group cannot be given.
    """
    missing = []
    place = path
    while group is not None and place and not os.path.isdir(place):
        missing.append(place)
        place = os.path.dirname(place)
    os.makedirs(path, exist_ok=True)
    if group is not None and missing and group_of(missing[0]) != group:
        for made in reversed(missing):
            share(made, group)


def make_shared(path: str) -> None:
    """Make a directory and those above it; below a team's directory they are the team's.  The umask stays."""
    if os.path.isdir(path):
        return
    group = group_above(path)
    before = os.umask(0o077)
    try:
        os.umask(before & ~GROUP if group is not None else before)
        make_directory(path, group)
    finally:
        os.umask(before)


def share(path: str, group: int) -> None:
    """Give a directory of ours to a group: setgid, and all rights for the group; raises NotPermitted."""
    try:
        if os.stat(path).st_gid != group:
            os.chown(path, -1, group)
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | SHARED | GROUP)  # after chown, which may take setgid
    except PermissionError as e:
        name = group_name(group)
        hint = f"you must own it and be a member of {name}: id -nG"
        raise NotPermitted(f"cannot give '{path}' to group {name}: {why(e)}", hint=hint) from e


def keep_owner(fd: int, found: os.stat_result) -> None:
    """Give a new file, which takes the place of another one, the rights and if possible the group of that one."""
    if os.fstat(fd).st_gid != found.st_gid:
        try:
            os.fchown(fd, -1, found.st_gid)
        except PermissionError:
            pass  # he is no member; the file stays in his own group
    os.fchmod(fd, stat.S_IMODE(found.st_mode))


# -- who is kept out, and by what


def explained(error: MtError) -> MtError:
    """The same error as NotPermitted, with what forbids it and how that is mended, where rights are missing."""
    cause = error.__cause__
    if not isinstance(cause, OSError) or error.status not in (1, 5, 9):
        return error
    if cause.errno == _READ_ONLY:
        return error if error.status == 9 else NotPermitted(error.what, hint=error.hint, where=error.where)
    if not isinstance(cause, PermissionError):
        return error
    names = [os.fsdecode(n) for n in (cause.filename, cause.filename2) if isinstance(n, str | bytes)]
    names = [n for n in names if n.startswith("/") and not n.startswith("/proc/")] or error.what.split("'")[1:2]
    found = next((f for f in map(obstacle, names) if f), "")
    text = error.what
    if found and "belongs to" not in text:
        text = f"{text} ({described(found)})"
    return NotPermitted(text, hint=error.hint or (found and mending(found)) or None, where=error.where)


def refusal(path: str, what: str) -> NotPermitted:
    """The error for somebody who may not write a file or directory."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return NotPermitted(f"{what}: read-only file system")
    return NotPermitted(f"{what}: permission denied ({described(path)})", hint=mending(path))


def obstacle(path: str) -> str:
    """What keeps us from a path: the path itself, or the nearest directory above it; empty when nothing seems to."""
    place = os.path.abspath(path)
    if os.path.lexists(place) and not os.path.islink(place) and not os.access(place, os.R_OK):
        return place
    above = place
    while above != (up := os.path.dirname(above)):
        above = up
        if os.path.isdir(above) or os.path.lexists(above):
            break
    if not os.access(above, os.W_OK | os.X_OK) or _is_sticky(above, place):
        return above
    if os.path.isdir(place):
        return next(_shut(place), "")
    return place if os.path.exists(place) and not os.access(place, os.W_OK) else ""


def _shut(path: str) -> Iterator[str]:
    """Directories at and below a path in which we may not remove anything; looks at 10,000 at most."""
    from itertools import islice

    for folder, folders, _ in islice(os.walk(path), 10_000):
        for place in (folder, *(os.path.join(folder, name) for name in folders)):
            if not os.path.islink(place) and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
                yield place


def _is_sticky(above: str, place: str) -> bool:
    """Whether only the owner of a thing may remove it, and that is somebody else."""
    try:
        here, there = os.stat(above), os.lstat(place)
    except OSError:
        return False
    return bool(here.st_mode & stat.S_ISVTX) and os.geteuid() not in (here.st_uid, there.st_uid, 0)


def described(path: str) -> str:
    """Whose a file is: `'/a/.mtdb' belongs to ann:users, mode 0755`."""
    try:
        found = os.stat(path)
    except OSError as e:
        return f"'{path}': {why(e)}"
    names = f"{user_name(found.st_uid)}:{group_name(found.st_gid)}"
    return f"'{path}' belongs to {names}, mode {stat.S_IMODE(found.st_mode):04o}"


def mending(path: str) -> str:
    """How the owner of a file or directory lets his group write it."""
    try:
        found = os.stat(path)
    except OSError:
        return "mt doctor"
    word = "g+rwxs" if stat.S_ISDIR(found.st_mode) else "g+rw"
    return f"a team shares it when {user_name(found.st_uid)} does: chmod {word} '{path}'; mt doctor says more"


@lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """A user's name, or his number where he has none here."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """A group's name, or its number where it has none here."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
