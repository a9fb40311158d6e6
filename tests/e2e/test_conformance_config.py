"""The rules of spec/config.md 2 to 5, one by one, in areas as their users write them (tests/e2e/CONFORMANCE.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testarea import CONFIG, TARGET, Area

from mt.area import Area as Read
from mt.errors import ConfigError
from mt.testspec import item_path

ENV = {"HOME": "/home/me", "USER": "matt", "PATH": "/usr/bin:/bin"}
FIELDS = "[fields]\nSYSTEM TEXT\nFS TEXT\n"


def opened(area: Area, **more: object) -> Read:
    more.setdefault("target", TARGET)
    more.setdefault("environ", ENV)
    return Read.open(str(area.home), **more)  # type: ignore[arg-type]


def ran(area: Area, *words: str, run: str = "r", env: dict[str, str] | None = None) -> dict[str, str]:
    """Run everything and give `test/item` -> status (STATE/status where the state is not COMPLETED)."""
    area.mt("run", "-t", TARGET, "-r", run, "-q", *words, env=env)
    found = {}
    for row in area.rows("tests", f"{TARGET}//{run}"):
        name = row["test"] + (f"/{row['item']}" if row["item"] else "")
        found[name] = row["status"] if row["state"] == "COMPLETED" else f"{row['state']}/{row['status']}"
    return found


def log(area: Area, path: str, run: str = "r") -> str:
    return area.read(f"lt/{TARGET}/{run}/{path}")


# -- 2. megatest.config


def test_the_area_is_found_as_m1_says(area: Area, tmp_path: Path) -> None:
    """M1: MT_RUN_AREA_HOME, else the nearest ancestor of the current directory."""
    below = area.home / "tests" / "x" / "y"
    below.mkdir(parents=True)
    assert [row["key"] for row in area.rows("keys", cwd=below)] == ["SYSTEM", "FS"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert area.mt("keys", cwd=elsewhere).status == 3
    named = area.rows("keys", cwd=elsewhere, env={"MT_RUN_AREA_HOME": str(area.home)})
    assert [row["key"] for row in named] == ["SYSTEM", "FS"]


def test_running_makes_the_link_tree_and_its_link_and_no_caches(area: Area) -> None:
    """M3, M5, L5: link tree and `lt`; nothing like .megatest.cfg-* in any run directory."""
    area({"megatest.config": CONFIG.replace("/lt", "/links")}).test("a")
    assert ran(area) == {"a": "PASS"}
    assert os.readlink(area.home / "lt") == str(area.home / "links")
    made = {name for _, _, names in os.walk(area.home / "runs") for name in names}
    assert not [name for name in made if name.startswith((".megatest", ".runconfig"))]


def test_values_that_name_the_run_are_right_when_steps_run(area: Area) -> None:
    """M4, E3 (QA ez_pass isrunname1/2)."""
    area({"megatest.config": CONFIG + "[env-override]\nR /x/#{getenv MT_RUNNAME}/y\nV #{getenv ORIGIN}\n"})
    area.test("a", 'test "$R" = /x/w1/y', 'test "$V" = target', 'test "$MT_RUNNAME" = w1')
    assert ran(area, run="w1") == {"a": "PASS"}


def test_what_one_test_exports_is_not_in_the_next(area: Area) -> None:
    """M5, T80 FIX (QA env-pollution): nothing leaks from one test to another or into the area's own values."""
    area({"megatest.config": CONFIG + "max_concurrent_jobs 1\n[env-override]\nP start$POLLUTION\n"})
    area.test("a", "test $P = start", more="[pre-launch-env-vars]\nPOLLUTION /pollution\n")
    area.test("b", 'test "$P$POLLUTION" = start', "export POLLUTION=/pollution", 'test -z "$POLLUTION"', waiton="a")
    assert ran(area) == {"a": "PASS", "b": "PASS"}


@pytest.mark.parametrize("name", ["state", "STATUS", "RunName", "owner", "event_time", "comment", "contour"])
def test_reserved_keys_are_refused(area: Area, name: str) -> None:
    """2.1 fields, 2.5."""
    area({"megatest.config": f"[fields]\n{name} TEXT\n"})
    assert area.mt("keys").status != 0


MINI = [
    ("[fields]\nOS TEXT\nREL TEXT DEFAULT 'v0'\n", "fields", "REL", "TEXT DEFAULT 'v0'"),
    (FIELDS + "[setup]\nmax_concurrent_jobs #{scheme (* 2 (common:get-num-cpus #f))}\n", "setup",
     "max_concurrent_jobs", str(2 * (os.cpu_count() or 1))),
    (FIELDS + "[setup]\nmax_concurrent_jobs #{scheme (max (- (common:get-num-cpus #f) 2) 1)}\n", "setup",
     "max_concurrent_jobs", str(max((os.cpu_count() or 1) - 2, 1))),
    (FIELDS + "[jobtools]\nlauncher L\n[host-types]\nr #{get jobtools launcher}\n", "host-types", "r", "L"),
    (FIELDS + "[env-override]\nA one  two $HOME\n", "env-override", "A", "one two /home/me"),
    (FIELDS + "[env-override]\nB\n", "env-override", "B", ""),
    (FIELDS + "[x]\nW #{getenv SYSTEM}\n", "x", "W", "ubuntu"),
    (FIELDS + "[misc]\nparent #{shell readlink -f $MT_RUN_AREA_HOME/../area}\n", "misc", "parent", "{home}"),
    (FIELDS + "[misc]\nup #{rp ..}\nin #{mtrah sub}\nhome #{mtrah }\nreal #{realpath .}\n", "misc", "in", "{home}/sub"),
    (FIELDS + "[misc]\nt #{scheme (args:get-arg \"-target\")}\n", "misc", "t", "#f"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "section", "key", "value"), MINI)
