"""Make a new area or a new test, asking for what the skeleton needs (spec/runs.md 1.7).

An empty answer, and the end of standard input, take what stands in brackets.
Nothing that exists is overwritten.
"""

from __future__ import annotations

import os
import sys

from mt.errors import UsageError
from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args


def ask(question: str, usual: str) -> str:
    """One answer from standard input; the question goes to standard error."""
    sys.stderr.write(f"{question} [{usual}]: " if usual else f"{question}: ")
    sys.stderr.flush()
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line.endswith("\n"):
        sys.stderr.write("\n")
    return line.strip() or usual


def area(args: Args, talk: Talk) -> int:
    """megatest.config, runconfigs.config and a first test, in a directory that is no area yet."""
    from mt import skeleton

    where = ask("directory of the area", ".")
    _refuse(os.path.join(where, "megatest.config"))
    keys = _names(ask("keys of a target, as SYSTEM,RELEASE", "SYSTEM"))
    linktree = ask("link tree, below the area or absolute", "lt")
    disk = ask("directory for data, below the area or absolute", "runs")
    try:
        files = skeleton.area(keys, linktree=linktree, disk=disk)
    except UsageError as e:
        raise Refused(1, e.what) from e
    return _write(where, files)


def test(args: Args, talk: Talk) -> int:
    """`tests/NAME/testconfig` and a script for each step, in this area."""
    from mt import skeleton
    from mt.megatest.prepare import open_area

    home = open_area(args, talk).home
    name = args.value("-create-test") or ""
    where = os.path.join(home, "tests", name)
    _refuse(os.path.join(where, "testconfig"))
    description = ask("what the test is for", name)
    steps = _names(ask("steps", "run"))
    waiton = _names(ask("tests that must be good before, if any", ""))
    items = ask("items, as ANIMAL=cat dog, if any", "")
    try:
        files = skeleton.test(name, steps, waiton=waiton, items=(items,) if items else (), description=description)
    except UsageError as e:
        raise Refused(1, e.what) from e
    return _write(where, files)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _refuse(path: str) -> None:
    if os.path.lexists(path):
        raise Refused(1, f"'{path}' exists already")


def _write(where: str, files: dict[str, str]) -> int:
    from mt.skeleton import write

    for path in write(where, files):
        print(os.path.normpath(path))
    return 0
