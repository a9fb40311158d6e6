"""Sheets come back as they were written, read by a parser that knows nothing of the writer (spec/runs.md 5.14)."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mt.errors import MtError
from mt.sheets import sheet_names, write_ods

OASIS = "{urn:oasis:names:tc:opendocument:xmlns:"
TABLE, TEXT, OFFICE = OASIS + "table:1.0}", OASIS + "text:1.0}", OASIS + "office:1.0}"


def text_of(paragraph: ElementTree.Element) -> str:
    words = [paragraph.text or ""]
    for child in paragraph:
        words += [{"s": " ", "tab": "\t"}[child.tag.removeprefix(TEXT)], child.tail or ""]
    return "".join(words)


def value_of(cell: ElementTree.Element) -> object:
    if cell.get(OFFICE + "value-type") == "float":
        return float(str(cell.get(OFFICE + "value")))
    return "\n".join(text_of(p) for p in cell.findall(TEXT + "p")) or None


def read(path: Path) -> dict[str, list[list[object]]]:
    """{name: rows} of a spreadsheet."""
    with zipfile.ZipFile(path) as archive:
        content = ElementTree.fromstring(archive.read("content.xml"))
        ElementTree.fromstring(archive.read("META-INF/manifest.xml"))
    return {
        str(table.get(TABLE + "name")): [
            [value_of(cell) for cell in row.findall(TABLE + "table-cell")] for row in table.iter(TABLE + "table-row")
        ]
        for table in content.iter(TABLE + "table")
    }


def test_text_numbers_and_nothing_come_back(tmp_path: Path) -> None:
    rows = [["a", 1, 2.5, None], ['<b> & "c"', "two\nlines", "  blanks   and\ttabs ", "=1+1"], ["007", -3, "é", ""]]
    write_ods(str(tmp_path / "x.ods"), {"Runs": rows, "More": []})
    found = read(tmp_path / "x.ods")
    assert list(found) == ["Runs", "More"]
    assert found["Runs"] == [[None if cell == "" else cell for cell in row] for row in rows]


def test_programs_know_the_file_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.ods"
    write_ods(str(path), {"S": [["x"]]})
    assert path.read_bytes()[30:].startswith(b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet")


def test_equal_sheets_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_ods(str(tmp_path / name), {"S": [["x", 1]]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    write_ods(str(tmp_path / "x.ods"), {"S": [["a\x00b\x1b[31m\udcff", float("inf"), True]]})
    assert read(tmp_path / "x.ods")["S"] == [["a\ufffdb\ufffd[31m\ufffd", "inf", "True"]]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["Runs", "a/b", "a*b"], ["Runs", "a_b", "a_b_2"]),
        (["x", "X"], ["x", "X_2"]),
        (["", "'[]"], ["Sheet", "___"]),
        (["n" * 40, "n" * 40], ["n" * 31, "n" * 29 + "_2"]),
    ],
)
def test_names_that_an_office_program_refuses_are_changed(names: list[str], shown: list[str]) -> None:
    assert sheet_names(names) == shown


def test_a_failing_row_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ods"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_ods(str(path), {"S": ([1 // n] for n in (1, 0))})
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.ods"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MtError, match="cannot write"):
        write_ods(str(tmp_path / "no" / "x.ods"), {})
