"""Log rules as text into an immutable `RuleSet` (spec/config.md 6.4, 6.5).

Rules are a program: it runs once, and its `expect:...`, `trigger`, `section`
and `hook:add` calls define what the scan looks for.  A program that cannot run
is a `SchemeError`.  A call with arguments of the wrong kind is only a malformed
rule: the other rules are judged, and the verdict is FAIL unless theirs is worse.
"""

from __future__ import annotations

import os
import time

from mt.errors import why
from mt.pipeline.logpro.hooks import Hook, shell_text
from mt.pipeline.logpro.ruleset import BODY, BODY_START, OPERATORS, TYPES, Rule, RuleSet, Section, Trigger
from mt.scheme import Interpreter, Keyword, Pair, SchemeError, Symbol, to_text
from mt.scheme.library import LIBRARY
from mt.scheme.patterns import Regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Number = int | float
    Day = tuple[int, int, int]
    Named = dict[str, object]
    Define = Callable[[list[object], Named], None]

_KEYWORDS = ("expires", "hook", "class", "type", "matchnum", "match")


class Malformed(Exception):
    """A call with an argument of the wrong kind."""


def load_rules(
    text: str, source: str, *, directory: str = ".", waivers: tuple[str, str] | None = None, today: Day | None = None
) -> RuleSet:
    """Run a rules program and give what it defined; `(load "f")` looks in directory.

    `waivers` is the (text, source) of rules that come first, so that they shield
    what they match from the others.  `today` decides which rules have expired.
    Raises SchemeError (a ConfigError) with file:line for a program that cannot run.
    """
    builder = _Builder(directory, today or time.localtime()[:3])
    for body, name in [*([waivers] if waivers else []), (text, source)]:
        builder.interpreter.run(body, name)
    return builder.made(source)


def read_rules(path: str, *, waivers: str | None = None, directory: str = ".") -> RuleSet:
    """The rules of a file, after those of a file of waivers; raises SchemeError, also for a missing file."""
    first = (_file_text(waivers), waivers) if waivers else None
    return load_rules(_file_text(path), path, directory=directory, waivers=first)


def _file_text(path: str) -> str:
    try:
        return _read(path)
    except OSError as e:
        raise SchemeError(f"cannot read rules '{path}': {why(e)}") from e


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


