"""`mt check` reads everything, runs no test, and says where what is wrong."""

from __future__ import annotations

import pytest
from testarea import CONFIG, TARGET, Area


def found(area: Area, *words: str) -> list[tuple[str, str, str]]:
    result = area.mt("check", "-f", "ndjson", *words)
    return [(row["where"], row["level"], row["text"]) for row in result.rows()]


def test_a_good_area_has_nothing_to_say(area: Area) -> None:
    area.test("a", "true").test("b", "echo x", waiton="a")
    result = area.mt("check")
    assert (result.status, result.out, result.err) == (0, "", "mt: 0 errors, 0 warnings\n")
    assert area.mt("check", "-q").err == ""


TRAPS = [
    ("a", "[requirements]\nwaiton god\n", ":2", "error", "test a has unrecognised waiton testname god"),
    ("a", "[requirements]\nwaiton a\n", ":2", "error",
     "test a has listed itself as a waiton or waitor, please correct this!"),
    ("a", "[requirements]\nprioriti 1\n", ":2", "warning", "[requirements] unknown key 'prioriti'"),
    ("a", "[requirements]\nmode itemwiat\n", ":2", "error", "unknown mode 'itemwiat'"),
    ("a", "[requirment]\nwaiton x\n", ":2", "warning", "unknown section [requirment]"),
    ("a", "[requirements]\nruntimelim 1h # max\n", ":2", "warning",
     "[requirements] runtimelim: '# max' is part of the value"),
    ("a", "[itemmap]\n% (x y\n", ":2", "error",
     "bad item map '(x': missing ), unterminated subpattern at position 0"),
    ("a", "[ezsteps]\ns ./nothere.sh\n", ":2", "error", "step 's': there is no script './nothere.sh'"),
    ("a", "[ezsteps]\ns ./plain.sh\n", ":2", "error", "step 's': script './plain.sh' is not executable"),
    ("a", "[ezsteps]\ns true\nt ./made.sh\n", ":3", "warning", "step 't': there is no script './made.sh'"),
    ("a", "[ezsteps]\ns frobnicate\n", ":2", "warning", "step 's': command 'frobnicate' is not on PATH"),
    ("a", "[ezsteps]\ns\n", ":2", "warning", "step 's' has no command"),
    ("a", "[setup]\nrunscript nothere.sh\n", ":2", "error",
     "runscript 'nothere.sh' is neither in the test's directory nor on PATH"),
    ("a", "[setup]\nrunscript plain.sh\n", ":2", "warning", "runscript 'plain.sh' is not executable"),
    ("a", "# #{shell touch ran}\n", ":1", "warning", "this comment still runs #{shell touch ran}"),
    ("a", "# joined \\\n[items]\n", ":1", "warning", "this comment ends in '\\' and swallows the next line"),
    ("a", "[misc]\nk v\n\n  lost\n", ":4", "warning", "line dropped: it is indented and continues no value"),
    ("a", "[items]\n", "", "warning", "[items] section in testconfig but no entries defined"),
    ("a", "[items]\nA x x\n", "", "warning", "item 'x' comes twice and runs once"),
    ("a", "[disks]\nd relative\n", ":2", "warning", "disk d 'relative' cannot be used: not an absolute path"),
    ("a", "[ezsteps]\ns true\n[logpro]\ns ;;\n  (expect:error in\n", ":5", "error",
     "log rules of step 's': this parenthesis is never closed"),
    ("a", "[skip]\nfileexists p # maybe\n", ":2", "warning", "[skip] fileexists: '# maybe' is part of the value"),
    ("a", "[skip]\nrundelay 1h2m\n", ":2", "warning",
     "[skip] rundelay: '1h2m' has no blanks between its parts; read as their sum"),
    ("a", "[skip]\nrundelay 10\n", ":2", "warning", "[skip] rundelay: '10' has no unit; read as seconds"),
    ("a", "[skip]\nrundelay 1h\nprevrunning x\n", ":2", "warning",
     "[skip] rundelay is not looked at: prevrunning comes first"),
    ("a", "[requirements]\nruntimelim 90\n", ":2", "warning", "time limit: '90' has no unit; read as seconds"),
    ("a", "[requirements]\nruntimelim soon\n", ":2", "warning",
     "time limit: 'soon' is no duration and counts nothing"),
    ("a", "[requirements]\njobgroup g\n", ":2", "warning",
     "[requirements] jobgroup: Megatest reads it in [test_meta], mt in both"),
    ("a", "[requirements]\nitemmap x* y\n", ":2", "warning", "item map 'x*' can match nothing"),
    ("a", "[itemmap]\n% (a|b)? y\n", ":2", "warning", "item map '(a|b)?' can match nothing"),
    ("a", "# k #{shell touch #{getenv X}}\n", ":1", "warning", "this comment still runs #{shell touch #{getenv X}}"),
    ("a", "[e]\nk a\n  b\n  # c\n  d\n", ":4", "warning", "this comment ends the value of [e] k"),
    ("a", "[logpro]\ns ;;\n  #/x/\n", ":3", "warning", "this comment ends the value of [logpro] s"),
    ("a", "[e]\nk a\n    b\n  c\n", ":4", "warning",
     "[e] k: less indented than the first line, so it keeps its blanks and ends up further right"),
    ("a", "[e]\nk a\n        b\n\tc\n", ":4", "warning",
     "[e] k: tabs and blanks are mixed, so none are taken away here"),
    ("a", "[triggers]\nPASS/ x\n", ":2", "warning", "[triggers] 'PASS/' never fires: 'PASS' is no state"),
    ("a", "[triggers]\nCOMPLETED x\n", ":2", "warning", "[triggers] 'COMPLETED' never fires"),
    ("a", "[triggers]\nCOMPLETED/FIAL x\n", ":2", "warning",
     "[triggers] 'COMPLETED/FIAL': 'FIAL' is no status that mt gives"),
    ("a", "[subrun]\nrun-wait yes\n", ":2", "warning", "[subrun] run-wait: Megatest reads runwait, mt reads both"),
    ("a", "[subrun]\nrun-area x\n", "", "warning", "[subrun] without the key runwait does nothing"),
    ("a", "[setup]\nrunscrpt x.sh\n", ":2", "warning", "[setup] unknown key 'runscrpt'"),
    ("a", "[test_meta]\njobgrup x\n", ":2", "warning", "[test_meta] unknown key 'jobgrup'"),
    ("a", "[ezsteps]\ns #{scheme (frob 1 2)}\n", ":2", "error",
     'unsupported #{scheme} expression: unknown procedure "frob" in (frob 1 2)'),
    ("a", "[ezsteps]\nbuild true\n[logpro]\nbuild by nobody\n", ":4", "error",
     "log rules of step 'build': unknown variable \"by\""),
    ("a", "[script x]\n\n[e]\n", ":1", "warning", "[script x] is empty"),
    ("a", "[ezsteps]\nbuild true\n[logpro]\nbiuld ;;\n", ":4", "warning", "[logpro] 'biuld' names no step"),
]  # fmt: skip


