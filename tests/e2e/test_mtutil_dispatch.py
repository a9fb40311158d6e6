"""`mtutil dispatch` starts real processes of a stand-in for megatest (spec/runs.md 1.8, spec/architecture.md 6.4)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from testarea import CONFIG, Area, Result

from mt.mtutil import packets

#: writes its words, one line for each call, into a file beside it, and says where it is
FAKE = """\
#!/bin/sh
words=$(printf '%s|' "$@")
printf '%s\\n' "$words" >> "$(dirname "$0")/calls"
echo "in $(pwd) with ${MT_TARGET-no target} session $(ps -o sid= -p $$) pid $$"
echo talk >&2
"""

#: starts commands at once and waits for all that comes of them, detached or not: orphans become its children
WAITER = """\
import ctypes, os, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
count, *argv = sys.argv[1:]
started = [subprocess.Popen(argv) for _ in range(int(count))]
statuses = [process.wait() for process in started]
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
sys.exit(max(statuses))
"""
#: kills one dispatcher after the other, each when there are so many packets, and waits for what they started
KILLER = """\
import ctypes, os, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
directory, *counts = sys.argv[1:]
for count in counts:
    process = subprocess.Popen(["mtutil", "dispatch"], stdout=subprocess.DEVNULL)
    while sum(name.endswith(".pkt") for name in os.listdir(directory)) < int(count) and process.poll() is None:
        os.sched_yield()
    process.kill()
    process.wait()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


class Control:
    """A controlling area, an area that it controls, and a stand-in for megatest."""

    def __init__(self, area: Area, other: Area, tools: Path) -> None:
        self.area = area
        self.other = other
        self.pkts = area.home / "pkts"
        self.calls_file = tools / "calls"
        self.env = {**area.env, "PATH": f"{tools}:{area.env['PATH']}", "MT_TARGET": "of/this"}

    def config(self, more: str = "", maxload: str = "1000") -> None:
        text = CONFIG.replace("[disks]", f"pktsdirs pkts more\nmaxload {maxload}\n[disks]")
        self.area({"megatest.config": f"{text}\n[areas]\nquick path={self.other.home}\nlost path=/no/such\n{more}"})

    def run(self, *words: str, at_once: int = 1) -> Result:
        """Run mtutil, perhaps several at once, and wait until nothing that was started lives any more."""
        argv = [sys.executable, "-c", WAITER, str(at_once), "mtutil", *words]
        done = subprocess.run(argv, cwd=self.area.home, env=self.env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def ask(self, action: str, *words: str) -> str:
        """Write a packet with mtutil and give its hash."""
        done = self.run(action, "-area", "quick", *words)
        assert done.status == 0, done.err
        return done.lines()[1]

    def write(self, cards: Sequence[tuple[str, str]], directory: str = "pkts") -> str:
        """Write a packet by hand and give its hash."""
        made = packets.make(cards)
        (self.area.home / directory).mkdir(exist_ok=True)
        (self.area.home / directory / f"{made.id}.pkt").write_bytes(packets.text_of(made))
        return made.id

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def answers(self) -> list[packets.Packet]:
        found = [packets.parse(p.read_bytes()) for p in sorted(self.pkts.glob("*.pkt"))]
        return [packet for packet in found if packet.get("P")]


@pytest.fixture
def control(area: Area, new_area: type[Area], tmp_path: Path) -> Control:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "megatest").write_text(FAKE)
    (tools / "megatest").chmod(0o755)
    made = Control(area, new_area("other"), tools)
    made.config()
    return made


def user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def command(number: int = 0, **cards: str) -> list[tuple[str, str]]:
    own = {"A": "run", "T": "cmd", "U": user(), "G": "quick", "D": str(number), "t": "a/b", "n": f"r{number}"}
    given = {**own, **cards}
    return list(given.items())


def test_a_packet_becomes_a_command_in_its_area_with_a_log(control: Control) -> None:
    """spec/runs.md 1.8 dispatch"""
    asked = control.ask("run", "-target", "a/b", "-run-name", "r 1", "-test-patt", "x%")
    assert control.calls() == []
    done = control.run("dispatch")
    assert done.status == 0 and asked in done.out
    home = control.other.home
    words = f"-run|-preclean|-rerun-all|-target|a/b|-runname|r 1|-testpatt|x%|-start-dir|{home}|"
    assert control.calls() == [words]
    said, talk = (home / "logs" / f"{asked}-run.log").read_text().splitlines()
    assert talk == "talk" and said.startswith(f"in {home} with no target session ")
    session, pid = said.split()[-3], said.split()[-1]
    assert session == pid
    (answer,) = control.answers()
    assert (answer.get("P"), answer.get("T"), answer.get("U")) == (asked, "runstart", user())


