"""What always holds for the small Scheme and for its patterns."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mt.scheme import Interpreter, SchemeError, listed, parse, to_text
from mt.scheme.patterns import Regex
from mt.scheme.values import datum, same

ATOMS = st.one_of(
    st.integers(), st.booleans(), st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False).map(float)
)
DATA = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4).map(listed), max_leaves=12)
PIECES = (
    "(",
    ")",
    "[",
    "]",
    "'",
    '"',
    "#",
    "/",
    "\\",
    ";",
    ".",
    " ",
    "\n",
    "a",
    "1",
    "if",
    "let",
    "lambda",
    "x:",
    "#t",
)


@given(DATA)
def test_what_is_written_is_read_back(value: object) -> None:
    (form,) = parse(to_text(value, write=True), "f")
    assert same(datum(form), value)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_is_a_program_or_a_scheme_error(program: str) -> None:
    it = Interpreter(steps=1000, depth=200, load={}.__getitem__, show=lambda text: None)
    try:
        it.run(program, "f")
    except SchemeError as e:
        assert e.where is not None
        assert re.match(r"f:\d+$", e.where)


@given(st.lists(st.integers()))
def test_sort_sorts(numbers: list[int]) -> None:
    it = Interpreter({"numbers": listed(numbers)})
    assert list(it.run("(sort numbers <)", "f")) == sorted(numbers)  # type: ignore[call-overload]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers()).map(listed)))
def test_sort_keeps_the_order_of_equals(pairs: list[object]) -> None:
    it = Interpreter({"pairs": listed(pairs)})
    made = it.run("(sort pairs (lambda (a b) (< (car a) (car b))))", "f")
    assert [id(p) for p in made] == [id(p) for p in sorted(pairs, key=lambda p: next(iter(p)))]  # type: ignore


ELEMENTS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "B",
        "é",
        ".",
        "\\.",
        "\\d",
        "\\s",
        "[ab]",
        "[^b]",
        "[[:alpha:]]",
        "(?:ab)",
        "(a|b)",
        "(bc|b)",
        "\\bab",
    ]
)
REPEATS = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{0,1}", "{1,2}?"])
PATTERNS = st.lists(
    st.lists(st.tuples(ELEMENTS, REPEATS).map("".join), max_size=5).map("".join), min_size=1, max_size=3
).map("|".join)


@given(PATTERNS, st.text("abcAB1. é", max_size=12), st.booleans())
def test_every_match_has_one_of_the_needles(pattern: str, line: str, fold: bool) -> None:
    regex = Regex(pattern, "i" if fold else "")
    assert not regex.error
    if regex.needles and regex.search(line):
        body = line.encode()
        body = body.lower() if fold else body
        assert any(n in body for n in regex.needles)


@given(PATTERNS, st.text("abcAB1. é", max_size=12))
def test_plain_patterns_mean_what_they_mean_to_python(pattern: str, line: str) -> None:
    if "[[:alpha:]]" not in pattern:
        assert bool(Regex(pattern).search(line)) == bool(re.search(pattern, line, re.ASCII))


@given(st.text("ab()[]{}?*+|\\.^$-&~:#<>12PQEixz=!", max_size=14))
def test_any_text_is_a_pattern_or_has_an_error(pattern: str) -> None:
    regex = Regex(pattern)
    assert regex.search("") is None or not regex.error
