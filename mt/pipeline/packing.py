"""Run directories packed into one compressed tar, read back before anybody trusts it, and unpacked with suspicion.

What goes in is listed member by member (`Member`), with the sha256 of each
file.  What comes out must be on that list: a tar that says something else, that
names places outside of the directory, or that brings devices, is refused.
Links are packed and unpacked as links, and never followed.

Compression is done by the program `zstd` where there is one, else by gzip from
the standard library; the name of the file tells.  When asked to, `bup` keeps the
tar, and the file says under which commit of the repository beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, NamedTuple

from mt.errors import ConfigError, StoreError, why
from mt.pipeline.territory import walk

ZST, GZ, BUP = ".tar.zst", ".tar.gz", ".tar.bup"
_PIECE = 1 << 20
_KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link"}


class Member(NamedTuple):
    """One thing in an archive: `at` is the directory of its case there, `name` its path within that."""

    at: str
    name: str
    kind: str
    bytes: int = 0
    sha256: str = ""
    target: str = ""
    mtime: float = 0.0

    @property
    def path(self) -> str:
        """Its name in the tar."""
        return f"{self.at}/{self.name}" if self.name else self.at


class Refusal(StoreError):
    """An archive that cannot be trusted."""


def suffix(wanted: str | None = None, bup: str = "bup") -> str:
    """The suffix of a new archive; raises ConfigError for a form that cannot be made, or read, here."""
    have_zstd = shutil.which("zstd") is not None
    if wanted is None:
        return ZST if have_zstd else GZ
    program = {"zst": "zstd", "bup": bup}.get(wanted, "")
    if program and shutil.which(program) is None:
        raise ConfigError(f"cannot use a .tar.{wanted}: no program '{program}' on PATH", hint="--format gz")
    return {"zst": ZST, "gz": GZ, "bup": BUP}[wanted]


# -- in


def pack(path: str, form: str, level: int, trees: Iterable[tuple[str, str]], bup: str = "bup") -> list[Member]:
    """Write the directories, (name in the archive, path) each, into a new file; gives what is in it.

    The file is on the disk when this comes back.  Sockets, pipes and devices
    are left out: nothing is in them.  Raises StoreError.
    """
    found: list[Member] = []
    try:
        with open(path, "xb") as out:
            with _compressed(out, form, level, bup) as pipe, tarfile.open(fileobj=pipe, mode="w|") as tar:
                for at, tree in trees:
                    found.append(_add(tar, at, "", tree))
                    names = sorted(entry.name for entry in walk(tree))
                    found += [m for name in names if (m := _add(tar, at, name, os.path.join(tree, name))).kind]
            out.flush()
            os.fsync(out.fileno())
    except (OSError, tarfile.TarError) as e:
        with suppress(OSError):
            os.unlink(path)
        raise StoreError(f"cannot write archive '{path}': {why(e) if isinstance(e, OSError) else e}") from e
    return found


def _add(tar: tarfile.TarFile, at: str, name: str, path: str) -> Member:
    """Add one thing; a member without a kind was left out."""
    tar.inodes.clear()  # type: ignore[attr-defined] # a second name of a file becomes a file, not a link to the first
    info = tar.gettarinfo(path, Member(at, name, "").path)
    kind = _KINDS.get(info.type, "") if info else ""
    if not kind:
        return Member(at, name, "")
    if kind != "file":
        tar.addfile(info)
        return Member(at, name, kind, target=info.linkname)
    with open(path, "rb") as raw:
        source = _Hashed(raw)
        tar.addfile(info, source)
    return Member(at, name, kind, info.size, source.hexdigest(), mtime=info.mtime)


class _Hashed:
    """A file that sums up what is read from it."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Some bytes of it."""
        found = self._raw.read(size)
        self._sum.update(found)
        return found

    def hexdigest(self) -> str:
        """The sum of what was read."""
        return self._sum.hexdigest()


