"""The grammar of area files: lines, sections, continuations (spec/config.md 1.1 to 1.4, 1.12)."""

from __future__ import annotations

import errno

import pytest
from fakes.effects import FakeEffects

from mt.config import Config, Reading, dump, parse, read
from mt.errors import ConfigError


def reading(**more: object) -> Reading:
    more.setdefault("effects", FakeEffects())
    return Reading("/a", **more)  # type: ignore[arg-type]


def conf(text: str, **more: object) -> Config:
    return parse(text, "/a/megatest.config", reading(**more))


def levels(config: Config) -> list[str]:
    return [p.level for p in config.problems]


def test_the_conformance_sample_reads_as_the_original_did() -> None:
    text = (
        "early 1\n[foo]\na  one two  \nmulti first\n    line2\n      line3 more\n    # comment inside\n"
        "    lost line\nd [system echo x y;echo z]\ni #{get foo a}|#{get foo zz}\n"
        "j #{scheme (+ 1 2)} #{scheme (> 1 2)}\n[bar] # trailing\na again\n"
    )
    config = conf(text, effects=FakeEffects({"echo x y;echo z": (0, "x y\nz\n")}))
    assert config.items("default") == [("early", "1")]
    assert config.items("foo") == [
        ("multi", "first\nline2\n  line3 more"),
        ("d", "x y z"),
        ("i", "one two  |#f"),
        ("j", "3 #f"),
        ("[bar]", "# trailing"),
        ("a", "again"),
    ]
    assert config.sections() == ["default", "foo"]
    assert [(p.where, p.level) for p in config.problems] == [
        ("megatest.config:8", "warning"),
        ("megatest.config:12", "warning"),
    ]


def test_lines_before_the_first_header_belong_to_default() -> None:
    assert conf("early 1\n[foo]\n").to_dict() == {"default": {"early": "1"}, "foo": {}}


def test_a_header_alone_makes_an_empty_section() -> None:
    config = conf("[items]\n")
    assert config.has("items")
    assert config.items("items") == []
    assert config.sections() == ["items"]
    assert not config.has("default")
    assert conf("[default]\n").has("default")


def test_a_section_may_come_again() -> None:
    assert conf("[a]\nx 1\n[b]\n[a]\ny 2\n").items("a") == [("x", "1"), ("y", "2")]


def test_setting_a_key_again_moves_it_to_the_end() -> None:
    assert conf("a 1\nb 2\na 3\n").items("default") == [("b", "2"), ("a", "3")]


def test_names_are_case_sensitive() -> None:
    assert conf("[DEFAULT]\nA 1\na 2\n").to_dict() == {"DEFAULT": {"A": "1", "a": "2"}}


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("k  one  two ", "k", "one  two "),
        ("next val # not a comment", "next", "val # not a comment"),
        ("[bar] # note", "[bar]", "# note"),
        ("COMPLETED/FAIL cmd", "COMPLETED/FAIL", "cmd"),
        ("[a ", "[a", " "),
        ("c   ", "c", "   "),
        ("k", "k", ""),
        ("k\tv\tw", "k", "v\tw"),
        ("k \"q\" 'r' $HOME", "k", "\"q\" 'r' $HOME"),
        ("e pre[system x]", "e", "pre[system x]"),
        ("X [system ls]y", "X", "[system ls]y"),
        ("X [systemctl ls]", "X", "[systemctl ls]"),
        ("k v\r", "k", "v"),
        ("k a\xa0b", "k", "a\xa0b"),
        ("\xa0k v", "\xa0k", "v"),
    ],
)
def test_key_and_value(text: str, key: str, value: str) -> None:
    assert conf(f"[s]\n{text}\n").items("s") == [(key, value)]
    assert conf(f"[s]\n{text}").items("s") == [(key, value)]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("[ foo ]", " foo "),
        ("[]", ""),
        ("[a/b/c]  ", "a/b/c"),
        ("[a]b]", "a]b"),
        ("[include]", "include"),
        ("[configf:settings x]", "configf:settings x"),
        ("[includes a]", "includes a"),
    ],
)
def test_a_header_is_kept_verbatim(line: str, name: str) -> None:
    assert conf(line + "\n").sections() == [name]


