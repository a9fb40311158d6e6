"""Light text becomes roff (spec/style.md 3.8)."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "mkman"


@pytest.fixture(scope="module")
def mkman() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("mkman", str(SCRIPT))
    spec = importlib.util.spec_from_loader("mkman", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def shape(nodes: Any) -> list[str]:
    return [type(n).__name__ for n in nodes]


def test_paragraphs_points_and_indented_lines_are_told_apart(mkman: ModuleType) -> None:
    text = "One\nparagraph:\n\n    as it\n      is\n\n- a point\n  that goes on\n- another\n\nEnd."
    made = mkman.blocks(text)
    assert shape(made) == ["paragraph", "literal_block", "bullet_list", "paragraph"]
    assert made[0].astext() == "One paragraph:"
    assert made[1].astext() == "as it\n  is"
    assert [item.astext() for item in made[2]] == ["a point that goes on", "another"]


def test_columns_become_terms_but_prose_with_wide_gaps_does_not(mkman: ModuleType) -> None:
    assert mkman.columns(["0    good", "1-6  bad", "     and worse", "128+ a signal"]) == [
        ("0", "good"),
        ("1-6", "bad and worse"),
        ("128+", "a signal"),
    ]
    assert mkman.columns(["One sentence.  Another one."]) == []
    assert mkman.columns(["It is so.  It was", "always so.  And will be."]) == []


def test_code_is_bold_words_in_stars_are_set_apart_and_wildcards_stay(mkman: ModuleType) -> None:
    made = mkman.paragraph("say `mt run %` or ``x``, an *area*, `*` and a*b*c or 2 * 3 * 4")
    assert made.astext() == "say mt run % or x, an area, * and a*b*c or 2 * 3 * 4"
    assert [n.astext() for n in made if type(n).__name__ == "strong"] == ["mt run %", "x", "*"]
    assert [n.astext() for n in made if type(n).__name__ == "emphasis"] == ["area"]


def test_examples_are_commands_and_talk(mkman: ModuleType) -> None:
    text = "$ mt a \\\n    b\nSays a.\n\n$ mt c\n$ mt d\nTwo\nlines."
    made = list(mkman.example_blocks(text))
    assert shape(made) == ["literal_block", "paragraph", "literal_block", "paragraph"]
    assert made[0].astext() == "$ mt a \\\n    b"
    assert made[3].astext() == "Two lines."


def test_see_also_names_sections(mkman: ModuleType) -> None:
    assert mkman.see_also("mt-a, mt-b(5),\nmt-c(7)").astext() == "mt-a(1), mt-b(5), mt-c(7)"


def test_a_page_has_no_date_and_says_where_it_comes_from(mkman: ModuleType) -> None:
    page = mkman.verb_page("version")
    assert page.startswith('.\\" Written by scripts/mkman')
    assert '.TH "mt-version" "1" "" "" "mt manual"' in page
    assert "Docutils" not in page
    assert page == mkman.verb_page("version")
