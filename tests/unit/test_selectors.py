"""Patterns, ids, item maps and grown patterns: every table of spec/runs.md 2 is here."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from mt.errors import ConfigError, UsageError
from mt.selectors import (
    Glob,
    Id,
    ItemMaps,
    TestPattern,
    cut,
    find_cycle,
    grow,
    is_wild,
    like,
    map_item,
    parse_id,
    tag_match,
)

MEMORY = [
    ("abc", "abc", "", True), ("abc", "abc", "x", True), ("abc/", "abc", "", True), ("abc/", "abc", "x", False),
    ("abc/%", "abc", "", True), ("abc/%", "abc", "x", True), ("ab%/c%", "abcd", "cde", True),
    ("~abc/c%", "abc", "cde", False), ("abc/~c%", "abc", "cde", False), ("%/,%/a", "def", "a", True),
    ("%/,%/a", "ghi", "b", False), ("%/,%/a", "abc", "", True), ("%", "a", "b", True), ("%/", "a", "b", False),
    ("a/b/c", "a", "b/c", True), ("a/%2", "a", "", False), ("a/%2", "a", "b/2", True), ("a/1", "a", None, True),
    ("A%", "abc", "", True), ("ABC", "abc", "", False), ("a*", "abc", "", True), ("A*", "abc", "", False),
    ("a.c", "abc", "", True), ("(a|b)c", "bc", "", True), ("a[bc]", "ab", "", True), ("a?c", "abc", "", False),
    ("~a%", "bcd", "", True), ("~a%,abc", "abc", "", True), ("", "a", "", False), (",,", "a", "", False),
    ("a/b", "a", "b/c", False), ("a/b%", "a", "b/c", True), ("/x", "a", "x", False), ("a,,b", "b", "", True),
    ("a%", "ABC", "", True), ("a*", "ABC", "", False), ("t/%/ptran", "t", "layout/ptran", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "test", "item", "answer"), MEMORY)
def test_the_memory_match_answers_as_its_table(pattern: str, test: str, item: str | None, answer: bool) -> None:
    assert TestPattern(pattern).matches(test, item) is answer


GLOB = [
    ("a", "a", "x", True), ("a/", "a", "", True), ("a/", "a", "x", False), ("a/%", "a", "", True),
    ("a/%", "a", "x", True), ("A*/x", "Abc", "x", True), ("A*/x", "abc", "x", False), ("/b%", "a", "bc", False),
    ("~a", "b", "", False), ("~a", "~a", "", True), ("a_%", "abx", "", True), ("a%", "ABC", "", True),
    ("a?c", "abc", "", True), ("a[bx]c", "abc", "", True), ("a[^b]c", "abc", "", False), ("a_c", "abc", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "test", "item", "answer"), GLOB)
def test_the_glob_match_answers_as_its_table(pattern: str, test: str, item: str, answer: bool) -> None:
    assert TestPattern.glob(pattern).matches(test, item) is answer


def test_a_pattern_that_is_no_regular_expression_is_taken_as_text() -> None:
    assert TestPattern("a(b").matches("a(b")
    assert TestPattern("a(%").matches("a(b")
    assert not TestPattern("a(b").matches("ab")


def test_a_negated_item_part_matches_other_items() -> None:
    assert TestPattern("abc/~c%").matches("abc", "def")
    assert TestPattern("~%").names_test("a") is False


def test_names_test_looks_at_the_test_part_only() -> None:
    pattern = TestPattern("abc/1,x%/2")
    assert pattern.names_test("abc") and pattern.names_test("xyz") and not pattern.names_test("b")


def test_a_literal_and_a_wild_piece_for_one_test_add_up() -> None:
    pattern = TestPattern("a/1,%/2,a/x%")
    assert [pattern.matches("a", i) for i in ("1", "2", "xy", "3")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        ("ubuntu/%/none", "ubuntu/nfs/none", True), ("ubuntu/%", "ubuntu/nfs/none", True),
        ("UBUNTU/%", "ubuntu/nfs", False), ("u%/nfs", "UBUNTU/nfs", True), ("w1%", "W12", True), ("w1*", "w12", True),
        ("w1*", "W12", False), ("w_%", "w12", True), ("a,b", "b", True), ("%", "a/b/c", True), ("", "a", False),
        ("w1.2", "w1x2", False), ("%.2", "a.2", True), ("*x", "yx", True), ("ubuntu/nfs", "ubuntu/nfs/none", False),
    ],
)  # fmt: skip
def test_targets_and_run_names_match_as_sql_would(pattern: str, text: str, answer: bool) -> None:
    assert like(pattern, text) is answer
    assert Glob(pattern).matches(text) is answer


def test_tags_match_fully_and_with_case() -> None:
    assert tag_match("fast%", ["fast", "net"])
    assert not tag_match("fast%", ["slow"])
    assert tag_match("qui%", ["quick", "dev"])
    assert not tag_match("QUI%", ["quick"])
    assert tag_match("x, dev", ["quick", "dev"])
    assert not tag_match("", ["quick"])
    assert not tag_match("qu", ["quick"])


def test_wildcards_are_recognised() -> None:
    assert is_wild("a%") and is_wild("a*") and is_wild("a,b") and is_wild("~a")
    assert not is_wild("ubuntu/nfs-1.2/none")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("u/n//w1//t/a/1", Id("u/n", "w1", "t", "a/1")), ("u/n//w1//t", Id("u/n", "w1", "t")),
        ("u/n//w1", Id("u/n", "w1")), ("u/n//", Id("u/n")), ("t/a/1", Id(None, None, "t", "a/1")), ("t", Id(test="t")),
        ("t/", Id(test="t", item="")), ("//w1//t", Id(None, "w1", "t")), ("%//%//t%/x*", Id("%", "%", "t%", "x*")),
        ("u//w//t:FAIL", Id("u", "w", "t", None, ("FAIL",))), ("t/a:b", Id(None, None, "t", "a:b")),
        ("t:COMPLETED/FAIL", Id(None, None, "t", None, ("COMPLETED/FAIL",))),
        ("u//w:FAIL,ABORT", Id("u", "w", None, None, ("FAIL", "ABORT"))),
        ("t:n/a", Id(None, None, "t", None, ("n/a",))),
        (":FAIL", Id(words=("FAIL",))),
    ],
)  # fmt: skip
def test_ids_are_read_as_written(text: str, want: Id) -> None:
    assert parse_id(text) == want


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(UsageError, match="an id is empty"):
        parse_id("  ")


def test_an_id_says_which_states_it_accepts() -> None:
    assert parse_id("t").accepts("RUNNING", "n/a")
    assert parse_id("t:FAIL").accepts("COMPLETED", "FAIL")
    assert parse_id("t:RUNNING").accepts("RUNNING", "n/a")
    assert parse_id("t:COMPLETED/FAIL").accepts("COMPLETED", "FAIL")
    assert not parse_id("t:COMPLETED/FAIL").accepts("KILLED", "FAIL")


def test_an_id_gives_its_test_pattern() -> None:
    assert [parse_id(t).pattern for t in ("u//w", "t", "t/", "u//w//t/a/1")] == ["%", "t", "t/", "t/a/1"]


MAPS = [
    ("foo/bar/baz", [(".*/", "")], "baz"),
    ("a123b321", [(r"(a\d+)(b\d+)", r"\2foo\1"), ("b(.*)", r"\1p")], "321fooa123p"),
    ("foo/1234", [("foo/", "bar/")], "bar/1234"), ("d/e/f", [("d", "a"), ("e", "b"), ("f", "c")], "a/b/c"),
    ("foo23/thud", [(r"foo(\d+)/", r"num-\1/bar/")], "num-23/bar/thud"), ("layout/ntran", [("/.*", "")], "layout"),
    ("layout/ptran", [("/.*", "")], "layout"), ("aa", [("a", "b")], "ba"),
    ("blah/baz/bar/foo", [("^([^/]+)/([^/]+)/([^/]+)$", r"\3/\2/\1")], "blah/baz/bar/foo"),
    ("baz/bar/foo", [("^([^/]+)/([^/]+)/([^/]+)$", r"\3/\2/\1")], "foo/bar/baz"),
    ("testcase1/item.1", [(".*", "%")], "%"),
    ("testcase1/item.1", [("([^/]+)/.*", r"X1234/%/\1"), (r"X(\d+)", r"\1")], "1234/%/testcase1"),
    ("bork/7", [("bork", "blah")], "blah/7"), ("1/aa", [(r"(\d+)/aa", r"aa/\1")], "aa/1"),
    ("x/y/z", [("/", "-")], "x-y/z"),
    ("a", [("(a)|(b)", r"\1\2\9\n")], r"a\n"), ("", [(".*", "x")], ""), ("x", [], "x"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "lines", "want"), MAPS)
def test_item_maps_give_what_their_table_says(item: str, lines: list[tuple[str, str]], want: str) -> None:
    assert map_item(tuple(lines), item) == want


def test_an_item_map_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="matches nothing"):
        map_item((("x*", "y"),), "abc")


def test_a_bad_item_map_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"bad item map '\(a'"):
        map_item((("(a", "y"),), "abc")


def test_the_general_item_map_wins_over_those_of_patterns() -> None:
    some = (("lib%", (("a", "b"),)), ("%", (("c", "d"),)))
    assert ItemMaps((), some).lines("libx") == (("a", "b"),)
    assert ItemMaps((), some).lines("other") == (("c", "d"),)
    assert ItemMaps((("x", "y"),), some).lines("libx") == (("x", "y"),)
    assert ItemMaps((), (("a", ()),)).lines("b") == ()


class Spec(NamedTuple):
    """As much of a specification as growing needs."""

    waitons: tuple[str, ...] = ()
    modes: frozenset[str] = frozenset()
    waitors: tuple[str, ...] = ()
    itemmaps: ItemMaps = ItemMaps()


ITEMWAIT = frozenset({"itemwait"})
AA = ItemMaps((), (("C", ((r"(\d+)/res", r"\1/aa"),)),))


@pytest.mark.parametrize(
    ("pattern", "spec", "want"),
    [
        ("h/2", Spec(("w",)), "w,h/2"), ("h/2", Spec(("w",), ITEMWAIT), "w/2,w/,h/2,h/"),
        ("h", Spec(("w",), ITEMWAIT), "w/%,w/,h"), ("h/a%", Spec(("w",), ITEMWAIT), "w/a%,w/,h/a%,h/"),
        ("%", Spec(("w",), ITEMWAIT), "w/%,w/,%"), ("h/2", Spec(("w",), frozenset({"toplevel"})), "w,h/2"),
        ("h/2", Spec(("w",), frozenset({"itemmatch"})), "w/2,w/,h/2,h/"), ("h/", Spec(("w",), ITEMWAIT), "w/,h/"),
        ("h/2,h", Spec(("w",), ITEMWAIT), "w/2,w/%,w/,h/2,h/,h"), ("h", Spec(waitors=("w",)), "w,h"),
    ],
)  # fmt: skip
def test_a_pattern_grows_as_its_table_says(pattern: str, spec: Spec, want: str) -> None:
    grown = grow(pattern, ["h"], {"h": spec, "w": Spec()}.get)
    assert grown.pattern.text == want
    assert set(grown.tests) == {"h", "w"}
    assert grown.pulled == {"w": "h"}


def test_a_grown_pattern_goes_through_the_item_map() -> None:
    grown = grow("D/1/res", ["D"], {"D": Spec(("C",), ITEMWAIT, (), AA), "C": Spec()}.get)
    assert grown.pattern.text == "C/1/aa,C/,D/1/res,D/"


def test_a_chain_of_itemwait_tests_pulls_one_item_of_each() -> None:
    specs = {a: Spec((b,), ITEMWAIT) for a, b in zip("sdcb", "dcba", strict=True)} | {"a": Spec()}
    grown = grow("s/1", ["s"], specs.get)
    assert all(grown.pattern.matches(t, "1") and not grown.pattern.matches(t, "2") for t in "abcds")
    assert grown.tests == tuple("sdcba")


def test_a_waiton_sees_the_items_of_all_that_wait_on_it() -> None:
    specs = {"x": Spec(("m",), ITEMWAIT), "y": Spec(("m",), ITEMWAIT), "m": Spec(("z",), ITEMWAIT), "z": Spec()}
    grown = grow("x/1,y/2", ["x", "y"], specs.get)
    assert [grown.pattern.matches("z", i) for i in ("1", "2", "3")] == [True, True, False]


def test_what_the_user_chose_is_not_extended() -> None:
    grown = grow("h,w/1", ["h", "w"], {"h": Spec(("w",)), "w": Spec()}.get)
    assert grown.pattern.text == "h,w/1"


def test_unknown_waitons_are_named_and_waited_for_by_nobody() -> None:
    grown = grow("h", ["h"], {"h": Spec(("nix", "nix"))}.get)
    assert set(grown.unknown) == {("h", "nix")}
    assert grown.tests == ("h",)


def test_a_test_that_waits_on_itself_does_not_stop_growing() -> None:
    assert grow("h", ["h"], {"h": Spec(("h",))}.get).tests == ("h",)


def test_a_cycle_is_named_with_its_path() -> None:
    specs = {"x": Spec(("a",)), "a": Spec(("b",)), "b": Spec(("a",))}
    with pytest.raises(ConfigError, match=r"tests wait on each other: (a -> b -> a|b -> a -> b)"):
        grow("x", ["x"], specs.get)


def test_waitors_may_name_each_other() -> None:
    grown = grow("a", ["a"], {"a": Spec(waitors=("b",)), "b": Spec(waitors=("a",))}.get)
    assert set(grown.tests) == {"a", "b"}


def test_find_cycle_finds_none_in_a_diamond() -> None:
    assert find_cycle({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}) == []
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]


def test_a_long_chain_grows_without_deep_recursion() -> None:
    specs = {f"t{n}": Spec((f"t{n + 1}",)) for n in range(20000)} | {"t20000": Spec()}
    assert len(grow("t0", ["t0"], specs.get).tests) == 20001


def test_pieces_are_cut_at_commas_and_the_first_slash() -> None:
    assert [(p.test, p.item) for p in cut("a, b/c/d,,e/")] == [("a", None), ("b", "c/d"), ("e", "")]
