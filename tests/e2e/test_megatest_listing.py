"""megatest -list-runs (spec/runs.md 5.9, 2.1, 2.3, 2.4, 9.2 D8): the text to the character, and the same as data."""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

import pytest
from recorded import BEGUN, Recorded
from testarea import TARGET, Area

TIME = int(BEGUN)


def listed(area: Area, *words: str, patt: str = "%", **more: Any) -> str:
    """What -list-runs prints; it always ends with 0."""
    done = area.mt("-list-runs", patt, *words, prog="megatest", **more)
    assert done.status == 0, done.err
    assert "Traceback" not in done.err
    return done.out


def names(area: Area, *words: str, **more: Any) -> list[str]:
    """The tests that are listed, `*` before the name of each run."""
    lines = listed(area, "-fields", "runs:runname+tests:testname,item_path", *words, **more).splitlines()
    return [line.split()[1].replace(f"{TARGET}/", "*") for line in lines]


@pytest.fixture
def recorded(area: Area) -> Recorded:
    """Run r1: a passed, b failed with a step, c runs, items it/1 and it/2 of which one failed, z waits."""
    run = Recorded(area, owner="matt")
    run.case("a")
    run.case("b", status="FAIL", secs=61.7)
    run.step("b", "", "first", text="x")
    run.step("b", "", "second", status="1", number=2, start=BEGUN + 1)
    run.case("it", "1", start=BEGUN + 5)
    run.case("it", "2", status="FAIL", start=BEGUN + 7)
    run.case("z", state="NOT_STARTED", status="n/a")
    return run


def begun(run: Recorded) -> int:
    """When a run was made, in seconds."""
    return int(float((run.store.run_facts(run.id) or {})["t"]))  # type: ignore[arg-type]  # a number


def test_the_text_is_that_of_old_to_the_character(recorded: Recorded) -> None:
    """spec/runs.md 5.9: the line of the run, tests by descending name, details and steps of bad ones."""
    area, at = recorded.area, begun(recorded)
    where = f"{area.home}/lt/{TARGET}/r1"
    assert listed(area) == (
        f"Run: {TARGET}/r1 SYSTEM: ubuntu FS: nfs id: 1 runname: r1 state: new status: n/a owner: matt"
        f" event_time: {at} comment:  fail_count: #f pass_count: #f \n"
        f"  Test: z                         State: NOT_STARTED     Status: n/a             Runtime:     0s Time: {at}"
        "             Host: n/a       \n"
        "  Test: it(2)                     State: COMPLETED       Status: FAIL            Runtime:     2s Time:"
        f" {TIME + 7}             Host: h1        \n"
        "         cpuload:  -1\n         diskfree: -1\n         uname:    n/a\n"
        f"         rundir:   {where}/it/2\n"
        "  Test: it(1)                     State: COMPLETED       Status: PASS            Runtime:     2s Time:"
        f" {TIME + 5}             Host: h1        \n"
        "  Test: it                        State: COMPLETED       Status: FAIL            Runtime:     0s Time:"
        f" {TIME + 5}             Host: n/a       \n"
        "         cpuload:  -1\n         diskfree: -1\n         uname:    n/a\n"
        f"         rundir:   {where}/it\n"
        "  Test: b                         State: COMPLETED       Status: FAIL            Runtime:    61s Time:"
        f" {TIME}             Host: h1        \n"
        "         cpuload:  -1\n         diskfree: -1\n         uname:    n/a\n"
        f"         rundir:   {where}/b\n"
        f"    Step: first                State: start      Status: -          Time {TIME}            \n"
        f"    Step: first                State: end        Status: 0          Time {TIME + 1}            \n"
        f"    Step: second               State: start      Status: -          Time {TIME + 1}            \n"
        f"    Step: second               State: end        Status: 1          Time {TIME + 2}            \n"
        "  Test: a                         State: COMPLETED       Status: PASS            Runtime:     2s Time:"
        f" {TIME}             Host: h1        \n"
    )


