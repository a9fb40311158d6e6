"""`megatest -remove-runs`, `-remove-keep`, `-archive` (spec/runs.md 5.5 to 5.7)."""

from __future__ import annotations

import os
import subprocess
import time

from mt.errors import MtError
from mt.megatest.operate import Here, echo, entered, records_in
from mt.megatest.selecting import runs, select
from mt.megatest.talk import Refused, Talk
from mt.megatest.words import Args, comma_list
from mt.model import CaseRow, RunRow

#: seconds that running tests get to end before their files go (5.5)
KILL_WAIT = 10.0
_ACTIONS = ("print", "remove-runs", "archive")


def remove_runs(args: Args, talk: Talk) -> int:
    """Remove the tests that are meant, or with -keep-records only their files (5.5)."""
    echo(talk)
    here = entered(args, talk, pattern=True)
    patience = seconds(args.value("-kill-wait"), KILL_WAIT)
    status = 0
    for run, rows in select(args, here.store, here.area) if here.store is not None else ():
        if rows and not removed(here, run, rows, talk, patience=patience, records=not args.has("-keep-records")):
            status = 1
    return status


def seconds(text: str | None, default: float) -> float:
    """A number of seconds; anything else is the default."""
    try:
        return float(text) if text else default
    except ValueError:
        return default


def removed(here: Here, run: RunRow, rows: list[CaseRow], talk: Talk, *, patience: float, records: bool) -> bool:
    """Remove tests of one run; False when a directory could not be removed."""
    from mt.pipeline.bags_gone import remove_bags
    from mt.pipeline.byhand import remove_cases
    from mt.pipeline.ending import ended
    from mt.pipeline.territory import of_run

    store = records_in(here)
    drain(here, run)
    land = of_run(here.area.home, run.key)
    trouble: list[MtError] = []
    going = ended(store, run.id, rows, patience)
    for row, _ in remove_cases(
        store, run.id, run.key, going, land, records=records, comment="", tidy=False, trouble=trouble
    ):
        talk.info(1, f"removed {run.key}//{row.key}")
    if records:
        try:
            remove_bags(store, run.id)
        except MtError as e:
            trouble.append(e)
    for error in trouble:
        talk.error(error.what)
    return not trouble


def drain(here: Here, run: RunRow) -> None:
    """Let nobody start more of a run that is being removed."""
    from mt.db_main import is_controlled
    from mt.pipeline import control
    from mt.pipeline.naming import owner

    store = records_in(here)
    if is_controlled(store, run.id):
        control.ask(store.ctl_dir(run.id), control.DRAIN, by=owner(), why="its tests are being removed")


# -- all but the newest


def remove_keep(args: Args, talk: Talk) -> int:
    """Print, remove or archive all but the newest runs of each target (5.6)."""
    from mt.durations import hms

    number = args.value("-remove-keep") or ""
    if not number.isdigit():
        raise Refused(1, f"-remove-keep needs the number of runs to keep, not '{number}'")
    actions = comma_list(args.value("-actions")) or ("print",)
    age = args.value("-age")
    here = entered(args, talk, run=False)
    print(f"Actions: ({' '.join(actions)})", flush=True)
    for target, found in by_target(here).items():
        print(f"{target}:", flush=True)
        old = found[: max(len(found) - int(number), 0)]
        for run in found:
            if age and run.start > time.time() - hms(age):
                print(f"Skipping handling of {target}/{run.name} as it is younger than {age}", flush=True)
                continue
            for action in actions:
                act(action, run, run in old, args.value("-precmd") or "", talk)
    return 0


def by_target(here: Here) -> dict[str, list[RunRow]]:
    """The runs of each target that is meant, oldest first; -runname narrows them."""
    found: dict[str, list[RunRow]] = {}
    if here.store is None:
        return found
    for run in runs(here.store, None, here.name or None):
        if whole_match(here.target, run.target):
            found.setdefault(run.target, []).append(run)
    return {target: sorted(found[target], key=lambda run: (run.start, run.id)) for target in sorted(found)}


def whole_match(patterns: str, target: str) -> bool:
    """Whether one of a comma list of LIKE patterns fits the whole joined target."""
    from mt.patterns import glob_part

    return any(glob_part(piece)(target) for piece in patterns.split(",") if piece)


def act(action: str, run: RunRow, old: bool, precmd: str, talk: Talk) -> None:
    """Do one action with one run; only printing is done for those that are kept."""
    if action == "print":
        when = time.strftime("WW%V.%u %H:%M:%S", time.localtime(run.start))
        print(f" {run.name} {when} {'REMOVE' if old else ''}", flush=True)
    elif action not in _ACTIONS:
        talk.error(f"unrecognised action {action}")
    elif old:
        command(precmd, ["-remove-runs"] if action == "remove-runs" else ["-archive", "save-remove"], run, talk)


def command(precmd: str, what: list[str], run: RunRow, talk: Talk) -> None:
    """`PRECMD megatest ACTION -target T -runname R -testpatt %`, by a shell; its failure is told and no more."""
    import shlex

    from mt.pipeline.caseenv import own_programs

    words = ["megatest", *what, "-target", run.target, "-runname", run.name, "-testpatt", "%"]
    line = f"{precmd} {shlex.join(words)}".strip()
    env = {**os.environ, "PATH": f"{own_programs()}:{os.environ.get('PATH', os.defpath)}"}
    done = subprocess.run(["/bin/sh", "-c", line], env=env, check=False)
    if done.returncode:
        talk.error(f"'{line}' ended with status {done.returncode}")


# -- archives


def archive(args: Args, talk: Talk) -> int:
    """Save, save and remove, or restore the tests that are meant (5.7); keep-html is the same as save (C5)."""
    from mt.pipeline.shelf import NoDisks

    what = args.value("-archive") or ""
    here = entered(args, talk, pattern=True)
    if what not in ("save", "save-remove", "keep-html", "restore"):
        raise Refused(1, f"-archive {what}: one of save, save-remove, keep-html, restore")
    try:
        for run, rows in select(args, here.store, here.area) if here.store is not None else ():
            if rows:
                archived(here, run, rows, what, talk)
    except NoDisks as e:
        talk.say(0, "FATAL: No archive disks found. Please add disks with enough space to [archive-disks].")
        raise Refused(1, e.what) from e
    return 0


def archived(here: Here, run: RunRow, rows: list[CaseRow], what: str, talk: Talk) -> None:
    """Save or restore tests of one run; what cannot be is warned of."""
    from mt.pipeline import archiving

    ground = archiving.ground_of(here.area.home, records_in(here), run)
    if what == "restore":
        done = archiving.restore(ground, rows, talk.warn)
    else:
        form = archiving.wanted_form(ground.area)
        done = archiving.save(ground, rows, talk.warn, clear=what == "save-remove", form=form)
    for each in done:
        talk.info(0, f"{each.what} {run.key}//{each.row.key}: {each.file}")
