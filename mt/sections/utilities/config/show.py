"""show what a file of the area says, after expansion

By default it is written in the language of the files themselves: sections, keys, values. All includes are in, all
expressions and commands are done, so it is what mt works with. With --origin each value has the file and line it came
from: in ini as a comment above it, elsewhere as the field `where`.

With -t, runconfigs is what counts for that target: [default] and the target's own section, wildcard sections put in.
Without, all of its sections are shown. A key that is asked for by name and not set for the target is taken from
[default].

Formats: ini; sh (assignments, for keys that can be variables); json (one object: section, key, value); and as rows,
with the fields section, key, value, where: table, tsv, csv, ndjson.

EXAMPLES

    $ mt config show
    All of megatest.config.

    $ mt config show --origin setup
    One section, and where each value comes from.

    $ mt config show --file runconfigs -f tsv
    The run variables, one a line.

    $ mt config show -f json | jq -r '.setup.linktree'
    For programs.

EXIT STATUS

    0  shown
    1  no such section or key
    3  shown, but an expression or a command in the file failed; or the file cannot be read

SEE ALSO

    mt-config-get, mt-check, mt-config(5)
"""

from __future__ import annotations

import sys

from mt.errors import AnswerNo, StoreError, why
from mt.options import operand, opt
from mt.sections.utilities.config import FileOptions, chosen, found, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.config import Config

    #: section -> (key, value, where) of each of its keys
    Shown = dict[str, list[tuple[str, str, str]]]


class Options(FileOptions):
    """What was typed."""

    format: str = opt(
        "-f",
        "--format",
        meta="FORMAT",
        choices=("ini", "sh", "json", "table", "tsv", "csv", "ndjson"),
        default="ini",
        help="ini, sh, json, table, tsv, csv or ndjson",
    )
    output: str | None = opt("-o", "--output", meta="FILE", help="write to FILE", complete="files")
    section: str | None = operand("SECTION", help="only this section", need=False)
    key: str | None = operand("KEY", help="only this key of it", need=False)


def main(opts: Options) -> int:
    """Print what was chosen, then what is wrong with it."""
    config = chosen(opts)
    shown = _shown(config, opts)
    if opts.format in ("ini", "sh", "json"):
        _write({"ini": _ini, "sh": _sh, "json": _json}[opts.format](shown, opts.origin), opts.output)
    else:
        _rows(shown, opts)
    return tell(config.problems, opts)


def _shown(config: Config, opts: Options) -> Shown:
    """What was asked for; raises AnswerNo when it is not there."""
    if opts.section is None:
        return {name: _section(config, name) for name in config.sections()}
    if opts.key is not None:
        hit = found(config, opts.section, opts.key)
        if hit is None:
            raise AnswerNo(f"[{opts.section}] {opts.key} is not set in {config.shown(config.path)}")
        return {hit[0]: [(opts.key, hit[1], config.where(hit[0], opts.key) or "")]}
    if not config.has(opts.section):
        from mt.targets import nearest

        hint = nearest(opts.section, config.sections())
        raise AnswerNo(f"no section [{opts.section}] in {config.shown(config.path)}", hint=hint)
    return {opts.section: _section(config, opts.section)}


def _section(config: Config, name: str) -> list[tuple[str, str, str]]:
    return [(key, value, config.where(name, key) or "") for key, value in config.items(name)]


def _ini(shown: Shown, origin: bool) -> str:
    from mt.config import entry

    parts: list[str] = []
    for section, entries in shown.items():
        lines = [f"[{section}]"]
        for key, value, where in entries:
            lines += [f"# {where}", entry(key, value)] if origin else [entry(key, value)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _sh(shown: Shown, origin: bool) -> str:
    from mt.environ import sh_quote

    lines: list[str] = []
    for entries in shown.values():
        for key, value, where in entries:
            if key.isidentifier() and key.isascii():
                lines.append(f"{key}={sh_quote(value)}" + (f"  # {where}" if origin else ""))
    return "".join(line + "\n" for line in lines)


def _json(shown: Shown, origin: bool) -> str:
    import json

    def cell(value: str, where: str) -> object:
        return {"value": value, "where": where} if origin else value

    made = {section: {k: cell(v, w) for k, v, w in entries} for section, entries in shown.items()}
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def _rows(shown: Shown, opts: Options) -> None:
    from mt.options import RowOptions
    from mt.stdio import write_rows

    looks = RowOptions()
    looks.format, looks.output = opts.format, opts.output
    looks.json = looks.null = False
    looks.fields = looks.sort = looks.limit = None
    columns = ("section", "key", "value", "where") if opts.origin else ("section", "key", "value")
    rows = (
        {"section": section, "key": key, "value": value, "where": where}
        for section, entries in shown.items()
        for key, value, where in entries
    )
    write_rows(rows, looks, columns)


def _write(text: str, output: str | None) -> None:
    if not output or output == "-":
        sys.stdout.write(text)
        return
    try:
        with open(output, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
    except OSError as e:
        raise StoreError(f"cannot write '{output}': {why(e)}") from e
