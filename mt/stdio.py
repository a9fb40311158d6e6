"""Rows out, ids in, talk to stderr; looks are decided once, here.

stdout carries data only.  A verb hands its rows (dicts, keys in column order)
to `write_rows`; on a terminal they become a table, in a pipe TSV, and on
request csv, json, ndjson, ids or paths.  NDJSON keys are a promise: every
object has `"v": 1` and keys are only ever added.
"""

from __future__ import annotations

import os
import sys

from mt.errors import StoreError, UsageError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Protocol, TextIO

    class Looks(Protocol):
        """What RowOptions gives."""

        format: str | None
        json: bool
        fields: str | None
        sort: str | None
        limit: int | None
        null: bool
        output: str | None

    Row = Mapping[str, Any]

NDJSON_VERSION = 1


def say(text: str, *, prog: str = "mt") -> None:
    """One line of talk on stderr; a closed stderr is nobody's business."""
    try:
        sys.stderr.write(f"{prog}: {text}\n")
        sys.stderr.flush()
    except OSError:
        pass


def write_whole(fd: int, body: bytes) -> None:
    """Write all of it: a disk that becomes full takes a part, and only the next write says so.  Raises OSError."""
    done = os.write(fd, body)
    while done < len(body):
        done += os.write(fd, body[done:])


