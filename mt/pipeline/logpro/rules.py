"""Log rules: from their text to an immutable set of triggers, sections and rules (spec/config.md 6.4).

The rules are a small Scheme program whose calls of `expect:*`, `trigger`,
`section` and `hook:add` each add one thing.  Order is kept: it decides which
rule counts a line (P10).
"""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mt.errors import ConfigError
from mt.scheme import Interpreter, Keyword, Pair, Symbol, to_text
from mt.scheme.patterns import Regex

#: type of rule -> how it is written in messages, in the order of P31
TYPES = ("error", "warning", "required", "required-warn", "ignore", "note", "check", "abort", "skip", "waive", "value")
_ALIAS = {"warn": "warning", "waived": "waive", "waiver": "waive"}
_OPS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
BODY_TRIGGER, BODY = "LogFileBodyStart", "LogFileBody"


class Trigger(NamedTuple):
    """A named line event with how often it may fire; None is for ever."""

    name: str
    patterns: tuple[Regex, ...]
    limit: int | None
    required: bool


class Section(NamedTuple):
    """A region of the log between two triggers; without an end it goes on to the last line."""

    name: str
    start: str
    end: str


class Rule(NamedTuple):
    """One expectation.  For value rules `op` is None when `number` is a tolerance around `value`."""

    kind: str
    inside: bool
    sections: tuple[str, ...]
    op: str | None
    number: float
    desc: str
    patterns: tuple[Regex, ...]
    where: str
    value: float = 0.0
    group: int = 1
    hook: str = ""
    css: str = ""
    malformed: str = ""

    def holds(self, count: int) -> bool:
        """Whether a count of hits is as expected; value rules are judged by their numbers instead."""
        return _OPS[self.op or "="](count, self.number)

    def accepts(self, measured: float) -> bool:
        """Whether a measured value is as expected."""
        if self.op is None:
            return abs(measured - self.value) <= self.number
        return _OPS[self.op](measured, self.value)


class Hook(NamedTuple):
    """A command for the hits of rules that name it."""

    command: str
    one_time: bool


class RuleSet(NamedTuple):
    """Everything that a rules file says."""

    triggers: tuple[Trigger, ...]
    sections: tuple[Section, ...]
    rules: tuple[Rule, ...]
    hooks: dict[str, Hook]

    @property
    def malformed(self) -> list[tuple[str, str]]:
        """(file:line, what is wrong) of each rule that cannot be judged."""
        return [(r.where, f"rule '{r.desc}': {r.malformed}") for r in self.rules if r.malformed]


def load_rules(text: str, source: str, *, directory: str = ".") -> RuleSet:
    """Evaluate rules; raises ConfigError with file:line for what cannot be read (P4)."""
    maker = _Maker(directory)
    interpreter = Interpreter(maker.procedures(), load=maker.load, show=lambda text: None)
    maker.interpreter = interpreter
    for name in ("in", "not-in"):
        interpreter.define(name, Symbol(name))
    interpreter.define("logfile", BODY)
    maker.operators = {id(interpreter.globals.own[name]): name for name in _OPS}
    interpreter.run(text, source)
    return RuleSet(tuple(maker.triggers), tuple(maker.sections), tuple(maker.rules), maker.hooks)


