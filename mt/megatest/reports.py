"""Reports: a spreadsheet, the difference of two runs, pages for a browser (spec/runs.md 5.14 to 5.16)."""

from __future__ import annotations

import os
import time
from itertools import islice

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mt.area import Area
    from mt.comparing import Outcome
    from mt.db import Store
    from mt.megatest.listing import Facts
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args
    from mt.model import CaseKey, CaseRow, RunKey, RunRow
    from mt.webpages import Line, Section

#: the columns of the sheet `Runs` around those of the keys: heading, and where it comes from
_BEFORE = ("Run Id", "Runname")
_AFTER = (
    "Testname", "Item Path", "Description", "State", "Status", "Final Log", "Run Duration", "When Run", "Tags",
    "Run Owner", "Comment", "Author", "Test Owner", "Reviewed", "Diskfree", "Uname", "Rundir", "Host", "Cpu Load",
)  # fmt: skip
_DATA = (
    "Run Id", "Testname", "Item Path", "Category", "Variable", "Value", "Expected", "Tol", "Units", "Status", "Comment",
)  # fmt: skip
PER_PAGE = 10


# -- spreadsheet


def extract_ods(args: Args, talk: Talk) -> int:
    """`-extract-ods F`: the tests of the runs that match, and for each test with measured values a sheet of them."""
    from mt.megatest.prepare import prepared
    from mt.megatest.selecting import runs, store_of
    from mt.sheets import write_ods

    ready = prepared(args, talk)
    store = store_of(ready.area)
    found = runs(store, ready.run.target, ready.run.name) if store else []
    keys = list(ready.area.keys)
    sheets: dict[str, list[Sequence[object]]] = {"Runs": [(*_BEFORE, *keys, *_AFTER)]}
    for run in found:
        if store:
            sheets["Runs"] += _run_rows(store, run, keys, args.value("-pathmod"))
            _add_data(sheets, store, run)
    path = args.value("-extract-ods") or ""
    write_ods(path, sheets)
    talk.info(1, f"wrote {len(sheets['Runs']) - 1} tests of {len(found)} runs to {path}")
    return 0


def _run_rows(store: Store, run: RunRow, keys: Sequence[str], prefix: str | None) -> Iterator[Sequence[object]]:
    from mt.db_main import test_meta
    from mt.megatest.listing import Facts

    facts = Facts(store, run, keys)
    metas = test_meta(store)
    names = ("final_logf", "run_duration", "diskfree", "uname", "rundir", "host", "cpuload")
    read = {name: facts.reader(name) for name in names}
    values = [*run.target.split("/"), *[""] * len(keys)][: len(keys)]
    for row in _records(store, run):
        meta = metas.get(row.test, {})
        log = str(read["final_logf"](row))
        yield (
            run.id, run.name, *values, row.test, row.item, meta.get("description", ""), row.state, row.status,
            log if prefix is None else log_path(prefix, run.key, row, log), read["run_duration"](row),
            time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(facts.time(row))), meta.get("tags", ""), run.owner,
            row.comment, meta.get("author", ""), meta.get("owner", ""), meta.get("reviewed", ""),
            read["diskfree"](row), read["uname"](row), read["rundir"](row), read["host"](row), read["cpuload"](row),
        )  # fmt: skip


def log_path(prefix: str, run: RunKey, row: CaseRow, log: str) -> str:
    r"""Where a log is below `-pathmod P`, with `\` between the parts when P has some; empty for a test never begun."""
    if not row.dir:
        return ""
    path = "/".join(filter(None, (prefix.rstrip("/\\"), run.target, run.name, row.test, row.item, log)))
    return path.replace("/", "\\") if "\\" in prefix else path


def _add_data(sheets: dict[str, list[Sequence[object]]], store: Store, run: RunRow) -> None:
    """The values of the newest attempt of each test of a run."""
    from mt.model import CaseKey
    from mt.queries import cases, values

    newest = {row.key: row.attempt for row in cases(store, run.id)}
    for v in values(store, run.id):
        if newest.get(CaseKey(v.test, v.item)) == v.attempt:
            sheet = sheets.setdefault(f"{v.test} data" if v.test == "Runs" else v.test, [_DATA])
            numbers = map(_number, (v.value, v.expected, v.tol))
            sheet.append((run.id, v.test, v.item, v.category, v.variable, *numbers, v.units, v.status, v.comment))


def _number(text: str) -> float | str:
    try:
        found = float(text)
    except ValueError:
        return text
    return int(found) if found.is_integer() and abs(found) < 1e15 else found


def _records(store: Store, run: RunRow) -> list[CaseRow]:
    """All records of a run, the top record of an iterated test before its items."""
    from mt.megatest.selecting import Wanted, records
    from mt.patterns import TestPattern

    return records(store, run.id, Wanted(None, None, TestPattern.glob("%")), tops=True)


# -- difference


def difference(args: Args, talk: Talk) -> int:
    """`-diff-rep`: how the tests of a run went, compared with those of another one, as a page or a mail."""
    from mt.comparing import compare
    from mt.diffreport import Report, send
    from mt.megatest.prepare import open_area, run_name, target_of
    from mt.megatest.selecting import store_of
    from mt.model import RunKey
    from mt.webpages import write

    words = [args.value("-src-target"), args.value("-src-runname"), target_of(args), run_name(args)]
    page, address = args.value("-diff-html"), args.value("-diff-email")
    if not all(words) or not (page or address):
        needs = "-src-target, -src-runname, -target and -runname, and -diff-html FILE or -diff-email ADDRESS"
        raise Refused(1, f"-diff-rep needs {needs}")
    src, dest = RunKey(words[0] or "", words[1] or ""), RunKey(words[2] or "", words[3] or "")
    store = store_of(open_area(args, talk))
    report = Report(src, dest, compare(_outcomes(store, src), _outcomes(store, dest)))
    if page:
        write(page, report.html())
        talk.info(1, f"wrote {page}")
    if address:
        send(report, address, os.environ)
        talk.info(1, f"sent to {address}")
    return 0


