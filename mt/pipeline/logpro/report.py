"""What the log processor writes: annotated lines, an HTML page, a .dat of values (spec/config.md P2, P30, P31)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from mt.pipeline.logpro.scan import NAMES, Fired, Hit, Tally

_CSS = """body{font-family:sans-serif}pre{font-family:monospace}table{border-collapse:collapse}
td,th{border:1px solid #999;padding:2px 6px;text-align:left}.error,.FAIL{color:#c00}.warning,.WARN{color:#c60}
.ignore{color:#080}.required{color:#808}.waive{color:#850}.check{color:#c39}.abort{color:#b03}.skip{color:#770}
.value,.PASS{color:#05a}.bad{background:#fcc}
"""


def said(tally: Tally, fired: Iterable[Fired], hit: Hit | None) -> Iterator[str]:
    """The lines that precede an annotated line."""
    for event in fired:
        yield f"LOGPRO: hit trigger {event.name} on line {event.line}"
    if hit is not None:
        rule = tally.rules.rules[hit.rule]
        yield f"LOGPRO {rule.kind}: {rule.desc} in section {','.join(rule.sections)} on line {hit.line}"


def summary(tally: Tally) -> Iterator[str]:
    """The block at the end of the annotated log."""
    yield "=" * 23 + "LOGPRO SUMMARY" + "=" * 23
    for n, rule in enumerate(tally.rules.rules):
        good = "OK" if tally.is_good(n) else "FAIL"
        yield f"{rule.kind:<14} {good:<5} {_expected(tally, n):<14} {rule.desc}, got {_got(tally, n)}"
    code = tally.code()
    yield f"EXIT CODE: {code} ({NAMES[code]})"


def _expected(tally: Tally, n: int) -> str:
    rule = tally.rules.rules[n]
    if rule.kind == "value":
        return f"{rule.op} {rule.value:g}" if rule.op else f"{rule.value:g} +/- {rule.number:g}"
    return f"{rule.op} {rule.number:g}"


def _got(tally: Tally, n: int) -> str:
    if tally.rules.rules[n].kind == "value":
        return "nothing" if tally.measured[n] is None else f"{tally.measured[n]:g}"
    return str(tally.counts[n])


def escape(text: str) -> str:
    """Text for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


class Page:
    """The HTML page, written while the log goes by, so that a huge log needs no memory."""

    def __init__(self, path: str, tally: Tally) -> None:
        self.tally = tally
        self.file = open(path, "w", encoding="utf-8", errors="replace")
        self.last: dict[int, int] = {}
        style = os.path.join(os.path.dirname(path), "logpro_style.css")
        if not os.path.exists(style):
            with open(style, "w", encoding="utf-8") as f:
                f.write(_CSS)
        self.file.write(
            '<!DOCTYPE html><html><head><meta charset="utf-8"><title>log</title>\n'
            f'<style>{_CSS}</style><link rel="stylesheet" href="logpro_style.css"></head><body>\n'
            '<a href="#summary">summary</a>\n<pre>\n'
        )

    def line(self, text: str, hit: Hit | None) -> None:
        """One line of the log; a counted one links to the next hit of its rule."""
        if hit is None:
            self.file.write(escape(text) + "\n")
            return
        number = self.last.get(hit.rule, 0)
        self.last[hit.rule] = number + 1
        kind = self.tally.rules.rules[hit.rule].kind
        self.file.write(
            f'<a id="r{hit.rule}h{number}" href="#r{hit.rule}h{number + 1}" class="{kind}">{escape(text)}</a>\n'
        )

    def close(self) -> None:
        """The table of rules, and the exit code."""
        tally = self.tally
        self.file.write('</pre>\n<h2 id="summary">Rules</h2>\n<table><tr><th>rule<th>type<th>section<th>status')
        self.file.write("<th>expected<th>got<th>description<th>patterns\n")
        for n, rule in enumerate(tally.rules.rules):
            good = tally.is_good(n)
            patterns = " ".join(escape(p.text) for p in rule.patterns)
            self.file.write(
                f'<tr{"" if good else " class=bad"}><td><a href="#r{n}h0">{n}</a><td class="{rule.kind}">{rule.kind}'
                f"<td>{escape(','.join(rule.sections))}<td>{'OK' if good else 'FAIL'}<td>{escape(_expected(tally, n))}"
                f"<td>{_got(tally, n)}<td>{escape(rule.desc)}<td><code>{patterns}</code>\n"
            )
        code = tally.code()
        self.file.write(f'</table>\n<h1 class="{NAMES[code]}">EXIT CODE: {code} ({NAMES[code]})</h1></body></html>\n')
        self.file.close()


def dat(tally: Tally) -> str:
    """The .dat text: one section for each value rule, then the verdict, in config syntax (P30)."""
    out: list[str] = []
    for n, rule in enumerate(tally.rules.rules):
        if rule.kind != "value":
            continue
        out.append(
            f"[rule-{n}]\noperator {rule.op or '+/-'}\nsection {','.join(rule.sections)}\ndesc {rule.desc}\n"
            f"status {'OK' if tally.is_good(n) else 'FAIL'}\nexpected {rule.value:g}\nmeasured {_got(tally, n)}\n"
            f"type {rule.op or f'+/- {rule.number:g}'}\npass {tally.passed[n]}\nfail {tally.failed[n]}\n"
        )
    code = tally.code()
    message = tally.message()
    out.append(f"[final]\nexit-code {code}\nexit-status {NAMES[code]}\n" + (f"message {message}\n" if message else ""))
    return "\n".join(out)
