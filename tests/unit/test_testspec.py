"""What a testconfig says, as one value (spec/config.md 4)."""

from __future__ import annotations

import pytest
from fakes.effects import FakeEffects

from mt.config import Reading, dump, parse, programs
from mt.testspec import (
    TestSpec,
    item_info,
    item_lines,
    item_path,
    make_spec,
    split_step,
    step_env,
    wait_problems,
)


def spec(text: str, *, mode: str = "immediate", outputs: dict[str, tuple[int, str]] | None = None) -> TestSpec:
    effects = FakeEffects(outputs or {})
    reading = Reading("/a", mode=mode, envlike="pre-launch-env-vars", effects=effects, env={})
    config = parse(text, "/a/tests/t/testconfig", reading)
    return make_spec("t", "/a/tests/t", config, expand=mode == "immediate")


def paths(text: str) -> list[str] | None:
    items = spec(text).items
    return None if items is None else [item_path(item) for item in items]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("[items]\nA x y\nB 1 2\n", ["x/1", "x/2", "y/1", "y/2"]),
        ("[itemstable]\nA x y z\nB 1 2\n", ["x/1", "y/2", "z/-"]),
        ("[itemstable]\nVIEW a b\nCELL x\n", ["a/x", "b/-"]),
        ("[items]\nA\n", []),
        ("[items]\nA x\nB\n", []),
        ("[items]\n# only a comment\n", None),
        ("[items]\n[itemstable]\n", None),
        ("[ezsteps]\ns true\n", None),
        ("[items]\nS w s u f\n[itemstable]\nA a b\nB 1 2\n", ["w", "s", "u", "f", "a/1", "b/2"]),
        ("[items]\nA STUCK/DEAD blah/3\n", ["STUCK/DEAD", "blah/3"]),
        ("[items]\nA x\n  y\n  z\n", ["x", "y", "z"]),
        ("[items]\nA x x\n", ["x", "x"]),
    ],
)  # fmt: skip
def test_items_expand_as_their_table_says(text: str, want: list[str] | None) -> None:
    assert paths(text) == want


def test_an_item_knows_its_variables() -> None:
    items = spec("[items]\nA x\nB 1\n").items
    assert items == ((("A", "x"), ("B", "1")),)
    assert item_info(items[0]) == "((A x) (B 1))"
    assert item_info(()) == "()"


def test_an_empty_section_of_items_is_told() -> None:
    (problem,) = spec("[items]\n").problems
    assert problem.text == "WARNING:[items] section in testconfig but no entries defined"
    assert problem.level == "warning"


def test_item_lists_that_a_command_prints_wait_until_the_test_is_expanded() -> None:
    text = "[items]\nA [system list]\n[ezsteps]\ns [system steps]\n"
    outputs = {"list": (0, "x y\n"), "steps": (0, "true\n")}
    early = spec(text, mode="deferred", outputs=outputs)
    assert (early.items, early.items_deferred, early.dynamic) == (None, True, True)
    assert early.steps[0].command == ""
    late = spec(text, outputs=outputs)
    assert [item_path(i) for i in late.items or ()] == ["x", "y"]
    assert (late.items_deferred, late.steps[0].command) == (False, "true")


def test_waitons_that_a_command_prints_are_known_when_the_queue_is_built() -> None:
    assert spec("[requirements]\nwaiton [system w]\n", mode="deferred", outputs={"w": (0, "a b\n")}).waitons == (
        "a",
        "b",
    )


def test_a_blank_value_resets_the_waitons() -> None:
    assert spec("[requirements]\nwaiton a\nwaiton \n").waitons == ()


def test_names_that_are_no_tests_and_the_test_itself_are_told_in_fixed_words() -> None:
    made = spec("[requirements]\nwaiton t nix a\nwaitor w\n")
    assert made.waitons == ("t", "nix", "a")
    assert [(p.where, p.text) for p in wait_problems(made, {"a", "t"})] == [
        ("tests/t/testconfig:2", "ERROR: test t has listed itself as a waiton or waitor, please correct this!"),
        ("tests/t/testconfig:2", "ERROR: test t has unrecognised waiton testname nix"),
        ("tests/t/testconfig:3", "ERROR: test t has unrecognised waitor testname w"),
    ]


