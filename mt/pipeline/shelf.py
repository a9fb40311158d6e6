"""Where archives are: blocks on the archive disks, each archive with its index beside it (spec/config.md 2.1).

A block is `<disk>/<YYYY>_q<N>/<area>_<5 hex of md5(area path)>/`.  An archive
there is `<area>-<run id>-<when>.tar.zst` (or `.tar.gz`), and is complete when
its index, the same name with `.ndjson`, is there: that is put in place last.
Of an index the run's journal keeps the sha256, so that whoever could change
both archive and index is still found out.

Lines of an index: `archive` (what and where from), one `case` for each case,
then one `member` for each thing of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mt.area import Area
from mt.disks import Chooser
from mt.errors import ConfigError, StoreError, why
from mt.journal import host_name, start_token, writer_name
from mt.model import CaseRow, RunKey, RunRow
from mt.pipeline.packing import Member

#: KiB that an archive disk must have free
MINSPACE = 1000.0
INDEX = ".ndjson"
_TEMPORARY = ".making-"


class Saved(NamedTuple):
    """One case in an archive, as it was when it was saved; `at` is its directory there, `bytes` those of its files."""

    row: CaseRow
    at: str
    files: int
    bytes: int


class Archive(NamedTuple):
    """One archive as its index describes it; `file` is its path, `bytes` and `sha256` those of the file."""

    file: str
    run: RunKey
    run_id: int
    area: str
    by: str
    t: float
    bytes: int
    sha256: str
    cases: tuple[Saved, ...]
    members: tuple[Member, ...] = ()

    def of(self, saved: Iterable[Saved]) -> dict[str, Member]:
        """The members of some of its cases by their names in the tar."""
        wanted = {s.at for s in saved}
        return {m.path: m for m in self.members if m.at in wanted}

    @property
    def listed(self) -> dict[str, Member]:
        """All members by their names in the tar."""
        return {m.path: m for m in self.members}


class NoDisks(ConfigError):
    """There is no archive disk that could take anything."""


# -- blocks


def block(area: Area, now: float | None = None) -> str:
    """The directory for new archives of an area, made on the archive disk with most space; raises NoDisks."""
    least = area.number("archive", "minspace", MINSPACE)
    try:
        disk = Chooser(least).choose(area.config.items("archive-disks"))
    except ConfigError as e:
        said = e.what.partition(": ")[2].replace("[disks]", "[archive-disks]")
        raise NoDisks(f"no archive disks found: {said}", hint="name a directory in [archive-disks]") from e
    path = os.path.join(disk.path, quarter(now), own_name(area))
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as e:
        raise StoreError(f"cannot make '{path}': {why(e)}") from e
    return path


def quarter(now: float | None = None) -> str:
    """`2026_q4`."""
    when = time.localtime(now)
    return f"{when.tm_year}_q{(when.tm_mon + 2) // 3}"


def suite(area: Area) -> str:
    """The name of an area as part of a file name."""
    return area.name.replace("/", "_")


def own_name(area: Area) -> str:
    """`<area>_<5 hex of md5(area path)>`."""
    return f"{suite(area)}_{hashlib.md5(os.fsencode(area.home), usedforsecurity=False).hexdigest()[:5]}"


def new_name(area: Area, run_id: int, directory: str) -> str:
    """A name for a new archive without its suffix, which nothing there has."""
    stem = f"{suite(area)}-{run_id}-{time.strftime('%Y%m%dT%H%M%S')}"
    taken = {name.partition(".tar.")[0].removesuffix(INDEX) for name in os.listdir(directory)}
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def temporary(directory: str, name: str) -> str:
    """The path of a file that is being made."""
    return os.path.join(directory, f"{_TEMPORARY}{writer_name()}-{name}")


def sweep(directory: str) -> None:
    """Remove what processes of this host that are gone had begun to make."""
    for name in os.listdir(directory):
        if not name.startswith(f"{_TEMPORARY}{host_name()}-"):
            continue
        pid, token = name.removeprefix(f"{_TEMPORARY}{host_name()}-").split("-")[:2]
        if not token.startswith(start_token(pid) or "gone"):
            _forget(os.path.join(directory, name))


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def sum_of(path: str) -> str:
    """The sha256 of a file; raises StoreError when it cannot be read."""
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise StoreError(f"cannot read '{path}': {why(e)}") from e


def put(making: str, path: str) -> None:
    """Give a finished file its name, durably."""
    os.rename(making, path)
    fd = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# -- indexes


def index_of(file: str) -> str:
    """The index of an archive."""
    return file.partition(".tar.")[0] + INDEX


def write_index(path: str, archive: Archive) -> None:
    """Write an index and bring it to the disk."""
    head = {
        "v": 1, "k": "archive", "file": os.path.basename(archive.file), "area": archive.area,
        "target": archive.run.target, "run": archive.run.name, "run_id": archive.run_id, "by": archive.by,
        "t": archive.t, "bytes": archive.bytes, "sha256": archive.sha256,
    }  # fmt: skip
    try:
        with open(path, "x", encoding="ascii") as out:
            out.write(json.dumps(head) + "\n")
            for saved in archive.cases:
                about = {"at": saved.at, "files": saved.files, "bytes": saved.bytes}
                out.write(json.dumps({"k": "case", **about, "row": saved.row._asdict()}) + "\n")
            out.writelines(json.dumps({"k": "member", **member._asdict()}) + "\n" for member in archive.members)
            out.flush()
            os.fsync(out.fileno())
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e


def read_index(path: str, sha256: str = "", *, members: bool = True) -> Archive:
    """Read an index; with a sum, only one that has it.  Raises StoreError."""
    try:
        with open(path, "rb") as f:
            body = f.read()
        if sha256 and hashlib.sha256(body).hexdigest() != sha256:
            raise StoreError(f"refused index '{path}': it was changed since it was written")
        lines = [json.loads(line) for line in body.splitlines() if members or b'"k": "member"' not in line]
        return _archive(os.path.dirname(path), lines)
    except OSError as e:
        raise StoreError(f"cannot read index '{path}': {why(e)}") from e
    except (ValueError, KeyError, TypeError, IndexError) as e:
        raise StoreError(f"cannot read index '{path}': {type(e).__name__.lower()}") from e


def _archive(directory: str, lines: Sequence[dict[str, Any]]) -> Archive:
    head = lines[0]
    cases = [
        Saved(CaseRow(**{n: v for n, v in line["row"].items() if n in CaseRow._fields}), *_about(line))
        for line in lines
        if line["k"] == "case"
    ]
    members = [Member(*(line[n] for n in Member._fields)) for line in lines if line["k"] == "member"]
    run = RunKey(head["target"], head["run"])
    file = os.path.join(directory, os.path.basename(head["file"]))
    about = (head["area"], head["by"], head["t"], head["bytes"], head["sha256"])
    return Archive(file, run, head["run_id"], *about, tuple(cases), tuple(members))


def _about(line: dict[str, Any]) -> tuple[str, int, int]:
    return line["at"], line["files"], line["bytes"]


# -- which archives a run has


def known(run: RunRow) -> list[tuple[str, str]]:
    """(index, its sha256) of each archive that the run's journal tells of, oldest first."""
    told = [said for key, said in run.said.items() if key.startswith("archive:")]
    return [(str(s["index"]), str(s["sha256"])) for s in sorted(told, key=lambda s: (s["t"], s["index"]))]


def found(area: Area, run: RunRow) -> Iterator[str]:
    """Indexes of a run on the archive disks that its journal does not tell of: made by somebody who died."""
    have = {os.path.realpath(path) for path, _ in known(run)}
    for _, disk in area.config.items("archive-disks"):
        for quarter_dir in _listed(disk.strip()):
            for path in _listed(os.path.join(quarter_dir, own_name(area))):
                fits = os.path.basename(path).startswith(f"{suite(area)}-{run.id}-") and path.endswith(INDEX)
                if fits and os.path.realpath(path) not in have:
                    yield path


def _listed(path: str) -> list[str]:
    try:
        return [os.path.join(path, name) for name in sorted(os.listdir(path))]
    except OSError:
        return []


def store_facts(archive: Archive, index: str) -> tuple[str, dict[str, Any]]:
    """Key and value of the `run` event that tells of an archive."""
    name = os.path.basename(index).removesuffix(INDEX)
    facts = {
        "index": index, "sha256": sum_of(index), "by": archive.by, "t": archive.t, "bytes": archive.bytes,
        "cases": len(archive.cases),
    }  # fmt: skip
    return f"archive:{name}", facts
