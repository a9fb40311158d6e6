"""What says that the machine failed and not the test: the rules of `[infra]` (spec/features.md B7).

    [infra]
    exit    75 120-125
    signals BUS XFSZ
    log     license server .* down
    log     cannot connect to display

The section may stand in megatest.config and in a testconfig, whose keys replace
those of the area one by one (an empty value: no such rule).  `exit` holds exit
codes and ranges of them, `signals` names of signals, each `log` a regular
expression for the end of the log; all lines of `log` count, also indented ones.

Only a step that fails is looked at, so a rule can never make a good test bad.
Where log rules (logpro) have judged, only `log` applies: they, and not the
exit code, have said that the step failed.

Pure: what mt itself sees of the machine is in `mt.pipeline.machine`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mt.config import Config, Problem

SECTION = "infra"
KEYS = ("exit", "signals", "log")
_CODES = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?", re.ASCII)
#: a shell reports a command that a signal ended as this much more than the signal's number
SHELL_SIGNAL = 128
#: at most so much of a line of a log goes into a comment
_SHOWN = 120


class Rule(NamedTuple):
    """One rule as written, and `file:line`; `first` and `last` are the codes it means, or a signal's number."""

    key: str
    text: str
    where: str
    first: int = 0
    last: int = 0

    def __str__(self) -> str:
        """`[infra] exit 75 (megatest.config:12)`: how a comment names it."""
        return f"[{SECTION}] {self.key} {self.text} ({self.where})"


class Rules(NamedTuple):
    """The rules in force; a key is None where nothing was said of it."""

    exits: tuple[Rule, ...] | None = None
    signals: tuple[Rule, ...] | None = None
    logs: tuple[Rule, ...] | None = None

    def over(self, area: Rules) -> Rules:
        """These, and those of the area for keys that say nothing here."""
        return Rules(*(b if a is None else a for a, b in zip(self, area, strict=True)))

    def of_exits(self, exits: Iterable[int]) -> Rule | None:
        """The first rule that fits how a stage ended: its code, or minus the signal that ended it."""
        for code in exits:
            for rule in self.exits or ():
                if rule.first <= code <= rule.last:
                    return rule
            for rule in self.signals or ():
                if code in (-rule.first, SHELL_SIGNAL + rule.first):
                    return rule
        return None

    def of_log(self, text: str) -> tuple[Rule, str] | None:
        """The first rule that finds something in the end of a log, with the line where it did."""
        for rule in self.logs or ():
            hit = re.search(rule.text, text, re.MULTILINE)
            if hit:
                start = text.rfind("\n", 0, hit.start()) + 1
                return rule, text[start:].partition("\n")[0].strip()[:_SHOWN]
        return None


NONE = Rules()


def rules_of(config: Config) -> Rules:
    """The rules of a file; those that cannot be understood are left out, `problems` tells of them."""
    if not config.has(SECTION):
        return NONE
    found: dict[str, list[Rule]] = {}
    for key in KEYS:
        if config.get(SECTION, key) is not None:
            found[key] = [one for one in _understood(config, key) if isinstance(one, Rule)]
    return Rules(*(tuple(found[key]) if key in found else None for key in KEYS))


def problems(config: Config) -> Iterator[Problem]:
    """What cannot be understood, for `mt check` and the start of a run."""
    for key in KEYS if config.has(SECTION) else ():
        yield from (one for one in _understood(config, key) if isinstance(one, Problem))


def _understood(config: Config, key: str) -> Iterator[Rule | Problem]:
    if key == "log":
        for value, where in config.each(SECTION, key):
            yield from _log_rules(value, where)
        return
    value, where = config.get(SECTION, key) or "", config.where(SECTION, key) or ""
    for word in value.replace(",", " ").split():
        yield _codes(word, where) if key == "exit" else _signal(word, where)


def _log_rules(value: str, where: str) -> Iterator[Rule | Problem]:
    """Each line of a value is an expression of its own."""
    file, _, first = where.rpartition(":")
    for number, line in enumerate(value.split("\n"), int(first)):
        text, place = line.strip(), f"{file}:{number}"
        if not text:
            continue
        try:
            if re.compile(text, re.MULTILINE).search(""):
                yield Problem(place, f"[{SECTION}] log: '{text}' fits every log, so it is not used")
            else:
                yield Rule("log", text, place)
        except (re.error, OverflowError, RecursionError) as e:
            yield Problem(place, f"[{SECTION}] log: '{text}' is no regular expression: {e}, so it is not used")


def _codes(word: str, where: str) -> Rule | Problem:
    hit = _CODES.fullmatch(word)
    first, last = (int(hit[1]), int(hit[2] or hit[1])) if hit else (0, 0)
    if not 1 <= first <= last <= 255:
        hint = "codes are 1 to 255, and ranges such as 120-125"
        return Problem(where, f"[{SECTION}] exit: '{word}' is no exit code of a failure", hint=hint)
    return Rule("exit", word, where, first, last)


def _signal(word: str, where: str) -> Rule | Problem:
    import signal

    name = word.upper().removeprefix("SIG")
    known = signal.Signals.__members__.get(f"SIG{name}")
    if known is None:
        return Problem(where, f"[{SECTION}] signals: unknown signal '{word}'", hint=f"kill -l lists them{_near(name)}")
    return Rule("signals", name, where, known, known)


def _near(name: str) -> str:
    import signal
    from difflib import get_close_matches

    near = get_close_matches(name, [s.name.removeprefix("SIG") for s in signal.Signals], 1)
    return f"; did you mean {near[0]}?" if near else ""


def judged_by(rules: Rules, exits: Sequence[int], tail: str, *, by_log_rules: bool) -> str:
    """Why a step that failed says nothing about its test, naming the rule; empty when no rule fits."""
    rule = None if by_log_rules else rules.of_exits(exits)
    if rule is not None:
        return f"by {rule}"
    found = rules.of_log(tail)
    return f"'{found[1]}' in its log, by {found[0]}" if found else ""
