"""Archives of runs: save run directories elsewhere, remove them, bring them back (spec/runs.md 5.7).

    save      pack → to the disk → read back → index → tell the journal → (remove)
    restore   read and check → beside its place → into its place → link → record

Whoever dies wherever: a directory is removed only when its archive has been
read back from the disk and its index and the run's journal tell of it, and a
case is ARCHIVED only when its directory is gone.  The same command then goes on:
what is saved is not packed again, what was half removed or half restored is
done again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import NamedTuple

from mt.area import Area
from mt.db import Store
from mt.errors import MtError, StoreError, why
from mt.locks.filelock import held
from mt.model import CaseKey, CaseRow, RunKey, RunRow
from mt.pipeline import packing, shelf, within
from mt.pipeline.byhand import CHUNK, record
from mt.pipeline.frozen import record as record_run
from mt.pipeline.frozen import refuse_frozen
from mt.pipeline.naming import owner
from mt.pipeline.shelf import Archive, Saved
from mt.pipeline.territory import Held, Territory, remove
from mt.queries import cases, run_of
from mt.states import LIVE

GONE, SAVED = "ARCHIVE_REMOVING", "ARCHIVED"
_BESIDE = ".mt-restoring"

Tell = Callable[[str], None]


class Ground(NamedTuple):
    """The run that is saved or restored, and what of the disks belongs to it."""

    area: Area
    store: Store
    run: RunRow
    land: Territory


class Done(NamedTuple):
    """What became of a case: `saved`, `removed` or `restored`, the archive, and its bytes."""

    row: CaseRow
    what: str
    file: str
    bytes: int


def ground_of(home: str, store: Store, run: RunRow) -> Ground:
    """A run with its area as read for it."""
    from mt.pipeline.territory import of_run

    land = of_run(home, run.key)
    return Ground(land.area, store, run_of(store, run.id) or run, land)


@contextmanager
def _alone(ground: Ground, needed: bool) -> Iterator[None]:
    """Nobody drives the run meanwhile; raises BusyError."""
    path = ground.store.lock_path(f"run.{ground.run.id}")
    with held(path, wait=False, what="archives the run") if needed else nullcontext():
        yield


# -- which archive has what


class Shelf:
    """The archives of a run, oldest first; each index is read once."""

    def __init__(self, ground: Ground, tell: Tell) -> None:
        self.ground = ground
        self.archives: list[Archive] = []
        self.vouched: set[str] = set()
        self._good: dict[str, bool] = {}
        self._where: dict[tuple[CaseKey, int], tuple[Archive, Saved]] = {}
        self._tell = tell
        for index, sha in shelf.known(ground.run):
            self._take(index, sha)
        for index in shelf.found(ground.area, ground.run):
            self._take(index, "")
        self.archives.sort(key=lambda a: a.t)
        for archive in self.archives:
            self._shelve(archive)

    def _take(self, index: str, sha256: str) -> None:
        """Put an archive on the shelf; one whose index is gone is not there, `mt archive list` says so."""
        if not os.path.exists(index):
            return
        try:
            archive = shelf.read_index(index, sha256)
        except StoreError as e:
            self._tell(e.what)
            return
        if archive.run == self.ground.run.key and archive.run_id == self.ground.run.id:
            self.archives.append(archive)
            if sha256:
                self.vouched.add(archive.file)

    def add(self, archive: Archive) -> None:
        """An archive that was made just now."""
        self.archives.append(archive)
        self.vouched.add(archive.file)
        self._shelve(archive)

    def _shelve(self, archive: Archive) -> None:
        if os.path.exists(archive.file):
            self._where.update({(saved.row.key, saved.row.attempt): (archive, saved) for saved in archive.cases})

    def of(self, row: CaseRow) -> tuple[Archive, Saved] | None:
        """The newest archive with this attempt of a case, when its file is there."""
        return self._where.get((row.key, row.attempt))

    def is_saved(self, row: CaseRow) -> bool:
        """Whether an archive has this case as it is on its disk now; one that was half removed counts."""
        got = self.of(row)
        if got is None:
            return False
        real = self.ground.land.find(self.ground.run.key, row).real
        archive, saved = got
        return row.state == GONE or (bool(real) and packing.unchanged(real, archive.of([saved]).values()))

    def is_good(self, archive: Archive) -> bool:
        """Whether the whole archive says what its index says, read from the disk now; asked once."""
        if archive.file not in self._good:
            try:
                packing.verify(archive.file, archive.listed, bup_of(self.ground.area))
                self._good[archive.file] = True
            except StoreError as e:
                self._tell(e.what)
                self._good[archive.file] = False
        return self._good[archive.file]


# -- save


def save(
    ground: Ground, rows: Sequence[CaseRow], tell: Tell, *, clear: bool = False, each: bool = False,
    form: str | None = None,
) -> Iterator[Done]:  # fmt: skip
    """Save cases that have ended, and with `clear` remove their directories; gives what was done.

    What cannot be saved (it runs, it has no directory) is told and left.  With
    `each` every test gets an archive of its own.  Raises NoDisks, StoreError,
    and with `clear` BusyError while the run is driven, NotPermitted when it is frozen.
    """
    if clear:
        refuse_frozen(ground.store, ground.run.id)
    with _alone(ground, clear):
        books = Shelf(ground, tell)
        ready, todo = [], []
        for row in now(ground, rows):
            if row.state != SAVED and books.is_saved(row):
                ready.append(row)
            elif _can_be_saved(ground, row, tell):
                todo.append(row)
        for group in _groups(todo, each):
            archive = make(ground, group, form)
            books.add(archive)
            for saved in archive.cases:
                yield Done(saved.row, "saved", archive.file, saved.bytes)
        if clear:
            yield from clear_saved(ground, [*ready, *todo], books)


def now(ground: Ground, rows: Iterable[CaseRow]) -> list[CaseRow]:
    """The rows as they are recorded now that nobody else changes them."""
    recorded = {row.key: row for row in cases(ground.store, ground.run.id)}
    return [recorded[row.key] for row in rows if row.key in recorded]


def _can_be_saved(ground: Ground, row: CaseRow, tell: Tell) -> bool:
    if row.state in LIVE or row.state in ("NOT_STARTED", "DELETED", "REMOVING", SAVED):
        if row.state != SAVED:
            tell(f"{row.key} is {row.state}: not saved")
        return False
    if not ground.land.find(ground.run.key, row).real:
        tell(f"{row.key} has no directory: not saved")
        return False
    return True


def _groups(rows: Sequence[CaseRow], each: bool) -> Iterator[list[CaseRow]]:
    if rows and not each:
        yield list(rows)
        return
    for test in dict.fromkeys(row.test for row in rows):
        yield [row for row in rows if row.test == test]


def make(ground: Ground, rows: Sequence[CaseRow], form: str | None) -> Archive:
    """Pack the directories of cases into a new archive that has been read back; gives it as its index describes it."""
    level = int(ground.area.number("archive", "compress", 9))
    bup = bup_of(ground.area)
    ending = packing.suffix(form, bup)
    directory = shelf.block(ground.area)
    shelf.sweep(directory)
    name = shelf.new_name(ground.area, ground.run.id, directory)
    making, making_index = (shelf.temporary(directory, f"{name}{end}") for end in (ending, shelf.INDEX))
    trees = [(place(row), ground.land.find(ground.run.key, row).real) for row in rows]
    try:
        members = packing.pack(making, ending, level, trees, bup)
        listed = {m.path: m for m in members}
        packing.verify(making, listed, bup)
        file = os.path.join(directory, name + ending)
        archive = Archive(
            file, ground.run.key, ground.run.id, ground.area.home, owner(), round(time.time(), 3),
            os.path.getsize(making), shelf.sum_of(making), tuple(_saved(rows, members)), tuple(members),
        )  # fmt: skip
        shelf.write_index(making_index, archive)
        shelf.put(making, file)
        shelf.put(making_index, shelf.index_of(file))
    except OSError as e:
        raise StoreError(f"cannot make archive in '{directory}': {why(e)}") from e
    finally:
        for path in (making, making_index):
            if os.path.exists(path):
                os.unlink(path)
    key, facts = shelf.store_facts(archive, shelf.index_of(file))
    record_run(ground.store, ground.run.id, **{key: facts})
    return archive


def bup_of(area: Area) -> str:
    """The program bup, as [archive] names it."""
    return area.setting("archive", "bup") or "bup"


def wanted_form(area: Area) -> str | None:
    """`bup` in an area that names a bup which is there; else whatever is best."""
    program = area.setting("archive", "bup")
    return "bup" if program and shutil.which(program) else None


def place(row: CaseRow) -> str:
    """The directory of a case in an archive: one for the test, one for the item, `@` for a test without items."""
    item = row.item.replace("%", "%25").replace("/", "%2F").replace("@", "%40") or "@"
    return f"{row.test}/{item.replace('.', '%2E') if item in ('.', '..') else item}"


def _saved(rows: Iterable[CaseRow], members: Iterable[packing.Member]) -> Iterator[Saved]:
    files: dict[str, int] = {}
    bytes_: dict[str, int] = {}
    for member in members:
        files[member.at] = files.get(member.at, 0) + (member.kind != "dir")
        bytes_[member.at] = bytes_.get(member.at, 0) + member.bytes
    for row in rows:
        yield Saved(row, place(row), files[place(row)], bytes_[place(row)])


def clear_saved(ground: Ground, rows: Sequence[CaseRow], books: Shelf) -> Iterator[Done]:
    """Remove the directories of cases whose archives are good; their status stays (5.7)."""
    sure = [(row, got[0]) for row in rows if (got := books.of(row)) and books.is_good(got[0])]
    for at in range(0, len(sure), CHUNK):
        chunk = sure[at : at + CHUNK]
        going = [row._replace(gen=row.gen + 1, state=GONE) for row, _ in chunk]
        record(ground.store, ground.run.id, going)
        after = []
        try:
            for row, (_, archive) in zip(going, chunk, strict=True):
                freed = remove(ground.land.find(ground.run.key, row), ground.land.linktree, tidy=False)
                after.append(row._replace(gen=row.gen + 1, state=SAVED))
                yield Done(row, "removed", archive.file, freed)
        finally:
            record(ground.store, ground.run.id, after)


# -- restore


def restore(ground: Ground, rows: Sequence[CaseRow], tell: Tell) -> Iterator[Done]:
    """Bring the directories of archived cases back, each as its newest archive has it; gives what was done.

    Raises Refusal for an archive that is not what it should be, before anything
    of it is in place; StoreError, BusyError while the run is driven, NotPermitted when it is frozen.
    """
    refuse_frozen(ground.store, ground.run.id)
    with _alone(ground, True):
        books = Shelf(ground, tell)
        wanted: dict[str, list[tuple[CaseRow, Saved]]] = {}
        for row in now(ground, rows):
            if row.state not in (SAVED, GONE):
                tell(f"{row.key} is {row.state}, not {SAVED}: left as it is")
                continue
            got = books.of(row)
            if got is None:
                raise StoreError(f"no archive has '{row.key}', attempt {row.attempt}", hint="mt archive list")
            wanted.setdefault(got[0].file, []).append((row, got[1]))
        for archive in books.archives:
            if archive.file in wanted:
                trusted = archive.file in books.vouched
                yield from _bring_back(ground, archive, wanted.pop(archive.file), trusted=trusted)


def _bring_back(
    ground: Ground, archive: Archive, pairs: Sequence[tuple[CaseRow, Saved]], *, trusted: bool
) -> Iterator[Done]:
    disk = _disk(ground)
    disks = {saved.at: disk(row) for row, saved in pairs}
    places = {saved.at: os.path.join(disks[saved.at], _tail(ground.run.key, row)) for row, saved in pairs}
    beside = {at: f"{path}{_BESIDE}" for at, path in places.items()}
    for at, path in beside.items():
        _clear_way(disks[at], path)
    _check_links(archive, beside, trusted=trusted)
    try:
        unpack = packing.Unpacker(beside)
        packing.read(archive.file, archive.listed, unpack, bup_of(ground.area))
        unpack.done()
        for row, saved in pairs:
            yield _in_place(
                ground, archive, row, saved, (beside[saved.at], Held("", places[saved.at], disks[saved.at]))
            )
    except OSError as e:
        raise StoreError(f"cannot restore to '{e.filename}': {why(e)}") from e
    finally:
        for at, path in beside.items():
            with suppress(OSError):
                within.remove(disks[at], within.tail_of(disks[at], path))


def _clear_way(disk: str, path: str) -> None:
    """Remove what an earlier restore has left at a path; raises NotPermitted when a link on the way leads elsewhere."""
    try:
        within.remove(disk, within.tail_of(disk, path))
    except FileNotFoundError:
        pass
    except OSError as e:
        raise within.refusal(path, e, verb="restore to") from e


def _check_links(archive: Archive, chosen: Iterable[str], *, trusted: bool) -> None:
    """A link out of its directory is only taken from an archive that the run's journal vouches for."""
    wanted = set(chosen)
    for member in archive.members if not trusted else ():
        if member.at in wanted and member.kind == "link" and packing.leads_out(member):
            raise packing.Refusal(f"refused archive '{archive.file}': link '{member.path}' leads out of the directory")


