"""Journals on a real disk: acknowledged lines stay, torn ones heal, a full disk is one clear error."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mt.errors import StoreError
from mt.journal import Journal, drop, start_token, writer_name
from mt.model import CaseRow


def lines(path: str | Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_an_event_is_one_line_with_kind_number_and_time(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        assert [journal.emit("note", text="a"), journal.emit("note", text="b")] == [1, 2]
    first, second = lines(journal.path)
    assert (first["k"], first["s"], first["text"]) == ("note", 1, "a")
    assert second["s"] == 2 and isinstance(second["t"], float)


def test_a_row_leaves_out_what_is_usual(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        journal.emit_row("case", CaseRow("t", "i", state="RUNNING"))
    (event,) = lines(journal.path)
    assert set(event) == {"k", "s", "t", "test", "item", "state"}


def test_a_journal_that_is_opened_again_counts_on(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(str(tmp_path), "w") as journal:
            journal.emit("note", text="x" * 2_000_000)
    assert [e["s"] for e in lines(journal.path)] == [1, 2]


def test_a_torn_end_is_closed_with_a_newline_and_stays_one_bad_line(tmp_path: Path) -> None:
    with Journal(str(tmp_path), "w") as journal:
        journal.emit("note", text="whole")
    with open(journal.path, "a") as f:
        f.write('{"k":"note","s":2,"te')
    with Journal(str(tmp_path), "w") as journal:
        journal.emit("note", text="after")
    whole, torn, after = Path(journal.path).read_text().splitlines()
    assert json.loads(whole)["text"] == "whole"
    assert torn == '{"k":"note","s":2,"te'
    assert json.loads(after)["text"] == "after"


def test_events_of_a_batch_are_written_at_its_end(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        with journal.batch():
            journal.emit("note", text="a")
            assert os.path.getsize(journal.path) == 0
        assert len(lines(journal.path)) == 1
        journal.emit("note", text="b")
        assert len(lines(journal.path)) == 2


FULL = """
import resource, signal, sys
from mt.errors import StoreError
from mt.journal import Journal
def limit(n):
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
journal = Journal(sys.argv[1], "w", buffered=sys.argv[2] == "buffered")
sent = []
def emit(n):
    try:
        journal.emit("note", text="%d" % n * 40)
        if journal._buffered:
            journal.flush()
        sent.append(n)
    except StoreError as e:
        print(e.what, file=sys.stderr)
limit(500)
for n in range(9):
    emit(n)
limit(resource.RLIM_INFINITY)
if journal._buffered:
    journal.flush()
emit(9)
print(*sent)
"""


@pytest.mark.parametrize("how", ["at once", "buffered"])
def test_a_disk_that_is_full_for_a_while_loses_no_acknowledged_event(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), how], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot write journal" in done.stderr and "file too large" in done.stderr
    acknowledged = [int(w) for w in done.stdout.split()]
    assert 9 in acknowledged and len(acknowledged) < 10
    found = []
    for line in (tmp_path / "w.ndjson").read_text().splitlines():
        try:
            found.append(int(json.loads(line)["text"][0]))
        except ValueError:
            continue
    assert len(set(found)) == len(found)
    if how == "buffered":
        assert found == list(range(10))  # what could not be written was kept, and written later
    else:
        assert set(acknowledged) <= set(found)


def test_a_drop_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    path = drop(str(tmp_path), [("step", {"test": "t", "name": "s"}), {"k": "value", "test": "t", "t": 5.0}])
    assert os.listdir(tmp_path / "drop") == [os.path.basename(path)]
    step, value = lines(path)
    assert (step["k"], step["s"], value["k"], value["s"], value["t"]) == ("step", 1, "value", 2, 5.0)


def test_a_drop_that_cannot_be_written_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file or directory"):
        drop(str(tmp_path / "gone"), [("note", {"text": "x"})])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(StoreError, match="file too large"):
            drop(str(tmp_path), [("note", {"text": "x" * 100})])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path / "drop") == []


def test_a_writer_is_named_unlike_any_other_process() -> None:
    host, pid, token = writer_name().rsplit("-", 2)
    assert host and int(pid) == os.getpid() and token.startswith(start_token())
    other = subprocess.run(
        [sys.executable, "-c", "from mt.journal import writer_name; print(writer_name())"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert other.stdout.strip() != writer_name()
    assert start_token("no such pid") == ""


def test_writing_events_needs_neither_sqlite_nor_dataclasses() -> None:
    code = "import sys, mt.journal; print([m for m in ('sqlite3', 'dataclasses', 'filelock') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_journal_that_was_packed_meanwhile_is_opened_again_with_numbers_that_were_never_used(tmp_path: Path) -> None:
    from mt.db import Store
    from mt.fold import Folder, compact
    from mt.model import RunKey

    store = Store(str(tmp_path), create=True)
    run = store.create_run(RunKey("t", "r"), owner="me")
    used = []
    for text in "abc":
        with Journal(store.journal_dir(run)) as journal:
            used += [journal.emit("note", test="x", text=text) for _ in range(3)]
        assert compact(store, run)
    assert sorted(set(used)) == used
    with Folder(store, run) as folder:
        folder.settle()
    with closing(sqlite3.connect(store.run_db_path(run))) as conn:
        assert conn.execute("SELECT count(*) FROM notes").fetchone() == (9,)
