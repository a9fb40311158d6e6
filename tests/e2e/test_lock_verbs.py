"""mt lock hold, break and show as users run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import IO

import pytest
from testarea import BIN, Area

WORK = "trap 'echo got TERM; exit 9' TERM; echo begun $$; while ! read -r word; do test $? -gt 128 || exit 0; done"


def holding(area: Area, name: str) -> tuple[subprocess.Popen[str], int]:
    """`mt lock hold NAME` once its command has begun, and the pid of the command."""
    process = subprocess.Popen(
        [str(BIN / "mt"), "lock", "hold", name, "--", "bash", "-c", WORK], cwd=area.home, env=area.env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    begun = there(process.stdout).readline().split()
    assert begun[:1] == ["begun"], there(process.stderr).read()
    return process, int(begun[1])


def there(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def test_only_one_command_runs_under_a_name(area: Area) -> None:
    process, _ = holding(area, "nightly job/ü")
    with process:
        for words in (("--no-wait",), ("--wait", "0.05")):
            done = area.mt("lock", "hold", "nightly job/ü", *words, "--", "echo", "ran")
            assert (done.status, done.out) == (4, "") and f"held by pid {process.pid} on" in done.err
        assert area.ok("lock", "hold", "other", "--no-wait", "--", "echo", "ran").out == "ran\n"
        (row,) = area.rows("lock", "show")
        assert (row["held"], row["pid"], row["alive"], row["what"]) == (True, process.pid, "yes", "mt lock hold")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 9
    assert area.ok("lock", "hold", "nightly job/ü", "--no-wait", "--", "echo", "ran").out == "ran\n"
    assert area.rows("lock", "show") == []


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("a", "--", "sh", "-c", "exit 7"), 7),
        (("a", "--", "sh", "-c", "kill -9 $$"), 137),
        (("a", "--", "no-such-command"), 127),
        (("a", "--", "/dev/null"), 126),
        (("a",), 2),
        (("--", "true"), 2),
        (("a", "--wait", "-1", "--", "true"), 2),
    ],
)
def test_statuses_of_hold(area: Area, words: tuple[str, ...], status: int) -> None:
    done = area.mt("lock", "hold", *words)
    assert done.status == status and "Traceback" not in done.err


def test_a_command_keeps_the_lock_when_mt_is_killed_and_it_is_not_broken(area: Area) -> None:
    process, child = holding(area, "nightly")
    with process:
        process.kill()
        process.wait()
        assert area.mt("lock", "hold", "nightly", "--no-wait", "--", "true").status == 4
        assert area.rows("lock", "show")[0]["alive"] == "no"
        for force in ((), ("--force",)):
            done = area.mt("lock", "break", "nightly", *force)
            assert done.status == 4 and str(child) in done.err and "held on this host" in done.err
        os.kill(child, signal.SIGKILL)
        area.ok("lock", "hold", "nightly", "--wait", "60", "--", "true")


def test_under_the_lock_of_a_run_nobody_drives_it(area: Area) -> None:
    area.test("t")
    area.ok("run", "-t", "ubuntu/nfs", "-r", "r1", "-q")
    process, _ = holding(area, "run.1.lock")
    with process:
        done = area.mt("lock", "hold", "run.1", "--no-wait", "--", "true")
        assert done.status == 4 and "run.1.lock" in done.err
        there(process.stdin).close()
        assert process.wait() == 0
    area.ok("run", "-t", "ubuntu/nfs", "-r", "r1", "-q")


def test_statuses_of_break(area: Area) -> None:
    assert area.mt("lock", "break", "nightly").status == 7
    area.ok("lock", "hold", "nightly", "--", "true")
    missing = area.mt("lock", "break", "nonsense")
    assert missing.status == 7 and "there is no lock 'nonsense'" in missing.err
    free = area.ok("lock", "break", "nightly")
    assert free.err == "mt: nobody holds 'nightly'\n"
    assert area.ok("lock", "break", "nightly", "-q").err == ""
    assert area.mt("lock", "break").status == 2


def test_show_names_free_locks_too_when_asked(area: Area) -> None:
    area.ok("lock", "hold", "nightly", "--", "true")
    found = {row["lock"]: row["held"] for row in area.rows("lock", "show", "--all")}
    assert found["nightly.lock"] is False


def test_a_store_that_cannot_be_made_is_one_line(area: Area) -> None:
    (area.home / ".mtdb").write_text("")
    done = area.mt("lock", "hold", "nightly", "--", "true")
    assert done.status == 5 and done.err.count("\n") <= 2 and "Traceback" not in done.err


def test_locks_of_a_single_writer_area_are_leases(area: Area) -> None:
    area.ok("lock", "hold", "first", "--", "true")
    facts = Path(area.home / ".mtdb" / "AREA")
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "mode": "single-writer"}))
    process, _ = holding(area, "nightly")
    with process:
        held = [r["lock"] for r in area.rows("lock", "show")]
        assert held == ["nightly.lease"]
        assert area.mt("lock", "hold", "nightly", "--no-wait", "--", "true").status == 4
        assert area.mt("lock", "break", "nightly", "--force").status == 4
        there(process.stdin).close()
        assert process.wait() == 0
    area.ok("lock", "hold", "nightly", "--no-wait", "--", "true")
