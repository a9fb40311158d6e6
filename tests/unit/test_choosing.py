"""Which command starts a case: settings in, prefix out (spec/config.md 2.1, 2.5, M11, T70, T81; spec/runs.md 4.8)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.specs import spec

from mt.config import Reading, parse
from mt.pipeline.choosing import Launcher, Launchers, settings_of
from mt.pipeline.loads import Load, Loads, read_load


class _Area:
    """The two things that settings are read from."""

    def __init__(self, text: str, env: dict[str, str]) -> None:
        self.config = parse(text, "megatest.config", Reading("/a", env={}))
        self.env = env

    def setting(self, section: str, key: str) -> str | None:
        value = self.config.get(section, key)
        return value.strip() or None if value else None


def _launchers(
    text: str,
    *,
    env: dict[str, str] | None = None,
    loads: dict[str, Load] | None = None,
    said: list[str] | None = None,
    overrides: tuple[tuple[str, str], ...] = (),
) -> Launchers:
    area = _Area(text, env or {})
    table = loads or {}
    lowest = Loads(lambda hosts: {h: table[h] for h in hosts if h in table}).lowest
    made = settings_of(area)  # type: ignore[arg-type] # the two things it looks at
    warn = (said if said is not None else []).append
    return Launchers(made, lambda name: spec(name)._replace(prelaunch_overrides=overrides), lowest, warn)


def test_without_a_launcher_the_workers_of_mt_run_a_case() -> None:
    """spec/config.md jobtools.launcher: none."""
    found = _launchers("[setup]\n").of("t", "")
    assert found == Launcher("", True, True, True, ())


@pytest.mark.parametrize("text", ["nbfake", "nbfind", "/opt/megatest/bin/nbfake"])
def test_a_launcher_that_only_detaches_is_local(text: str) -> None:
    """spec/config.md M11: what nbfake does is what a worker does."""
    assert _launchers(f"[jobtools]\nlauncher {text}\n").of("t", "").local


@pytest.mark.parametrize("text", ["bsub -q short", "sleeprunner", "NBFAKE_HOST=h nbfake", "nbfake ssh h"])
def test_any_other_launcher_is_not(text: str) -> None:
    """spec/runs.md 4.8."""
    found = _launchers(f"[jobtools]\nlauncher {text}\n").of("t", "")
    assert not found.local
    assert found.text == text


def test_nbfake_with_a_host_goes_there() -> None:
    """spec/config.md 2.4, T81: NBFAKE_HOST from outside, or around the launcher of one test."""
    text = "[jobtools]\nlauncher nbfake\n"
    assert not _launchers(text, env={"NBFAKE_HOST": "h"}).of("t", "").local
    found = _launchers(text, overrides=(("NBFAKE_HOST", "h"),)).of("t", "")
    assert not found.local
    assert found.environment({"A": "b"}) == {"A": "b", "NBFAKE_HOST": "h"}


def test_a_test_can_take_the_host_away_again() -> None:
    """spec/config.md T81: an override with nothing in it."""
    made = _launchers("[jobtools]\nlauncher nbfake\n", env={"NBFAKE_HOST": "h"}, overrides=(("NBFAKE_HOST", ""),))
    assert made.of("t", "").local


def test_the_command_is_one_line_for_a_shell() -> None:
    """spec/config.md M11: `nbfake megatest -m a:t:i -execute ...`, whatever the names have in them."""
    job = ("megatest", "-m", "a:t:it's $HOME", "-execute", "x==")
    argv = _launchers("[jobtools]\nlauncher nbfake\n").of("t", "i").argv(job)
    assert argv[:2] == ("/bin/bash", "-c")
    assert argv[2].startswith("nbfake megatest -m ")
    assert tuple(shlex.split(argv[2])) == ("nbfake", *job)


def test_without_useshell_the_words_are_started_as_they_are() -> None:
    """spec/config.md jobtools.useshell no."""
    argv = _launchers("[jobtools]\nuseshell no\nlauncher run  -x $Q\n").of("t", "").argv(("mt", "a b"))
    assert argv == ("run", "-x", "$Q", "mt", "a b")


def test_launchwait_no_does_not_wait() -> None:
    """spec/config.md setup.launchwait."""
    assert _launchers("").of("t", "").wait
    assert not _launchers("[setup]\nlaunchwait no\n").of("t", "").wait


FLEXI = """\
[jobtools]
flexi-launcher yes
launcher L
[host-types]
g nbfake
r L -r
[launchers]
runfirst/sum% r
% g
"""


@pytest.mark.parametrize(
    ("test", "item", "text"),
    [("runfirst", "summer", "L -r"), ("runfirst", "winter", "nbfake"), ("other", "", "nbfake")],
)
def test_the_first_pattern_that_fits_names_the_host_type(test: str, item: str, text: str) -> None:
    """spec/config.md 2.5 flexi-launcher, T70."""
    assert _launchers(FLEXI).of(test, item).text == text


@pytest.mark.parametrize("word", ["flexi-launcher no", ""])
def test_patterns_count_only_with_flexi_launcher(word: str) -> None:
    """spec/config.md jobtools.flexi-launcher."""
    assert _launchers(FLEXI.replace("flexi-launcher yes", word)).of("runfirst", "summer").text == "L"


def test_an_unknown_host_type_is_warned_of_once_and_the_next_pattern_tried() -> None:
    """spec/config.md host-types."""
    said: list[str] = []
    made = _launchers("[jobtools]\nflexi-launcher 1\nlauncher L\n[launchers]\na% x\na y\n", said=said)
    assert made.of("a", "").text == "L"
    assert made.of("a", "").text == "L"
    assert said == [
        "WARNING: no launcher found for host-type x",
        "WARNING: no launcher found for host-type y",
    ]


LOWEST = "[jobtools]\nflexi-launcher 1\nlauncher L\n[host-types]\nm #MTLOWESTLOAD h1 h2 h3\n[launchers]\n% m\n"


def test_the_least_loaded_host_that_answers_is_taken() -> None:
    """spec/config.md host-types #MTLOWESTLOAD: load per processor."""
    found = _launchers(LOWEST, loads={"h1": Load(1.0, 1), "h3": Load(2.0, 8)}).of("t", "")
    assert (found.text, found.local) == ("remrun h3", False)


