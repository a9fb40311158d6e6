"""The area from which others are controlled: its `[areas]`, `[contours]`, `[access]` and packet directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from mt import team
from mt.errors import MtError, why
from mt.mtutil import access, pairs
from mt.opening import RUNCONFIGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mt.config import Config
    from mt.mtutil.talk import Talk

#: the lock that a dispatcher holds, in each directory of packets
LOCK = ".mtutil.lock"
DEFAULT_MAXLOAD = 1.1


class Place(NamedTuple):
    """An area to dispatch to; `translation` names what once translated its targets."""

    name: str
    path: str
    translation: str | None


class Control:
    """The controlling area, read once for a command."""

    def __init__(self, home: str, config: Config) -> None:
        self.home = home
        self.config = config

    @classmethod
    def open(cls, environ: Mapping[str, str], talk: Talk) -> Control:
        """Find and read the area; raises ConfigError as `Area.open` does."""
        from mt.area import Area

        area = Area.open(environ={k: v for k, v in environ.items() if k not in ("MT_TARGET", "MT_RUNNAME")})
        team.join(team.of_area(area.home))
        for problem in area.problems:
            if problem.level == "error":
                talk.warn(f"{problem.where}: {problem.text}")
        return cls(area.home, area.config)

    def setting(self, section: str, key: str) -> str:
        """A value without surrounding blanks; empty when it is not set."""
        return (self.config.get(section, key) or "").strip()

    def section(self, name: str) -> dict[str, str]:
        """A section of megatest.config; empty when it is not there."""
        return dict(self.config.items(name))

    @property
    def packet_directories(self) -> tuple[str, ...]:
        """The directories of packets, the one for new packets first; raises MtError where none is named."""
        words = self.setting("setup", "pktsdirs").split()
        if not words:
            raise MtError("no directory of packets: name one with pktsdirs in [setup] of megatest.config")
        return tuple(dict.fromkeys(self._full(word) for word in words))

    @property
    def store_path(self) -> str:
        """pkts.db, in the area or in the directory `[setup] pdbpath`."""
        folder = self._full(self.setting("setup", "pdbpath") or ".")
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as e:
            raise MtError(f"cannot make '{folder}': {why(e)}") from e
        return os.path.join(folder, "pkts.db")

    @property
    def maxload(self) -> float:
        """The load per processor above which runs and archives are postponed; raises MtError for what is no number."""
        text = self.setting("setup", "maxload")
        try:
            return float(text) if text else DEFAULT_MAXLOAD
        except ValueError:
            raise MtError(f"[setup] maxload '{text}' is not a number") from None

    def places(self) -> dict[str, Place]:
        """The areas that can be asked, by name; those without a path are left out."""
        found = {}
        for name, value in self.config.items("areas"):
            said = pairs.read(value)
            path = said.get("path")
            if path:
                found[name] = Place(name, self._full(path), said.get("targtrans"))
        return found

    def may(self, user: str, action: str, area: str) -> bool:
        """Whether a user may do an action in an area."""
        rules = self.section("access") if self.config.has("access") else None
        return access.granted(rules, self.section("accesstypes"), user=user, action=action, area=area)

    def runkeys(self) -> dict[str, list[tuple[str, str]]]:
        """The keys with colons of each section of runconfigs.config as it is written: the rules.

        Commands of other keys are not run.
        """
        from mt.config import Reading, read

        path = os.path.join(self.home, RUNCONFIGS)
        if not os.path.exists(path):
            return {}
        env = {**os.environ, "MT_RUN_AREA_HOME": self.home}
        config = read(path, Reading(self.home, env=env, mode="deferred", bare_export=True))
        return {
            section: [(key, config.get(section, key) or "") for key in config.keys(section) if ":" in key]
            for section in config.sections()
        }

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the locks of all packet directories for the block, so that nobody else dispatches meanwhile."""
        from mt.locks.filelock import held

        with ExitStack() as stack:
            for directory in sorted({os.path.realpath(d) for d in self.packet_directories}):
                try:
                    os.makedirs(directory, exist_ok=True)
                except OSError as e:
                    raise MtError(f"cannot make '{directory}': {why(e)}") from e
                stack.enter_context(held(os.path.join(directory, LOCK), what="dispatch"))
            yield

    def _full(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.home, os.path.expanduser(path)))


def target_for(place: Place, target: str, talk: Talk) -> str:
    """The target to ask an area for: as it is, with one word where it was once translated by a function."""
    if place.translation and place.translation != "default":
        talk.once(
            f"area {place.name}: targtrans={place.translation} names a function of the user's Scheme;"
            " there are none any more, the target is used as it is"
        )
    return target
