"""HTML pages that stand alone: everything that users wrote is escaped, nothing is loaded from anywhere.

A page is written piece by piece and takes its place by rename, so a browser
sees the old one or the new one.
"""

from __future__ import annotations

import os
import time
from html import escape
from typing import NamedTuple

from mt.replacing import replacing
from mt.states import verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_STYLE = """\
:root { color-scheme: light dark }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5em auto; max-width: 75em; padding: 0 1em }
table { border-collapse: collapse; margin: .5em 0 1.5em } td, th { padding: .15em .7em; text-align: left }
th { border-bottom: 1px solid } td { border-bottom: 1px solid #8884; vertical-align: top }
.n { text-align: right } .good { background: #2a74 } .bad { background: #d338 } .unfinished { background: #e934 }
.live { background: #38d4 } nav a { margin-right: 1em }
"""


class Line(NamedTuple):
    """One record of a run: name, outcome, begin (seconds since 1970, 0 for not yet), seconds, and its log as a URL."""

    name: str
    state: str
    status: str
    start: float
    secs: float
    comment: str
    link: str


class Section(NamedTuple):
    """A run: what stands above its table, where its own page is, facts in one line, and its records."""

    title: str
    link: str
    facts: Sequence[tuple[str, str]]
    lines: Iterable[Line]


def url(path: str) -> str:
    """A relative path, or an absolute one, as a URL."""
    from urllib.parse import quote

    return ("file://" if path.startswith("/") else "") + quote(os.fsencode(path))


def anchor(text: str, link: str) -> str:
    """Text that leads somewhere when there is a link."""
    return f'<a href="{escape(link)}">{escape(text)}</a>' if link else escape(text)


def page(title: str, body: Iterable[str]) -> Iterator[str]:
    """A whole page around its body."""
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
    )
    yield from body
    yield "</body></html>\n"


def table(headings: Sequence[str], rows: Iterable[str]) -> Iterator[str]:
    """A table of rows that are HTML already."""
    yield "<table><thead><tr>" + "".join(f"<th>{escape(h)}" for h in headings) + "</tr></thead><tbody>\n"
    yield from rows
    yield "</tbody></table>\n"


def section(run: Section) -> Iterator[str]:
    """A run with its records."""
    yield f"<h2>{anchor(run.title, run.link)}</h2>\n"
    yield from facts(run.facts)
    yield from table(("test", "state", "status", "began", "seconds", "comment"), map(row, run.lines))


def facts(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is known of a run, in one line; nothing for an empty value."""
    told = [f"{escape(name)} <b>{escape(value)}</b>" for name, value in pairs if value]
    if told:
        yield f"<p>{', '.join(told)}</p>\n"


def row(line: Line) -> str:
    """One record as a row."""
    return (
        f'<tr><td>{anchor(line.name, line.link)}<td>{escape(line.state)}<td class="{verdict(line.state, line.status)}">'
        f'{escape(line.status)}<td>{moment(line.start)}<td class="n">{line.secs:.0f}<td>{escape(line.comment)}</tr>\n'
    )


def moment(seconds: float) -> str:
    """A time as people of this place read it; empty for none."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def write(path: str, pieces: Iterable[str]) -> None:
    """Write a page; raises MtError when it cannot be written."""
    with replacing(path) as made, open(made, "w", encoding="utf-8", errors="replace") as out:
        out.writelines(pieces)