@pytest.mark.parametrize(("test", "text", "line", "level", "said"), TRAPS)
def test_each_trap_of_a_testconfig_is_told(area: Area, test: str, text: str, line: str, level: str, said: str) -> None:
    area.test("good").test(test)
    area({f"tests/{test}/testconfig": text, f"tests/{test}/plain.sh": "echo\n"})
    assert (f"tests/{test}/testconfig{line}", level, said) in found(area)
    assert area.mt("check", "-q").status == (3 if level == "error" else 0)
    assert area.mt("check", "-q", "--strict").status == 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("max_concurent_jobs 4", "[setup] unknown key 'max_concurent_jobs'"),
        ("transport http", "[setup] transport: nothing reads this key"),
        ("launch_delay 0", "[setup] launch_delay: Megatest reads only launch-delay, mt reads both"),
        ("inter-test-delay many", "[setup] inter-test-delay: 'many' is not a number, so the default is used"),
        ("runtimelim 1h2m", "[setup] runtimelim: '1h2m' has no blanks between its parts; read as their sum"),
        ("minspace 5 # KiB", "[setup] minspace: '# KiB' is part of the value"),
    ],
)
def test_each_trap_of_the_area_is_told(area: Area, line: str, text: str) -> None:
    area({"megatest.config": CONFIG.replace("[setup]", f"[setup]\n{line}")})
    assert ("megatest.config:6", "warning", text) in found(area)


def test_a_key_that_the_file_itself_uses_is_known(area: Area) -> None:
    area({"megatest.config": CONFIG + "\n[setup]\nroot /x\n[misc]\nbin #{get setup root}/bin\n"})
    assert not [text for _, _, text in found(area) if "root" in text]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("[triggers]\n/PASS a\nCOMPLETED/ b\nPASS/ c\n", "[triggers] 'PASS/' never fires: 'PASS' is no state"),
        ("[launchers]\n% fast\n\nx% slow\n[host-types]\nfast nbfake\n",
         "[launchers] x%: there is no host type 'slow'"),
        ("[jobtools]\nuseshell yes\n\nlauncher nbfake # logs\n", "[jobtools] launcher: '# logs' is part of the value"),
        ("[jobgroups]\nok 3\n\ng few\n", "[jobgroups] g: 'few' is not a number, so the default is used"),
    ],
)  # fmt: skip
def test_traps_of_other_sections_of_the_area_are_told(area: Area, more: str, text: str) -> None:
    area({"megatest.config": CONFIG + more})
    line = CONFIG.count("\n") + 4
    assert found(area) == [(f"megatest.config:{line}", "warning", text)]