def test_a_final_backslash_joins_lines_unchanged() -> None:
    assert conf("p joined \\\n   more\n").get("default", "p") == "joined    more"
    assert conf("p a\\\nb\\\nc\n").get("default", "p") == "abc"
    assert conf("p a\\").get("default", "p") == "a"
    assert conf("p a\\\r\nb\r\n").get("default", "p") == "ab"


def test_a_comment_with_a_final_backslash_swallows_the_next_line() -> None:
    assert conf("# note \\\nk v\nl w\n").items("default") == [("l", "w")]


def test_a_joined_line_is_where_it_begins() -> None:
    config = conf("a 1\nb 2\\\n3\nc 4\n")
    assert [config.where("default", k) for k in "abc"] == [f"megatest.config:{n}" for n in (1, 2, 4)]


def test_continuation_removes_the_prefix_of_its_first_line() -> None:
    assert conf("m first\n    l2\n      l3\n  l4\n").get("default", "m") == "first\nl2\n  l3\n  l4"
    assert conf("m first\n\tl2\n        l3\n").get("default", "m") == "first\nl2\n        l3"


@pytest.mark.parametrize("end", ["", "  ", "# c", "  # c", "[x]", "[include nope]", "[configf:settings a b]"])
def test_what_ends_a_value_drops_later_indented_lines_with_a_warning(end: str) -> None:
    config = conf(f"F x\n  c1\n{end}\n  lost\n")
    assert config.get("default", "F") == "x\nc1"
    assert "line dropped" in config.problems[-1].text
    assert config.problems[-1].where == "megatest.config:4"
    assert set(levels(config)) == {"warning"}


def test_a_command_ends_a_value_and_takes_no_continuation() -> None:
    config = conf("F x\n  c1\nS [system true]\n  lost\n", effects=FakeEffects({"true": (0, "")}))
    assert config.items("default") == [("F", "x\nc1"), ("S", "")]
    assert levels(config) == ["warning"]


def test_a_bare_key_takes_continuation_lines() -> None:
    assert conf("runtest\n  (rule)\n").get("default", "runtest") == "\n(rule)"


def test_a_value_is_complete_when_a_later_line_asks_for_it() -> None:
    config = conf("a x\n  y\nb #{get default a}\n  #{get default b}\n")
    assert config.get("default", "b") == "x\ny\nx\ny"
    config = conf("a x\n  y\n  #{get default a}\n")
    assert config.get("default", "a") == "x\ny\nx\ny"


def test_a_continuation_line_that_is_a_comment_can_be_joined() -> None:
    assert conf("r (expect \\\n  #/re/)\n").get("default", "r") == "(expect   #/re/)"


def test_settings_trim_trailing_blanks_of_later_lines() -> None:
    text = "B Foo  \n[configf:settings trim-trailing-spaces yes]\nA Foo   \nC  \n"
    assert conf(text).items("default") == [("B", "Foo  "), ("A", "Foo"), ("C", "")]
    assert conf(text.replace("yes", "no")).get("default", "A") == "Foo   "


def test_where_names_files_outside_the_area_in_full() -> None:
    effects = FakeEffects(files={"/b/x": "k v\n"})
    config = conf("[include /b/x]\n\nl w\n", effects=effects)
    assert config.where("default", "k") == "/b/x:1"
    assert config.where("default", "l") == "megatest.config:3"
    assert config.where("default", "none") is None
    assert config.where("none", "none") is None


# -- environment


def test_a_bare_key_is_exported_only_where_it_means_the_environment() -> None:
    env: dict[str, str] = {}
    conf("[setup]\nnodot\n[env-override]\nB\nC  \na:b\n", env=env, envlike="env-override")
    assert env == {"B": "", "C": "  "}
    env = {}
    conf("[default]\nVARNOVAL\nV x\n", env=env, bare_export=True)
    assert env == {"VARNOVAL": ""}


