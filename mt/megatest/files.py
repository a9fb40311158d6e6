"""`-test-paths` and `-test-files P`: directories of tests, and files in them, newest test first (spec/runs.md 5.10)."""

from __future__ import annotations

import os
import sys

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.db import Store
    from mt.megatest.selecting import Wanted
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args
    from mt.model import CaseRow


def paths(args: Args, talk: Talk) -> int:
    """`-test-paths`: the directory of each test that is meant."""
    return _print(args, talk, None)


def files(args: Args, talk: Talk) -> int:
    """`-test-files P`: the files that match P below these directories."""
    return _print(args, talk, args.value("-test-files"))


def _print(args: Args, talk: Talk, pattern: str | None) -> int:
    inside = bool(os.environ.get("MT_CMDINFO"))
    if inside and not args.value("-target", "-reqtarg"):
        raise Refused(1, "-target is required")
    if not inside:
        from mt.megatest.prepare import needed

        needed(args)
    for directory in _directories(args, talk):
        for path in [directory] if pattern is None else matching(directory, pattern):
            if not inside or os.path.exists(path):
                sys.stdout.write(f"{path}\n")
    return 0


def _directories(args: Args, talk: Talk) -> Iterator[str]:
    """The directories of the tests that are meant, of all runs together; one that never began has none."""
    from mt.megatest.selecting import open_to_list, store_of, wanted

    opened = open_to_list(args, talk)
    store = store_of(opened.area)
    if store is None or opened.target is None:
        return
    want = wanted(args, opened.area)._replace(target=opened.target)
    rows = [row for row in _rows(store, want) if row.dir]
    rows.sort(key=lambda row: row.start, reverse=True)
    for row in rows:
        yield row.dir


def _rows(store: Store, want: Wanted) -> Iterator[CaseRow]:
    """The records of all runs that are meant, the newest run first, within it by descending name and item."""
    from mt.megatest.selecting import records, runs

    for run in reversed(runs(store, want.target, want.name, deleted=True)):
        yield from reversed(records(store, run.id, want, tops=True, deleted=True))


def matching(directory: str, pattern: str) -> list[str]:
    """The files below a directory that match a pattern of the shell, by name; `**` is only a `*`."""
    from glob import escape, glob

    return sorted(glob(f"{escape(directory)}/{pattern}")) if os.path.isdir(directory) else []
