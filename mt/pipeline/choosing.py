"""Which command starts a case: `[jobtools]`, `[launchers]`, `[host-types]` (spec/config.md 2.1, M11; spec/runs.md 4.8).

A launcher is a prefix: `bsub -q short`, `remrun HOST`, an area's own script.
Without one, or with plain `nbfake`, a case needs no process of its own to be
started with: mt's workers run it, which is what `local` says.  The choice is
pure but for `#MTLOWESTLOAD`, which asks hosts how busy they are (`mt/pipeline/loads.py`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mt.launchers.flags import refused
from mt.launchers.words import REQUIREMENTS, Choice, ask_of, launchers_named, over, read_choice
from mt.patterns import TestPattern
from mt.stdio import say

if TYPE_CHECKING:
    from mt.area import Area
    from mt.launchers.base import Ask
    from mt.testspec import Pairs, TestSpec

#: the first word of a host type that means: the least busy of these hosts
LOWEST = "#MTLOWESTLOAD"
#: launchers that only detach, on this host unless NBFAKE_HOST says otherwise
DETACHING = ("nbfake", "nbfind")


class Launcher(NamedTuple):
    """How one case is started.

    `text` is the prefix as written, empty when there is none; with `shell` it
    is shell text (its own quoting and variables count), else words.  `local`
    means that mt's own workers run the case.  `wait` is whether to wait for the
    launching command and to believe its status.  `overrides` are variables for
    that command alone (T81).
    """

    text: str = ""
    shell: bool = True
    local: bool = True
    wait: bool = True
    overrides: Pairs = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The prefix cut at blanks, as it is used without a shell."""
        return tuple(self.text.split())

    def argv(self, job: Sequence[str]) -> tuple[str, ...]:
        """The whole command that starts `job`; the words of the job stay as they are, whatever is in them."""
        if not self.shell:
            return (*self.words, *job)
        line = f"{' '.join(self.text.splitlines())} {shlex.join(job)}".strip()
        return ("/bin/bash", "-c", line)

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """What the launching command gets: `env` with the overrides, which no case inherits from another."""
        return {**env, **dict(self.overrides)}


class Settings(NamedTuple):
    """What an area says of launchers; `patterns` is empty unless `flexi-launcher` is on."""

    launcher: str = ""
    shell: bool = True
    wait: bool = True
    patterns: tuple[tuple[TestPattern, str], ...] = ()
    types: Mapping[str, str] = {}
    away: str = ""
    named: Mapping[str, Mapping[str, str]] = {}
    asked: str = ""


def settings_of(area: Area, asked: str = "") -> Settings:
    """The settings of an area; `away` is the host that NBFAKE_HOST names for all of it, `asked` a launcher for all."""
    flexi = area.setting("jobtools", "flexi-launcher")
    chosen = area.config.items("launchers") if flexi is not None and flexi != "no" else []
    return Settings(
        area.setting("jobtools", "launcher") or "",
        area.setting("jobtools", "useshell") != "no",
        area.setting("setup", "launchwait") != "no",
        tuple((TestPattern(patt), kind.strip()) for patt, kind in chosen),
        {name: command.strip() for name, command in area.config.items("host-types")},
        area.env.get("NBFAKE_HOST", ""),
        launchers_named(area.config),
        asked,
    )


