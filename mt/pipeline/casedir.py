"""The directory a case runs in: made on a disk, linked into the link tree, filled with the test's files.

Layout as spec/config.md 5.3 says: `DISK/TARGET/RUN/TEST[/ITEM]`, and the same
path below the link tree.  Nothing outside the run's own directory is written
or removed: names with `..` are refused, and cleaning follows no links.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from typing import NamedTuple

from mt.errors import ConfigError, MtError, why
from mt.pipeline import within
from mt.stdio import write_whole

#: what forbids to write a file that is there: it is a link, it is read-only, it runs, nobody reads the FIFO
_IN_THE_WAY = (errno.ELOOP, errno.EACCES, errno.EPERM, errno.ETXTBSY, errno.ENXIO)
#: bytes of a file's name
_LONGEST = 255
_SSHFS = "on sshfs links are only read when it is mounted with -o no_contain_symlinks"
#: files up to this size are kept in memory between the cases of one test
_SMALL = 64 * 1024


class Places(NamedTuple):
    """Where a case is: `real` on its `disk`, `link` in the link tree."""

    real: str
    link: str
    disk: str


class Source(NamedTuple):
    """One test's files, listed once: (relative path, kind, mode, content or None when large, link target)."""

    root: str
    entries: tuple[tuple[str, str, int, bytes | None, str], ...]
    stamp: tuple[int, int]


def safe(part: str, what: str) -> str:
    """A name that may become part of a path, or ConfigError."""
    if part.startswith("/") or "\0" in part or any(p in ("..", ".") for p in part.split("/")):
        raise ConfigError(f"bad {what} '{part}': it cannot be part of a path")
    if len(part) > _LONGEST // 4:  # no character has more bytes
        for name in part.split("/"):
            if len(os.fsencode(name)) > _LONGEST:
                shown = f"{name[:40]}..."
                raise ConfigError(f"bad {what} '{shown}': longer than {_LONGEST} bytes, so no name of a directory")
    return part


def places(disk: str, linktree: str, target: str, run: str, test: str, item: str) -> Places:
    """Both paths of a case; raises ConfigError for names that cannot be paths."""
    tail = os.path.join(safe(target, "target"), safe(run, "run name"), safe(test, "test name"), safe(item, "item"))
    tail = tail.rstrip("/")
    return Places(os.path.join(disk, tail), os.path.join(linktree, tail), disk)


def make(where: Places, *, clean: bool) -> None:
    """Make the directory (empty when `clean`) and its link; raises MtError naming the path."""
    try:
        try:
            os.mkdir(where.real)
        except FileNotFoundError:
            os.makedirs(where.real)
        except FileExistsError:
            _settle(where, clean=clean)
        if where.real != where.link:
            _link(where)
    except OSError as e:
        hint = _SSHFS if isinstance(e, PermissionError) and os.path.islink(where.link) else None
        raise MtError(f"cannot make run directory '{e.filename or where.real}': {why(e)}", hint=hint) from e


def _settle(where: Places, *, clean: bool) -> None:
    """Make what is there the directory of a case: emptied if wanted, and a directory at all; no link is followed."""
    tail = within.tail_of(where.disk, where.real)
    try:
        if os.path.islink(where.real) or not os.path.isdir(where.real):
            within.remove(where.disk, tail)
            os.mkdir(where.real)
        elif clean:
            within.empty(where.disk, tail)
    except OSError as e:
        raise within.refusal(where.real, e, verb="empty") from e


def _link(where: Places) -> None:
    for _ in range(3):
        try:
            os.symlink(where.real, where.link)
            return
        except FileNotFoundError:
            os.makedirs(os.path.dirname(where.link), exist_ok=True)
        except FileExistsError:
            if os.path.islink(where.link):
                if os.readlink(where.link) == where.real:
                    return
                os.unlink(where.link)
            elif os.path.exists(where.link) and os.path.samefile(where.link, where.real):
                return  # the link is one further up
            elif os.path.isdir(where.link) and not os.listdir(where.link):
                os.rmdir(where.link)
            else:
                raise


def source_of(root: str) -> Source:
    """List a test directory once; `tmp_run` (runs kept inside the test) and links out of it stay as they are."""
    entries: list[tuple[str, str, int, bytes | None, str]] = []
    try:
        stamp = stamp_of(root)
        _list(root, "", entries)
    except OSError as e:
        raise MtError(f"cannot read test directory '{e.filename or root}': {why(e)}") from e
    return Source(root, tuple(entries), stamp)


def stamp_of(root: str) -> tuple[int, int]:
    """What changes when an entry of a test directory, or its testconfig, is changed."""
    config = os.stat(os.path.join(root, "testconfig"))
    return os.stat(root).st_mtime_ns, config.st_mtime_ns


def _list(root: str, below: str, entries: list[tuple[str, str, int, bytes | None, str]]) -> None:
    with os.scandir(os.path.join(root, below)) as found:
        for entry in sorted(found, key=lambda e: e.name):
            path = os.path.join(below, entry.name)
            if entry.is_symlink():
                entries.append((path, "link", 0, None, os.readlink(entry.path)))
            elif entry.is_dir():
                if path != "tmp_run":
                    entries.append((path, "dir", 0, None, ""))
                    _list(root, path, entries)
            elif entry.is_file():
                info = entry.stat()
                body = None
                if info.st_size <= _SMALL:
                    with open(entry.path, "rb") as f:
                        body = f.read()
                entries.append((path, "file", stat.S_IMODE(info.st_mode), body, ""))


def fill(source: Source, path: str) -> None:
    """Copy a test's files into a run directory; existing files are replaced."""
    for name, kind, mode, body, target in source.entries:
        to = os.path.join(path, name)
        try:
            if kind == "dir":
                _folder(to)
            elif kind == "link":
                if os.path.lexists(to):
                    os.unlink(to)
                os.symlink(target, to)
            elif body is None:
                _make_way(to)
                shutil.copy2(os.path.join(source.root, name), to)
            else:
                _write(to, body, mode)
        except OSError as e:
            raise MtError(f"cannot copy '{name}' into '{path}': {why(e)}") from e


def _folder(path: str) -> None:
    """A directory that an earlier attempt has perhaps made something else."""
    try:
        os.mkdir(path)
    except FileExistsError:
        if os.path.isdir(path) and not os.path.islink(path):
            return
        os.unlink(path)
        os.mkdir(path)


def _make_way(path: str) -> None:
    """Remove a link or a FIFO that stands where a file is to be written."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(kind):
        os.unlink(path)


def open_anew(path: str, mode: int) -> int:
    """A file to be written from its beginning; a link, a FIFO or a file that cannot be written makes way for it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags, mode)
    except OSError as e:
        if e.errno not in _IN_THE_WAY:
            raise
        os.unlink(path)
        return os.open(path, flags, mode)


def _write(path: str, body: bytes, mode: int) -> None:
    fd = open_anew(path, mode | 0o200)
    try:
        write_whole(fd, body)
        if mode & 0o7022 or not mode & 0o200:
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


def copy_command(template: str, source: str, to: str) -> str:
    """`[setup] testcopycmd` with both paths put in, quoted where a shell would stumble (spec/config.md 2.1)."""
    import shlex

    return template.replace("TEST_SRC_PATH", shlex.quote(source)).replace("TEST_TARG_PATH", shlex.quote(to))
