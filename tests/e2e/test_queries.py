"""The query verbs over recorded runs: rows, ids in and out, formats, statuses."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from recorded import BEGUN, Recorded
from testarea import BIN, Area

ROW = {
    "v", "id", "target", "run", "test", "item", "state", "status", "attempt", "flaky", "infra", "host", "job", "start",
    "end", "queued", "secs", "cpu", "rss", "comment", "reason", "signature", "dir",
}  # fmt: skip


@pytest.fixture
def run(area: Area) -> Recorded:
    """A run with a good test, an iterated test with one bad item, and a test that waits on it."""
    area.test("smoke", "true").test("disk", "true", items={"DISK": "sda sdb"}).test("late", "true", waiton="disk")
    made = Recorded(area)
    made.case("smoke")
    made.step("smoke", "", "s1", text="hello\n")
    made.case("disk", "sda", status="FAIL", comment="Failed at step s1", start=BEGUN + 1)
    made.step("disk", "sda", "s1", "3", "one\nERROR: two\n0 errors\nlast", comment="exit 3")
    made.case("disk", "sdb", secs=9.0, start=BEGUN + 5)
    made.step("disk", "sdb", "s1", text="fine\n", secs=8.0)
    made.case("late", status="PREQ_FAIL", start=0.0, end=0.0, secs=0.0, dir="")
    return made


# -- mt tests


def test_a_row_has_all_keys_that_are_promised(run: Recorded) -> None:
    rows = run.area.rows("tests")
    assert [row["id"] for row in rows] == [
        "ubuntu/nfs//r1//disk/sda", "ubuntu/nfs//r1//disk/sdb", "ubuntu/nfs//r1//late", "ubuntu/nfs//r1//smoke",
    ]  # fmt: skip
    assert all(set(row) == ROW for row in rows)
    assert rows[0]["v"] == 1
    assert rows[0]["start"] == "2026-09-21T14:13:21+00:00"
    assert rows[2]["start"] == ""


def test_times_carry_the_zone_of_the_user(run: Recorded) -> None:
    (row,) = run.area.rows("tests", "smoke", env={"TZ": "CET-1CEST"})
    assert row["start"] == "2026-09-21T16:13:20+02:00"


def test_the_run_is_named_on_stderr_when_it_was_guessed(run: Recorded) -> None:
    assert run.area.ok("tests").err == "mt: run ubuntu/nfs//r1\n"
    assert run.area.ok("tests", "-q").err == ""
    assert run.area.ok("tests", "-r", "r1").err == ""


def test_in_a_pipe_rows_are_tab_separated_with_the_id_first(run: Recorded) -> None:
    lines = run.area.ok("tests", "-s", "FAIL").lines()
    assert [line.split("\t")[0] for line in lines] == ["id", "ubuntu/nfs//r1//disk/sda"]


@pytest.mark.parametrize(
    ("words", "items"),
    [
        (["disk"], ["disk/sda", "disk/sdb"]),
        (["disk/sda"], ["disk/sda"]),
        (["d%"], ["disk/sda", "disk/sdb"]),
        (["*/sd?"], ["disk/sda", "disk/sdb"]),
        (["smoke", "late"], ["late", "smoke"]),
        (["ubuntu/nfs//r1//disk/sdb"], ["disk/sdb"]),
        (["ubuntu/%//r%//smoke"], ["smoke"]),
        (["disk:FAIL"], ["disk/sda"]),
        (["-s", "fail,preq_fail"], ["disk/sda", "late"]),
        (["--state", "COMPLETED", "-s", "PASS"], ["disk/sdb", "smoke"]),
        (["--sort", "-secs", "--limit", "1"], ["disk/sdb"]),
    ],
)
def test_cases_are_chosen_by_ids_patterns_and_options(run: Recorded, words: list[str], items: list[str]) -> None:
    found = run.area.rows("tests", *words)
    assert [row["id"].split("//")[2] for row in found] == items


def test_ids_and_rows_are_read_from_standard_input(run: Recorded) -> None:
    ids = run.area.ok("tests", "-s", "FAIL", "-f", "ids").out
    assert run.area.ok("tests", "-", "-f", "ids", stdin=ids).out == ids
    rows = run.area.ok("tests", "disk", "-f", "ndjson").out
    assert len(run.area.rows("tests", "-", stdin=rows)) == 2


def test_nothing_on_standard_input_chooses_nothing(run: Recorded) -> None:
    assert run.area.mt("tests", "-", stdin="").status == 7
    assert run.area.mt("log", "-", stdin="").status == 7


def test_no_match_is_status_7_unless_it_is_allowed(run: Recorded) -> None:
    result = run.area.mt("tests", "-r", "r1", "nosuch")
    assert (result.status, result.out) == (7, "")
    assert run.area.mt("tests", "-r", "r1", "nosuch", "--allow-empty").status == 0


def test_an_area_without_records_is_status_7(area: Area) -> None:
    result = area.mt("tests")
    assert result.status == 7
    assert "nothing is recorded" in result.err
    assert not (area.home / ".mtdb").exists()


def test_tops_roll_items_up(run: Recorded) -> None:
    tops = {
        row["test"]: (row["state"], row["status"], row["cases"], row["bad"]) for row in run.area.rows("tests", "--tops")
    }
    assert tops == {
        "disk": ("COMPLETED", "FAIL", 2, 1),
        "late": ("COMPLETED", "PREQ_FAIL", 1, 1),
        "smoke": ("COMPLETED", "PASS", 1, 0),
    }
    assert [row["test"] for row in run.area.rows("tests", "--tops", "disk/sda")] == ["disk"]


def test_a_case_whose_earlier_attempt_failed_is_flaky_when_it_is_good_now(run: Recorded) -> None:
    run.case("smoke", status="FAIL", attempt=2, comment="no luck")
    run.case("smoke", attempt=3)
    run.case("disk", "sdb", attempt=2)
    rows = {row["id"].split("//")[2]: row for row in run.area.rows("tests")}
    assert [name for name, row in rows.items() if row["flaky"]] == ["smoke"]
    assert rows["smoke"]["attempt"] == 3


def test_what_is_new_in_a_journal_is_seen_at_once(run: Recorded) -> None:
    assert run.area.rows("tests", "smoke")[0]["status"] == "PASS"
    run.case("smoke", status="WARN", gen=9)
    assert run.area.rows("tests", "smoke")[0]["status"] == "WARN"
    run.case("fresh")
    assert len(run.area.rows("tests", "fresh")) == 1


def test_lists_work_in_an_area_that_cannot_be_written(run: Recorded) -> None:
    run.area.ok("tests")
    if os.geteuid() == 0:
        pytest.skip("the superuser can write everywhere")
    paths = [run.area.home / ".mtdb", *(p for p in (run.area.home / ".mtdb").rglob("*") if p.is_dir())]
    for path in paths:
        path.chmod(0o555)
    try:
        assert len(run.area.rows("tests")) == 4
    finally:
        for path in paths:
            path.chmod(0o755)


def test_the_same_failure_has_the_same_signature_whatever_its_numbers(run: Recorded) -> None:
    run.case("disk", "a", status="FAIL", comment="step s1: 3 errors")
    run.case("disk", "b", status="FAIL", comment="step s1: 17 errors")
    run.case("disk", "c", status="FAIL", comment="segmentation fault")
    a, b, c = (run.area.rows("tests", f"disk/{i}")[0]["signature"] for i in "abc")
    assert a == b != c
    assert run.area.rows("tests", "smoke")[0]["signature"] == ""


# -- which run


def test_the_last_run_is_the_one_of_this_user(run: Recorded) -> None:
    Recorded(run.area, "r2", owner="somebody-else").case("other")
    assert {row["run"] for row in run.area.rows("tests")} == {"r1"}
    assert {row["run"] for row in run.area.rows("tests", "-r", "r%")} == {"r1", "r2"}


def test_inside_a_test_the_run_is_that_of_the_test(run: Recorded) -> None:
    Recorded(run.area, "r2").case("other")
    env = {"MT_TARGET": "ubuntu/nfs", "MT_RUNNAME": "r1", "MT_RUN_AREA_HOME": str(run.area.home)}
    assert {row["run"] for row in run.area.rows("tests", env=env, cwd=Path("/"))} == {"r1"}


def test_runs_lists_all_or_those_that_match(run: Recorded) -> None:
    Recorded(run.area, "w49.1", target="debian/zfs").case("x", status="ABORT")
    rows = {row["id"]: row for row in run.area.rows("runs")}
    assert list(rows) == ["ubuntu/nfs//r1", "debian/zfs//w49.1"]
    first = rows["ubuntu/nfs//r1"]
    assert (first["cases"], first["good"], first["bad"], first["state"]) == (4, 2, 2, "COMPLETED")
    assert first["counts"] == {"COMPLETED/FAIL": 1, "COMPLETED/PASS": 2, "COMPLETED/PREQ_FAIL": 1}
    for words in (["w%"], ["debian/%//w49.1"], ["-t", "debian/zfs"], ["-s", "ABORT"]):
        assert [row["run"] for row in run.area.rows("runs", *words)] == ["w49.1"]
    assert run.area.mt("runs", "nosuch").status == 7


# -- mt status


def test_status_tells_by_its_exit_status_how_a_run_stands(run: Recorded) -> None:
    assert run.area.mt("status").status == 1
    assert run.area.mt("status", "-q").out == ""
    good = Recorded(run.area, "good")
    good.case("a")
    assert run.area.mt("status", "good").status == 0
    good.case("b", state="NOT_STARTED", status="n/a")
    (row,) = run.area.mt("status", "good", "-f", "ndjson").rows()
    assert (row["percent"], row["good"], row["waiting"]) == (50.0, 1, 1)
    assert run.area.mt("status", "good").status == 8
    assert run.area.mt("status", "nosuch").status == 7


def test_status_watches_until_nothing_runs(run: Recorded) -> None:
    live = Recorded(run.area, "live")
    live.case("a", state="RUNNING", status="n/a")
    words = [str(BIN / "mt"), "status", "live", "--watch", "--interval", "0.05", "-f", "ndjson"]
    with subprocess.Popen(words, cwd=run.area.home, env=run.area.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["live"] == 1
        live.case("a", gen=2)
        assert json.loads(process.stdout.readline())["good"] == 1
        assert process.wait(20) == 0


# -- mt steps, mt values, mt times


def test_steps_are_those_of_the_newest_attempt(run: Recorded) -> None:
    run.case("smoke", attempt=2)
    run.step("smoke", "", "again", attempt=2)
    assert [row["step"] for row in run.area.rows("steps", "smoke")] == ["again"]
    assert [row["step"] for row in run.area.rows("steps", "smoke", "--all")] == ["s1", "again"]


def test_failed_steps_can_be_listed_alone(run: Recorded) -> None:
    run.step("smoke", "", "warned", "2", log="warned.html", number=2)
    (row,) = run.area.rows("steps", "--failed")
    assert (row["id"], row["status"], row["exits"], row["good"]) == ("ubuntu/nfs//r1//disk/sda", "3", [3], False)


def test_values_are_chosen_by_category_and_name(run: Recorded) -> None:
    run.value("smoke", "", "perf/speed", "5", "fail", expected="9", tol=">")
    run.value("smoke", "", "perf/size", "1", "pass")
    run.value("disk", "sda", "temp", "40")
    run.value("disk", "sda", "s1/final", "0", type="logpro")
    area = run.area
    assert [row["variable"] for row in area.rows("values")] == ["temp", "size", "speed"]
    assert [row["variable"] for row in area.rows("values", "perf/s%")] == ["size", "speed"]
    assert [row["variable"] for row in area.rows("values", "temp")] == ["temp"]
    assert [row["variable"] for row in area.rows("values", "--failed")] == ["speed"]
    assert [row["variable"] for row in area.rows("values", "-c", "disk/sda", "-a")] == ["temp", "final"]
    assert area.mt("values", "nosuch/%").status == 7


def test_times_have_percentiles_for_tests_steps_and_runs(run: Recorded) -> None:
    rows = {row["name"]: row for row in run.area.rows("times")}
    assert rows["disk"] == {
        "v": 1, "name": "disk", "n": 2, "min": 2.0, "p50": 2.0, "p90": 9.0, "p99": 9.0, "max": 9.0, "total": 11.0,
    }  # fmt: skip
    assert "late" not in rows
    assert {row["name"] for row in run.area.rows("times", "--by", "step")} == {"disk s1", "smoke s1"}
    assert [row["n"] for row in run.area.rows("times", "--by", "run")] == [3]


def test_the_slowest_come_first(run: Recorded) -> None:
    lines = run.area.ok("times", "--slowest", "2", "-q").lines()
    assert [line.split("\t")[0:3:2] for line in lines[1:]] == [
        ["ubuntu/nfs//r1//disk/sdb", "9"],
        ["ubuntu/nfs//r1//disk/sda", "2"],
    ]
    (row,) = run.area.rows("times", "--by", "step", "--slowest", "1")
    assert (row["step"], row["secs"]) == ("s1", 8.0)


# -- mt paths


def test_paths_are_those_that_exist_oldest_first(run: Recorded) -> None:
    names = [Path(line).relative_to(run.area.home / "lt/ubuntu/nfs/r1") for line in run.area.ok("paths").lines()]
    assert [str(name) for name in names] == ["smoke", "disk/sda", "disk/sdb"]


def test_files_in_directories_are_found_by_a_pattern(run: Recorded) -> None:
    odd = run.dir("smoke") / "core.1\n2"
    odd.write_text("")
    assert run.area.ok("paths", "core.*", "-0", "-s", "PASS").out == f"{odd}\0"
    assert run.area.ok("paths", "disk/sda", "*.log").lines() == [str(run.dir("disk", "sda") / "s1.log")]
    assert len(run.area.ok("paths", "**/*.log").lines()) == 3
    assert run.area.mt("paths", "smoke", "nosuch").status == 7


# -- mt log


def test_one_log_is_printed_as_it_is(run: Recorded) -> None:
    assert run.area.ok("log", "smoke").out == "hello\n"


def test_several_logs_have_headings(run: Recorded) -> None:
    assert run.area.ok("log", "disk").out == (
        "==> ubuntu/nfs//r1//disk/sda s1 <==\none\nERROR: two\n0 errors\nlast\n"
        "\n==> ubuntu/nfs//r1//disk/sdb s1 <==\nfine\n"
    )


def test_the_log_of_the_step_that_failed_is_chosen(run: Recorded) -> None:
    run.step("disk", "sda", "s2", text="after\n", number=2)
    assert run.area.ok("log", "disk/sda").out.startswith("one\n")
    assert run.area.ok("log", "disk/sda", "--step", "s2").out == "after\n"
    run.step("smoke", "", "s2", text="second\n", number=2)
    assert run.area.ok("log", "smoke").out == "second\n"
    assert run.area.ok("log", "smoke", "--all").out.count("==>") == 2


def test_errors_are_printed_without_headings_and_calm_words_are_none(run: Recorded) -> None:
    assert run.area.ok("log", "--errors", "disk").lines() == ["ERROR: two", "fine"]


def test_a_log_that_was_judged_is_still_the_text(run: Recorded) -> None:
    run.step("smoke", "", "judged", "1", "text\n", log="judged.html", number=2)
    assert run.area.ok("log", "smoke").out == "text\n"


def test_bytes_that_are_no_text_come_out_unchanged(run: Recorded) -> None:
    (run.dir("smoke") / "s1.log").write_bytes(b"\xff\xfeerror\x00\n")
    done = subprocess.run(
        [str(BIN / "mt"), "log", "smoke", "-q"], cwd=run.area.home, env=run.area.env, capture_output=True, check=True
    )
    assert done.stdout == b"\xff\xfeerror\x00\n"


def test_logs_are_followed_until_the_cases_end(run: Recorded) -> None:
    live = Recorded(run.area, "live")
    for item in ("a", "b"):
        live.case("t", item, state="RUNNING", status="n/a")
    live.step("t", "a", "s1", text="one\ntw", state="start", status="-")
    words = [str(BIN / "mt"), "log", "-F", "-r", "live"]
    with subprocess.Popen(words, cwd=run.area.home, env=run.area.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "t/a: one\n"
        with (live.dir("t", "a") / "s1.log").open("a") as log:
            log.write("o\nend")
        assert process.stdout.readline() == "t/a: two\n"
        live.step("t", "b", "s1", text="late\n")
        assert process.stdout.readline() == "t/b: late\n"
        for item in ("a", "b"):
            live.case("t", item, gen=2)
        assert process.communicate(timeout=20)[0] == "t/a: end\n"
    assert process.returncode == 0


# -- mt show, mt why


def test_show_has_everything_about_a_case(run: Recorded) -> None:
    run.case("smoke", status="FAIL", attempt=2, comment="bad")
    run.tell("result", test="smoke", item="", attempt=2, state="COMPLETED", status="FAIL", comment="bad", log="")
    run.tell("note", test="smoke", item="", attempt=2, text="tried again")
    run.value("smoke", "", "perf/speed", "5", attempt=2)
    (row,) = run.area.rows("show", "smoke")
    assert set(row) == ROW | {"steps", "values", "attempts", "said", "notes", "files"}
    assert [old["attempt"] for old in row["attempts"]] == [1]
    assert [said["comment"] for said in row["said"]] == ["bad"]
    assert [note["text"] for note in row["notes"]] == ["tried again"]
    assert [value["value"] for value in row["values"]] == ["5"]
    assert row["files"] == ["s1.log"]
    text = run.area.ok("show", "smoke").out
    for word in ("perf", "tried again", "s1.log", "ubuntu/nfs//r1//smoke"):
        assert word in text


def test_show_of_a_run_has_its_tests(run: Recorded) -> None:
    (row,) = run.area.rows("show", "ubuntu/nfs//r1")
    assert (row["id"], row["cases"], [t["test"] for t in row["tests"]]) == (
        "ubuntu/nfs//r1",
        4,
        ["disk", "late", "smoke"],
    )


def test_show_prints_the_environment_of_a_case_and_nothing_of_ours(run: Recorded) -> None:
    (run.dir("smoke") / "megatest.sh").write_text('export A="1 2"\n# export HOME=/root\nexport MT_TARGET=ubuntu/nfs\n')
    assert run.area.ok("show", "smoke", "--env").out == "A=1 2\nMT_TARGET=ubuntu/nfs\n"
    assert run.area.mt("show", "late", "--env").status == 1


def why(run: Recorded, *words: str) -> tuple[str, str]:
    """The answer for one case in one word, and its text."""
    (row,) = run.area.rows("why", *words)
    return row["answer"], "\n".join(row["because"])


def test_why_names_the_failing_step_its_log_and_its_bad_lines(run: Recorded) -> None:
    run.value("disk", "sda", "perf/speed", "5", "fail", expected="9", tol=">", units="MB/s")
    word, text = why(run, "disk/sda")
    assert word == "failed"
    for part in (
        "step s1: status 3",
        "exit 3",
        "s1.log",
        "2: ERROR: two",
        "perf/speed is 5 MB/s, expected 9 (>): fail",
    ):
        assert part in text
    assert "fine" not in text


def test_why_names_the_prerequisite_that_failed(run: Recorded) -> None:
    word, text = why(run, "late")
    assert word == "prerequisite"
    assert "disk/sda" in text


def test_why_tells_what_a_case_waits_for(run: Recorded) -> None:
    fresh = Recorded(run.area, "r2")
    for item in ("sda", "sdb"):
        fresh.case("disk", item, state="RUNNING", status="n/a")
    fresh.case("late", state="NOT_STARTED", status="n/a")
    word, text = why(run, "late", "-r", "r2")
    assert word == "undriven"
    assert "disk" in text
    assert why(run, "disk/sda", "-r", "r2")[0] == "running"


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [
        ("COMPLETED", "SKIP", "skipped"),
        ("LAUNCHED", "n/a", "silent"),
        ("LOST", "n/a", "lost"),
        ("KILLED", "KILLED", "killed"),
        ("INCOMPLETE", "DEAD", "interrupted"),
        ("COMPLETED", "INFRA", "unjudged"),
        ("NOT_STARTED", "ZERO_ITEMS", "empty"),
        ("COMPLETED", "PASS", "good"),
    ],
)
def test_why_has_a_word_for_each_end(run: Recorded, state: str, status: str, word: str) -> None:
    run.case("odd", state=state, status=status, comment="the reason")
    found, text = why(run, "odd")
    assert found == word
    assert "the reason" in text or word == "silent"


def test_why_explains_a_test_that_the_run_does_not_have(run: Recorded) -> None:
    run.area.test("extra", "true")
    word, text = why(run, "extra")
    assert word == "absent"
    assert "was not selected" in text
    assert "has no item sdz; it has sda, sdb" in why(run, "disk/sdz")[1]


def test_why_about_no_test_at_all_is_an_error(run: Recorded) -> None:
    result = run.area.mt("why", "nosuch")
    assert result.status == 3
    assert "no test is called 'nosuch'" in result.err


def test_a_reader_that_leaves_is_no_error(run: Recorded) -> None:
    result = run.area.sh("mt tests -q -f ids | head -n 1; exit ${PIPESTATUS[0]}")
    assert result.out == "ubuntu/nfs//r1//disk/sda\n"
    assert result.status in (0, 141)
    assert result.err == ""
