"""Variables of the area that say something else for each case, because they name its test or its items.

Run variables are expanded, and megatest.config is read, once for all cases of
a run.  Megatest did both again in the process of each test (spec/config.md E1
to E3), so `OUT /data/$MT_TEST_NAME` in runconfigs.config and the same in
`[env-override]` had the name in it.  Here they are looked for by the words in
them, so that an area without such values pays nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping

from mt.area import Area
from mt.opening import OVERRIDE

#: what a case knows beyond its run, besides its item variables
OWN = frozenset(("MT_TEST_NAME", "MT_ITEMPATH", "MT_ITEM_INFO", "MT_TEST_RUN_DIR"))
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class CaseVariables:
    """Tells for a case which variables differ from those that all cases share."""

    def __init__(self, area: Area, echo: Callable[[str, Mapping[str, str]], str]) -> None:
        self.area = area
        self.echo = echo
        self.in_runvars = {word for _, value in area.runvars if "$" in value for word in _WORD.findall(value)}
        self.in_overrides = set(_override_words(area))

    def of(self, env: Mapping[str, str], items: Iterable[str]) -> dict[str, str]:
        """The variables to set for a case whose environment is `env` so far; `items` names its item variables."""
        own = OWN.union(items)
        made: dict[str, str] = {}
        if not own.isdisjoint(self.in_runvars):
            made = self._run_variables(env, own)
        if not own.isdisjoint(self.in_overrides):
            made |= self._overrides({**env, **made})
        return {name: value for name, value in made.items() if name not in own}

    def _run_variables(self, env: Mapping[str, str], own: frozenset[str]) -> dict[str, str]:
        """Run variables whose text names the case, or another one of these; the area's own ones win over them."""
        seen, made = dict(env), dict[str, str]()
        late = set(own)
        fixed = self.area.overrides()
        for name, value in self.area.runvars:
            words = _WORD.findall(value)
            if name in fixed:
                continue
            if late.isdisjoint(words):
                made.pop(name, None)
                continue
            if name in words:
                seen[name] = made.get(name, self.area.env.get(name, ""))
            made[name] = seen[name] = self.echo(value, seen)
            late.add(name)
        return made

    def _overrides(self, env: dict[str, str]) -> dict[str, str]:
        """`[env-override]` read again with the names of the case (E3)."""
        config = self.area.config_for(env)
        last = {*self.area.keys, "MT_LINKTREE", "MT_RUNNAME", "MT_RUN_AREA_HOME"}
        pairs = (pair for section in config.sections() if OVERRIDE in section for pair in config.items(section))
        return {name: value for name, value in pairs if name not in last and "\0" not in value}


def _override_words(area: Area) -> Iterable[str]:
    """The words of the lines, as they are written, that give `[env-override]` its values."""
    config = area.config
    files: dict[str, list[str]] = {}
    for section in config.sections():
        for key in config.keys(section) if OVERRIDE in section else ():
            path, _, number = (config.where(section, key) or "").rpartition(":")
            if path not in files:
                files[path] = _lines(os.path.join(area.home, path))
            at = int(number) - 1
            for line in files[path][at : at + 1]:
                yield from _WORD.findall(line)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split("\n")
    except OSError:
        return []  # the output of a script