def open_standard_files() -> None:
    """Make sure that 0, 1 and 2 are open, and that what was read as bytes can be written again.

    A file that is opened later must never become descriptor 1 or 2, or talk
    would be written into it.  stdin stays None when it was closed, so that a
    verb can say so.  Output is UTF-8 in every locale: rows are a promise.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = _text(sys.stdout, 1)
    sys.stderr = _text(sys.stderr, 2)


def output_trouble() -> str:
    """Why what is left in the buffer cannot be written to standard output; empty when it could be written.

    From then on output goes nowhere, so that Python says nothing at exit.
    """
    try:
        sys.stdout.flush()
    except OSError as e:
        drop_output()
        return why(e)
    return ""


def drop_output() -> None:
    """Let what is still in the buffer, and all that follows, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _text(stream: TextIO | None, fd: int) -> TextIO:
    if stream is None:
        return open(fd, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    reconfigure = getattr(stream, "reconfigure", None)  # absent when a test has put its own stream there
    if reconfigure:
        reconfigure(encoding="utf-8", errors="surrogateescape")
    return stream


def colour(stream: TextIO) -> bool:
    """Whether colour may be used on this stream (NO_COLOR, CLICOLOR_FORCE, TERM)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


_INK = {
    "PASS": "32", "FAIL": "31", "ABORT": "31", "DEAD": "31", "WARN": "33", "CHECK": "35", "SKIP": "36",
    "WAIVED": "36", "PREQ_FAIL": "33", "KILLED": "31", "INFRA": "35", "LOST": "35", "RUNNING": "34",
}  # fmt: skip


def paint(word: str, text: str | None = None) -> str:
    """The text in the colour of a state or status word; the word still carries the meaning."""
    ink = _INK.get(word)
    shown = word if text is None else text
    return f"\x1b[{ink}m{shown}\x1b[0m" if ink else shown


def chosen_format(looks: Looks) -> str:
    """The format asked for, else $MT_FORMAT, else table on a terminal and tsv in a pipe."""
    if looks.json:
        return "json"
    if looks.format:
        return looks.format
    named = os.environ.get("MT_FORMAT")
    if named:
        return named
    return "table" if not looks.output and sys.stdout.isatty() else "tsv"


def write_rows(rows: Iterable[Row], looks: Looks, columns: tuple[str, ...]) -> int:
    """Write rows in the chosen format; gives the number written.

    `columns` are shown in tables, tsv and csv; json and ndjson carry every key
    unless `--fields` narrows them.  Rows stream in tsv, csv, ndjson, ids and
    paths unless they must be sorted.
    """
    form = chosen_format(looks)
    picked = tuple(looks.fields.split(",")) if looks.fields else ()
    rows = _narrow(rows, looks)
    if picked:
        rows = _check_fields(rows, picked)
    out = _open(looks.output)
    if out is sys.stdout:
        return _written(form, rows, picked or columns, out, looks, bool(picked))
    try:
        with out:
            return _written(form, rows, picked or columns, out, looks, bool(picked))
    except OSError as e:
        if e.filename is not None:
            raise
        raise StoreError(f"cannot write '{looks.output}': {why(e)}") from e


def _written(
    form: str, rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool
) -> int:  # fmt: skip
    try:
        return int(_WRITERS(form)(rows, columns, out, looks, picked))
    finally:
        out.flush()


def _open(path: str | None) -> TextIO:
    if not path or path == "-":
        return sys.stdout
    from mt.team import apart

    try:
        with apart():
            return open(path, "w", encoding="utf-8")
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e


def _narrow(rows: Iterable[Row], looks: Looks) -> Iterable[Row]:
    if looks.sort:
        name = looks.sort.lstrip("-")
        rows = sorted(rows, key=lambda r: _sortable(r, name), reverse=looks.sort.startswith("-"))
    if looks.limit is not None:
        from itertools import islice

        rows = islice(rows, max(looks.limit, 0))
    return rows


def _sortable(row: Row, name: str) -> tuple[int, Any]:
    if name not in row:
        raise UsageError(f"unknown field '{name}'", hint="fields: " + ",".join(row))
    value = row[name]
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def _check_fields(rows: Iterable[Row], picked: tuple[str, ...]) -> Iterator[Row]:
    for row in rows:
        for name in picked:
            if name not in row:
                raise UsageError(f"unknown field '{name}'", hint="fields: " + ",".join(row))
        yield row


def text(value: object) -> str:
    """A cell as text: floats short, lists joined, None empty, tabs and newlines made visible."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ",".join(text(v) for v in value)
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _tsv(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    n = 0
    for row in rows:
        if n == 0:
            out.write("\t".join(columns) + "\n")
        out.write("\t".join([text(row.get(c)) for c in columns]) + "\n")
        n += 1
    return n


def _csv(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    import csv

    writer = csv.writer(out, lineterminator="\n")
    n = 0
    for row in rows:
        if n == 0:
            writer.writerow(columns)
        writer.writerow([row.get(c) if isinstance(row.get(c), str) else text(row.get(c)) for c in columns])
        n += 1
    return n


def _dump(row: Row, columns: tuple[str, ...], picked: bool) -> str:
    import json

    data = {c: row[c] for c in columns} if picked else dict(row)
    return json.dumps({"v": NDJSON_VERSION, **data}, ensure_ascii=False, separators=(",", ":"))


def _ndjson(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    n = 0
    for row in rows:
        out.write(_dump(row, columns, picked) + "\n")
        n += 1
    return n


def _json(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    n = 0
    out.write("[")
    for row in rows:
        out.write(("\n" if n == 0 else ",\n") + _dump(row, columns, picked))
        n += 1
    out.write("\n]\n" if n else "]\n")
    return n


def _one(key: str, rows: Iterable[Row], out: TextIO, looks: Looks) -> int:
    end = "\0" if looks.null else "\n"
    n = 0
    for row in rows:
        if key not in row:
            raise UsageError(f"these rows have no {key}")
        if row[key]:
            out.write(f"{row[key]}{end}")
            n += 1
    return n


def _ids(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    return _one("id", rows, out, looks)


def _paths(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    return _one("dir", rows, out, looks)


def _table(rows: Iterable[Row], columns: tuple[str, ...], out: TextIO, looks: Looks, picked: bool) -> int:
    from tabulate import tabulate

    ink = colour(out)
    body = [[text(row.get(c)) for c in columns] for row in rows]
    if not body:
        return 0
    if ink:
        body = [[paint(cell) for cell in line] for line in body]
    out.write(tabulate(body, headers=[c.upper() for c in columns], tablefmt="plain", disable_numparse=True) + "\n")
    return len(body)


def _WRITERS(form: str) -> Any:  # noqa: N802 - a table in the shape of a function
    table = {"table": _table, "tsv": _tsv, "csv": _csv, "json": _json, "ndjson": _ndjson, "ids": _ids, "paths": _paths}
    if form not in table:
        raise UsageError(f"unknown format '{form}'", hint="one of " + ", ".join(table))
    return table[form]


def read_ids(words: Iterable[str], *, null: bool = False) -> list[str]:
    """Ids from operands; `-` stands for those on stdin: one id or one NDJSON row a line, or NUL-ended."""
    ids: list[str] = []
    for word in words:
        if word == "-":
            ids.extend(_stdin_ids(null))
        else:
            ids.append(word)
    return ids


def _stdin_ids(null: bool) -> Iterator[str]:
    if sys.stdin is None:
        raise UsageError("standard input is closed, and '-' asks for ids there")
    if sys.stdin.isatty():
        say("reading ids from the terminal; end with control-D")
    body = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    for number, line in enumerate(body.split("\0" if null else "\n"), 1):
        line = line.strip()
        if line.startswith("{"):
            import json

            try:
                found = json.loads(line)["id"]
            except (ValueError, KeyError, TypeError) as e:
                raise UsageError("standard input: not a row with an id", where=f"line {number}") from e
            yield str(found)
        elif line:
            yield line