def _outcomes(store: Store | None, key: RunKey) -> Mapping[CaseKey, Outcome]:
    """How all tests of one run went; raises Refused when there is no such run."""
    from mt.fold import refresh
    from mt.queries import run_of

    run_id = store.run_id(key) if store else None
    if store is None or run_id is None:
        raise Refused(1, f"there is no run {key.target}/{key.name}")
    refresh(store, run_id)
    run = run_of(store, run_id)
    return {row.key: (row.state, row.status) for row in _records(store, run)} if run else {}


# -- pages


def html(args: Args, talk: Talk) -> int:
    """`-generate-html`: page0.html, page1.html, ... in the link tree, ten runs on each, the newest first."""
    from mt.webpages import page, section, write

    area, store, found = _opened(args, talk)
    newest = iter(found[::-1])
    pages = max(1, -(-len(found) // PER_PAGE))
    for n in range(pages):
        runs = list(islice(newest, PER_PAGE))
        body = [_navigation(n, pages), *(text for run in runs for text in section(_section(area, store, run, "")))]
        write(os.path.join(area.linktree, f"page{n}.html"), page(f"Runs of {area.name}", body))
    _forget_pages(area.linktree, pages)
    talk.info(1, f"wrote {pages} pages for {len(found)} runs to {area.linktree}")
    return 0


def _forget_pages(folder: str, first: int) -> None:
    """Remove pages of an earlier time, when there were more runs."""
    while os.path.exists(path := os.path.join(folder, f"page{first}.html")):
        os.unlink(path)
        first += 1


def _navigation(n: int, pages: int) -> str:
    links = [(n - 1, "newer")] * (n > 0) + [(n + 1, "older")] * (n + 1 < pages)
    shown = "".join(f'<a href="page{to}.html">{text}</a>' for to, text in links)
    return f"<nav>page {n + 1} of {pages} {shown}</nav>\n"


def html_structure(args: Args, talk: Talk) -> int:
    """`-generate-html-structure`: targets.html in the link tree, and run.html in the directory of each run."""
    from mt.webpages import page, section, write

    area, store, found = _opened(args, talk)
    made: dict[int, str] = {}
    for run in found:
        folder = os.path.join(area.linktree, run.target, run.name)
        if os.path.isdir(folder):
            write(os.path.join(folder, "run.html"), page(str(run.key), section(_section(area, store, run, folder))))
            made[run.id] = f"{run.target}/{run.name}/run.html"
    write(os.path.join(area.linktree, "targets.html"), page(f"Targets of {area.name}", _targets(found, made)))
    talk.info(1, f"wrote targets.html and the pages of {len(made)} runs to {area.linktree}")
    return 0


def _targets(found: Sequence[RunRow], made: Mapping[int, str]) -> Iterator[str]:
    """A table of runs for each target, the newest run first."""
    from html import escape

    from mt.states import verdict
    from mt.webpages import anchor, moment, table, url

    for target in sorted({run.target for run in found}):
        yield f"<h2>{escape(target)}</h2>\n"
        rows = (
            f"<tr><td>{anchor(run.name, url(made[run.id]) if run.id in made else '')}<td>{escape(run.state)}"
            f'<td class="{verdict(run.state, run.status)}">{escape(run.status)}<td class="n">{sum(run.counts.values())}'
            f"<td>{moment(run.start)}<td>{escape(run.owner)}<td>{escape(run.comment)}</tr>\n"
            for run in found[::-1]
            if run.target == target
        )
        yield from table(("run", "state", "status", "tests", "began", "owner", "comment"), rows)


def _opened(args: Args, talk: Talk) -> tuple[Area, Store | None, list[RunRow]]:
    """The area with its link tree made, and all its runs, oldest first."""
    from mt.megatest.prepare import open_area
    from mt.megatest.selecting import runs, store_of

    area = open_area(args, talk)
    area.prepare()
    store = store_of(area)
    return area, store, runs(store, None, None) if store else []


def _section(area: Area, store: Store | None, run: RunRow, folder: str) -> Section:
    """A run as it is shown on a page in `folder`; on one of the link tree itself it leads to its own page."""
    from mt.megatest.listing import Facts
    from mt.webpages import Section, moment, url

    own = f"{run.target}/{run.name}/run.html"
    link = url(own) if not folder and os.path.exists(os.path.join(area.linktree, own)) else ""
    facts = [
        ("state", run.state), ("status", run.status), ("owner", run.owner), ("began", moment(run.start)),
        ("comment", run.comment),
    ]  # fmt: skip
    rows = _records(store, run) if store else []
    told = Facts(store, run, area.keys) if store else None
    lines = (_line(row, told, folder or area.linktree) for row in rows if told)
    return Section(str(run.key), link, facts, lines)


def _line(row: CaseRow, facts: Facts, folder: str) -> Line:
    from mt.webpages import Line, url

    link = url(_below(row.dir, folder) + "/" + facts.final_log(row)) if row.dir else ""
    return Line(str(row.key), row.state, row.status, row.start, row.secs, row.comment, link)


def _below(path: str, folder: str) -> str:
    """A path as seen from a folder, when it is below it."""
    return path[len(folder) + 1 :] if path.startswith(folder + "/") else path
