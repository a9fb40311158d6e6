"""Where things go wrong in the middle: a link in place of a directory, a line that is torn, a step nobody watches."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt.environ import Env, is_secret, veiled
from mt.errors import MtError, NotPermitted, StoreError
from mt.inside import Inside
from mt.pipeline import casedir, proc, saying, within
from mt.pipeline.territory import Held, leads_nowhere, prune, remove


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk with the directory of a case, beside something precious."""
    (tmp_path / "disk/a/b/case/sub").mkdir(parents=True)
    (tmp_path / "disk/a/b/case/sub/file").write_text("of the case")
    (tmp_path / "out/case/sub").mkdir(parents=True)
    (tmp_path / "out/case/sub/file").write_text("precious")
    return tmp_path / "disk"


def swap(disk: Path, part: str) -> None:
    """Put a link to what is outside in the place of a directory."""
    shutil.rmtree(disk / part)
    (disk / part).symlink_to(disk.parent / "out", target_is_directory=True)


@pytest.mark.parametrize("part", ["a", "a/b"])
def test_a_link_that_comes_between_look_and_removal_is_refused(disk: Path, part: str) -> None:
    held = Held(str(disk / "a/b/case"), str(disk / "a/b/case"), str(disk))
    swap(disk, part)
    (disk.parent / "out/b").symlink_to(".")
    with pytest.raises(NotPermitted, match="a link in its path"):
        remove(held, str(disk))
    with pytest.raises(NotPermitted, match="a link in its path"):
        prune(held, ())
    assert (disk.parent / "out/case/sub/file").read_text() == "precious"


def test_a_directory_that_became_a_link_is_removed_as_a_link(disk: Path) -> None:
    swap(disk, "a/b/case")
    within.remove(str(disk), "a/b/case")
    assert not os.path.lexists(disk / "a/b/case")
    assert (disk.parent / "out/case/sub/file").exists()


def test_links_within_are_removed_and_not_followed(disk: Path) -> None:
    (disk / "a/b/case/away").symlink_to(disk.parent / "out")
    (disk / "a/b/case/sub/away").symlink_to(disk.parent / "out/case")
    assert prune(Held("", str(disk / "a/b/case"), str(disk)), ["sub/file"]) > 0
    assert sorted(p.name for p in (disk / "a/b/case").rglob("*")) == ["file", "sub"]
    within.empty(str(disk), "a/b/case")
    assert not list((disk / "a/b/case").iterdir())
    assert (disk.parent / "out/case/sub/file").exists()


def test_what_is_not_below_a_root_is_nothing_to_remove(disk: Path) -> None:
    for path in (disk.parent / "out", "/", disk / ".."):
        with pytest.raises(ValueError, match="not below"):
            within.tail_of(str(disk), str(path))


def test_a_run_directory_that_is_a_link_becomes_a_directory(disk: Path) -> None:
    swap(disk, "a/b/case")
    where = casedir.places(str(disk), str(disk), "a", "b", "case", "")
    casedir.make(where, clean=True)
    assert not (disk / "a/b/case").is_symlink() and not list((disk / "a/b/case").iterdir())
    assert (disk.parent / "out/case/sub/file").exists()


def test_a_run_directory_below_a_link_is_not_emptied(disk: Path) -> None:
    swap(disk, "a/b")
    with pytest.raises(MtError, match="a link in its path"):
        casedir.make(casedir.places(str(disk), str(disk), "a", "b", "case", ""), clean=True)
    assert (disk.parent / "out/case/sub/file").exists()


def test_a_link_to_what_was_removed_leads_nowhere_but_not_one_to_a_disk_that_is_away(disk: Path) -> None:
    link = disk.parent / "link"
    link.symlink_to(disk / "a/b/case")
    assert not leads_nowhere(str(link))
    shutil.rmtree(disk / "a/b/case")
    assert leads_nowhere(str(link))
    shutil.rmtree(disk / "a")
    assert not leads_nowhere(str(link))


