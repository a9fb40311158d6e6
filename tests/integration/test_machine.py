"""What mt sees of the machine: kills for want of memory, and full disks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mt.pipeline import machine
from mt.pipeline.machine import Kills, ended_by_kernel


def counter(path: Path, count: int) -> Path:
    """A file as the kernel writes it."""
    path.write_text(f"low 0\nhigh 0\nmax 12\noom 3\noom_kill {count}\noom_group_kill 0\n")
    return path


def test_a_kill_counts_only_when_the_kernel_counted_one_meanwhile(tmp_path: Path) -> None:
    path = counter(tmp_path / "memory.events", 4)
    kills = Kills(lambda: [str(tmp_path / "none"), str(path)])
    before = kills.at_once()
    assert before == 4
    assert ended_by_kernel((-signal.SIGKILL,), before, kills) == ""
    counter(path, 5)
    assert ended_by_kernel((-signal.SIGKILL,), before, kills)
    assert ended_by_kernel((0, 128 + signal.SIGKILL), before, kills), "as a shell tells of what it ran"
    assert ended_by_kernel((1,), before, kills) == ""
    assert ended_by_kernel((-signal.SIGKILL,), None, kills) == "", "nobody knows when"


def test_without_a_counter_of_our_own_the_machine_is_asked_and_only_when_it_may_take_time(tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("nothing of the kind\n")
    kills = Kills(lambda: [str(tmp_path / "odd")])
    assert kills.at_once() is None
    with open("/proc/vmstat", encoding="ascii") as f:
        known = any(line.startswith("oom_kill ") for line in f)
    assert (kills.count() is not None) is known


def test_a_disk_is_full_below_a_mebibyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    assert machine.full(str(tmp_path)) == ""

    def seen(blocks: int, files: int) -> None:
        made = list(real)
        made[1], made[3], made[4], made[5], made[6] = 4096, blocks, blocks, 1000, files
        monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(made))

    seen(255, 10)
    assert machine.full(str(tmp_path)) == "the disk of the run directory is full: 1020 KiB left"
    seen(256, 10)
    assert machine.full(str(tmp_path)) == ""
    seen(256, 0)
    assert machine.full(str(tmp_path)) == "the disk of the run directory takes no more files"


def test_rules_search_the_end_of_a_log_and_nothing_of_what_was_there_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"early\n" + b"x" * machine.TAIL + b"\nlate \xff\n")
    assert "early" not in machine.tail(str(log)) and machine.tail(str(log)).endswith("late \N{REPLACEMENT CHARACTER}\n")
    log.write_text("old\nnew\n")
    assert machine.tail(str(log), 4) == "new\n"
    assert machine.tail(str(tmp_path / "none")) == ""