class _Maker:
    """Collects what the program calls."""

    interpreter: Interpreter
    operators: dict[int, str]

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.triggers = [Trigger(BODY_TRIGGER, (Regex(""),), 1, False)]
        self.sections = [Section(BODY, BODY_TRIGGER, "")]
        self.rules: list[Rule] = []
        self.hooks: dict[str, Hook] = {}

    def procedures(self) -> dict[str, object]:
        """The names that rules may call."""
        table: dict[str, object] = {f"expect:{kind}": self._expecting(kind) for kind in (*TYPES[:-1], *_ALIAS)}
        table["expect"] = self._expecting("error")
        table["expect:value"] = self.value
        table["trigger"] = lambda name, *patterns: self.trigger(name, 1, patterns, required=True)
        table["trigger:non-required"] = lambda name, *patterns: self.trigger(name, 1, patterns, required=False)
        table["trigger-with-limit"] = lambda name, n, *patterns: self.trigger(name, n, patterns, required=True)
        table["section"] = self.section
        table["hook:add"] = self.hook
        for old in ("first-error", "first-warning", "value"):
            table[f"hook:{old}"] = lambda *args: None
        return table

    def load(self, path: str) -> str:
        """Another rules file, relative to the directory of the log."""
        full = os.path.join(self.directory, path)
        try:
            with open(full, encoding="utf-8", errors="surrogateescape") as f:
                return f.read()
        except OSError as e:
            raise ConfigError(f"cannot load '{path}': {(e.strerror or str(e)).lower()}") from e

    def trigger(self, name: object, limit: object, patterns: Sequence[object], *, required: bool) -> None:
        """A trigger; a limit that is no number is for ever."""
        most = int(limit) if isinstance(limit, int | float) else None
        self.triggers.append(Trigger(to_text(name), _patterns(patterns), most, required))

    def section(self, name: object, start: object, end: object = "", *more: object) -> None:
        """A section between two triggers."""
        self.sections.append(Section(to_text(name), to_text(start), to_text(end) if end else ""))

    def hook(self, name: object, command: object, *more: object) -> None:
        """A hook that rules can name."""
        words = _keywords(more)[1]
        self.hooks[to_text(name)] = Hook(to_text(command), words.get("one-time", False) is not False)

    def _expecting(self, kind: str) -> Callable[..., None]:
        def expect(*args: object) -> None:
            self.expect(_ALIAS.get(kind, kind), args)

        return expect

    def expect(self, kind: str, args: Sequence[object]) -> None:
        """`(expect:TYPE in SECTION OP N "desc" PATT ...)`."""
        plain, words = _keywords(args)
        where = self.interpreter.where
        if len(plain) < 6:
            self.rules.append(_broken(kind, f"expect:{kind} takes in SECTION OP N DESCRIPTION PATTERN", where))
            return
        side, sections, op, number, desc, *patterns = plain
        named = self.operators.get(id(op))
        wrong = ""
        if named is None:
            wrong = "its comparison is none of = > < >= <="
        elif isinstance(number, bool) or not isinstance(number, int | float):
            wrong = "its count is not a number"
        elif not all(isinstance(p, Regex) for p in _flat(patterns)):
            wrong = "its pattern is not a regular expression"
        self._add(
            words,
            Rule(
                kind, side != "not-in", _names(sections), named or "=", number if not wrong else 0, to_text(desc),  # type: ignore[arg-type]
                _patterns(patterns), where, malformed=wrong,
            ),
        )  # fmt: skip

    def value(self, *args: object) -> None:
        """`(expect:value in SECTION V TOL "desc" PATT [matchnum: k])`."""
        plain, words = _keywords(args)
        where = self.interpreter.where
        if len(plain) < 6:
            self.rules.append(_broken("value", "expect:value takes in SECTION VALUE TOL DESCRIPTION PATTERN", where))
            return
        side, sections, value, tol, desc, *patterns = plain
        op = self.operators.get(id(tol))
        wrong = ""
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong = "its value is not a number"
        elif op is None and (isinstance(tol, bool) or not isinstance(tol, int | float)):
            wrong = "its tolerance is neither a number nor a comparison"
        group = words.get("matchnum", words.get("match", 1))
        self._add(
            words,
            Rule(
                "value", side != "not-in", _names(sections), op, tol if op is None and not wrong else 0,  # type: ignore[arg-type]
                to_text(desc), _patterns(patterns), where, value if not wrong else 0,  # type: ignore[arg-type]
                group if isinstance(group, int) else 1, malformed=wrong,
            ),
        )  # fmt: skip

    def _add(self, words: dict[str, object], rule: Rule) -> None:
        """Keep a rule unless it has expired; a pattern that cannot be used makes it malformed."""
        expires = words.get("expires")
        if isinstance(expires, str) and _is_past(expires):
            return
        bad = next((p.error for p in rule.patterns if p.error), "")
        rule = rule._replace(
            hook=to_text(words.get("hook", "")), css=to_text(words.get("class", "")), malformed=rule.malformed or bad
        )
        self.rules.append(rule)


def _broken(kind: str, what: str, where: str) -> Rule:
    return Rule(kind, True, (), "=", 0, what, (), where, malformed=what)


def _keywords(args: Iterable[object]) -> tuple[list[object], dict[str, object]]:
    """Plain arguments, and those named by `key:`."""
    plain: list[object] = []
    words: dict[str, object] = {}
    todo = iter(args)
    for item in todo:
        if isinstance(item, Keyword):
            words[str(item)] = next(todo, False)
        else:
            plain.append(item)
    return plain, words


def _flat(items: Iterable[object]) -> list[object]:
    found: list[object] = []
    for item in items:
        found.extend(item if isinstance(item, Pair | list | tuple) else [item])
    return found


def _patterns(items: Iterable[object]) -> tuple[Regex, ...]:
    """Regexes, given one by one or in lists; a plain text stands for itself as a pattern."""
    return tuple(p if isinstance(p, Regex) else Regex(to_text(p)) for p in _flat(items))


def _names(sections: object) -> tuple[str, ...]:
    return tuple(to_text(s) for s in _flat([sections]))


def _is_past(date: str) -> bool:
    """Whether a date MM/DD/YYYY is over; one that cannot be read never is."""
    try:
        return time.mktime(time.strptime(date.strip(), "%m/%d/%Y")) < time.time()
    except (ValueError, OverflowError):
        return False
