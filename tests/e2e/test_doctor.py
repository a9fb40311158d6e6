"""mt doctor: what it sees, and that it really tries."""

from __future__ import annotations

from pathlib import Path

import pytest
from testarea import Area

from mt.locks import probe


def results(area: Area, *words: str) -> dict[str, tuple[str, str]]:
    """{check: (result, detail)}."""
    return {row["check"]: (row["result"], row["detail"]) for row in area.mt("doctor", *words, "-f", "ndjson").rows()}


def test_a_sound_area_has_nothing_that_fails(area: Area) -> None:
    result = area.mt("doctor", "-f", "ndjson")
    assert result.status == 0
    found = {row["check"]: row["result"] for row in result.rows()}
    for check in (
        "python",
        "package filelock",
        "area",
        "store",
        "locks",
        "database",
        "clock",
        "disk disk0",
        "launcher",
    ):
        assert found[check] == "ok", check
    assert not (area.home / ".mtdb").exists()
    assert not list(area.home.glob(".doctor*"))


def test_with_quiet_only_what_is_not_good_is_printed(area: Area) -> None:
    assert all(row["result"] != "ok" for row in area.mt("doctor", "-q", "-f", "ndjson").rows())


def test_an_area_whose_disks_are_all_unusable_fails(area: Area) -> None:
    (area.home / "runs").rmdir()
    assert area.mt("doctor").status == 1
    found = results(area)
    assert found["disks"][0] == "fail"
    assert "no such directory" in found["disk disk0"][1]


def test_a_launcher_that_is_not_there_fails(area: Area) -> None:
    config = area.read("megatest.config")
    area({"megatest.config": config + "\n[jobtools]\nlauncher no-such-submit -q fast\n"})
    result, detail = results(area)["launcher"]
    assert result == "fail"
    assert "'no-such-submit' is not on PATH" in detail


def test_a_store_of_a_newer_mt_fails(area: Area) -> None:
    area({".mtdb/AREA": '{"layout": 99, "id": "x"}'})
    assert results(area)["store"][0] == "fail"


def test_outside_an_area_the_machine_alone_is_looked_at(area: Area, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    result = area.mt("doctor", "-f", "ndjson", cwd=bare)
    found = {row["check"]: row["result"] for row in result.rows()}
    assert (result.status, found["area"], found["locks"]) == (0, "warn", "ok")
    assert list(bare.iterdir()) == []


def test_a_lock_that_keeps_nobody_out_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_TAKE", "")
    good, seen = probe.try_lock(str(tmp_path))
    assert (good, seen) == (False, "two processes held one lock at once")


def test_a_database_that_loses_updates_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_COUNT", "")
    good, seen = probe.try_database(str(tmp_path))
    assert not good
    assert "60 increments, 0 counted" in seen
