"""Upkeep of an area's dbs: which there are, how large, brought to the newest version, packed.

The dbs can always be made again (mt/rebuild.py), so nothing here is careful
about anything but those who use them at the same time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from mt import db, db_run, journals, live, storage
from mt.db_schema import MAIN, RUN, Migration, version
from mt.errors import BusyError, NothingSelected, StoreError
from mt.locks.filelock import busy, held, is_held, short
from mt.model import RunKey


def runs_named(store: db.Store, words: Sequence[str]) -> list[int]:
    """Ids of runs by id, name or `TARGET//RUN` (`%` and `*` are wildcards); all without words.

    Asks the disk and no db, so that it works when there is none.  Raises NothingSelected.
    """
    ids = store.run_ids_on_disk()
    if not words:
        return ids
    keys = {i: key for i in ids if (key := store.run_key(i))}
    found: list[int] = []
    for word in words:
        fitting = [int(word)] if word.isdigit() and int(word) in ids else _fitting(keys, word)
        if not fitting:
            raise NothingSelected(f"no run '{word}'", hint="mt runs")
        found += [i for i in fitting if i not in found]
    return found


def _fitting(keys: Mapping[int, RunKey], word: str) -> list[int]:
    from mt.patterns import like

    target, slashes, name = word.partition("//")
    if not slashes:
        target, name = "%", word
    return [i for i, key in keys.items() if like(target or "%", key.target) and like(name or "%", key.name)]


def migrate_all(store: db.Store) -> list[tuple[str, int, int]]:
    """Bring every db to the newest version; gives (file, version before, version now) of each."""
    done = []
    for name, path, steps in _dbs(store):
        with db.locked(store, name, what="migrate") as lock, db.sql_errors(path):
            before = _version(store, path)
            with closing(live.kept(store, path, steps)) as kept:
                done.append((short(path), before, version(kept.opened())))
                kept.put_back(lock, force=True)
    return done


def _version(store: db.Store, path: str) -> int:
    direct = store.mode != storage.SINGLE
    with closing(sqlite3.connect(path, isolation_level=None) if direct else db.immutable(path)) as conn:
        return version(conn)


def vacuum_all(store: db.Store) -> list[tuple[str, int, int]]:
    """Give back the space that dbs do not use; gives (file, bytes before, bytes now) of each."""
    done = []
    for name, path, steps in _dbs(store):
        with db.locked(store, name, what="vacuum") as lock, db.sql_errors(path):
            before = os.path.getsize(path)
            with closing(live.kept(store, path, steps)) as kept:
                kept.opened().execute("VACUUM")
                kept.opened().execute("PRAGMA wal_checkpoint(TRUNCATE)")
                kept.put_back(lock, force=True)
            done.append((short(path), before, os.path.getsize(path)))
    return done


def _dbs(store: db.Store) -> list[tuple[str, str, tuple[Migration, ...]]]:
    """Name of the lock, path and migrations of every db that is there."""
    all_of = [("main.db", store.main_path, MAIN)]
    all_of += [(f"{i}.db", store.run_db_path(i), RUN) for i in store.run_ids_on_disk()]
    return [each for each in all_of if os.path.exists(each[1])]


class Stat(NamedTuple):
    """Sizes of one run's files: bytes of its db and journals, files, cases, lines that could not be read."""

    number: int
    run: str
    version: int
    cases: int
    bad: int
    db: int
    journals: int
    files: int
    drops: int
    behind: int


def stat_run(store: db.Store, run_id: int) -> Stat:
    """How large a run is, and how many bytes are not folded yet."""
    path = store.run_db_path(run_id)
    seen = journals.look(store.journal_dir(run_id))
    number, cases, bad = 0, 0, 0
    known: dict[str, journals.Done] = {}
    if db.has_bytes(path):
        with db.sql_errors(path), closing(db.reader(path, RUN, store.mode)) as conn:
            number, cases, bad = version(conn), sum(db_run.totals(conn).values()), db_run.bad_lines(conn)
            known = db_run.offsets(conn)
    behind = sum(seen.sizes[name] - known.get(name, journals.Done()).at for name in seen.news(known))
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return Stat(
        run_id, str(store.run_key(run_id) or ""), number, cases, bad, size, sum(seen.sizes.values()),
        len(seen.sizes), len(seen.drops), behind,
    )  # fmt: skip


# -- the storage mode

#: seconds that a change of the mode waits for one who folds
_PATIENCE = 2.0


def change_mode(store: db.Store, wish: str, *, lease: float | None = None, dry: bool = False) -> int:
    """Give the area another storage mode; gives the number of its dbs.  `store` is opened without `check`.

    AREA says meanwhile that the mode is being changed: who comes now is refused,
    and who came before finds it out under his next lock.  Raises BusyError when
    a run is driven or a db is used, and all is as it was; ConfigError for no mode.
    """
    choice = storage.wished(wish, storage.mount_of(store.root), "mt db mode")
    _refuse_driven(store)
    dbs = _dbs(store)
    if dry:
        return len(dbs)
    db.write_area(store.root, store.choice, changing=True)
    try:
        for name, path, _ in dbs:
            with held(store.lock_path(name), wait=_PATIENCE, what="mode"):
                _settle(store, path)
        _refuse_driven(store)
    except BaseException:
        db.write_area(store.root, store.choice, changing=False)
        raise
    db.write_area(store.root, choice, changing=False, lease=lease)
    return len(dbs)


def _refuse_driven(store: db.Store) -> None:
    for run_id in store.run_ids_on_disk():
        path = store.lock_path(f"run.{run_id}")
        if is_held(path):
            raise busy(path)


def _settle(store: db.Store, path: str) -> None:
    """Bring a db into the form that every mode can open, if nobody has it open; one that is broken stays as it is.

    In exclusive mode SQLite needs no memory that is shared with others, which a
    network disk would not give.
    """
    if store.mode == storage.SINGLE or not db.has_bytes(path):
        return
    try:
        with db.sql_errors(path), closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as conn:
            conn.execute("PRAGMA locking_mode = EXCLUSIVE")
            (now,) = conn.execute("PRAGMA journal_mode = DELETE").fetchone()
            if now != "delete":
                raise BusyError(f"cannot change '{short(path)}': somebody has it open")
    except StoreError:
        return
