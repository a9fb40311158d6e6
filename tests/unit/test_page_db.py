"""The page mt-db(5) names every table and every kind of event, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from mt.db_run import Batch
from mt.db_schema import MAIN, RUN

PAGE = (Path(__file__).resolve().parents[2] / "man" / "mt-db.5").read_text()


def terms(section: str) -> set[str]:
    """The bold words that head the paragraphs of a section."""
    body = PAGE.split(f".SH {section}\n")[1].split("\n.SH ")[0]
    heads = re.findall(r"^\.TP\n\.BR? (.*)$", body, re.MULTILINE)
    return {word for head in heads for word in re.findall(r"[a-z_]+", head)}


def test_every_kind_of_event_has_its_paragraph() -> None:
    assert terms("EVENTS") == set(Batch()._takers)


def test_every_table_has_its_paragraph() -> None:
    statements = " ".join(s for steps in (*RUN, *MAIN) for s in steps)
    assert terms("TABLES") == set(re.findall(r"CREATE TABLE (\w+)", statements))