def test_the_example_of_a_line(area: Area) -> None:
    """spec/runs.md 5.9, its example."""
    Recorded(area).case("mytest", "b/2", start=1517011200.4, secs=3.2)
    assert (
        "  Test: mytest(b/2)               State: COMPLETED       Status: PASS            Runtime:     3s"
        " Time: 1517011200             Host: h1        \n"
    ) in listed(area)


def test_values_are_padded_and_never_cut(area: Area) -> None:
    """spec/runs.md 5.9."""
    Recorded(area).case("t" * 30, host="h" * 20)
    line = listed(area).splitlines()[1]
    assert f"  Test: {'t' * 30} State: COMPLETED " in line
    assert line.endswith(f" Host: {'h' * 20}")


def test_runs_come_as_they_were_made(area: Area) -> None:
    """spec/runs.md 5.9: by ascending event_time, whatever their names."""
    for name in ("z9", "a1", "m5"):
        Recorded(area, name).case("t")
    assert [name for name in names(area) if name[0] == "*"] == ["*z9", "*a1", "*m5"]


# -- what is listed


def test_the_pattern_of_the_option_chooses_runs(area: Area) -> None:
    """spec/runs.md 2.1, 2.3: LIKE with a percent sign, whatever the case; GLOB without."""
    for name in ("w1.1", "w1.2", "W2"):
        Recorded(area, name)
    assert names(area, patt="w%") == ["*w1.1", "*w1.2", "*W2"]
    assert names(area, patt="w*") == ["*w1.1", "*w1.2"]
    assert names(area, patt="w1.2") == ["*w1.2"]
    assert names(area, patt="nope") == []


def test_the_target_is_a_pattern_and_one_that_does_not_fit_is_told_and_ignored(area: Area) -> None:
    """spec/runs.md 2.1."""
    Recorded(area, "r1")
    Recorded(area, "r2", target="suse/nfs")
    assert listed(area, "-fields", "runs:target", "-target", "ubuntu/%") == "target: ubuntu/nfs \n"
    assert listed(area, "-fields", "runs:target", "-target", "%/nfs").splitlines()[-1] == "target: suse/nfs "
    assert listed(area, "-fields", "runs:target", "-target", "suse/nfs") == "target: suse/nfs \n"
    for word in ("ubuntu", "a/b/c", "ubuntu/"):
        done = area.mt("-list-runs", "%", "-fields", "runs:id", "-target", word, prog="megatest")
        assert done.status == 0
        assert "ERROR: Invalid target" in done.err
        assert len(done.lines()) == 2


def test_inside_a_test_its_target_counts(area: Area) -> None:
    """spec/config.md R3: without -target that of the environment."""
    Recorded(area, "r1")
    Recorded(area, "r2", target="suse/nfs")
    assert listed(area, "-fields", "runs:runname", env={"MT_TARGET": "suse/nfs"}) == "Run: suse/nfs/r2 runname: r2 \n"


def test_states_and_statuses_are_exact_lists_in_the_dash_form_only(recorded: Recorded) -> None:
    """spec/runs.md 2.1."""
    area = recorded.area
    assert names(area, "-status", "PASS,WARN") == ["*r1", "it(1)", "a"]
    assert names(area, "-state", "COMPLETED", "-status", "FAIL") == ["*r1", "it(2)", "it", "b"]
    assert names(area, "-state", "NOT_STARTED,RUNNING") == ["*r1", "z"]
    assert names(area, "-state", "completed") == ["*r1"]
    assert names(area, ":status", "FAIL") == ["*r1", "z", "it(2)", "it(1)", "it", "b", "a"]


@pytest.mark.parametrize(
    ("patt", "found"),
    [
        ("a", ["a"]),
        ("it", ["it(2)", "it(1)", "it"]),
        ("it/", ["it"]),
        ("it/%", ["it(2)", "it(1)", "it"]),
        ("I*/1", []),
        ("I%/1", ["it(1)"]),
        ("i?/[12]", ["it(2)", "it(1)"]),
        ("/1", []),
        ("~a", []),
        ("a,b", ["b", "a"]),
    ],
)
def test_tests_are_matched_as_sql_does(recorded: Recorded, patt: str, found: list[str]) -> None:
    """spec/runs.md 2.3."""
    assert names(recorded.area, "-testpatt", patt) == ["*r1", *found]