def test_mini_examples_of_values(area: Area, text: str, section: str, key: str, value: str) -> None:
    """2.5, and 1.5, 1.7 as megatest.config uses them."""
    found = opened(area({"megatest.config": text})).config.get(section, key)
    assert found == value.replace("{home}", str(area.home))


def test_the_link_tree_of_a_mini_example(area: Area) -> None:
    """2.5: /a/links created, /a/lt leads to it; without the setting <area>/lt is the link tree (2.1 FIX)."""
    text = FIELDS + "[setup]\nlinktree #{getenv MT_RUN_AREA_HOME}/links\n"
    made = opened(area({"megatest.config": text}))
    made.prepare()
    assert (area.home / "lt").resolve() == area.home / "links"
    assert opened(area({"megatest.config": FIELDS})).linktree == str(area.home / "lt")
    assert opened(area, environ={**ENV, "MT_LINKTREE": "/elsewhere"}).linktree == "/elsewhere"


@pytest.mark.parametrize(
    ("lines", "delay"),
    [("", 0.0), ("launch_delay 3", 3.0), ("launch-delay 2", 2.0), ("launch_delay 3\nlaunch-delay 2", 2.0)],
)
def test_the_launch_delay_has_two_spellings_and_the_hyphen_wins(area: Area, lines: str, delay: float) -> None:
    """2.5, D9; deviation: without a setting there is none."""
    assert opened(area({"megatest.config": f"{FIELDS}[setup]\n{lines}\n"})).limits.launch_delay == delay


def test_limits_are_numbers_and_times(area: Area) -> None:
    """2.1 max_concurrent_jobs (blanks ignored), deadtime (hms or seconds), jobgroups, reruns."""
    text = FIELDS + "[setup]\nmax_concurrent_jobs  7 \ndeadtime 10m\nreruns 2\nruntimelim 1h 30m\n[jobgroups]\ng 6\n"
    limits = opened(area({"megatest.config": text})).limits
    assert (limits.max_jobs, limits.deadtime, limits.reruns) == (7, 600.0, 2)
    assert (limits.runtimelim, limits.jobgroups) == (5400.0, {"g": 6})
    assert opened(area({"megatest.config": FIELDS + "[setup]\ndeadtime 600\n"})).limits.deadtime == 600.0


def test_the_first_path_that_has_a_test_wins(area: Area, tmp_path: Path) -> None:
    """2.5 tests-paths, T1."""
    more = tmp_path / "more"
    for name in ("t", "u"):
        (more / name).mkdir(parents=True)
        (more / name / "testconfig").write_text("[ezsteps]\ns true\n")
    area({"megatest.config": f"{FIELDS}[tests-paths]\n1 {more}\n2 {tmp_path}/nowhere\n"}).test("t").test(".hidden")
    (area.home / "tests" / "plain").mkdir()
    made = opened(area)
    assert made.tests() == {"t": str(more / "t"), "u": str(more / "u")}
    assert [p.level for p in made.problems] == ["warning"]


def test_only_good_disks_are_used(area: Area, tmp_path: Path) -> None:
    """2.3, 2.5: a relative path and one that is not there are passed over; L1, L2."""
    disk = tmp_path / "ok"
    disk.mkdir()
    text = CONFIG.replace("disk0 #{getenv MT_RUN_AREA_HOME}/runs", f"d0 relative\nd1 /nonexist\nd2 {disk}")
    area({"megatest.config": text}).test("t", items={"A": "a/1"}).test("u")
    assert ran(area) == {"t/a/1": "PASS", "u": "PASS"}
    link = area.home / "lt" / TARGET / "r"
    assert os.readlink(link / "t" / "a" / "1") == str(disk / TARGET / "r" / "t" / "a" / "1")
    assert (link / "t" / "a").is_dir() and not (link / "t" / "a").is_symlink()
    assert os.readlink(link / "u") == str(disk / TARGET / "r" / "u")


def test_a_hook_of_the_run_leaves_its_log(area: Area) -> None:
    """2.5 runs: pre-hook once, post-hook always; output in logs/."""
    area({"megatest.config": CONFIG + "[runs]\npre-hook echo before; echo err >&2\npost-hook echo after\n"}).test("a")
    ran(area)
    ran(area)
    stem = f"{TARGET.replace('/', '-')}-r.log"
    assert area.read(f"logs/pre-hook-{stem}") == "before\nerr\n"
    assert area.read(f"logs/post-hook-{stem}") == "after\nafter\n"


def test_the_black_list_is_replaced_not_extended(area: Area) -> None:
    """2.5 blacklistvars."""
    text = CONFIG.replace("[setup]", "[setup]\nblacklistvars FOO") + "[env-override]\nFOO secret\n"
    area({"megatest.config": text}).test("a")
    ran(area)
    lines = log(area, "a/megatest.sh").splitlines()
    assert "# export FOO=secret" in lines
    assert "export USER=tester" in lines


