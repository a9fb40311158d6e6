"""One test as its testconfig describes it: a frozen value made from a `Config` (spec/config.md 4).

Nothing is read or run here, except that asking a deferred `Config` for a value
runs its command (T21).  What is wrong is collected as `Problem`s: an area with
one bad test still runs its others.

A named tuple and no dataclass: it is as frozen, and a command that reads no
test does not pay for importing dataclasses.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from itertools import product, zip_longest
from typing import NamedTuple

from mt.config import Config, Problem, programs
from mt.durations import read_duration
from mt.errors import ConfigError
from mt.selectors import ItemMaps, Lines, item_rule

Pairs = tuple[tuple[str, str], ...]
#: the variables of one item with their values, in the order of the file
Item = tuple[tuple[str, str], ...]

MODES = ("normal", "toplevel", "itemwait", "itemmatch", "exclusive")
PRELAUNCH = "pre-launch-env-vars"
SKIPS = ("prevrunning", "fileexists", "rundelay")

_PREFIX = re.compile(r"\{\s*(\w[\w.-]*=[^{}]*)\}\s*")


class StepSpec(NamedTuple):
    """One step: the command without its `{k=v;...}` prefix, which became `vars`; `where` is file:line."""

    name: str
    command: str
    vars: Pairs = ()
    where: str = ""


class TestSpec(NamedTuple):
    """What a testconfig says.

    `items` is None for a test without items and () for one whose lists are
    empty (T41); with `items_deferred` they are not known before the test is
    expanded: then `area.case_spec` tells them.  `disks` is None without a
    section `[disks]`.  `scripts` are programs that the testconfig carries
    itself, name and text (`[script NAME]`, an extension).  `dynamic` means that
    the environment or a command counted, so each case reads the file again.
    `runtimelim` is seconds.
    """

    name: str
    dir: str
    where: str
    config: Config
    waitons: tuple[str, ...] = ()
    waitors: tuple[str, ...] = ()
    modes: frozenset[str] = frozenset()
    priority: float = 0.0
    jobgroup: str = ""
    runtimelim: float | None = None
    itemmaps: ItemMaps = ItemMaps()
    items: tuple[Item, ...] | None = None
    items_deferred: bool = False
    steps: tuple[StepSpec, ...] = ()
    runscript: str | None = None
    logpro: dict[str, str] = {}  # noqa: RUF012 - a default that nobody changes
    skip: tuple[str, str] | None = None
    waivers: Pairs = ()
    waiver_rules: Pairs = ()
    triggers: Pairs = ()
    meta: dict[str, str] = {}  # noqa: RUF012 - a default that is never changed
    tags: tuple[str, ...] = ()
    prelaunch: Pairs = ()
    prelaunch_overrides: Pairs = ()
    disks: tuple[tuple[str, str], ...] | None = None
    subrun: Pairs = ()
    scripts: Pairs = ()
    dynamic: bool = False
    problems: tuple[Problem, ...] = ()


# not a test class, whatever pytest thinks of its name; a named tuple's own body takes only fields
TestSpec.__test__ = False  # type: ignore[attr-defined] # tells pytest that this is no test


def item_path(item: Item) -> str:
    """The values joined with `/`: the name of an item everywhere."""
    return "/".join([value for _, value in item])


def item_info(item: Item) -> str:
    """The text of MT_ITEM_INFO: `((VAR value) (VAR2 value2))`."""
    return "(" + " ".join(f"({name} {value})" for name, value in item) + ")"


def expand_items(config: Config) -> tuple[Item, ...] | None:
    """The items of a test, None when it has none (T40 to T45).

    `[items]` gives the product, first variable slowest; `[itemstable]` gives
    one item for each column, short rows filled with `-`; both add up.
    """
    lists = [(name, value.split()) for name, value in config.items("items")]
    table = [(name, value.split()) for name, value in config.items("itemstable")]
    if not lists and not table:
        return None
    made: list[Item] = []
    if lists:
        names = [name for name, _ in lists]
        made += [tuple(zip(names, values, strict=True)) for values in product(*(v for _, v in lists))]
    if table:
        names = [name for name, _ in table]
        columns = zip_longest(*(v for _, v in table), fillvalue="-")
        made += [tuple(zip(names, values, strict=True)) for values in columns]
    return tuple(made)


def item_lines(text: str) -> Lines:
    """The lines `regex replacement` of an item map; without a replacement what matches is deleted."""
    lines = []
    for line in text.splitlines():
        words = line.split(None, 1)
        if words:
            lines.append((words[0], words[1].strip() if len(words) > 1 else ""))
    return tuple(lines)


def split_step(value: str) -> tuple[str, Pairs]:
    """The command of a step and the pairs of its prefix `{k=v;k2=v2}`; a shell's own braces stay a command."""
    text = value.strip()
    hit = _PREFIX.match(text)
    if hit is None:
        return text, ()
    pairs = (pair.partition("=") for pair in hit[1].split(";") if pair.strip())
    return text[hit.end() :], tuple((k.strip(), v.strip()) for k, _, v in pairs)