def unchanged(tree: str, members: Iterable[Member]) -> bool:
    """Whether a directory is, by names, kinds, sizes, times and links, what was packed of it."""
    listed = {m.name: m for m in members if m.name}
    for entry in walk(tree):
        member = listed.pop(entry.name, None)
        path = os.path.join(tree, entry.name)
        seen = os.lstat(path)
        if member is None:
            if stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode) or stat.S_ISLNK(seen.st_mode):
                return False
        elif (
            entry.folder != (member.kind == "dir")
            or (member.kind == "file" and (entry.bytes != member.bytes or abs(seen.st_mtime - member.mtime) > 0.01))
            or (member.kind == "link" and (not os.path.islink(path) or os.readlink(path) != member.target))
        ):
            return False
    return not listed


# -- streams


@contextmanager
def _compressed(out: IO[bytes], form: str, level: int, bup: str) -> Iterator[IO[bytes]]:
    """Where to write so that `out` gets it compressed; of what bup keeps it gets the commit."""
    if form == GZ:
        with gzip.GzipFile("", "wb", min(max(level, 1), 9), out, 0) as packed:
            yield packed  # type: ignore[misc] # a binary stream in all but name
        return
    if form == BUP:
        repository = _repository(out.name, bup)
        words = ["-d", repository, "split", "-q", f"-{min(max(level, 0), 9)}", "-c", "-n", "runs"]
        with _through(bup, words, None, out) as pipe:
            yield pipe
        os.sync()
        return
    with _through("zstd", ["-q", f"-{min(max(level, 1), 19)}", "-c"], None, out) as pipe:
        yield pipe


def _repository(path: str, bup: str) -> str:
    """The repository beside an archive, made when it is not there; raises StoreError."""
    import sh

    where = os.path.join(os.path.dirname(path), "bup")
    if not os.path.isdir(os.path.join(where, "objects")):
        try:
            sh.Command(bup)("-d", where, "init")
        except sh.ErrorReturnCode as e:
            raise StoreError(f"cannot make '{where}': {e.stderr.decode(errors='replace').strip()}") from e
    return where


@contextmanager
def opened(path: str, bup: str = "bup") -> Iterator[IO[bytes]]:
    """The tar within an archive, as a stream; raises StoreError when it cannot be read."""
    try:
        with open(path, "rb") as raw:
            os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # what is read comes from the disk
            if path.endswith(GZ):
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield stream  # type: ignore[misc] # a binary stream in all but name
            elif path.endswith(BUP):
                suffix("bup", bup)
                words = ["-d", os.path.join(os.path.dirname(path), "bup"), "join", raw.read(100).decode().strip()]
                with open(os.devnull, "rb") as null, _through(bup, words, null, None) as stream:
                    yield stream
            else:
                suffix("zst")
                with _through("zstd", ["-q", "-d", "-c"], raw, None) as stream:
                    yield stream
    except (OSError, EOFError, UnicodeError, tarfile.TarError) as e:
        raise StoreError(f"cannot read archive '{path}': {why(e) if isinstance(e, OSError) else e}") from e


@contextmanager
def _through(program: str, words: list[str], source: IO[bytes] | None, out: IO[bytes] | None) -> Iterator[IO[bytes]]:
    """A pipe into (no source) or out of (no out) a program; raises StoreError when it ends badly."""
    import sh

    reader, writer = os.pipe()
    theirs, mine = (reader, writer) if source is None else (writer, reader)
    with os.fdopen(theirs, "rb" if source is None else "wb") as end:
        running = sh.Command(program)(*words, _in=source or end, _out=out or end, _bg=True, _bg_exc=False)
    good = False
    try:
        with os.fdopen(mine, "wb" if source is None else "rb") as pipe:
            yield pipe
        good = True
    finally:
        try:
            running.wait()
        except sh.ErrorReturnCode as e:
            if good:
                raise StoreError(f"{program} failed: {e.stderr.decode(errors='replace').strip()}") from e


# -- out


Each = Callable[[Member, tarfile.TarInfo, IO[bytes] | None], None]


