"""Commands of the area around a run: `[runs] pre-hook` and `post-hook` (spec/config.md 2.1)."""

from __future__ import annotations

import os
import subprocess

from mt.area import Area
from mt.errors import MtError, why
from mt.model import RunKey
from mt.stdio import say


def before(area: Area, run: RunKey, *, first: bool) -> None:
    """The pre-hook, only before the first case of a run."""
    if first:
        _hook(area, run, "pre-hook")


def after(area: Area, run: RunKey) -> None:
    """The post-hook, whenever driving a run ends."""
    _hook(area, run, "post-hook")


def _hook(area: Area, run: RunKey, name: str) -> None:
    """Run a hook in the area; its output is appended to a log, a bad end is said and changes nothing."""
    command = area.setting("runs", name)
    if not command or not command.strip():
        return
    stem = f"{name}-{run.target.replace('/', '-')}-{run.name.replace('/', '-')}.log"
    path = os.path.join(area.home, "logs", stem)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab") as log:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=area.home,
                env=area.env.as_dict(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
    except OSError as e:
        raise MtError(f"cannot run {name} with log '{path}': {why(e)}") from e
    if done.returncode:
        say(f"{name} ended with {done.returncode}: see '{path}'")
