"""Fold journals into a run's db: every event exactly once, whoever folds, however often anyone dies.

Under `locks/<id>.db.lock`: look what is new, take over drops, join the new
events (mt/db_run.py) and store the offsets *in the same transaction*; then
unlink the drops, give the lock back, and tell main.db.  Death at any point
leaves a db whose offsets say truly what is in it, and files from which the next
fold goes on; what is read twice changes nothing.

Where locks do not work the same is done to a live copy (mt/live.py), which is
put back into the area, at the latest when the folder is settled or closed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from mt import db, db_main, db_run, journals, live
from mt.db_schema import RUN
from mt.errors import BusyError, StoreError, why
from mt.journals import GZ, SPOOL, Done, Look, Piece
from mt.storage import NFS, SINGLE
from mt.trace import trace

#: events that are joined in memory before they are saved in one transaction
BATCH = 50_000

#: so many cases that changed are remembered one by one
_REMEMBERED = 10_000

#: seconds that a folder who leaves waits for another one, before it leaves what it owes to the next
_PATIENCE = 10.0


class Folder:
    """Folds one run; keeps its connection open between calls and its lock only during one.

    `counts` is what the db holds after the last fold.  Raises StoreError for a
    db that cannot be used, NotPermitted in an area that cannot be written.
    """

    def __init__(self, store: db.Store, run_id: int) -> None:
        self._store = store
        self._run = run_id
        self._dir = store.journal_dir(run_id)
        self._path = store.run_db_path(run_id)
        self._kept = live.kept(store, self._path, RUN)
        self._spool = journals.own_spool() if store.mode == SINGLE else SPOOL
        self._metas: list[db_main.MetaRow] = []
        self._main = db_main.Writer(store)
        self._offsets: dict[str, Done] = {}
        self._seen: tuple[sqlite3.Connection | None, int] = (None, 0)
        self._changed: set[db_run.Key] | None = None

    def fold(self, *, wait: bool = True) -> int:
        """Fold what is new; gives the number of events.  Without `wait`, a lock that is taken means 0.

        Costs one look at the directory when nothing is new.
        """
        if self._kept.is_same() and not self._news() and not self._kept.is_due():
            return 0
        return self._fold_locked(wait, force=False)

    def _fold_locked(self, wait: float | bool, *, force: bool) -> int:
        try:
            with db.locked(self._store, f"{self._run}.db", wait=wait, what="fold") as lock:
                owed = self._kept.owes()
                done, metas = self._fold_unless_read()
                self._metas += metas
                there = self._kept.put_back(lock, force=force)
        except BusyError:
            if wait:
                raise
            return 0
        if done:
            trace("fold", self._path, events=done)
        if there and (done or owed):
            self._tell_main()
        return done

    def _fold_unless_read(self) -> tuple[int, list[db_main.MetaRow]]:
        """Fold; nothing, on a network disk, while somebody reads a db for long: the journals keep what is new."""
        try:
            return self.fold_held()
        except BusyError:
            if self._store.mode != NFS:
                raise
            return 0, []

    def fold_held(self) -> tuple[int, list[db_main.MetaRow]]:
        """Fold for somebody who holds the lock of the db; main.db is not told."""
        try:
            with db.sql_errors(self._path):
                return self._fold()
        except (StoreError, BusyError):
            self._close()
            raise
        except OSError as e:
            raise StoreError(f"cannot fold '{self._dir}': {why(e)}") from e

    def settle(self, *, wait: bool = True) -> int:
        """Fold, and store the roll-up of the run even when nothing is new: when its controller has left."""
        done = self._fold_locked(wait, force=True) if self._kept.owes() else self.fold(wait=wait)
        if self._kept.owes():
            done += self._fold_locked(wait, force=True)
        if not done and self._kept.is_same():
            self._metas = db_run.test_metas(self._kept.opened())
            self._tell_main()
        return done

    def counts(self) -> dict[tuple[str, str], int]:
        """{(state, status): n} over the cases of the run as folded; empty before the first fold."""
        return db_run.totals(self._kept.current) if self._kept.current else {}

    def changes(self) -> set[db_run.Key] | None:
        """The cases (test, item) that may have changed in the db since the last call; None when it may be any.

        It is when others have folded too, and where a fold shows only when it is put back into the area.
        """
        changed, self._changed = self._changed, set()
        return changed

    def close(self) -> None:
        """Put back what is owed, and close the connections; a later fold opens them again."""
        if self._kept.owes():
            try:
                self._fold_locked(wait=_PATIENCE, force=True)
            except (StoreError, BusyError) as e:
                trace("fold", self._path, failed=e.what)  # the next fold finds all of it in the journals
        self._close()

    def _close(self) -> None:
        self._kept.close()
        self._main.close()

    def __enter__(self) -> Folder:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _news(self) -> bool:
        seen = journals.look(self._dir)
        return bool(seen.drops or seen.news(self._known()))

    def _known(self) -> dict[str, Done]:
        """The stored offsets, read again only when another process has folded."""
        conn = self._kept.opened()
        seen = (conn, conn.execute("PRAGMA data_version").fetchone()[0])
        if seen != self._seen:
            self._offsets = db_run.offsets(conn)
            self._seen = seen
            self._changed = None
        return self._offsets

    def _fold(self) -> tuple[int, list[db_main.MetaRow]]:
        conn = self._kept.opened()
        known = self._known()
        seen = journals.look(self._dir)
        if seen.drops:
            seen.sizes[self._spool] = journals.take_over(self._dir, seen.drops, self._spool)

        def commit(batch: db_run.Batch, after: Mapping[str, Done]) -> list[db_main.MetaRow]:
            with db.transaction(conn):
                found = batch.save(conn)
                db_run.save_offsets(conn, after)
            known.update(after)
            self._remember(batch)
            return [tuple(row) for row in found]

        done, metas = join(self._dir, seen, known, commit)
        for name in seen.drops:
            db.forget(os.path.join(self._dir, "drop", name))
        return done, metas

    def _remember(self, batch: db_run.Batch) -> None:
        if self._changed is not None:
            self._changed.update(batch.cases())
            if len(self._changed) > _REMEMBERED or self._store.mode == SINGLE:
                self._changed = None

    def _tell_main(self) -> None:
        """Store the roll-up; a main.db that cannot be written now is told by the next fold."""
        conn = self._kept.opened()
        metas, self._metas = self._metas, []
        try:
            self._main.update_run(self._run, db_run.totals(conn), db_run.info(conn), db_run.said_of_run(conn), metas)
        except (StoreError, BusyError) as e:
            trace("fold", self._store.main_path, failed=e.what)


Commit = Callable[[db_run.Batch, Mapping[str, Done]], list[db_main.MetaRow]]


def join(directory: str, seen: Look, known: Mapping[str, Done], commit: Commit) -> tuple[int, list[db_main.MetaRow]]:
    """Read what is new in `seen` beyond the offsets `known`, batch by batch; gives the number of events.

    Also used to rebuild and to check, with another `commit`.
    """
    batch = db_run.Batch()
    after: dict[str, Done] = {}
    metas: list[db_main.MetaRow] = []
    done = 0
    for name in seen.news(known):
        at = 0 if name == GZ else known.get(name, Done()).at
        for piece in journals.pieces(directory, name, at, seen.sizes[name]):
            take(batch, piece)
            if piece.after >= 0:
                at = piece.after
                after[name] = Done(at, at)
            if batch.events >= BATCH:
                done += batch.events
                metas += commit(batch, after)
                batch, after = db_run.Batch(), {}
        after[name] = Done(at, seen.sizes[name])
    if after:
        done += batch.events
        metas += commit(batch, after)
    return done, metas


def take(batch: db_run.Batch, piece: Piece) -> None:
    """Join the lines of a piece; those that are no events are kept with the place where they stand."""
    file_writer = journals.writer_of(piece.file)
    parse = journals.parse
    join_one = batch.take
    bad: list[tuple[int, dict[str, Any] | None]] = []
    lines = piece.text.split("\n")
    for n, line in enumerate(lines):
        if not line:
            continue
        ev = parse(line)
        if ev is not None:
            writer = ev.get("w", file_writer)
            try:
                join_one(ev, writer if type(writer) is str else file_writer)
                continue
            except db_run.Unreadable:
                pass
        bad.append((n, ev))
    for n, ev in bad:
        at = piece.at + sum(len(line.encode("utf-8", "surrogateescape")) + 1 for line in lines[:n])
        batch.bad(*journals.kept(lines[n], ev, piece.file, at))


def is_behind(store: db.Store, run_id: int) -> bool:
    """Whether something is in the journals of a run that its db has not; one look, no lock."""
    return _behind(store, run_id, main=False)


def _behind(store: db.Store, run_id: int, *, main: bool) -> bool:
    """The same; with `main` also whether main.db has not heard of the last fold, because its folder died."""
    seen = journals.look(store.journal_dir(run_id))
    if seen.drops:
        return True
    path = store.run_db_path(run_id)
    if not os.path.exists(path):
        return any(seen.sizes.values())
    try:
        with db.sql_errors(path), closing(db.reader(path, RUN, store.mode)) as conn:
            if seen.news(db_run.offsets(conn)):
                return True
            rev, counts = db_run.info(conn).get("rev", 0), db_run.totals(conn)
    except db.OldVersion:
        return True
    if not main:
        return False
    with db_main.reading(store) as conn:
        if store.mode == SINGLE:  # an overtaken folder may have told an old roll-up last
            return db_main.run_rev(conn, run_id) < rev or not db_main.shows(conn, run_id, counts)
        return db_main.run_rev(conn, run_id) < rev


def refresh(store: db.Store, run_id: int) -> bool:
    """Before a question: fold when something is new and the lock is free at once.

    True when the db has all that was there at the look.  In an area that cannot
    be written nothing is folded, and the answer is as old as the last fold.
    """
    if not _behind(store, run_id, main=True):
        return True
    if not store.writable():
        return False
    with Folder(store, run_id) as folder:
        folder.settle(wait=False)
    return not is_behind(store, run_id)


def compact(store: db.Store, run_id: int) -> bool:
    """Pack the journals of a finished run into one file, see `mt.pack.compact`."""
    from mt import pack

    return pack.compact(store, run_id)