def test_an_answered_packet_is_not_dispatched_again(control: Control) -> None:
    """spec/runs.md 1.8: answered packets are not dispatched again, even when pkts.db was lost"""
    control.ask("run", "-target", "a/b", "-run-name", "r")
    control.run("process")
    control.run("process")
    (control.area.home / "pkts.db").unlink()
    control.run("process")
    assert len(control.calls()) == len(control.answers()) == 1


@pytest.mark.parametrize(
    ("action", "words", "expected"),
    [
        ("remove", ["-run-name", "r", "-test-patt", "%"], "-remove-runs|-target|a/b|-runname|r|-testpatt|%|"),
        ("rerun", ["-run-name", "r", "-status", "FAIL"], "-run|-rerun|FAIL|-target|a/b|-runname|r|"),
        ("set-ss", ["-new", "COMPLETED/FAIL"], "-set-state-status|COMPLETED,FAIL|-target|a/b|"),
        ("archive", ["-run-name", "r"], "-archive|save|-target|a/b|-runname|r|"),
        ("kill", ["-run-name", "r"], "-set-state-status|KILLREQ,n/a|-target|a/b|-runname|r|-testpatt|%|-state|"
         "RUNNING,LAUNCHED,REMOTEHOSTSTART|"),
        ("list", [], "-list-runs|%|-target|a/b|"),
    ],
)  # fmt: skip
def test_each_action_is_a_command(action: str, words: list[str], expected: str, control: Control) -> None:
    """spec/runs.md 1.8; rerun, kill and list did nothing [D]"""
    control.ask(action, "-target", "a/b", *words)
    control.run("process")
    assert control.calls() == [f"{expected}-start-dir|{control.other.home}|"]


def test_process_makes_packets_of_rules_and_starts_them(control: Control) -> None:
    """spec/runs.md 1.8 process: import, rungen, import, dispatch; sync is answered by syncstart"""
    control.config("[contours]\nfast areas=quick;selector=/PATT\n")
    rules = "fast:scheduled:run cron=0 0 1 1 *\nfast:file:sync glob=*.config;dbdest=db\n"
    control.area({"runconfigs.config": f"[a/b]\n{rules}"})
    assert control.run("process").status == 0
    kinds = sorted((a.get("T"), a.get("A"), a.get("a"), a.get("c")) for a in control.answers())
    assert kinds == [("runstart", "run", "a/b", "fast"), ("syncstart", "sync", "a/b", "fast")]
    run, sync = sorted(control.calls(), key=lambda line: "-sync-to" in line)
    assert run.startswith("-run|-preclean|-rerun-all|-target|a/b|-runname|sched") and "|-modepatt|PATT|" in run
    assert "|-contour|fast|-m|fast:scheduled:run 0-0-1-1-X|" in run
    assert sync.startswith("-target|a/b|") and "|-sync-to|db|" in sync
    control.run("process")
    assert len(control.calls()) == 2


def test_a_packet_copied_twice_is_one_action(control: Control) -> None:
    """spec/architecture.md 6.4"""
    asked = control.write(command())
    control.write(command(), "more")
    shutil.copy(control.pkts / f"{asked}.pkt", control.pkts / "copy.pkt")
    done = control.run("process")
    assert "copy.pkt' set aside in bad/: its name is not its checksum" in done.err
    control.run("process")
    assert len(control.calls()) == len(control.answers()) == 1


def test_a_forged_user_card_starts_nothing(control: Control) -> None:
    """spec/architecture.md 6.4: the owner of the file must be the user of the card"""
    forged = control.write(command(U="somebody"))
    nobody = control.write(command(1, U=""))
    done = control.run("process")
    assert done.status == 0 and len(done.err.splitlines()) == 2 and "Access denied" in done.err
    control.run("process")
    assert control.calls() == []
    assert {(a.get("P"), a.get("T")) for a in control.answers()} == {
        (forged, "access-denied"),
        (nobody, "access-denied"),
    }


def test_a_file_of_another_user_is_judged_by_its_owner(control: Control) -> None:
    if os.getuid():
        pytest.skip("only root can give files away")
    import pwd

    other = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, 65534))
    for n, more in enumerate(({}, {"U": other.pw_name}, {"U": other.pw_name, "h": "/tmp/evil.config"})):
        name = control.write(command(n, **more))
        os.chown(control.pkts / f"{name}.pkt", other.pw_uid, -1)
    control.run("process")
    assert [call.split("|")[6] for call in control.calls()] == ["r1"]
    assert sorted(a.get("T") for a in control.answers()) == ["access-denied", "access-denied", "runstart"]


def test_access_is_asked_again_when_a_packet_is_dispatched(control: Control) -> None:
    """spec/runs.md 1.8 [access]"""
    control.config(f"[access]\nquick {user()}:few\n[accesstypes]\nfew list\n")
    control.write(command())
    control.write(command(1, A="list"))
    assert "Access denied for" in control.run("process").err
    assert [call.split("|")[0] for call in control.calls()] == ["-list-runs"]
    assert sorted(a.get("T") for a in control.answers()) == ["access-denied", "runstart"]


