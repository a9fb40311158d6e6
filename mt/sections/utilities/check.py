"""read every file of the area critically, and run no test

One line for each problem: file, line, what is wrong, and often a hint below it. Found are, among others: misspelled
keys, waitons that are no tests, tests that wait on each other, scripts that are not there or cannot be executed, bad
item maps and log rules, values with a comment behind them, lines that are dropped silently, comments that cut a value
off or still run a command, lines of a value whose indentation is not what it looks like, times and numbers that are
none, triggers that never fire, keys that nothing reads, disks that cannot be used. With operands only those tests, or
single files (a testconfig, log rules, any file of the configuration language), are read.

Errors spoil a run; warnings may be meant. Reading runs the commands that the files themselves ask to be run while they
are read, as every run does. Files are read for the target of -t, else for the first one in runconfigs.config.

EXAMPLES

    $ mt check
    Everything.

    $ mt check compile 'diskperf%' --strict
    Some tests; warnings count as errors.

    $ mt check -f ndjson | jq -r 'select(.level == "error") | .where'
    Where the errors are.

EXIT STATUS

    0  no errors
    3  there are errors, or warnings with --strict, or the area cannot be read
    7  no such test or file

SEE ALSO

    mt-init, mt-plan, mt-config-show, mt-doctor
"""

from __future__ import annotations

import os

from mt.errors import ConfigError, MtError, NothingSelected
from mt.options import AreaOptions, RowOptions, flag, opt, rest
from mt.stdio import say, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mt.area import Area
    from mt.config import Problem

COLUMNS = ("where", "level", "text", "hint")


class Options(AreaOptions, RowOptions):
    """What was typed."""

    target: str | None = opt("-t", "--target", meta="TARGET", help="read for this target", complete="targets")
    strict: bool = flag("--strict", help="warnings are errors")
    what: tuple[str, ...] = rest("FILE|TEST", help="only these files and tests", complete="tests")


def main(opts: Options) -> int:
    """Read, print, and count the errors."""
    area = _area(opts)
    found = list(dict.fromkeys(map(_plain, _problems(area, opts))))
    if not opts.verbose:
        found = [p for p in found if p.level != "info"]
    _print(found, opts)
    bad = [p for p in found if p.level == "error" or (opts.strict and p.level == "warning")]
    if bad or not opts.quiet:
        say(_counted(found))
    return ConfigError.status if bad else 0


def _plain(problem: Problem) -> Problem:
    """One line without the word for its level, which some texts carry for scripts that look for it."""
    text = " ".join(problem.text.splitlines())
    return problem._replace(text=text.removeprefix("ERROR: ").removeprefix("WARNING:").lstrip())


def _area(opts: Options) -> Area:
    """The area read for a target: without one much of what depends on it could only be guessed."""
    from mt.area import Area
    from mt.targets import parts

    area = Area.open(opts.chdir, target=opts.target, environ=os.environ)
    if area.target is not None:
        return area
    for target in area.targets():
        try:
            parts(target, area.keys)
        except MtError:
            continue
        if opts.verbose:
            say(f"read for the target {target}")
        return Area.open(opts.chdir, target=target, environ=os.environ)
    return area


def _problems(area: Area, opts: Options) -> Iterator[Problem]:
    from mt.checks import of_area, of_tests

    if not opts.what:
        yield from of_area(area)
        yield from of_tests(area, area.tests(), _rules)
        return
    tests: dict[str, None] = {}
    for word in opts.what:
        named = _named(area, word)
        tests.update(dict.fromkeys(named))
        if not named:
            yield from _file(area, word)
    yield from of_tests(area, tests, _rules)


def _named(area: Area, word: str) -> list[str]:
    """The tests that an operand means: a pattern, a test's directory or its testconfig."""
    from mt.selectors import TestPattern

    path = os.path.abspath(word)
    directory = os.path.dirname(path) if os.path.basename(path) == "testconfig" else path
    real = os.path.realpath(directory)
    if os.path.lexists(word):
        return [name for name, where in area.tests().items() if os.path.realpath(where) == real]
    return [name for name in area.tests() if TestPattern(word).names_test(name)]


def _file(area: Area, word: str) -> Iterator[Problem]:
    """One file by itself."""
    from mt.config import Reading, read
    from mt.targets import nearest

    if not os.path.isfile(word):
        raise NothingSelected(f"no test and no file is called '{word}'", hint=nearest(word, area.tests()))
    if os.path.abspath(word) == os.path.join(area.home, "megatest.config"):
        from mt.checks import of_area

        yield from of_area(area)
    elif word.endswith(".logpro"):
        from mt.checks import of_rules

        with open(word, encoding="utf-8", errors="replace") as file:
            yield from of_rules(file.read(), word, os.path.dirname(word) or ".", _rules)
    else:
        from mt.traps import of_text

        env = area.env.as_dict()
        config = read(os.path.abspath(word), Reading(area.home, env=env, target=area.target))
        yield from config.problems
        with open(word, encoding="utf-8", errors="replace") as file:
            yield from of_text(os.path.abspath(word), file.read(), config)


def _rules(text: str, source: str, directory: str) -> Iterable[tuple[str, str]]:
    from mt.pipeline.logpro.rules import load_rules

    return load_rules(text, source, directory=directory).malformed


def _print(found: Iterable[Problem], opts: Options) -> None:
    if opts.format or opts.json or opts.fields or os.environ.get("MT_FORMAT"):
        rows = ({"where": p.where, "level": p.level, "text": p.text, "hint": p.hint} for p in found)
        write_rows(rows, opts, COLUMNS)
        return
    lines = [f"{p.where}: {p.level}: {p.text}" + (f"\n  hint: {p.hint}" if p.hint else "") for p in found]
    text = "".join(f"{line}\n" for line in lines)
    if opts.output and opts.output != "-":
        with open(opts.output, "w", encoding="utf-8") as out:
            out.write(text)
    else:
        print(text, end="")


def _counted(found: list[Problem]) -> str:
    errors = sum(p.level == "error" for p in found)
    warnings = sum(p.level == "warning" for p in found)
    return f"{errors} error{'s' if errors != 1 else ''}, {warnings} warning{'s' if warnings != 1 else ''}"
