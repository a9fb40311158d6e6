"""Read the `.dat` file that a log processor left: measured values, and what it comes to (spec/config.md P30)."""

from __future__ import annotations

import os
from typing import NamedTuple

from mt.config import Config, Reading, read
from mt.errors import ConfigError
from mt.tolerance import measured

FINAL = "final"


class Dat(NamedTuple):
    """The rows of a `.dat`, each with all of `tolerance.FIELDS`, and its outcome as a step shows it (None: none)."""

    rows: tuple[dict[str, str], ...]
    comment: str | None


def load(path: str, step: str) -> Dat | None:
    """The file's rows in its order, as data of a step; None when there is no such file or none that can be read."""
    where = os.path.dirname(os.path.abspath(path))
    if not os.path.isfile(path):
        return None
    try:
        config = read(path, Reading(where, mode="disabled"))
    except ConfigError:
        return None
    return Dat(tuple(_row(config, step, section) for section in config.sections()), _comment(config))


def _row(config: Config, step: str, section: str) -> dict[str, str]:
    found = dict(config.items(section))
    row: dict[str, str | None] = {"category": step, "variable": section, "units": "n/a", "status": found.get("status")}
    if section == FINAL:
        row |= {"value": found.get("exit-code"), "expected": "0", "tol": "0", "type": "logpro"}
        return measured(row | {"comment": found.get("message"), "status": found.get("exit-status")})
    kind = found.get("type", "n/a")
    row |= {"value": found.get("measured", "n/a"), "expected": found.get("expected", "0"), "type": kind}
    tol = found.get("tolerance") or (kind.removeprefix("+/-").strip() if kind.startswith("+/-") else "0")
    return measured(row | {"tol": tol, "comment": found.get("comment") or found.get("desc") or "n/a"})


def _comment(config: Config) -> str | None:
    """`PASS`, or the name of the outcome and its message."""
    status = config.get(FINAL, "exit-status")
    if status is None or status == "PASS":
        return status
    return f"{status}: {config.get(FINAL, 'message') or 'no message'}"
