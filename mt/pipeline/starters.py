"""What can start cases here: mt's own workers, commands, batch engines, and what an area names (`mt launcher list`)."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple

from mt.errors import ConfigError, LaunchError
from mt.launchers import ENGINES, engine
from mt.launchers.calling import call, explain, fits
from mt.launchers.words import launchers_named, read_choice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mt.area import Area
    from mt.config import Config
    from mt.launchers.base import Engine

#: seconds that a program may take to tell its version
_PATIENCE = 10.0
#: a launcher that only detaches is mt's own workers (mt/pipeline/choosing.py)
_LOCAL = ("", "local", "nbfake", "nbfind")


class Listed(NamedTuple):
    """One launcher; `ok` tells that its programs are here, `available` their version or what is missing."""

    name: str
    kind: str
    ok: bool
    available: str
    what: str
    used: list[str]
    engine: str = ""


class State(NamedTuple):
    """Whether something can be used, and its version or why not."""

    ok: bool
    said: str


def area_of(start: str | None, env: Mapping[str, str]) -> Area | None:
    """The area at or above `start` or here; None outside of one, unless `start` was to name one.

    Raises ConfigError for files of an area that cannot be used.
    """
    from mt.home import find

    try:
        find(start, env)
    except ConfigError:
        if start is not None:
            raise
        return None
    from mt.area import Area

    return Area.open(start, environ=env)


def listed(config: Config | None, env: Mapping[str, str]) -> Iterator[Listed]:
    """Every launcher, those that the area names after those that are always there."""
    named = launchers_named(config) if config else {}
    users = _users(config, named) if config else {}
    states = {name: state_of(engine(name), env) for name in ENGINES}
    many = len(os.sched_getaffinity(0))
    own = State(True, f"{many} processor{'s' * (many != 1)}")
    yield Listed("local", "local", *own, "workers of mt on this host", users.pop("local", []) or ["by default"], "")
    yield Listed("command", "command", True, "always", "any command in front of a case, as `remrun HOST`", [])
    for name in ENGINES:
        yield Listed(name, "engine", *states[name], engine(name).title, users.pop(name, []), name)
    for name, section in named.items():
        text = " ".join(f"{key}={value}" for key, value in section.items() if key != "engine")
        yield _named(
            name, "section", f"{section.get('engine', name)} {text}".strip(), name, named, states, env
        )._replace(used=users.pop(name, []))
    for text, used in users.items():
        yield _named(text.split()[0], "setting", text, text, named, states, env)._replace(used=used)


def _named(
    name: str, kind: str, what: str, text: str, named: Mapping[str, Mapping[str, str]], states: Mapping[str, State],
    env: Mapping[str, str],
) -> Listed:  # fmt: skip
    """A launcher as an area writes it: an engine with words, or a command."""
    try:
        choice = read_choice(text, named)
    except ConfigError as e:
        return Listed(name, kind, False, e.what, what, [])
    if choice is not None:
        return Listed(name, kind, *states[choice.engine], what, [], choice.engine)
    found = shutil.which(name, path=env.get("PATH"))
    ours = name in ("remrun",)
    return Listed(name, kind, bool(found) or ours, found or ("of mt" if ours else f"no '{name}' on PATH"), what, [])


def _users(config: Config, named: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """{launcher: who uses it}: by the name of a section or engine where there is no more to it, else by its text."""
    texts = [("[jobtools] launcher", config.get("jobtools", "launcher") or "")]
    texts += [(f"[host-types] {name}", text) for name, text in config.items("host-types")]
    found: dict[str, list[str]] = {}
    for where, text in texts:
        text = text.strip()
        if text or where.startswith("[host"):
            found.setdefault("local" if text in _LOCAL else text, []).append(where)
    return found


def missing(made: Engine, env: Mapping[str, str]) -> list[str]:
    """The programs of an engine that are not on PATH."""
    return [name for name in made.programs if shutil.which(name, path=env.get("PATH")) is None]


def state_of(made: Engine, env: Mapping[str, str]) -> State:
    """The version of an engine, or which of its programs are missing."""
    absent = missing(made, env)
    if absent:
        return State(False, f"no {', '.join(absent)} on PATH")
    try:
        answer = call(made.version, seconds=_PATIENCE, env=env)
    except LaunchError as e:
        return State(False, e.what)
    said = next((line.strip() for line in f"{answer.out}\n{answer.err}".splitlines() if line.strip()), "")
    if answer.status:
        return State(False, f"does not tell its version: {explain(made, answer)}")
    if made.maker and not fits(made.maker, answer):
        return State(False, f"its programs are those of another engine: {said[:100]}")
    return State(True, said[:100] or "installed")
