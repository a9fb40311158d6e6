"""`-refdb2dat D`: a directory of sheets as Scheme, Perl, Python or Ruby, csv or SQLite (spec/runs.md 5.18).

A refdb is a directory with `sheet-names.cfg`, one name a line, and for each
sheet a file `NAME.dat` in the grammar of config files: sections of keys and
values.  What is written can be read by the language it is for: characters that
mean something there are escaped.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mt.megatest.talk import Talk
    from mt.megatest.words import Args

NAMES = "sheet-names.cfg"

#: section -> (key, value) in order
Sections = dict[str, list[tuple[str, str]]]


class Cell(NamedTuple):
    """One value, and where it stands."""

    sheet: str
    section: str
    key: str
    value: str


def convert(args: Args, talk: Talk) -> int:
    """Write the sheets in the form that -dumpmode names, to -o or to standard output."""
    folder, output = args.value("-refdb2dat") or "", args.value("-o")
    sheets = read_sheets(folder, talk)
    mode = args.value("-dumpmode") or "scheme"
    if mode == "csv":
        _write_csv(sheets, output or "%s.csv", talk)
    elif mode == "sqlite3":
        _write_sqlite(sheets, output or os.path.basename(os.path.normpath(folder)) + ".db")
    else:
        if mode not in FORMS:
            talk.warn(f"-dumpmode {mode} is not known for sheets, written as scheme")
        _write_text(FORMS.get(mode, scheme)(sheets), output)
    return 0


# -- reading


def read_sheets(folder: str, talk: Talk) -> dict[str, Sections]:
    """All sheets of a refdb in their order; a sheet that cannot be read is told and empty."""
    from mt.config import Reading, read
    from mt.errors import ConfigError

    try:
        with open(os.path.join(folder, NAMES), encoding="utf-8", errors="surrogateescape") as f:
            names = list(dict.fromkeys(line.strip() for line in f if line.strip()))
    except OSError as e:
        raise Refused(1, f"cannot read '{os.path.join(folder, NAMES)}': {(e.strerror or str(e)).lower()}") from e
    sheets: dict[str, Sections] = {}
    for name in names:
        sheets[name] = {}
        try:
            config = read(f"{name}.dat", Reading(os.path.abspath(folder), env=dict(os.environ)))
        except ConfigError as e:
            talk.error(f"sheet {name}: {e.lines()[0]}")
            continue
        sheets[name] = {section: config.items(section) for section in config.sections()}
    return sheets


def cells(sheets: dict[str, Sections]) -> Iterator[Cell]:
    """Every value in order."""
    for sheet, sections in sheets.items():
        for section, pairs in sections.items():
            yield from (Cell(sheet, section, key, value) for key, value in pairs)


# -- programs


def scheme(sheets: dict[str, Sections]) -> Iterator[str]:
    """An association list of association lists."""
    from mt.megatest.sexpr import pretty

    listed = [[s, *([sec, *map(list, pairs)] for sec, pairs in sections.items())] for s, sections in sheets.items()]
    yield pretty(listed) + "\n"


def perl(sheets: dict[str, Sections]) -> Iterator[str]:
    """Assignments to `%data`."""
    for sheet, section, key, value in (map(_perl, cell) for cell in cells(sheets)):
        yield f"$data{{{sheet}}}{{{section}}}{{{key}}} = {value};\n"


def python(sheets: dict[str, Sections]) -> Iterator[str]:
    """Assignments that Python and Ruby read alike, to dictionaries that are made first."""
    yield "data = {}\n"
    for sheet, sections in sheets.items():
        yield f"data[{_python(sheet)}] = {{}}\n"
        for section, pairs in sections.items():
            place = f"data[{_python(sheet)}][{_python(section)}]"
            yield f"{place} = {{}}\n"
            yield from (f"{place}[{_python(key)}] = {_python(value)}\n" for key, value in pairs)


FORMS: dict[str, Callable[[dict[str, Sections]], Iterator[str]]] = {
    "scheme": scheme, "perl": perl, "python": python, "ruby": python,
}  # fmt: skip

_BOTH = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PERL = str.maketrans({**_BOTH, "$": "\\$", "@": "\\@"})
#: a `#` would begin an expression in a text of Ruby, and `\#` is none of Python
_PYTHON = str.maketrans({**_BOTH, "#": "\\x23"})


def _perl(text: str) -> str:
    return f'"{text.translate(_PERL)}"'


def _python(text: str) -> str:
    return f'"{text.translate(_PYTHON)}"'


def _write_text(pieces: Iterable[str], output: str | None) -> None:
    if output is None:
        sys.stdout.write("".join(pieces))
        return
    from mt.webpages import write

    write(output, pieces)


# -- tables


def _write_csv(sheets: dict[str, Sections], output: str, talk: Talk) -> None:
    """A file for each sheet, `%s` in its name is the sheet's; a row for each section, a column for each key."""
    from csv import writer
    from io import StringIO

    from mt.webpages import write

    if "%s" not in output and len(sheets) > 1:
        raise Refused(1, f"-o {output} names one file for {len(sheets)} sheets: it needs a %s")
    for name, sections in sheets.items():
        text = StringIO()
        writer(text, lineterminator="\n").writerows(_matrix(sections))
        path = output.replace("%s", name.replace("/", "_"))
        write(path, [text.getvalue()])
        talk.info(1, f"wrote {path}")


def _matrix(sections: Sections) -> Iterator[list[str]]:
    keys = list(dict.fromkeys(key for pairs in sections.values() for key, _ in pairs))
    yield ["", *keys]
    for section, pairs in sections.items():
        row = dict(pairs)
        yield [section, *(row.get(key, "") for key in keys)]


def _write_sqlite(sheets: dict[str, Sections], output: str) -> None:
    """One table `data` in a new file, which takes its place by rename."""
    import sqlite3
    from contextlib import closing

    made = f"{output}.{os.getpid()}.tmp"
    try:
        with closing(sqlite3.connect(made, isolation_level=None)) as conn:
            conn.execute("BEGIN")
            conn.execute("CREATE TABLE data (sheet TEXT, section TEXT, var TEXT, val TEXT)")
            rows = ([part.encode("utf-8", "replace").decode() for part in cell] for cell in cells(sheets))
            conn.executemany("INSERT INTO data VALUES (?, ?, ?, ?)", rows)
            conn.execute("COMMIT")
        os.replace(made, output)
    except (sqlite3.Error, OSError) as e:
        raise Refused(1, f"cannot write '{output}': {str(e).lower()}") from e
    finally:
        if os.path.exists(made):
            os.unlink(made)
