"""megatest -run and its kin (spec/runs.md 1.2, 1.4, 2.4, 4 and 8): the old command line drives the same run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from testarea import CONFIG, TARGET, Area, Result

WHERE = ("-target", TARGET, "-runname", "r1")
GATE = "while [ ! -e $MT_RUN_AREA_HOME/gate ]; do sleep 0.05; done"


def old(area: Area, *words: str, status: int = 0, where: tuple[str, ...] = WHERE, **more: Any) -> Result:
    """Run `megatest` about run r1 and insist on its status."""
    done = area.mt(*words, *where, prog="megatest", **more)
    assert done.status == status, f"status {done.status}\n{done.out}{done.err}"
    return done


def run(area: Area, *words: str, **more: Any) -> Result:
    """megatest -run, waiting for the end."""
    return old(area, "-run", "-run-wait", *words, **more)


def how(area: Area, *, run: str = "r1") -> dict[str, str]:
    """{TEST[/ITEM]: STATE/STATUS} of a run."""
    rows = area.rows("tests", "-t", TARGET, "-r", run, "--allow-empty")
    return {row["id"].rpartition("//")[2]: f"{row['state']}/{row['status']}" for row in rows}


def attempts(area: Area) -> dict[str, int]:
    """{TEST[/ITEM]: attempt} of run r1."""
    rows = area.rows("tests", "-t", TARGET, "-r", "r1")
    return {row["id"].rpartition("//")[2]: row["attempt"] for row in rows}


def wait_for(path: Path) -> None:
    """Until a file is there, for at most half a minute."""
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


# -- statuses of the command (1.2, 8)


def test_the_status_is_0_whatever_the_tests_did(area: Area) -> None:
    """spec/runs.md 1.2, D13."""
    area.test("bad", "false")
    run(area)
    assert how(area) == {"bad": "COMPLETED/FAIL"}


def test_what_is_missing_ends_with_3_and_no_area_with_2(area: Area, tmp_path: Path) -> None:
    """spec/runs.md 1.2: tiny tests."""
    area.test("t")
    assert area.mt("-run", "-runname", "x", prog="megatest").status == 3
    assert area.mt("-run", "-target", TARGET, prog="megatest").status == 3
    (tmp_path / "nowhere").mkdir()
    lost = area.mt("-run", "-target", "a/b", "-runname", "x", prog="megatest", cwd=tmp_path / "nowhere")
    assert lost.status == 2
    assert "No megatest.config file found. Giving up." in lost.err


def test_a_pattern_that_matches_nothing_is_no_error(area: Area) -> None:
    """spec/runs.md 1.2."""
    area.test("t")
    run(area, "-testpatt", "nosuch")
    assert how(area) == {}


def test_reqtarg_wants_a_section_and_target_does_not(area: Area) -> None:
    """spec/config.md R4, spec/runs.md 1.3, 4."""
    area.test("t")
    refused = area.mt("-run", "-reqtarg", "sun/ufs", "-runname", "r1", prog="megatest")
    assert refused.status == 1
    assert "[sun/ufs] not found" in refused.err
    old(area, "-run", "-run-wait", where=("-target", "sun/ufs", "-runname", "r1"))
    assert [row["status"] for row in area.rows("tests", "-t", "sun/ufs", "-r", "r1")] == ["PASS"]


def test_a_target_with_too_few_parts_is_refused(area: Area) -> None:
    """spec/config.md R3: treated as absent, run commands exit 3."""
    area.test("t")
    done = area.mt("-run", "-target", "ubuntu", "-runname", "r1", prog="megatest")
    assert done.status == 3
    assert "Invalid target" in done.err


def test_start_dir_is_where_the_area_is_looked_for(area: Area, tmp_path: Path) -> None:
    """spec/runs.md A7."""
    area.test("t")
    old(area, "-run", "-run-wait", "-start-dir", str(area.home), cwd=tmp_path)
    assert how(area) == {"t": "COMPLETED/PASS"}
    old(area, "-run", "-start-dir", "/nope", status=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_area_is_refused(area: Area) -> None:
    """spec/runs.md 1.4: refusals at the start."""
    area.test("t")
    area.home.chmod(0o555)
    try:
        old(area, "-run", status=1)
    finally:
        area.home.chmod(0o755)


def test_too_little_room_for_the_records_is_refused(area: Area) -> None:
    """spec/runs.md 1.4: dbdir-space-required."""
    area.test("t")
    config = area.read("megatest.config").replace("[setup]", "[setup]\ndbdir-space-required 1000000000000")
    area({"megatest.config": config})
    old(area, "-run", status=1)
    assert not (area.home / "lt").exists()


# -- what is run (2.4, 1.4)


def test_the_pattern_comes_from_testpatt_of_the_target_when_none_or_all_is_asked(area: Area) -> None:
    """spec/runs.md 2.4, R10, D6."""
    for name in "abc":
        area.test(name)
    area({"runconfigs.config": f"[{TARGET}]\nTESTPATT a,b\nOTHER c\n"})
    run(area, "-testpatt", "%")
    assert set(how(area)) == {"a", "b"}
    run(area, "-modepatt", "OTHER")
    assert set(how(area)) == {"a", "b", "c"}


def test_a_forced_key_that_is_not_there_runs_nothing(area: Area) -> None:
    """spec/config.md R11."""
    area.test("t")
    done = old(area, "-run", "--modepatt", "NOSUCH")
    assert "there is no test pattern for this run. Exiting now." in done.err
    assert how(area) == {} if (area.home / ".mtdb").exists() else True


def test_tags_and_an_item_pattern_narrow_the_run(area: Area) -> None:
    """spec/runs.md 2.4: -tagexpr, -itempatt, -runtests."""
    area.test("fast", items={"X": "1 2"}, more="[test_meta]\ntags quick,dev\n")
    area.test("slow", more="[test_meta]\ntags long\n")
    run(area, "-tagexpr", "qui%", "-itempatt", "2", "-testpatt", "fast")
    assert how(area) == {"fast/2": "COMPLETED/PASS"}
    old(area, "-runtests", "slow", "-run-wait")
    assert how(area)["slow"] == "COMPLETED/PASS"


def test_setvars_reach_the_tests(area: Area) -> None:
    """spec/runs.md A12: pieces with exactly one `=`."""
    area.test("t", 'test "$Y" = 3', 'test -z "$X"')
    run(area, "-setvars", "X=1=2,Y=3")
    assert how(area) == {"t": "COMPLETED/PASS"}


def test_a_contour_is_one_more_level_of_directories(area: Area) -> None:
    """spec/runs.md 1.4: -contour."""
    area.test("t", "true")
    run(area, "-contour", "quick")
    assert (area.home / "lt/quick" / TARGET / "r1/t/s1.log").exists()
    assert (area.home / "runs/quick" / TARGET / "r1/t").is_dir()


def test_a_pipeline_is_judged_by_its_last_stage_only_unless_the_area_says(area: Area) -> None:
    """spec/config.md T10: a step is what bash makes of it."""
    area.test("t", "false | cat")
    run(area)
    assert how(area) == {"t": "COMPLETED/PASS"}
    area({"megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\npipefail yes")})
    run(area, "-rerun", "PASS")
    assert how(area) == {"t": "COMPLETED/FAIL"}


# -- again (4.5, 4.6, 8)


def test_what_is_done_stays_done_and_rerun_names_statuses(area: Area) -> None:
    """spec/runs.md 4.5, 8.1, 8.2."""
    area.test("good", "true").test("bad", "test -e $MT_RUN_AREA_HOME/mended")
    run(area)
    (area.home / "mended").touch()
    run(area)
    assert how(area) == {"good": "COMPLETED/PASS", "bad": "COMPLETED/FAIL"}
    run(area, "-rerun", "FAIL")
    assert how(area) == {"good": "COMPLETED/PASS", "bad": "COMPLETED/PASS"}
    assert attempts(area) == {"good": 1, "bad": 2}


def test_rerun_compares_statuses_and_never_states(area: Area) -> None:
    """spec/runs.md 1.4: -rerun."""
    area.test("t")
    run(area)
    run(area, "-rerun", "COMPLETED")
    assert attempts(area) == {"t": 1}


def test_a_failed_prerequisite_closes_its_dependents_until_they_are_named(area: Area) -> None:
    """spec/runs.md 4.3, 8.3."""
    area.test("a", "test -e $MT_RUN_AREA_HOME/mended").test("b", waiton="a").test("c", waiton="b")
    done = run(area)
    assert how(area) == {"a": "COMPLETED/FAIL", "b": "COMPLETED/PREQ_FAIL", "c": "COMPLETED/PREQ_FAIL"}
    assert re.search("^WARNING: test b has FAILED prerequisites or other issue", done.err, re.M)
    (area.home / "mended").touch()
    run(area, "-rerun", "FAIL")
    assert how(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PREQ_FAIL", "c": "COMPLETED/PREQ_FAIL"}
    run(area, "-rerun", "PREQ_FAIL")
    assert set(how(area).values()) == {"COMPLETED/PASS"}


def test_rerun_clean_resets_the_whole_run_and_runs_the_pattern(area: Area) -> None:
    """spec/runs.md 1.4: not only the pattern; SKIP and WAIVED survive (C1)."""
    script = "megatest -test-status :state COMPLETED :status $W"
    area.test("t", script, items={"W": "PASS FAIL SKIP CHECK WAIVED"}).test("x")
    run(area)
    old(area, "-rerun-clean", "-run-wait", "-testpatt", "x")
    assert how(area) == {
        "t/PASS": "COMPLETED/PASS", "t/FAIL": "NOT_STARTED/n/a", "t/SKIP": "COMPLETED/SKIP",
        "t/CHECK": "NOT_STARTED/n/a", "t/WAIVED": "COMPLETED/WAIVED", "x": "COMPLETED/PASS",
    }  # fmt: skip


def test_the_area_says_what_rerun_clean_resets(area: Area) -> None:
    """spec/config.md 2.1: [validvalues] cleanrerun-states, cleanrerun-statuses."""
    area.test("t", "megatest -test-status :state COMPLETED :status $W", items={"W": "FAIL CHECK"})
    area({"megatest.config": area.read("megatest.config") + "\n[validvalues]\ncleanrerun-statuses CHECK\n"})
    run(area)
    old(area, "-rerun-clean", "-run-wait", "-testpatt", "nosuch")
    assert how(area) == {"t/FAIL": "COMPLETED/FAIL", "t/CHECK": "NOT_STARTED/n/a"}


def test_rerun_all_runs_everything_in_empty_directories(area: Area) -> None:
    """spec/runs.md 1.4: -rerun-all, -preclean."""
    area.test("t", "test ! -e stale", "touch stale")
    run(area)
    old(area, "-rerun-all", "-run-wait")
    assert (how(area), attempts(area)) == ({"t": "COMPLETED/PASS"}, {"t": 2})


def test_without_preclean_an_earlier_directory_keeps_its_files(area: Area) -> None:
    """spec/runs.md 1.4: -preclean."""
    area.test("t", "test -e stale || { touch stale; exit 1; }")
    run(area)
    run(area, "-rerun", "FAIL")
    assert how(area) == {"t": "COMPLETED/PASS"}
    run(area, "-rerun", "PASS", "-preclean")
    assert how(area) == {"t": "COMPLETED/FAIL"}


def test_force_runs_what_is_done(area: Area) -> None:
    """spec/runs.md 1.4: -force."""
    area.test("t")
    run(area)
    run(area, "-force")
    assert attempts(area) == {"t": 2}


def test_auto_rerun_takes_states_back_before_the_run(area: Area) -> None:
    """spec/config.md 2.1 allow-auto-rerun, spec/runs.md 4.6."""
    area.test("a", "test -e $MT_RUN_AREA_HOME/second || megatest -test-status :state STUCK :status DEAD")
    area.test("b", "test -e $MT_RUN_AREA_HOME/second || megatest -test-status :state COMPLETED :status ABORT")
    area(
        {
            "megatest.config": area.read("megatest.config").replace(
                "[setup]", "[setup]\nallow-auto-rerun STUCK COMPLETED/ABORT"
            )
        }
    )
    run(area)
    assert how(area) == {"a": "STUCK/DEAD", "b": "COMPLETED/ABORT"}
    (area.home / "second").touch()
    run(area)
    assert how(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PASS"}


def test_a_second_pass_looks_again_for_items_that_were_not_there(area: Area) -> None:
    """spec/runs.md 4.6: ZERO_ITEMS are tried once more in the same command; `reruns 0` forbids it."""
    area.test("late", more="[items]\nX [system cat $MT_RUN_AREA_HOME/items]\n").test(
        "maker", "echo 1 2 > $MT_RUN_AREA_HOME/items"
    )
    area({"items": "", "megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\nreruns 0")})
    run(area)
    assert how(area) == {"late": "NOT_STARTED/ZERO_ITEMS", "maker": "COMPLETED/PASS"}
    area({"megatest.config": area.read("megatest.config").replace("reruns 0", ""), "items": ""})
    run(area, "-rerun", "PASS")
    assert how(area)["late/1"] == "COMPLETED/PASS"


# -- coming back, joining (4.1)


def test_run_comes_back_when_everything_is_launched_and_tests_go_on(area: Area) -> None:
    """spec/runs.md 4.1: without -run-wait the runner ends when nothing is left to launch."""
    area.test("t", GATE, items={"X": "1 2"})
    old(area, "-run")
    assert how(area) == {"t/1": "RUNNING/n/a", "t/2": "RUNNING/n/a"}
    again = old(area, "-run")
    assert "t/1" not in again.out
    (area.home / "gate").touch()
    old(area, "-run-wait", "-testpatt", "%", "-state", "RUNNING,LAUNCHED,NOT_STARTED")
    assert how(area) == {"t/1": "COMPLETED/PASS", "t/2": "COMPLETED/PASS"}
    assert attempts(area) == {"t/1": 1, "t/2": 1}


def test_a_run_waits_for_what_is_left_to_launch(area: Area) -> None:
    """spec/runs.md 4.1: dependents are launched before it comes back."""
    area.test("a", "true").test("b", "true", waiton="a")
    old(area, "-run")
    old(area, "-run-wait", "-testpatt", "%", "-state", "RUNNING,LAUNCHED,NOT_STARTED")
    assert how(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PASS"}


def test_one_pass_launches_what_can_go_now(area: Area) -> None:
    """spec/runs.md 1.4: -one-pass."""
    area.test("a", GATE).test("b", "true", waiton="a")
    old(area, "-run", "-one-pass")
    assert how(area) == {"a": "RUNNING/n/a", "b": "NOT_STARTED/n/a"}
    (area.home / "gate").touch()
    run(area)
    assert how(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PASS"}


def test_one_pass_comes_back_when_all_slots_are_taken(area: Area) -> None:
    """spec/runs.md 1.4: -one-pass, with more tests than may run at once."""
    area({"megatest.config": f"{CONFIG}\n[setup]\nmax_concurrent_jobs 2\n"})
    for name in "abcde":
        area.test(name, GATE)
    old(area, "-run", "-one-pass")
    assert sorted(how(area).values()) == ["NOT_STARTED/n/a"] * 3 + ["RUNNING/n/a"] * 2
    (area.home / "gate").touch()
    run(area)
    assert set(how(area).values()) == {"COMPLETED/PASS"}


def test_a_test_may_run_more_of_its_own_run(area: Area) -> None:
    """A step calls megatest -run on the run it belongs to: that is handed over, and waits for nothing."""
    area.test("outer", f"megatest -run -target {TARGET} -runname r1 -testpatt inner").test("inner")
    run(area, "-testpatt", "outer")
    assert how(area) == {"outer": "COMPLETED/PASS", "inner": "COMPLETED/PASS"}


def test_an_interrupt_stops_launching_and_leaves_tests_alone(area: Area) -> None:
    """spec/runs.md 4.1: SIGINT; running tests are not stopped."""
    area.test("a", f"touch $MT_RUN_AREA_HOME/begun; {GATE}").test("b", "true", waiton="a")
    with area.start("-run", *WHERE, prog="megatest") as process:
        wait_for(area.home / "begun")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode in (0, 4)
    assert how(area) == {"a": "RUNNING/n/a", "b": "NOT_STARTED/n/a"}
    (area.home / "gate").touch()
    run(area)
    assert how(area) == {"a": "COMPLETED/PASS", "b": "COMPLETED/PASS"}


# -- what is printed (4.7, 7)


def test_progress_lines_have_the_old_columns(area: Area) -> None:
    """spec/runs.md 4.7."""
    area.test("mytest", "true", items={"X": "1"}).test("bad", "false")
    out = run(area).out
    line = next(line for line in out.splitlines() if "/mytest/1" in line)
    where = re.escape(f"{area.home}/lt/{TARGET}/r1/mytest/1")
    assert re.fullmatch(rf"COMPLETED   PASS        \d{{4}}ww\d\d\.\d \d\d:\d\d    0s          {where} *", line)
    assert any(line.startswith("COMPLETED   FAIL        ") for line in out.splitlines())


def test_changed_descriptions_are_announced(area: Area) -> None:
    """spec/runs.md 7: `Updating <test> <field> to <value>` on stdout."""
    area.test("t", more="[test_meta]\nauthor ann\n")
    run(area)
    area.test("t", more="[test_meta]\nauthor bob\n")
    assert "Updating t author to bob\n" in run(area).out
    assert "Updating" not in run(area).out


def test_bad_waitons_are_named_and_the_test_runs(area: Area) -> None:
    """spec/config.md T20, T22; spec/runs.md 2.5, 7."""
    area.test("special", waiton="nosuch special")
    err = run(area).err
    assert re.search("^ERROR: test special has unrecognised waiton testname nosuch", err, re.M)
    assert re.search("^ERROR: test special has listed itself as a waiton or waitor, please correct this!", err, re.M)
    assert how(area) == {"special": "COMPLETED/PASS"}


def test_the_command_line_is_echoed_and_strangers_are_named(area: Area) -> None:
    """spec/runs.md 1.3 end, A4, A5."""
    area.test("t")
    err = run(area, ":sysname", "ubuntu").err
    assert f"megatest -run -run-wait :sysname ubuntu -target {TARGET} -runname r1" in err
    assert "ERROR: Unrecognised arguments: :sysname ubuntu" in err


def test_v_prints_the_new_command(area: Area) -> None:
    """Each old command prints the new one with -v."""
    area.test("t")
    assert f"mt run -t {TARGET} -r r1" in run(area, "-v", "-testpatt", "t").err


# -- launchers (spec/config.md 2.4)


def test_a_launcher_starts_each_case_in_its_run_directory(area: Area) -> None:
    """spec/config.md M11, spec/runs.md 4.8, 4.9."""
    area({"bin/starter": '#!/bin/bash\necho "$(pwd -P) $*" >> $MT_RUN_AREA_HOME/started\nexec "$@"\n'})
    area({"megatest.config": area.read("megatest.config") + f"\n[jobtools]\nlauncher {area.home}/bin/starter\n"})
    area.test("t", 'test "$X" = $MT_ITEMPATH', "megatest -step own -state start -status 0", items={"X": "1 2"})
    area.test("bad", "false", waiton="t")
    run(area)
    assert how(area) == {"t/1": "COMPLETED/PASS", "t/2": "COMPLETED/PASS", "bad": "COMPLETED/FAIL"}
    started = area.read("started").splitlines()
    assert len(started) == 3
    where = str(area.home / "runs" / TARGET / "r1/t/1")
    assert any(re.match(rf"{re.escape(where)} \S*megatest -m \S+:t:1 -execute \S+$", line) for line in started)
    assert "LAUNCHCMD:" in (area.home / "runs" / TARGET / "r1/t/1/mt_launch.log").read_text()


def test_launchers_are_chosen_by_test_and_host_type(area: Area) -> None:
    """spec/config.md 2.5: flexi-launcher."""
    area({"bin/L": '#!/bin/bash\necho $MT_TEST_NAME >> $MT_RUN_AREA_HOME/started\nexec "$@"\n'})
    more = f"""
        [jobtools]
        flexi-launcher yes
        launcher {area.home}/bin/L
        [host-types]
        g nbfake
        r #{{get jobtools launcher}}
        [launchers]
        runfirst/sum% r
        % g
        """
    area({"megatest.config": area.read("megatest.config") + "\n".join(s.strip() for s in more.splitlines()) + "\n"})
    area.test("runfirst", items={"S": "summer winter"}).test("other")
    run(area)
    assert set(how(area).values()) == {"COMPLETED/PASS"}
    assert area.read("started") == "runfirst\n"


def test_a_launcher_that_fails_says_nothing_about_the_test(area: Area) -> None:
    """spec/runs.md 4.8 failure: INFRA, run again by the same command."""
    area({"megatest.config": area.read("megatest.config") + "\n[jobtools]\nlauncher false\n"})
    area.test("t")
    run(area)
    assert how(area) == {"t": "COMPLETED/INFRA"}
    area({"megatest.config": area.read("megatest.config").replace("launcher false", "launcher nbfake")})
    run(area)
    assert how(area) == {"t": "COMPLETED/PASS"}


def test_a_case_under_a_launcher_is_killed_and_interrupted_cases_run_again(area: Area) -> None:
    """spec/runs.md 4.11 through a launcher: KILLREQ reaches the other end."""
    area({"megatest.config": area.read("megatest.config") + "\n[jobtools]\nlauncher env\n"})
    area.test("t", f"touch $MT_RUN_AREA_HOME/begun; {GATE}")
    with area.start("-run", "-run-wait", *WHERE, prog="megatest") as process:
        wait_for(area.home / "begun")
        old(area, "-set-state-status", "KILLREQ,n/a", "-testpatt", "t")
        process.communicate(timeout=60)
    assert how(area) == {"t": "KILLED/KILLED"}


# -- how much at once (spec/runs.md 4.4)


def test_launches_are_spaced_only_when_the_area_says_so(area: Area) -> None:
    """spec/runs.md 4.4, spec/config.md D9: launch-delay, when it is set."""
    area.test("t", 'date +%s%N >> "$MT_RUN_AREA_HOME/times"', items={"X": "1 2 3"})
    area({"megatest.config": area.read("megatest.config").replace("launch-delay 0", "launch_delay 0.4")})
    run(area)
    times = sorted(int(line) / 1e9 for line in area.read("times").splitlines())
    assert len(times) == 3
    assert times[2] - times[0] > 0.5


def test_workers_that_go_on_alone_keep_their_places(area: Area) -> None:
    """spec/runs.md 4.4: max_concurrent_jobs counts what runs in all runs, whoever controls it."""
    area({"megatest.config": area.read("megatest.config").replace("max_concurrent_jobs 4", "max_concurrent_jobs 1")})
    area.test("a", f"touch $MT_RUN_AREA_HOME/begun; {GATE}; touch $MT_RUN_AREA_HOME/over")
    area.test("b", "test -e $MT_RUN_AREA_HOME/over")
    old(area, "-run", "-testpatt", "a")
    wait_for(area.home / "begun")
    other = ("-target", TARGET, "-runname", "r2")
    with area.start("-run", "-run-wait", *other, "-testpatt", "b", prog="megatest") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        (area.home / "gate").touch()
        process.communicate(timeout=60)
    assert how(area, run="r2") == {"b": "COMPLETED/PASS"}


def test_a_copy_command_that_fails_is_logged_and_the_test_runs(area: Area) -> None:
    """spec/config.md 2.1: testcopycmd; a case of `mt run` is INFRA then."""
    copy = "[setup]\ntestcopycmd cp -r TEST_SRC_PATH/. TEST_TARG_PATH; exit 3"
    area({"megatest.config": area.read("megatest.config").replace("[setup]", copy)})
    area.test("t", "test -e testconfig")
    run(area)
    assert how(area) == {"t": "COMPLETED/PASS"}
    assert "ERROR: cannot copy test directory" in (area.home / "lt" / TARGET / "r1/t/mt_launch.log").read_text()
    assert area.mt("run", "-t", TARGET, "-r", "r2", "-q").status == 8
