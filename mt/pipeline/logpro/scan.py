"""Lines in, hits and a verdict out; no files, no clock (spec/config.md 6.2, 6.3).

Of all rules that match a line only the one defined first counts.  A log is fed
in blocks of whole lines.  In each block those lines are looked for that have
one of the strings without which no pattern can match; only they are decoded
and tried.  The others are passed on in one piece.  Patterns that have no such
string are tried on every line, but only they.
"""

from __future__ import annotations

from typing import NamedTuple

from mt.pipeline.logpro.hooks import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from mt.pipeline.logpro.hooks import HookCall
    from mt.pipeline.logpro.ruleset import Rule, RuleSet, Trigger
    from mt.scheme.patterns import Regex

BLOCK = 1 << 20
#: (exit code, name, types that decide), the first that applies wins (spec/config.md 6.2)
CODES: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (6, "SKIP", ("skip",)),
    (5, "ABORT", ("abort",)),
    (3, "CHECK", ("check",)),
    (1, "FAIL", ("error", "required", "value")),
    (2, "WARN", ("warning", "required-warn")),
    (4, "WAIVE", ("waive",)),
)
_CALM = ("ignore", "note")


class Hit(NamedTuple):
    """A line that fired triggers or counted for a rule; `line` counts from 0, `nth` is the rule's count.

    `good` tells for a value rule whether the measured value is as expected.
    """

    line: int
    triggers: tuple[str, ...]
    rule: Rule | None
    section: str
    nth: int
    good: bool | None
    hook: HookCall | None


class Result(NamedTuple):
    """How a rule ended after `hits` lines counted for it; `measured`, `passes`, `fails` are of value rules."""

    rule: Rule
    hits: int
    violated: bool
    measured: str
    passes: int
    fails: int

    @property
    def status(self) -> str:
        """`OK` or `FAIL`."""
        return "FAIL" if self.violated else "OK"


class Verdict(NamedTuple):
    """The outcome; `message` is `TYPE: description` of the first violated rule that decided it."""

    code: int
    name: str
    message: str
    results: tuple[Result, ...]
    triggers: tuple[tuple[Trigger, int], ...]


class _Tally:
    """What is counted of one rule."""

    __slots__ = ("bad", "good", "hits", "measured")

    def __init__(self) -> None:
        self.hits = 0
        self.good = 0
        self.bad = 0
        self.measured = ""

    def measure(self, rule: Rule, found: str) -> bool:
        """Count one measured value; a wrong one stays what is reported."""
        right = fits(rule, found)
        if right:
            self.good += 1
        else:
            self.bad += 1
        if not right or not self.bad:
            self.measured = found.strip()
        return right