@pytest.mark.parametrize(
    ("value", "command", "pairs"),
    [
        ("ls -l", "ls -l", ()),
        ("{subrun=true} megatest -run", "megatest -run", (("subrun", "true"),)),
        ("{a=1; b=x y} cmd", "cmd", (("a", "1"), ("b", "x y"))),
        ("{ ls; pwd; }", "{ ls; pwd; }", ()),
        ("${X} y", "${X} y", ()),
        ("\nfirst\nsecond", "first\nsecond", ()),
    ],
)  # fmt: skip
def test_a_step_is_cut_into_prefix_and_command(value: str, command: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert split_step(value) == (command, pairs)


def test_steps_come_in_the_order_of_their_last_setting() -> None:
    made = spec("[ezsteps]\na one\nb two\na three\n")
    assert [(s.name, s.command, s.where) for s in made.steps] == [
        ("b", "two", "tests/t/testconfig:3"),
        ("a", "three", "tests/t/testconfig:4"),
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (".*/", ((".*/", ""),)), ("a  b c", (("a", "b c"),)), ("a b\n c d\n", (("a", "b"), ("c", "d"))),
        ("", ()), ("\n(a) \\1\n", (("(a)", "\\1"),)),
    ],
)  # fmt: skip
def test_item_maps_are_lines_of_two_words(text: str, lines: tuple[tuple[str, str], ...]) -> None:
    assert item_lines(text) == lines


def test_item_maps_of_both_places_are_kept_apart() -> None:
    made = spec("[requirements]\nitemmap a b\n[itemmap]\nlib% c d\n  e f\n")
    assert made.itemmaps.general == (("a", "b"),)
    assert made.itemmaps.some == (("lib%", (("c", "d"), ("e", "f"))),)


def test_a_bad_item_map_is_told_with_its_line() -> None:
    (problem,) = spec("[itemmap]\n% (a b\n").problems
    assert problem.where == "tests/t/testconfig:2"
    assert problem.text.startswith("bad item map '(a'")


def test_a_priority_that_is_no_number_is_zero_and_told() -> None:
    made = spec("[requirements]\npriority high\n")
    assert made.priority == 0
    assert "priority 'high' is not a number" in made.problems[0].text
    assert spec("[requirements]\npriority 2.5\n").priority == 2.5


@pytest.mark.parametrize(
    ("text", "seconds", "doubts"),
    [("25m", 1500, 0), ("1h 2m 3s", 3723, 0), ("1h2m", 3720, 1), ("10", 10, 1), ("1h # max 2h", 10800, 2)],
)
def test_time_limits_are_sums_of_words(text: str, seconds: float, doubts: int) -> None:
    made = spec(f"[requirements]\nruntimelim {text}\n")
    assert made.runtimelim == seconds
    assert len(made.problems) == doubts


def test_no_time_limit_is_none() -> None:
    assert spec("").runtimelim is None


def test_modes_are_a_set_of_known_words() -> None:
    assert spec("[requirements]\nmode itemwait toplevel\n").modes == {"itemwait", "toplevel"}
    made = spec("[requirements]\nmode itemwiat\n")
    assert made.problems[0].text == "unknown mode 'itemwiat'"


def test_the_job_group_is_meta_data_and_also_taken_from_the_requirements() -> None:
    assert spec("[test_meta]\njobgroup g\n[requirements]\njobgroup h\n").jobgroup == "g"
    assert spec("[requirements]\njobgroup h\n").jobgroup == "h"


def test_only_the_first_kind_of_skip_counts() -> None:
    assert spec("[skip]\nrundelay 1h\nfileexists x\n").skip == ("fileexists", "x")
    assert spec("[skip]\n").skip is None


def test_an_empty_section_of_disks_differs_from_none() -> None:
    assert spec("").disks is None
    assert spec("[disks]\n").disks == ()
    assert spec("[disks]\nd /x\n").disks == (("d", "/x"),)


