"""Areas on disk: found, read in order, their environment, their tests (spec/config.md 2, 3, 5)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testarea import Area as Files

from mt.area import Area
from mt.errors import ConfigError

TARGET = "ubuntu/nfs"


def opened(files: Files, **more: object) -> Area:
    more.setdefault("target", TARGET)
    more.setdefault("environ", {"HOME": "/home/me", "USER": "me", "PATH": "/usr/bin:/bin"})
    return Area.open(str(files.home), **more)  # type: ignore[arg-type]


def test_an_area_is_found_upwards(area: Files) -> None:
    below = area.home / "tests" / "deep"
    below.mkdir(parents=True)
    assert Area.open(str(below), environ={}).home == str(area.home)


def test_the_search_stops_at_home(area: Files) -> None:
    home = area.home / "home" / "me"
    home.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"no megatest.config at or above"):
        Area.open(str(home), environ={"HOME": str(home)})


def test_a_variable_names_the_area(area: Files, tmp_path: Path) -> None:
    assert Area.open(environ={"MT_RUN_AREA_HOME": str(area.home)}).home == str(area.home)
    assert Area.open(environ={"MT_AREA": str(area.home)}).home == str(area.home)
    with pytest.raises(ConfigError) as caught:
        Area.open(environ={"MT_AREA": str(tmp_path)})
    assert "$MT_AREA" in str(caught.value.hint)


def test_a_directory_beats_the_variable(new_area: Callable[..., Files]) -> None:
    one, two = new_area("one"), new_area("two")
    assert Area.open(str(one.home), environ={"MT_RUN_AREA_HOME": str(two.home)}).home == str(one.home)


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        Area.open(str(tmp_path / "nix"), environ={})


def test_a_run_directory_on_another_disk_is_in_the_area_it_was_entered_from(
    area: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    link = area.home / "lt"
    link.symlink_to(disk)
    monkeypatch.chdir(disk)
    assert Area.open(environ={"PWD": str(link)}).home == str(area.home)


def test_the_target_is_exported_by_key_and_as_a_whole(area: Files) -> None:
    made = opened(area, run="r1")
    assert (made.env["SYSTEM"], made.env["FS"]) == ("ubuntu", "nfs")
    assert (made.env["MT_TARGET"], made.env["MT_RUNNAME"]) == (TARGET, "r1")
    assert made.env["MT_RUN_AREA_HOME"] == str(area.home)
    assert made.env["MT_TESTSUITENAME"] == made.name == "area"
    assert made.env["MT_LINKTREE"] == made.linktree == str(area.home / "lt")
    assert made.keys == ("SYSTEM", "FS")


def test_what_one_area_exports_is_not_in_our_own_environment(area: Files) -> None:
    before = dict(os.environ)
    area({"megatest.config": "[fields]\nA TEXT\n[env-override]\nNEVER_SEEN 1\n"})
    assert opened(area, target="x").env["NEVER_SEEN"] == "1"
    assert dict(os.environ) == before


def test_the_target_section_beats_the_default_one(area: Files) -> None:
    made = opened(area)
    assert made.env["ORIGIN"] == "target"
    assert made.env.source("ORIGIN") == "runconfigs"
    assert opened(area, target="a/b").env["ORIGIN"] == "default"


def test_run_variables_are_exported_as_written(area: Files) -> None:
    area({"runconfigs.config": "[default]\nB $HOME/x\nVARNOVAL\n[default/ubuntu]\nNO 1\n"})
    made = opened(area)
    assert made.env["B"] == "$HOME/x"
    assert made.env["VARNOVAL"] == ""
    assert "NO" not in made.env
    assert made.runvars == (("B", "$HOME/x"), ("VARNOVAL", ""))


def test_set_variables_beat_run_variables_but_not_the_area(area: Files) -> None:
    area({"megatest.config": "[fields]\nA TEXT\nB TEXT\n[env-override]\nX area\n"})
    made = opened(area, setvars=[("ORIGIN", "typed"), ("X", "typed")])
    assert (made.env["ORIGIN"], made.env.source("ORIGIN")) == ("typed", "setvars")
    assert (made.env["X"], made.env.source("X")) == ("area", "env-override")
    assert made.overrides()["ORIGIN"] == "typed"


def test_values_that_depend_on_the_run_settle(area: Files) -> None:
    text = "[fields]\nA TEXT\nB TEXT\n[env-override]\nR /x/#{getenv MT_RUNNAME}/y\nV #{getenv ORIGIN}\n"
    made = opened(area({"megatest.config": text}), run="w1")
    assert made.env["R"] == "/x/w1/y"
    assert made.env["V"] == "target"


def test_environment_overrides_go_through_the_shell(area: Files) -> None:
    text = "[fields]\nA TEXT\nB TEXT\n[env-override]\nA1 one   two $HOME\nA2\n"
    made = opened(area({"megatest.config": text}))
    assert (made.env["A1"], made.env["A2"]) == ("one two /home/me", "")


@pytest.mark.parametrize("target", ["ubuntu", "ubuntu/nfs/x", "ubuntu/"])
def test_a_target_that_does_not_fit_is_refused(area: Files, target: str) -> None:
    with pytest.raises(ConfigError, match="invalid target"):
        opened(area, target=target)


def test_an_inherited_target_that_does_not_fit_is_no_target(area: Files) -> None:
    made = opened(area, target=None, environ={"MT_TARGET": "x"})
    assert made.target is None
    assert "MT_TARGET" not in made.env
    assert any("invalid target 'x'" in p.text for p in made.problems)


def test_an_inherited_target_and_run_count(area: Files) -> None:
    made = opened(area, target=None, environ={"MT_TARGET": TARGET, "MT_RUNNAME": "w"})
    assert (made.target, made.run_name) == (TARGET, "w")


def test_inside_a_test_of_another_area_its_target_is_not_ours(new_area: Callable[..., Files]) -> None:
    outer, inner = new_area("outer"), new_area("inner")
    environ = {"MT_RUN_AREA_HOME": str(outer.home), "MT_TARGET": TARGET, "MT_LINKTREE": "/nix", "MT_RUNNAME": "r"}
    made = opened(inner, target=None, environ=environ)
    assert (made.target, made.run_name, made.linktree) == (None, None, str(inner.home / "lt"))


def test_a_pattern_is_no_target(area: Files) -> None:
    assert opened(area, target="ubuntu/%").target is None


def test_a_target_can_be_asked_to_be_known(area: Files) -> None:
    assert opened(area, known_target=True).target == TARGET
    with pytest.raises(ConfigError, match=r"\[ubuntu/nsf\] not found in runconfigs.config") as caught:
        opened(area, target="ubuntu/nsf", known_target=True)
    assert caught.value.hint == "did you mean ubuntu/nfs?"


def test_a_reserved_key_is_refused_with_its_line(area: Files) -> None:
    with pytest.raises(ConfigError, match="reserved name") as caught:
        opened(area({"megatest.config": "[fields]\nOS TEXT\nstate TEXT\n"}), target="a/b")
    assert caught.value.where == "megatest.config:3"


def test_a_missing_run_config_file_is_told_and_put_up_with(area: Files) -> None:
    (area.home / "runconfigs.config").unlink()
    assert any("WARNING: You do not have a run config file" in p.text for p in opened(area).problems)


def test_targets_are_the_sections_of_the_run_config_file(area: Files) -> None:
    area({"runconfigs.config": "[default]\n[std/0]\nX 1\n[a/%]\nY 2\n[/re.*/]\nZ 1\n[a/b]\n"})
    made = opened(area)
    assert made.targets() == ["a/b", "default", "std/0"]
    assert made.targets("%/%") == ["a/b", "std/0"]


def test_the_default_test_pattern_comes_from_the_target(area: Files) -> None:
    area({"runconfigs.config": "[default]\nK d\n[ubuntu/nfs]\nTESTPATT a,b\n"})
    made = opened(area)
    assert [made.testpatt(), made.testpatt("%"), made.testpatt("c")] == ["a,b", "a,b", "c"]
    assert [made.testpatt(key="NOSUCH"), made.testpatt("%", "K")] == ["%", "d"]
    assert made.testpatt("c", "NOSUCH", force=True) is None
    assert made.testpatt("c", "K", force=True) == "d"


def test_settings_are_read_as_what_they_are(area: Files) -> None:
    text = "[fields]\nA TEXT\nB TEXT\n[setup]\nmax_concurrent_jobs  8 \nlaunch_delay 0.5\nruntimelim 1h 2m\n"
    more = "run-wait yes\nuse-cache no\nreruns 2\nminspace lots\nblank \n[jobgroups]\nsqlite3 6\n"
    area({"megatest.config": text + more})
    made = opened(area)
    assert made.limits.max_jobs == 8
    assert made.limits.launch_delay == 0.5
    assert made.limits.jobgroups == {"sqlite3": 6}
    assert made.limits.runtimelim == made.seconds("setup", "runtimelim") == 3720
    assert made.limits.reruns == 2
    assert (made.flag("setup", "run-wait"), made.flag("setup", "use-cache", True)) == (True, False)
    assert made.setting("setup", "blank", "default") == "default"
    assert made.number("setup", "minspace", 10000) == 10000
    assert [p.text for p in made.problems] == ["[setup] minspace: 'lots' is not a number, taken as 10000"]


def test_the_hyphen_wins_over_the_underscore(area: Files) -> None:
    text = "[fields]\nA TEXT\nB TEXT\n[setup]\nlaunch_delay 5\nlaunch-delay 2\n"
    assert opened(area({"megatest.config": text})).limits.launch_delay == 2


def test_the_black_list_is_replaced_by_the_area(area: Files) -> None:
    assert "USER" in opened(area).blacklist
    text = "[fields]\nA TEXT\nB TEXT\n[setup]\nblacklistvars FOO BAR\n"
    assert opened(area({"megatest.config": text})).blacklist == ("FOO", "BAR")


def test_tests_come_from_all_paths_and_the_first_one_wins(area: Files) -> None:
    text = "[fields]\nA TEXT\nB TEXT\n[tests-paths]\n1 more\n2 nix\n"
    area({"megatest.config": text}).test("b").test("c")
    area({"more/b/testconfig": "", "more/a/testconfig": "", "more/.h/testconfig": "", "more/x/other": ""})
    made = opened(area)
    assert list(made.tests()) == ["a", "b", "c"]
    assert made.tests()["b"] == str(area.home / "more" / "b")
    assert [p.text for p in made.problems] == ["tests path 'nix' cannot be read: no such file or directory"]


def test_an_unknown_test_is_told_with_the_nearest_ones(area: Files) -> None:
    area.test("compile")
    with pytest.raises(ConfigError, match="no test is called 'complie'") as caught:
        opened(area).spec("complie")
    assert caught.value.hint == "did you mean compile?"


def test_a_static_test_is_read_once(area: Files) -> None:
    made = opened(area.test("a", "true"))
    assert made.case_spec("a", {}) is made.spec("a")


def test_a_test_that_depends_on_its_item_is_read_for_each_case(area: Files) -> None:
    area.test("a", "echo #{getenv ANIMAL} #{getenv MT_TEST_NAME}", items={"ANIMAL": "cat dog"})
    made = opened(area)
    assert made.spec("a").steps[0].command == "echo #f a"
    env = made.env.child({"ANIMAL": "dog", "MT_TEST_NAME": "a"}, source="item")
    assert made.case_spec("a", env).steps[0].command == "echo dog a"


def test_item_lists_of_commands_run_when_asked(area: Files) -> None:
    area.test("a", items={"N": "[system cat list]"})
    made = opened(area)
    assert made.spec("a").items_deferred
    area({"list": "x y\n"})
    assert [dict(i)["N"] for i in made.items("a") or ()] == ["x", "y"]


def test_what_one_test_exports_does_not_reach_the_next(area: Files) -> None:
    area.test("a", more="[pre-launch-env-vars]\nLEAK 1\n").test("b", "echo #{getenv LEAK}")
    made = opened(area)
    assert made.spec("a").prelaunch == (("LEAK", "1"),)
    assert made.spec("b").steps[0].command == "echo #f"


def test_preparing_makes_the_link_tree_once(area: Files) -> None:
    text = "[fields]\nA TEXT\nB TEXT\n[setup]\nlinktree #{getenv MT_RUN_AREA_HOME}/links\n"
    made = opened(area({"megatest.config": text}))
    made.prepare()
    made.prepare()
    assert os.readlink(area.home / "lt") == str(area.home / "links")


def test_more_settings_can_be_appended(area: Files, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.write_text("[setup]\nmax_concurrent_jobs 99\n")
    assert opened(area, append=str(extra)).limits.max_jobs == 99


def test_a_file_that_cannot_be_read_is_an_error(area: Files) -> None:
    (area.home / "megatest.config").write_bytes(b"[a]\n\0\n")
    with pytest.raises(ConfigError, match="not a text file"):
        opened(area)


def test_a_list_made_by_a_program_follows_the_variables_of_each_item(area: Files) -> None:
    """spec/config.md T2, 1.7: read for each item, though a value that cannot differ is not made again."""
    loop = '(let loop ((a 0)) (if (<= a (or (any->number (getenv "N")) 2)) (cons a (loop (+ a 1))) \'()))'
    area({"tests/t/testconfig": f'[items]\nA #{{scheme (string-intersperse (map number->string {loop}) " ")}}\n'})
    here = opened(area)

    def items(env: dict[str, str]) -> list[str]:
        return [item[0][1] for item in here.case_spec("t", env).items or ()]

    assert [items({}), items({"N": "1"}), items({"N": "0"}), items({})] == [
        ["0", "1", "2"],
        ["0", "1"],
        ["0"],
        list("012"),
    ]
