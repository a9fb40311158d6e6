"""Reading real files with a real shell (spec/config.md X8, G34, G40, G45)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mt.config import Config, Reading, SystemEffects, parse, read
from mt.effects import decode
from mt.errors import ConfigError


def write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)


def area(home: Path, text: str, **more: object) -> Config:
    write(home, {"megatest.config": text})
    env = more.setdefault("env", {"PATH": os.environ["PATH"], "HOME": "/root", "MT_RUN_AREA_HOME": str(home)})
    assert isinstance(env, dict)
    return read("megatest.config", Reading(str(home), **more))  # type: ignore[arg-type]


def test_commands_run_in_the_area_with_its_environment(tmp_path: Path) -> None:
    config = area(
        tmp_path,
        "[misc]\nparent #{shell readlink -f $MT_RUN_AREA_HOME/..}\nhere #{shell pwd}\n"
        "bash #{shell type -p ls}\nn [system printf 'a\\nb\\n' | tr a-z A-Z]\nW #{system ls > /dev/null}\n",
    )
    assert config.problems == []
    values = dict(config.items("misc"))
    assert values["parent"] == str(tmp_path.parent)
    assert values["here"] == str(tmp_path)
    assert values["bash"].endswith("/ls")
    assert values["n"] == "A B"
    assert values["W"] == "0"


def test_environment_like_values_are_what_echo_prints(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/root"}
    write(tmp_path, {"one.x": "", "two.x": ""})
    text = '[env-override]\nA $HOME/x   y\nB a;echo b\nC "q  q"\nD *.x\nE `echo in`\n'
    text += "F plain  text\nG #{getenv A}\nH -n x\n"
    config = area(tmp_path, text, env=env, envlike="env-override")
    expected = {
        "A": "/root/x y", "B": "a", "C": "q  q", "D": "one.x two.x", "E": "in", "F": "plain text", "G": "/root/x y",
        "H": "x",
    }  # fmt: skip
    assert dict(config.items("env-override")) == expected
    assert {k: env[k] for k in expected} == expected
    assert "A" not in os.environ or os.environ["A"] != "/root/x y"


def test_scripts_and_includes_are_read_from_disk(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "sub/more.config": "a 1\n[include deep/x]\n",
            "sub/deep/x": "[x]\nb 2\n",
            "gen.sh": '#!/bin/sh\necho "items $1 $base"\necho "[items]"\necho "A a b"\n',
            "plain.sh": "echo no\n",
        },
    )
    config = area(
        tmp_path, "base B\n[setup]\n[include sub/more.config]\n[scriptinc ./gen.sh 'x y']\n[scriptinc plain.sh]\nc 3\n"
    )
    assert config.to_dict() == {
        "default": {"base": "B"},
        "setup": {"a": "1", "items": "x y B", "c": "3"},
        "x": {"b": "2"},
        "items": {"A": "a b"},
    }
    assert config.where("x", "b") == "sub/deep/x:2"
    assert [(p.where, p.level) for p in config.problems] == [("megatest.config:5", "warning")]


def test_a_directory_is_made_where_it_should_be(tmp_path: Path) -> None:
    config = area(tmp_path, '[disks]\nd #{scheme (create-directory "#{getenv MT_RUN_AREA_HOME}/runs/x" #t)}\n')
    assert config.get("disks", "d") == str(tmp_path / "runs/x")
    assert (tmp_path / "runs/x").is_dir()


def test_output_of_system_is_talk_not_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = area(tmp_path, "v #{system echo hello; exit 4}\n")
    assert config.get("default", "v") == "4"
    out, err = capfd.readouterr()
    assert (out, err) == ("", "hello\n")


def test_commands_never_wait_for_standard_input(tmp_path: Path) -> None:
    assert area(tmp_path, "v #{shell cat; echo done}\n").get("default", "v") == "done"


def test_output_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    config = area(tmp_path, "v [system printf 'a\\351b\\0c\\n']\n")
    assert config.get("default", "v") == "a\xe9bc"


@pytest.mark.parametrize("name", ["missing", "dir", "binary", "a/b", "x" * 300])
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ConfigError, match="cannot read") as caught:
        read(name, Reading(str(tmp_path)))
    assert len(caught.value.lines()) == 1


def test_includes_of_all_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    config = area(tmp_path, f"[include dir]\n[include {'x' * 300}]\n[include none]\nk v\n")
    assert [p.level for p in config.problems] == ["error", "error"]
    assert config.get("default", "k") == "v"


def test_a_working_directory_that_is_gone_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    reading = Reading(str(tmp_path / "gone"), env={"PATH": os.environ["PATH"]}, envlike="env")
    config = parse("a #{shell ls}\nb [system ls]\n[env]\nc $x\n", "f", reading)
    assert [p.level for p in config.problems] == ["error"] * 3


def test_a_command_that_is_too_long_is_a_problem(tmp_path: Path) -> None:
    config = area(tmp_path, f"v #{{shell : {'x' * 3_000_000}}}\nw [system : {'x' * 3_000_000}]\n")
    assert len(config.problems) == 2


def test_ten_megabytes_are_read_in_seconds(tmp_path: Path) -> None:
    text = "".join(f"key{n} value {n} and more text that fills the line\n" for n in range(200_000))
    started = time.perf_counter()
    config = area(tmp_path, text)
    assert len(config.keys("default")) == 200_000
    assert time.perf_counter() - started < 20


def test_the_real_effects_know_this_host(tmp_path: Path) -> None:
    effects = SystemEffects()
    write(tmp_path, {"t1/testconfig": "", ".hidden/testconfig": "", "t2/other": "", "t0/testconfig": ""})
    assert effects.tests([str(tmp_path), str(tmp_path / "none"), str(tmp_path)]) == ["t0", "t1"]
    assert effects.cpus() >= 1
    assert effects.host() == os.uname().nodename
    assert effects.user_home("root") == "/root"
    assert effects.user_home("no such user") is None
    assert effects.monotonic() <= effects.monotonic()


def test_decode_keeps_what_is_utf8() -> None:
    assert decode("é\n".encode() + b"\xe9") == "é\né"