def _in_place(ground: Ground, archive: Archive, row: CaseRow, saved: Saved, moves: tuple[str, Held]) -> Done:
    """Put an unpacked directory into its place, renew the link, record the case as it was when it was saved."""
    beside, new = moves
    real = new.real
    old = ground.land.find(ground.run.key, row)
    for there in (new, old):
        if there.real:
            within.remove(there.root, within.tail_of(there.root, there.real))
    os.rename(beside, real)
    link = old.link
    if link != real:
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(real, link)
    state = saved.row.state if saved.row.state not in (SAVED, GONE) else "COMPLETED"
    record(ground.store, ground.run.id, [row._replace(gen=row.gen + 1, state=state, dir=link)])
    return Done(row, "restored", archive.file, saved.bytes)


def _tail(run: RunKey, row: CaseRow) -> str:
    return os.path.join(run.target, run.name, row.test, row.item).rstrip("/")


def _disk(ground: Ground) -> Callable[[CaseRow], str]:
    """The disk for a restored case: the best of megatest.config, else the test's own `tmp_run`."""
    from mt.pipeline.ready import disk_chooser

    area = ground.area
    choose = disk_chooser(area)

    def of(row: CaseRow) -> str:
        try:
            spec = area.spec(row.test)
        except MtError:
            if not area.disks:
                raise
            from mt.disks import Chooser

            return Chooser(area.number("setup", "minspace", 10000)).choose(area.disks).path
        path = choose(spec._replace(disks=None)) if area.disks is not None else choose(spec)
        os.makedirs(path, exist_ok=True)
        return path

    return of