def test_files_are_copied_by_the_command_of_the_area(area: Area) -> None:
    """2.1 testcopycmd as QA areas have it: a tree of links with absolute names; L4."""
    command = (
        "testcopycmd cp --remove-destination -rsv TEST_SRC_PATH/. TEST_TARG_PATH/. >> TEST_TARG_PATH/copy.log 2>&1"
    )
    area({"megatest.config": CONFIG.replace("[setup]", f"[setup]\n{command}")})
    area.test("a", "./run.sh", "test -L run.sh", "test -L data/x")
    area({"tests/a/run.sh": "#!/bin/sh\ncat data/x\n", "tests/a/data/x": "content\n"})
    assert ran(area) == {"a": "PASS"}
    assert log(area, "a/s1.log") == "content\n"
    assert "run.sh" in log(area, "a/copy.log")
    assert ran(area, run="r2") == {"a": "PASS"}


# -- 3. runconfigs.config

RUNCONFIGS = f"""\
[default]
A 1
DEFAULT_VAL abc
MINE The$USER/x
SPACED "two  blanks"  x
VARNOVAL
VARNOVAL_WITHSPACE \n\
LATER $MINE/y
[ubuntu/%]
WILD yes
A 5
[{TARGET}]
A 2
TEST_VAL xyz
RGET_VAL #{{rget TEST_VAL}}
RGET_DEF #{{rget DEFAULT_VAL}}
RGET_NO #{{rget NOWHERE}}
SYS [system echo INFO #{{rget TEST_VAL}}]
SH #{{shell echo from shell}}
[default/ubuntu/nfs]
NOT 1
[/tmp/x/afs]
NOT 2
[/ub.*/nf./]
REGEX yes
REGEX_SH #{{shell echo live}}
"""


def test_variables_of_a_target_are_those_of_r1_and_r2(area: Area) -> None:
    """R1, R2, R5, R8, R9, G50 to G54: what counts for a target, raw, before any test is read."""
    made = opened(area({"runconfigs.config": RUNCONFIGS}))
    env = made.env
    assert {k: env[k] for k in ("A", "TEST_VAL", "RGET_VAL", "RGET_DEF", "RGET_NO", "SYS", "SH", "WILD")} == {
        "A": "2", "TEST_VAL": "xyz", "RGET_VAL": "xyz", "RGET_DEF": "abc", "RGET_NO": "#f", "SYS": "INFO xyz",
        "SH": "from shell", "WILD": "yes",
    }  # fmt: skip
    assert (env["REGEX"], env["REGEX_SH"]) == ("yes", "live")
    assert env["MINE"] == "The$USER/x"
    assert env["VARNOVAL"] == ""
    assert "NOT" not in env


def test_wildcards_apply_to_a_target_that_has_no_section_of_its_own(area: Area) -> None:
    """R1, G54: the target's section is there from the start."""
    env = opened(area({"runconfigs.config": RUNCONFIGS}), target="ubuntu/other").env
    assert (env["A"], env["WILD"]) == ("5", "yes")
    assert "TEST_VAL" not in env and "REGEX" not in env


def test_commands_of_other_targets_do_not_run(area: Area) -> None:
    """1.4 row 2, G20: only [default] and the target's own sections are live."""
    text = (
        "[default]\nA #{shell touch d; echo a}\n[other/x]\nB #{shell touch o}\nC [system touch p]\n[oth%/y]\n"
        f"E #{{shell touch w}}\n[{TARGET}]\nD [system touch t]\n"
    )
    area({"runconfigs.config": text}).test("a")
    assert ran(area) == {"a": "PASS"}
    assert {name for name in "dopwt" if (area.home / name).exists()} == {"d", "t"}


def test_raw_values_reach_testconfigs_and_expanded_ones_reach_steps(area: Area) -> None:
    """R5, R6: `#{getenv B}` in a testconfig sees the raw text, a step what echo made of it."""
    area({"runconfigs.config": "[default]\nB $HOME/x\nC $B/y\n"})
    area.test("a", "echo $B $C", more="[items]\nQ #{getenv B}\n")
    spec = opened(area).spec("a")
    assert [item_path(item) for item in spec.items or ()] == ["$HOME/x"]
    area({"tests/a/testconfig": "[ezsteps]\ns1 echo $B $C\n"})
    assert ran(area) == {"a": "PASS"}
    assert log(area, "a/s1.log") == f"{area.env['HOME']}/x {area.env['HOME']}/x/y\n"


def test_variables_without_a_value_are_once_and_empty_in_megatest_sh(area: Area) -> None:
    """R6, R7, 5.3 (QA test_mt_vars emptyvars)."""
    area({"runconfigs.config": RUNCONFIGS})
    area.test("a", 'echo "[$MINE][$SPACED][$LATER][${VARNOVAL-unset}][${VARNOVAL_WITHSPACE-unset}]"')
    ran(area)
    assert log(area, "a/s1.log") == "[Thetester/x][two  blanks x][Thetester/x/y][][]\n"
    lines = log(area, "a/megatest.sh").splitlines()
    assert [line for line in lines if "VARNOVAL" in line] == ["export VARNOVAL=", "export VARNOVAL_WITHSPACE="]
    assert [line for line in lines if line.startswith("export SPACED")] == ['export SPACED="two  blanks x"']
    assert not [line for line in lines if "err" in line and "MT_CMDINFO" not in line]
    names = [line.split("=")[0] for line in lines]
    assert len(names) == len(set(names))


def test_a_run_variable_may_add_to_what_it_finds(area: Area) -> None:
    """R5, R6; deviation: raw, `$PATH` of itself would hide the inherited one from the shell that expands it."""
    area({"runconfigs.config": f"[default]\nPATH $HOME/bin:$PATH\nX one\nX2 $X2+\n[{TARGET}]\nPATH ${{PATH}}:/last\n"})
    area.test("a", "echo $PATH", 'test "$X2" = first+')
    assert ran(area, env={"X2": "first"}) == {"a": "PASS"}
    path = log(area, "a/s1.log").strip()
    assert path.startswith(f"{area.env['HOME']}/bin:{area.env['PATH']}:/last")


