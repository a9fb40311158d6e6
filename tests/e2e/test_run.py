"""mt run: verdicts, environment and files of cases, what runs and what does not, in what order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from testarea import TARGET, Area

#: appends the name of the case to a file of the area, in the order in which cases run
NOTE = "echo $MT_TEST_NAME/$MT_ITEMPATH >> $MT_RUN_AREA_HOME/order"


def run(area: Area, *words: str, status: int = 0, **more: Any) -> str:
    """Drive run r1 and give its stderr; insists on the exit status."""
    done = area.mt("run", "-t", TARGET, "-r", "r1", *words, **more)
    assert done.status == status, f"status {done.status}\n{done.out}{done.err}"
    return done.err


def verdicts(area: Area) -> dict[str, str]:
    """{TEST[/ITEM]: STATUS} of run r1."""
    rows = area.rows("tests", "-t", TARGET, "-r", "r1")
    return {row["id"].rpartition("//")[2]: row["status"] for row in rows}


def case(area: Area, name: str) -> dict[str, Any]:
    """The one row of a case of run r1."""
    (row,) = area.rows("tests", "-t", TARGET, "-r", "r1", name)
    return row


def order(area: Area) -> list[str]:
    """The cases in the order in which they ran."""
    path = area.home / "order"
    return [line.rstrip("/") for line in path.read_text().splitlines()] if path.exists() else []


def real(area: Area, *parts: str) -> Path:
    """The directory of a case on its disk."""
    return area.home.joinpath("runs", *TARGET.split("/"), "r1", *parts)


# -- verdicts


def test_a_case_whose_steps_all_end_with_0_passes(area: Area) -> None:
    area.test("good", "true", "echo a > a", "test -s a")
    run(area)
    assert verdicts(area) == {"good": "PASS"}
    assert [row["exits"] for row in area.rows("steps", "-r", "r1")] == [[0], [0], [0]]


def test_the_first_failing_step_is_the_last_one_and_is_named(area: Area) -> None:
    area.test("bad", "true", "exit 3", "echo never > never")
    run(area, status=1)
    row = case(area, "bad")
    assert (row["state"], row["status"]) == ("COMPLETED", "FAIL")
    assert "s2" in row["comment"] and "exit 3" in row["comment"]
    assert [step["step"] for step in area.rows("steps", "-r", "r1")] == ["s1", "s2"]
    assert not (real(area, "bad") / "never").exists()


def test_a_step_that_is_killed_by_a_signal_fails_and_says_which(area: Area) -> None:
    area.test("bad", "kill -SEGV $$")
    run(area, status=1)
    assert "SEGV" in case(area, "bad")["comment"]


@pytest.mark.parametrize(("code", "status"), [(0, "PASS"), (1, "FAIL"), (2, "WARN"), (5, "ABORT"), (6, "SKIP")])
def test_the_exit_code_of_a_runscript_is_a_verdict(area: Area, code: int, status: str) -> None:
    area({"tests/t/testconfig": "[setup]\nrunscript main.sh\n", "tests/t/main.sh": f"#!/bin/sh\nexit {code}\n"})
    run(area, status=0 if status in ("PASS", "WARN", "SKIP") else 1)
    assert verdicts(area) == {"t": status}


def test_items_are_cases_of_their_own(area: Area) -> None:
    area.test("disk", "test $DISK != sdb", items={"DISK": "sda sdb", "SIZE": "4k 8k"})
    run(area, status=1)
    assert verdicts(area) == {
        "disk/sda/4k": "PASS", "disk/sda/8k": "PASS", "disk/sdb/4k": "FAIL", "disk/sdb/8k": "FAIL",
    }  # fmt: skip


def test_what_waits_for_a_failure_is_not_run(area: Area) -> None:
    area.test("bad", "false").test("mid", NOTE, waiton="bad").test("late", NOTE, waiton="mid").test("free", NOTE)
    run(area, status=1)
    assert verdicts(area) == {"bad": "FAIL", "mid": "PREQ_FAIL", "late": "PREQ_FAIL", "free": "PASS"}
    assert order(area) == ["free"]


def test_what_is_waited_for_is_pulled_in_and_runs_first(area: Area) -> None:
    area.test("late", NOTE, waiton="mid").test("mid", NOTE, waiton="first").test("first", NOTE).test("other", NOTE)
    run(area, "late")
    assert order(area) == ["first", "mid", "late"]


def test_one_bad_item_is_enough_to_fail_what_waits_for_the_test(area: Area) -> None:
    area.test("disk", "test $DISK != sdb", items={"DISK": "sda sdb"}).test("late", "true", waiton="disk")
    run(area, status=1)
    assert verdicts(area)["late"] == "PREQ_FAIL"


# -- pipelines


def pipeline(area: Area, filter_code: int) -> None:
    """A test with the step `gen | filter | check`."""
    area.test("p", "gen | filter | check")
    area({
        "tests/p/gen": "#!/bin/sh\necho one; echo two; echo of gen >&2\n",
        "tests/p/filter": f"#!/bin/sh\ngrep two\nexit {filter_code}\n",
        "tests/p/check": "#!/bin/sh\nwc -l\n",
    })  # fmt: skip


def test_every_stage_of_a_pipeline_counts(area: Area) -> None:
    pipeline(area, 3)
    run(area, status=1)
    (step,) = area.rows("steps", "-r", "r1")
    assert (step["exits"], step["status"]) == ([0, 3, 0], "3")
    row = case(area, "p")
    assert row["status"] == "FAIL" and "stage 2 of 3: exit 3" in row["comment"]
    assert set((real(area, "p") / "s1.log").read_text().split("\n")) >= {"of gen", "1"}


def test_a_pipeline_whose_stages_are_good_passes(area: Area) -> None:
    pipeline(area, 0)
    run(area)
    (step,) = area.rows("steps", "-r", "r1")
    assert step["exits"] == [0, 0, 0]


def test_a_producer_whose_reader_has_read_enough_did_nothing_wrong(area: Area) -> None:
    area.test("p", "yes | head -1")
    run(area)
    (step,) = area.rows("steps", "-r", "r1")
    assert step["exits"] == [-13, 0]


# -- environment and files


def test_a_case_knows_its_names_and_its_items(area: Area) -> None:
    names = "MT_TEST_NAME MT_ITEMPATH MT_ITEM_INFO MT_TARGET MT_RUNNAME MT_RUN_AREA_HOME DISK SYSTEM FS ORIGIN"
    area.test("t", f"for n in {names}; do echo $n=${{!n}}; done", items={"DISK": "sda"})
    run(area)
    said = dict(line.split("=", 1) for line in (real(area, "t", "sda") / "s1.log").read_text().splitlines())
    assert said == {
        "MT_TEST_NAME": "t", "MT_ITEMPATH": "sda", "MT_ITEM_INFO": "((DISK sda))", "MT_TARGET": TARGET,
        "MT_RUNNAME": "r1", "MT_RUN_AREA_HOME": str(area.home), "DISK": "sda", "SYSTEM": "ubuntu", "FS": "nfs",
        "ORIGIN": "target",
    }  # fmt: skip


def test_megatest_sh_brings_the_environment_of_a_case_back(area: Area) -> None:
    area.test("t", "true", items={"WORDS": "a"}, more='[pre-launch-env-vars]\nMORE it\'s "quoted" $HOME\n')
    run(area)
    shown = area.sh(f'. {real(area, "t", "a")}/megatest.sh; printf "%s\\n" "$MT_TEST_NAME" "$WORDS" "$MT_RUNNAME"')
    assert shown.out == "t\na\nr1\n"


def test_set_variables_reach_the_cases(area: Area) -> None:
    area.test("t", 'test "$COLOUR" = "light blue"')
    run(area, "--set", "COLOUR=light blue")


def test_the_link_tree_leads_to_the_disk_and_holds_the_tests_files(area: Area) -> None:
    area.test("t", "cat data/in.txt", items={"DISK": "sda"})
    area({"tests/t/data/in.txt": "hello\n", "tests/t/tool": "#!/bin/sh\n"})
    run(area)
    link = area.home.joinpath("lt", *TARGET.split("/"), "r1", "t", "sda")
    assert link.is_symlink() and os.path.realpath(link) == str(real(area, "t", "sda"))
    assert case(area, "t/sda")["dir"] == str(link)
    assert (link / "s1.log").read_text() == "hello\n"
    assert {"data", "tool", "testconfig", "s1.log", "megatest.sh"} <= {p.name for p in link.iterdir()}
    assert os.access(link / "tool", os.X_OK)


def test_steps_run_in_the_physical_directory_of_their_case(area: Area) -> None:
    area.test("t", "/bin/pwd", "echo $PWD")
    run(area)
    assert {(real(area, "t") / f"s{n}.log").read_text() for n in (1, 2)} == {f"{real(area, 't')}\n"}


def test_a_step_reads_nothing_from_the_terminal(area: Area) -> None:
    area.test("t", "wc -c")
    run(area, stdin="typed ahead")
    assert (real(area, "t") / "s1.log").read_text().split() == ["0"]


# -- once, and again


def test_the_same_command_again_runs_nothing(area: Area) -> None:
    area.test("good", NOTE).test("bad", f"{NOTE}; false").test("late", NOTE, waiton="bad")
    run(area, status=1)
    before = sorted(order(area))
    said = run(area, status=1)
    assert sorted(order(area)) == before == ["bad", "good"]
    assert "0 ran" in said


def test_a_new_test_is_all_that_runs_then(area: Area) -> None:
    area.test("old", NOTE)
    run(area)
    area.test("new", NOTE, waiton="old")
    run(area)
    assert order(area) == ["old", "new"]


def test_retries_run_a_bad_case_again_until_it_is_good(area: Area) -> None:
    area.test("flaky", f"{NOTE}; test $(wc -l < $MT_RUN_AREA_HOME/order) -ge 3").test("late", "true", waiton="flaky")
    run(area, "--retries", "5")
    assert order(area) == ["flaky"] * 3
    row = case(area, "flaky")
    assert (row["status"], row["attempt"], row["flaky"]) == ("PASS", 3, True)
    assert verdicts(area)["late"] == "PASS"


def test_retries_end_and_the_last_attempt_counts(area: Area) -> None:
    area.test("bad", f"{NOTE}; false").test("good", "true")
    run(area, "--retries", "2", status=1)
    assert order(area) == ["bad"] * 3
    assert case(area, "bad")["attempt"] == 3 and case(area, "good")["attempt"] == 1


def test_rerun_runs_what_failed_and_what_was_not_run_because_of_it(area: Area) -> None:
    area.test("good", NOTE).test("bad", f"{NOTE}; test -e $MT_RUN_AREA_HOME/mended").test("late", NOTE, waiton="bad")
    run(area, status=1)
    area({"mended": "", "order": ""})
    assert area.mt("rerun", "-r", "r1", "-t", TARGET).status == 0
    assert order(area) == ["bad", "late"]
    assert verdicts(area) == {"good": "PASS", "bad": "PASS", "late": "PASS"}
    assert case(area, "bad")["attempt"] == 2


def test_rerun_says_so_when_nothing_is_to_be_run_again(area: Area) -> None:
    area.test("good", NOTE)
    run(area)
    assert area.mt("rerun", "-r", "r1", "-t", TARGET).status == 7
    assert area.mt("rerun", "-r", "r1", "-t", TARGET, "good").status == 0
    assert order(area) == ["good", "good"]


def test_set_excuses_a_failure_and_what_waited_for_it_runs(area: Area) -> None:
    area.test("bad", f"{NOTE}; false").test("late", NOTE, waiton="bad")
    run(area, status=1)
    area.ok("set", "WAIVED", "-r", "r1", "-t", TARGET, "bad", "-m", "known")
    area.ok("rerun", "-r", "r1", "-t", TARGET)
    assert verdicts(area) == {"bad": "WAIVED", "late": "PASS"}
    assert case(area, "bad")["comment"] == "known"
    assert order(area) == ["bad", "late"]


def test_set_to_not_started_lets_the_same_command_run_a_case_again(area: Area) -> None:
    area.test("t", NOTE)
    run(area)
    area.ok("set", "NOT_STARTED", "-r", "r1", "-t", TARGET, "t")
    run(area)
    assert order(area) == ["t", "t"]


def test_a_case_whose_file_exists_is_skipped_and_counts_as_good(area: Area) -> None:
    area.test("t", NOTE, more="[skip]\nfileexists stop.here\n").test("late", NOTE, waiton="t")
    area({"tests/t/stop.here": ""})
    run(area)
    assert verdicts(area) == {"t": "SKIP", "late": "PASS"}
    assert "stop.here" in case(area, "t")["comment"] and order(area) == ["late"]


# -- how much at once, and in what order


def test_with_one_slot_cases_run_one_after_the_other(area: Area) -> None:
    alone = "mkdir $MT_RUN_AREA_HOME/only && rmdir $MT_RUN_AREA_HOME/only"
    area.test("t", alone, items={"N": " ".join(map(str, range(12)))})
    run(area, "-j", "1")
    assert set(verdicts(area).values()) == {"PASS"}


def test_two_slots_run_two_cases_at_once(area: Area) -> None:
    meet = (
        "touch $MT_RUN_AREA_HOME/$A; for i in $(seq 1000); do test -e $MT_RUN_AREA_HOME/$B && exit 0; sleep .01; done"
    )
    area.test("t", f"{meet}; exit 1", more="[itemstable]\nA x y\nB y x\n")
    run(area, "-j", "2")
    assert set(verdicts(area).values()) == {"PASS"}


def test_an_order_from_a_file_is_followed(area: Area) -> None:
    area.test("t", NOTE, items={"N": "1 2 3 4"}).test("u", NOTE)
    run(area, "-j", "1", "--order", "-", stdin="u\nt/3\nt/1\n")
    assert order(area)[:3] == ["u", "t/3", "t/1"]
    assert sorted(order(area)[3:]) == ["t/2", "t/4"]


def test_a_job_group_has_no_more_than_its_slots_at_once(area: Area) -> None:
    area({"megatest.config": area.read("megatest.config") + "\n[jobgroups]\nboard 1\n"})
    alone = "mkdir $MT_RUN_AREA_HOME/only && rmdir $MT_RUN_AREA_HOME/only"
    more = "[test_meta]\njobgroup board\n"
    area.test("t", alone, items={"N": " ".join(map(str, range(8)))}, more=more).test("u", alone, more=more)
    area.test("free", "true", items={"N": "1 2 3 4"})
    run(area, "-j", "4")
    assert set(verdicts(area).values()) == {"PASS"}


def test_fail_fast_starts_nothing_after_the_first_failure(area: Area) -> None:
    area.test("a", f"{NOTE}; false").test("b", NOTE).test("c", NOTE)
    said = run(area, "-j", "1", "--fail-fast", "--order", "-", stdin="a\nb\nc\n", status=1)
    assert order(area) == ["a"] and "stopped early" in said
    run(area, status=1)
    assert sorted(order(area)) == ["a", "b", "c"]


def test_max_fail_counts_failures(area: Area) -> None:
    area.test("t", f"{NOTE}; false", items={"N": "1 2 3 4 5"})
    run(area, "-j", "1", "--max-fail", "2", status=1)
    assert len(order(area)) == 2


# -- what is said


def test_a_dry_run_says_what_would_be_done_and_does_nothing(area: Area) -> None:
    area.test("t", NOTE, items={"N": "1 2"}).test("late", NOTE, waiton="t")
    done = area.ok("run", "-n", "-t", TARGET, "-r", "r1")
    assert [line.split("\t")[:2] for line in done.lines()] == [
        ["run", f"{TARGET}//r1//t/1"], ["run", f"{TARGET}//r1//t/2"], ["run", f"{TARGET}//r1//late"],
    ]  # fmt: skip
    assert order(area) == [] and not (area.home / ".mtdb").exists() and not (area.home / "lt").exists()
    run(area)
    assert {line.split("\t")[0] for line in area.ok("run", "-n", "-t", TARGET, "-r", "r1").lines()} == {"keep"}


def test_a_run_prints_nothing_on_stdout_and_is_silent_with_quiet(area: Area) -> None:
    area.test("t", "echo loud; echo louder >&2")
    done = area.ok("run", "-q", "-t", TARGET, "-r", "r1")
    assert (done.out, done.err) == ("", "")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["good"], 0),
        (["bad"], 1),
        (["--no-such-option"], 2),
        (["-j", "0"], 2),
        (["round1"], 3),
        (["nothing-like-this"], 7),
        (["--tags", "nothing"], 7),
        (["infra"], 8),
    ],
)
def test_exit_statuses_are_those_of_the_page(area: Area, words: list[str], status: int) -> None:
    area.test("good", "true").test("bad", "false")
    area.test("infra", "true", more=f"[disks]\nd0 {area.home}/no/such/disk\n")
    if words == ["round1"]:
        area.test("round1", "true", waiton="round2").test("round2", "true", waiton="round1")
    done = area.mt("run", "-t", TARGET, "-r", "r1", *words)
    assert done.status == status, done.err
    assert "Traceback" not in done.err
