"""`mt config show` and `mt config get` in real areas."""

from __future__ import annotations

import json

from testarea import TARGET, Area

MORE = {
    "megatest.config": """\
        [fields]
        SYSTEM TEXT
        FS TEXT
        [setup]
        linktree #{getenv MT_RUN_AREA_HOME}/lt
        [include more.config]
        [var]
        where #{getenv SYSTEM} #{shell echo one; echo two}
        many first
            second
              third
        bare
        a-b not for sh
        """,
    "more.config": "[site]\nquote it's $HOME\n",
    "runconfigs.config": f"[default]\nORIGIN default\nONLY here\n[{TARGET}]\nORIGIN target\n[other/x]\nORIGIN other\n",
}


def test_values_are_shown_after_expansion(area: Area) -> None:
    area(MORE)
    assert area.ok("config", "get", "setup", "linktree").out == f"{area.home}/lt\n"
    assert area.ok("config", "get", "var", "where", "-t", TARGET).out == "ubuntu one two\n"
    assert area.ok("config", "get", "var", "many").out == "first\nsecond\n  third\n"
    assert area.ok("config", "get", "var", "bare").out == "\n"
    assert area.ok("config", "get", "site", "quote", "--origin").out == "more.config:2\tit's $HOME\n"


def test_what_is_shown_can_be_read_again(area: Area) -> None:
    area(MORE)
    for more in ((), ("--origin",)):
        first = area.ok("config", "show", "-f", "json", "-t", TARGET)
        area.ok("config", "show", "-o", "again.config", "-t", TARGET, *more)
        again = area.ok("config", "show", "--file", "again.config", "-f", "json")
        assert json.loads(again.out) == json.loads(first.out)


def test_a_section_and_a_key_can_be_chosen(area: Area) -> None:
    area(MORE)
    assert area.ok("config", "show", "site").out == "[site]\nquote it's $HOME\n"
    assert area.ok("config", "show", "site", "quote", "--origin").out == "[site]\n# more.config:2\nquote it's $HOME\n"
    assert area.rows("config", "show", "site") == [
        {"v": 1, "section": "site", "key": "quote", "value": "it's $HOME", "where": "more.config:2"}
    ]
    assert area.ok("config", "show", "site", "-f", "tsv").lines() == ["section\tkey\tvalue", "site\tquote\tit's $HOME"]


def test_shell_assignments_give_back_the_values(area: Area) -> None:
    area(MORE)
    result = area.sh('eval "$(mt config show -f sh)"; printf "%s|%s|%s" "$quote" "$many" "${bare-unset}"')
    assert result.out == "it's $HOME|first\nsecond\n  third|"
    assert "a-b" not in area.ok("config", "show", "-f", "sh").out


def test_run_variables_of_a_target_are_completed_by_default(area: Area) -> None:
    area(MORE)
    words = ("config", "get", "--file", "runconfigs")
    assert area.ok(*words, TARGET, "ORIGIN", "-t", TARGET).out == "target\n"
    assert area.ok(*words, TARGET, "ONLY", "-t", TARGET).out == "here\n"
    assert area.ok(*words, "other/x", "ORIGIN").out == "other\n"
    shown = json.loads(area.ok("config", "show", "--file", "runconfigs", "-t", TARGET, "-f", "json").out)
    assert shown == {TARGET: {"ORIGIN": "target"}, "default": {"ORIGIN": "default", "ONLY": "here"}}


def test_a_testconfig_is_shown_by_the_name_of_its_test(area: Area) -> None:
    area.test("t", "true", more="[items]\nA [system echo 1 2]\n[x]\nname #{getenv MT_TEST_NAME}\n")
    assert area.ok("config", "get", "--file", "t", "items", "A").out == "1 2\n"
    assert area.ok("config", "get", "--file", "t", "x", "name").out == "t\n"


def test_what_is_not_set_is_status_one(area: Area) -> None:
    result = area.mt("config", "get", "setup", "nope")
    assert (result.status, result.out) == (1, "")
    assert result.err == "mt: [setup] nope is not set in megatest.config\n"
    assert area.mt("config", "get", "setup", "nope", "-q").err == ""
    result = area.mt("config", "show", "setpu")
    assert (result.status, result.out) == (1, "")
    assert "hint: did you mean setup?" in result.err
    assert area.mt("config", "show", "setup", "nope").status == 1


def test_an_expression_that_cannot_be_done_is_status_three(area: Area) -> None:
    area({"x.config": "[a]\ngood 1\nbad #{scheme (foo 1 2)}\nworse #{shell exit 3}\n"})
    result = area.mt("config", "show", "--file", "x.config")
    assert result.status == 3
    assert "bad #{(scheme) (foo 1 2)}" in result.lines()
    assert 'mt: x.config:3: unsupported #{scheme} expression: unknown procedure "foo" in (foo 1 2)' in result.err
    assert "mt: x.config:4: exit 3 returned bad exit code 3" in result.err
    assert area.mt("config", "get", "--file", "x.config", "a", "bad").status == 3
    assert area.mt("config", "get", "--file", "x.config", "a", "good").status == 0


def test_a_file_that_cannot_be_read_is_one_line(area: Area) -> None:
    (area.home / "binary").write_bytes(b"\0\1")
    for name in ("none", "binary", "tests-that-are-not"):
        result = area.mt("config", "show", "--file", name)
        assert (result.status, result.out) == (3, "")
        assert "Traceback" not in result.err
    assert area.mt("config", "show", "-o", "no/such/file").status == 5


def test_bytes_of_the_environment_come_out_as_they_went_in(area: Area) -> None:
    area({"x.config": "[a]\nv #{getenv ODD}\n"})
    env = {"ODD": "a\udce9"}
    assert area.ok("config", "get", "--file", "x.config", "a", "v", env=env).out == "a\udce9\n"