class Scan:
    """One log against one set of rules: `feed` it blocks of whole lines, then ask for the `verdict`."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.line = 0
        self.tallies = [_Tally() for _ in rules.rules]
        self.fired = [0] * len(rules.triggers)
        self.waiting = [n for n, t in enumerate(rules.triggers) if t.limit > 0]
        self.hooks = {h.name: h for h in rules.hooks}
        self.spent: set[str] = set()
        self.active = dict.fromkeys((s.name for s in rules.sections), False)
        #: rules that count now with the section that makes it so: all, and those with bare patterns
        self.live: list[tuple[Rule, str, tuple[Regex, ...]]] = []
        self.bare: list[tuple[Rule, str, tuple[Regex, ...]]] = []
        self._choose()

    def feed(self, block: bytes) -> Iterator[tuple[bytes, Hit | None]]:
        """Pieces of the block in order: a line with its hit, or any number of lines without one."""
        done = counted = 0
        starts, sure = self._candidates(block)
        for start in starts:
            end = block.find(b"\n", start) + 1 or len(block)
            self.line += block.count(b"\n", counted, start)
            counted = start
            hit = self._look(block[start:end], self.live if start in sure else self.bare)
            if hit is None:
                continue
            if start > done:
                yield block[done:start], None
            yield block[start:end], hit
            done = end
        self.line += block.count(b"\n", counted)
        if done < len(block):
            yield (block[done:] if done else block), None

    def _candidates(self, block: bytes) -> tuple[Iterable[int], set[int]]:
        """Where the lines begin that may match something, and those of them that may match any pattern."""
        if not block:
            return (), set()
        first = self.line == 0  # always tried, as the trigger of the body fires on it
        waiting = [n for n in self.waiting if n or not first]
        patterns = [p for r in self.rules.rules for p in r.patterns]
        patterns += [p for n in waiting for p in self.rules.triggers[n].patterns]
        sure = {0} if first else set()
        _find(block, {n for p in patterns if not p.fold for n in p.needles}, sure)
        folded = {n for p in patterns if p.fold for n in p.needles}
        if folded:
            _find(block.lower(), folded, sure)
        every = any(not p.needles for p in patterns)
        return (_every(block) if every else sorted(sure)), sure

    def _look(self, raw: bytes, live: list[tuple[Rule, str, tuple[Regex, ...]]]) -> Hit | None:
        """One line: triggers first, then the first of the rules that count."""
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
        text = raw.decode("utf-8", "surrogateescape")
        low = raw.lower()
        names: tuple[str, ...] = ()
        if self.waiting:
            names = self._fire(text, raw, low)
            live = self.live if names else live  # the sections may be others now
        for rule, section, patterns in live:
            found = _match(patterns, text, raw, low)
            if found is not None:
                return self._count(rule, section, found, text, names)
        return Hit(self.line, names, None, "", 0, None, None) if names else None

    def _fire(self, text: str, raw: bytes, low: bytes) -> tuple[str, ...]:
        """Fire what is found in the line, open and close sections; the names of what fired."""
        names: list[str] = []
        triggers = self.rules.triggers
        for n in self.waiting:
            if _match(triggers[n].patterns, text, raw, low) is not None:
                self.fired[n] += 1
                names.append(triggers[n].name)
                self._turn(triggers[n].name)
        if names:
            self.waiting = [n for n in self.waiting if self.fired[n] < triggers[n].limit]
            self._choose()
        return tuple(names)

    def _turn(self, name: str) -> None:
        for section in self.rules.sections:
            if section.start == name:
                self.active[section.name] = True
            if name in section.ends:
                self.active[section.name] = False

    def _choose(self) -> None:
        """Choose the rules that count now, in order."""
        self.live = []
        self.bare = []
        for rule in self.rules.rules:
            section = next((s for s in rule.sections if self.active.get(s) is rule.inside), None)
            if section is None:
                continue
            self.live.append((rule, section, rule.patterns))
            bare = tuple(p for p in rule.patterns if not p.needles)
            if bare:
                self.bare.append((rule, section, bare))

    def _count(self, rule: Rule, section: str, found: re.Match[str], text: str, names: tuple[str, ...]) -> Hit:
        tally = self.tallies[rule.number - 1]
        tally.hits += 1
        measured = (found[rule.group] or "") if rule.type == "value" else ""
        good = tally.measure(rule, measured) if rule.type == "value" else None
        hook = self._call(rule, found, text, measured) if rule.hook else None
        return Hit(self.line, names, rule, section, tally.hits, good, hook)

    def _call(self, rule: Rule, found: re.Match[str], text: str, measured: str) -> HookCall | None:
        hook = self.hooks.get(rule.hook)
        if hook is None or hook.name in self.spent:
            return None
        if hook.once:
            self.spent.add(hook.name)
        values = {"msg": rule.desc, "message": rule.desc, "line": text, "number": str(self.line)}
        values |= {f"m{n}": g or "" for n, g in enumerate((found[0], *found.groups()))}
        if rule.type == "value":
            values |= {"expected": str(rule.want), "measured": measured, "tolerance": str(rule.tolerance)}
        return call(hook, values)

    def verdict(self) -> Verdict:
        """What the lines so far amount to."""
        results = tuple(
            Result(rule, t.hits, violated(rule, t.hits, t.good, t.bad), t.measured, t.good, t.bad)
            for rule, t in zip(self.rules.rules, self.tallies, strict=True)
        )
        code, name, message = decide(results, self.rules.malformed)
        return Verdict(code, name, message, results, tuple(zip(self.rules.triggers, self.fired, strict=True)))


def decide(results: Iterable[Result], malformed: Iterable[tuple[str, str]]) -> tuple[int, str, str]:
    """Exit code, its name and the message that explains it (spec/config.md 6.2)."""
    broken = [r.rule for r in results if r.violated]
    for code, name, types in CODES:
        for rule in broken:
            if rule.type in types:
                return code, name, f"{rule.type.upper()}: {rule.desc}"
    for where, text in malformed:
        return 1, "FAIL", f"malformed rule: {where}: {text}"
    return 0, "PASS", ""


def violated(rule: Rule, hits: int, good: int, bad: int) -> bool:
    """Whether a rule does not hold (spec/config.md P12, 6.4)."""
    if rule.type in _CALM:
        return False
    if rule.type == "value":
        return bad > 0 or good == 0
    return not holds(hits, rule.op, rule.want)


def holds(left: float, op: str, right: float) -> bool:
    """`left op right`."""
    if op == "=":
        return left == right
    if op == ">":
        return left > right
    if op == "<":
        return left < right
    return left >= right if op == ">=" else left <= right


def fits(rule: Rule, found: str) -> bool:
    """Whether a captured text is a number as the value rule wants it."""
    try:
        value = float(found)
    except ValueError:
        return False
    if "_" in found:
        return False
    if isinstance(rule.tolerance, str):
        return holds(value, rule.tolerance, rule.want)
    return abs(value - rule.want) <= rule.tolerance


def blocks(stream: BinaryIO, size: int = BLOCK) -> Iterator[bytes]:
    """A stream in blocks of whole lines, as they come: a pipe is not waited for until a block is full."""
    read = getattr(stream, "read1", stream.read)
    kept: list[bytes] = []
    while chunk := read(size):
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            kept.append(chunk)
            continue
        yield b"".join([*kept, chunk[:cut]])
        kept = [chunk[cut:]] if cut < len(chunk) else []
    if kept:
        yield b"".join(kept)


def _every(block: bytes) -> Iterator[int]:
    at = 0
    while 0 <= at < len(block):
        yield at
        at = block.find(b"\n", at) + 1 or -1


def _find(block: bytes, needles: Iterable[bytes], starts: set[int]) -> None:
    """Add where the lines begin that have one of the needles."""
    for needle in needles:
        at = block.find(needle)
        while at >= 0:
            starts.add(block.rfind(b"\n", 0, at) + 1)
            end = block.find(b"\n", at)
            at = block.find(needle, end) if end >= 0 else -1


def _match(patterns: tuple[Regex, ...], text: str, raw: bytes, low: bytes) -> re.Match[str] | None:
    for pattern in patterns:
        if pattern.needles:
            body = low if pattern.fold else raw
            for needle in pattern.needles:
                if needle in body:
                    break
            else:
                continue
        found = pattern.search(text)
        if found is not None:
            return found
    return None
