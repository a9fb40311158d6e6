"""Verdicts over measured values (spec/runs.md 1.6, spec/config.md T85)."""

from __future__ import annotations

import pytest

from mt.tolerance import judge, measured, number, percent, read_csv, tally


@pytest.mark.parametrize(
    ("value", "expected", "tol", "verdict"),
    [
        ("1.05", "1.0", "0.1", "pass"),
        ("1.2", "1.0", "0.1", "fail"),
        ("1.1", "1.0", "0.1", "pass"),
        ("0.9", "1.0", "0.1", "pass"),
        ("1.0e9", "10e9", "1e9", "fail"),
        ("5", "3", ">", "pass"),
        ("3", "3", ">", "fail"),
        ("3", "3", ">=", "pass"),
        ("1.2", "1.9", "<", "pass"),
        ("2", "1.9", "<=", "fail"),
        ("5", "3", "=", "ERROR: bad tol comparator ="),
        ("5", "3", "", "ERROR: bad tol comparator "),
        ("5", "3", None, ""),
        ("ok", "ok", "0", ""),
        ("1.2", "pass", "x", ""),
    ],
)
def test_a_value_is_judged_by_its_tolerance(value: str, expected: str, tol: str | None, verdict: str) -> None:
    assert judge(value, expected, tol) == verdict


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "0x10", "", " ", "e", None, "1e999"])
def test_words_that_only_python_takes_for_numbers_are_text(text: str | None) -> None:
    assert number(text) is None


def test_a_status_that_is_given_stands_with_its_letter_case() -> None:
    assert [row["status"] for row in read_csv(["a,b,1,2,0,,c,Pass"])] == ["Pass"]
    assert [row["status"] for row in read_csv(["a,b,1,2,0,,c,n/a"])] == ["fail"]


def test_a_row_that_ends_before_its_tolerance_has_no_verdict() -> None:
    rows = list(read_csv(["x,v,5,3", "x,v,5,3,,V"]))
    assert [row["status"] for row in rows] == ["", "ERROR: bad tol comparator "]


def test_blanks_around_fields_are_dropped_and_quotes_protect_commas() -> None:
    (row,) = read_csv(['  a , b , 1 ,,,, "so, so" \n'])
    assert (row["category"], row["variable"], row["value"], row["comment"]) == ("a", "b", "1", "so, so")


def test_blank_lines_are_no_rows() -> None:
    assert list(read_csv(["", "  \n"])) == []


def test_a_row_always_has_all_nine_fields() -> None:
    assert list(measured({"variable": "v"})) == [
        "category", "variable", "value", "expected", "tol", "units", "comment", "status", "type",
    ]  # fmt: skip


def test_a_share_becomes_a_number_of_the_expected_value() -> None:
    assert percent("200", "5%") == "10.0"
    assert percent("-200", "5%") == "10.0"
    assert percent("abc", "5%") == "5%"
    assert percent("200", ">") == ">"


def test_verdicts_are_counted_in_any_letter_case() -> None:
    assert tally(["PASS", "pass", "Fail", "", "n/a"]) == (2, 1)
