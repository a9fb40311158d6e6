"""Commands of engines as real processes: slow, loud, silent, missing, with children that stay."""

from __future__ import annotations

import os
import resource
import select
import sys
import time
from pathlib import Path
from unittest.mock import ANY

import pytest

from mt.errors import LaunchError
from mt.launchers import calling, engine
from mt.launchers.calling import LOUD, SLOW, UNSEEN, Answer, Asking, call, explain, trouble_of

SLURM = engine("slurm")
#: seconds in which whatever is waited for has happened, on however busy a machine
LONG = 60.0


def sh(script: str, seconds: float = LONG) -> Answer:
    """The answer of a shell script."""
    return call(["/bin/sh", "-c", script], seconds=seconds)


def gone(pid: int) -> bool:
    """Whether a process ends within a moment, or is nobody's any more."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], LONG)[0])
    finally:
        os.close(fd)


def soft(limit: int) -> int:
    """A limit of ours, -1 for none."""
    return resource.getrlimit(limit)[0]


def children() -> list[int]:
    """Our own children."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def finished(asking: Asking) -> list[Answer]:
    """The answers, when they are there."""
    deadline = time.monotonic() + LONG
    while (answers := asking.done()) is None:
        assert time.monotonic() < deadline
        os.sched_yield()
    return answers


def test_status_output_and_errors_come_back() -> None:
    assert sh("echo out; echo err >&2; exit 3") == Answer(3, "out\n", "err\n", "/bin/sh")
    assert sh("kill -9 $$").status == -9
    assert call(["cat"], seconds=LONG, stdin="a\nb").out == "a\nb"
    assert call(["cat"], seconds=LONG).out == ""


def test_environment_and_directory_are_the_given_ones(tmp_path: Path) -> None:
    answer = call(["/bin/sh", "-c", "pwd; echo $A"], seconds=LONG, env={"A": "b"}, cwd=str(tmp_path))
    assert answer.out == f"{tmp_path}\nb\n"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert sh(r"printf 'a\377b'").out == "a\ufffdb"


def test_a_command_that_is_too_slow_is_ended_with_all_its_children(tmp_path: Path) -> None:
    answer = sh(f"sleep 600 & echo $! >{tmp_path}/pid; echo LSF is down; sleep 600", seconds=0.5)
    assert answer.status == SLOW
    assert gone(int((tmp_path / "pid").read_text()))
    assert explain(SLURM, answer) == "no answer within 0.5 s (LSF is down)"
    trouble = trouble_of(SLURM, answer)
    assert trouble is not None and trouble.passing


def test_a_daemon_that_keeps_the_output_open_holds_nobody_up(tmp_path: Path) -> None:
    answer = sh(f"sleep 600 & echo $! >{tmp_path}/pid; echo done")
    assert (answer.status, answer.out) == (0, "done\n")
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_a_command_that_closes_its_output_is_still_waited_for() -> None:
    assert sh("exec >&- 2>&-; exit 4") == Answer(4, "", "", "/bin/sh")


def test_endless_output_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "MOST", 1 << 20)
    answer = call(["yes"], seconds=LONG)
    assert answer.status == LOUD
    assert len(answer.out) == 1 << 20
    assert explain(SLURM, answer) == "more than 1 MB of output (y)"


def test_a_missing_program_is_told_with_a_hint(tmp_path: Path) -> None:
    for path in ("/nowhere", str(tmp_path)):
        with pytest.raises(LaunchError, match=r"^cannot run 'sbatch': not found$") as e:
            call(["sbatch"], seconds=LONG, env={"PATH": path})
        assert e.value.hint == "mt launcher list"
    (tmp_path / "sbatch").write_text("no program")
    with pytest.raises(LaunchError, match="cannot run 'sbatch': permission denied"):
        call(["sbatch"], seconds=LONG, env={"PATH": str(tmp_path)})


def test_a_missing_directory_is_not_a_missing_program() -> None:
    with pytest.raises(LaunchError, match="cannot run 'true' in '/nowhere': no such file or directory"):
        call(["true"], seconds=LONG, cwd="/nowhere")


def test_limits_are_not_changed_for_the_jobs() -> None:
    ours = "\n".join(
        str(n) if n >= 0 else "unlimited" for n in map(soft, (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU))
    )
    assert sh("ulimit -n; ulimit -t").out == f"{ours}\n"
    assert sh("ulimit -f").out.strip() == ("unlimited" if soft(resource.RLIMIT_FSIZE) < 0 else ANY)


def test_questions_run_in_the_background_one_after_another(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    asking = Asking([["/bin/sh", "-c", f"read x <{fifo}; echo $x"], ["echo", "2"]], seconds=LONG)
    began = time.monotonic()
    assert asking.done() is None
    assert time.monotonic() - began < LONG / 2
    fifo.write_text("1\n")
    assert [answer.out for answer in finished(asking)] == ["1\n", "2\n"]
    assert asking.done() == finished(asking)


def test_a_question_that_is_not_answered_fails_alone() -> None:
    asking = Asking([["sleep", "600"], ["nowhere-to-be-found"], ["echo", "2"]], seconds=0.3)
    slow, missing, good = finished(asking)
    assert slow.status == SLOW
    assert missing == Answer(UNSEEN, "", "cannot run 'nowhere-to-be-found': not found")
    assert explain(SLURM, missing) == "cannot run 'nowhere-to-be-found': not found"
    assert good.out == "2\n"


def test_the_first_question_must_be_possible() -> None:
    with pytest.raises(LaunchError, match="not found"):
        Asking([["nowhere-to-be-found"]], seconds=1)
    assert Asking([], seconds=1).done() == []


def test_a_question_can_be_given_up(tmp_path: Path) -> None:
    asking = Asking(
        [["/bin/sh", "-c", f"echo $$ >{tmp_path}/p; mv {tmp_path}/p {tmp_path}/pid; sleep 600"]], seconds=LONG
    )
    deadline = time.monotonic() + LONG
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < deadline
        os.sched_yield()
    asking.stop()
    assert gone(int((tmp_path / "pid").read_text()))
    asking.stop()


def test_an_end_that_somebody_else_has_seen_is_no_success() -> None:
    before = set(children())
    asking = Asking([[sys.executable, "-c", ""]], seconds=LONG)
    (child,) = set(children()) - before
    os.waitpid(child, 0)
    (answer,) = finished(asking)
    assert answer.status == UNSEEN
    assert explain(SLURM, answer) == "how it ended is not known"


def test_no_descriptor_stays_open() -> None:
    before = os.listdir("/proc/self/fd")
    sh("exit 1")
    sh("sleep 600", seconds=0.05)
    asking = Asking([["sleep", "600"]], seconds=LONG)
    asking.stop()
    with pytest.raises(LaunchError):
        call(["nowhere-to-be-found"], seconds=1)
    assert os.listdir("/proc/self/fd") == before