def test_no_host_that_answers_means_the_general_launcher() -> None:
    """spec/config.md host-types: finally `launcher`."""
    said: list[str] = []
    assert _launchers(LOWEST, said=said).of("t", "").text == "L"
    assert said == ["WARNING: no host of host-type m answers"]


def test_answers_are_kept_for_a_while_and_choices_spread() -> None:
    """spec/config.md host-types #MTLOWESTLOAD."""
    asked: list[Sequence[str]] = []
    now = [0.0]

    def ask(hosts: Sequence[str]) -> dict[str, Load]:
        asked.append(list(hosts))
        return {h: Load(0.0, 2) for h in hosts if h != "dead"}

    loads = Loads(ask, lambda: now[0], keep=10)
    assert [loads.lowest(["a", "dead", "b"]) for _ in range(4)] == ["a", "b", "a", "b"]
    assert asked == [["a", "dead", "b"]]
    now[0] = 10.0
    assert loads.lowest(["a", "dead"]) == "a"
    assert asked[1:] == [["a", "dead"]]


@pytest.mark.parametrize(
    ("text", "load"),
    [
        (" 10:00:00 up 3 days,  2 users,  load average: 0.52, 0.58, 0.59\n4\n", Load(0.52, 4)),
        ("10:00  up 3 days, 2 users, load averages: 1,52 1,58 1,59\n", Load(1.52, 1)),
        ("bash: uptime: command not found\n4\n", None),
        ("", None),
    ],
)
def test_the_load_is_read_from_what_uptime_prints(text: str, load: Load | None) -> None:
    """Both spellings, and a comma for a point."""
    assert read_load(text) == load


def test_hosts_are_asked_by_ssh_and_silent_ones_drop_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """spec/config.md host-types #MTLOWESTLOAD: a stand-in for ssh, one host that is down."""
    fake = tmp_path / "ssh"
    fake.write_text('#!/bin/sh\ntest "$1" = up && echo "load average: 0.10, 0, 0" && echo 2\n', encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert Loads().lowest(["down", "up"]) == "up"


def test_flags_of_a_test_that_mt_relies_on_are_told_of_once_and_not_asked_for() -> None:
    said: list[str] = []
    wish = parse("[requirements]\ncores 2\nflags --array=1-3\n", "/a/tests/t/testconfig", Reading("/a", env={}))
    area = _Area("[jobtools]\nlauncher slurm flags=--exclusive\n", {})
    made = settings_of(area)  # type: ignore[arg-type] # the two things it looks at
    found = Launchers(made, lambda name: spec(name)._replace(config=wish), lambda hosts: None, said.append)
    for item in ("1", "2"):
        choice = found.choice("t", item)
        assert choice is not None
        assert (choice.ask.cores, choice.ask.flags) == (2, ("--exclusive",))
    (line,) = said
    assert line.startswith("tests/t/testconfig:3: [requirements] flags: '--array=1-3' is not yours to say")
    assert "\n" not in line