def step_env(env: Mapping[str, str], pairs: Pairs) -> Mapping[str, str]:
    """The environment of a step with this prefix: its variables, and with `subrun` no MT_ variable (T11)."""
    if not pairs:
        return env
    said = dict(pairs)
    if said.pop("subrun", "no") in ("", "no", "false", "0", "#f"):
        return {**env, **said}
    return {k: v for k, v in env.items() if not k.startswith("MT_")} | said


def wait_problems(spec: TestSpec, known: Container[str]) -> list[Problem]:
    """What is wrong with the names a test waits on; scripts look for these texts (spec/runs.md 7)."""
    found = []
    for key, names in (("waiton", spec.waitons), ("waitor", spec.waitors)):
        where = spec.config.where("requirements", key) or spec.where
        for name in names:
            if name == spec.name:
                text = f"ERROR: test {spec.name} has listed itself as a waiton or waitor, please correct this!"
            elif name not in known:
                text = f"ERROR: test {spec.name} has unrecognised {key} testname {name}"
            else:
                continue
            found.append(Problem(where, text))
    return found


def make_spec(name: str, directory: str, config: Config, *, expand: bool = True) -> TestSpec:
    """The specification of a test from its testconfig.

    `config` was read for building the queue (deferred) or for one case
    (immediate).  Without `expand` a command runs only for what building the
    queue needs: waitons and other requirements, not item lists nor steps.
    Waitons are given as written; `wait_problems` says which of them are none.
    """
    return _Maker(name, config, expand).make(directory)


def _names(value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.split())) if value else ()


