"""judge a log by rules: log in, annotated log out, the verdict as exit status

Reads a log on standard input, writes it to standard output with a line before each line that a rule or trigger hit,
and a summary at the end.  With HTML it writes a page too, and beside it the measured values as a .dat.  mt-logpro(5)
describes the rules.

EXAMPLES

    $ echo 'all is well' | mt logpro /dev/null
    No rules: every log passes.

EXIT STATUS

    0  PASS
    1  FAIL, or the rules cannot be read
    2  WARN
    3  CHECK
    4  WAIVED
    5  ABORT
    6  SKIP

SEE ALSO

    mt-step, mt-log, mt-logpro(5)
"""

from __future__ import annotations

import sys

from mt.errors import ConfigError, MtError, why
from mt.options import flag, operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.pipeline.logpro.scan import Fired, Hit, Tally


class Options:
    """What was typed."""

    summary: bool = flag("--summary", help="print only the summary")
    rules: str = operand("RULES", help="the file of rules", complete="files")
    html: str | None = operand("HTML", help="the page to write", need=False, complete="files")
    waivers: str | None = operand("WAIVERRULES", help="more rules, read after the first", need=False, complete="files")


def main(opts: Options) -> int:
    """Filter standard input."""
    import os

    from mt.pipeline.logpro import lines_of, load_rules, walk
    from mt.pipeline.logpro.report import dat, said, summary

    out = sys.stdout
    try:
        text = "\n".join(_text(path) for path in (opts.rules, opts.waivers) if path)
        rules = load_rules(text, opts.rules)
    except ConfigError as e:
        out.write(f"Syntax error in your command file!\n{e.where or opts.rules}: {e.what}\n")
        return 1

    def each(tally: Tally, line: str, fired: list[Fired], hit: Hit | None) -> None:
        if not opts.summary:
            for note in said(tally, fired, hit):
                out.write(note + "\n")
            out.write(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n")

    try:
        tally = walk(rules, lines_of(iter(sys.stdin.buffer)), opts.html, [], each)
        stem = os.path.splitext(opts.html)[0] if opts.html else ""
        if stem:
            with open(f"{stem}.dat", "w", encoding="utf-8", errors="replace") as f:
                f.write(dat(tally))
    except OSError as e:
        if isinstance(e, BrokenPipeError):
            raise
        raise MtError(f"cannot write '{e.filename or opts.html}': {why(e)}") from e
    for line in summary(tally):
        out.write(line + "\n")
    return tally.code()


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except OSError as e:
        raise MtError(f"cannot read rules '{path}': {why(e)}") from e


def main_old(argv: list[str] | None = None) -> int:
    """The command `logpro RULES [HTML [WAIVERRULES]] <LOG`, as old scripts call it."""
    from importlib import import_module

    words = ["logpro", *(sys.argv[1:] if argv is None else argv)]
    return int(import_module("mt.cli").main(words))
