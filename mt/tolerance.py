"""Measured values: rows of data as people write them, and whether a value is what was expected.

Pure.  The rules are those of spec/runs.md 1.6 and spec/config.md T85; a row of
data has up to nine fields, `category,variable,value,expected,tol,units,comment,status,type`,
and a field that is not there differs from an empty one only for `tol`.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIELDS = ("category", "variable", "value", "expected", "tol", "units", "comment", "status", "type")


def number(text: str | None) -> float | None:
    """The number that a text is, or None; `nan`, `inf` and `1_000` are no numbers."""
    if not text or text.strip("0123456789+-.eE \t") != "":
        return None
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def judge(value: str, expected: str, tol: str | None) -> str:
    """`pass`, `fail`, `` (no verdict), or `ERROR: bad tol comparator X`; a tol of None was not given at all."""
    measured, wanted = number(value), number(expected)
    if measured is None or wanted is None or tol is None:
        return ""
    margin = number(tol)
    if margin is not None:
        good = wanted - margin <= measured <= wanted + margin
    elif tol in _COMPARE:
        good = _COMPARE[tol](measured, wanted)
    else:
        return f"ERROR: bad tol comparator {tol}"
    return "pass" if good else "fail"


_COMPARE = {
    ">": lambda value, expected: value > expected,
    "<": lambda value, expected: value < expected,
    ">=": lambda value, expected: value >= expected,
    "<=": lambda value, expected: value <= expected,
}


def measured(fields: dict[str, str | None]) -> dict[str, str]:
    """A whole row, all of FIELDS as text, from the fields that were given; a given status other than `n/a` stands."""
    row = {name: (fields.get(name) or "").strip() for name in FIELDS}
    tol = fields.get("tol")
    if row["status"].lower() in ("", "n/a"):
        row["status"] = judge(row["value"], row["expected"], None if tol is None else tol.strip())
    return row


def read_csv(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows of data from comma separated lines; blank lines are passed over, quotes as in CSV."""
    for line in lines:
        if line.strip():
            yield measured(dict(zip(FIELDS, _split(line.rstrip("\r\n")), strict=False)))


def _split(line: str) -> list[str]:
    if '"' not in line:
        return [field.strip() for field in line.split(",")]
    import csv

    return [field.strip() for field in next(csv.reader([line], skipinitialspace=True))]


def percent(expected: str, tol: str) -> str:
    """A tolerance of `5%` as the number it means for the expected value; any other tolerance as it is."""
    share, wanted = number(tol[:-1]) if tol.endswith("%") else None, number(expected)
    if share is None or wanted is None:
        return tol
    return repr(abs(wanted) * share / 100)


def tally(statuses: Iterable[str]) -> tuple[int, int]:
    """How many passed and how many failed, in any letter case (spec/config.md T86)."""
    said = [status.lower() for status in statuses]
    return said.count("pass"), said.count("fail")
