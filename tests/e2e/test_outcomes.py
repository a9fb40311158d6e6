"""What became of a case, and what that means: INFRA, retries, flaky, excuses, and the exit status of a run.

spec/features.md B5, B6, B7; DESIGN.md section 5.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from testarea import BIN, CONFIG, TARGET, Area, Result

HERE = ("-t", TARGET, "-r", "r1")
#: fails until it has been called so often over all attempts
SECOND = "echo $MT_TEST_NAME >> $MT_RUN_AREA_HOME/calls; test $(grep -c ^$MT_TEST_NAME$ $MT_RUN_AREA_HOME/calls) -ge 2"


def run(area: Area, *words: str, status: int = 0, **more: Any) -> Result:
    """Drive run r1; insists on the exit status."""
    done = area.mt("run", *HERE, *words, **more)
    assert done.status == status, f"status {done.status}\n{done.out}{done.err}"
    return done


def cases(area: Area) -> dict[str, dict[str, Any]]:
    """The rows of run r1 by test and item."""
    return {row["id"].rpartition("//")[2]: row for row in area.rows("tests", *HERE)}


def statuses(area: Area) -> dict[str, str]:
    """{TEST: STATUS} of run r1."""
    return {name: row["status"] for name, row in cases(area).items()}


def line_of(area: Area, path: str, text: str) -> str:
    """`path:line` of a line that begins so."""
    lines = area.read(path).splitlines()
    return f"{path}:{next(n for n, line in enumerate(lines, 1) if line.startswith(text))}"


def with_rules(area: Area, rules: str) -> Area:
    """The area with a section [infra]."""
    return area({"megatest.config": f"{CONFIG}\n[infra]\n{rules}\n"})


# -- rules of the area


def test_a_failing_step_that_fits_a_rule_is_infra_and_names_the_rule(area: Area) -> None:
    with_rules(area, "exit 75 120-125\nsignals BUS\nlog license server .* down")
    area.test("code", "exit 121").test("sig", "kill -BUS $$").test("plain", "exit 1")
    area.test("lic", "echo the license server a7 is down; exit 1", "echo never > never")
    run(area, status=1)
    assert statuses(area) == {"code": "INFRA", "sig": "INFRA", "lic": "INFRA", "plain": "FAIL"}
    rows = cases(area)
    where = line_of(area, "megatest.config", "exit 75")
    assert rows["code"]["comment"] == (f"The machine failed at step s1: exit 121, by [infra] exit 120-125 ({where})")
    assert rows["code"]["infra"] is True and rows["plain"]["infra"] is False
    assert f"[infra] signals BUS ({line_of(area, 'megatest.config', 'signals')})" in rows["sig"]["comment"]
    assert "'the license server a7 is down' in its log" in rows["lic"]["comment"]
    assert [s["step"] for s in area.rows("steps", *HERE, "lic")] == ["s1"], "no further step"
    assert where in area.ok("why", *HERE, "code").out


def test_a_step_that_passes_is_never_infra(area: Area) -> None:
    with_rules(area, "log license")
    area.test("t", "echo no license needed")
    run(area)
    assert statuses(area) == {"t": "PASS"}


def test_a_test_replaces_rules_of_the_area_key_by_key(area: Area) -> None:
    with_rules(area, "exit 75\nlog broken disk")
    area.test("own", "exit 75", more="[infra]\nexit 76\n").test("too", "exit 76", more="[infra]\nexit 76\n")
    area.test("none", "exit 75", more="[infra]\nexit \n")
    area.test("kept", "echo a broken disk; exit 1", more="[infra]\nexit 76\n")
    run(area, status=1)
    assert statuses(area) == {"own": "FAIL", "too": "INFRA", "none": "FAIL", "kept": "INFRA"}
    assert line_of(area, "tests/too/testconfig", "exit 76") in cases(area)["too"]["comment"]


def test_where_log_rules_judge_a_step_only_log_counts(area: Area) -> None:
    rules = '[logpro]\ns1 (expect:required in "LogFileBody" > 0 "done" #/done/)\n'
    with_rules(area, "exit 1 75\nlog no display")
    area.test("code", "exit 75", more=rules).test("text", "echo no display", more=rules)
    area.test("good", "echo no display; echo done; exit 75", more=rules)
    run(area, status=1)
    assert statuses(area) == {"code": "FAIL", "text": "INFRA", "good": "PASS"}


def test_a_runscript_is_looked_at_like_a_step(area: Area) -> None:
    with_rules(area, "exit 75\nlog no space")
    for name, script in (("a", "exit 75"), ("b", "echo no space; exit 1"), ("c", "exit 1")):
        area({f"tests/{name}/testconfig": "[setup]\nrunscript m.sh\n", f"tests/{name}/m.sh": f"#!/bin/sh\n{script}\n"})
    run(area, status=1)
    assert statuses(area) == {"a": "INFRA", "b": "INFRA", "c": "FAIL"}
    assert cases(area)["a"]["comment"].startswith("The machine failed at runscript: exit 75, by [infra] exit 75")


def test_what_a_stage_on_the_left_says_counts_too(area: Area) -> None:
    with_rules(area, "exit 75")
    area.test("p", "gen | check")({"tests/p/gen": "#!/bin/sh\nexit 75\n", "tests/p/check": "#!/bin/sh\nexit 1\n"})
    run(area, status=8)
    assert statuses(area) == {"p": "INFRA"}


def test_a_verdict_that_the_test_said_before_does_not_hide_the_machine(area: Area) -> None:
    with_rules(area, "exit 75")
    area.test("t", "mt result PASS; exit 75")
    run(area, status=8)
    assert statuses(area) == {"t": "INFRA"}


def test_rules_that_cannot_be_used_are_told_by_run_and_by_check(area: Area) -> None:
    with_rules(area, "exit 75 x\nsignals BUSS\nlog a(\nexits 3")
    area.test("t", "exit 75", more="[infra]\nlog b[\n\n[requirements]\nretries many\n")
    said = run(area, status=8).err
    assert "[infra] exit: 'x' is no exit code of a failure" in said and "unknown signal 'BUSS'" in said
    texts = "\n".join(row["text"] for row in area.mt("check", "-f", "ndjson").rows())
    for part in ("'x' is no exit code", "unknown signal 'BUSS'", "'a(' is no regular", "'b[' is no regular",
                 "unknown key 'exits'", "retries: 'many' is not a number"):  # fmt: skip
        assert part in texts, texts


# -- what mt sees itself


@contextmanager
def group(kind: str, **limits: int) -> Iterator[str]:
    """A shell prefix that puts a command into a control group of its own; skips where that cannot be made."""
    with open("/proc/self/cgroup", encoding="ascii") as f:
        lines = [line.rstrip("\n").split(":", 2) for line in f]
    mine = next((path for _, names, path in lines if kind in names.split(",")), None)
    place = Path(f"/sys/fs/cgroup/{kind}{mine}/mt-test-{os.getpid()}")
    try:
        place.mkdir()
    except OSError as e:
        pytest.skip(f"no control group of our own: {e}")
    try:
        try:
            for name, value in limits.items():
                (place / f"{kind}.{name}").write_text(str(value))
        except OSError as e:
            pytest.skip(f"cannot limit a control group: {e}")
        yield f"echo $$ > {place}/cgroup.procs && exec "
    finally:
        for _ in range(200):
            try:
                place.rmdir()
                break
            except OSError:
                time.sleep(0.02)  # the kernel lets go of the last process a moment after it was reaped


def test_a_step_that_the_kernel_ends_for_want_of_memory_is_infra(area: Area) -> None:
    """With a real limit and a real out-of-memory killer."""
    area.test("eats", "python3 -c \"x = b'x' * (900 << 20)\"")
    area.test("shell", "python3 -c \"x = b'x' * (900 << 20)\"; exit $?").test("kills", "kill -9 $$")
    with group("memory", limit_in_bytes=300 << 20) as prefix:
        done = area.sh(prefix + shlex.join([str(BIN / "mt"), "run", *HERE, "-j", "1"]))
    assert done.status == 1, done.err
    assert statuses(area) == {"eats": "INFRA", "shell": "INFRA", "kills": "FAIL"}
    said = cases(area)["eats"]["comment"]
    assert said == "The machine failed at step s1: signal KILL, the kernel ended it for want of memory"


def test_a_command_that_cannot_be_started_for_want_of_processes_is_infra(area: Area) -> None:
    area.test("t", "/bin/true")
    with group("pids", max=2) as prefix:  # the controller and one worker
        done = area.sh(prefix + shlex.join([str(BIN / "mt"), "run", *HERE, "-j", "1"]))
    assert done.status == 8, done.err
    comment = cases(area)["t"]["comment"]
    assert comment.startswith("The machine failed at step s1: cannot run '/bin/true': resource temporarily unavailable")


def test_a_command_that_is_not_there_is_a_failure_of_the_test(area: Area) -> None:
    area.test("t", "no-such-program-anywhere").test("u", "./data")({"tests/u/data": "no program\n"})
    run(area, status=1)
    assert statuses(area) == {"t": "FAIL", "u": "FAIL"}


def test_a_full_disk_under_a_failing_step_is_infra(area: Area) -> None:
    small = area.home / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "small", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk")
    try:
        area({"megatest.config": CONFIG.replace("runs\n", "small\n") + "[setup]\nminspace 100\n"})
        area.test("fills", "head -c 20m /dev/zero > big").test("fails", "false", waiton="")
        run(area, "fails", status=1)
        run(area, "fills", status=8)
        assert statuses(area) == {"fills": "INFRA", "fails": "FAIL"}
        assert "the disk of the run directory is full" in cases(area)["fills"]["comment"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


# -- tried again


def test_what_the_machine_spoiled_is_tried_again_after_a_pause_while_others_go_on(area: Area) -> None:
    with_rules(area, "exit 75")
    stamp = "date +%s.%N >> $MT_RUN_AREA_HOME/$MT_TEST_NAME.times"
    area.test("a", f"{stamp}; test $(wc -l < $MT_RUN_AREA_HOME/a.times) -ge 3 || exit 75").test("late", waiton="a")
    for n in range(4):
        area.test(f"other{n}", f"{stamp}")
    run(area, "-j", "1", "--retries", "2", "--retry", "infra")
    assert set(statuses(area).values()) == {"PASS"}
    first, second, third = map(float, area.read("a.times").split())
    assert second - first >= 1 and third - second >= 2
    others = [float(area.read(f"other{n}.times")) for n in range(4)]
    assert max(others) < second, "they ran while the only slot was free"
    row = cases(area)["a"]
    assert (row["attempt"], row["flaky"]) == (3, False), "a machine that failed makes no test flaky"
    (shown,) = area.ok("show", *HERE, "a", "-f", "ndjson").rows()
    assert [(old["attempt"], old["status"]) for old in shown["attempts"]] == [(1, "INFRA"), (2, "INFRA")]
    assert "attempt 2 was COMPLETED/INFRA: The machine failed at step s1: exit 75" in area.ok("why", *HERE, "a").out


def test_only_the_kind_that_was_named_is_tried_again(area: Area) -> None:
    with_rules(area, "exit 75")
    area.test("infra", "exit 75").test("fail", "exit 1")
    run(area, "--retry", "infra", status=1)
    rows = cases(area)
    assert (rows["infra"]["attempt"], rows["fail"]["attempt"]) == (2, 1), "--retry alone is once more"
    done = area.mt("run", "-t", TARGET, "-r", "r2", "--retries", "2", "--retry", "fail")
    assert done.status == 1
    attempts = {row["test"]: row["attempt"] for row in area.rows("tests", "-t", TARGET, "-r", "r2")}
    assert attempts == {"infra": 1, "fail": 3}


def test_the_command_wins_over_the_test_and_the_test_over_the_area(area: Area) -> None:
    area({"megatest.config": f"{CONFIG}\n[setup]\nretries 1\nretry fail\n"})
    area.test("area", "false").test("own", "false", more="[requirements]\nretries 2\n")
    area.test("none", "false", more="[requirements]\nretries 0\n")
    area.test("other", "false", more="[requirements]\nretry infra\n")
    run(area, status=1)
    assert {name: row["attempt"] for name, row in cases(area).items()} == {"area": 2, "own": 3, "none": 1, "other": 1}
    area.mt("run", "-t", TARGET, "-r", "r2", "--retries", "0")
    assert {row["attempt"] for row in area.rows("tests", "-t", TARGET, "-r", "r2")} == {1}
    assert area.mt("run", *HERE, "--retries", "-1").status == 2


def test_an_interrupt_does_not_wait_for_the_pause_and_the_same_command_goes_on(area: Area) -> None:
    with_rules(area, "exit 75")
    area.test("a", "touch $MT_RUN_AREA_HOME/began; test -e $MT_RUN_AREA_HOME/well || exit 75").test("b", waiton="a")
    with area.start("run", *HERE, "--retries", "9") as child:
        while not (area.home / "began").exists():
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)  # whatever runs ends, nothing more starts
        assert child.wait(20) == 130
    assert statuses(area)["a"] == "INFRA"
    area({"well": ""})
    run(area)
    assert statuses(area) == {"a": "PASS", "b": "PASS"}


# -- flaky


def test_a_case_that_fails_and_then_passes_is_flaky_and_good(area: Area) -> None:
    area.test("shaky", SECOND).test("good").test("bad", "false")
    said = run(area, "shaky,good", "--retries", "1").err
    assert "2 PASS, 1 of them flaky; 3 ran" in said
    assert {name: row["flaky"] for name, row in cases(area).items()} == {"shaky": True, "good": False}
    (row,) = area.rows("status", *HERE)
    assert (row["flaky"], row["good"]) == (1, 2)
    assert "attempt 1 was COMPLETED/FAIL" in area.ok("why", *HERE, "shaky").out
    run(area, "shaky,good", "--fail-flaky", status=1)
    run(area, "good", "--fail-flaky")
    run(area, "shaky,good")


def test_rerun_can_fail_for_flaky_cases_too(area: Area) -> None:
    area.test("shaky", SECOND)
    run(area, status=1)
    assert area.mt("rerun", *HERE, "--fail-flaky").status == 1
    assert statuses(area) == {"shaky": "PASS"}
    assert area.mt("rerun", *HERE, "shaky").status == 0


def flaky_area(area: Area) -> Area:
    """Three runs: `shaky` is flaky in r1 and r3, item b of `items` in r2; `bad` fails always; `good` never."""
    turn = 'test -e "$D" || { touch "$D"; exit 1; }'
    flip = 'D=$MT_RUN_AREA_HOME/once-$MT_RUNNAME-$MT_TEST_NAME; case "$MT_RUNNAME" in r1|r3) ' + turn + ";; esac"
    one = 'D=$MT_RUN_AREA_HOME/once-$MT_RUNNAME-$I; case "$MT_RUNNAME-$I" in r2-b) ' + turn + ";; esac"
    area.test("shaky", flip).test("items", one, items={"I": "a b"}).test("bad", "false").test("good")
    area.test("late", waiton="bad")
    for name in ("r1", "r2", "r3"):
        assert area.mt("run", "-t", TARGET, "-r", name, "--retries", "1").status == 1
    return area


def test_mt_flaky_lists_tests_by_rate_over_the_runs_of_a_target(area: Area) -> None:
    flaky_area(area)
    rows = area.rows("flaky", "-t", TARGET)
    assert [(r["test"], r["runs"], r["flaky"], r["failed"], r["rate"], r["last"]) for r in rows] == [
        ("shaky", 3, 2, 0, 66.7, f"{TARGET}//r3"),
        ("items", 3, 1, 0, 33.3, f"{TARGET}//r2"),
    ]
    every = {r["test"]: (r["runs"], r["flaky"], r["failed"]) for r in area.rows("flaky", "--all")}
    assert every == {"shaky": (3, 2, 0), "items": (3, 1, 0), "bad": (3, 0, 3), "good": (3, 0, 0)}
    by_case = area.rows("flaky", "--by", "case", "items%", "--all")
    assert [(r["id"], r["flaky"]) for r in by_case] == [("items/b", 1), ("items/a", 0)]
    assert [r["test"] for r in area.rows("flaky", "items/b")] == ["items"]
    assert area.mt("flaky", "items/a").status == 7
    assert [r["runs"] for r in area.rows("flaky", "-r", "r1")] == [1]
    assert area.mt("flaky", "--min-runs", "4").status == 7
    assert area.ok("flaky", "--min-runs", "4", "--allow-empty").out.count("\n") <= 1
    assert area.mt("flaky", "-t", "no/such").status == 7
    assert len(area.rows("flaky", "--since", "1d")) == 2
    assert area.mt("flaky", "--since", "2999-01-01").status == 7
    assert area.mt("flaky", "--since", "soon").status == 2


# -- excuses


def test_a_quarantined_test_that_fails_or_is_flaky_does_not_fail_the_run_and_shows_it(area: Area) -> None:
    """spec/features.md B6."""
    area.test("bad", "false").test("shaky", SECOND).test("good").test("late", waiton="bad")
    area.ok("quarantine", "bad", "shaky", "--ticket", "BUG-7", "--owner", "mary", "--until", "2999-01-01")
    said = run(area, "--retries", "3", "--fail-flaky").err
    assert "2 PASS" in said and "2 WAIVED" in said and "flaky" not in said
    rows = cases(area)
    assert {name: row["status"] for name, row in rows.items()} == {
        "bad": "WAIVED", "shaky": "WAIVED", "good": "PASS", "late": "PASS",
    }  # fmt: skip
    assert {row["attempt"] for row in rows.values()} == {1}, "what is excused is not tried again"
    assert rows["bad"]["comment"] == "quarantined until 2999-01-01 (BUG-7, mary): Failed at step s1: exit 1"
    assert "excused by [quarantine bad]" in area.ok("why", *HERE, "bad").out
    assert area.mt("flaky", "-t", TARGET).status == 7
    area.ok("quarantine", "expire", "bad")
    assert area.mt("rerun", *HERE, "bad").status == 1


# -- exit statuses


def verdicts(area: Area) -> tuple[int, ...]:
    """The exit statuses of mt run (again), mt wait and mt status."""
    return tuple(area.mt(verb, *HERE, *more).status for verb, *more in (("run",), ("wait",), ("status", "-q")))


TABLE = [
    ("good", {"a": "true"}, 0),
    ("warned", {"a": "mt result WARN"}, 0),
    ("check", {"a": "mt result CHECK"}, 0),
    ("skipped", {"a": "mt result SKIP"}, 0),
    ("failed", {"a": "false"}, 1),
    ("aborted", {"a": "mt result ABORT"}, 1),
    ("infra", {"a": "exit 75"}, 8),
    ("infra and failed", {"a": "exit 75", "b": "false"}, 1),
    ("infra and good", {"a": "exit 75", "b": "true"}, 8),
    ("blocked by infra", {"a": "exit 75", "late": "true"}, 8),
    ("prerequisite failed", {"a": "false", "late": "true"}, 1),
]


@pytest.mark.parametrize(("name", "steps", "status"), TABLE, ids=[row[0] for row in TABLE])
def test_the_exit_status_says_the_same_in_run_wait_and_status(
    area: Area, name: str, steps: dict[str, str], status: int
) -> None:
    """DESIGN.md section 5: 0 good, 1 failed, 8 nothing failed but not all could be judged."""
    with_rules(area, "exit 75")
    for test, step in steps.items():
        area.test(test, step, waiton="a" if test == "late" else "")
    assert verdicts(area) == (status, status, status)


def test_a_lost_case_is_unfinished_and_one_that_was_killed_is_bad(area: Area) -> None:
    area.test("a").test("b", "sleep 60", more="[requirements]\nruntimelim 1s\n")
    run(area, "a")
    area.ok("set", "LOST/n/a", *HERE, "a")
    assert area.mt("status", *HERE, "-q").status == 8 == area.mt("wait", *HERE).status
    run(area, "b", status=1)
    assert cases(area)["b"]["state"] == "KILLED"
    assert area.mt("status", *HERE, "-q").status == 1 == area.mt("wait", *HERE).status


def test_nothing_selected_is_7_unless_that_is_allowed(area: Area) -> None:
    area.test("a")
    assert area.mt("run", *HERE, "nosuch").status == 7
    assert area.mt("run", *HERE, "nosuch", "--allow-empty").status == 0
    assert area.mt("run", *HERE, "-n", "nosuch").status == 7
    run(area)
    for verb in ("wait", "status", "tests"):
        assert area.mt(verb, "-t", TARGET, "-r", "nosuch").status == 7, verb
        assert area.mt(verb, "-t", TARGET, "-r", "nosuch", "--allow-empty").status == 0, verb
    assert area.mt("rerun", *HERE).status == 7
    assert area.mt("rerun", *HERE, "--allow-empty").status == 0
