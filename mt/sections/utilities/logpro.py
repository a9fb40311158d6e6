"""judge a log by rules: log in, annotated log out, the verdict as exit status

Reads a log on standard input and writes it to standard output, with a line before each line that a rule or a trigger
hit, and a summary at the end.  With HTML it writes a page of the log too, a style sheet beside the page, and the
measured values to a file with the same name and the ending .dat; without HTML the values go to summary.dat if there
are any.  With WAIVERRULES those rules come before the others and so shield what they match.  mt-logpro(5) describes
the rules.

With -f or --json the rules come out as rows in place of the log: number, type, status, count, expected, measured,
section, description, patterns and file:line of each, and last the outcome.

The program logpro is the same under its old name: logpro RULES [HTML [WAIVERRULES]] <LOG.

EXAMPLES

    $ mt logpro rules.logpro build.html <build.log >build.annotated
    A page, an annotated log, and a status that a script can act on.

    $ mt logpro rules.logpro <build.log -f ndjson | jq -r 'select(.status == "FAIL") | .desc'
    What was violated.

    $ mt logpro rules.logpro --summary <build.log
    Only what it comes to.

EXIT STATUS

    0  PASS
    1  FAIL, or the rules cannot be read, or a file cannot be written
    2  WARN, or the command line is wrong
    3  CHECK
    4  WAIVE: all that is violated is waived
    5  ABORT
    6  SKIP

SEE ALSO

    mt-step, mt-log, mt-check, mt-logpro(5)
"""

from __future__ import annotations

import contextlib
import os
import sys

from mt.errors import ConfigError, MtError, UsageError, why
from mt.options import RowOptions, flag, operand, parse
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from mt.pipeline.logpro import Judgement, RuleSet

COLUMNS = ("number", "type", "status", "count", "expected", "measured", "section", "desc")


class Options(RowOptions):
    """What was typed."""

    summary: bool = flag("--summary", help="print only the summary")
    rules: str = operand("RULES", help="the file of rules", need=True, complete="files")
    html: str | None = operand("HTML", help="the page to write", need=False, complete="files")
    waivers: str | None = operand("WAIVERRULES", help="rules that come first", need=False, complete="files")


def main(opts: Options) -> int:
    """Filter standard input."""
    from mt.pipeline.logpro import read_rules

    if sys.stdin is None:
        raise UsageError("standard input is closed, and the log is read there")
    try:
        rules = read_rules(opts.rules, waivers=opts.waivers)
    except ConfigError as e:
        return _refused(opts, e)
    try:
        return _rows(rules, opts) if _wants_rows(opts) else _text(rules, opts)
    except MtError as e:
        raise _plain(e) from e


def _wants_rows(opts: Options) -> bool:
    return bool(opts.format or opts.json or opts.fields)


def _plain(error: MtError) -> MtError:
    """The same error with status 1: the others are verdicts here."""
    if isinstance(error, UsageError):
        return error
    return MtError(error.what, hint=error.hint, where=error.where)


def _refused(opts: Options, error: ConfigError) -> int:
    """Rules that cannot be read: said on standard output, as old scripts look for it there, and on the page."""
    from mt.pipeline.logpro import refuse

    with _out(opts) as out:
        try:
            return refuse(error, opts.html, _dat_path(opts), annotated=out).code
        except MtError as e:
            raise _plain(e) from e


def _text(rules: RuleSet, opts: Options) -> int:
    with _out(opts) as out:
        shown = None if opts.summary else out
        judged = _judge(rules, opts, shown)
        if opts.summary:
            from mt.pipeline.logpro.report import summary

            out.write(summary(rules, judged.verdict).encode("utf-8", "surrogateescape"))
        return judged.code


def _rows(rules: RuleSet, opts: Options) -> int:
    judged = _judge(rules, opts, None)
    write_rows(_each(rules, judged), opts, COLUMNS)
    return judged.code


def _judge(rules: RuleSet, opts: Options, annotated: BinaryIO | None) -> Judgement:
    from mt.pipeline.logpro import judge_stream

    judged = judge_stream(rules, sys.stdin.buffer, opts.html, _dat_path(opts), annotated=annotated)
    if not opts.html and len(judged.values) > 1:
        _write_summary(judged)
    return judged


def _dat_path(opts: Options) -> str | None:
    return os.path.splitext(opts.html)[0] + ".dat" if opts.html else None


def _write_summary(judged: Judgement) -> None:
    """The values of a log without a page (spec/config.md P30)."""
    from mt.pipeline.logpro.report import dat

    try:
        with open("summary.dat", "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(dat(*judged.verdict[:4]))
    except OSError as e:
        raise MtError(f"cannot write 'summary.dat': {why(e)}") from e


def _each(rules: RuleSet, judged: Judgement) -> Iterator[dict[str, object]]:
    """One row for each rule, for each malformed one, and for the outcome."""
    for r in judged.verdict.results:
        yield _row(
            r.rule.number, r.rule.type, r.status, r.rule.desc, r.rule.where,
            count=r.hits, expected=r.rule.expected, measured=r.measured, section=", ".join(r.rule.sections),
            patterns=[str(p) for p in r.rule.patterns],
        )  # fmt: skip
    for where, text in rules.malformed:
        yield _row(None, "malformed", "FAIL", text, where)
    yield _row(None, "final", judged.name, judged.message, rules.source, measured=str(judged.code))


def _row(number: int | None, kind: str, status: str, desc: str, where: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = {"number": number, "type": kind, "status": status, "count": None}
    row |= {"expected": "", "measured": "", "section": "", "desc": desc, "patterns": [], "where": where}
    return row | more


@contextlib.contextmanager
def _out(opts: Options) -> Iterator[BinaryIO]:
    """Where the annotated log goes: bytes, as the log itself."""
    if not opts.output or opts.output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = open(opts.output, "wb")
    except OSError as e:
        raise MtError(f"cannot write '{opts.output}': {why(e)}") from e
    with file:
        yield file


def main_old(argv: list[str] | None = None) -> int:
    """The program `logpro RULES [HTML [WAIVERRULES]] <LOG`, as old scripts call it."""
    from importlib import import_module

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if not {"-h", "--help"} & set(words):
            parse(Options, words, "logpro")
    except UsageError as e:
        say(e.what.removeprefix("logpro: "), prog="logpro")
        return 1  # 2 would be a verdict
    return int(import_module("mt.cli").main(["logpro", *words]))
