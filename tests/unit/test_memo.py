"""Expressions whose value is remembered (mt/memo.py)."""

from __future__ import annotations

import pytest

from mt.memo import Memo, worth_keeping

LOOP = '(string-intersperse (map number->string (let loop ((a 0)) (if (< a 3) (cons a (loop (+ a 1))) (list)))) " ")'


def test_a_value_holds_for_the_variables_it_asked_for() -> None:
    memo = Memo()
    memo.keep("text", {"N": "3", "OTHER": "x"}, ["N", "UNSET"], "0 1 2")
    assert memo.find("text", {"N": "3", "OTHER": "y"}) == "0 1 2"
    assert memo.find("text", {"N": "4"}) is None
    assert memo.find("text", {"N": "3", "UNSET": ""}) is None
    assert memo.find("other", {"N": "3"}) is None


def test_no_more_is_remembered_than_is_sensible() -> None:
    memo = Memo()
    for n in range(2000):
        memo.keep(f"text {n}", {}, [], "x")
    assert sum(memo.find(f"text {n}", {}) is not None for n in range(2000)) <= 500


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (LOOP, True),
        (LOOP.replace("3", '(string->number (getenv "N"))'), True),
        ("(+ 1 2)", False),
        (f"(begin (define x 1) {LOOP})", False),
        (f'(begin (setenv "A" "b") {LOOP})', False),
        (f'(begin (system\t"true") {LOOP})', False),
        (f'(conc (create-directory "/tmp/x" #t) {LOOP})', False),
        (f'(conc (apply shell (list "ls")) {LOOP})', False),
    ],
)
def test_only_what_follows_from_text_and_variables_is_kept(text: str, kept: bool) -> None:
    assert worth_keeping(text) == kept