def test_variables_for_the_launcher_are_kept() -> None:
    made = spec("[pre-launch-env-vars]\nA 1\n[pre-launch-env-overrides]\nNBFAKE_HOST h\n")
    assert made.prelaunch == (("A", "1"),)
    assert made.prelaunch_overrides == (("NBFAKE_HOST", "h"),)


def test_meta_data_and_tags_are_read() -> None:
    made = spec("[test_meta]\nauthor me\ntags quick, dev,\n")
    assert made.meta["author"] == "me"
    assert made.tags == ("quick", "dev")


def test_scripts_rules_triggers_waivers_and_sub_runs_are_read() -> None:
    made = spec(
        "[setup]\nrunscript go.sh\n[logpro]\ns ;; rules\n  (x)\n[triggers]\n/FAIL t.sh\n[waivers]\nw r a.log\n"
        "[waiver_rules]\nr diff %file1% %file2%\n[subrun]\nrunwait yes\n"
    )
    assert made.runscript == "go.sh"
    assert made.logpro == {"s": ";; rules\n(x)"}
    assert made.triggers == (("/FAIL", "t.sh"),)
    assert made.waivers == (("w", "r a.log"),)
    assert made.waiver_rules == (("r", "diff %file1% %file2%"),)
    assert made.subrun == (("runwait", "yes"),)


def test_a_file_without_expansions_is_static() -> None:
    assert spec("[ezsteps]\ns true\n").dynamic is False
    assert spec("[ezsteps]\ns #{getenv X}\n").dynamic is True


def test_a_step_that_starts_another_run_sees_nothing_of_its_own() -> None:
    """spec/config.md T11: only the key `subrun` of a prefix changes what is there."""
    env = {"MT_TARGET": "a/b", "MT_CMDINFO": "x", "PATH": "/bin"}
    assert step_env(env, ()) == env
    assert step_env(env, (("subrun", "true"),)) == {"PATH": "/bin"}
    assert step_env(env, (("subrun", "no"), ("A", "1"))) == {**env, "A": "1"}


def test_a_script_section_is_text_as_it_stands() -> None:
    """spec/architecture.md 6.9: an extension; nothing in a program is read as configuration."""
    text = """\
[script build]
    #!/usr/bin/env python3
    # not a comment of ours #{getenv HOME}

    if True:
        print("a \\
b")
\\[ -f x ] && key value

[ezsteps]
b build
[script late]
echo late
"""
    found = spec(text.replace("    ", "\t").replace("\\\nb", "\\\n\tb").replace("\n\\[", "\n\t\\["))
    body = '#!/usr/bin/env python3\n# not a comment of ours #{getenv HOME}\n\nif True:\n\tprint("a \\\nb")\n'
    assert found.scripts == (("build", body + "[ -f x ] && key value\n"), ("late", "echo late\n"))
    assert [(s.name, s.command) for s in found.steps] == [("b", "build")]
    assert found.problems == ()


def test_an_empty_script_section_is_told() -> None:
    found = spec("[script x]\n\n[ezsteps]\ns true\n")
    assert found.scripts == ()
    assert [(p.level, p.text) for p in found.problems] == [("warning", "[script x] is empty")]


def test_script_sections_keep_the_lines_of_what_follows() -> None:
    found = spec("[script x]\na\\\nb\n[ezsteps]\ns true\n")
    assert found.scripts == (("x", "a\\\nb\n"),)
    assert found.steps[0].where == "tests/t/testconfig:5"


def test_a_dump_of_a_script_section_reads_back_the_same() -> None:
    text = "[script x]\n#!/bin/sh\n\\[ -f a ]\n\n  echo #{x}\n[b]\nk v\n"
    config = parse(text, "/a/t", Reading("/a", effects=FakeEffects()))
    again = parse(dump(config), "/a/t", Reading("/a", effects=FakeEffects()))
    assert programs(again) == programs(config) == [("x", "#!/bin/sh\n[ -f a ]\n\n  echo #{x}\n")]
    assert again.get("b", "k") == "v"