def test_a_packet_leads_only_to_areas_that_are_listed(control: Control, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    control.write(command(S=str(tmp_path / "elsewhere")))
    control.write(command(1, G="unknown"))
    control.write(command(2, G="", S=str(tmp_path / "elsewhere")))
    control.write(command(3, G="", S=str(control.other.home)))
    control.run("process")
    assert sorted(call.split("|")[6] for call in control.calls()) == ["r0", "r3"]
    assert not (tmp_path / "elsewhere" / "logs").exists()


def test_what_no_command_stands_for_is_refused_once(control: Control) -> None:
    control.write(command(A="boom"))
    control.write(command(1, A="set-ss"))
    assert len(control.run("process").err.splitlines()) == 2
    assert control.run("process").err == ""
    assert control.calls() == []


def test_a_changed_packet_starts_nothing(control: Control) -> None:
    """spec/architecture.md 6.4: verify hash, also when it was imported before it was changed"""
    asked = control.write(command(t="a/b"))
    control.run("import")
    path = control.pkts / f"{asked}.pkt"
    path.write_bytes(path.read_bytes().replace(b"a/b", b"x/y"))
    assert "its checksum is not that of its cards" in control.run("dispatch").err
    assert control.calls() == []
    assert len(list(control.pkts.glob("*.pkt"))) == 1


def test_a_busy_machine_postpones_runs_and_archives_and_nothing_else(control: Control) -> None:
    """spec/runs.md 1.8: run/archive are postponed when the load per CPU exceeds maxload; they stay"""
    control.config(maxload="-1")
    for n, action in enumerate(("run", "rerun", "archive", "remove", "kill", "list")):
        control.write(command(n, A=action))
    done = control.run("process")
    assert done.status == 0 and done.err.count("postponed") == 3
    assert len(control.calls()) == 3
    control.config()
    control.run("process")
    assert len(control.calls()) == len(control.answers()) == 6


def test_a_maxload_that_is_no_number_is_one_clear_line(control: Control) -> None:
    control.config(maxload="much")
    assert control.run("dispatch") == Result(1, "", "ERROR: [setup] maxload 'much' is not a number\n")


def test_a_packet_for_an_area_that_is_not_there_waits(control: Control) -> None:
    control.write(command(G="lost"))
    for _ in range(2):
        done = control.run("process")
        assert done.status == 1 and "cannot start in area lost '/no/such': no such directory" in done.err
    assert control.answers() == []


def test_a_command_that_cannot_start_leaves_its_packet(control: Control) -> None:
    control.write(command())
    program = control.calls_file.with_name("megatest")
    program.write_text("#!/no/such/interpreter\n")
    done = control.run("process")
    assert done.status == 1 and "cannot run" in done.err and control.answers() == []
    program.write_text(FAKE)
    assert control.run("process").status == 0
    assert len(control.calls()) == 1


def test_words_never_meet_a_shell(control: Control) -> None:
    evil = "$(touch evil); `touch evil` | touch evil > evil\n'\"&"
    control.write(command(t=evil, n="-remove-runs"))
    control.run("process")
    assert f"-target|{evil}|-runname|-remove-runs|" in "\n".join(control.calls())
    assert not list(control.other.home.rglob("evil"))


def test_many_packets_and_several_processors_are_one_action_each(control: Control) -> None:
    """spec/architecture.md 6.4: 200 packets by 4 processors -> 200 answers, each action once"""
    ids = {control.write(command(n)) for n in range(200)}
    assert len(ids) == 200
    assert control.run("process", at_once=4).status == 0
    assert sorted(call.split("|")[6] for call in control.calls()) == sorted(f"r{n}" for n in range(200))
    answers = control.answers()
    assert len(answers) == 200 and {a.get("P") for a in answers} == ids
    assert {p.name for p in (control.other.home / "logs").iterdir()} == {f"{name}-run.log" for name in ids}


def test_a_processor_that_is_killed_starts_nothing_twice(control: Control) -> None:
    """An answer is written before its command starts: at worst a command was not started, never twice."""
    for n in range(60):
        control.write(command(n))
    argv = [sys.executable, "-c", KILLER, str(control.pkts), "61", "81"]
    done = subprocess.run(argv, cwd=control.area.home, env=control.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 < len(control.calls()) < 60
    control.run("process")
    calls = control.calls()
    assert len(calls) == len(set(calls))
    assert len(control.answers()) == 60
    assert 58 <= len(calls) <= 60


def test_packets_of_the_original_are_understood(control: Control) -> None:
    body = f"A run\nD 1700000000\nG quick\nT cmd\nU {user()}\nn r\nt a/b\n"
    name = hashlib.sha1(body.encode()).hexdigest()
    control.pkts.mkdir()
    (control.pkts / f"{name}.pkt").write_text(f"{body}Z {name}")
    control.run("process")
    assert len(control.calls()) == 1