def read(path: str, listed: Mapping[str, Member], each: Each, bup: str = "bup") -> None:
    """Hand every member of an archive to `each`, after it was checked against the list; raises Refusal, StoreError.

    A file comes with what it says, and its sum is compared when `each` comes back.
    """
    seen: set[str] = set()
    with opened(path, bup) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            member = _checked(path, info, listed)
            seen.add(info.name)
            source = tar.extractfile(info) if member.kind == "file" else None
            if source is None:
                each(member, info, None)
                continue
            summed = _Hashed(source)
            each(member, info, summed)  # type: ignore[arg-type] # it is only read
            while summed.read(_PIECE):
                pass
            if summed.hexdigest() != member.sha256:
                raise Refusal(f"archive '{path}' is damaged: '{info.name}' is not what was saved")
        while stream.read(_PIECE):  # to the end, where the sums of the compressor are
            pass
    missing = listed.keys() - seen
    if missing:
        raise Refusal(f"archive '{path}' is damaged: '{min(missing)}' is missing")


def _checked(path: str, info: tarfile.TarInfo, listed: Mapping[str, Member]) -> Member:
    """The listed member that this is; raises Refusal for whatever should not be in an archive of ours."""
    kind = _KINDS.get(info.type)
    if info.name.startswith("/") or ".." in info.name.split("/"):
        raise Refusal(f"refused archive '{path}': '{info.name}' leads out of the directory")
    if kind is None:
        raise Refusal(f"refused archive '{path}': '{info.name}' is neither file, directory nor symbolic link")
    member = listed.get(info.name)
    if member is None or member.kind != kind or (kind == "file" and member.bytes != info.size):
        raise Refusal(f"refused archive '{path}': '{info.name}' is not in its index")
    if kind == "link" and member.target != info.linkname:
        raise Refusal(f"refused archive '{path}': link '{info.name}' is not what its index says")
    return member


def verify(path: str, listed: Mapping[str, Member], bup: str = "bup") -> None:
    """Read an archive from end to end and compare every file; raises Refusal, StoreError."""
    read(path, listed, lambda member, info, source: None, bup)


def leads_out(member: Member) -> bool:
    """Whether a link points out of the directory of its case."""
    if member.target.startswith("/"):
        return True
    inside = os.path.normpath(os.path.join(os.path.dirname(member.name), member.target))
    return inside == ".." or inside.startswith("../")


class Unpacker:
    """Writes the members of chosen cases below the directory of each; nothing else of the archive is written.

    Every parent of what is written must be a directory and no link, and what is
    written must not be there yet.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._folders: list[tuple[str, int, float]] = []

    def __call__(self, member: Member, info: tarfile.TarInfo, source: IO[bytes] | None) -> None:
        """Write one member, when its case is among the chosen ones."""
        place = self._places.get(member.at)
        if place is None:
            return
        path = os.path.join(place, member.name) if member.name else place
        if member.name:
            _refuse_link(place, os.path.dirname(member.name))
        if member.kind == "dir":
            os.makedirs(path, exist_ok=not member.name)
            self._folders.append((path, info.mode, info.mtime))
        elif member.kind == "link":
            os.symlink(member.target, path)
        elif source is not None:
            _write(path, info, source)

    def done(self) -> None:
        """Give the directories their modes and times, the deepest first, now that nothing more is written in them."""
        for path, mode, mtime in reversed(self._folders):
            os.chmod(path, stat.S_IMODE(mode) & 0o777 | 0o700)
            os.utime(path, (mtime, mtime))


def _refuse_link(place: str, below: str) -> None:
    """Raise Refusal when a part of the path is a link."""
    path = place
    for part in filter(None, below.split("/")):
        path = os.path.join(path, part)
        if os.path.islink(path):
            raise Refusal(f"refused to write through link '{path}'")


def _write(path: str, info: tarfile.TarInfo, source: Any) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        while piece := source.read(_PIECE):
            out.write(piece)
        out.flush()
        os.fchmod(fd, stat.S_IMODE(info.mode) & 0o777)
        os.fsync(fd)
    os.utime(path, (info.mtime, info.mtime))