def echo(command: str, env: object) -> tuple[int, str]:
    table = {
        "echo $HOME/x   y": "/root/x y\n",
        'echo "q  q"': "q  q\n",
        "echo a;echo b": "a\nb\n",
        "echo one  two $HOME": "one two /root\n",
    }
    return (0, table[command]) if command in table else (2, "")


def test_environment_like_sections_go_through_the_shell_and_are_exported_at_once() -> None:
    env = {"HOME": "/root"}
    text = '[env-overrides]\nE1 $HOME/x   y\nE2 a;echo b\nE3 "q  q"\nE5 #{getenv E1}\nA one  two $HOME\n'
    effects = FakeEffects(echo)
    config = conf(text, env=env, envlike="env-override", effects=effects)
    expected = {"E1": "/root/x y", "E2": "a", "E3": "q  q", "E5": "/root/x y", "A": "one two /root"}
    assert dict(config.items("env-overrides")) == expected
    assert env == {"HOME": "/root", **expected}
    assert len(effects.ran) == 4, "plain text needs no shell"
    assert config.dynamic


def test_continuation_in_an_environment_like_section_is_raw_and_not_exported() -> None:
    env: dict[str, str] = {}
    config = conf("[env-override]\nA x\n  $y\n", env=env, envlike="env-override")
    assert config.get("env-override", "A") == "x\n$y"
    assert env == {"A": "x"}


def test_a_shell_that_refuses_an_environment_value_is_a_problem() -> None:
    config = conf("[env-override]\nA (x\n", envlike="env-override", effects=FakeEffects(echo))
    assert config.get("env-override", "A") == ""
    assert [p.where for p in config.problems] == ["megatest.config:2"]


def test_a_command_in_an_environment_like_section_is_not_exported_at_read() -> None:
    env: dict[str, str] = {}
    config = conf(
        "[env-override]\nA [system c]\n", env=env, envlike="env-override", effects=FakeEffects({"c": (0, "o")})
    )
    assert config.get("env-override", "A") == "o"
    assert env == {}


FIELDS = "[fields]\nsysname TEXT\nfsname TEXT\ndatapath TEXT\n"


def test_fields_are_exported_when_their_section_ends() -> None:
    env: dict[str, str] = {}
    config = conf(FIELDS + "[x]\nW #{getenv sysname}\n", target="ubuntu/nfs/none", env=env)
    assert config.get("x", "W") == "ubuntu"
    assert env == {"sysname": "ubuntu", "fsname": "nfs", "datapath": "none"}


def test_fields_at_the_end_or_in_an_include_are_exported_too() -> None:
    env: dict[str, str] = {}
    conf("[fields]\nOS TEXT\nREL TEXT DEFAULT 'v0'\n", target="lin/r1", env=env)
    assert env == {"OS": "lin", "REL": "r1"}
    effects = FakeEffects(files={"/a/f": FIELDS})
    config = conf("[include f]\n[x]\nW #{getenv datapath}\n", target="u/n/d", effects=effects)
    assert config.get("x", "W") == "d"


def test_fields_known_before_are_exported_from_the_start() -> None:
    assert conf("W #{getenv A}#{getenv B}\n", target="1/2", fields=("A", "B")).get("default", "W") == "12"


def test_a_target_with_a_wrong_number_of_parts_is_a_problem() -> None:
    env: dict[str, str] = {}
    config = conf(FIELDS + "[x]\n", target="a/b", env=env)
    assert env == {}
    assert [p.text for p in config.problems] == [
        "wrong number of values in 'a/b': should match sysname/fsname/datapath"
    ]
    assert levels(conf("", target="a/b", fields=("A",))) == ["error"]


# -- wildcard sections


def test_a_wildcard_sets_values_in_sections_named_before_and_vanishes() -> None:
    config = conf("[a/2/b]\nV 1\n[a/%/b]\nV 2\n[a/9/b]\n")
    assert config.to_dict() == {"a/2/b": {"V": "2"}, "a/9/b": {}}
    assert config.where("a/2/b", "V") == "megatest.config:4"


