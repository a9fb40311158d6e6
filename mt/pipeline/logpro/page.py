"""The HTML page of a log (spec/config.md P31), written as the log goes by: a huge log needs no memory.

A hit is a link to the next hit of the same rule; the last one leads to the
rule's line in the table at the end.
"""

from __future__ import annotations

import contextlib
import html
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from mt.pipeline.logpro.ruleset import RuleSet
    from mt.pipeline.logpro.scan import Hit, Result, Verdict

STYLE_NAME = "logpro_style.css"
_COLOURS = {
    "error": "red",
    "warning": "darkorange",
    "ignore": "green",
    "note": "steelblue",
    "required": "purple",
    "required-warn": "mediumpurple",
    "waive": "brown",
    "check": "deeppink",
    "abort": "crimson",
    "skip": "olive",
    "value": "blue",
}
_LAYOUT = """body { font-family: sans-serif; margin: 1em; }
pre { background: #f7f7f7; border: 1px solid #ddd; overflow-x: auto; padding: .5em; }
table { border-collapse: collapse; }
td, th { border: 1px solid #bbb; padding: .2em .6em; text-align: left; vertical-align: top; }
td.FAIL, h2.FAIL { color: red; font-weight: bold; }
td.OK, h2.PASS { color: green; }
a { text-decoration: none; }
.value-fail { background: linear-gradient(90deg, lightgreen, salmon); color: black; }
"""
STYLE = _LAYOUT + "".join(f".{kind} {{ color: {colour}; }}\n" for kind, colour in _COLOURS.items())
#: control characters are shown as a dot: they have no meaning in a page, and some are not allowed in one
_VISIBLE = bytes(ord(".") if n < 32 and n not in (9, 10) else n for n in range(256))
_TABLE = (
    "<table>\n<tr><th>rule</th><th>type</th><th>status</th><th>expected</th><th>measured</th>"
    "<th>description</th><th>count</th><th>pattern</th></tr>\n"
)


class Page:
    """A page that is being written."""

    def __init__(self, out: BinaryIO, title: str) -> None:
        self.out = out
        self.title = title

    def begin(self, rules: RuleSet) -> None:
        """Head, link to the summary, and the beginning of the log."""
        self._write(head(self.title) + f"<h1>{_safe(self.title)}</h1>\n")
        self._write('<p><a href="#summary">summary</a></p>\n<pre>\n')

    def piece(self, body: bytes, hit: Hit | None) -> None:
        """One piece of the log."""
        text = escaped(body)
        if hit is None or hit.rule is None:
            self._write(text)
            return
        n, rule = hit.nth, hit.rule
        css = f"{'value-fail' if hit.good is False else rule.type} {_safe(rule.css)}".strip()
        anchor = f'<a class="{css}" id="r{rule.number}-{n}" href="#r{rule.number}-{n + 1}" title="{_safe(rule.desc)}">'
        line = text.removesuffix("\n")
        self._write(f"{anchor}{line}</a>\n")

    def end(self, rules: RuleSet, verdict: Verdict) -> None:
        """Exit code, triggers, rules by section."""
        self._write('</pre>\n<h2 id="summary">Summary</h2>\n')
        self._write(f'<h2 class="{verdict.name}">EXIT CODE: {verdict.code} ({verdict.name})</h2>\n')
        if verdict.message:
            self._write(f"<p>{_safe(verdict.message)}</p>\n")
        self._triggers(verdict)
        by_section: dict[str, list[Result]] = {}
        for result in verdict.results:
            by_section.setdefault(", ".join(result.rule.sections), []).append(result)
        for section, results in by_section.items():
            self._write(f"<h3>Section {_safe(section)}</h3>\n{_TABLE}")
            self._write("".join(_row(r) for r in results) + "</table>\n")
        self._list("Malformed rules", rules.malformed)
        self._list("Remarks", rules.remarks)
        self._write("</body></html>\n")

    def _triggers(self, verdict: Verdict) -> None:
        names = "".join(f"<th>{n}</th>" for n in ("trigger", "hits", "limit", "pattern"))
        self._write(f"<h3>Triggers</h3>\n<table>\n<tr>{names}</tr>\n")
        for trigger, count in verdict.triggers:
            shown = "<br>".join(_safe(str(p)) for p in trigger.patterns)
            cells = (_safe(trigger.name), str(count), str(trigger.limit), shown)
            self._write("<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>\n")
        self._write("</table>\n")

    def _list(self, title: str, lines: tuple[tuple[str, str], ...]) -> None:
        if lines:
            items = "".join(f"<li>{_safe(where)}: {_safe(text)}</li>\n" for where, text in lines)
            self._write(f"<h3>{title}</h3>\n<ul>\n{items}</ul>\n")

    def _write(self, text: str) -> None:
        self.out.write(text.encode("utf-8", "replace"))


def _row(r: Result) -> str:
    n = r.rule.number
    first = f'<a href="#r{n}-1">{n}</a>' if r.hits else str(n)
    cells = (
        f'<td id="r{n}-{r.hits + 1}">{first}</td>',
        f'<td class="{r.rule.type}">{r.rule.type}</td>',
        f'<td class="{r.status}">{r.status}</td>',
        f"<td>{_safe(r.rule.expected)}</td>",
        f"<td>{_safe(r.measured)}</td>",
        f"<td>{_safe(r.rule.desc)}</td>",
        f"<td>{r.hits}</td>",
        f"<td>{'<br>'.join(_safe(str(p)) for p in r.rule.patterns)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def head(title: str) -> str:
    """The head of a page: its own style first, so that it looks right alone, then the file that may change it."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"<title>{_safe(title)}</title>\n<style>\n{STYLE}</style>\n"
        f'<link rel="stylesheet" href="{STYLE_NAME}">\n</head><body>\n'
    )


def broken_page(title: str, what: str, why: str) -> bytes:
    """The page of a log whose rules cannot be read (spec/config.md P4)."""
    shown = f'<h2 class="FAIL">{_safe(what)}</h2>\n<pre>{_safe(why)}</pre>\n'
    return (head(title) + shown + "<h2>EXIT CODE: 1 (FAIL)</h2>\n</body></html>\n").encode("utf-8", "replace")


def escaped(body: bytes) -> str:
    """A piece of a log as HTML text: signs escaped, control characters visible, wrong UTF-8 replaced."""
    body = body.replace(b"\r\n", b"\n").translate(_VISIBLE)
    body = body.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    return body.decode("utf-8", "replace")


def drop_style(html_path: str) -> None:
    """Put the style sheet beside a page unless there is one, which somebody may have changed."""
    path = os.path.join(os.path.dirname(html_path), STYLE_NAME)
    with contextlib.suppress(FileExistsError), open(path, "x", encoding="utf-8") as out:
        out.write(STYLE)


def _safe(text: str) -> str:
    return html.escape(text)