def test_a_key_that_is_named_gives_the_pattern(recorded: Recorded) -> None:
    """spec/runs.md 2.4: -modepatt where no pattern was given, --modepatt in any case."""
    area = recorded.area
    area({"runconfigs.config": f"[default]\nQUICK a\n\n[{TARGET}]\nQUICK b\n"})
    assert names(area, "-modepatt", "QUICK") == ["*r1", "a"]
    assert names(area, "-modepatt", "QUICK", "-target", TARGET) == ["*r1", "b"]
    assert names(area, "-modepatt", "QUICK", "-testpatt", "z") == ["*r1", "z"]
    assert names(area, "--modepatt", "QUICK", "-testpatt", "z") == ["*r1", "a"]
    assert len(names(area, "-modepatt", "NOSUCH")) == 7
    done = area.mt("-list-runs", "%", "--modepatt", "NOSUCH", prog="megatest")
    assert (done.status, done.out) == (0, "")
    assert "there is no test pattern for this run" in done.err


def test_what_a_target_runs_by_default_hides_nothing(recorded: Recorded) -> None:
    """spec/runs.md 2.4: TESTPATT says what to run; a list without a pattern is whole."""
    recorded.area({"runconfigs.config": f"[{TARGET}]\nTESTPATT a\n"})
    assert len(names(recorded.area, "-target", TARGET)) == 7


def test_removed_tests_and_runs_are_not_listed(area: Area) -> None:
    """spec/runs.md 5.5: a DELETED record does not exist; a run of which everything is DELETED is gone."""
    run = Recorded(area)
    run.case("a")
    run.case("b", state="DELETED", status="n/a")
    gone = Recorded(area, "r2")
    gone.case("a", state="DELETED", status="n/a")
    waits = Recorded(area, "r3")
    waits.case("a", state="DELETED", status="n/a")
    waits.case("b", state="NOT_STARTED", status="n/a")
    assert names(area) == ["*r1", "a", "*r3", "b"]


def test_a_locked_run_is_listed_as_such(recorded: Recorded) -> None:
    """spec/runs.md 5.4: lists show it, and its state."""
    recorded.area.ok("freeze", f"{TARGET}//r1", "-m", "kept")
    assert "state: locked " in listed(recorded.area)
    assert len(names(recorded.area)) == 7


def test_a_status_that_was_set_by_hand_is_that_of_the_run(recorded: Recorded) -> None:
    """spec/runs.md 3.3, 5.3: a run has no rollup of its own."""
    recorded.tell("run", set_status={"status": "GOOD", "by": "me", "t": BEGUN, "why": ""}, comment="seen by me")
    assert "state: new status: GOOD " in listed(recorded.area)
    assert "comment: seen by me fail_count" in listed(recorded.area)


def test_a_record_of_the_old_program_shows_its_host(area: Area) -> None:
    """spec/runs.md 5.9, 6.5: what was imported with a test, in its details and as numbers."""
    run = Recorded(area)
    run.case("a", status="FAIL")
    text = "imported: cpuload=0.52 diskfree=1000 archived=3 uname=Linux h1 5.4 x86_64"
    run.tell("note", test="a", item="", attempt=1, text=text)
    assert "cpuload:  0.52\n         diskfree: 1000\n         uname:    Linux h1 5.4 x86_64\n" in listed(area)
    (test,) = json.loads(listed(area, "-dumpmode", "json"))[TARGET]["r1"]["data"].values()
    assert [test[name] for name in ("cpuload", "diskfree", "archived")] == [0.52, 1000, 3]


# -- fields


