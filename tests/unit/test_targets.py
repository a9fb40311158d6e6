"""Targets against the keys of an area."""

from __future__ import annotations

import pytest

from mt.errors import ConfigError
from mt.targets import matching, nearest, parts, reserved


def test_a_target_has_one_value_for_each_key() -> None:
    assert parts("lin/r1", ("OS", "REL")) == {"OS": "lin", "REL": "r1"}


@pytest.mark.parametrize("target", ["a/b", "a/b/c/d", "a//c", "a/b/", "a/../c", "a/./c", "", "a/b/\0"])
def test_a_target_that_does_not_fit_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match="invalid target"):
        parts(target, ("X", "Y", "Z"))


def test_the_message_counts_and_the_hint_names_the_keys() -> None:
    with pytest.raises(ConfigError) as caught:
        parts("a", ("sys", "fs"))
    assert caught.value.what == "invalid target 'a': it has 1 part, the area has 2 keys"
    assert caught.value.hint == "a target of this area is SYS/FS"


def test_reserved_names_are_found_whatever_their_case() -> None:
    assert reserved(["OS", "State", "runname", "x"]) == ["State", "runname"]


def test_targets_are_sorted_and_matched_by_a_comma_list() -> None:
    names = ["u/n", "default", "a/b"]
    assert matching(names, None) == ["a/b", "default", "u/n"]
    assert matching(names, "%/%") == ["a/b", "u/n"]
    assert matching(names, "u%,default") == ["default", "u/n"]


def test_the_nearest_names_are_offered() -> None:
    assert nearest("tset", ["test", "x"]) == "did you mean test?"
    assert nearest("zzz", ["b", "a"]) == "there are: a, b"
    assert nearest("zzz", []) is None
