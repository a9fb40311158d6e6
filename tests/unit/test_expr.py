"""`#{...}` forms: where they are found, what they mean, what happens when they fail (spec/config.md 1.5)."""

from __future__ import annotations

import pytest
from fakes.effects import FakeEffects

from mt.config import Config, Reading, parse
from mt.expr import unquote


def conf(text: str, **more: object) -> Config:
    more.setdefault("effects", FakeEffects())
    return parse(text, "/a/f", Reading("/a", **more))  # type: ignore[arg-type]


def value(text: str, **more: object) -> str | None:
    return conf(f"v {text}\n", **more).get("default", "v")


ENV = {"HOME": "/root", "DEPS": "simple", "E": "", "N": "#{getenv HOME}", "A": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#{getenv HOME}", "/root"),
        ("#{gv HOME}", "/root"),
        ("#{getenv NOPE}/#{getenv HOME}", "#f//root"),
        ("#{getenv HOME }", "#f"),
        ("#{getenv  HOME}", "/root"),
        ("a#{getenv E}b", "ab"),
        ("#{getenv N}", "/root"),
        ("#{getenv #{getenv M#{getenv E}}}", "#f"),
        ("#{mtrah sub}", "/a/sub"),
        ("#{mtrah }", "/a"),
        ("#{mtrah}", "/a"),
        ("#{rp ..}", "/"),
        ("#{rp x/./y/../z}", "/w/x/z"),
        ("#{realpath x}", "/w/x"),
        ("#{rp ~/x}", "/root/x"),
        ("#{rp ~ann}", "/home/ann"),
        ("#{rp ~nobody-here/x}", "/w/~nobody-here/x"),
        ("#{rp //x}", "/x"),
        ("#{rp #{mtrah ../foobar}}", "/foobar"),
    ],
)
def test_forms_and_their_values(text: str, expected: str) -> None:
    cwd = "/" if text == "#{rp ..}" else "/w"
    assert value(text, env=dict(ENV), cwd=cwd) == expected


@pytest.mark.parametrize(
    "text",
    [
        "#{ shell ls}",
        "#{escaped msg}",
        "#{script x}",
        "#{getenv}",
        "#{shell}",
        "#{",
        "#{getenv X",
        "#{}",
        "#{GETENV X}",
    ],
)
def test_what_is_no_form_stays_as_it_is(text: str) -> None:
    assert value(text) == text


def test_forms_nest_inside_out_and_go_from_right_to_left() -> None:
    config = conf("[simple]\ntest1 yes\n[x]\nv #{get #{getenv DEPS} test1}\n", env=dict(ENV))
    assert config.get("x", "v") == "yes"
    effects = FakeEffects({"1": (0, "a"), "2": (0, "b"), "3b": (0, "c")})
    assert value("#{shell 1}#{sh 3#{sh 2}}", effects=effects) == "ac"
    assert effects.ran == ["2", "3b", "1"]


def test_a_form_may_be_made_of_a_result_and_what_follows() -> None:
    assert value("#{getenv H}{getenv HOME}", env={"H": "#", "HOME": "/root"}) == "/root"


def test_get_sees_earlier_lines_only_and_needs_two_words() -> None:
    config = conf("a #{get default b}\nb 1\nc #{g  default  b }\nd #{get default}\n")
    assert config.items("default")[:3] == [("a", "#f"), ("b", "1"), ("c", "1")]
    assert config.get("default", "d") == "#{( get) default}, full expansion: a section and a key are needed"
    assert [(p.where, p.level) for p in config.problems] == [("f:4", "error")]


def test_headers_and_include_paths_are_expanded() -> None:
    effects = FakeEffects(files={"/a/ann.config": "k v\n"})
    config = conf("[include #{getenv U}.config]\n[#{getenv U}/x]\n", env={"U": "ann"}, effects=effects)
    assert config.to_dict() == {"default": {"k": "v"}, "ann/x": {}}


def test_shell_joins_lines_with_blanks() -> None:
    effects = FakeEffects({"printf 'p\\nq\\n'": (0, "p\nq\n"), 'echo "a"': (0, "a\n")})
    assert value(r"#{shell printf 'p\\nq\\n'}", effects=effects) == "p q"
    assert value(r"#{shell echo \"a\"}", effects=effects) == "a"
    assert value('#{sh echo "a"}', effects=effects) == "a"