def test_fields_choose_tables_and_columns(recorded: Recorded) -> None:
    """spec/runs.md 5.9: the table of -fields."""
    area = recorded.area
    assert listed(area, "-fields", "runs:runname") == f"Run: {TARGET}/r1 runname: r1 \n"
    assert listed(area, "-fields", "runs:target,id") == f"target: {TARGET} id: 1 \n"
    words = ("-testpatt", "a,it/2", "-fields", "tests:testname,item_path,state,status")
    assert listed(area, *words) == (
        f"Run: {TARGET}/r1 id: 1 \n"
        "  Test: it(2) State: COMPLETED Status: FAIL\n"
        "  Test: a State: COMPLETED Status: PASS\n"
    )
    every = listed(area, "-testpatt", "b", "-fields", "runs:id+tests")
    assert f"Runtime:    61s Time: {TIME}" in every
    assert "rundir:   " in every
    assert "Step:" not in every
    assert listed(area, "-testpatt", "b", "-fields", "tests+steps").count("    Step: ") == 4


def test_the_unpadded_line_has_what_is_asked_for(recorded: Recorded) -> None:
    """spec/runs.md 5.9: unless state, status and event_time are all asked for."""
    words = ("-testpatt", "a", "-fields", "tests:testname,host,run_duration,event_time")
    assert listed(recorded.area, *words).splitlines()[1] == f"  Test: a Runtime: 2 Time: {TIME} Host: h1"


def test_names_are_whole_whatever_is_asked_for(recorded: Recorded) -> None:
    """spec/runs.md 9.2 D8."""
    words = ("-testpatt", "it/1", "-fields", "tests:testname,state")
    assert listed(recorded.area, *words).splitlines()[1:] == ["  Test: it(1) State: COMPLETED"]


def test_a_field_that_tests_do_not_have_is_refused(recorded: Recorded) -> None:
    """spec/runs.md 5.9: a message, nothing listed, exit 0."""
    done = recorded.area.mt("-list-runs", "%", "-fields", "tests:id,foo,state,bar", prog="megatest")
    assert (done.status, done.out) == (0, "")
    assert done.err == "ERROR: Invalid test fields specified: foo, bar\n"


def test_sort_is_ascending_by_a_field(recorded: Recorded) -> None:
    """spec/runs.md 5.9."""
    area = recorded.area
    assert names(area, "-sort", "testname")[1:] == ["a", "b", "it(2)", "it(1)", "it", "z"]
    assert names(area, "-sort", "run_duration")[-1] == "b"
    assert names(area, "-sort", "nothing") == names(area)


# -- data


def test_json_is_keyed_by_target_run_and_id(recorded: Recorded) -> None:
    """spec/runs.md 5.9: meta fields are text, fields of tests keep their type."""
    found = json.loads(listed(recorded.area, "-dumpmode", "json"))
    run = found[TARGET]["r1"]
    assert run["meta"] == {
        "SYSTEM": "ubuntu", "FS": "nfs", "id": "1", "runname": "r1", "state": "new", "status": "n/a", "owner": "matt",
        "event_time": str(begun(recorded)), "comment": "", "fail_count": "#f", "pass_count": "#f",
    }  # fmt: skip
    assert all(int(key) == test["id"] for key, test in run["data"].items())
    by_name = {(test["testname"], test["item_path"]): test for test in run["data"].values()}
    assert {*by_name} == {("a", ""), ("b", ""), ("it", ""), ("it", "1"), ("it", "2"), ("z", "")}
    where = f"{recorded.area.home}/lt/{TARGET}/r1/b"
    assert by_name["b", ""] == {
        "id": by_name["b", ""]["id"], "run_id": 1, "testname": "b", "state": "COMPLETED", "status": "FAIL",
        "event_time": TIME, "host": "h1", "cpuload": -1, "diskfree": -1, "uname": "n/a", "rundir": where,
        "item_path": "", "run_duration": 61, "final_logf": "second.log", "comment": "", "shortdir": where,
        "attemptnum": 0, "archived": 0,
    }  # fmt: skip
    assert by_name["z", ""]["rundir"] == "/tmp/badname"
    assert by_name["z", ""]["final_logf"] == "logs/final.log"
    assert by_name["it", ""]["final_logf"] == "megatest-rollup-it.html"


