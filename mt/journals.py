"""The reading side of the journals: what is new in a run's directory, line by line.

Names in a journal directory: `<writer>.ndjson`, `drop/*.ndjson`, `spool.ndjson`
(drops that were taken over; each line with its writer as "w") and
`all.ndjson.gz` (a finished run).  Only a holder of the run's fold lock appends
to the spool or writes the gz; everybody may look.  Where there are no locks
each folder has a spool of its own, `spool-<writer>.ndjson`: two of them may
then take over the same drop, and events that come twice change nothing.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

GZ = "all.ndjson.gz"
SPOOL = "spool.ndjson"
_END = ".ndjson"
_SPOOLS = (SPOOL, "spool-")

#: the field of an event that says where it stood before it was moved
PLACE = "from"

#: bytes read of a file at a time
CHUNK = 8 << 20


class Done(NamedTuple):
    """How far a file is folded: bytes, and its size at that look, which is greater when its last line was torn."""

    at: int = 0
    seen: int = 0


class Look(NamedTuple):
    """Sizes of the files of a journal directory by name, and the names of the drops."""

    sizes: dict[str, int]
    drops: list[str]

    def news(self, offsets: Mapping[str, Done]) -> list[str]:
        """The files that have grown since they were folded: compacted ones first, then journals, the spool last.

        A gz counts as folded when its size is the stored one: it only changes as a whole.
        """
        none = Done()
        found = [
            n
            for n, size in self.sizes.items()
            if size > (was := offsets.get(n, none)).seen or (n == GZ and size != was.at)
        ]
        return sorted(found, key=lambda n: (n != GZ, n.startswith(_SPOOLS), n))


def look(directory: str) -> Look:
    """What is there now: one pass over the directory, no file is opened."""
    sizes: dict[str, int] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(_END) or entry.name == GZ:
                    try:
                        sizes[entry.name] = entry.stat().st_size
                    except FileNotFoundError:
                        continue
    except FileNotFoundError:
        pass
    return Look(sizes, _drops(directory))


def _drops(directory: str) -> list[str]:
    try:
        names = os.listdir(os.path.join(directory, "drop"))
    except OSError:
        return []
    return sorted(n for n in names if n.endswith(_END) and not n.startswith("."))


def own_spool() -> str:
    """The name of a spool that only this process writes."""
    from mt.journal import writer_name

    return f"spool-{writer_name()}{_END}"


def take_over(directory: str, drops: list[str], spool: str = SPOOL) -> int:
    """Append the drops to the spool, each line with its writer; gives the spool's new size.

    A crash before the offsets are stored appends them again; events that come
    twice change nothing.  A torn end of the spool was never folded and is cut.
    A drop that is gone is in the spool of somebody else.
    """
    path = os.path.join(directory, spool)
    body = b"".join(_spooled(directory, name) for name in drops)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = _whole(fd)
        os.ftruncate(fd, end)
        done = 0
        while done < len(body):
            done += os.pwrite(fd, body[done:], end + done)
    finally:
        os.close(fd)
    return end + len(body)


def _spooled(directory: str, name: str) -> bytes:
    """A drop as lines of the spool; what is no event is wrapped with the place where it stood."""
    try:
        with open(os.path.join(directory, "drop", name), "rb") as f:
            body = f.read()
    except FileNotFoundError:
        return b""
    writer = name.removesuffix(_END)
    lines = []
    at = 0
    for raw in body.split(b"\n"):
        if raw:
            lines.append(named_line(raw.decode("utf-8", "surrogateescape"), writer, f"drop/{name}", at))
        at += len(raw) + 1
    return b"".join(lines)


def named_line(line: str, writer: str, file: str, at: int, *, unknown: bool = False) -> bytes:
    """An event's line with its writer in it, or a `bad` event that keeps what is no event.

    An `unknown` event stays as it is, because a newer mt may know it, and carries
    the place where it stood.
    """
    ev = parse(line)
    if ev is None:
        ev = {"k": "bad", "file": file, "at": at, "text": _clean(line)}
    else:
        if "w" not in ev:
            ev = {"w": writer, **ev}
        if unknown and PLACE not in ev:
            ev[PLACE] = [file, at]
    return _line(ev).encode() + b"\n"


def _line(ev: Mapping[str, Any]) -> str:
    return json.dumps(ev, separators=(",", ":"))


def kept(line: str, ev: Mapping[str, Any] | None, file: str, at: int) -> tuple[str, int, str]:
    """File, offset and text under which a line that cannot be read is kept, wherever it has been moved since."""
    if ev is None:
        return file, at, _clean(line)
    match ev.get(PLACE):
        case [str(was), int(then)]:
            file, at = was, then
    return file, at, _line({n: v for n, v in ev.items() if n not in ("w", PLACE)})


def _whole(fd: int) -> int:
    """The length of a file up to the end of its last whole line."""
    size = os.fstat(fd).st_size
    at = size
    while at > 0:
        start = max(at - 65536, 0)
        found = os.pread(fd, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


class Piece(NamedTuple):
    """Whole lines of a file: its name, where they begin, their text, and the offset that is right after them."""

    file: str
    at: int
    text: str
    after: int


def pieces(directory: str, name: str, start: int, end: int) -> Iterator[Piece]:
    """The whole lines between two offsets of a file, in pieces; a torn last line is left for later."""
    if name == GZ:
        yield from _unpacked(directory, end)
        return
    with open(os.path.join(directory, name), "rb", buffering=0) as f:
        f.seek(start)
        left = b""
        at = start
        while at + len(left) < end:
            more = f.read(min(CHUNK, end - at - len(left)))
            if not more:
                return
            left += more
            cut = left.rfind(b"\n") + 1
            if cut:
                yield Piece(name, at, left[:cut].decode("utf-8", "surrogateescape"), at + cut)
                left = left[cut:]
                at += cut


def _unpacked(directory: str, size: int) -> Iterator[Piece]:
    """The lines of the gz; only the last piece says that it is folded."""
    at = 0
    with gzip.open(os.path.join(directory, GZ), "rb") as f:
        while lines := f.readlines(CHUNK):
            body = b"".join(lines)
            yield Piece(GZ, at, body.decode("utf-8", "surrogateescape"), -1)
            at += len(body)
    yield Piece(GZ, at, "", size)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_scan = json.JSONDecoder(parse_constant=_refuse).raw_decode


def parse(line: str) -> dict[str, Any] | None:
    """The event of a line, None when it is none.  Text that no db can hold (lone surrogates) is spelled out."""
    try:
        ev, end = _scan(line)
    except (ValueError, RecursionError):
        return None
    if type(ev) is not dict or (end != len(line) and line[end:].strip()):
        return None
    if not line.isascii() or "\\ud" in line or "\\uD" in line:
        return {_clean(n): _cleaned(v) for n, v in ev.items()}
    return ev


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list):
        return [_cleaned(v) for v in value]
    if isinstance(value, dict):
        return {_clean(n): _cleaned(v) for n, v in value.items()}
    return value


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def writer_of(name: str) -> str:
    """The writer of a journal by its file name."""
    return name.removesuffix(_END)