def test_every_percent_sign_is_a_wildcard() -> None:
    assert conf("[1/2/3]\n[%/%/%]\nA 1\n").to_dict() == {"1/2/3": {"A": "1"}}


def test_a_section_between_slashes_is_a_regular_expression() -> None:
    text = "[v1.65/x/dev]\n[v1.65/x/dev/more]\n[/v1.6.*dev/]\nA 1\n"
    assert conf(text).to_dict() == {"v1.65/x/dev": {"A": "1"}, "v1.65/x/dev/more": {}}


def test_the_last_writer_wins_between_literal_and_wildcard() -> None:
    assert conf("[t]\nA 1\n[%]\nA 2\n[t]\nA 3\n").to_dict()["t"] == {"A": "3"}


def test_a_wildcard_can_hit_default() -> None:
    assert conf("[default]\n[%]\nA 1\n").to_dict() == {"default": {"A": "1"}}


def test_a_broken_regular_expression_is_a_problem_of_its_line() -> None:
    config = conf("[t]\n[/(/]\nA 1\n")
    assert config.to_dict() == {"t": {}}
    assert [(p.where, p.level) for p in config.problems] == [("megatest.config:2", "error")]


def test_a_single_slash_is_a_literal_section() -> None:
    assert conf("[/]\na b\n").sections() == ["/"]


# -- reading for a target


def runconfigs(text: str, target: str | None = "t", **more: object) -> Config:
    keep = frozenset({"default", target or "default"})
    return conf(text, target=target, mode="target", keep=keep, **more)


ANSWERS = {"ls": (0, "seen\n")}


def test_commands_run_only_in_default_the_target_and_wildcards_that_match_it() -> None:
    effects = FakeEffects(ANSWERS)
    text = (
        "[default]\nA #{shell ls}\n[x/t]\nB [system ls]\n[other]\nC #{shell ls}\nD [system ls]\nE #{get other C}\n"
        "[%/t]\nF #{shell ls}\n[%/z]\nG [system ls]\n"
    )
    config = runconfigs(text, target="x/t", effects=effects)
    assert config.to_dict() == {"x/t": {"B": "seen", "F": "seen"}, "default": {"A": "seen"}}
    assert effects.ran == ["ls"] * 3


def test_the_target_section_exists_so_that_wildcards_apply() -> None:
    assert runconfigs("[%]\nA 1\n").to_dict()["t"] == {"A": "1"}
    assert runconfigs("", target="a/b/c").sections() == ["a/b/c"]


def test_sections_are_dropped_only_at_the_end_of_the_outermost_file() -> None:
    effects = FakeEffects(files={"/a/i": "[y]\n"})
    config = runconfigs("[misc]\nK 1\n[include i]\n[t]\nA #{get misc K}\n", effects=effects)
    assert config.to_dict() == {"t": {"A": "1"}}


def test_rget_looks_in_the_target_then_in_default() -> None:
    text = "[default]\nD abc\n[t]\nX xyz\nR #{rget X}\nS #{rget D}\nU #{runconfigs-get nope}\n"
    assert dict(runconfigs(text).items("t")) == {"X": "xyz", "R": "xyz", "S": "abc", "U": "#f"}
    config = conf("[t]\nX 1\n[u]\nA #{rget X}\n")
    assert config.get("u", "A") == "#f", "without a target only [default] counts"


def test_reading_for_a_target_may_differ_next_time() -> None:
    assert runconfigs("a b\n").dynamic


# -- modes


def test_disabled_reading_runs_nothing() -> None:
    effects = FakeEffects()
    config = conf(
        "f #{shell ls}\ng #{system ls} #{sh x}\nk [system ls]\nj #{getenv A}\n", mode="disabled", effects=effects
    )
    assert config.items("default") == [("f", "#{(shell) ls}"), ("g", "#{(system) ls} #{(sh) x}"), ("j", "#f")]
    assert effects.ran == []


