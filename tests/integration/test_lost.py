"""Lost cases: no sign of life where nothing proves a death; they come back, and nobody is called dead without proof."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from recorded import Recorded
from testarea import Area

from mt.db import Store
from mt.fold import refresh
from mt.model import CaseRow
from mt.pipeline.dead import Found, recover
from mt.pipeline.history import Alive
from mt.pipeline.recover import recover_case
from mt.queries import cases, find_runs, notes

THERE = "elsewhere"


def single_writer(area: Area) -> None:
    """Let the area be one whose locks do not work between hosts."""
    area({"megatest.config": area.read("megatest.config") + "\n[db]\nmode single-writer\n"})


def running(run: Recorded, host: str = THERE, pid: int = 5, test: str = "t") -> Path:
    """Record a running case of a worker on another host; gives the journal of that worker."""
    run.case(test, state="RUNNING", status="n/a", host=host, pid=pid)
    journal = Path(run.store.journal_dir(run.id)) / f"{host}-{pid}-abc1234.ndjson"
    journal.touch()
    return journal


@contextmanager
def touched(path: Path) -> Iterator[None]:
    """Touch a file again and again, as a worker does while its case runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.05):
            os.utime(path)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def look(area: Area, patience: float = 0.4) -> list[Found]:
    """Recover all runs of an area."""
    store = Store(str(area.home))
    return recover(store, find_runs(store), patience)


def row_of(area: Area) -> CaseRow:
    """The one case of the one run."""
    store = Store(str(area.home))
    (run,) = find_runs(store)
    refresh(store, run.id)
    return next(iter(cases(store, run.id)))


def test_a_worker_of_another_host_is_silent_where_locks_do_not_work(area: Area) -> None:
    single_writer(area)
    run = Recorded(area, "r1")
    running(run)
    row = row_of(area)
    health = Alive(run.store.journal_dir(run.id), locks=False).judge(row)
    assert (health.word, THERE in health.evidence) == ("silent", True)


def test_without_a_sign_of_life_a_case_is_lost_with_the_evidence(area: Area) -> None:
    single_writer(area)
    running(Recorded(area, "r1"))
    (found,) = look(area)
    assert (found.was.state, found.now.state) == ("RUNNING", "LOST")
    row = row_of(area)
    assert (row.state, row.status) == ("LOST", "n/a")
    assert row.comment == f"no sign of life: none for 0.4 s, locks do not work here, and pid 5 is on {THERE}"
    store = Store(str(area.home))
    assert [note.text for note in notes(store, 1)] == [f"RUNNING to LOST: {row.comment}"]


def test_a_heartbeat_is_a_sign_of_life(area: Area) -> None:
    single_writer(area)
    journal = running(Recorded(area, "r1"))
    with touched(journal):
        (found,) = look(area, 5.0)
    assert found.now == found.was
    assert row_of(area).state == "RUNNING"


def test_a_lost_case_that_shows_life_is_running_again_and_that_is_noted(area: Area) -> None:
    single_writer(area)
    journal = running(Recorded(area, "r1"))
    look(area)
    with touched(journal):
        look(area, 5.0)
    assert row_of(area).state == "RUNNING"
    assert "LOST to RUNNING: came back" in [n.text for n in notes(Store(str(area.home)), 1)][-1]


def test_what_a_lost_case_still_tells_counts(area: Area) -> None:
    single_writer(area)
    journal = running(Recorded(area, "r1"))
    look(area)
    late = {"k": "case", "s": 1, "t": 1.0, **row_of(area)._asdict(), "gen": 2, "state": "COMPLETED", "status": "PASS"}
    journal.write_text(json.dumps(late) + "\n")
    look(area, 0.0)
    row = row_of(area)
    assert (row.state, row.status) == ("COMPLETED", "PASS")


def test_where_locks_work_death_is_proven(area: Area) -> None:
    running(Recorded(area, "r1"))
    (found,) = look(area, 0.0)
    assert (found.now.state, found.now.status) == ("INCOMPLETE", "DEAD")
    assert "nobody holds the journal of pid 5" in found.evidence


def test_recover_tells_what_it_found_and_ends_with_8_when_something_is_lost(area: Area) -> None:
    single_writer(area)
    running(Recorded(area, "r1"))
    dry = area.mt("recover", "--patience", "0.3", "-n", "-f", "ndjson")
    assert dry.status == 8
    assert row_of(area).state == "RUNNING"
    done = area.mt("recover", "--patience", "0.3", "-f", "ndjson")
    assert done.status == 8
    (row,) = done.rows()
    assert (row["was"], row["now"], row["host"], row["pid"]) == ("RUNNING/n/a", "LOST/n/a", THERE, 5)
    assert row_of(area).state == "LOST"


def test_a_lost_case_runs_again_with_the_same_command(area: Area) -> None:
    """Its run adopts it, waits for a sign of life as long as the area says, and goes on without it."""
    single_writer(area)
    area({"megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\nlost-after 1", 1)})
    area.test("t")
    run = Recorded(area, "r1")
    running(run)
    target, name = run.key
    first = area.mt("run", "-t", target, "-r", name, "-q")
    assert first.status == 8
    assert row_of(area).state == "LOST"
    area.ok("run", "-t", target, "-r", name, "-q")
    assert row_of(area).state == "COMPLETED"


def test_settling_one_case_of_a_silent_worker_waits_for_a_sign_of_life(area: Area) -> None:
    """spec/runs.md 1.5 -recover-test: who cannot be asked does not live for ever."""
    single_writer(area)
    journal = running(Recorded(area, "r1"))
    store = Store(str(area.home))
    with touched(journal):
        assert recover_case(store, 1, 1, 5.0) == ("RUNNING", "n/a", "its worker lives")
    assert recover_case(store, 1, 1, 0.3)[:2] == ("LOST", "n/a")
    assert "no sign of life: none for 0.3 s" in row_of(area).comment
    before = row_of(area)
    assert recover_case(store, 1, 1, 0.3)[:2] == ("LOST", "n/a")
    assert row_of(area)._replace(gen=before.gen) == before


def test_a_silent_case_that_went_on_while_it_was_watched_is_left_alone(
    area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    single_writer(area)
    run = Recorded(area, "r1")
    running(run)

    def ends(paths: list[str], patience: float) -> set[str]:
        run.case("t", gen=2)
        return set()

    monkeypatch.setattr("mt.pipeline.recover.living", ends)
    assert recover_case(Store(str(area.home)), 1, 1, 0.3) == ("COMPLETED", "PASS", "it went on while we looked")
