"""Pages of items written from a store, by commands, and by two at once (spec/config.md 2.1, 5.3; spec/runs.md 5.16)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recorded import Recorded
from testarea import TARGET, Area

from mt.area import Area as Read
from mt.errors import BusyError, MtError
from mt.fold import refresh
from mt.locks.filelock import held
from mt.pipeline import itempage
from mt.pipeline.itempage import Written, forget, page_name, summarize, write, write_by

ENV = {"PATH": os.defpath}


def recorded(area: Area) -> Recorded:
    """A run with an iterated test and a plain one."""
    run = Recorded(area)
    run.case("sim", "a", status="PASS")
    run.step("sim", "a", "s1")
    run.case("sim", "b", status="FAIL", comment="too slow")
    run.case("plain")
    return run


def pages(area: Area, run: Recorded, *tests: str, **more: bool) -> dict[str, Written]:
    refresh(run.store, run.id)
    read = Read.open(str(area.home), target=TARGET, run="r1", environ=ENV)
    return {w.top.test: w for w in summarize(read, run.store, run.id, run.key, tests or None, **more)}


def test_a_page_is_written_for_tests_with_items_only(area: Area) -> None:
    run = recorded(area)
    found = pages(area, run)
    path = run.dir("sim") / "megatest-rollup-sim.html"
    assert (found["sim"].page, found["plain"].page) == (str(path), "")
    assert (found["sim"].top.state, found["sim"].top.status) == ("COMPLETED", "FAIL")
    text = path.read_text()
    assert '<a href="a/s1.log">s1.log</a>' in text and "too slow" in text
    assert sorted(p.name for p in run.dir("sim").iterdir() if p.is_file()) == [path.name, f"{path.name}.lock"]


def test_only_the_tests_that_are_named_are_rolled_up(area: Area) -> None:
    assert list(pages(area, recorded(area), "plain")) == ["plain"]


def test_a_top_record_with_another_log_keeps_it_unless_forced(area: Area) -> None:
    """spec/config.md 5.3: refreshed unless the top log was set otherwise, or forced by -summarize-items."""
    run = recorded(area)
    run.tell("result", test="sim", item="", attempt=1, state="", status="", comment="", log="own.html")
    assert pages(area, run)["sim"].page == ""
    assert pages(area, run, force=True)["sim"].page.endswith(page_name("sim"))


def test_a_command_of_the_area_makes_the_page_instead(area: Area) -> None:
    """spec/config.md 2.1, [testrollup]: its standard output is the page; it runs in the test's top directory."""
    config = area.read("megatest.config")
    area({"megatest.config": config + '\n[testrollup]\nsim echo "$MT_TEST_NAME $MT_RUNNAME $MT_TARGET"; ls\n'})
    run = recorded(area)
    assert not pages(area, run)["sim"].trouble
    lines = (run.dir("sim") / page_name("sim")).read_text().splitlines()
    assert lines[0] == f"sim r1 {TARGET}"
    assert {"a", "b"} <= set(lines)


def test_the_old_page_stays_when_the_command_fails(area: Area) -> None:
    run = recorded(area)
    before = Path(pages(area, run)["sim"].page).read_text()
    config = area.read("megatest.config")
    area({"megatest.config": config + "\n[testrollup]\nsim echo half; echo no disk >&2; exit 3\n"})
    found = pages(area, run)["sim"]
    assert found == Written(found.top, "", "[testrollup] sim ended with 3: no disk")
    assert (run.dir("sim") / page_name("sim")).read_text() == before


def test_a_command_that_never_ends_is_ended_with_all_it_started(tmp_path: Path) -> None:
    write(str(tmp_path), "t", "old")
    with pytest.raises(MtError, match=r"took longer than 0\.5 s"):
        write_by("sleep 100 & echo $! > pid; wait", str(tmp_path), "t", ENV, 0.5)
    pid = int((tmp_path / "pid").read_text())
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
    assert (tmp_path / page_name("t")).read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == [page_name("t"), f"{page_name('t')}.lock", "pid"]


def test_two_writers_never_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itempage, "_PATIENCE", 0.1)
    with held(str(tmp_path / "megatest-rollup-t.html.lock")), pytest.raises(BusyError, match="rollup-t"):
        write(str(tmp_path), "t", "x")
    assert not (tmp_path / page_name("t")).exists()
    assert Path(write(str(tmp_path), "t", "x")).read_text() == "x"


def test_a_directory_that_takes_no_page_is_trouble_and_not_the_end(area: Area) -> None:
    run = recorded(area)
    (run.dir("sim") / page_name("sim")).mkdir()
    assert "cannot write" in pages(area, run)["sim"].trouble


def test_a_page_can_be_removed_with_its_lock(tmp_path: Path) -> None:
    write(str(tmp_path), "t", "x")
    forget(str(tmp_path), "t")
    forget(str(tmp_path), "t")
    assert list(tmp_path.iterdir()) == []
