"""What log rules are once they are read: immutable data that any number of scans may share (spec/config.md 6.4)."""

from __future__ import annotations

from typing import NamedTuple

from mt.pipeline.logpro.hooks import Hook
from mt.scheme import to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.scheme.patterns import Regex

    Number = int | float

#: the section that is the whole log, and the trigger that its first line fires (P11)
BODY = "LogFileBody"
BODY_START = "LogFileBodyStart"
OPERATORS = ("=", ">", "<", ">=", "<=")
#: word in the rules -> the type that reports name
TYPES = {
    "error": "error",
    "warning": "warning",
    "warn": "warning",
    "required": "required",
    "required-warn": "required-warn",
    "ignore": "ignore",
    "note": "note",
    "check": "check",
    "abort": "abort",
    "skip": "skip",
    "waive": "waive",
    "waived": "waive",
    "waiver": "waive",
}


class Rule(NamedTuple):
    """One expectation; `number` counts all rules from 1 in the order of their definition.

    `inside` tells `in` from `not-in`.  For value rules `want` is the expected
    value, `tolerance` a number or an operator, and `group` the group of the
    pattern that is measured; for others `op` and `want` say how often.
    """

    number: int
    type: str
    inside: bool
    sections: tuple[str, ...]
    op: str
    want: Number
    desc: str
    patterns: tuple[Regex, ...]
    where: str
    tolerance: Number | str = ""
    group: int = 1
    hook: str = ""
    css: str = ""

    @property
    def expected(self) -> str:
        """What is expected, in words of the rules: `= 0`, `5 +/-0.1`."""
        want = to_text(self.want)
        if self.type == "value" and not isinstance(self.tolerance, str):
            return f"{want} {self.kind}"
        return f"{self.op} {want}"

    @property
    def kind(self) -> str:
        """For value rules, `+/-` and the tolerance, or the operator (spec/config.md P30)."""
        return self.tolerance if isinstance(self.tolerance, str) else f"+/-{to_text(self.tolerance)}"


class Trigger(NamedTuple):
    """A named event: a line in which a pattern is found, at most `limit` times."""

    name: str
    patterns: tuple[Regex, ...]
    limit: int = 1
    needed: bool = True
    where: str = ""


class Section(NamedTuple):
    """A region of the log: from a line of its start trigger to before a line of one of its end triggers."""

    name: str
    start: str
    ends: tuple[str, ...] = ()


class RuleSet(NamedTuple):
    """All that a rules file defines; `malformed` and `remarks` are (file:line, text), `printed` is its output."""

    source: str
    rules: tuple[Rule, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    sections: tuple[Section, ...] = ()
    hooks: tuple[Hook, ...] = ()
    malformed: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()
    printed: str = ""
