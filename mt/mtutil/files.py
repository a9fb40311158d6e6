"""Packet files: written whole or not at all, read with their owner, set aside when they are none."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from mt.errors import MtError, NotPermitted, why
from mt.mtutil.packets import LIMIT, SUFFIX, Packet, PacketError, parse, text_of

#: where a directory of packets keeps the files that are none
BAD = "bad"
#: a file without its last card may still be growing for so long, in seconds
GROWING = 60.0


class Found(NamedTuple):
    """A packet, and the uid of the owner of its file."""

    packet: Packet
    uid: int


def write(directory: str, packet: Packet) -> str:
    """Write a packet and give its path; the very packet being there already is fine.

    Others see all of it or nothing: it is written beside its place and linked
    there.  Raises NotPermitted and MtError where that cannot be done.
    """
    path = os.path.join(directory, packet.id + SUFFIX)
    temporary = os.path.join(directory, f".{packet.id}.{os.getpid()}.tmp")
    try:
        os.makedirs(directory, exist_ok=True)
        try:
            with open(temporary, "wb") as out:
                out.write(text_of(packet))
                out.flush()
                os.fsync(out.fileno())
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            _forget(temporary)
    except OSError as e:
        kind = NotPermitted if isinstance(e, PermissionError) or e.errno == 30 else MtError
        raise kind(f"cannot write packet '{path}': {why(e)}") from e
    return path


def read(path: str) -> Found:
    """The packet in a file; raises PacketError for what is none, OSError for what cannot be read.

    Links are not followed and only plain files are read: the owner of the
    file stands for its user, so it must be the file itself that lies here.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise PacketError("not a plain file")
        data = os.read(fd, LIMIT)
        while len(data) < min(facts.st_size, LIMIT):
            more = os.read(fd, LIMIT - len(data))
            if not more:
                break
            data += more
    finally:
        os.close(fd)
    packet = parse(data)
    if os.path.basename(path) != packet.id + SUFFIX:
        raise PacketError("its name is not its checksum")
    return Found(packet, facts.st_uid)


def names(directory: str) -> list[str]:
    """The file names of the packets of a directory, sorted; none where there is no directory; raises MtError."""
    try:
        with os.scandir(directory) as entries:
            return sorted(e.name for e in entries if e.name.endswith(SUFFIX) and e.name[0] != ".")
    except FileNotFoundError:
        return []
    except OSError as e:
        raise MtError(f"cannot read packets of '{directory}': {why(e)}") from e


def set_aside(directory: str, name: str) -> bool:
    """Move a file into `bad/`, so that it is spoken of once; whether that could be done."""
    try:
        os.makedirs(os.path.join(directory, BAD), exist_ok=True)
        os.rename(os.path.join(directory, name), os.path.join(directory, BAD, name))
    except OSError:
        return False
    return True


def may_grow(path: str, now: float) -> bool:
    """Whether a file is so young that its writer may not be done with it."""
    try:
        return abs(now - os.lstat(path).st_mtime) < GROWING
    except OSError:
        return False


def forget(path: str) -> None:
    """Remove a packet that came to nothing."""
    _forget(path)


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
