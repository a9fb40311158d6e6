"""An area: the directory with a megatest.config, and all that its files say (spec/config.md 2, 3, 5).

`Area.open` finds it, reads `megatest.config`, then `runconfigs.config` for the
target, then `megatest.config` once more when run variables may change it (M4),
and makes the environment a value.  Tests are listed and read when asked for.
Nothing is written: `prepare` makes what a run needs.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mt import team
from mt.config import Config, Problem, Reading, SystemEffects, read
from mt.durations import read_duration
from mt.environ import BLACKLIST, SECRETS, is_secret
from mt.errors import ConfigError, MtError, why
from mt.home import CONFIG, find
from mt.memo import Memo
from mt.opening import RUNCONFIGS, Opening
from mt.targets import matching, nearest
from mt.testspec import PRELAUNCH, TestSpec, make_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mt.config import Effects
    from mt.testspec import Item, Pairs

_NO = ("no", "off", "false", "0")


class Limits(NamedTuple):
    """How much may run at once and for how long, as the area says it; None where it says nothing."""

    max_jobs: int | None
    launch_delay: float
    jobgroups: dict[str, int]
    runtimelim: float | None
    reruns: int | None
    deadtime: float


class Area:
    """One area read for one target and run; settings, tests and their specifications.

    `target` and `run_name` are None where not known.  `problems` collects what
    was wrong and put up with; it grows as more is read.  `env` is what every
    test of this area starts from: what was inherited, what megatest.config
    exports, the run variables as written (R5) and the MT_ variables.
    """

    def __init__(self, opening: Opening) -> None:
        self.home = opening.home
        self.config = opening.config
        self.runconfigs = opening.runconfigs
        self.keys = opening.keys
        self.target = opening.target
        self.run_name = opening.run
        self.name = opening.name
        self.linktree = opening.linktree
        self.runvars: Pairs = opening.runvars
        self.env = opening.environment()
        self.inherited = opening.environ
        self.setvars = tuple(opening.setvars.items())
        self._overrides = {name: value for _, values in opening.overrides() for name, value in values.items()}
        self.problems = opening.problems
        self.db_dir = os.path.join(self.home, ".mtdb")
        self.config_for = opening.config_for
        self._args = opening.args
        self._effects = opening.effects
        self._tests: dict[str, str] | None = None
        self._specs: dict[str, TestSpec] = {}
        self._memo = Memo()

    @classmethod
    def open(
        cls,
        start: str | None = None,
        *,
        target: str | None = None,
        run: str | None = None,
        environ: Mapping[str, str] = os.environ,
        setvars: Iterable[tuple[str, str]] = (),
        args: Mapping[str, str | bool] | None = None,
        append: str | None = None,
        config: str = CONFIG,
        known_target: bool = False,
        effects: Effects | None = None,
    ) -> Area:
        """Find an area and read it.

        Without `target` and `run` those of the environment count.  A target
        with wildcards names no one target and counts as unknown.  With
        `known_target` it must be a section of runconfigs.config (R4).  `setvars`
        beat run variables; `append` is a file read after megatest.config (M2).
        Raises ConfigError: no area, a file that cannot be read, a target that
        does not fit the keys, keys with reserved names.
        """
        opening = Opening(find(start, environ, config), environ, args or {}, effects or SystemEffects())
        opening.setvars = dict(setvars)
        opening.files = (config, append) if append else (config,)
        opening.read(target, run)
        area = cls(opening)
        if known_target and area.target is not None and area.target not in area.targets():
            hint = nearest(area.target, [t for t in area.targets() if t != "default"])
            raise ConfigError(f"[{area.target}] not found in {RUNCONFIGS}", hint=hint)
        return area

    # -- settings

    def setting(self, section: str, key: str, default: str | None = None) -> str | None:
        """A value of megatest.config without surrounding blanks; `default` when not set or blank."""
        value = self.config.get(section, key)
        return (value.strip() or default) if value is not None else default

    def number(self, section: str, key: str, default: float) -> float:
        """A plain decimal; anything else is a problem, and the default."""
        text = self.setting(section, key)
        if text is None:
            return default
        try:
            return float(text)
        except ValueError:
            self._doubt(section, key, f"'{text}' is not a number, taken as {default:g}")
            return default

    def seconds(self, section: str, key: str, default: float | None = None) -> float | None:
        """A length of time such as `1h 30m`, or a bare number of seconds."""
        text = self.setting(section, key)
        if text is None:
            return default
        try:
            return float(text)
        except ValueError:
            return float(read_duration(text).seconds)

    def flag(self, section: str, key: str, default: bool = False) -> bool:
        """Whether a setting is on: anything but `no`, `off`, `false` and `0`."""
        text = self.setting(section, key)
        return default if text is None else text.lower() not in _NO

    def _doubt(self, section: str, key: str, text: str) -> None:
        problem = Problem(self.config.where(section, key) or CONFIG, f"[{section}] {key}: {text}", "warning")
        if problem not in self.problems:
            self.problems.append(problem)

    @property
    def limits(self) -> Limits:
        """Job counts and times; `launch_delay` is read as an alias of `launch-delay` (D9)."""
        jobs = int(self.number("setup", "max_concurrent_jobs", 0))
        delay = "launch-delay" if self.setting("setup", "launch-delay") is not None else "launch_delay"
        reruns = int(self.number("setup", "reruns", -1))
        groups = [name for name, _ in self.config.items("jobgroups")]
        return Limits(
            jobs if jobs > 0 else None,
            self.number("setup", delay, 0.0),
            {name: int(self.number("jobgroups", name, 0)) for name in groups},
            self.seconds("setup", "runtimelim"),
            reruns if reruns >= 0 else None,
            self.seconds("setup", "deadtime") or 7200.0,
        )

    @property
    def disks(self) -> tuple[tuple[str, str], ...] | None:
        """Names and directories of `[disks]`; None without that section."""
        return tuple(self.config.items("disks")) if self.config.has("disks") else None

    @property
    def blacklist(self) -> tuple[str, ...]:
        """Variables that megatest.sh only shows as comments."""
        text = self.config.get("setup", "blacklistvars")
        return BLACKLIST if text is None else tuple(text.split())

    @property
    def secrets(self) -> frozenset[str]:
        """Variables that megatest.sh names without their values; what the area's files set is no secret."""
        said = self.setting("setup", "secretvars")
        patterns = SECRETS if said is None else said.split()
        return frozenset(
            n for n in self.env if is_secret(n, patterns) and self.env.source(n) in ("inherited", "setvars")
        )

    def overrides(self) -> dict[str, str]:
        """Variables that beat the run variables (E2b to E4), for whoever expands those again (R6)."""
        return dict(self._overrides)

    # -- targets and run variables

    def targets(self, pattern: str | None = None) -> list[str]:
        """Section names of runconfigs.config, sorted, `default` included; those that match the comma list (R13)."""
        path = os.path.join(self.home, RUNCONFIGS)
        if not os.path.exists(path):
            return []
        env = self.env.as_dict()
        config = read(path, Reading(self.home, env=env, bare_export=True, args=self._args, effects=self._effects))
        self.problems.extend(p for p in config.problems if p not in self.problems)
        return matching(config.sections(), pattern)

    def run_variable(self, name: str) -> str | None:
        """A value of runconfigs.config: of the target, else of `[default]`."""
        if self.runconfigs is None:
            return None
        found = self.runconfigs.get(self.target, name) if self.target else None
        return self.runconfigs.get("default", name) if found is None else found

    def testpatt(self, asked: str | None = None, key: str | None = None, *, force: bool = False) -> str | None:
        """The test pattern to use (spec/runs.md 2.4): what was asked, unless that is nothing or `%` and a key has one.

        `key` is TESTPATT unless another one was named; with `force` it alone
        decides, and None means that there is no pattern.
        """
        value = self.run_variable(key or "TESTPATT")
        if force:
            return value
        if value and asked in (None, "", "%"):
            return value
        return asked or "%"

    # -- tests

    def tests_paths(self) -> list[str]:
        """Directories that hold tests, in the order in which they are searched."""
        values = [v.strip() for _, v in self.config.items("tests-paths") if v.strip()]
        paths = [os.path.normpath(os.path.join(self.home, v)) for v in (*values, "tests")]
        return list(dict.fromkeys(paths))

    def tests(self) -> dict[str, str]:
        """Name -> directory of every test; the first path that has a name wins (T1)."""
        if self._tests is None:
            found: dict[str, str] = {}
            for path in self.tests_paths():
                for name in self._list(path):
                    found.setdefault(name, os.path.join(path, name))
            self._tests = found
        return self._tests

    def _list(self, path: str) -> list[str]:
        try:
            with os.scandir(path) as entries:
                names = [e.name for e in entries if e.name[0] != "." and e.is_dir()]
        except OSError as e:
            text = f"tests path '{self.config.shown(path)}' cannot be read: {why(e)}"
            self.problems.append(Problem(CONFIG, text, "warning", "see [tests-paths]"))
            return []
        return sorted([n for n in names if os.path.isfile(f"{path}/{n}/testconfig")])

    def spec(self, name: str) -> TestSpec:
        """A test as read for building the queue: item lists that a command prints are left for later.

        Raises ConfigError for a name that is no test, with the nearest ones,
        and for a testconfig that cannot be read.
        """
        found = self._specs.get(name)
        if found is None:
            config, directory = self._read_test(name, {**self.env, "MT_TEST_NAME": name}, "deferred")
            found = self._specs[name] = make_spec(name, directory, config, expand=False)
        return found

    def case_spec(self, name: str, env: Mapping[str, str]) -> TestSpec:
        """A test as read for one case (T2): `env` has the variables of its item.

        A file that nothing from outside can change is not read again.
        """
        known = self.spec(name)
        if not known.dynamic:
            return known
        config, directory = self._read_test(name, dict(env), "immediate")
        return make_spec(name, directory, config)

    def items(self, name: str) -> tuple[Item, ...] | None:
        """The items of a test now, commands run (T46); None for a test without items."""
        known = self.spec(name)
        if not known.items_deferred:
            return known.items
        return self.case_spec(name, {**self.env, "MT_TEST_NAME": name}).items

    def _read_test(self, name: str, env: dict[str, str], mode: str) -> tuple[Config, str]:
        directory = self.tests().get(name)
        if directory is None:
            raise ConfigError(f"no test is called '{name}'", hint=nearest(name, self.tests()))
        reading = Reading(
            self.home, env=env, target=self.target, mode=mode, envlike=PRELAUNCH, args=self._args,
            effects=self._effects, tests=lambda: list(self.tests()), memo=self._memo,
        )  # fmt: skip
        return read(os.path.join(directory, "testconfig"), reading), directory

    # -- effects

    def prepare(self) -> None:
        """Make the link tree and the link `lt` to it; what is there already stays (M3).  A team's is the team's."""
        link = os.path.join(self.home, "lt")
        group = team.of_area(self.home, self.setting("db", "group"))
        team.join(group)
        try:
            team.make_directory(self.linktree, group)
            if not os.path.lexists(link):
                os.symlink(self.linktree, link)
        except FileExistsError:
            if not os.path.isdir(self.linktree):
                raise MtError(f"cannot use link tree '{self.linktree}': not a directory") from None
        except OSError as e:
            raise MtError(f"cannot make link tree '{self.linktree}': {why(e)}") from e