class Launchers:
    """The launcher of every case of an area.

    `spec` looks up a test, `lowest` the least busy of some hosts (None when none
    answers), `warn` is told once of each thing that is wrong.
    """

    def __init__(
        self,
        settings: Settings,
        spec: Callable[[str], TestSpec],
        lowest: Callable[[Sequence[str]], str | None],
        warn: Callable[[str], None] = say,
    ) -> None:
        self.settings = settings
        self._spec = spec
        self._lowest = lowest
        self._warn = warn
        self._warned: set[str] = set()
        self._choices: dict[str, Choice | None] = {}
        self._of_tests: dict[tuple[str, str], Choice] = {}

    @classmethod
    def of_area(cls, area: Area, asked: str = "", warn: Callable[[str], None] = say) -> Launchers:
        """The launchers that an area's files ask for; `asked` on the command line comes before all of them."""
        from mt.pipeline.loads import Loads

        return cls(settings_of(area, asked), area.spec, Loads().lowest, warn)

    def choice(self, test: str, item: str) -> Choice | None:
        """The batch engine of a case with all that its job asks, None when no engine runs it.

        Raises ConfigError for a launcher that names an engine and cannot be
        understood.
        """
        text = self._wanted(test, item)
        if text not in self._choices:
            self._choices[text] = read_choice(text, self.settings.named)
        choice = self._choices[text]
        if choice is None:
            return None
        found = self._of_tests.get((text, test))
        if found is None:
            found = choice._replace(ask=over(self._ask(test, choice.engine), choice.ask))
            self._of_tests[text, test] = found
        return found

    def _ask(self, test: str, engine: str) -> Ask:
        """What a test asks of an engine, without flags that are not for it to say: of these we warn."""
        config = self._spec(test).config
        ask = ask_of(config)
        taken = refused(engine, ask.flags)
        if taken is None:
            return ask
        where = config.where(REQUIREMENTS, "flags") or config.shown(config.path)
        self._missing(f"{where}: [{REQUIREMENTS}] {taken[0]}, so no flags of '{test}' are asked for; {taken[1]}")
        return ask._replace(flags=())

    def read(self, text: str) -> Choice | None:
        """The engine that a launcher text means."""
        return read_choice(text, self.settings.named)

    def any(self) -> bool:
        """Whether anything is said of launchers at all."""
        return bool(self.settings.launcher or self.settings.patterns or self.settings.asked)

    def engines(self) -> bool:
        """Whether a batch engine may run any case."""
        made = self.settings
        kinds = {kind for _, kind in made.patterns}
        texts = (made.launcher, *(text for name, text in made.types.items() if name in kinds))
        return any([self.read(text) for text in ((made.asked,) if made.asked else texts)])  # all: each may be wrong

    def _wanted(self, test: str, item: str) -> str:
        """The text of a case's launcher, without asking any host."""
        if self.settings.asked:
            return self.settings.asked
        for pattern, kind in self.settings.patterns:
            if pattern.matches(test, item) and (found := self.settings.types.get(kind)):
                return "" if found.split()[:1] == [LOWEST] else found
        return self.settings.launcher

    def of(self, test: str, item: str, spec: TestSpec | None = None) -> Launcher:
        """How a case is started; `spec` is the test as read for this case, when the caller has it."""
        made = self.settings
        spec = spec or self._spec(test)
        text = self._text(test, item)
        away = {"NBFAKE_HOST": made.away, **dict(spec.prelaunch), **dict(spec.prelaunch_overrides)}["NBFAKE_HOST"]
        return Launcher(
            text, made.shell, (not away and detaches(text)) or not text, made.wait, spec.prelaunch_overrides
        )

    def _text(self, test: str, item: str) -> str:
        """The first pattern that fits and leads to a launcher, else `[jobtools] launcher`; `local` is none."""
        text = self.settings.asked or self._of_patterns(test, item)
        return "" if text.strip() == "local" else text

    def _of_patterns(self, test: str, item: str) -> str:
        for pattern, kind in self.settings.patterns:
            if pattern.matches(test, item):
                found = self._of_type(kind)
                if found:
                    return found
        return self.settings.launcher

    def _of_type(self, kind: str) -> str:
        command = self.settings.types.get(kind)
        words = command.split() if command else []
        if not words:
            return self._missing(f"WARNING: no launcher found for host-type {kind}")
        if words[0] != LOWEST:
            return command or ""
        host = self._lowest(words[1:])
        return f"remrun {shlex.quote(host)}" if host else self._missing(f"WARNING: no host of host-type {kind} answers")

    def _missing(self, text: str) -> str:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)
        return ""


def detaches(text: str) -> bool:
    """Whether a launcher does nothing but detach: `nbfake`, by whatever path, without words of its own."""
    return os.path.basename(text.strip()) in DETACHING