def test_the_session_with_fields_and_json(area: Area) -> None:
    """spec/runs.md 8, session 9; 9.2 D8: without id in the fields tests are keyed by it all the same."""
    run = Recorded(area)
    run.case("a")
    words = ("-dumpmode", "json", "-fields", "runs:runname+tests:id,testname,state")
    wanted = {"meta": {"runname": "r1"}, "data": {"1": {"id": 1, "testname": "a", "state": "COMPLETED"}}}
    assert json.loads(listed(area, *words)) == {TARGET: {"r1": wanted}}
    run.case("b")
    found = json.loads(listed(area, "-dumpmode", "json", "-fields", "tests:testname"))
    assert found[TARGET]["r1"]["data"] == {"1": {"testname": "a"}, "2": {"testname": "b"}}


def test_a_real_run_is_listed_with_its_directories(area: Area) -> None:
    """spec/runs.md 5.9, spec/config.md L3: rundir is the link tree's path, shortdir the physical one."""
    area.test("one", "true").test("two", "true", items={"I": "x y"})
    area.ok("run", "%", "-t", TARGET, "-r", "r1")
    found = json.loads(listed(area, "-dumpmode", "json"))[TARGET]["r1"]["data"]
    assert len(found) == 4
    one = next(test for test in found.values() if test["testname"] == "one")
    assert one["rundir"] == f"{area.home}/lt/{TARGET}/r1/one"
    assert one["shortdir"] == f"{area.home}/runs/{TARGET}/r1/one"
    assert one["attemptnum"] > 0


def test_sexpr_is_the_same_as_nested_lists(recorded: Recorded) -> None:
    """spec/runs.md 5.9."""
    words = ("-testpatt", "a", "-dumpmode", "sexpr", "-fields", "runs:runname+tests:testname,run_duration")
    text = listed(recorded.area, *words)
    assert "".join(text.split()) == (
        '(("ubuntu/nfs"("r1"("meta"("runname"."r1"))("data"("1"("testname"."a")("run_duration".2))))))'
    )


def test_any_other_word_is_text(recorded: Recorded) -> None:
    """spec/runs.md 5.9."""
    assert listed(recorded.area, "-dumpmode", "text") == listed(recorded.area)


def test_ods_is_a_file_of_sheets(recorded: Recorded) -> None:
    """spec/runs.md 5.9: to -o, out.ods without it."""
    area = recorded.area
    assert listed(area, "-dumpmode", "ods") == ""
    assert listed(area, "-dumpmode", "ods", "-o", "mine.ods") == ""
    for name in ("out.ods", "mine.ods"):
        with zipfile.ZipFile(area.home / name) as sheets:
            text = sheets.read("content.xml").decode()
        assert 'table:name="Runs"' in text
        assert 'table:name="Tests"' in text
        assert ">it<" in text


# -- areas


def test_an_area_without_runs_has_empty_lists(area: Area) -> None:
    """spec/runs.md 5.9: no match is the empty json, exit 0."""
    assert listed(area) == ""
    assert listed(area, "-dumpmode", "json") == "{}\n"
    assert listed(area, "-dumpmode", "sexpr") == "()\n"
    Recorded(area)
    assert listed(area, "-dumpmode", "json", patt="nope") == "{}\n"


def test_an_area_that_cannot_be_written_is_listed(recorded: Recorded) -> None:
    """spec/runs.md 5.9: works with a read-only db."""
    area = recorded.area
    whole = listed(area)
    if os.geteuid() == 0:
        pytest.skip("the superuser can write everywhere")
    places = [area.home / ".mtdb", area.home / ".mtdb" / "locks"]
    try:
        for place in places:
            place.chmod(0o555)
        assert listed(area) == whole
    finally:
        for place in places:
            place.chmod(0o755)


def test_no_area_is_status_2(area: Area) -> None:
    """spec/runs.md 1.2."""
    done = area.mt("-list-runs", "%", prog="megatest", cwd=area.home.parent)
    assert done.status == 2
