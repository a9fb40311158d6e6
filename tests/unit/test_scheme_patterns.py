"""Patterns as rules write them, for Python's `re`, and the strings that every match has (spec/config.md 6.4)."""

from __future__ import annotations

import pytest

from mt.scheme.patterns import Regex, needles


@pytest.mark.parametrize(
    ("pattern", "flags", "yes", "no"),
    [
        ("err(or)?", "", "an error", "warn"),
        ("ERROR", "i", "an Error", "eror"),
        (r"\d{2,3}\s\w", "", "a12 b", "a1 b"),
        ("^a.c$", "", "abc", "xabc"),
        (r"[[:digit:]]+[[:alpha:]]", "", "1a", "a1"),
        (r"[^[:space:]x]", "", " x.", " x "),
        ("[a[b]", "", "[", "c"),
        ("[]x]", "", "]", "y"),
        ("[a&&b]", "", "&", "c"),
        ("[--a]", "", ".", "b"),
        ("a b # c", "x", "ab", "a b"),
        ("x(?i)y(z)", "", "xYZ", "XYZ"),
        ("(?<n>a)(?P=n)", "", "aa", "ab"),
        (r"\Qa.b\E.", "", "a.bc", "axbc"),
        (r"\x{41}\x42", "", "AB", "ab"),
        (r"\<the\>", "", "in the end", "other thesis"),
        (r"a\z", "", "xa", "ax"),
        (r"\y", "", "y", "x"),
        (r"\h-", "", "\t-", "x-"),
        ("a++b", "", "aab", "a"),
        ("(?#note)a", "", "a", "b"),
        (r"é", "", "été", "ete"),
        (r"\w", "", "a", "é"),
        (r"\w", "u", "é", "-"),
    ],
)
def test_a_pattern_finds(pattern: str, flags: str, yes: str, no: str) -> None:
    regex = Regex(pattern, flags)
    assert not regex.error
    assert regex.search(yes)
    assert not regex.search(no)


@pytest.mark.parametrize("pattern", ["(", "[", "a{2,1}", "*", "\\", "(?<n>a)(?<n>b)"])
def test_a_pattern_that_cannot_be_used_says_so_and_finds_nothing(pattern: str) -> None:
    regex = Regex(pattern)
    assert regex.error.startswith("bad pattern #/")
    assert not regex.search(pattern)
    with pytest.raises(ValueError, match="bad pattern"):
        _ = regex.compiled


def test_an_unknown_flag_is_an_error() -> None:
    assert "unknown flag 'q'" in Regex("a", "q").error


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("error", {b"error"}),
        ("a|bc", {b"a", b"bc"}),
        ("x?error: .*", {b"error: "}),
        ("(foo|bar) baz", {b" baz"}),
        ("(food|bars)(x)?", {b"food", b"bars"}),
        (r"\d+ errors?", {b" error"}),
        ("ab{0,2}c{3}", {b"a"}),
        (r"a\.b", {b"a.b"}),
        ("[ab]cd", {b"cd"}),
        ("(?=xx)y", {b"y"}),
        ("(?:long one)+", {b"long one"}),
        (r"\012\1234z", {b"z"}),
        (".*", set()),
        ("a|.", set()),
        ("(a|b)?", set()),
        ("(?i)a", set()),
        ("", set()),
    ],
)
def test_needles_are_in_every_match(pattern: str, found: set[bytes]) -> None:
    assert set(needles(pattern, fold=False)) == found


def test_needles_without_case_are_lower_and_ascii() -> None:
    assert needles("ERRÖR", fold=True) == (b"err",)
    assert Regex("straße", "iu").needles == ()
