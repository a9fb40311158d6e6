"""Being in the place of a recorded case: its directory, its environment, its specification.

The environment is what the case wrote when it ran (`megatest.sh` in its run
directory, read by a shell as users read it), or is made anew from the area's
files where that is gone.  MT_CMDINFO is never part of it: whoever only looks
must not tell the run anything, nor count as one of its processes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from mt.area import Area
from mt.config import Problem
from mt.errors import MtError, why
from mt.model import CaseRow, RunKey, case_id
from mt.pipeline import caseenv
from mt.pipeline.ready import shared_env
from mt.pipeline.subrun import without_own
from mt.testspec import Item, TestSpec, item_path

#: variables of a login session: they are those of whoever stands there now
SESSION = (
    "TERM", "COLORTERM", "COLUMNS", "LINES", "SHLVL", "DISPLAY", "WAYLAND_DISPLAY", "SSH_*", "XDG_*", "DBUS_*",
    "TMUX*", "STY", "WINDOW", "LS_COLORS", "XAUTHORITY", "GPG_TTY",
)  # fmt: skip
#: variables that say where a process is, not what it is to do
PASSING = ("_", "OLDPWD", "PWD", "SHLVL", "MT_CMDINFO")
SCRIPT = "megatest.sh"


class Standing(NamedTuple):
    """One case as somebody finds it who goes there.

    `directory` is physical, `env` whole; `spec` is the test as the area's files
    have it now.  `remade` means that the environment is not the recorded one.
    """

    run: RunKey
    row: CaseRow
    directory: str
    env: dict[str, str]
    spec: TestSpec
    area: Area
    remade: bool

    @property
    def id(self) -> str:
        """The id of the case."""
        return case_id(self.run, self.row.key)


def stand(home: str, run_id: int, run: RunKey, row: CaseRow, environ: Mapping[str, str]) -> Standing:
    """Go to a recorded case of the area at `home`.

    Raises ConfigError when the test is no more, or the area's files cannot be
    used.  Whether the directory is still there is for the caller to see.
    """
    area = Area.open(home, target=run.target or None, run=run.name, environ=without_own(environ))
    directory = os.path.realpath(row.dir) if row.dir else ""
    recorded = sourced(os.path.join(directory, SCRIPT), environ) if directory else None
    env = remade(area, run_id, run, row) if recorded is None else recorded
    for name in PASSING:
        env.pop(name, None)
    spec = area.case_spec(row.test, {**env, "MT_TEST_NAME": row.test})
    env.update(spec.prelaunch)
    own = {*area.blacklist, *area.secrets}
    env.update({name: environ[name] for name in environ if is_session(name) or name in own})
    env["PATH"] = env.get("PATH", os.defpath) + ":."
    if directory:
        env["PWD"] = directory
    return Standing(run, row, directory, env, spec, area, recorded is None)


def is_session(name: str) -> bool:
    """Whether a variable belongs to the login session."""
    return any(fnmatchcase(name, pattern) for pattern in SESSION)


def sourced(path: str, environ: Mapping[str, str]) -> dict[str, str] | None:
    """The variables that a shell has after reading a file of exports; None without that file.

    It begins with nothing but PATH, so that what the file only shows as a comment is not set.
    """
    if not os.path.isfile(path):
        return None
    start = {"PATH": environ.get("PATH", os.defpath)}
    words = ["/bin/bash", "--norc", "--noprofile", "-c", '. "$1" > /dev/null; exec /usr/bin/env -0', "bash", path]
    try:
        done = subprocess.run(words, env=start, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as e:
        raise MtError(f"cannot read '{path}': {why(e)}") from e
    pairs = (p.partition("=") for p in done.stdout.decode("utf-8", "surrogateescape").split("\0") if p)
    return {name: value for name, _, value in pairs}


def remade(area: Area, run_id: int, run: RunKey, row: CaseRow) -> dict[str, str]:
    """The environment that the case would get today."""
    who = caseenv.Who(area.db_dir, run_id, run, row.test, row.item, row.attempt, row.gen, row.dir)
    env = dict(shared_env(area).env)
    env.update(caseenv.case_variables(who, item_of(area, row), os.path.realpath(row.dir), row.dir))
    return env


def item_of(area: Area, row: CaseRow) -> Item:
    """The variables of a case's item; a problem of the area when no item has that path any more."""
    if not row.item:
        return ()
    found = next((item for item in area.items(row.test) or () if item_path(item) == row.item), None)
    if found is None:
        area.problems.append(
            Problem(area.spec(row.test).where, f"test {row.test} has no item {row.item} now", "warning")
        )
        return ()
    return found


def there(standing: Standing) -> None:
    """Insist on the run directory; raises MtError with what brings it back."""
    if not standing.directory or not os.path.isdir(standing.directory):
        shown = standing.row.dir or "nothing is recorded"
        raise MtError(f"cannot go to '{standing.id}': no run directory ({shown})", hint=f"mt rerun '{standing.id}'")
