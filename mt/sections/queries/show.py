"""show everything about a case or a run

For each case: where it is, how it went, its steps, values, earlier attempts, what it said of itself, notes of the
controller, and its files.  For an id of a run, `TARGET//RUN`, the run and its tests.

With --env the environment of the case is printed as NAME=VALUE instead, as it was written before its steps began.

EXAMPLES

    $ mt show diskperf/sda/4k
    One case of the last run.

    $ mt show ubuntu/nfs//w49.1//diskperf/sda/4k -f json
    The same for a program, with lists steps, values, attempts, said, notes and files.

    $ diff <(mt show good//r1//t --env) <(mt show bad//r1//t --env)
    What differs?

EXIT STATUS

    0  something was shown
    7  nothing matches

SEE ALSO

    mt-why, mt-log, mt-steps, mt-values
"""

from __future__ import annotations

import os
import sys

from mt.errors import MtError, StoreError, why
from mt.options import flag, rest
from mt.rows import CaseRowOptions, Cases, answer, case_row, run_row, step_row, value_row
from mt.stdio import chosen_format, text, write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mt.rows import Picked, Row

HEAD = (
    "state", "status", "comment", "reason", "attempt", "host", "job", "start", "end", "secs", "cpu", "rss", "dir",
)  # fmt: skip
LISTS = {
    "steps": ("step", "state", "status", "secs", "cpu", "log", "comment"),
    "values": ("category", "variable", "value", "units", "expected", "tol", "status", "comment"),
    "attempts": ("attempt", "state", "status", "start", "secs", "host", "comment"),
    "said": ("time", "state", "status", "comment", "log"),
    "notes": ("time", "text"),
}
#: at most so many file names are shown to people
_FILES = 40


class Options(CaseRowOptions):
    """What was typed."""

    env: bool = flag("--env", help="print the environment of the case")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns; - reads them from stdin", need=True, complete="ids")


def main(opts: Options) -> int:
    """Show each case, or run."""
    cases = Cases(opts, opts.ids)
    found = list(_all(cases))
    if opts.env:
        for row in found:
            _print_env(row)
    elif chosen_format(opts) in ("table", "tsv"):
        _print(found, opts)
    else:
        write_rows(found, opts, ("id", *HEAD))
    return answer(len(found), opts, "cases")


def _all(cases: Cases) -> Iterator[Row]:
    for picked in cases.picked:
        if picked.everything:
            tops = list(cases.tops(picked))
            yield {**run_row(cases.runs.fresh(picked.run)), "tests": tops}
        else:
            yield from _cases(cases, picked)


def _cases(cases: Cases, picked: Picked) -> Iterator[Row]:
    rows = list(cases.of(picked))
    steps = cases.steps_of(picked, rows)
    for row in rows:
        run = picked.run.key
        yield {
            **case_row(run, row, flaky=row.key in cases.flaky(picked)),
            "steps": [_less(step_row(run, s)) for s in steps.get(row.key, [])],
            "values": [_less(value_row(run, v)) for v in cases.values(picked, row.key) if v.attempt == row.attempt],
            "attempts": [_less(case_row(run, old)) for old in cases.attempts(picked, row.key)],
            "said": [_less(said) for said in cases.said(picked, row.key)],
            "notes": [_less(note) for note in cases.notes(picked, row.key)],
            "files": files(row.dir),
        }


def _less(row: Row) -> Row:
    """A row without what the case says already."""
    return {name: value for name, value in row.items() if name not in ("id", "target", "run", "test", "item")}


def files(directory: str) -> list[str]:
    """The files of a run directory, relative to it, sorted; those of mt itself are left out."""
    found: list[str] = []
    for where, folders, names in os.walk(directory):
        folders[:] = [f for f in folders if f != ".mt"]
        found.extend(os.path.relpath(os.path.join(where, name), directory) for name in names)
    return sorted(found)


def _print_env(row: Row) -> None:
    """The variables of megatest.sh as NAME=VALUE, read by the shell that would source it."""
    import subprocess

    script = os.path.join(row.get("dir", ""), "megatest.sh")
    if not os.path.isfile(script):
        raise MtError(f"cannot read '{script}': the case has not begun, or its directory is gone")
    try:
        # exec -c: an empty environment, so that nothing of ours is mixed in
        command = [
            "bash",
            "-c",
            'exec -c bash -c \'. "$0" && exec env -0 -u _ -u SHLVL -u PWD -u OLDPWD\' "$0"',
            script,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        said = why(e) if isinstance(e, OSError) else f"status {e.returncode}"
        raise MtError(f"cannot read '{script}': {said}") from e
    sys.stdout.write("".join(sorted(f"{v.decode(errors='replace')}\n" for v in done.stdout.split(b"\0") if v)))


def _print(found: Sequence[Row], opts: Options) -> None:
    body = "\n".join(page(row) for row in found)
    if not opts.output or opts.output == "-":
        sys.stdout.write(body)
        return
    from mt.team import apart

    try:
        with apart(), open(opts.output, "w", encoding="utf-8") as out:
            out.write(body)
    except OSError as e:
        raise StoreError(f"cannot write '{opts.output}': {why(e)}") from e


def page(row: Row) -> str:
    """One case or run as text for people."""
    lines = [str(row["id"])]
    plain = {n: v for n, v in row.items() if not isinstance(v, list | dict) and n not in ("id", "target", "run")}
    for name in HEAD if "steps" in row else plain:
        if plain.get(name) not in ("", None, 0, 0.0):
            lines.append(f"  {name:<9} {text(plain[name])}")
    for name, columns in LISTS.items():
        if row.get(name):
            lines += ["", name, *(f"  {line}" for line in aligned(row[name], columns))]
    if row.get("tests"):
        lines += ["", "tests", *(f"  {line}" for line in aligned(row["tests"], ("test", "state", "status", "cases")))]
    names = row.get("files") or []
    if names:
        more = [f"... and {len(names) - _FILES} more"] if len(names) > _FILES else []
        lines += ["", "files", *(f"  {name}" for name in [*names[:_FILES], *more])]
    return "\n".join(lines) + "\n"


def aligned(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Rows as lines with columns under each other; a column that is empty everywhere is left out."""
    cells = {c: [text(row.get(c)) for row in rows] for c in columns}
    kept = [c for c in columns if any(cells[c])]
    widths = {c: max(map(len, [c, *cells[c]])) for c in kept}
    lines = ["  ".join(c.ljust(widths[c]) for c in kept).rstrip()]
    for n in range(len(rows)):
        lines.append("  ".join(cells[c][n].ljust(widths[c]) for c in kept).rstrip())
    return lines
