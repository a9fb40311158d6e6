"""tests/e2e/CONFORMANCE.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "e2e" / "CONFORMANCE.md"
_NAMED = re.compile(r"(tests/[\w/]+\.py)(?:::(test_\w+))?")


def test_every_test_that_the_table_names_is_there() -> None:
    texts: dict[str, str] = {}
    missing = []
    for path, name in _NAMED.findall(TABLE.read_text(encoding="utf-8")):
        file = ROOT / path
        text = texts.setdefault(path, file.read_text(encoding="utf-8") if file.exists() else "")
        if not text or (name and f"def {name}(" not in text):
            missing.append(f"{path}::{name}")
    assert missing == []


def test_every_rule_has_a_test_and_a_word_on_deviations() -> None:
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rules = [row for row in rows if not row.startswith("| rule |")]
    assert len(rules) > 150
    assert [row for row in rules if row.count(" | ") < 2 or not _NAMED.search(row)] == []