def test_states_that_the_area_adds_are_states(area: Area) -> None:
    area({"megatest.config": CONFIG + "[validvalues]\nstate MINE\nstatus BAD\n[triggers]\nMINE/BAD x\n"})
    assert found(area) == []


def test_a_line_that_is_lost_says_what_cut_it_off(area: Area) -> None:
    area({"megatest.config": CONFIG + "[misc]\nk v\n  w\n\n  lost\n"})
    line = CONFIG.count("\n") + 5
    out = area.mt("check").out
    assert out == (
        f"megatest.config:{line}: warning: line dropped: it is indented and continues no value\n"
        f"  hint: line {line - 1} ended the value of 'k'; join lines with a final \\\n"
    )


def test_a_script_section_is_a_program_that_steps_may_name(area: Area) -> None:
    area({"tests/a/testconfig": "[ezsteps]\none build x\ntwo ./build\n[script build]\n#!/bin/sh\n  # fine\n\n  x\n"})
    assert found(area) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A don't", "the shell cannot read it, so it is empty in tests"),
        ("A (x)", "the shell cannot read it, so it is empty in tests"),
        ("A one\n  two", "tests see its first line only"),
        ("A one # two", "what stands behind the # is a comment of the shell"),
        ('A "one # two"', ""),
        ("A $(echo x) 'y' ; true", ""),
    ],
)
def test_run_variables_that_the_shell_cuts_are_told(area: Area, line: str, said: str) -> None:
    """spec/config.md R6: tests see what `echo VALUE` prints first."""
    area({"runconfigs.config": f"[default]\n{line}\n[{TARGET}]\n"})
    want = [("runconfigs.config:2", "warning", f"[default] A: {said}")] if said else []
    assert found(area) == want


def test_keys_of_log_rules_that_are_something_else_are_harmless(area: Area) -> None:
    """spec/config.md T20a (QA dep-tests `reviewed`)."""
    area({"tests/a/testconfig": "[ezsteps]\nbuild true\n[logpro]\nreviewed by nobody\n"})
    assert found(area) == []


def test_less_indented_lines_that_are_split_at_blanks_anyway_are_only_told_on_request(area: Area) -> None:
    area({"tests/a/testconfig": "[items]\nA x\n    y\n  z\n"})
    assert found(area) == []
    assert [level for _, level, _ in found(area, "-v")] == ["info"]


def test_a_circle_is_told_once_with_its_path(area: Area) -> None:
    area.test("a", waiton="b").test("b", waiton="c").test("c", waiton="a")
    circles = [text for _, _, text in found(area) if "wait on each other" in text]
    assert circles == ["tests wait on each other: a -> b -> c -> a"]


def test_a_target_section_that_fits_no_target_is_told(area: Area) -> None:
    area({"runconfigs.config": "[ubuntu/nfs]\nA 1\n[ubuntu]\nA 2\n"})
    assert ("runconfigs.config", "warning", "section [ubuntu] fits no target: the keys are SYSTEM/FS") in found(area)


def test_only_what_is_named_is_read(area: Area) -> None:
    area.test("bad", waiton="nix").test("good")
    assert area.mt("check", "good").status == 0
    assert area.mt("check", "b%").status == 3
    assert area.mt("check", "tests/bad/testconfig").status == 3
    assert area.mt("check", "tests/good").status == 0


def test_files_can_be_checked_by_themselves(area: Area) -> None:
    area({"x.logpro": '(expect:error in "LogFileBody"', "more.config": "[a]\n\n  lost\n"})
    assert area.mt("check", "x.logpro").status == 3
    result = area.mt("check", "more.config")
    assert result.out.startswith("more.config:3: warning: line dropped")


def test_a_name_of_nothing_selects_nothing(area: Area) -> None:
    area.test("compile")
    result = area.mt("check", "complie")
    assert result.status == 7
    assert "did you mean compile?" in result.err


def test_hints_stand_below_their_line(area: Area) -> None:
    area.test("good").test("a", waiton="goood")
    lines = area.mt("check", "a").lines()
    assert lines == [
        "tests/a/testconfig:5: error: test a has unrecognised waiton testname goood",
        "  hint: did you mean good?",
    ]


def test_checking_runs_no_step(area: Area) -> None:
    area.test("a", "touch $MT_RUN_AREA_HOME/ran")
    area.ok("check")
    assert not (area.home / "ran").exists()
    assert not (area.home / ".mtdb").exists()