def test_deferred_commands_run_once_when_asked_for() -> None:
    effects = FakeEffects({"ls": (3, "a\nb\n"), "now": (0, "n\n")})
    config = conf("[items]\nA [system ls]\nB #{shell now}\n", mode="deferred", effects=effects)
    assert effects.ran == ["now"]
    assert config.is_deferred("items", "A")
    assert not config.is_deferred("items", "B")
    assert config.items("items") == [("A", "a b"), ("B", "n")]
    assert config.get("items", "A") == "a b"
    assert effects.ran == ["now", "ls"]
    assert not config.is_deferred("items", "A")
    assert [(p.where, p.text) for p in config.problems] == [
        ("megatest.config:2", "problem with A [system ls], return code 3")
    ]


def test_a_static_file_says_so() -> None:
    assert not conf("[a]\nx 1\ny #{get a x}#{mtrah z}\n", target="t", fields=("F",)).dynamic
    for text in ("a #{getenv X}", "a [system x]", "# #{shell x}", "[scriptinc x]", "a #{rget b}"):
        assert conf(text, mode="deferred").dynamic, text


def test_an_unknown_mode_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="unknown reading mode"):
        Reading("/a", mode="lazy")


# -- commands as values


def test_a_command_sees_default_and_its_own_section() -> None:
    seen: list[dict[str, str]] = []

    def answer(command: str, env: object) -> tuple[int, str]:
        seen.append(dict(env))  # type: ignore[call-overload]
        return 0, seen[-1].get("base", "") + "\n"

    config = conf(
        "base A\nx=y z\n[s]\nbase B\nS [system echo $base]\n", env={"HOME": "/h"}, effects=FakeEffects(answer)
    )
    assert config.get("s", "S") == "B"
    assert seen == [{"HOME": "/h", "base": "B"}]


def test_a_failing_command_keeps_its_output() -> None:
    config = conf("S [system c]  \nE [system none]\n", effects=FakeEffects({"c": (3, "one\n"), "none": (0, "")}))
    assert config.items("default") == [("S", "one"), ("E", "")]
    assert config.problems[0].text == "problem with S [system c], return code 3"


def test_a_command_runs_to_the_last_bracket() -> None:
    effects = FakeEffects({"x | grep [a-z] # ]": (0, "ok")})
    assert conf("S [system x | grep [a-z] # ]]\n", effects=effects).get("default", "S") == "ok"


# -- includes


def test_includes_are_relative_to_the_including_file_and_start_in_the_current_section() -> None:
    files = {"/a/configs/a.config": "a 1\n[x]\nb 2\n[include ../c]\n", "/a/c": "d 4\n"}
    config = conf("[setup]\n[include ./configs/a.config]\nc 3\n", effects=FakeEffects(files=files))
    assert config.to_dict() == {"setup": {"a": "1", "c": "3"}, "x": {"b": "2", "d": "4"}}
    assert config.files == ["/a/megatest.config", "/a/configs/a.config", "/a/c"]


def test_a_missing_include_is_silent_and_remembered() -> None:
    config = conf("[include local.config]\n[include #{getenv USER_UNSET}.config]\na 1\n")
    assert config.problems == []
    assert config.absent == ["/a/local.config", "/a/#f.config"]


def test_an_include_that_cannot_be_read_is_a_problem_and_reading_goes_on() -> None:
    files = {"/a/dir": IsADirectoryError(errno.EISDIR, "Is a directory"), "/a/bin": b"\0\1"}
    config = conf("[include dir]\n[include bin]\na 1\n", effects=FakeEffects(files=files))
    assert [p.text for p in config.problems] == [
        "cannot include 'dir': is a directory",
        "cannot read '/a/bin': it is not a text file",
    ]
    assert config.get("default", "a") == "1"


def test_a_cycle_of_includes_names_its_chain() -> None:
    effects = FakeEffects(files={"/a/m": "[include b]\n", "/a/b": "\n[include m]\n"})
    with pytest.raises(ConfigError) as caught:
        read("m", reading(effects=effects))
    assert caught.value.lines() == ["b:2: includes never end: m -> b -> m"]


