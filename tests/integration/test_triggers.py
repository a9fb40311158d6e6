"""Triggers started for real: detached, with arguments, environment and log (spec/runs.md 4.10, spec/config.md T60)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mt.pipeline.triggers import Change, Triggers

ENV = {"PATH": os.defpath, "MT_TARGET": "ubuntu"}


def wait_for(claim: Callable[[], bool]) -> None:
    """Until something another process does has been done."""
    end = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.01)


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """A failed item whose run directory is reached by a link."""
    real = tmp_path / "disk" / "t" / "i 1"
    real.mkdir(parents=True)
    link = tmp_path / "lt"
    link.symlink_to(tmp_path / "disk")
    return Change("t", "i 1", 4, "COMPLETED", "FAIL", 1790000000.0, str(link / "t" / "i 1"))


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_trigger_runs_in_the_run_directory_with_its_arguments(tmp_path: Path, change: Change) -> None:
    command = """printf '<%s>' "$MT_TEST_NAME" "$MT_ITEMPATH" "$MT_TARGET" "$(pwd)" "$MT_TEST_RUN_DIR" """
    triggers = Triggers(str(tmp_path), (("COMPLETED/FAIL", command),), ENV)
    assert triggers.fire(change) == 1
    log = Path(change.dir) / "mtconfig-last-trigger-COMPLETED-FAIL.log"
    real = tmp_path / "disk/t/i 1"
    words = ["t", "i 1", "ubuntu", str(real), change.dir]
    words += ["4", change.dir, "COMPLETED/FAIL", "t", "i 1", "COMPLETED", "FAIL", "1790000000"]
    wait_for(lambda: text(log).endswith("<1790000000>"))
    assert text(log) == "".join(f"<{word}>" for word in words)
    triggers.close()


def test_an_empty_item_path_shifts_no_argument(tmp_path: Path, change: Change) -> None:
    """D11 of spec/runs.md 9.2."""
    triggers = Triggers(str(tmp_path), (("/FAIL", "printf '%s|'"),), ENV)
    triggers.fire(change._replace(item=""))
    log = Path(change.dir) / "mtconfig-last-trigger--FAIL.log"
    wait_for(lambda: text(log).endswith("1790000000|"))
    assert text(log) == f"4|{change.dir}|/FAIL|t||COMPLETED|FAIL|1790000000|"
    triggers.close()


def test_the_tip_of_the_manual_works(tmp_path: Path, change: Change) -> None:
    """`COMPLETED/ xterm -e bash -s -- `: the arguments become those of the shell in the terminal."""
    own = (("COMPLETED/", "env -u A bash -s -- < /dev/null; echo "),)
    triggers = Triggers(str(tmp_path), (), ENV)
    triggers.fire(change, own, {**ENV, "A": "1"})
    log = Path(change.dir) / "tconfig-last-trigger-COMPLETED-.log"
    wait_for(lambda: text(log).endswith("\n"))
    assert text(log).split()[0] == "4"
    triggers.close()


def test_nobody_waits_for_a_trigger_and_it_has_a_session_of_its_own(tmp_path: Path, change: Change) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = f"read line < {gate}; ps -o sid= -p $$ > sid; cat > stdin; echo over > over #"
    triggers = Triggers(str(tmp_path), (("COMPLETED/", command),), ENV)
    assert triggers.fire(change) == 1  # gives the prompt back although the gate is shut
    where = Path(change.dir)
    assert not (where / "over").exists()
    with gate.open("w") as f:
        f.write("go\n")
    wait_for((where / "over").exists)
    assert text(where / "stdin") == ""
    assert int(text(where / "sid")) != os.getsid(0)
    triggers.close()


def test_a_command_that_is_not_there_leaves_a_line_in_its_log(tmp_path: Path, change: Change) -> None:
    triggers = Triggers(str(tmp_path), (("COMPLETED/", "no-such-trigger"),), ENV)
    triggers.fire(change)
    log = Path(change.dir) / "mtconfig-last-trigger-COMPLETED-.log"
    wait_for(lambda: "not found" in text(log))
    triggers.close()


def test_what_the_kernel_refuses_to_start_is_said_in_the_log_and_raises_nothing(tmp_path: Path, change: Change) -> None:
    triggers = Triggers(str(tmp_path), (("COMPLETED/", "true"),), {**ENV, "BIG": "x" * (1 << 22)})
    assert triggers.fire(change) == 0
    log = Path(change.dir) / "mtconfig-last-trigger-COMPLETED-.log"
    assert "cannot start trigger 'COMPLETED/': argument list too long" in text(log)
    assert Triggers(str(tmp_path), (("COMPLETED/", "a\0b"),), ENV).fire(change) == 0


def test_nothing_runs_before_there_is_a_run_directory(tmp_path: Path, change: Change) -> None:
    triggers = Triggers(str(tmp_path), (("COMPLETED/", "true"),), ENV)
    assert triggers.fire(change._replace(dir=str(tmp_path / "nowhere"))) == 0


def test_the_log_goes_to_the_area_when_the_run_directory_cannot_take_it(tmp_path: Path, change: Change) -> None:
    (Path(change.dir) / "mtconfig-last-trigger-COMPLETED-.log").mkdir()
    triggers = Triggers(str(tmp_path), (("COMPLETED/", "echo here"),), ENV)
    triggers.fire(change)
    wait_for(lambda: text(tmp_path / "mtconfig-last-trigger-COMPLETED-.log").startswith("here"))
    triggers.close()


def test_those_that_ended_are_collected_with_the_next_change(tmp_path: Path, change: Change) -> None:
    triggers = Triggers(str(tmp_path), (("/FAIL", "echo $$ > pid #"),), ENV)
    triggers.fire(change)
    pid = Path(change.dir) / "pid"
    wait_for(lambda: text(pid).endswith("\n"))
    number = int(text(pid))

    def is_gone() -> bool:
        triggers.fire(change._replace(state="RUNNING", status="n/a"))
        return not os.path.exists(f"/proc/{number}")

    wait_for(is_gone)
    triggers.close()


def test_the_beginning_of_a_case_fires_for_launch_start_and_running(tmp_path: Path, change: Change) -> None:
    """spec/runs.md 3.4: an area may ask to be told of LAUNCHED, REMOTEHOSTSTART and RUNNING."""
    names = ("LAUNCHED/", "/LAUNCHED", "REMOTEHOSTSTART/n/a", "RUNNING/")
    triggers = Triggers(str(tmp_path), tuple((name, "echo") for name in names), ENV)
    triggers.begin(change)
    logs = [Path(change.dir) / f"mtconfig-last-trigger-{n.replace('/', '-')}.log" for n in names]
    wait_for(lambda: all(text(log).endswith("\n") for log in logs))
    assert [text(log).split()[-3:-1] for log in logs] == [
        ["LAUNCHED", "LAUNCHED"], ["LAUNCHED", "LAUNCHED"], ["REMOTEHOSTSTART", "n/a"], ["RUNNING", "n/a"],
    ]  # fmt: skip
    triggers.close()