def test_a_failing_shell_gives_nothing_and_a_problem() -> None:
    config = conf("l #{shell false}\n", effects=FakeEffects({"false": (1, "noise\n")}))
    assert config.items("default") == [("l", " ")]
    assert config.problems[0].text == "false returned bad exit code 1"
    assert config.problems[0].level == "error"


def test_system_gives_the_exit_status() -> None:
    assert value("#{system ls > /dev/null}", effects=FakeEffects({"ls > /dev/null": (0, "")})) == "0"
    assert value("#{system x}", effects=FakeEffects({"x": (3, "")})) == "3"


def test_a_shell_that_cannot_start_leaves_inert_text() -> None:
    def no_shell(command: str, env: object) -> tuple[int, str]:
        raise FileNotFoundError(2, "No such file or directory", "bash")

    config = conf("l #{shell x}\n", effects=FakeEffects(no_shell))
    assert config.get("default", "l") == "#{( shell) x}, full expansion: no such file or directory"
    assert config.problems[0].level == "error"


def test_comments_are_expanded_but_their_failures_are_warnings() -> None:
    effects = FakeEffects({"echo hi > f": (0, ""), "false": (1, "")})
    config = conf("# #{system echo hi > f}\n  # #{shell false} #{scheme (nope)}\n", effects=effects)
    assert effects.ran == ["echo hi > f", "false"]
    assert config.to_dict() == {}
    assert {p.level for p in config.problems} == {"warning"}


def test_a_line_that_expands_to_a_comment_vanishes() -> None:
    text = '[requirements]\n#{getenv W}\n#{scheme (unsetenv "V")}\n'
    env = {"V": "1"}
    assert conf(text, env=env).to_dict() == {"requirements": {}}
    assert env == {}
    assert conf(text, env={"W": "waiton genlib"}).to_dict() == {"requirements": {"waiton": "genlib"}}
    assert conf(text, env={"W": ""}).to_dict() == {"requirements": {}}


def test_a_variable_that_names_itself_is_an_error_not_a_loop() -> None:
    for text in ("#{getenv L}", "x#{getenv L}#{getenv L}"):
        config = conf("v #{getenv L}\n", env={"L": text})
        assert "does not end" in config.problems[0].text
        assert len(config.get("default", "v") or "") <= 10_000


def test_text_that_doubles_with_every_line_is_stopped() -> None:
    lines = ["v0 0123456789"]
    lines += [f"v{n + 1} #{{get default v{n}}}#{{get default v{n}}}" for n in range(40)]
    config = conf("\n".join(lines))
    assert any("does not end" in p.text for p in config.problems)


def test_a_slow_form_is_told_at_info_level() -> None:
    effects = FakeEffects({"x": (0, "")})
    effects.each_takes = 3.0
    config = conf("v #{shell x}\nw #{getenv A}\n", effects=effects)
    assert [(p.where, p.level) for p in config.problems] == [("f:1", "info")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(r"a\"b", 'a"b'), (r"a\\b", "a\\b"), (r"a\nb\t", "a\nb\t"), (r"\$x", "$x"), (r"\x41\101", "AA"), ("a\\", "a\\")],
)
def test_unquote_reads_escapes(text: str, expected: str) -> None:
    assert unquote(text) == expected


def test_a_whole_line_can_come_from_a_variable_named_by_another() -> None:
    text = "[requirements]\n#{getenv WAITON_#{getenv MT_TEST_NAME}}\n"
    config = conf(text, env={"MT_TEST_NAME": "app", "WAITON_app": "waiton genlib"})
    assert config.items("requirements") == [("waiton", "genlib")]


def test_forms_in_a_command_are_expanded_before_it_runs() -> None:
    effects = FakeEffects({"echo INFO xyz": (0, "INFO xyz\n")})
    config = conf("[std/0]\nV xyz\nX [system echo INFO #{rget V}]\n", target="std/0", effects=effects)
    assert config.get("std/0", "X") == "INFO xyz"


def test_values_of_an_included_file_can_be_named_in_later_includes() -> None:
    files = {"/a/disks/nfs.config": "d /nfs\n"}
    text = "[var]\nhome /a\n[disks]\n[include #{get var home}/disks/#{getenv PROVIDER}.config]\n"
    config = conf(text, env={"PROVIDER": "nfs"}, effects=FakeEffects(files=files))
    assert config.items("disks") == [("d", "/nfs")]
