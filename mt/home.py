"""Where an area is: the directory with a megatest.config (spec/config.md M1).

Apart from `opening`, because a query needs to know no more of an area than
this, and must start in milliseconds.
"""

from __future__ import annotations

import os

from mt.errors import ConfigError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONFIG = "megatest.config"


def find(start: str | None, environ: Mapping[str, str], name: str = CONFIG) -> str:
    """The area's directory: at or above `start`; without it $MT_RUN_AREA_HOME, $MT_AREA, or at or above here.

    The search goes no higher than HOME when it begins below HOME.  A run
    directory reached through the link tree is inside the area too, so the
    path by which the shell came here counts when the physical one leads nowhere.
    Raises ConfigError when there is no area.
    """
    if start is None:
        for variable in ("MT_RUN_AREA_HOME", "MT_AREA"):
            if environ.get(variable):
                return _named(environ[variable], variable, name)
        begins = _here(environ)
    elif not os.path.isdir(start):
        raise ConfigError(f"cannot use '{start}': no such directory")
    else:
        begins = [os.path.realpath(start), os.path.abspath(start)]
    for begin in begins:
        for place in _upwards(begin, environ.get("HOME")):
            if os.path.isfile(os.path.join(place, name)):
                return place
    raise ConfigError(f"no {name} at or above '{begins[0]}'", hint="mt init makes an area; -C DIR names one")


def _named(place: str, variable: str, name: str) -> str:
    home = os.path.abspath(place)
    if os.path.isfile(os.path.join(home, name)):
        return home
    raise ConfigError(f"no {name} in '{home}'", hint=f"${variable} names this directory; unset it, or use -C DIR")


def _here(environ: Mapping[str, str]) -> list[str]:
    try:
        here = os.getcwd()
    except OSError as e:
        raise ConfigError(f"the current directory cannot be used: {why(e)}", hint="cd somewhere else") from e
    shell = environ.get("PWD", "")
    try:
        return [here, shell] if os.path.isabs(shell) and os.path.samefile(shell, here) else [here]
    except OSError:
        return [here]


def _upwards(begin: str, top: str | None) -> Iterable[str]:
    place = begin
    while True:
        yield place
        above = os.path.dirname(place)
        if above == place or place == top:
            return
        place = above
