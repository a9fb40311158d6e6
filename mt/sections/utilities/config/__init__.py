"""Files of the configuration language: look at what they say."""

from __future__ import annotations

import os

from mt.errors import ConfigError
from mt.options import RunOptions, flag, opt
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mt.area import Area
    from mt.config import Config, Problem


class FileOptions(RunOptions):
    """Options that say which file is looked at, and for whom it is read."""

    file: str = opt(
        "--file",
        meta="FILE",
        default="megatest.config",
        help="megatest.config, runconfigs, the name of a test (its testconfig), or any other file",
        complete="files",
    )
    origin: bool = flag("--origin", help="show the file and line of each value")


def chosen(opts: FileOptions) -> Config:
    """The file that was asked for, read in the area; raises ConfigError when there is none.

    A name is that of a file of the area first, then of a test, then a path.
    """
    from mt.area import Area

    area = Area.open(opts.chdir, target=opts.target, run=opts.run)
    if opts.file == "megatest.config":
        return area.config
    if opts.file in ("runconfigs", "runconfigs.config"):
        return area.runconfigs or _read(area, os.path.join(area.home, "runconfigs.config"), bare_export=True)
    if opts.file in area.tests():
        return area.spec(opts.file).config
    path = os.path.abspath(opts.file)
    if not os.path.lexists(path):
        from mt.targets import nearest

        hint = nearest(opts.file, ["megatest.config", "runconfigs", *area.tests()])
        raise ConfigError(f"no file and no test is called '{opts.file}'", hint=hint)
    return _read(area, path)


def _read(area: Area, path: str, *, bare_export: bool = False) -> Config:
    """Any file as megatest.config is read: all sections, commands run."""
    from mt.config import Reading, read

    env = area.env.as_dict()
    reading = Reading(
        area.home, env=env, target=area.target, fields=tuple(area.keys), bare_export=bare_export,
        tests=lambda: list(area.tests()),
    )  # fmt: skip
    return read(path, reading)


def found(config: Config, section: str, key: str) -> tuple[str, str] | None:
    """Section and value of a key; run variables that the target does not set are those of [default] (R16)."""
    names = [section]
    if os.path.basename(config.path) == "runconfigs.config":
        names.append("default")
    for name in names:
        value = config.get(name, key)
        if value is not None:
            return name, value
    return None


def tell(problems: Iterable[Problem], opts: FileOptions) -> int:
    """Say what is wrong on stderr; gives the exit status: 3 after an error."""
    status = 0
    for problem in problems:
        if problem.level == "error":
            status = ConfigError.status
        if problem.level == "error" or opts.verbose or (problem.level == "warning" and not opts.quiet):
            say(f"{problem.where}: {problem.text}")
            if problem.hint and (opts.verbose or problem.level == "error"):
                say(f"hint: {problem.hint}")
    return status
