"""Environments as values: provenance, shell texts, differences."""

from __future__ import annotations

import pytest

from mt.environ import Change, Env, csh_quote, diff, sh_quote


def test_a_child_changes_nothing_in_its_parent() -> None:
    parent = Env({"A": "1"})
    child = parent.child({"A": "2"}, source="item", B="3")
    assert (parent["A"], child["A"], child["B"], "B" in parent) == ("1", "2", "3", False)


def test_an_environment_says_who_set_a_variable() -> None:
    env = Env({"A": "1", "B": "1"}).child({"A": "2"}, source="runconfigs").child({"C": "3"}, source="item")
    assert [env.source(n) for n in "ABCD"] == ["runconfigs", "inherited", "item", None]


def test_a_sub_run_sees_no_variable_of_ours() -> None:
    env = Env({"MT_TARGET": "a", "MT_X": "b", "PATH": "/bin"}).without("MT_*")
    assert dict(env) == {"PATH": "/bin"}
    assert env.source("MT_X") is None


def test_what_is_given_to_a_process_is_a_copy() -> None:
    env = Env({"A": "1"})
    env.as_dict()["A"] = "2"
    assert env["A"] == "1"


def test_environments_with_equal_values_are_equal() -> None:
    assert Env({"A": "1"}) == Env({}).child(A="1", source="x") == {"A": "1"}
    assert hash(Env({"A": "1"})) == hash(Env({}).child(A="1"))


@pytest.mark.parametrize(
    ("value", "sh", "csh"),
    [
        ("/tmp/a-b_c.d:%x,1", "/tmp/a-b_c.d:%x,1", "/tmp/a-b_c.d:%x,1"), ("", "", ""), ("a b", '"a b"', '"a b"'),
        ("The$USER", '"The\\$USER"', "'The$USER'"), ('say "x"', '"say \\"x\\""', "'say \"x\"'"),
        ("it's", '"it\'s"', '"it\'s"'), ("a\nb", '"a\nb"', "'a\\\nb'"), ("wow!", '"wow!"', "'wow\\!'"),
        ("`x`\\", '"\\`x\\`\\\\"', "'`x`\\'"),
    ],
)  # fmt: skip
def test_values_are_quoted_only_where_a_shell_would_read_them_otherwise(value: str, sh: str, csh: str) -> None:
    assert (sh_quote(value), csh_quote(value)) == (sh, csh)


def test_blacklisted_and_oddly_named_variables_are_comments() -> None:
    text = Env({"USER": "u", "A": "1", "B(%%)": "x", "HOME": "a\nb"}).sh()
    assert text == 'export A=1\n# export B(%%)=x\n# export HOME="a\n# b"\n# export USER=u\n'


def test_another_blacklist_replaces_the_default_one() -> None:
    assert Env({"USER": "u", "FOO": "1"}).sh(("FOO",)) == "# export FOO=1\nexport USER=u\n"


def test_an_empty_value_takes_one_line() -> None:
    assert Env({"VARNOVAL": ""}).sh() == "export VARNOVAL=\n"
    assert Env({"VARNOVAL": ""}).csh() == "setenv VARNOVAL\n"


def test_a_difference_names_old_and_new() -> None:
    assert diff({"A": "1", "B": "2", "C": "3"}, {"A": "1", "B": "x", "D": "4"}) == [
        Change("B", "2", "x"), Change("C", "3", None), Change("D", None, "4"),
    ]  # fmt: skip
