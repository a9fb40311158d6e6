"""What a scan found, as text: annotated log, summary, `.dat`, values (spec/config.md P2, P30)."""

from __future__ import annotations

from typing import NamedTuple

from mt.scheme import to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from mt.pipeline.logpro.ruleset import RuleSet
    from mt.pipeline.logpro.scan import Hit, Result, Verdict

BROKEN = "Syntax error in your command file!"
_RULE = "=" * 26


class LogValue(NamedTuple):
    """A measured value of a log as a test records it (spec/config.md P30); all fields are text."""

    name: str
    measured: str
    expected: str
    tol: str
    status: str
    desc: str
    type: str
    units: str = "n/a"


def values(code: int, name: str, message: str, results: tuple[Result, ...]) -> tuple[LogValue, ...]:
    """One value for each value rule, called `rule-N` by its place among all rules, and the outcome as `final`."""
    measured = [
        LogValue(
            f"rule-{r.rule.number}",
            r.measured or "n/a",
            to_text(r.rule.want),
            to_text(r.rule.tolerance),
            r.status,
            r.rule.desc,
            r.rule.kind,
        )
        for r in results
        if r.rule.type == "value"
    ]
    return (*measured, LogValue("final", str(code), "0", "n/a", name, message, "logpro"))


class Annotated:
    """The log as it came, with a line before every hit, and a summary at the end."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.ended = True

    def begin(self, rules: RuleSet) -> None:
        """What the rules printed when they were read."""
        self.out.write(_bytes(rules.printed))

    def piece(self, body: bytes, hit: Hit | None) -> None:
        """One piece of the log."""
        if hit is not None:
            self.out.write(_bytes("".join(_remarks(hit))))
        self.out.write(body)
        self.ended = body.endswith(b"\n")

    def end(self, rules: RuleSet, verdict: Verdict) -> None:
        """The summary."""
        self.out.write(_bytes(("" if self.ended else "\n") + summary(rules, verdict)))
        self.out.flush()


def _remarks(hit: Hit) -> Iterator[str]:
    for name in hit.triggers:
        yield f"LOGPRO: hit trigger {name} on line {hit.line}\n"
    if hit.rule is not None:
        kind = hit.rule.type.capitalize()
        yield f"LOGPRO {kind}: {_one_line(hit.rule.desc)} in section {hit.section} on line {hit.line}\n"


def summary(rules: RuleSet, verdict: Verdict) -> str:
    """The block after the log: triggers, rules, malformed rules, exit code."""
    lines = [f"{_RULE}LOGPRO SUMMARY{_RULE}"]
    for trigger, count in verdict.triggers:
        missed = ", never seen" if trigger.needed and not count else ""
        lines.append(f"trigger {trigger.name}: hit {count} of {trigger.limit}{missed}")
    for r in verdict.results:
        shown = f"{r.status:<4} {r.rule.type:<13} count {r.hits}, expected {r.rule.expected}"
        measured = f", measured {r.measured or 'nothing'}" if r.rule.type == "value" else ""
        lines.append(f"{shown}{measured}, in {', '.join(r.rule.sections)}: {_one_line(r.rule.desc)}")
    lines += [f"MALFORMED {where}: {text}" for where, text in rules.malformed]
    lines += [f"remark {where}: {text}" for where, text in rules.remarks]
    lines.append(f"EXIT CODE: {verdict.code} ({verdict.name}) {verdict.message}".rstrip())
    return "\n".join(lines) + "\n"


def dat(code: int, name: str, message: str, results: tuple[Result, ...]) -> str:
    """The `.dat` file: an area file with a section for each value rule and one for the outcome (P30)."""
    lines: list[str] = []
    for r in (r for r in results if r.rule.type == "value"):
        pairs = {
            "operator": r.rule.op,
            "section": ", ".join(r.rule.sections),
            "desc": r.rule.desc,
            "status": r.status,
            "expected": to_text(r.rule.want),
            "measured": r.measured or "n/a",
            "type": r.rule.kind,
            "pass": str(r.passes),
            "fail": str(r.fails),
        }
        lines += [f"[rule-{r.rule.number}]", *(f"{k} {_inert(v)}" for k, v in pairs.items()), ""]
    lines += ["[final]", f"exit-code {code}", f"exit-status {name}"]
    if message:
        lines.append(f"message {_inert(message)}")
    return "\n".join(lines) + "\n"


def _inert(text: str) -> str:
    """Text that an area file takes as it is: nothing in it runs, continues or ends a line."""
    plain = _one_line(text).replace("#{", "# {").rstrip("\\ ")
    return "(" + plain[1:] if plain.startswith("[system ") else plain


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _one_line(text: str) -> str:
    return " ".join(text.split())
