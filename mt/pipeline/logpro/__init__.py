"""The log processor: rules and a log in, a verdict out (spec/config.md 6).

`judge` serves the steps of a run; `mt logpro` is the same as a filter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mt.errors import ConfigError, MtError, why
from mt.pipeline.logpro.report import Page, dat
from mt.pipeline.logpro.rules import RuleSet, load_rules
from mt.pipeline.logpro.scan import NAMES, Fired, Hit, Tally

__all__ = [
    "HookCall",
    "Judgement",
    "LogValue",
    "RuleSet",
    "judge",
    "judge_file",
    "judge_stream",
    "load_rules",
    "read_rules",
    "refuse",
]

_SHOWN = 20


class LogValue(NamedTuple):
    """One measured value of a value rule."""

    name: str
    measured: str
    expected: str
    tol: str
    status: str
    desc: str
    units: str = "n/a"
    type: str = ""


class Judgement(NamedTuple):
    """The verdict: exit code and its name, the message of what decided, values, and the first error lines."""

    code: int
    name: str
    message: str
    values: tuple[LogValue, ...] = ()
    errors: tuple[tuple[int, str], ...] = ()


def judge_file(rules_path: str, log_path: str, html_path: str | None, dat_path: str | None) -> Judgement:
    """Judge a log by a rules file; rules that cannot be read are a failure that says why (P4)."""
    try:
        with open(rules_path, encoding="utf-8", errors="surrogateescape") as f:
            text = f.read()
        rules = load_rules(text, rules_path, directory=os.path.dirname(rules_path) or ".")
    except OSError as e:
        return Judgement(1, "FAIL", f"cannot read rules '{rules_path}': {why(e)}")
    except ConfigError as e:
        message = f"Syntax error in your command file! {e.where or rules_path}: {e.what}"
        if html_path:
            with open(html_path, "w", encoding="utf-8", errors="replace") as page:
                page.write(f"<!DOCTYPE html><html><body><h1>{message}</h1></body></html>\n")
        return Judgement(1, "FAIL", message)
    return judge(rules, log_path, html_path, dat_path)


def judge(rules: RuleSet, log_path: str, html_path: str | None, dat_path: str | None) -> Judgement:
    """Judge a log; writes the page and the .dat beside it, and runs the hooks that were hit."""
    errors: list[tuple[int, str]] = []
    try:
        with open(log_path, "rb") as log:
            tally = walk(rules, lines_of(log), html_path, errors)
        if dat_path:
            with open(dat_path, "w", encoding="utf-8", errors="replace") as f:
                f.write(dat(tally))
    except OSError as e:
        raise MtError(f"cannot judge '{e.filename or log_path}': {why(e)}") from e
    code = tally.code()
    return Judgement(code, NAMES[code], tally.message(), tuple(_values(tally)), tuple(errors))


def walk(
    rules: RuleSet,
    lines: Iterator[str],
    html_path: str | None,
    errors: list[tuple[int, str]],
    each: Callable[[Tally, str, list[Fired], Hit | None], None] = lambda tally, line, fired, hit: None,
) -> Tally:
    """Send every line through the rules, onto the page and to `each`."""
    from mt.pipeline.logpro.hooks import Hooks

    tally = Tally(rules)
    hooks = Hooks(rules)
    page = Page(html_path, tally) if html_path else None
    try:
        for line in lines:
            fired, hit = tally.feed(line)
            if hit is not None:
                rule = rules.rules[hit.rule]
                if rule.kind in ("error", "abort") and len(errors) < _SHOWN:
                    errors.append((hit.line, line))
                if rule.hook:
                    hooks.run(rule, hit, line)
            if page is not None:
                page.line(line, hit)
            each(tally, line, fired, hit)
    finally:
        if page is not None:
            page.close()
    return tally


def lines_of(log: Iterator[bytes]) -> Iterator[str]:
    """The lines of a log of any encoding, without their ends."""
    for raw in log:
        yield raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _values(tally: Tally) -> Iterator[LogValue]:
    """The measured values, and the verdict as the value `final` (P30)."""
    for n, rule in enumerate(tally.rules.rules):
        if rule.kind == "value":
            measured = tally.measured[n]
            shown = "" if measured is None else f"{measured:g}"
            tol = rule.op or f"{rule.number:g}"
            status = "pass" if tally.is_good(n) else "fail"
            yield LogValue(f"rule-{n}", shown, f"{rule.value:g}", tol, status, rule.desc, type="value")
    if any(r.kind == "value" for r in tally.rules.rules):
        code = tally.code()
        yield LogValue("final", str(code), "0", "n/a", NAMES[code].lower(), tally.message(), type="logpro")
