"""A verb's options as data: one class per verb, from which parser, `-h`, man page and completion follow.

A verb declares what can be typed:

    class Options(RunOptions):
        jobs: int = opt("-j", "--jobs", meta="N", help="at most N jobs at once", default=0)
        keep_going: bool = flag("-k", "--keep-going", help="go on after a failure")
        tests: tuple[str, ...] = rest("PATT", help="tests to run")

`parse(Options, words)` gives an instance with typed attributes.  The kind of
each option follows from its annotation: bool is a flag, tuple[str, ...] may be
repeated, int and float are checked, anything else is text.  Abbreviations are
refused, options may follow operands, and what follows `--` goes to the field
made by `command()`.

The parser is our own: argparse costs 6 ms to import, loses words after `--`
when options and operands are mixed (`-q -- a -q`, `-- -y`), and refuses
`--sort -secs`.

No dataclass: importing dataclasses costs more than this whole module, and a
verb called inside tests must start in milliseconds.
"""

from __future__ import annotations

from mt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, TypeVar

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

    As getopt reads them: options may follow operands, short flags may be
    joined (`-qv`), a value may be joined (`-j4`, `--jobs=4`) or be the next
    word, and `--` ends the options.  A value that is the next word may begin
    with a dash (`--sort -secs`) unless it is an option of this verb, since
    then the value was most likely forgotten.  `-h` is not handled here: `cli`
    looks for it first.  A class with `as_typed = True` takes all words as
    operands, whatever they look like.
    """
    made = cls()
    options = list(declared(cls))
    for o in options:
        setattr(made, o.dest, () if _many(o) else o.default)
    as_typed = getattr(cls, "as_typed", False)
    operands, tail = (list(words), []) if as_typed else _read(made, options, words, prog)
    for o in options:
        if _many(o) and not getattr(made, o.dest):
            setattr(made, o.dest, o.default or ())
    _place(made, options, operands, tail, prog)
    return made


def _read(made: object, options: list[Opt], words: Sequence[str], prog: str) -> tuple[list[str], list[str]]:
    """Store the options; give the operands, and the words of the command after `--` if the verb takes one."""
    names = {name: o for o in options for name in o.names}
    left = iter(words)
    operands: list[str] = []
    for word in left:
        if word == "--":
            after = list(left)
            if any(o.kind == "command" for o in options):
                return operands, after
            operands += after
        elif len(word) < 2 or word[0] != "-" or (word[1] in "0123456789." and word[:2] not in names):
            operands.append(word)
        elif word.startswith("--"):
            name, joined, value = word.partition("=")
            _long(made, names, name, value if joined else None, left, prog)
        else:
            _short(made, names, word[1:], left, prog)
    return operands, []


def _long(made: object, names: dict[str, Opt], name: str, value: str | None, left: Iterator[str], prog: str) -> None:
    o = _known(names, name, prog)
    if o.kind != "flag":
        _store(made, o, name, _next(names, name, left, prog) if value is None else value, prog)
    elif value is None:
        setattr(made, o.dest, True)
    else:
        raise UsageError(f"{prog}: {name} takes no value", hint=f"{prog} -h")


def _short(made: object, names: dict[str, Opt], letters: str, left: Iterator[str], prog: str) -> None:
    """Letters of one word: flags, then at most one option with a value."""
    for at, letter in enumerate(letters, 1):
        name = f"-{letter}"
        o = _known(names, name, prog, typed=f"-{letters}")
        if o.kind != "flag":
            _store(made, o, name, letters[at:] or _next(names, name, left, prog), prog)
            return
        setattr(made, o.dest, True)


def _next(names: dict[str, Opt], name: str, left: Iterator[str], prog: str) -> str:
    value = next(left, None)
    if value is None or value == "--" or value in names:
        raise UsageError(f"{prog}: {name} needs a value ({names[name].meta})", hint=f"{prog} -h")
    return value


def _known(names: dict[str, Opt], name: str, prog: str, typed: str = "") -> Opt:
    found = names.get(name)
    if found:
        return found
    import difflib

    typed = typed or name
    near = difflib.get_close_matches(f"-{typed}" if typed[:2] != "--" else typed, names, 1, 0.6)
    raise UsageError(f"{prog}: unknown option '{typed}'", hint=f"did you mean {near[0]}?" if near else f"{prog} -h")


def _many(o: Opt) -> bool:
    return o.kind in ("rest", "command") or o.type.startswith("tuple")


def _store(made: object, o: Opt, name: str, value: str, prog: str) -> None:
    """Check and keep a value; the last one wins unless the option may be repeated."""
    if o.choices and value not in o.choices:
        raise UsageError(f"{prog}: {name}: '{value}' is none of {', '.join(o.choices)}", hint=f"{prog} -h")
    if o.type.startswith("tuple"):
        setattr(made, o.dest, (*getattr(made, o.dest), value))
    else:
        setattr(made, o.dest, _typed(o, name, value, prog))


def _typed(o: Opt, name: str, value: str, prog: str) -> object:
    try:
        if o.type.startswith("int"):
            return int(value)
        return float(value) if o.type.startswith("float") else value
    except ValueError as e:
        kind = "whole number" if o.type.startswith("int") else "number"
        raise UsageError(f"{prog}: {name}: '{value}' is not a {kind}", hint=f"{prog} -h") from e


def _place(made: object, options: list[Opt], operands: list[str], tail: list[str], prog: str) -> None:
    """Give the operands to their fields, in the order in which they were declared."""
    left = list(operands)
    for o in options:
        if o.kind == "operand" and left:
            setattr(made, o.dest, left.pop(0))
        elif o.kind == "rest":
            setattr(made, o.dest, tuple(left))
            left = []
        elif o.kind == "command":
            setattr(made, o.dest, tuple(tail))
        if o.need and not getattr(made, o.dest):
            raise UsageError(f"{prog}: {o.meta} is missing", hint=f"{prog} -h")
    if left:
        raise UsageError(f"{prog}: '{left[0]}' is one word too many", hint=f"{prog} -h")
