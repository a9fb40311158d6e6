"""A verb's options as data: one class per verb, from which parser, `-h`, man page and completion follow.

A verb declares what can be typed:

    class Options(RunOptions):
        jobs: int = opt("-j", "--jobs", meta="N", help="at most N jobs at once", default=0)
        keep_going: bool = flag("-k", "--keep-going", help="go on after a failure")
        tests: tuple[str, ...] = rest("PATT", help="tests to run")

`parse(Options, words)` gives an instance with typed attributes.  The kind of
each option follows from its annotation: bool is a flag, tuple[str, ...] may be
repeated, int and float are checked, anything else is text.  argparse does the
parsing (imported only here); abbreviations are refused, options may follow
operands, and what follows `--` goes to the field made by `command()`.

No dataclass: importing dataclasses costs more than this whole module, and a
verb called inside tests must start in milliseconds.
"""

from __future__ import annotations

from mt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Any, NoReturn, TypeVar

    T = TypeVar("T")


class Opt:
    """One option, operand or command tail as declared; `names` is empty for operands."""

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        help: str,
        meta: str = "",
        default: object = None,
        choices: tuple[str, ...] = (),
        kind: str = "value",
        need: bool = False,
        complete: str = "",
    ) -> None:
        self.names = names
        self.help = help
        self.meta = meta
        self.default = default
        self.choices = choices
        self.kind = kind  # value, flag, rest, operand, command
        self.need = need
        self.complete = complete  # what completes it: targets, runs, tests, ids, statuses, files, dirs
        self.dest = ""
        self.type = ""

    @property
    def label(self) -> str:
        """How the option is written in help: `-j, --jobs N`."""
        names = ", ".join(self.names)
        return f"{names} {self.meta}".strip() if self.kind == "value" else names or self.meta


def opt(
    *names: str,
    help: str,
    meta: str = "VALUE",
    default: object = None,
    choices: tuple[str, ...] = (),
    complete: str = "",
) -> Any:
    """An option with a value."""
    return Opt(names, help=help, meta=meta, default=default, choices=choices, complete=complete)


def flag(*names: str, help: str) -> Any:
    """An option without a value."""
    return Opt(names, help=help, kind="flag", default=False)


def operand(meta: str, *, help: str, need: bool = True, complete: str = "") -> Any:
    """One operand; without `need` it may be absent and is then None."""
    return Opt((), help=help, meta=meta, kind="operand", need=need, complete=complete)


def rest(meta: str, *, help: str, need: bool = False, complete: str = "") -> Any:
    """All remaining operands, as a tuple; `need` asks for at least one."""
    return Opt((), help=help, meta=meta, kind="rest", need=need, default=(), complete=complete)


def command(meta: str = "CMD", *, help: str, need: bool = False) -> Any:
    """The words after `--`, as a tuple."""
    return Opt((), help=help, meta=meta, kind="command", need=need, default=())


class AreaOptions:
    """Options of every verb that works in an area."""

    chdir: str | None = opt("-C", "--chdir", meta="DIR", help="work in the area at or above DIR", complete="dirs")
    quiet: bool = flag("-q", "--quiet", help="say nothing when all is well")
    verbose: bool = flag("-v", "--verbose", help="say why")


class RunOptions(AreaOptions):
    """Options that name a run."""

    target: str | None = opt(
        "-t", "--target", meta="TARGET", help="the target, as V1/V2/...; % is a wildcard", complete="targets"
    )
    run: str | None = opt("-r", "--run", meta="RUN", help="the run name; % is a wildcard", complete="runs")


class RowOptions:
    """Options of every verb that prints rows."""

    format: str | None = opt(
        "-f",
        "--format",
        meta="FORMAT",
        choices=("table", "tsv", "csv", "json", "ndjson", "ids", "paths"),
        help="table, tsv, csv, json, ndjson, ids or paths; default: table on a terminal, tsv in a pipe, or $MT_FORMAT",
    )
    json: bool = flag("--json", help="short for -f json")
    fields: str | None = opt("--fields", meta="A,B", help="only these columns, in this order")
    sort: str | None = opt("--sort", meta="FIELD", help="sort by FIELD; -FIELD sorts downwards")
    limit: int | None = opt("--limit", meta="N", help="at most N rows")
    null: bool = flag("-0", "--null", help="end ids and paths with NUL instead of a newline")
    output: str | None = opt(
        "-o", "--output", meta="FILE", help="write to FILE instead of standard output", complete="files"
    )


def declared(cls: type) -> Iterator[Opt]:
    """The options of a class and its bases: own ones first, then those of its bases in order."""
    seen: set[str] = set()
    for base in cls.__mro__:
        for name, kind in base.__dict__.get("__annotations__", {}).items():
            found = base.__dict__.get(name)
            if isinstance(found, Opt) and name not in seen:
                seen.add(name)
                found.dest = name
                found.type = str(kind)
                yield found


def parse(cls: type[T], words: Sequence[str], prog: str) -> T:
    """Read words into an instance of cls; raises UsageError with the nearest option as a hint.

    `-h` is not handled here: `cli` looks for it first.
    """
    options = list(declared(cls))
    tail = next((o for o in options if o.kind == "command"), None)
    head, after = _split(list(words), keep=tail is None)
    parser = _parser(options, prog)
    values = vars(parser.parse_intermixed_args(head))
    made = cls()
    for o in options:
        if o.kind == "command":
            values[o.dest] = tuple(after)
        value = values[o.dest]
        if o.kind == "rest" or o.type.startswith("tuple"):
            value = tuple(value or ())
        if o.need and not value:
            raise UsageError(f"{prog}: {o.meta} is missing", hint=f"{prog} -h")
        setattr(made, o.dest, value)
    return made


def _split(words: list[str], *, keep: bool) -> tuple[list[str], list[str]]:
    """Words before and after the first `--`; with keep, all stay in front as operands."""
    if keep or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parser(options: list[Opt], prog: str) -> argparse.ArgumentParser:
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise UsageError(f"{prog}: {message}", hint=_nearest(message, options) or f"{prog} -h")

    parser = Parser(prog=prog, add_help=False, allow_abbrev=False)
    for o in options:
        if o.kind == "command":
            continue
        if o.kind == "flag":
            parser.add_argument(*o.names, dest=o.dest, action="store_true")
        elif o.kind in ("rest", "operand"):
            parser.add_argument(o.dest, nargs="*" if o.kind == "rest" else "?", metavar=o.meta)
        else:
            _value(parser, o)
    return parser


def _value(parser: argparse.ArgumentParser, o: Opt) -> None:
    more: dict[str, Any] = {}
    if o.type.startswith("tuple"):
        more["action"] = "append"
    if o.type.startswith("int"):
        more["type"] = int
    elif o.type.startswith("float"):
        more["type"] = float
    if o.choices:
        more["choices"] = o.choices
    parser.add_argument(*o.names, dest=o.dest, metavar=o.meta, default=o.default, **more)


def _nearest(message: str, options: list[Opt]) -> str | None:
    if "unrecognized arguments:" not in message:
        return None
    import difflib

    typed = message.split(":", 1)[1].split()[0].split("=")[0]
    names = [n for o in options for n in o.names]
    near = difflib.get_close_matches(typed, names, 1, 0.6)
    return f"did you mean {near[0]}?" if near else None
