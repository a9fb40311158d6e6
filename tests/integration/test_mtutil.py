"""mtutil with real files, SQLite, programs and sockets (spec/runs.md 1.8)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.errors import MtError
from mt.locks.filelock import held
from mt.mtutil import control, cron, files, importing, listen, packets, pairs, rungen, sensing, store
from mt.mtutil.rules import Rule
from mt.mtutil.talk import Talk

NOW = 1_800_000_000.0


def packet(**cards: str) -> packets.Packet:
    return packets.make({"A": "run", "T": "cmd", "U": "ann", "D": "1700000000", **cards}.items())


# -- files


def test_a_packet_is_written_once_under_its_hash(tmp_path: Path) -> None:
    made = packet()
    path = files.write(str(tmp_path / "new"), made)
    assert files.write(str(tmp_path / "new"), made) == path
    assert os.listdir(tmp_path / "new") == [f"{made.id}.pkt"]
    assert files.read(path) == files.Found(made, os.getuid())


def test_a_link_a_pipe_and_a_file_of_another_name_are_no_packets(tmp_path: Path) -> None:
    path = Path(files.write(str(tmp_path), packet()))
    link, pipe, other = tmp_path / "link.pkt", tmp_path / "pipe.pkt", tmp_path / f"{'0' * 40}.pkt"
    link.symlink_to(path)
    os.mkfifo(pipe)
    shutil.copy(path, other)
    with pytest.raises(OSError):
        files.read(str(link))
    for strange in (pipe, other):
        with pytest.raises(packets.PacketError):
            files.read(str(strange))


# -- import


def taken(path: Path, talk: Talk | None = None, now: float = NOW) -> int:
    with store.opened(str(path / "pkts.db")) as db:
        return importing.take_in(db, [str(path / "pkts")], talk or Talk(), now)


def test_the_db_is_made_again_from_the_packets(tmp_path: Path) -> None:
    asked = packet()
    answer = packets.make([("T", "runstart"), ("P", asked.id)])
    other = packet(n="other")
    for made in (asked, answer, other):
        files.write(str(tmp_path / "pkts"), made)
    for spoil in (lambda db: db.unlink(), lambda db: db.write_bytes(b"garbage" * 1000)):
        assert taken(tmp_path) == 3
        assert taken(tmp_path) == 0
        with store.opened(str(tmp_path / "pkts.db")) as db:
            assert db.pending() == [(other.id, str(tmp_path / "pkts"))]
        spoil(tmp_path / "pkts.db")
    assert taken(tmp_path) == 3


def test_files_that_are_no_packets_are_set_aside_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = packet()
    files.write(str(tmp_path / "pkts"), good)
    bad = tmp_path / "pkts" / f"{'1' * 40}.pkt"
    bad.write_text("A run\nZ " + "1" * 40)
    (tmp_path / "pkts" / "big.pkt").write_bytes(b"A" * packets.LIMIT)
    assert taken(tmp_path) == 1
    assert sorted(p.name for p in (tmp_path / "pkts" / "bad").iterdir()) == [bad.name, "big.pkt"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("set aside in bad/" in line for line in lines)
    assert taken(tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_a_packet_that_is_still_being_written_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pkts").mkdir()
    made = packet()
    path = tmp_path / "pkts" / f"{made.id}.pkt"
    path.write_bytes(packets.text_of(made)[:10])
    assert taken(tmp_path, now=time.time()) == 0
    assert "not complete yet" in capsys.readouterr().err
    path.write_bytes(packets.text_of(made))
    assert taken(tmp_path, now=time.time()) == 1
    path.with_name("x.pkt").write_text("A run")
    assert taken(tmp_path, now=time.time() + 2 * files.GROWING) == 0
    assert (tmp_path / "pkts" / "bad" / "x.pkt").exists()


def test_several_processes_import_each_packet_once(tmp_path: Path) -> None:
    (tmp_path / "pkts").mkdir()
    for n in range(3000):
        made = packet(n=str(n))
        (tmp_path / "pkts" / f"{made.id}.pkt").write_bytes(packets.text_of(made))
    code = (
        "import sys; from mt.mtutil import importing, store; from mt.mtutil.talk import Talk\n"
        "with store.opened(sys.argv[1] + '/pkts.db') as db:\n"
        "    print(importing.take_in(db, [sys.argv[1] + '/pkts'], Talk(), 0.0))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sum(int(process.communicate()[0]) for process in started) == 3000
    with store.opened(str(tmp_path / "pkts.db")) as db:
        assert len(db.all()) == 3000


def test_the_last_packet_of_a_rule_is_found_by_section_and_key(tmp_path: Path) -> None:
    key = "quick:scheduled:run"
    made = [
        packet(a="a/b", M=f"{key} X-X", D="10"),
        packet(a="a/b", M=f"{key} X-X", D="30.5"),
        packet(a="c/d", M=f"{key} X-X", D="50"),
        packet(a="a/b", M=f"{key}:more X-X", D="60"),
        packet(a="a/b", M=f"{key} X-X", D="70", T="runstart"),
    ]
    with store.opened(str(tmp_path / "pkts.db")) as db:
        db.add(("here", p) for p in made)
        assert db.last("a/b", key) == 30.5
        assert db.last("x/y", key) == 0


def test_a_db_that_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MtError, match="cannot use"), store.opened(str(tmp_path / "nowhere" / "pkts.db")):
        pass


# -- rules


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_the_hour_that_comes_twice_counts_twice_only_for_lines_of_every_hour() -> None:
    first, second = 1_792_888_200.0, 1_792_891_800.0  # 2026-10-25 02:30, summer and winter
    assert time.strftime("%H:%M %Z", time.localtime(first)) == "02:30 CEST"
    assert time.strftime("%H:%M %Z", time.localtime(second)) == "02:30 CET"
    for minute in (0.0, 600.0):
        assert cron.last_due(cron.parse("*/30 * * * *"), first + minute) == first
        assert cron.last_due(cron.parse("*/30 * * * *"), second + minute) == second
        assert cron.last_due(cron.parse("30 2 * * *"), second + minute) == first


def rule(key: str, value: str) -> Rule:
    contour, kind, action = key.split(":")[:3]
    return Rule("a/b", key, contour, kind, action, pairs.read(value))


def moment(home: Path, last: float = 0.0, now: float = NOW) -> sensing.Moment:
    return sensing.Moment(now, last, str(home))


def test_a_scheduled_rule_is_due_when_its_last_due_time_lies_after_its_last_packet(tmp_path: Path) -> None:
    """spec/runs.md 1.8 scheduled; run names sched%M%H%d"""
    asked = rule("q:scheduled:run", "cron=0 */3 * * *;run-name=auto")
    when = cron.last_due(cron.parse("0 */3 * * *"), NOW)
    assert when is not None
    expected = [sensing.Due("0-X/3-X-X-X", run=time.strftime("sched%M%H%d", time.localtime(NOW)))]
    assert sensing.due(asked, moment(tmp_path)) == expected
    assert sensing.due(asked, moment(tmp_path, when - 1)) == expected
    assert sensing.due(asked, moment(tmp_path, when)) == []
    with pytest.raises(MtError, match=r"\[a/b\] q:scheduled:run: .*cron="):
        sensing.due(rule("q:scheduled:run", "run-name=x"), moment(tmp_path))


def script(home: Path, name: str, text: str) -> None:
    (home / name).write_text(f"#!/bin/sh\n{text}\n")
    (home / name).chmod(0o755)


def test_a_script_is_called_with_what_it_needs_and_tells_when(tmp_path: Path) -> None:
    """spec/runs.md 1.8 script: epoch [target [runname]], further lines the message"""
    script(tmp_path, "ask", 'echo 500 x/y r1; for w in "$@"; do echo "<$w>"; done; pwd')
    asked = rule("q:script:run", "./ask = 'a b' $c")
    name = time.strftime(sensing.RUN_NAME, time.localtime(NOW))
    why = f"<q>-<a/b>-<{name}>-<run>-<a b>-<$c>-{tmp_path}"
    assert sensing.due(asked, moment(tmp_path, 499)) == [sensing.Due(why, "x/y", "r1")]
    assert sensing.due(asked, moment(tmp_path, 500)) == []


@pytest.mark.parametrize(("text", "why"), [("echo soon", "'soon', which is no time"), ("echo 9; exit 3", "status 3")])
def test_a_script_that_fails_is_one_clear_line(text: str, why: str, tmp_path: Path) -> None:
    script(tmp_path, "ask", text)
    with pytest.raises(MtError, match=why):
        sensing.due(rule("q:script:run", "ask"), moment(tmp_path))
    with pytest.raises(MtError, match="cannot run 'nothing-there'"):
        sensing.due(rule("q:script:run", "nothing-there"), moment(tmp_path))


def test_a_script_that_says_nothing_wants_nothing(tmp_path: Path) -> None:
    script(tmp_path, "ask", "true")
    assert sensing.due(rule("q:script:run", "ask"), moment(tmp_path)) == []


def test_files_are_compared_with_the_last_packet(tmp_path: Path) -> None:
    """spec/runs.md 1.8 file, file-or: any; file-and: all files newer than the last packet"""
    for name, changed in (("a.txt", 100), ("b.txt", 200), ("c.log", 300)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (changed, changed))
    due = {
        kind: [
            last
            for last in (50, 150, 250, 350)
            if sensing.due(rule(f"q:{kind}:run", "glob=*.{txt,log}"), moment(tmp_path, last))
        ]
        for kind in ("file", "file-or", "file-and")
    }
    assert due == {"file": [50, 150, 250], "file-or": [50, 150, 250], "file-and": [50]}
    assert sensing.due(rule("q:file:run", "*.txt"), moment(tmp_path)) == [sensing.Due(f"file:{tmp_path}/b.txt")]
    assert sensing.due(rule("q:file-and:run", "glob=*.none"), moment(tmp_path)) == []
    with pytest.raises(MtError, match="glob="):
        sensing.due(rule("q:file:run", "run-name=x"), moment(tmp_path))


def test_a_branch_of_a_fossil_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """spec/runs.md 1.8 fossil"""
    if not shutil.which("fossil"):
        pytest.skip("fossil is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    commands = "fossil init r.fossil && mkdir w && cd w && fossil open ../r.fossil && echo 1 > f && fossil add f"
    commands += " && fossil commit -m one --date-override '2026-01-02 03:04:05' --no-warnings --allow-older"
    subprocess.run(
        ["sh", "-c", commands], cwd=tmp_path, check=True, capture_output=True, env={**os.environ, "USER": "ann"}
    )
    asked = rule("q:fossil:run", "r.fossil=trunk")
    (due,) = sensing.due(asked, moment(tmp_path))
    assert due.why.startswith("fossil:trunk-")
    newest, _ = sensing._newest(str(tmp_path / "r.fossil"), "trunk", str(tmp_path))
    assert sensing.due(asked, moment(tmp_path, newest - 1)) == [due]
    assert sensing.due(asked, moment(tmp_path, newest)) == []
    with pytest.raises(MtError, match="fossil"):
        sensing.due(rule("q:fossil:run", "nowhere.fossil=trunk"), moment(tmp_path))


def test_without_the_program_a_fossil_rule_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MtError, match="fossil is not installed"):
        sensing.due(rule("q:fossil:run", "r.fossil=trunk"), moment(tmp_path))


def test_rules_are_left_to_who_asks_them_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that takes long must not make processors pile up."""
    config = "[setup]\npktsdirs pkts\n[areas]\nhere path=.\n[contours]\nq areas=here\n"
    (tmp_path / "megatest.config").write_text(config)
    (tmp_path / "runconfigs.config").write_text("[a/b]\nq:scheduled:run cron=* * * * *\n")
    area = control.Control.open({"MT_RUN_AREA_HOME": str(tmp_path)}, Talk())
    monkeypatch.setattr(rungen, "PATIENCE", 0.0)
    with store.opened(area.store_path) as db:
        with held(f"{area.store_path}.lock"):
            assert rungen.generate(area, db, "ann", Talk(), NOW) == 0
        assert "rules are not asked: cannot lock" in capsys.readouterr().err
        assert rungen.generate(area, db, "ann", Talk(), NOW) == 1


# -- messages


def test_a_listener_that_says_nothing_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    """spec/runs.md 1.8 tsend: 2 s timeout"""
    with socket.create_server(("localhost", 0)) as silent:
        port = silent.getsockname()[1]
        assert listen.send([f"localhost:{port}"], "hello", Talk()) == 0
    assert capsys.readouterr().err == f"ERROR: cannot send to localhost:{port}: no answer within 2 s\n"


def test_a_message_that_is_too_long_is_not_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert listen.send(["localhost:1"], "x" * (listen.LIMIT + 1), Talk()) == 0
    assert "longer than" in capsys.readouterr().err


def test_an_answer_that_is_not_ok_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(server: socket.socket) -> None:
        link, _ = server.accept()
        with link:
            while link.recv(100):
                pass
            link.sendall(b"error: busy\n")

    with socket.create_server(("localhost", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        assert listen.send([f"localhost:{server.getsockname()[1]}"], "hello", Talk()) == 0
        thread.join()
    assert "answers: error: busy" in capsys.readouterr().err
