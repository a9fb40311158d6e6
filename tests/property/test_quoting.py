"""What is written for a shell comes out of it unharmed: `mt repro`, ssh."""

from __future__ import annotations

import base64
import re
import shlex

from hypothesis import given
from hypothesis import strategies as st

from mt.pipeline.repro import Text
from mt.remote import entering, login_line

values = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=40)


@given(values)
def test_a_value_stays_what_it_is(value: str) -> None:
    assert shlex.split(Text(()).quoted(value)) == [value]


@given(values, values)
def test_the_old_directory_is_replaced_and_nothing_else(before: str, after: str) -> None:
    word = Text(("/old/dir",)).quoted(f"{before}:/old/dir/{after}")
    (read,) = shlex.split(word)
    assert read == f"{before}:/old/dir/{after}".replace("/old/dir/", "$place/").replace(":/old/dir:", ":$place:")


def test_a_directory_that_only_begins_alike_is_kept() -> None:
    assert shlex.split(Text(("/old/a",)).quoted("/old/ab /old/a"))[0] == "/old/ab $place"


@given(values, values, values)
def test_a_script_reaches_the_shell_through_any_login_shell(directory: str, value: str, word: str) -> None:
    script = f"{entering(directory, {'A': value, 'B b': value}, ['A', 'B b'])}exec {shlex.quote(word)}"
    line = login_line(script)
    assert "!" not in line
    assert "\n" not in line
    words = shlex.split(line)
    assert words[:3] == ["exec", "/bin/sh", "-c"]
    packed = re.fullmatch(r'eval "\$\(echo (\S+) \| base64 -d\)"', words[3])
    assert (base64.b64decode(packed[1]).decode() if packed else words[3]) == script
    assert shlex.split(script)[:4] == ["cd", directory, "||", "exit;"]