@pytest.mark.parametrize("target", ["a", "a/b/c", "a/", "/b"])
def test_a_target_has_one_value_for_each_key(area: Area, target: str) -> None:
    """R3."""
    area.test("a")
    assert area.mt("run", "-t", target, "-r", "r").status in (2, 3)


def test_the_target_is_in_the_environment_from_the_start(area: Area) -> None:
    """R3, runs A8: config files can use it; MT_TARGET alone is a target too."""
    area({"megatest.config": CONFIG + "[x]\nT #{getenv MT_TARGET}\n"})
    assert opened(area).config.get("x", "T") == TARGET
    made = opened(area, target=None, environ={**ENV, "MT_TARGET": "a/b"})
    assert (made.target, made.config.get("x", "T")) == ("a/b", "a/b")


def test_a_required_target_needs_a_literal_section(area: Area) -> None:
    """R4 (QA rollup): wildcards do not count."""
    area({"runconfigs.config": f"[{TARGET}]\nA 1\n[ubuntu/%]\nB 1\n"})
    assert opened(area, known_target=True).target == TARGET
    with pytest.raises(ConfigError, match=r"\[ubuntu/other\] not found in runconfigs.config"):
        opened(area, target="ubuntu/other", known_target=True)


@pytest.mark.parametrize(
    ("asked", "key", "force", "want"),
    [
        (None, None, False, "all_toplevel"), ("%", None, False, "all_toplevel"), ("c", None, False, "c"),
        (None, "QUICK", False, "q%"), ("c", "QUICK", False, "c"), (None, "NOSUCH", False, "%"),
        ("c", "QUICK", True, "q%"), ("c", "NOSUCH", True, None),
    ],
)  # fmt: skip
def test_the_default_pattern_comes_from_the_target(
    area: Area, asked: str | None, key: str | None, force: bool, want: str | None
) -> None:
    """R10, R11, runs 2.4 (QA testpatt_envvar)."""
    area({"runconfigs.config": f"[default]\nTESTPATT nope\nQUICK q%\n[{TARGET}]\nTESTPATT all_toplevel\n"})
    assert opened(area).testpatt(asked, key, force=force) == want


def test_targets_are_listed_with_default_and_without_wildcards(area: Area) -> None:
    """R13 (QA runconfig-tests tgttest)."""
    area({"runconfigs.config": "[std/0]\nA [system false]\n[default]\n[a/%]\nB 1\n[/x/]\nC 1\n"})
    made = opened(area)
    assert made.targets() == ["default", "std/0"]
    assert made.targets("std/%") == ["std/0"]
    assert made.targets("%/1,def%") == ["default"]


def test_a_missing_file_of_targets_is_said_and_put_up_with(area: Area) -> None:
    """R14."""
    (area.home / "runconfigs.config").unlink()
    said = [p.text for p in opened(area).problems]
    assert said == [f"WARNING: You do not have a run config file: {area.home}/runconfigs.config"]
    area.test("a")
    assert ran(area) == {"a": "PASS"}


def test_prelaunch_variables_mean_nothing_in_the_file_of_targets(area: Area) -> None:
    """R15: it would be the name of a target."""
    assert "X" not in opened(area({"runconfigs.config": "[default]\n[pre-launch-env-vars]\nX 1\n"})).env


# -- 4. testconfig


def test_a_test_is_read_for_each_of_its_items(area: Area) -> None:
    """T2: an include named by the item's variable, MT_TEST_RUN_DIR and MT_ITEMPATH in steps; item variables are not
    known while the queue is built."""
    area.test(
        "a",
        "test -d #{getenv MT_TEST_RUN_DIR}",
        "echo #{getenv PROVIDER} #{getenv MT_ITEMPATH} $WHO",
        items={"PROVIDER": "tom bob fred"},
        more="[pre-launch-env-vars]\n[include #{getenv MT_RUN_AREA_HOME}/who/#{getenv PROVIDER}.config]\n",
    )
    area({"who/tom.config": "WHO Tom\n", "who/bob.config": "WHO Bob\n"})
    assert ran(area) == dict.fromkeys(("a/tom", "a/bob", "a/fred"), "PASS")
    assert [log(area, f"a/{w}/s2.log") for w in ("tom", "bob", "fred")] == [
        "tom tom Tom\n", "bob bob Bob\n", "fred fred\n",
    ]  # fmt: skip
    assert not opened(area).spec("a").prelaunch


def test_each_item_may_have_a_disk_of_its_own(area: Area, tmp_path: Path) -> None:
    """2.3.1, L6 (QA tconfdisks): `pwd` in a step shows the disk; without [disks] of its own the area's is used."""
    disk = tmp_path / "tmpdisk"
    disk.mkdir()
    area.test(
        "a",
        "echo $(pwd) $PWD",
        items={"PROVIDER": "tom fred"},
        more="[include #{getenv MT_RUN_AREA_HOME}/disks/#{getenv PROVIDER}-disks.config]\n",
    )
    area({"disks/tom-disks.config": f'[disks]\ndisk0 #{{scheme (create-directory "{disk}/#{{getenv USER}}" #t)}}\n'})
    ran(area)
    tom, fred = f"{disk}/tester/{TARGET}/r/a/tom", f"{area.home}/runs/{TARGET}/r/a/fred"
    assert log(area, "a/tom/s1.log") == f"{tom} {tom}\n"
    assert log(area, "a/fred/s1.log") == f"{fred} {fred}\n"


