"""Looking after an area: metadata, dbs in and out, dead tests, kept configs (spec/runs.md 1.4, 5.8, 6.5)."""

from __future__ import annotations

import os

from mt.errors import MtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.area import Area
    from mt.db import Store
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args

#: where an area of the old program has its records
OLD_DB = "megatest.db"
#: where such a file goes before one that mt writes takes its place
KEPT_DB = "megatest.db.before-mt"


def update_meta(args: Args, talk: Talk) -> int:
    """`-update-meta`: record the [test_meta] of all tests, and print what changed."""
    from mt import testmeta
    from mt.db import Store
    from mt.megatest.prepare import open_area

    area = open_area(args, talk)
    told = len(area.problems)
    for line in testmeta.update_meta(area, Store(area.home, create=True)):
        print(line)
    for problem in area.problems[told:]:
        talk.error(f"{problem.where}: {problem.text}")
    return 0


def import_db(args: Args, talk: Talk) -> int:
    """`-import-megatest.db`: take over what the old program recorded in this area; runs that are known stay."""
    from mt import importing
    from mt.db import Store
    from mt.megatest.prepare import open_area
    from mt.megatest.talk import Refused

    area = open_area(args, talk)
    path = _old_db(area)
    if path is None:
        raise Refused(1, f"there is no {OLD_DB} in {area.home}")
    done = importing.import_db(Store(area.home, create=True), path)
    for run in done:
        talk.info(1, f"run {run.run}: {run.what}, {run.cases} tests, {run.steps} steps, {run.values} values")
    new = [run for run in done if run.what == "new"]
    talk.info(0, f"imported {len(new)} of {len(done)} runs from {os.path.basename(path)}")
    return 0


def _old_db(area: Area) -> str | None:
    """The file that the old program wrote, wherever it was put; one of ours only where there is no other."""
    paths = [os.path.join(area.home, name) for name in (KEPT_DB, OLD_DB)]
    return next((path for path in paths if os.path.exists(path)), None)


def sync(args: Args, talk: Talk) -> int:
    """`-sync-to-megatest.db`: write what is recorded for scripts that read megatest.db; an old file is kept aside."""
    from mt.db import Store, has_bytes
    from mt.exporting import export_db, is_ours
    from mt.megatest.prepare import open_area

    area = open_area(args, talk)
    path, kept = os.path.join(area.home, OLD_DB), os.path.join(area.home, KEPT_DB)
    if has_bytes(path) and not is_ours(path) and not os.path.exists(kept):
        os.link(path, kept)
        talk.warn(f"the {OLD_DB} of the old program is kept as {KEPT_DB}; -import-{OLD_DB} takes over what is in it")
        done = export_db(Store(area.home, create=True), path, area.keys, force=True)
    else:
        done = export_db(Store(area.home, create=True), path, area.keys)
    print(f"Synced {done} records to {OLD_DB}")
    return 0


def renew(args: Args, talk: Talk) -> None:
    """After a command that writes: let the area's megatest.db follow, for scripts that read it (6.4).

    Left alone: a file of the old program, one of a large area (-sync-to-megatest.db
    writes that), and what cannot be written now, which is nothing but a copy.
    """
    from mt.megatest.prepare import open_area
    from mt.megatest.selecting import store_of
    from mt.megatest.talk import Refused, Talk
    from mt.pipeline import mirror

    quiet = Talk(args, {})
    quiet.shown = lambda level: False  # the command itself has said what there was to say
    try:
        area = open_area(args, quiet)
        store = store_of(area)
        if store is not None and not mirror.renew(store, area.home, area.keys):
            talk.info(1, f"{OLD_DB} is of the old program: -import-{OLD_DB} takes over its runs")
    except (MtError, Refused) as e:
        talk.info(1, f"{OLD_DB} is not renewed: {e}")


def _store(args: Args, talk: Talk) -> Store | None:
    from mt.megatest.prepare import open_area
    from mt.megatest.selecting import store_of

    return store_of(open_area(args, talk))


def rebuild(args: Args, talk: Talk) -> int:
    """`-rebuild-db`: every db at the newest version; one that cannot be used is made again from its journals."""
    from mt.db_schema import MAIN, RUN
    from mt.rebuild import check_db, rebuild_main, rebuild_run

    store = _store(args, talk)
    if store is None:
        return 0
    for run_id in store.run_ids_on_disk():
        if check_db(store.run_db_path(run_id), RUN):
            talk.info(0, f"rebuilt {run_id}.db from {rebuild_run(store, run_id)} events")
    if check_db(store.main_path, MAIN):
        talk.info(0, f"rebuilt main.db from {rebuild_main(store)} runs")
    return 0


def cleanup(args: Args, talk: Talk) -> int:
    """`-cleanup-db`: remove what belongs to no run, and give back the space that dbs do not use."""
    from mt.orphans import remove_orphans
    from mt.pipeline.bags_gone import remove_all
    from mt.upkeep import vacuum_all

    store = _store(args, talk)
    if store:
        for path in remove_orphans(store):
            talk.info(0, f"removed {path}, which belongs to no run")
        for error in remove_all(store):
            talk.error(error.what)
        for name, before, now in vacuum_all(store):
            talk.info(1, f"{name}: {before} bytes, now {now}")
    return 0


def mark_incompletes(args: Args, talk: Talk) -> int:
    """`-mark-incompletes`: tests that count as running and whose process is dead become INCOMPLETE (3.6)."""
    from mt.pipeline.dead import bury_dead

    store = _store(args, talk)
    found = bury_dead(store) if store else []
    for run, row in found:
        talk.info(0, f"{run.key}//{row.key} was {row.state}, and its process on {row.host or 'its host'} is dead")
    talk.info(0, f"marked {len(found)} tests as incomplete")
    return 0


def rollup(args: Args, talk: Talk) -> int:
    """`-rollup`: never did anything in the last version (5.8)."""
    from mt.megatest.prepare import prepared

    prepared(args, talk)
    talk.warn("-rollup is disabled; nothing was done")
    return 0


def clean_cache(args: Args, talk: Talk) -> int:
    """`-clean-cache`: delete configs that the old program kept in the directory of a run (1.4)."""
    from mt.megatest.prepare import open_area, run_name, target_of

    target, name = target_of(args), run_name(args)
    if not target or not name:
        talk.error("-clean-cache needs -target and -runname")
        return 0
    area = open_area(args, talk, target, name)
    for path in clear_cache(os.path.join(area.linktree, target, name)):
        talk.info(1, f"removed {path}")
    return 0


def clear_cache(directory: str) -> list[str]:
    """Delete the kept configs in the directory of a run; gives the paths."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    paths = [os.path.join(directory, n) for n in names if n.startswith((".megatest", ".runconfig"))]
    files = [path for path in paths if os.path.isfile(path) or os.path.islink(path)]
    for path in files:
        os.unlink(path)
    return files
