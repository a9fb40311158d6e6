"""Rows become text in the format asked for; ids come from words or standard input (spec/features.md 3)."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mt import stdio
from mt.errors import MtError, UsageError

ROWS: list[dict[str, Any]] = [
    {"id": "u//r//b", "test": "b", "secs": 2.5, "tags": ["x", "y"], "ok": True, "dir": "/d/b"},
    {"id": "u//r//a", "test": "a", "secs": 10, "tags": [], "ok": False, "dir": None},
]
COLUMNS = ("test", "secs")


def looks(**more: Any) -> Any:
    usual = {"format": None, "json": False, "fields": None, "sort": None, "limit": None, "null": False, "output": None}
    return SimpleNamespace(**{**usual, **more})


def written(capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    stdio.write_rows(iter(ROWS), looks(**more), COLUMNS)
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _no_format_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MT_FORMAT", "NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_gets_tsv_with_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys) == "test\tsecs\nb\t2.5\na\t10\n"


def test_mt_format_names_the_default_and_an_option_beats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MT_FORMAT", "csv")
    assert written(capsys) == "test,secs\nb,2.5\na,10\n"
    assert written(capsys, format="ids") == "u//r//b\nu//r//a\n"


def test_ndjson_is_versioned_and_carries_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in written(capsys, format="ndjson").splitlines()]
    assert rows == [{"v": 1, **row} for row in ROWS]


def test_json_is_one_array_even_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert [r["test"] for r in json.loads(written(capsys, json=True))] == ["b", "a"]
    assert stdio.write_rows([], looks(json=True), COLUMNS) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_fields_choose_and_order_columns_and_an_unknown_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, fields="secs,test") == "secs\ttest\n2.5\tb\n10\ta\n"
    assert json.loads(written(capsys, fields="test", format="ndjson").splitlines()[0]) == {"v": 1, "test": "b"}
    with pytest.raises(UsageError, match="unknown field 'tset'") as caught:
        written(capsys, fields="tset")
    assert caught.value.hint == "fields: id,test,secs,tags,ok,dir"


def test_rows_sort_by_number_or_word_up_or_down_and_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, sort="secs", format="ids").split() == ["u//r//b", "u//r//a"]
    assert written(capsys, sort="-secs", format="ids").split() == ["u//r//a", "u//r//b"]
    assert written(capsys, sort="test", limit=1, format="ids").split() == ["u//r//a"]
    assert written(capsys, limit=0, format="ids") == ""


def test_paths_leave_out_rows_without_one_and_may_end_in_nul(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, format="paths") == "/d/b\n"
    assert written(capsys, format="paths", null=True) == "/d/b\0"


def test_a_table_has_headings_in_capitals_and_no_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split() for line in written(capsys, format="table").splitlines()] == [
        ["TEST", "SECS"],
        ["b", "2.5"],
        ["a", "10"],
    ]


def test_colour_can_be_forced_and_no_color_beats_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    assert stdio.colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not stdio.colour(io.StringIO())
    assert "FAIL" in stdio.paint("FAIL") and stdio.paint("other") == "other"


def test_a_cell_never_breaks_its_line() -> None:
    assert stdio.text("a\tb\nc\\") == "a\\tb\\nc\\\\"
    assert [stdio.text(v) for v in (None, True, 1.5, 2.0, ["a", 1])] == ["", "yes", "1.5", "2", "a,1"]


def test_rows_go_to_a_file_and_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    assert stdio.write_rows(ROWS, looks(output=str(tmp_path / "o"), format="ids"), COLUMNS) == 2
    assert (tmp_path / "o").read_text() == "u//r//b\nu//r//a\n"
    with pytest.raises(MtError, match="cannot write '/nowhere/at/all': no such file or directory"):
        stdio.write_rows(ROWS, looks(output="/nowhere/at/all"), COLUMNS)


def test_an_unknown_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown format 'xml'"):
        stdio.write_rows(ROWS, looks(format="xml"), COLUMNS)


def test_ids_come_from_words_and_from_standard_input_as_ids_or_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'u//r//a\n\n{"v":1,"id":"u//r//b","test":"b"}\n  u//r//c\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert stdio.read_ids(["x", "-", "y"]) == ["x", "u//r//a", "u//r//b", "u//r//c", "y"]


def test_ids_may_end_in_nul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a b\0c\0")))
    assert stdio.read_ids(["-"], null=True) == ["a b", "c"]


@pytest.mark.parametrize("line", [b'{"test":"b"}\n', b"{broken\n"])
def test_a_row_without_an_id_is_named_by_its_line(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ok\n" + line)))
    with pytest.raises(UsageError) as caught:
        stdio.read_ids(["-"])
    assert caught.value.where == "line 2"


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        stdio.read_ids(["-"])
