"""What of old runs is kept, by a policy: the newest runs, young ones, and of the others all, logs or only numbers.

The policy is pure; `cuts` looks at the disks, and `cut` removes.  Records are
never touched.  These keep their files whatever the policy says: frozen runs,
runs that are driven, cases that run or wait, and the newest case of a test that
was WAIVED, because the next failure is compared with its files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from mt.area import Area
from mt.db import Store
from mt.durations import read_duration
from mt.errors import BusyError, ConfigError, MtError
from mt.journal import drop
from mt.locks.filelock import held
from mt.model import CaseKey, CaseRow, RunRow
from mt.pipeline import territory
from mt.pipeline.frozen import frozen_run
from mt.pipeline.naming import owner
from mt.pipeline.subrun import LINK, RECORD, below
from mt.pipeline.territory import Held, Territory
from mt.queries import cases, steps
from mt.rows import frozen_by
from mt.states import LIVE, verdict

ALL, LOGS, NONE = "all", "logs", "none"
LEVELS = (ALL, LOGS, NONE, "numbers")
#: names of files that `logs` keeps, where the area says nothing else
LOG_NAMES = ("*.log", "*.log.gz", "*.html", "*.dat", "NBFAKE-*", "said.ndjson")
_UNTOUCHED = ("NOT_STARTED", "ARCHIVED", "DELETED", "ARCHIVE_REMOVING", "REMOVING")


class Policy(NamedTuple):
    """The `keep` newest runs of each target stay, and those younger than `older` seconds; of others what levels say."""

    keep: int | None = None
    older: float | None = None
    failed: str = ALL
    passed: str = ALL
    logs: tuple[str, ...] = LOG_NAMES

    def level(self, row: CaseRow) -> str:
        """What stays of a case: `all`, `logs` or `none`."""
        if row.state in LIVE or row.state in _UNTOUCHED:
            return ALL
        level = self.passed if verdict(row.state, row.status) == "good" else self.failed
        return NONE if level == "numbers" else level


class Typed(NamedTuple):
    """A policy as it is written, on a command line or in [clean]; None where nothing is said."""

    keep: str | None = None
    older: str | None = None
    failed: str | None = None
    passed: str | None = None


def policy_of(area: Area, typed: Typed) -> Policy | None:
    """The policy of a command line and of [clean], of which what was typed counts; None when neither says anything.

    Without a level all files of old cases go; with one, the other is `all`.
    Raises ConfigError for words that mean nothing.
    """
    said = Typed(*(a if a is not None else area.setting("clean", n) for n, a in zip(Typed._fields, typed, strict=True)))
    if not any(said):
        return None
    other = ALL if said.failed or said.passed else NONE
    logs = tuple((area.setting("clean", "logs") or "").split()) or LOG_NAMES
    keep = None if said.keep is None else _number(said.keep)
    older = None if said.older is None else _seconds(said.older)
    return Policy(keep, older, _level(said.failed or other), _level(said.passed or other), logs)


def _number(text: str) -> int:
    if not text.strip().isdigit():
        raise ConfigError(f"bad number of runs to keep '{text}'", hint="--keep 5, or keep 5 in [clean]")
    return int(text)


def _seconds(text: str) -> float:
    read = read_duration(text)
    if not read.seconds and (read.doubts or not text.strip()):
        raise ConfigError(f"bad age '{text}': no length of time", hint="as 14d, 1d12h, 2w, 1M or 1y")
    return float(read.seconds)


def _level(word: str) -> str:
    if word not in LEVELS:
        raise ConfigError(f"bad word '{word}' for what to keep", hint=f"one of {', '.join(LEVELS)}")
    return word


def reached(runs: Iterable[RunRow], policy: Policy, now: float) -> list[RunRow]:
    """Those of all runs of an area that the policy does not keep whole; which are the newest is told by their start."""
    by_target: dict[str, list[RunRow]] = {}
    for run in sorted(runs, key=lambda run: (run.start, run.id), reverse=True):
        by_target.setdefault(run.target, []).append(run)
    found = [run for some in by_target.values() for run in some[policy.keep or 0 :]]
    young = now - policy.older if policy.older is not None else None
    old = [run for run in found if young is None or max(run.start, run.end) <= young]
    return sorted(old, key=lambda run: (run.start, run.id))


def needed(store: Store, runs: Iterable[RunRow]) -> set[tuple[int, CaseKey]]:
    """The cases whose files a waiver may be carried on from: the newest WAIVED one of each, by target."""
    seen: set[tuple[str, CaseKey]] = set()
    found = set()
    for run in sorted(runs, key=lambda run: (run.start, run.id), reverse=True):
        for row in cases(store, run.id, states=("COMPLETED",), statuses=("WAIVED",)):
            if (run.target, row.key) not in seen:
                seen.add((run.target, row.key))
                found.add((run.id, row.key))
    return found


class Cut(NamedTuple):
    """What goes of one case: all of its directory, or all but the named files; `bytes` is what that frees."""

    row: CaseRow
    held: Held
    level: str
    keep: tuple[str, ...]
    bytes: int


def cuts(store: Store, run: RunRow, land: Territory, policy: Policy, spared: set[tuple[int, CaseKey]]) -> Iterator[Cut]:
    """What the policy takes from one run; only looks.  Raises NotPermitted for a link that leads elsewhere."""
    logs: dict[CaseKey, set[str]] | None = None
    for row in cases(store, run.id):
        level = policy.level(row)
        if level == ALL or (run.id, row.key) in spared:
            continue
        where = land.find(run.key, row)
        if not where.real:
            if level == NONE and territory.leads_nowhere(where.link):
                yield Cut(row, where, level, (), 0)
            continue
        if level == NONE and below(where.real) is not None:
            level = LOGS  # or nobody would find the sub-run any more
        if level == NONE:
            yield Cut(row, where, level, (), territory.size(where.real))
            continue
        if logs is None:
            logs = _logs(store, run)
        kept, going = _parted(where.real, policy.logs, logs.get(row.key, set()))
        if going is not None:
            yield Cut(row, where, level, tuple(kept), going)


def _logs(store: Store, run: RunRow) -> dict[CaseKey, set[str]]:
    """The logs that steps name, whatever they are called."""
    found: dict[CaseKey, set[str]] = {}
    for step in steps(store, run.id):
        if step.log:
            found.setdefault(CaseKey(step.test, step.item), set()).add(step.log)
    return found


def _parted(real: str, patterns: Sequence[str], logs: set[str]) -> tuple[list[str], int | None]:
    """The files that stay, and the bytes of the others; None when there are no others."""
    kept: list[str] = []
    going: int | None = None
    for entry in territory.walk(real):
        if entry.folder:
            continue
        base = os.path.basename(entry.name)
        if (
            entry.name in logs
            or entry.name in (LINK, RECORD)
            or any(fnmatchcase(base, pattern) for pattern in patterns)
        ):
            kept.append(entry.name)
        else:
            going = (going or 0) + entry.bytes
    return kept, going


def cut(store: Store, run: RunRow, land: Territory, going: Sequence[Cut]) -> Iterator[tuple[Cut, int]]:
    """Remove what was found; gives each with the bytes it freed, and leaves a note with each case."""
    notes = []
    try:
        for each in going:
            if each.level == NONE:
                freed = territory.remove(each.held, land.linktree)
            else:
                freed = territory.prune(each.held, each.keep)
            what = "files" if each.level == NONE else "files but logs"
            about = {"test": each.row.test, "item": each.row.item, "attempt": each.row.attempt}
            notes.append(("note", {**about, "text": f"{what} removed by {owner()} (mt clean): {freed} bytes"}))
            yield each, freed
    finally:
        if notes:
            drop(store.journal_dir(run.id), notes)


class Cleaned(NamedTuple):
    """One run as it was gone through; `passed_over` says why nothing was done, `failed` that this is an error."""

    run: RunRow
    done: list[tuple[Cut, int]]
    passed_over: str = ""
    failed: bool = False


def clean(
    home: str, store: Store, every: Sequence[RunRow], chosen: Sequence[RunRow], policy: Policy, *,
    force: bool = False, dry: bool = False,
) -> Iterator[Cleaned]:  # fmt: skip
    """Apply a policy to the chosen of all runs of an area, oldest first; with `dry` only look.

    With `force` files that a waiver needs go too.  A run that is frozen, that
    is driven, or whose directories cannot be touched is passed over.
    """
    spared = set() if force else needed(store, every)
    names = {run.id for run in chosen}
    for run in reached(every, policy, time.time()):
        if run.id in names:
            yield _clean_one(home, store, run, policy, spared, dry)


def _clean_one(
    home: str, store: Store, run: RunRow, policy: Policy, spared: set[tuple[int, CaseKey]], dry: bool
) -> Cleaned:
    frozen = frozen_run(store, run.id)
    if frozen is not None:
        return Cleaned(run, [], f"frozen {frozen_by(frozen)}")
    done: list[tuple[Cut, int]] = []
    try:
        land = territory.of_run(home, run.key)
        with held(store.lock_path(f"run.{run.id}"), wait=False, what="cleans the run"):
            going = list(cuts(store, run, land, policy, spared))
            if dry:
                done = [(each, each.bytes) for each in going]
            else:
                done.extend(cut(store, run, land, going))  # as far as it comes
    except BusyError as e:
        return Cleaned(run, done, f"it is driven: {e.what.partition(': ')[2]}")
    except MtError as e:
        return Cleaned(run, done, e.what, failed=True)
    return Cleaned(run, done)