@pytest.mark.parametrize("kind", ["fifo", "link", "read-only"])
def test_what_stands_in_the_way_of_a_file_makes_way(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    (tmp_path / "other").write_text("other")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("other")
    else:
        path.write_text("old")
        path.chmod(0o400)
    os.close(casedir.open_anew(str(path), 0o644))
    assert path.read_text() == "" and (tmp_path / "other").read_text() == "other"


# -- steps that nobody can watch any more


def test_a_step_is_ended_when_its_worker_cannot_go_on(tmp_path: Path) -> None:
    def full() -> None:
        raise StoreError("no space left on device")

    null = os.open(os.devnull, os.O_RDWR)
    try:
        pid = proc.spawn(("sleep", "1000"), {"PATH": os.defpath}, null, null)
        with pytest.raises(StoreError):
            proc.wait([pid], lambda: "", mark=b"", slow=full)
    finally:
        os.close(null)
    assert not proc.tree([pid], b"")
    proc.reap()


def test_no_room_for_a_process_is_no_failure_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    with pytest.raises(MtError, match="cannot run 'true': resource temporarily unavailable") as caught:
        proc.spawn(("true",), {"PATH": os.defpath}, 1, 0)
    assert caught.type is MtError


# -- what a test says of itself


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """Within a test, in its run directory."""
    (tmp_path / ".mt").mkdir()
    (tmp_path / "journal/1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    yield Inside({
        "db": str(tmp_path), "id": 1, "target": "a", "run": "r", "test": "t", "item": "", "attempt": 1, "gen": 1,
        "dir": str(tmp_path),
    })  # fmt: skip


def test_a_torn_line_swallows_nothing_that_is_said_after_it(told: Inside) -> None:
    Path(told.dir, ".mt/said.ndjson").write_text('{"k":"result","sta')
    told.tell([told.event("result", state="COMPLETED", status="FAIL")])
    assert [event["status"] for event in saying.said(1)] == ["FAIL"]


def test_a_disk_that_takes_a_part_of_a_line_is_full(told: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, body: write(fd, body[: len(body) // 2]))
    trouble = told._say([told.event("result", state="COMPLETED", status="FAIL")])
    assert "no space left on device" in trouble


def test_what_was_said_and_cannot_be_read_is_no_silence(told: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkdir(".mt/said.ndjson")
    with pytest.raises(MtError, match=r"cannot read .*said.*: is a directory"):
        saying.said(1)


# -- secrets


@pytest.mark.parametrize("name", ["CI_TOKEN", "PASSWORD", "db_passwd", "AWS_SECRET_ACCESS_KEY", "SIGNING_KEY"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["PATH", "KEYBOARD", "MONKEY", "MT_SEM_TOKENS", "KEY", "SYSTEM"])
def test_names_that_are_none(name: str) -> None:
    assert not is_secret(name)


def test_a_command_line_is_shown_without_its_secrets() -> None:
    words = [
        "run",
        "-setvars",
        "A=1,API_TOKEN=x,B=2",
        "--password",
        "x",
        "--db-password=y",
        "-r",
        "r1",
        "U=http://h?a=b",
    ]
    assert veiled(words) == [
        "run", "-setvars", "A=1,API_TOKEN=***,B=2", "--password", "***", "--db-password=***", "-r", "r1",
        "U=http://h?a=b",
    ]  # fmt: skip
    assert veiled(["sh", "-c", "DB_SECRET=one two"]) == ["sh", "-c", "DB_SECRET=***"]


def test_secret_variables_have_no_value_in_scripts() -> None:
    env = Env({"CI_TOKEN": "hush\nhush", "PLAIN": "a"})
    assert env.sh((), {"CI_TOKEN"}) == "# export CI_TOKEN=\nexport PLAIN=a\n"
    assert env.csh((), {"CI_TOKEN"}) == "# setenv CI_TOKEN\nsetenv PLAIN a\n"


# -- descriptors


def test_more_journals_than_descriptors_are_packed_in_turns(tmp_path: Path) -> None:
    script = """
import os, sys
from mt.db import Store
from mt.fold import compact
from mt.journal import Journal
from mt.model import CaseRow, RunKey
store = Store(sys.argv[1], create=True)
run = store.create_run(RunKey("a/b", "r"), owner="me")
for n in range(200):
    with Journal(store.journal_dir(run), f"h-{n}-0") as journal:
        journal.emit_row("case", CaseRow(f"t{n}", "", 1, 1, "COMPLETED", "PASS"))
assert compact(store, run)
left = [n for n in os.listdir(store.journal_dir(run)) if n.endswith(".ndjson")]
assert not left, left
"""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    done = subprocess.run([sys.executable, "-c", script, tmp_path], preexec_fn=few, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
