"""Sourcing megatest.sh gives every value back."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt.environ import Env, diff

values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)
variables = st.dictionaries(st.from_regex(r"\A[A-Z][A-Z0-9_]{0,4}X\Z"), values, max_size=6)


def sourced(shell: list[str], script: str) -> dict[str, str]:
    done = subprocess.run(
        [*shell, script + "\nenv -0\n"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )
    pairs = (entry.partition("=") for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, _, value in pairs}


@settings(max_examples=30)
@given(variables)
def test_sourcing_the_sh_text_gives_every_value_back(kv: dict[str, str]) -> None:
    got = sourced(["sh", "-c"], Env(kv).sh(()))
    assert {k: got[k] for k in kv} == kv


@pytest.mark.skipif(not shutil.which("csh"), reason="no csh here")
@settings(max_examples=30)
@given(variables)
def test_sourcing_the_csh_text_gives_every_value_back(kv: dict[str, str]) -> None:
    got = sourced(["csh", "-f", "-c"], Env(kv).csh(()))
    assert {k: got[k] for k in kv} == kv


@given(variables, variables)
def test_applying_a_difference_gives_the_other_environment(a: dict[str, str], b: dict[str, str]) -> None:
    made = dict(a)
    for change in diff(a, b):
        if change.new is None:
            del made[change.name]
        else:
            made[change.name] = change.new
    assert made == b