def test_a_script_decides_by_its_exit_code_and_steps_follow_it(area: Area) -> None:
    """T3 to T6: a file of the test, made executable; a command on PATH; one that is not there; neither at all."""
    area({f"tests/e{n}/testconfig": f"[setup]\nrunscript sh -c 'exit {n}'\n" for n in (0, 1, 2, 3, 4, 5, 6, 123)})
    area({"tests/file/testconfig": "[setup]\nrunscript go.sh a b\n", "tests/file/go.sh": "#!/bin/sh\n[ $# = 2 ]\n"})
    area({"tests/plain/testconfig": "[setup]\nrunscript go.sh\n", "tests/plain/go.sh": "exit 6\n"})
    area({"tests/none/testconfig": "[ezsteps]\n# nothing\n", "tests/lost/testconfig": "[setup]\nrunscript nix.sh\n"})
    area({"tests/both/testconfig": "[setup]\nrunscript false\n[ezsteps]\ns echo here\n"})
    assert ran(area) == {
        "e0": "PASS", "e1": "FAIL", "e2": "WARN", "e3": "CHECK", "e4": "WAIVED", "e5": "ABORT", "e6": "SKIP",
        "e123": "FAIL", "file": "PASS", "plain": "SKIP", "none": "PASS", "lost": "FAIL", "both": "FAIL",
    }  # fmt: skip
    assert log(area, "both/s.log") == "here\n"


def test_steps_run_as_t10_to_t19_say(area: Area) -> None:
    """T10 (both outputs in the log), T12, T18 (names with . and -, dynamic commands), T19 (many lines, one script)."""
    area.test("a", more="")
    area({"tests/a/testconfig": """\
        [ezsteps]
        emptyvar_megatest.sh export GONE=1; echo one; echo two >&2
        my-step.2 test -z "$GONE"
        dyn [system echo echo dynamic]
        local here.sh
        many x=1
          for n in a b; do
            x=$x$n
          done
          echo $x
        bare
          echo bare
          exit 0
        """, "tests/a/here.sh": "#!/bin/sh\necho by name\n"})  # fmt: skip
    assert ran(area) == {"a": "PASS"}
    want = {
        "emptyvar_megatest.sh": "one\ntwo\n", "my-step.2": "", "dyn": "dynamic\n", "local": "by name\n",
        "many": "1ab\n", "bare": "bare\n",
    }  # fmt: skip
    assert {name: log(area, f"a/{name}.log") for name in want} == want
    assert [row["step"] for row in area.rows("steps", f"{TARGET}//r//a")] == list(want)


def test_codes_of_steps_are_judged_as_t14_to_t17_say(area: Area) -> None:
    """T13 to T17: without rules every code but 0 fails; with rules the processor's code counts; what stops a test."""
    area.test("plain2", "exit 2", "echo not")
    rule = '(expect:{} in "LogFileBody" = 0 "x" #/x/)\n'
    for kind in ("error", "warning", "check", "abort", "skip", "waive"):
        area.test(kind, "echo x", "echo next", more=f"[logpro]\ns1 ;; rules\n  {rule.format(kind)}")
    area.test("hidden", "echo y; exit 1", "true", more=f"[logpro]\ns1 ;;\n  {rule.format('error')}")
    area.test("warnfail", "echo x", "false", more=f"[logpro]\ns1 ;;\n  {rule.format('warning')}")
    both = f"[logpro]\ns1 ;;\n  {rule.format('warning')}s2 ;;\n  {rule.format('abort')}"
    area.test("warnabort", "echo x", "echo x", more=both)
    assert ran(area) == {
        "plain2": "FAIL", "error": "FAIL", "warning": "WARN", "check": "CHECK", "abort": "ABORT", "skip": "SKIP",
        "waive": "WAIVED", "hidden": "PASS", "warnfail": "FAIL", "warnabort": "WARN",
    }  # fmt: skip
    steps = {row["step"]: (row["state"], row["status"]) for row in area.rows("steps", f"{TARGET}//r//plain2")}
    assert steps == {"s1": ("end", "2")}
    after = {t for t in ("error", "warning", "check", "abort", "skip", "waive", "plain2")
             if (area.home / "lt" / TARGET / "r" / t / "s2.log").exists()}  # fmt: skip
    assert after == {"warning"}
    shown = area.rows("tests", f"{TARGET}//r//plain2", f"{TARGET}//r//warnfail")
    assert [row["comment"].startswith(f"Failed at step s{n}") for row, n in zip(shown, (1, 2), strict=True)] == [
        True,
        True,
    ]


def test_rules_come_from_the_file_before_the_section(area: Area) -> None:
    """T20a: STEP.logpro wins; a section's text is written there; one-line and bare forms; other keys are harmless."""
    good, bad = '(expect:required in "LogFileBody" > 0 "x" #/x/)', '(expect:required in "LogFileBody" > 0 "z" #/z/)'
    area.test("file", "echo x", more=f"[logpro]\ns1 {bad}\n")
    area({"tests/file/s1.logpro": good + "\n"})
    area.test("oneline", "echo x", more=f"[logpro]\ns1 {good}\nreviewed yes\n")
    area.test("bare", "echo x", more=f"[logpro]\ns1\n  {good}\n  ;; end\n")
    area.test("misses", "echo x", more=f"[logpro]\ns1 ;; a comment\n  {bad}\n")
    assert ran(area) == {"file": "PASS", "oneline": "PASS", "bare": "PASS", "misses": "FAIL"}
    assert log(area, "oneline/s1.logpro").splitlines()[2:] == [good]
    assert (area.home / "lt" / TARGET / "r" / "bare" / "s1.html").exists()
    assert (area.home / "lt" / TARGET / "r" / "bare" / "s1.dat").exists()


