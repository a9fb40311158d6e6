"""What run commands have in common: target, run name, area, with the statuses of old (spec/runs.md 1.2, 1.3)."""

from __future__ import annotations

import os
from typing import NamedTuple

from mt.area import Area
from mt.errors import ConfigError
from mt.home import CONFIG
from mt.megatest.talk import Refused, Talk
from mt.megatest.words import Args, pairs
from mt.model import RunKey
from mt.targets import is_pattern


class Ready(NamedTuple):
    """An open area, and the run that is meant; with patterns for commands that operate on many runs."""

    area: Area
    run: RunKey


def target_of(args: Args) -> str | None:
    """The target, as given or from the environment (1.3, 1)."""
    return args.value("-target", "-reqtarg") or os.environ.get("MT_TARGET") or None


def run_name(args: Args) -> str | None:
    """The run name, never from the environment (1.3, 2)."""
    return args.value("-runname", ":runname") or None


def needed(args: Args, *, run: bool = True, pattern: bool = False) -> tuple[str, str]:
    """Target and run name; raises Refused with 3 when something that the command needs is missing."""
    target, name = target_of(args), run_name(args)
    if not target:
        raise Refused(3, "Missing required parameter for this command: you must specify the target with -target")
    if run and not name:
        raise Refused(3, "Missing required parameter for this command: you must specify the run name with -runname")
    if pattern and not args.value("-testpatt", "-runtests"):
        raise Refused(
            3, "Missing required parameter for this command: you must specify the test pattern with -testpatt"
        )
    return target, name or ""


def open_area(args: Args, talk: Talk, target: str | None = None, run: str | None = None) -> Area:
    """Find and read the area; raises Refused: 2 without an area, 1 for one that cannot be set up (M1, R3, R4)."""
    config = args.value("-config") or CONFIG
    variables = {k: v for k, v in os.environ.items() if target is None or k != "MT_TARGET"}
    if talk.debug:
        variables["MT_DEBUG_MODE"] = talk.debug
    asked = target if target and not is_pattern(target) else None
    switches: dict[str, str | bool] = {**args.values, **dict.fromkeys(args.flags, True)}
    try:
        area = Area.open(
            None, target=asked, run=run, environ=variables, setvars=pairs(args.value("-setvars")), args=switches,
            append=args.value("-append-config"), config=config, known_target=args.has("-reqtarg"),
        )  # fmt: skip
    except ConfigError as e:
        if e.what.startswith(f"no {config} "):
            raise Refused(2, f"No {config} file found. Giving up.") from e
        if "target" in e.what and asked and not args.has("-reqtarg"):
            raise Refused(3, f"Invalid target, {e.what.removeprefix('invalid target ')}") from e
        raise Refused(1, ": ".join(filter(None, (e.where, e.what, e.hint)))) from e
    for problem in area.problems:
        if problem.level == "error":
            talk.error(f"{problem.where}: {problem.text}")
        else:
            talk.say(1, problem.text if problem.text.startswith("WARNING:") else f"WARNING: {problem.text}")
    return area


def prepared(args: Args, talk: Talk, *, run: bool = True, pattern: bool = False) -> Ready:
    """Everything that a run command needs before it begins."""
    target, name = needed(args, run=run, pattern=pattern)
    return Ready(open_area(args, talk, target, name or None), RunKey(target, name))
