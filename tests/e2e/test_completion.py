"""The completion scripts, in the shells that they are for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from testarea import Area

COMPLETE = """
set -u
source <(mt completion bash)
complete_line() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _mt; printf '%s\\n' "${COMPREPLY[@]}"
}
"""


def completed(area: Area, *words: str, env: dict[str, str] | None = None) -> list[str]:
    quoted = " ".join(f"'{w}'" for w in words)
    result = area.sh(f"{COMPLETE}\ncomplete_line mt {quoted}", env=env)
    assert result.err == ""
    return [line for line in result.lines() if line]


def test_verbs_their_second_words_and_options_are_completed(area: Area) -> None:
    assert completed(area, "vers") == ["version"]
    assert completed(area, "env", "") == ["delta", "run", "save"]
    assert completed(area, "version", "--") == ["--verbose", "--help"]
    assert set(completed(area, "version", "-")) == {"-v", "--verbose", "-h", "--help"}


def test_a_value_is_completed_from_what_its_option_takes(area: Area) -> None:
    assert completed(area, "result", "--state", "KILL") == ["KILLREQ", "KILLED"]
    assert completed(area, "env", "delta", "-f", "j") == ["json"]
    assert completed(area, "completion", "") == ["bash", "zsh", "fish"]
    assert completed(area, "-C", "te") == []


def test_names_of_tests_need_no_start_of_ours(area: Area) -> None:
    area.test("alpha").test("beta")
    (area.home / "tests" / "empty").mkdir()
    script = f"{COMPLETE}\nPATH=/usr/bin:/bin; mt() {{ echo started >&2; }}; __mt_words tests"
    assert area.sh(script) == (0, "alpha\nbeta\n", "")


def test_names_from_the_area_are_cached_for_a_minute(area: Area) -> None:
    area({"bin/mt": '#!/bin/sh\necho "$*" >>calls\nprintf "run\\nr1\\nr2\\n"\n'})
    cache = area.home / "cache"
    script = f"{COMPLETE}\nPATH={area.home}/bin:$PATH\n__mt_words runs; __mt_words runs"
    result = area.sh(script, env={"XDG_CACHE_HOME": str(cache)})
    assert result == (0, "r1\nr2\nr1\nr2\n", "")
    assert len(area.read("calls").splitlines()) == 1
    assert len(list((cache / "mt").iterdir())) == 1


def test_outside_an_area_nothing_is_completed_from_one(tmp_path: Path, area: Area) -> None:
    result = area.sh(f"{COMPLETE}\ncd /; __mt_words runs; __mt_words tests; __mt_words targets")
    assert result == (0, "", "")


def test_what_is_asked_for_names_really_works(area: Area) -> None:
    from mt import verbs
    from mt.sections.utilities.completion import SOURCES

    for line in SOURCES.values():
        words = line.split("|")[0].split()[1:]
        assert words[0] in verbs.names(), line
        assert area.mt(*words).status not in (2, 3, 5), line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_good_in_its_shell(shell: str, area: Area) -> None:
    script = area.ok("completion", shell).out
    assert "@" not in "".join(w for w in script.split() if w.startswith("@") and w.endswith("@"))
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_completes_values_of_options(area: Area) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    script = area.ok("completion", "fish").out
    code = f"{script}\ncomplete -C 'mt env '\ncomplete -C 'mt result --state KILLR'"
    done = subprocess.run(["fish", "-N", "-c", code], capture_output=True, text=True, env=area.env, check=False)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["delta", "run", "save", "KILLREQ"]


def test_an_unknown_shell_is_a_usage_error(area: Area) -> None:
    result = area.mt("completion", "tcsh")
    assert (result.status, result.out) == (2, "")
    assert result.err == "mt: no completion for 'tcsh'\nmt: hint: one of bash, zsh, fish\n"
