"""The page mt-config(5) says what the reader does."""

from __future__ import annotations

import re
from pathlib import Path

from mt.config import Reading, parse
from mt.expr import FORM_NAMES
from mt.procedures import NAMES

PAGE = Path(__file__).parents[2] / "man" / "mt-config.5"


def plain() -> str:
    return PAGE.read_text(encoding="utf-8").replace("\\-", "-").replace("\\e", "\\")


def test_the_example_of_the_page_reads_as_it_says() -> None:
    example, says = re.findall(r"\.EX\n(.*?)\.EE\n", plain(), re.DOTALL)
    config = parse(example, "/a/f", Reading("/a"))
    assert config.problems == []
    expected: dict[str, dict[str, str]] = {}
    for line in says.splitlines():
        section, key, value = re.split(r" +", line, maxsplit=2)
        expected.setdefault(section, {})[key] = value.replace("\\n", "\n")
    assert config.to_dict() == expected


def test_every_form_and_procedure_is_on_the_page() -> None:
    text = plain()
    assert [name for name in FORM_NAMES if f"#{{{name} " not in text] == []
    rare = {"configf:lookup", "hash-table-ref/default"}
    assert [name for name in NAMES if name not in rare and f"({name}" not in text] == []
