"""mt env save, delta and run: each form of a difference really makes A into B."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from testarea import Area

OLD = {"KEEP": "1", "GONE": "x", "WORD": "old", "PATH": "/usr/bin:/bin", "ODD": 'a "b" $c `d` \\e!'}
NEW = {"KEEP": "1", "FRESH": "it's $5 & more", "WORD": "new one", "PATH": "/usr/bin:/bin:/opt/x", "ODD": "two\nlines"}


@pytest.fixture
def pair(area: Area) -> Area:
    """An area with two saved environments."""
    return area({"a.json": json.dumps(OLD), "b.json": json.dumps(NEW)})


def printed(text: str) -> dict[str, str]:
    """NAME=VALUE lines ended by NUL as a dict, without what a shell adds."""
    pairs = [line.partition("=")[::2] for line in text.split("\0") if line]
    return {n: v for n, v in pairs if n not in ("PWD", "OLDPWD", "SHLVL", "_", "HOST", "MACHTYPE", "OSTYPE", "VENDOR")}


def test_what_is_saved_is_the_environment_and_only_its_owner_may_read_it(area: Area) -> None:
    area.ok("env", "save", "now.json", env={"EXTRA": "ä b"})
    found = json.loads(area.read("now.json"))
    assert found["EXTRA"] == "ä b"
    assert found["HOME"] == area.env["HOME"]
    assert stat.S_IMODE((area.home / "now.json").stat().st_mode) == 0o600


def test_the_sh_form_makes_a_into_b(pair: Area) -> None:
    pair.ok("env", "delta", "a.json", "b.json", "-o", "d.sh")
    assert printed(pair.ok("env", "run", "a.json", "--", "sh", "-c", ". ./d.sh; env -0").out) == NEW


@pytest.mark.skipif(not shutil.which("tcsh") and not shutil.which("csh"), reason="no csh here")
def test_the_csh_form_makes_a_into_b(pair: Area) -> None:
    pair.ok("env", "delta", "a.json", "b.json", "-f", "csh", "-o", "d.csh")
    by_csh = printed(pair.ok("env", "run", "a.json", "--", "csh", "-f", "-c", "env -0").out).keys() - OLD.keys()
    made = printed(pair.ok("env", "run", "a.json", "--", "csh", "-f", "-c", "source d.csh; env -0").out)
    assert {name: value for name, value in made.items() if name not in by_csh} == NEW


def test_groups_are_named_and_noise_is_left_out(pair: Area) -> None:
    text = pair.ok("env", "delta", "a.json", "b.json").out
    assert [line for line in text.splitlines() if line.startswith("# ")] == [
        "# Added vars",
        "# Removed vars",
        "# Changed vars",
    ]
    assert "unset GONE" in text
    assert "SHLVL" not in text


def test_the_json_form_has_old_and_new_values(pair: Area) -> None:
    found = json.loads(pair.ok("env", "delta", "a.json", "b.json", "-f", "json").out)
    assert found["added"] == {"FRESH": "it's $5 & more"}
    assert found["removed"] == {"GONE": "x"}
    assert found["changed"]["WORD"] == {"old": "old", "new": "new one"}
    assert "KEEP" not in found["changed"]


def test_the_ini_form_adds_to_a_path_and_comments_what_a_line_cannot_hold(pair: Area) -> None:
    lines = pair.ok("env", "delta", "a.json", "b.json", "-f", "ini").out.splitlines()
    assert 'PATH #{scheme (env:min-path "/opt/x" "#{getenv PATH}")}' in lines
    assert 'WORD "new one"' in lines
    assert "# ODD: its value cannot be written in one line" in lines
    assert "# GONE is not set" in lines


def test_a_difference_with_itself_is_empty(pair: Area) -> None:
    for form in ("sh", "csh", "ini"):
        assert pair.ok("env", "delta", "a.json", "a.json", "-f", form).out == ""


def test_a_command_sees_only_the_saved_variables(pair: Area) -> None:
    assert printed(pair.ok("env", "run", "a.json", "--", "env", "-0", env={"STRANGER": "1"}).out) == OLD
    assert pair.mt("env", "run", "a.json", "--", "sh", "-c", "exit 5").status == 5


def test_a_command_that_is_not_on_the_saved_path_is_127(area: Area, tmp_path: Path) -> None:
    area({"e.json": json.dumps({"PATH": str(tmp_path)})})
    result = area.mt("env", "run", "e.json", "--", "ls")
    assert result.status == 127
    assert "cannot run 'ls'" in result.err


@pytest.mark.parametrize("text", ["", "[]", '{"A": 1}', "A=1"])
def test_a_file_that_holds_no_environment_is_refused(area: Area, text: str) -> None:
    area({"bad.json": text})
    result = area.mt("env", "run", "bad.json", "--", "true")
    assert result.status == 2
    assert "cannot read 'bad.json'" in result.err