class _Maker:
    """Picks a specification out of a Config and remembers what is wrong."""

    def __init__(self, name: str, config: Config, expand: bool) -> None:
        self.name = name
        self.config = config
        self.expand = expand
        self.said: list[Problem] = []

    def make(self, directory: str) -> TestSpec:
        config = self.config
        needs = dict(config.items("requirements")) if config.has("requirements") else {}
        meta = dict(config.items("test_meta")) if config.has("test_meta") else {}
        deferred = not self.expand and self._items_deferred()
        limit = needs.get("runtimelim", "").strip()
        return TestSpec(
            name=self.name,
            dir=directory,
            where=config.shown(config.path),
            config=config,
            waitons=_names(needs.get("waiton")),
            waitors=_names(needs.get("waitor")),
            modes=self._modes(needs),
            priority=self._priority(needs),
            jobgroup=(meta.get("jobgroup") or needs.get("jobgroup") or "").strip(),
            runtimelim=self._limit(limit) if limit else None,
            itemmaps=self._itemmaps(needs),
            items=None if deferred else self._items(),
            items_deferred=deferred,
            steps=self._steps(),
            runscript=self._value("setup", "runscript"),
            logpro=dict(self._pairs("logpro")),
            skip=self._skip(),
            waivers=self._pairs("waivers"),
            waiver_rules=self._pairs("waiver_rules"),
            triggers=self._pairs("triggers"),
            meta=meta,
            tags=tuple(t.strip() for t in meta.get("tags", "").split(",") if t.strip()),
            prelaunch=self._containing(PRELAUNCH),
            prelaunch_overrides=self._pairs("pre-launch-env-overrides"),
            disks=self._pairs("disks") if config.has("disks") else None,
            subrun=self._pairs("subrun"),
            scripts=tuple(programs(config)),
            dynamic=config.dynamic,
            problems=(*config.problems, *self.said),
        )

    def _report(self, section: str, key: str, text: str, level: str = "error", hint: str | None = None) -> None:
        where = self.config.where(section, key) or self.config.shown(self.config.path)
        self.said.append(Problem(where, text, level, hint))

    def _pairs(self, section: str) -> Pairs:
        """Entries of a section; a value that a command prints is left empty while the queue is built."""
        config = self.config
        if self.expand or not config.dynamic:
            return tuple(config.items(section))
        return tuple(
            (key, "" if config.is_deferred(section, key) else config.get(section, key) or "")
            for key in config.keys(section)
        )

    def _value(self, section: str, key: str) -> str | None:
        value = self.config.get(section, key)
        return value.strip() or None if value else None

    def _containing(self, pattern: str) -> Pairs:
        """Entries of all sections whose names contain the pattern: `[pre-launch-env-vars]` and its spellings."""
        found: dict[str, str] = {}
        for section in self.config.sections():
            if pattern in section:
                found.update(self._pairs(section))
        return tuple(found.items())

    def _modes(self, needs: dict[str, str]) -> frozenset[str]:
        words = needs.get("mode", "").split()
        for word in words:
            if word not in MODES:
                self._report("requirements", "mode", f"unknown mode '{word}'", hint="modes: " + ", ".join(MODES))
        return frozenset(words)

    def _priority(self, needs: dict[str, str]) -> float:
        text = needs.get("priority", "").strip()
        try:
            return float(text) if text else 0.0
        except ValueError:
            self._report("requirements", "priority", f"priority '{text}' is not a number, taken as 0")
            return 0.0

    def _limit(self, text: str) -> float:
        limit = read_duration(text)
        for doubt in limit.doubts:
            self._report("requirements", "runtimelim", f"time limit: {doubt}", "warning", "write it as 1h 30m")
        return float(limit.seconds)

    def _itemmaps(self, needs: dict[str, str]) -> ItemMaps:
        general = needs.get("itemmap")
        some = self.config.items("itemmap") if self.config.has("itemmap") else []
        if not general and not some:
            return ItemMaps()
        made = ItemMaps(item_lines(general or ""), tuple((patt, item_lines(text)) for patt, text in some))
        self._check_map("requirements", "itemmap", made.general)
        for pattern, lines in made.some:
            self._check_map("itemmap", pattern, lines)
        return made

    def _check_map(self, section: str, key: str, lines: Lines) -> None:
        for pattern, _ in lines:
            try:
                item_rule(pattern)
            except ConfigError as e:
                self._report(section, key, e.what)

    def _items_deferred(self) -> bool:
        config = self.config
        return any(config.is_deferred(s, k) for s in ("items", "itemstable") for k in config.keys(s))

    def _items(self) -> tuple[Item, ...] | None:
        config = self.config
        items = expand_items(config)
        for section in ("items", "itemstable"):
            if config.has(section) and not config.keys(section):
                text = f"WARNING:[{section}] section in testconfig but no entries defined"
                self._report(section, "", text, "warning", "give it a variable, or remove it")
        return items

    def _steps(self) -> tuple[StepSpec, ...]:
        steps = []
        for name, value in self._pairs("ezsteps"):
            command, pairs = split_step(value)
            steps.append(StepSpec(name, command, pairs, self.config.where("ezsteps", name) or ""))
        return tuple(steps)

    def _skip(self) -> tuple[str, str] | None:
        """Only the first kind that is present counts, in the order of T30."""
        for kind in SKIPS:
            value = self.config.get("skip", kind)
            if value is not None:
                return kind, value.strip()
        return None