def test_waitons_that_are_none_are_said_in_fixed_words(area: Area) -> None:
    """T20, T22, X1 rget (QA special, dynamic_waiton): `#{rget X}` in a testconfig is #f, and the test runs."""
    names = (
        "#{scheme (string-intersperse (tests:filter-test-names (hash-table-keys (tests:get-all)) "
        '(or (args:get-arg "-runtests")(args:get-arg "-testpatt") "")) " ")}'
    )
    area({"runconfigs.config": "[default]\nTESTSTORUN runfirst\n"}).test("special", waiton="#{rget TESTSTORUN}")
    area.test("runfirst").test("dynamic_waiton", waiton="dynamic_waiton runfirst")
    made = opened(area, args={"-testpatt": "run%,dyn%"})
    area({"tests/many/testconfig": f"[requirements]\nwaiton {names}\n"})
    assert sorted(made.spec("many").waitons) == ["dynamic_waiton", "runfirst"]
    result = area.mt("run", "-t", TARGET, "-r", "r", "special", "dynamic_waiton")
    assert "ERROR: test special has unrecognised waiton testname #f" in result.err
    assert "ERROR: test dynamic_waiton has listed itself as a waiton or waitor, please correct this!" in result.err
    assert result.status == 0


def test_waitons_come_from_variables_and_commands(area: Area) -> None:
    """T21, G21, X1: `#{getenv X}`, `[system ...]`, and a whole line that is or is not there."""
    area({"runconfigs.config": "[default]\nALL a b\nSTD a,b\nWAITON_c waiton a\nWAITON_d\n"}).test("a").test("b")
    line = "#{getenv WAITON_#{getenv MT_TEST_NAME}}"
    area({f"tests/{name}/testconfig": f"[requirements]\n{line}\n[ezsteps]\ns true\n" for name in "cde"})
    area.test("var", waiton="#{getenv ALL}").test("cmd", waiton="[system echo $STD|tr ',' ' ']")
    made = opened(area)
    waits = {name: made.spec(name).waitons for name in ("var", "cmd", "c", "d", "e")}
    assert waits == {"var": ("a", "b"), "cmd": ("a", "b"), "c": ("a",), "d": (), "e": ()}


def test_a_blank_value_takes_back_an_included_one(area: Area) -> None:
    """G19 (QA mintest/f)."""
    area({"std.config": "[requirements]\nwaiton a\n"}).test("a")
    area({"tests/f/testconfig": "[include #{getenv MT_RUN_AREA_HOME}/std.config]\n[requirements]\nwaiton \n"})
    assert opened(area).spec("f").waitons == ()


def test_a_time_limit_kills(area: Area) -> None:
    """T25 (QA priority_2): KILLED/KILLED; the area's limit counts where the test has none."""
    area({"megatest.config": CONFIG.replace("[setup]", "[setup]\nruntimelim 1s")})
    area.test("own", "sleep 30", more="[requirements]\nruntimelim 1s\n").test("areas", "sleep 30")
    area.test("longer", "sleep 1.3", more="[requirements]\nruntimelim 1m 1s\n")
    assert ran(area) == {"own": "KILLED/KILLED", "areas": "KILLED/KILLED", "longer": "PASS"}


def test_item_lists_of_commands_are_asked_for_when_the_waitons_are_done(area: Area) -> None:
    """T46 (QA test_mt_vars): the list is in a file that the waiton writes; T41, T42, T45, T48."""
    area({"runconfigs.config": "[default]\nCASES one two/2\n"})
    area.test("first", "echo v1 v2 v3 > $MT_RUN_AREA_HOME/list; echo 4 >> $MT_RUN_AREA_HOME/list")
    area.test("late", "test -n $V", waiton="first", more="[items]\nV [system cat list]\n")
    area.test("zero", more="[items]\nFOO\n").test("header", more="[items]\n# nothing\n")
    area.test("env", "test -d . -a $MT_ITEMPATH = $C", more="[items]\nC #{getenv CASES}\n")
    area.test("both", 'test -n "$S$A"', more="[items]\nS w x\n[itemstable]\nA a b\nB 1\n")
    assert ran(area) == {
        "first": "PASS", "late/v1": "PASS", "late/v2": "PASS", "late/v3": "PASS", "late/4": "PASS",
        "zero": "NOT_STARTED/ZERO_ITEMS", "header": "PASS", "env/one": "PASS", "env/two/2": "PASS",
        "both/w": "PASS", "both/x": "PASS", "both/a/1": "PASS", "both/b/-": "PASS",
    }  # fmt: skip


def test_items_of_an_itemwait_test_are_asked_for_when_one_item_of_the_waiton_is_done(area: Area) -> None:
    """T46."""
    area.test("w", "echo $I > $MT_RUN_AREA_HOME/got", items={"I": "x y"})
    area.test(
        "t", waiton="w", more="[requirements]\nmode itemwait\n[items]\nI [system cat got > /dev/null; echo x y]\n"
    )
    assert ran(area) == dict.fromkeys(("w/x", "w/y", "t/x", "t/y"), "PASS")


