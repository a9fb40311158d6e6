"""The log processor: rules and a log in, a verdict, a page and values out (spec/config.md 6).

    rules = load_rules(text, "build.logpro")
    judgement = judge(rules, "build.log", "build.html", "build.dat")

`rules` reads, `scan` matches, `report` and `page` write; this module opens the
files and runs the hooks.  A log is bytes of any encoding and any size.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from mt.errors import ConfigError, MtError, StoreError, why
from mt.pipeline.logpro import hooks, report
from mt.pipeline.logpro.hooks import HookCall
from mt.pipeline.logpro.page import Page, broken_page, drop_style
from mt.pipeline.logpro.report import LogValue
from mt.pipeline.logpro.rules import load_rules, read_rules
from mt.pipeline.logpro.ruleset import RuleSet
from mt.pipeline.logpro.scan import Scan, Verdict, blocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from mt.pipeline.logpro.scan import Hit

    RunHook = Callable[[HookCall], object]

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

#: so many lines of errors, so much of each, and so many hooks are kept in a judgement
MOST_ERRORS = 100
_LONGEST = 2000


_NOTHING = Verdict(1, "FAIL", "", (), ())


class Judgement(NamedTuple):
    """The verdict on one log.

    `code` and `name` are those of spec/config.md 6.2; `message` is
    `TYPE: description` of the violated rule that decided, empty for a pass.
    `values` end with the outcome, called `final`, of type `logpro`.  `errors`
    are the first lines that counted for error rules or had a wrong value, with
    line numbers from 1.  `hooks` are the first ones that were run.  `verdict` has
    the results of all rules and triggers; it is empty when the rules could not be read.
    """

    code: int
    name: str
    message: str = ""
    values: tuple[LogValue, ...] = ()
    errors: tuple[tuple[int, str], ...] = ()
    hooks: tuple[HookCall, ...] = ()
    verdict: Verdict = _NOTHING

    @property
    def comment(self) -> str:
        """What a step says of itself: `PASS`, or the name and the message (P30)."""
        return f"{self.name}: {self.message}" if self.message else self.name


def judge(
    rules: RuleSet,
    log_path: str,
    html_path: str | None = None,
    dat_path: str | None = None,
    *,
    annotated: BinaryIO | None = None,
    run_hook: RunHook = hooks.run,
) -> Judgement:
    """Judge a log file; writes the page, its style sheet beside it, and the `.dat` where paths are given.

    `annotated` takes the log with remarks and summary.  Raises StoreError for
    files that cannot be read or written.
    """
    try:
        log = open(log_path, "rb", buffering=0)
    except OSError as e:
        raise StoreError(f"cannot read log '{log_path}': {why(e)}") from e
    with log:
        return judge_stream(rules, log, html_path, dat_path, annotated=annotated, run_hook=run_hook)


def judge_stream(
    rules: RuleSet,
    log: BinaryIO,
    html_path: str | None = None,
    dat_path: str | None = None,
    *,
    annotated: BinaryIO | None = None,
    run_hook: RunHook = hooks.run,
) -> Judgement:
    """Judge what can be read from a stream, as it comes."""
    scan = Scan(rules)
    taken = _Taken(run_hook)
    with contextlib.ExitStack() as files:
        writers: list[report.Annotated | Page] = [report.Annotated(annotated)] if annotated else []
        if html_path:
            writers.append(Page(files.enter_context(_page_file(html_path)), os.path.basename(html_path)))
        for writer in writers:
            writer.begin(rules)
        for block in blocks(log):
            for body, hit in scan.feed(block):
                if hit is not None:
                    taken.take(body, hit)
                for writer in writers:
                    writer.piece(body, hit)
        verdict = scan.verdict()
        for writer in writers:
            writer.end(rules, verdict)
    outcome = verdict[:4]
    if dat_path:
        _write(dat_path, report.dat(*outcome))
    return Judgement(*verdict[:3], report.values(*outcome), tuple(taken.errors), tuple(taken.hooks), verdict)


def judge_file(
    rules_path: str,
    log_path: str,
    html_path: str | None = None,
    dat_path: str | None = None,
    *,
    waivers: str | None = None,
    directory: str = ".",
    annotated: BinaryIO | None = None,
    run_hook: RunHook = hooks.run,
) -> Judgement:
    """Judge a log by a file of rules; rules that cannot be read are a FAIL that says why (P3, P4)."""
    try:
        rules = read_rules(rules_path, waivers=waivers, directory=directory)
    except ConfigError as e:
        return refuse(e, html_path, dat_path, annotated=annotated)
    return judge(rules, log_path, html_path, dat_path, annotated=annotated, run_hook=run_hook)


def refuse(
    error: MtError, html_path: str | None, dat_path: str | None, *, annotated: BinaryIO | None = None
) -> Judgement:
    """The judgement when rules cannot be read, in all the places where one is looked for."""
    what = error.lines()[0]
    if annotated:
        annotated.write(f"{report.BROKEN}\n{what}\n".encode("utf-8", "surrogateescape"))
        annotated.flush()
    if html_path:
        with _page_file(html_path) as out:
            out.write(broken_page(os.path.basename(html_path), report.BROKEN, what))
    message = f"{report.BROKEN} {what}"
    if dat_path:
        _write(dat_path, report.dat(1, "FAIL", message, ()))
    return Judgement(1, "FAIL", message, report.values(1, "FAIL", message, ()))


class _Taken:
    """What is kept of the hits: lines of errors, and the hooks that were run."""

    def __init__(self, run_hook: RunHook) -> None:
        self.run_hook = run_hook
        self.errors: list[tuple[int, str]] = []
        self.hooks: list[HookCall] = []

    def take(self, body: bytes, hit: Hit) -> None:
        """Run the hook of a hit, and keep what is worth keeping."""
        wrong = hit.rule is not None and (hit.rule.type == "error" or hit.good is False)
        if wrong and len(self.errors) < MOST_ERRORS:
            text = body[:_LONGEST].decode("utf-8", "replace").rstrip("\r\n")
            self.errors.append((hit.line + 1, text))
        if hit.hook is not None:
            self.run_hook(hit.hook)
            if len(self.hooks) < MOST_ERRORS:
                self.hooks.append(hit.hook)


def _page_file(path: str) -> BinaryIO:
    try:
        drop_style(path)
        return open(path, "wb")
    except OSError as e:
        raise StoreError(f"cannot write '{e.filename or path}': {why(e)}") from e


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e
