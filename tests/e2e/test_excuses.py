"""`mt waive` and `mt quarantine` as users call them (spec/features.md B6)."""

from __future__ import annotations

import os
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from testarea import BIN, TARGET, Area

TODAY = date.today()


@pytest.fixture
def area(area: Area) -> Area:
    """An area with a test that has items and one that has none, in the zone of these tests."""
    area.env.pop("TZ")
    return area.test("diskperf", items={"D": "sda sdb"}).test("soak")


def test_an_entry_is_a_section_of_waivers_config(area: Area) -> None:
    done = area.ok(
        "waive", "ubuntu/%//%//diskperf/sda%", "--ticket", "BUG-12", "--owner", "mary", "--until", "2999-12-31",
        "-m", "known  since\nmonday",
    )  # fmt: skip
    assert done.out == ""
    assert done.err == "mt: waived until 2999-12-31: ubuntu/%//%//diskperf/sda%\n"
    assert area.read("waivers.config") == (
        "[waive ubuntu/%//%//diskperf/sda%]\nticket  BUG-12\nowner   mary\nuntil   2999-12-31\n"
        f"reason  known since monday\nadded   {TODAY}\n"
    )


def test_an_excuse_holds_for_a_month_when_nobody_says_how_long(area: Area) -> None:
    area.ok("quarantine", "soak", "--ticket", "T")
    area.ok("waive", "soak", "-m", "x", "--until", "2w")
    area.ok("waive", "diskperf", "-m", "x", "--until", "never")
    month = area.rows("quarantine", "list")[0]
    assert (month["until"], month["days"], month["expired"]) == (str(TODAY + timedelta(30)), 30, False)
    assert [row["days"] for row in area.rows("waive")] == [14, None]
    assert month["status"] == "FAIL,ABORT,DEAD"
    assert month["where"] == "waivers.config:1"


def test_what_else_stands_in_the_file_stays(area: Area) -> None:
    """spec/config.md T36: old contents are ignored."""
    old = "# ours\n[waivers]\nw logpro out.txt\n"
    area({"waivers.config": old})
    assert area.mt("waive", "list").status == 7
    area.ok("waive", "soak", "--ticket", "T")
    assert area.read("waivers.config").startswith(old + "\n[waive soak]\n")
    area.ok("waive", "remove", "soak")
    assert area.read("waivers.config") == old + "\n"


def test_ids_come_from_standard_input_and_lose_their_run_on_request(area: Area) -> None:
    ids = f"{TARGET}//w49//diskperf/sda\n{TARGET}//w49//soak\n"
    area.ok("waive", "add", "-", "--ticket", "T", "--all-runs", stdin=ids)
    assert area.ok("waive", "-f", "ids").lines() == [f"{TARGET}//%//diskperf/sda", f"{TARGET}//%//soak"]
    assert "only in the run 'w49'" in area.ok("quarantine", "-", "--ticket", "T", stdin=ids).err


def test_check_names_what_is_of_no_use_any_more(area: Area) -> None:
    area.ok("waive", "soak", "--ticket", "T", "--until", "never")
    assert area.ok("waive", "check").out == ""
    area({"waivers.config": area.read("waivers.config") + """
        [waive diskperf/sd%]
        until 2020-01-01
        [waive diskperf/sdc]
        [waive diskprf]
        [waive diskperf/sda]
        until soon
        [quarantine nobody]
    """.replace("        ", "")})  # fmt: skip
    done = area.mt("waive", "check", "-f", "ndjson")
    assert done.status == 1
    assert [(row["id"], row["trouble"]) for row in done.rows()] == [
        ("diskperf/sd%", "expired"),
        ("diskperf/sdc", "no test or item is called so"),
        ("diskprf", "no test or item is called so"),
        ("diskperf/sda", "until: 'soon' is no day as 2026-12-31"),
    ]
    assert area.mt("quarantine", "check").status == 1


def test_an_entry_can_be_renewed_ended_and_removed(area: Area) -> None:
    area.ok("waive", "soak", "diskperf", "--ticket", "T")
    area.ok("waive", "renew", "soak", "diskperf", "--until", "2999-01-01")
    assert [row["until"] for row in area.rows("waive")] == ["2999-01-01", "2999-01-01"]
    area.ok("waive", "expire", "soak")
    assert [row["days"] for row in area.rows("waive", "list", "--expired")] == [-1]
    area.ok("waive", "remove", "--expired")
    assert area.ok("waive", "-f", "ids").lines() == ["diskperf"]
    assert area.mt("waive", "remove", "--expired").status == 7


def test_a_dry_run_changes_nothing(area: Area) -> None:
    assert "waived until" in area.ok("waive", "soak", "--ticket", "T", "-n").err
    assert not (area.home / "waivers.config").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("soak",), 2, "mt: mt waive: say why"),
        (("add",), 2, "mt: mt waive add: ID is missing"),
        (("soak", "-m", "x", "--until", "soon"), 2, "mt: --until: 'soon' is no day"),
        (("soak", "-m", "x", "--until", "5"), 2, "mt: --until: '5' is no day"),
        (("soak", "-m", "x", "--until", "2020-01-01"), 2, "mt: --until: 2020-01-01 has passed"),
        (("soak", "-m", "x", "--until", "99999999y"), 2, "mt: --until: '99999999y' is too far away"),
        (("remove", "soak"), 7, "mt: no entry [waive soak] in waivers.config"),
        (("renew", "soak"), 7, "mt: no entry [waive soak] in waivers.config"),
        (("list",), 7, "mt: no such entries [waive ID] in waivers.config"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(area: Area, words: tuple[str, ...], status: int, said: str) -> None:
    done = area.mt("waive", *words)
    assert done.status == status
    assert done.err.startswith(said), done.err
    assert not (area.home / "waivers.config").exists()


def test_an_entry_that_is_there_is_not_put_in_twice(area: Area) -> None:
    area.ok("waive", "soak", "--ticket", "T")
    done = area.mt("waive", "soak", "--ticket", "T")
    assert done.status == 2
    assert "hint: mt waive renew 'soak' --until DAY" in done.err


def test_many_at_once_all_get_their_entry_in(area: Area) -> None:
    names = [f"t{n}" for n in range(6)]
    started = [area.start("waive", name, "--ticket", "T") for name in names]
    for child in started:
        with child:
            assert child.wait() == 0
    assert sorted(area.ok("waive", "-f", "ids").lines()) == names
    assert list(area.home.glob("*.tmp")) == []


def test_the_rights_of_the_file_and_a_link_to_it_stay(area: Area) -> None:
    real = area.home.parent / "shared.config"
    real.write_text("")
    real.chmod(0o664)
    Path(area.home / "waivers.config").symlink_to(real)
    area.ok("waive", "soak", "--ticket", "T")
    assert "[waive soak]" in real.read_text()
    assert os.stat(real).st_mode & 0o777 == 0o664
    assert (area.home / "waivers.config").is_symlink()


def test_check_of_the_area_shows_what_cannot_be_understood(area: Area) -> None:
    area({"waivers.config": "[waive soak]\nuntil soon\n"})
    done = subprocess.run(
        [str(BIN / "mt"), "check"], cwd=area.home, env=area.env, capture_output=True, text=True, check=False
    )
    assert "waivers.config:2: error: until: 'soon' is no day as 2026-12-31, so nothing is excused" in done.stdout
