"""What of the disks belongs to a run, so that nothing else is ever removed or packed.

A record says where a case ran by its path in the link tree, and a link can
point anywhere.  So a directory counts as a case's own only when it is what the
layout says (spec/config.md 5.3): `TARGET/RUN/TEST[/ITEM]` below the link tree,
one of the disks that the area or the test names, or the test's `tmp_run`.
Everything else is refused, and links inside a run directory are never followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mt.area import Area
from mt.errors import ConfigError, MtError, NotPermitted, why
from mt.model import CaseRow, RunKey
from mt.pipeline import within
from mt.testspec import item_path


class Held(NamedTuple):
    """The directory of a case: `link` in the link tree, `real` on its disk `root`; "" when there is none."""

    link: str
    real: str
    root: str = ""


class Territory:
    """The directories that runs of one area may have, as the area's files say now."""

    def __init__(self, area: Area) -> None:
        self.area = area
        self.linktree = os.path.normpath(area.linktree)
        self._common = [os.path.realpath(area.linktree), *_roots(path for _, path in area.disks or ())]
        self._tests: dict[tuple[str, str], list[str]] = {}

    def find(self, run: RunKey, row: CaseRow) -> Held:
        """Where a case's files are; raises NotPermitted when its link leads out of the area's directories."""
        tail = _tail(run, row)
        if not _is_place(tail):
            return Held("", "")
        link = os.path.join(self.linktree, tail)
        if not os.path.lexists(link):
            return Held(link, "")
        real = os.path.realpath(link)
        try:
            os.lstat(real)
        except PermissionError as e:
            raise NotPermitted(f"cannot reach '{real}': {why(e)}") from e
        except OSError:
            return Held(link, "")
        root = real.removesuffix(f"{os.sep}{tail}")
        if root == real or not any(root in roots for roots in self._known(row)):
            raise NotPermitted(
                f"cannot touch '{real}': '{link}' leads out of the link tree and the disks of this area",
                hint="name its disk in [disks], or mend the link",
            )
        return Held(link, real, root)

    def _known(self, row: CaseRow) -> Iterator[Sequence[str]]:
        yield self._common
        key = (row.test, row.item)
        if key not in self._tests:
            self._tests[key] = list(self._of_test(row))
        yield self._tests[key]

    def _of_test(self, row: CaseRow) -> Iterator[str]:
        """Disks that only this test names, as its items may choose them."""
        try:
            spec = self.area.spec(row.test)
            if spec.dynamic:
                known = self.area.items(row.test) or ((),)
                item = next((i for i in known if item_path(i) == row.item), ())
                names = {"MT_TEST_NAME": row.test, "MT_ITEMPATH": row.item, **dict(item)}
                spec = self.area.case_spec(row.test, {**self.area.env, **names})
        except MtError:
            return
        yield from _roots(path for _, path in spec.disks or ())
        yield os.path.realpath(os.path.join(spec.dir, "tmp_run"))


def _roots(paths: Iterable[str]) -> list[str]:
    return [os.path.realpath(path.strip()) for path in paths if path.strip().startswith("/")]


def _tail(run: RunKey, row: CaseRow) -> str:
    return os.path.join(run.target, run.name, row.test, row.item).rstrip("/")


def _is_place(tail: str) -> bool:
    """Whether a path below a disk is one that a case can have."""
    parts = tail.split("/")
    return len(parts) >= 2 and not any(part in ("", ".", "..") for part in parts)


def of_run(home: str, run: RunKey) -> Territory:
    """The territory of one run: disks may depend on target and run name."""
    try:
        return Territory(Area.open(home, target=run.target or None, run=run.name))
    except ConfigError:
        return Territory(Area.open(home))


def leads_nowhere(link: str) -> bool:
    """Whether somebody died between removing a run directory and its link; not so when its disk is not mounted."""
    try:
        target = os.path.join(os.path.dirname(link), os.readlink(link))
    except OSError:
        return False
    return not os.path.lexists(target) and os.path.isdir(os.path.dirname(target))


# -- what is there


def size(path: str) -> int:
    """The bytes below a directory, links not followed."""
    return sum(entry.bytes for entry in walk(path))


class Entry(NamedTuple):
    """One thing below a directory: its relative path, whether it is a directory, its bytes."""

    name: str
    folder: bool
    bytes: int


def walk(path: str, below: str = "") -> Iterator[Entry]:
    """Everything below a directory, contents before their directory; links are things of their own."""
    try:
        with os.scandir(os.path.join(path, below)) as found:
            entries = sorted(found, key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        name = os.path.join(below, entry.name)
        try:
            folder = entry.is_dir(follow_symlinks=False)
            bytes_ = 0 if folder else entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
        if folder:
            yield from walk(path, name)
        yield Entry(name, folder, bytes_)


# -- removing


def remove(held: Held, linktree: str, *, tidy: bool = True) -> int:
    """Remove a run directory and its link; gives the bytes that were freed.

    With `tidy` directories of the link tree that have become empty go too.
    Death in between leaves a directory that the next removal finds: the link
    goes last.  No link is followed, not even one that was put there meanwhile.
    Raises NotPermitted, StoreError.
    """
    freed = size(held.real) if held.real else 0
    try:
        if held.real:
            within.remove(held.root, within.tail_of(held.root, held.real))
        if os.path.islink(held.link):
            os.unlink(held.link)
    except OSError as e:
        raise within.refusal(held.real or held.link, e) from e
    if tidy:
        _tidy(os.path.dirname(held.link), linktree)
    return freed


def prune(held: Held, keep: Iterable[str]) -> int:
    """Remove all of a run directory but the named files; gives the bytes that were freed.  Raises as `remove` does."""
    try:
        return within.prune(held.root, within.tail_of(held.root, held.real), frozenset(keep))
    except OSError as e:
        raise within.refusal(held.real, e) from e


def _tidy(path: str, top: str) -> None:
    """Remove directories that have become empty, up to the link tree."""
    while path.startswith(top + os.sep):
        try:
            os.rmdir(path)
        except OSError:
            return
        path = os.path.dirname(path)
