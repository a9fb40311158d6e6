"""Scheme values as text: quoted as `write` quotes, broken where a line is full."""

from __future__ import annotations

import pytest

from mt.megatest.sexpr import WIDTH, Pair, pretty, written
from mt.scheme import Interpreter, to_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", '"a b"'),
        ('say "hi" \\ there\n', '"say \\"hi\\" \\\\ there\\n"'),
        ("", '""'),
        (5, "5"),
        (-1, "-1"),
        (None, "#f"),
        (False, "#f"),
        (True, "#t"),
        ([], "()"),
        (["a", ["b", 1]], '("a" ("b" 1))'),
        (Pair("id", 7), '("id" . 7)'),
    ],
)
def test_values_are_written_so_that_read_gives_them_back(value: object, text: str) -> None:
    assert written(value) == text
    assert pretty(value) == text


def test_a_list_that_fits_is_one_line_and_a_longer_one_has_a_line_for_each_member() -> None:
    short = ["setup", ["a", "b"]]
    assert pretty(short) == '("setup" ("a" "b"))'
    long = ["setup", *([f"key{n}", "v" * 20] for n in range(4))]
    assert pretty(long).splitlines() == [
        '("setup"',
        ' ("key0" "vvvvvvvvvvvvvvvvvvvv")',
        ' ("key1" "vvvvvvvvvvvvvvvvvvvv")',
        ' ("key2" "vvvvvvvvvvvvvvvvvvvv")',
        ' ("key3" "vvvvvvvvvvvvvvvvvvvv"))',
    ]


def test_no_line_is_longer_than_it_must_be_and_closing_parentheses_count() -> None:
    for size in range(WIDTH - 12, WIDTH + 4):
        text = pretty([["a", ["b", "c" * size]]])
        wide = max(map(len, text.splitlines()))
        assert wide <= WIDTH or '"' + "c" * size + '"' in text.splitlines()[-1]


def test_the_scheme_of_this_house_reads_it_back() -> None:
    """A value that needs several lines is the same value."""
    value = [
        ["T", ["r", ["meta", Pair("id", "1")], ["data", ["7", *(Pair(f"f{n}", f'a\\b "{n}"\n') for n in range(9))]]]]
    ]
    assert len(pretty(value).splitlines()) > 9
    read = Interpreter({}).run(f"(quote {pretty(value)})", "text")
    assert to_text(read, write=True) == to_text(Interpreter({}).run(f"(quote {written(value)})", "text"), write=True)