def test_skips_are_decided_for_each_item(area: Area) -> None:
    """T30 (QA skip-on-fileexists, priority_5, priority_7); FIX: item variables count; D6: no comments in values."""
    area.test("f", items={"N": "1 2"}, more="[skip]\nfileexists flag.#{getenv N}\nrundelay 1h\n")
    area({"tests/f/flag.2": "", "flag": ""})
    area.test("abs", more="[skip]\nfileexists #{getenv MT_RUN_AREA_HOME}/flag\n").test(
        "no", more="[skip]\nfileexists x\n"
    )
    area.test("delay", more="[skip]\nrundelay 1h\n").test("prev", more="[skip]\nprevrunning x\n")
    assert ran(area) == {"f/1": "PASS", "f/2": "SKIP", "abs": "SKIP", "no": "PASS", "delay": "PASS", "prev": "PASS"}
    assert ran(area, "delay", "prev", run="r2") == {"delay": "SKIP", "prev": "PASS"}
    (row,) = area.rows("tests", f"{TARGET}//r//abs")
    assert row["comment"] == f"Skipping due to existence of file {area.home}/flag"


def test_prelaunch_variables_reach_the_steps_and_win(area: Area) -> None:
    """T80 (QA itemwait: NUMTESTS for a nested run), E7: they beat everything; read again with the item's variables."""
    area({"megatest.config": CONFIG + "[env-override]\nX area\n", "runconfigs.config": "[default]\nX run\n"})
    more = "[pre-launch-env-vars]\nX test\nNUMTESTS 20\nI2 $I$I\nPATHS #{getenv MT_RUN_AREA_HOME}/x:$HOME\n"
    area.test("a", "echo $X $NUMTESTS $I2 $PATHS", items={"I": "i"}, more=more)
    ran(area)
    assert log(area, "a/i/s1.log") == f"test 20 ii {area.home}/x:{area.env['HOME']}\n"


def test_the_jobgroup_is_meta_data(area: Area) -> None:
    """4.1, D19."""
    area.test("a", more="[test_meta]\njobgroup g\n").test("b", more="[requirements]\njobgroup h\n")
    made = opened(area)
    assert (made.spec("a").jobgroup, made.spec("b").jobgroup) == ("g", "h")


def test_a_test_decides_for_itself(area: Area) -> None:
    """T4, T86 (QA lineitem_*, exit_0): what it said of itself is kept, AUTO counts the values."""
    area({"tests/kept/testconfig": "[setup]\nrunscript sh -c 'megatest -test-status :state COMPLETED :status FAIL'\n"})
    load = "printf 'foo,rab,%s,10,1\\n' $V | megatest -load-test-data"
    auto = "megatest -test-status :state COMPLETED :status AUTO"
    area.test("auto", f"{load}; {auto}", items={"V": "10.5 12"})
    assert ran(area) == {"kept": "FAIL", "auto/10.5": "PASS", "auto/12": "FAIL"}


# -- 5. environment and files


def test_the_environment_of_a_step_is_built_in_the_order_of_5_1(area: Area) -> None:
    """E0 to E8: who wins over whom, one variable for each neighbouring pair."""
    area(
        {
            "megatest.config": CONFIG + "[env-override]\nA2 area\nA3 area\nA4 area\nA5 area\nFS area\n",
            "runconfigs.config": "[default]\nA1 run\nA2 run\nA6 run\n",
        }
    )
    area.test("a", "echo $A0 $A1 $A2 $A3 $A4 $A5 $A6 $FS", items={"A4": "item", "A5": "item"},
              more="[pre-launch-env-vars]\nA5 pre\n")  # fmt: skip
    env = {f"A{n}": "inherited" for n in range(7)}
    area.mt("run", "-t", TARGET, "-r", "r", "--set", "A3=typed", "--set", "A6=typed", "-q", env=env)
    assert log(area, "a/item/item/s1.log") == "inherited run area area item pre typed nfs\n"


def test_values_that_name_the_test_are_those_of_each_case(area: Area) -> None:
    """E0 to E3, R6: run variables and [env-override] are expanded again in each test, which knows its own names."""
    area({
        "megatest.config": CONFIG + "[env-override]\nOUT /out/#{getenv MT_TEST_NAME}/$MT_ITEMPATH\nBOTH $OUT\nA item\n",
        "runconfigs.config": (
            "[default]\nDATA $MT_TEST_NAME/$MT_ITEMPATH\nMORE $DATA/x\nOVER $MT_TEST_NAME\nBYITEM $A+\n"
            f"OLD $OLD:$MT_TEST_NAME\n[{TARGET}]\nOVER fixed\n"
        ),
    })  # fmt: skip
    area.test("t", "echo $OUT $DATA $MORE $OVER $BYITEM $A $OLD", items={"A": "x y"}).test(
        "u", "echo $OUT $DATA $BYITEM"
    )
    ran(area, env={"OLD": "old"})
    assert log(area, "t/x/s1.log") == "/out/t/x t/x t/x/x fixed x+ x old:t\n"
    assert log(area, "t/y/s1.log") == "/out/t/y t/y t/y/x fixed y+ y old:t\n"
    assert log(area, "u/s1.log") == "/out/u/ u/ item+\n"
    assert "export DATA=t/x" in log(area, "t/x/megatest.sh").splitlines()


VARIABLES = {
    "MT_RUN_AREA_HOME": "{home}", "MT_TESTSUITENAME": "area", "MT_TARGET": TARGET, "MT_RUNNAME": "r",
    "MT_LINKTREE": "{home}/lt", "MT_TEST_NAME": "t", "MT_ITEMPATH": "x/1", "MT_ITEM_INFO": "((A x) (B 1))",
    "MT_TEST_RUN_DIR": "{home}/lt/ubuntu/nfs/r/t/x/1", "SYSTEM": "ubuntu", "FS": "nfs", "A": "x", "B": "1",
    "MT_CONTOUR": None,
}  # fmt: skip


