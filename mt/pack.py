"""Pack the journals of a finished run into one compressed file, safe against death at any step.

Thousands of small files become one, which `mt db rebuild` reads like any
journal.  Each line carries its writer, and lines that cannot be read are kept
with the place where they stood, so the db made from it is the same.
"""

from __future__ import annotations

import gzip
import os
import resource
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, closing

from mt import db, db_run, fold, journals
from mt.db_schema import RUN
from mt.errors import StoreError, why
from mt.journals import GZ, Done, named_line, pieces, writer_of
from mt.locks.alive import take_dead
from mt.storage import SINGLE


def compact(store: db.Store, run_id: int) -> bool:
    """Pack a run's journals into its `all.ndjson.gz`; False when there was nothing to pack.

    Journals whose writer lives stay; all do where locks do not work, because
    there two could pack at once and each take away what the other had packed.
    Steps, under the fold lock: hold the dead
    journals, so that no writer comes back to them; fold all; write the old gz
    with those journals and the spool beside it and rename it; store its offset
    and forget those of the packed files, in one transaction; unlink them.
    Death after any step leaves files that are folded and packed once more:
    events that come twice change nothing.  As many journals are packed at once as
    this process may have open.  Raises StoreError, BusyError.
    """
    if store.mode == SINGLE:
        return False
    most = _most_open()
    packed = 0
    with fold.Folder(store, run_id) as folder:
        folder.fold()
        while (done := _compact(store, run_id, folder, most)) == most:
            packed += done
        if packed + done:
            folder.settle()
    return bool(packed + done)


def _compact(store: db.Store, run_id: int, folder: fold.Folder, most: int) -> int:
    """Pack so many journals at most; gives how many."""
    directory = store.journal_dir(run_id)
    try:
        with db.locked(store, f"{run_id}.db", what="compact"), ExitStack() as stack:
            names = _dead(directory, stack, most)
            if names:
                folder.fold_held()  # what they wrote before they died, now that they write no more
                _pack(store, run_id, names)
    except OSError as e:
        raise StoreError(f"cannot pack '{directory}': {why(e)}") from e
    return len(names)


def _most_open() -> int:
    """How many journals to hold at once: half of the descriptors that this process may have."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4096 if most == resource.RLIM_INFINITY else max(min(most // 2, 4096) - 8, 1)


def _pack(store: db.Store, run_id: int, names: list[str]) -> None:
    directory = store.journal_dir(run_id)
    path = store.run_db_path(run_id)
    with db.sql_errors(path), closing(db.connect(path, RUN, store.mode)) as conn:
        known = db_run.offsets(conn)
        new = {}
        if any(n in known and known[n].at for n in names):
            size = _write(directory, names, known, db_run.bad_places(conn))
            new = {GZ: Done(size, size)}
        with db.transaction(conn):
            db_run.move_offsets(conn, names, new)
    for name in names:
        os.unlink(os.path.join(directory, name))


def _dead(directory: str, stack: ExitStack, most: int) -> list[str]:
    """The first journals whose writer is gone, each locked until the stack ends, and the spool."""
    names: list[str] = []
    for name in sorted(journals.look(directory).sizes):
        if name == GZ:
            continue
        if len(names) == most:
            break
        fd = take_dead(os.path.join(directory, name))
        if fd is not None:
            stack.callback(os.close, fd)
            names.append(name)
    return names


def _write(directory: str, names: list[str], known: Mapping[str, Done], bad: Container[tuple[str, int]]) -> int:
    """Write the old gz and, as a further member of it, what is folded of the journals; gives its size.

    A torn end was never acknowledged and is left out.
    """
    path = os.path.join(directory, GZ)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as raw:
            if os.path.exists(path):
                with open(path, "rb") as old:
                    shutil.copyfileobj(old, raw, 1 << 20)
            with gzip.GzipFile("", "wb", 6, raw, 0) as packed:
                packed.writelines(_lines(directory, names, known, bad))
            raw.flush()
            os.fsync(raw.fileno())
            size = raw.tell()
        os.rename(temporary, path)
    except BaseException:
        _forget(temporary)
        raise
    return size


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _lines(
    directory: str, names: list[str], known: Mapping[str, Done], bad: Container[tuple[str, int]]
) -> Iterator[bytes]:
    """The folded lines of the journals, each with its writer."""
    for name in names:
        for piece in pieces(directory, name, 0, known.get(name, Done()).at):
            at = piece.at
            for line in piece.text.split("\n"):
                if line:
                    yield named_line(line, writer_of(name), name, at, unknown=(name, at) in bad)
                at += len(line.encode("utf-8", "surrogateescape")) + 1
