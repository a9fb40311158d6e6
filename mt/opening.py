"""Finding an area and reading its files in their order (spec/config.md M1 to M4, 3, 5.1).

`Area.open` is the way in; this is what it does first: where the area is, which
target and run are meant, and which environment every test starts from.
"""

from __future__ import annotations

import os

from mt.config import Config, Problem, Reading, read
from mt.environ import Env
from mt.errors import ConfigError
from mt.home import CONFIG
from mt.targets import is_pattern, parts, reserved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mt.config import Effects
    from mt.testspec import Pairs

RUNCONFIGS = "runconfigs.config"
#: sections whose name contains this are exported while they are read (G40)
OVERRIDE = "env-override"


class Opening:
    """The reading of an area's files in their order, and what comes of it."""

    def __init__(self, home: str, environ: Mapping[str, str], args: Mapping[str, str | bool], effects: Effects) -> None:
        self.home = home
        self.args = args
        self.effects = effects
        self.setvars: dict[str, str] = {}
        self.files: tuple[str, ...] = (CONFIG,)
        self.runconfigs: Config | None = None
        self.runvars: Pairs = ()
        self.keys: tuple[str, ...] = ()
        self.problems: list[Problem] = []
        other = environ.get("MT_RUN_AREA_HOME", home)
        foreign = other != home and os.path.realpath(other) != os.path.realpath(home)
        # within a test of another area its target and link tree are not ours
        hidden = ("MT_LINKTREE", "MT_TARGET", "MT_RUNNAME", "MT_TESTSUITE_NAME") if foreign else ()
        self.environ = {k: v for k, v in environ.items() if k not in hidden}
        self.env = {**self.environ, "MT_RUN_AREA_HOME": home}

    def read(self, target: str | None, run: str | None) -> None:
        """Everything that does not depend on a test."""
        named = target if target is not None else self.environ.get("MT_TARGET")
        self.target = named if named and not is_pattern(named) else None
        self.run = run if run is not None else self.environ.get("MT_RUNNAME") or None
        self.config = self._megatest_config()
        self.keys = tuple(self.config.keys("fields"))
        self._refuse_reserved()
        self.values = self._target_values(given=target is not None)
        if self.target is not None:
            self._read_runconfigs(self.target)
            if self.config.dynamic and self.runvars:
                self.config = self._megatest_config()
        self.name = self._area_name()
        self.linktree = self._link_tree()
        self.problems[:0] = self.config.problems

    def _megatest_config(self) -> Config:
        for name, value in (("MT_TARGET", self.target), ("MT_RUNNAME", self.run)):
            if value is None:
                self.env.pop(name, None)
            else:
                self.env[name] = value
        return self.config_for(self.env)

    def config_for(self, env: dict[str, str]) -> Config:
        """megatest.config as it reads with an environment, which the reading extends."""
        first, *more = self.files
        reading = Reading(
            self.home, env=env, target=self.target, envlike=OVERRIDE, args=self.args, effects=self.effects
        )
        return read(os.path.join(self.home, first), reading, *map(os.path.abspath, more))

    def _refuse_reserved(self) -> None:
        for key in reserved(self.keys):
            where = self.config.where("fields", key)
            raise ConfigError(f"[fields] '{key}' is a reserved name", where=where, hint="call the key something else")

    def _target_values(self, *, given: bool) -> dict[str, str]:
        """The target by key; one from the environment that does not fit is no target (R3)."""
        if self.target is None:
            return {}
        try:
            return parts(self.target, self.keys)
        except ConfigError as e:
            if given:
                raise
            self.problems.append(Problem("$MT_TARGET", e.what, "warning", e.hint))
        self.target = None
        self.config = self._megatest_config()
        return {}

    def _read_runconfigs(self, target: str) -> None:
        path = os.path.join(self.home, RUNCONFIGS)
        if not os.path.exists(path):
            self.problems.append(Problem(RUNCONFIGS, f"WARNING: You do not have a run config file: {path}", "info"))
            return
        reading = Reading(
            self.home, env=self.env, target=target, mode="target", keep=frozenset(("default", target)),
            bare_export=True, args=self.args, effects=self.effects,
        )  # fmt: skip
        self.runconfigs = read(path, reading)
        self.problems.extend(self.runconfigs.problems)
        self.runvars = (*self.runconfigs.items("default"), *self.runconfigs.items(target))
        self.env.update(_raw(self.runvars))

    def _area_name(self) -> str:
        named = self.config.get("setup", "area-name") or self.config.get("setup", "testsuite") or ""
        return named.strip() or self.environ.get("MT_TESTSUITE_NAME") or os.path.basename(self.home) or "area"

    def _link_tree(self) -> str:
        named = self.environ.get("MT_LINKTREE") or (self.config.get("setup", "linktree") or "").strip()
        return os.path.normpath(os.path.join(self.home, named or "lt"))

    def overrides(self) -> list[tuple[str, dict[str, str]]]:
        """Source and variables of what beats the run variables, in order: E2b, E3, E4."""
        said = [pair for s in self.config.sections() if OVERRIDE in s for pair in self.config.items(s)]
        own = {"MT_RUN_AREA_HOME": self.home, "MT_TESTSUITENAME": self.name, "MT_LINKTREE": self.linktree}
        own |= {k: v for k, v in (("MT_TARGET", self.target), ("MT_RUNNAME", self.run)) if v is not None}
        return [
            ("setvars", _exportable(self.setvars.items())),
            (OVERRIDE, _exportable(said)),
            ("fields", self.values),
            ("mt", own),
        ]

    def environment(self) -> Env:
        """The environment in the order of spec/config.md 5.1, as far as it is the same for all tests."""
        changed = {k: v for k, v in self.env.items() if self.environ.get(k) != v}
        kept = {k: v for k, v in self.environ.items() if k in self.env}
        env = Env(kept).child(changed, source=CONFIG).child(_raw(self.runvars), source="runconfigs")
        for source, values in self.overrides():
            env = env.child(values, source=source)
        return env


def _exportable(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those pairs that an environment can hold."""
    return {k: v for k, v in pairs if k and "=" not in k and "\0" not in k and "\0" not in v}


def _raw(pairs: Pairs) -> dict[str, str]:
    """Run variables as they are exported before any test is read: as written, the shell expands them later (R5, R6).

    One that names itself (`PATH $HOME/bin:$PATH`) stays as it was inherited
    until then: as written it would hide what it wants to add to.
    """
    return {k: v for k, v in _exportable(pairs).items() if f"${k}" not in v and f"${{{k}}}" not in v}
