"""test-summary.html: what became of one case, in its run directory (spec/config.md 5.3).

Written for every case that did not simply pass: what passed has nothing to
explain, and making a file costs more than the rest of the case.
"""

from __future__ import annotations

import os

from mt.model import CaseRow, RunKey, case_id
from mt.stdio import write_whole


def write(directory: str, row: CaseRow, run: RunKey) -> None:
    """Write the page; a page that cannot be written changes no verdict."""
    try:
        fd = os.open(
            os.path.join(directory, "test-summary.html"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666
        )
        try:
            write_whole(fd, page(row, run).encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)
    except OSError:
        pass


def page(row: CaseRow, run: RunKey) -> str:
    """The page as text; everything that users wrote is escaped."""
    name = escape(case_id(run, row.key))
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{name}</title>\n<h1>{name}</h1>\n<table>\n'
        f"<tr><th>state<td>{escape(row.state)}\n<tr><th>status<td>{escape(row.status)}\n"
        f"<tr><th>comment<td>{escape(row.comment)}\n<tr><th>host<td>{escape(row.host)}\n"
        f"<tr><th>seconds<td>{row.secs:.3f}\n<tr><th>cpu seconds<td>{row.cpu:.3f}\n"
        f"<tr><th>peak memory<td>{row.rss // 1024} KiB\n<tr><th>attempt<td>{row.attempt}\n"
        "</table>\n<p>Logs and pages of the steps are beside this file.</p></html>\n"
    )


def escape(text: str) -> str:
    """Text for HTML; most has nothing to escape."""
    if "&" in text or "<" in text or ">" in text or '"' in text:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text