def test_includes_that_nest_without_end_under_new_names_are_refused() -> None:
    class Endless(FakeEffects):
        def read(self, path: str) -> bytes:
            return f"[include {len(path)}{'x' * len(path)}]\n".encode()

    with pytest.raises(ConfigError, match="includes never end"):
        read("m", reading(effects=Endless()))


def test_a_continuation_never_crosses_an_include() -> None:
    effects = FakeEffects(files={"/a/i": "  lost\nb 1\n"})
    config = conf("a 1\n[include i]\n  lost too\n", effects=effects)
    assert config.items("default") == [("a", "1"), ("b", "1")]
    assert [p.where for p in config.problems] == ["i:1", "megatest.config:3"]


def test_settings_are_shared_with_includes() -> None:
    effects = FakeEffects(files={"/a/i": "[configf:settings trim-trailing-spaces yes]\n"})
    assert conf("[include i]\na 1  \n", effects=effects).get("default", "a") == "1"


def test_a_wildcard_that_ends_with_its_include_is_applied() -> None:
    effects = FakeEffects(files={"/a/i": "[%]\nA 1\n"})
    assert conf("[t]\n[include i]\nB 2\n", effects=effects).to_dict()["t"] == {"A": "1", "B": "2"}


def test_a_script_is_read_in_the_current_section_which_then_resumes() -> None:
    effects = FakeEffects({"/a/gen.sh a 'b c'": (0, "in 1\n[items]\nA a b\n")}, programs={"/a/gen.sh"})
    config = conf("[s]\n[scriptinc gen.sh a 'b c']\nafter 2\n", effects=effects)
    assert config.to_dict() == {"s": {"in": "1", "after": "2"}, "items": {"A": "a b"}}
    assert config.where("items", "A") == "gen.sh a 'b c' (output):3"
    assert config.files == ["/a/megatest.config"]


def test_a_script_that_is_no_program_is_skipped_with_a_warning() -> None:
    config = conf("[scriptinc gen.sh]\na 1\n")
    assert [(p.where, p.level) for p in config.problems] == [("megatest.config:1", "warning")]
    assert config.get("default", "a") == "1"


def test_a_failing_script_is_a_problem() -> None:
    effects = FakeEffects({"/a/gen.sh": (2, "a 1\n")}, programs={"/a/gen.sh"})
    config = conf("[scriptinc gen.sh]\n", effects=effects)
    assert config.get("default", "a") == "1"
    assert levels(config) == ["error"]


# -- files


def test_several_files_are_read_into_one_config_each_from_default() -> None:
    effects = FakeEffects(files={"/a/m": "[s]\na 1\nb 2\n[%]\n", "/a/n": "x 0\n[s]\na 3\n"})
    config = read("/a/m", reading(effects=effects), "n")
    assert config.to_dict() == {"default": {"x": "0"}, "s": {"b": "2", "a": "3"}}
    assert config.where("s", "a") == "n:3"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "cannot read '/a/m': no such file or directory"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot read '/a/m': permission denied"),
        (b"a\0b", "cannot read '/a/m': it is not a text file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(found: OSError | bytes | None, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("/a/m", reading(effects=FakeEffects(files={"/a/m": found} if found else {})))
    assert caught.value.lines() == [said]


def test_bytes_that_are_not_utf8_are_read_line_by_line_as_latin1() -> None:
    data = "\ufeffa é\n".encode() + b"b \xe9\n"
    config = read("/a/m", reading(effects=FakeEffects(files={"/a/m": data})))
    assert config.items("default") == [("a", "é"), ("b", "é")]


def test_dump_reads_back_the_same() -> None:
    text = "[a]\nx 1\ny\nz   \n[b]\nm first\n  l2\n    l3\nr\n  (rule)\n[empty]\n"
    config = conf(text)
    again = conf(dump(config))
    assert again.to_dict() == config.to_dict()
    assert dump(again) == dump(config)