class _Builder:
    """What the program has defined so far."""

    def __init__(self, directory: str, today: Day) -> None:
        self.directory = directory
        self.today = today
        self.rules: list[Rule] = []
        self.triggers = [Trigger(BODY_START, (Regex(""),), 1, False)]
        self.sections = [Section(BODY, BODY_START)]
        self.hooks: list[Hook] = []
        self.malformed: list[tuple[str, str]] = []
        self.remarks: list[tuple[str, str]] = []
        self.printed: list[str] = []
        self.interpreter = Interpreter(self._procedures(), load=self._load, show=self.printed.append)

    def made(self, source: str) -> RuleSet:
        """All of it."""
        return RuleSet(
            source,
            tuple(self.rules),
            tuple(self.triggers),
            tuple(self.sections),
            tuple(self.hooks),
            tuple(self.malformed),
            tuple(self.remarks),
            "".join(self.printed),
        )

    def _load(self, name: str) -> str:
        return _read(os.path.join(self.directory, name))

    def _procedures(self) -> dict[str, object]:
        table: dict[str, Define] = {
            "expect": self._expect("error"),
            "expect:value": self._value,
            "trigger": self._trigger(needed=True),
            "trigger:required": self._trigger(needed=True),
            "trigger:non-required": self._trigger(needed=False),
            "trigger-with-limit": self._limited,
            "section": self._section,
            "hook:add": self._hook,
            **{f"expect:{word}": self._expect(kind) for word, kind in TYPES.items()},
            **{f"hook:{word}": self._nothing for word in ("first-error", "first-warning", "value")},
        }
        names = {"in": Symbol("in"), "not-in": Symbol("not-in"), "logfile": BODY}
        return {**names, **{name: self._checked(name, define) for name, define in table.items()}}

    def _checked(self, name: str, define: Define) -> Callable[..., None]:
        """The procedure: keyword arguments apart, and a wrong argument written down with its place."""

        def procedure(*args: object) -> None:
            try:
                define(*_apart(args))
            except Malformed as e:
                self.malformed.append((self.interpreter.where, f"{name}: {e}"))

        procedure.__name__ = name
        return procedure

    def _nothing(self, args: list[object], named: Named) -> None:
        self.remarks.append((self.interpreter.where, "hook:first-error and its kin do nothing; use hook:add"))

    def _expect(self, kind: str) -> Define:
        def define(args: list[object], named: Named) -> None:
            if len(args) != 6:
                raise SchemeError('a rule is: in SECTION OPERATOR NUMBER "description" PATTERN')
            place, section, op, want, desc, patterns = args
            word = _operator(op)
            if not word:
                raise Malformed(f"{to_text(op, write=True)} is none of {' '.join(OPERATORS)}")
            self._add(_typed(kind, named), (place, section, desc, patterns), word, _number(want), named)

        return define

    def _value(self, args: list[object], named: Named) -> None:
        if len(args) != 6:
            raise SchemeError('a value rule is: in SECTION VALUE TOLERANCE "description" PATTERN')
        place, section, want, tolerance, desc, patterns = args
        word = _operator(tolerance)
        group = named.get("matchnum", named.get("match", 1))
        if isinstance(group, bool) or not isinstance(group, int) or group < 0:
            raise Malformed(f"matchnum: {to_text(group, write=True)} is not the number of a group")
        allowed = word or _number(tolerance)
        self._add("value", (place, section, desc, patterns), word or "=", _number(want), named, allowed, group)

    def _add(
        self,
        kind: str,
        parts: tuple[object, object, object, object],
        op: str,
        want: Number,
        named: Named,
        tolerance: Number | str = "",
        group: int = 1,
    ) -> None:
        place, section, desc, patterns = parts
        rule = Rule(
            len(self.rules) + 1,
            kind,
            _inside(place),
            _names(section),
            op,
            want,
            _text(desc, "the description"),
            _patterns(patterns),
            self.interpreter.where,
            tolerance,
            group,
            hook=_text(named.get("hook") or "", "hook:"),
            css=_text(named.get("class") or "", "class:"),
        )
        self._check(rule, named)
        if not self._expired(named.get("expires"), rule):
            self.rules.append(rule)

    def _check(self, rule: Rule, named: Named) -> None:
        lacking = [p for p in rule.patterns if rule.type == "value" and p.groups < rule.group]
        if lacking:
            raise Malformed(f"{lacking[0]} has no group {rule.group}")
        for name in named:
            if name not in _KEYWORDS:
                self.remarks.append((rule.where, f"unknown keyword '{name}:'"))

    def _expired(self, date: object, rule: Rule) -> bool:
        if date is None or date is False:
            return False
        try:
            day = time.strptime(_text(date, "expires:").strip(), "%m/%d/%Y")
        except ValueError as e:
            raise Malformed(f"expires: {to_text(date, write=True)} is not MM/DD/YYYY") from e
        if self.today <= day[:3]:
            return False
        self.remarks.append((rule.where, f"this rule has expired: {rule.desc}"))
        return True

    def _trigger(self, *, needed: bool) -> Define:
        def define(args: list[object], named: Named) -> None:
            if len(args) < 2:
                raise SchemeError('a trigger is: "NAME" PATTERN...')
            self._watch(args[0], 1, args[1:], needed=needed)

        return define

    def _limited(self, args: list[object], named: Named) -> None:
        if len(args) < 3:
            raise SchemeError('a trigger with a limit is: "NAME" NUMBER PATTERN...')
        limit = args[1]
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise Malformed(f"the limit {to_text(limit, write=True)} is not a whole number")
        self._watch(args[0], limit, args[2:], needed=True)

    def _watch(self, name: object, limit: int, patterns: list[object], *, needed: bool) -> None:
        found = tuple(p for a in patterns for p in _patterns(a))
        self.triggers.append(Trigger(_text(name, "the name"), found, limit, needed, self.interpreter.where))

    def _section(self, args: list[object], named: Named) -> None:
        if len(args) < 2:
            raise SchemeError('a section is: "NAME" "START-TRIGGER" "END-TRIGGER"...')
        name, start, *ends = (_text(a, "a name") for a in args)
        self.sections.append(Section(name, start, tuple(ends)))

    def _hook(self, args: list[object], named: Named) -> None:
        if len(args) != 2:
            raise SchemeError('a hook is: "NAME" "COMMAND"')
        once = named.get("one-time", False) not in (False, None)
        self.hooks.append(Hook(_text(args[0], "the name"), shell_text(_text(args[1], "the command")), once))


def _apart(args: tuple[object, ...]) -> tuple[list[object], Named]:
    """Plain arguments, and those that follow a `name:`."""
    plain: list[object] = []
    named: Named = {}
    left = iter(args)
    for arg in left:
        if isinstance(arg, Keyword):
            named[str(arg)] = next(left, None)
        else:
            plain.append(arg)
    return plain, named


def _operator(value: object) -> str:
    """The operator that a value is, as a procedure, a symbol or a string; empty when it is none."""
    if isinstance(value, str):
        return str(value) if value in OPERATORS else ""
    return next((name for name in OPERATORS if LIBRARY[name] is value), "")


def _number(value: object) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{to_text(value, write=True)} is not a number")
    return value


def _typed(kind: str, named: Named) -> str:
    """The type of a rule, which `type:` may change."""
    other = named.get("type")
    if other is None or other is False:
        return kind
    if not isinstance(other, str) or other not in TYPES:
        raise Malformed(f"type: {to_text(other, write=True)} is none of {' '.join(TYPES)}")
    return TYPES[other]


def _inside(place: object) -> bool:
    if place not in ("in", "not-in"):
        raise Malformed(f"{to_text(place, write=True)} is neither in nor not-in")
    return place == "in"


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{what} is not a string: {to_text(value, write=True)}")
    return str(value)


def _names(value: object) -> tuple[str, ...]:
    """One section or a list of them."""
    if isinstance(value, Pair):
        return tuple(_text(v, "a section") for v in value)
    return (_text(value, "the section"),)


def _patterns(value: object) -> tuple[Regex, ...]:
    """One pattern or a list of them, all usable."""
    found: list[Regex] = []
    for item in value if isinstance(value, Pair) else [value]:
        if not isinstance(item, Regex):
            shown = to_text(item, write=True)
            raise Malformed(f'{shown} is not a pattern; write #/.../ or (regexp "...")')
        if item.error:
            raise Malformed(item.error)
        found.append(item)
    return tuple(found)