def test_the_variables_of_5_2_are_there(area: Area) -> None:
    """5.2, and the programs that tests call: $MT_MEGATEST, megatest, logpro (QA most scripts)."""
    area.test("t", "env -0", 'test -x "$MT_MEGATEST"', "command -v megatest logpro mt", 'test -n "$MT_CMDINFO"',
              "megatest -version; $MT_MEGATEST -version", items={"A": "x", "B": "1"})  # fmt: skip
    area.test("plain", 'echo "[$MT_ITEMPATH][$MT_ITEM_INFO]"')
    assert ran(area) == {"t/x/1": "PASS", "plain": "PASS"}
    env = dict(pair.split("=", 1) for pair in log(area, "t/x/1/s1.log").split("\0") if pair)
    assert {name: env.get(name) for name in VARIABLES} == {
        name: value.replace("{home}", str(area.home)) if value else None for name, value in VARIABLES.items()
    }
    assert env["PATH"].endswith(":.")
    assert log(area, "plain/s1.log") == "[][()]\n"


def test_megatest_sh_is_what_the_case_began_with(area: Area) -> None:
    """5.3, E6: values that need quotes, blacklisted ones as comments, nothing that is only for the steps."""
    area({"megatest.config": CONFIG + '[env-override]\nPLAIN a/b:c\nSPACE "a b"\nODD a\'$HOME\n'})
    area.test("t", "true", more="[pre-launch-env-vars]\nPRE 1\n", items={"A": "x"})
    ran(area)
    lines = log(area, "t/x/megatest.sh").splitlines()
    assert {"export PLAIN=a/b:c", 'export SPACE="a b"', "export A=x", "export MT_ITEMPATH=x"} <= set(lines)
    assert [line for line in lines if "HOME=" in line and "AREA" not in line] == [f"# export HOME={area.env['HOME']}"]
    assert not [line for line in lines if line.startswith("export PRE=")]


def test_a_script_section_is_a_program_of_the_run_directory(area: Area) -> None:
    """spec/architecture.md 6.9 (extension)."""
    area(
        {
            "tests/a/testconfig": """\
        [ezsteps]
        b build x
        [script build]
        #!/bin/bash
        # a comment
        for n in 1 2; do

            echo "built $1 $n"
        done
        """
        }
    )
    assert ran(area) == {"a": "PASS"}
    assert log(area, "a/b.log") == "built x 1\nbuilt x 2\n"


def test_an_unsupported_expression_names_its_line_and_reading_goes_on(area: Area) -> None:
    """X20, X6, G20: the value stays as inert text, comments never are errors, and the run works."""
    area({"megatest.config": CONFIG + "[x]\n# #{scheme (foo 0)}\nk #{scheme (foo 1 2)}\nl after\n"}).test("a")
    made = opened(area)
    line = CONFIG.count("\n") + 3
    assert made.config.get("x", "k") == "#{(scheme) (foo 1 2)}"
    assert made.config.get("x", "l") == "after"
    text = 'unsupported #{scheme} expression: unknown procedure "foo" in (foo 1 2)'
    assert (f"megatest.config:{line}", text, "error") in [(p.where, p.text, p.level) for p in made.problems]
    assert {p.level for p in made.problems if p.where.endswith(f":{line - 1}")} <= {"warning"}
    assert ran(area) == {"a": "PASS"}


def test_what_is_wrong_in_a_testconfig_is_said_once_and_the_test_runs(area: Area) -> None:
    """X20, 4.1 priority, T42, 2.2: by either command, once for each line."""
    text = "[ezsteps]\ns echo #{scheme (baz 2)}\n[requirements]\npriority high\nruntimelim 90\n[items]\n"
    area({"tests/a/testconfig": text})
    lines = [
        'tests/a/testconfig:2: unsupported #{scheme} expression: unknown procedure "baz" in (baz 2)',
        "tests/a/testconfig:4: priority 'high' is not a number, taken as 0",
        "tests/a/testconfig:5: time limit: '90' has no unit; read as seconds",
        "WARNING:[items] section in testconfig but no entries defined",
    ]
    new = area.mt("run", "-t", TARGET, "-r", "r")
    old = area.mt("-run", "-target", TARGET, "-runname", "o", "-testpatt", "%", "-run-wait", prog="megatest")
    for said in (new.err, old.err):
        assert [said.count(line) for line in lines] == [1, 1, 1, 1]
    assert (new.status, old.status) == (0, 0)
    assert log(area, "a/s.log") == "\n"


def test_areas_do_not_disturb_each_other(new_area: Callable[..., Area]) -> None:
    """5.2 MT_LINKTREE: within a test of one area a run of another one works (QA scripts clear MT_*)."""
    inner = new_area("inner").test("deep", "echo $MT_TARGET $MT_LINKTREE")
    outer = new_area("outer")
    outer.test(
        "a",
        f"cd {inner.home} && mt -C {inner.home} run -t {TARGET} -r n",
        f"{{subrun=true}} cd {inner.home} && mt run -t {TARGET} -r m",
    )
    assert ran(outer) == {"a": "PASS"}
    assert inner.read(f"lt/{TARGET}/n/deep/s1.log") == f"{TARGET} {inner.home}/lt\n"
    assert inner.read(f"lt/{TARGET}/m/deep/s1.log") == f"{TARGET} {inner.home}/lt\n"
