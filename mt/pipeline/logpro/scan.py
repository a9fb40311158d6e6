"""Match a log against rules, line by line (spec/config.md 6.2, 6.3).  Pure: lines in, hits and verdict out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mt.pipeline.logpro.rules import BODY, Rule, RuleSet, Section

NAMES = {0: "PASS", 1: "FAIL", 2: "WARN", 3: "CHECK", 4: "WAIVE", 5: "ABORT", 6: "SKIP"}
_CODES = (
    (6, ("skip",)),
    (5, ("abort",)),
    (3, ("check",)),
    (1, ("error", "required", "value")),
    (2, ("warning", "required-warn")),
    (4, ("waive",)),
)


class Hit(NamedTuple):
    """A line that a rule counted: number of the line from 0, of the rule, and what a value rule measured."""

    line: int
    rule: int
    groups: tuple[str, ...] = ()
    measured: float | None = None


class Fired(NamedTuple):
    """A trigger that a line set off."""

    line: int
    name: str


class Tally:
    """Counts while a log goes by; afterwards the verdict."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.counts = [0] * len(rules.rules)
        self.passed = [0] * len(rules.rules)
        self.failed = [0] * len(rules.rules)
        self.measured: list[float | None] = [None] * len(rules.rules)
        self.lines = 0
        self.left = [t.limit for t in rules.triggers]
        self.active: set[str] = set()
        self.declared = {s.name for s in rules.sections}
        self._starts: dict[str, list[Section]] = {}
        self._ends: dict[str, list[Section]] = {}
        for section in rules.sections:
            self._starts.setdefault(section.start, []).append(section)
            if section.end:
                self._ends.setdefault(section.end, []).append(section)
        self._watched = self._select()

    def feed(self, line: str) -> tuple[list[Fired], Hit | None]:
        """Judge one line: the triggers it fires, and the one rule that counts it (the earliest that matches)."""
        number = self.lines
        self.lines += 1
        fired = self._triggers(line, number)
        for n, rule in self._watched:
            for pattern in rule.patterns:
                found = pattern.search(line)
                if found is not None:
                    return fired, self._count(n, rule, number, found.groups(""), found)
        return fired, None

    def _count(self, n: int, rule: Rule, line: int, groups: tuple[str, ...], found: object) -> Hit:
        self.counts[n] += 1
        measured = None
        if rule.kind == "value":
            measured = _number(groups, rule.group)
            if measured is not None:
                self.measured[n] = measured
                if rule.accepts(measured):
                    self.passed[n] += 1
                else:
                    self.failed[n] += 1
            else:
                self.failed[n] += 1
        return Hit(line, n, groups, measured)

    def _triggers(self, line: str, number: int) -> list[Fired]:
        fired: list[Fired] = []
        for n, trigger in enumerate(self.rules.triggers):
            left = self.left[n]
            if left == 0 or not any(p.search(line) for p in trigger.patterns):
                continue
            self.left[n] = None if left is None else left - 1
            fired.append(Fired(number, trigger.name))
            self.active.difference_update(s.name for s in self._ends.get(trigger.name, ()))
            self.active.update(s.name for s in self._starts.get(trigger.name, ()))
        if fired:
            self._watched = self._select()
        return fired

    def _select(self) -> list[tuple[int, Rule]]:
        """The rules that look at a line while these sections are active, in order."""
        chosen = []
        for n, rule in enumerate(self.rules.rules):
            if rule.malformed:
                continue
            if rule.inside:
                looks = any(s in self.active for s in rule.sections)
            else:
                looks = any(s in self.declared and s not in self.active for s in rule.sections)
            if looks:
                chosen.append((n, rule))
        return chosen

    # -- afterwards -----------------------------------------------------------------------------

    def is_good(self, n: int) -> bool:
        """Whether rule n is satisfied; ignore and note always are (P12)."""
        rule = self.rules.rules[n]
        if rule.malformed:
            return False
        if rule.kind == "value":
            return self.passed[n] > 0 and self.failed[n] == 0
        return rule.kind in ("ignore", "note") or rule.holds(self.counts[n])

    def violated(self) -> Iterator[int]:
        """The rules that are not satisfied, malformed ones left out."""
        return (n for n, r in enumerate(self.rules.rules) if not r.malformed and not self.is_good(n))

    def code(self) -> int:
        """The exit code (table 6.2)."""
        kinds = {self.rules.rules[n].kind for n in self.violated()}
        for code, of in _CODES:
            if kinds.intersection(of):
                return code
        return 1 if any(r.malformed for r in self.rules.rules) else 0

    def message(self) -> str:
        """`TYPE: description` of the rule that decided, empty when all is well."""
        code = self.code()
        deciding = next((of for c, of in _CODES if c == code), ())
        for n in self.violated():
            rule = self.rules.rules[n]
            if rule.kind in deciding:
                return f"{rule.kind.upper()}: {rule.desc}"
        broken = next((r for r in self.rules.rules if r.malformed), None)
        return f"{broken.where}: rule '{broken.desc}': {broken.malformed}" if code and broken else ""


def _number(groups: tuple[str, ...], group: int) -> float | None:
    """The number that a value rule captured; the old `match: 2` may count the whole match as the first."""
    for n in (group - 1, group - 2):
        if 0 <= n < len(groups):
            try:
                return float(groups[n])
            except (ValueError, TypeError):
                continue
    return None


def scan(rules: RuleSet, lines: Iterable[str]) -> Tally:
    """Judge a whole log."""
    tally = Tally(rules)
    for line in lines:
        tally.feed(line)
    return tally


__all__ = ["BODY", "NAMES", "Fired", "Hit", "Tally", "scan"]
