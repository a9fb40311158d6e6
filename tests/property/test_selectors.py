"""The compiled matchers against naive ones written from the table, and ids that survive printing."""

from __future__ import annotations

import re
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from mt.selectors import Glob, Id, ItemMaps, TestPattern, grow, parse_id

names = st.text("abAB.1-", min_size=1, max_size=4)
items = st.text("abA1/.", max_size=5)
parts = st.text("abAB.1~%*", max_size=4)
pieces = st.builds(lambda t, i: t if i is None else f"{t}/{i}", parts, st.none() | parts)
patterns = st.lists(pieces, max_size=4).map(",".join)


def naive_part(pattern: str, text: str) -> bool:
    negate = False
    while pattern.startswith("~"):
        negate, pattern = not negate, pattern[1:]
    wild, flags = ("%", re.I | re.S) if "%" in pattern else ("*", re.S)
    try:
        answer = re.fullmatch(pattern.replace(wild, ".*"), text, flags) is not None
    except re.error:
        answer = re.fullmatch(".*".join(re.escape(p) for p in pattern.split(wild)), text, flags) is not None
    return answer is not negate


def naive(pattern: str, test: str, item: str | None) -> bool:
    for piece in (p.strip() for p in pattern.split(",")):
        if not piece:
            continue
        left, slash, right = piece.partition("/")
        if naive_part(left, test) and (item is None or naive_part(right if slash else "%", item)):
            return True
    return False


@given(patterns, names, st.none() | items)
def test_a_compiled_pattern_agrees_with_a_naive_matcher(pattern: str, test: str, item: str | None) -> None:
    assert TestPattern(pattern).matches(test, item) is naive(pattern, test, item)


@given(patterns, names)
def test_a_test_is_named_exactly_when_an_unknown_item_of_it_matches(pattern: str, test: str) -> None:
    assert TestPattern(pattern).names_test(test) is TestPattern(pattern).matches(test)


@given(st.text("ab/%*", max_size=6), st.text("ab/", max_size=6))
def test_targets_match_as_whole_texts_do(pattern: str, text: str) -> None:
    want = re.fullmatch(pattern.replace("*", ".*").replace("%", ".*"), text) is not None if pattern else False
    assert Glob(pattern).matches(text) is want


@given(
    st.text("ab%1./", max_size=5),
    st.text("ab%1.", max_size=4),
    names,
    items,
    st.sampled_from(["", ":FAIL", ":RUNNING"]),
)
def test_an_id_reads_back_as_printed(target: str, run: str, test: str, item: str, words: str) -> None:
    target = "/".join(p for p in target.split("/") if p) or "u"
    text = f"{target}//{run or 'r'}//{test}" + (f"/{item}" if item else "") + words
    assert str(parse_id(text)) == text
    assert parse_id(str(parse_id(text))) == parse_id(text)
    assert isinstance(parse_id(text), Id)


class Spec(NamedTuple):
    """As much of a specification as growing needs."""

    waitons: tuple[str, ...]
    modes: frozenset[str]
    waitors: tuple[str, ...] = ()
    itemmaps: ItemMaps = ItemMaps()


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Spec]:
    size = draw(st.integers(1, 7))
    modes = st.sampled_from([frozenset[str](), frozenset({"itemwait"}), frozenset({"toplevel"})])
    return {f"t{n}": Spec(tuple(f"t{m}" for m in range(n) if draw(st.booleans())), draw(modes)) for n in range(size)}


@given(graphs(), st.sampled_from(["", "/1", "/1%"]))
def test_everything_that_is_waited_for_is_in_the_grown_pattern(specs: dict[str, Spec], tail: str) -> None:
    start = f"t{len(specs) - 1}"
    grown = grow(start + tail, [start], specs.get)
    place = {t: n for n, t in enumerate(grown.tests)}
    item = "1"
    for test in grown.tests:
        for waiton in specs[test].waitons:
            assert place[test] < place[waiton]
            assert grown.pattern.matches(waiton, item)
