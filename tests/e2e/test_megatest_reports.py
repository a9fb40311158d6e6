"""Spreadsheets, differences and pages of the old command (spec/runs.md 5.14 to 5.16)."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from recorded import Recorded
from testarea import TARGET, Area, Result

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def megatest(area: Area, *words: str, path: str | None = None) -> Result:
    return area.mt(*words, prog="megatest", env={"PATH": path} if path else None)


def sheets(path: Path) -> dict[str, list[list[str]]]:
    with zipfile.ZipFile(path) as archive:
        content = ElementTree.fromstring(archive.read("content.xml"))
    return {
        str(table.get(TABLE + "name")): [
            ["".join(cell.itertext()) for cell in row.findall(TABLE + "table-cell")]
            for row in table.iter(TABLE + "table-row")
        ]
        for table in content.iter(TABLE + "table")
    }


def two_runs(area: Area) -> tuple[Recorded, Recorded]:
    first, second = Recorded(area, "r1"), Recorded(area, "r2")
    first.case("same")
    first.case("worse", "1")
    first.case("gone")
    first.case("better", status="FAIL")
    second.case("same")
    second.case("worse", "1", status="FAIL", comment="<b>slow</b>")
    second.case("better")
    second.case("new")
    return first, second


# -- 5.14


def test_extract_ods_has_a_sheet_of_runs_and_one_for_each_test_with_data(area: Area) -> None:
    """spec/runs.md 5.14."""
    area.test("a", more="[test_meta]\nauthor ann\ndescription does it\ntags x,y\n")
    run = Recorded(area)
    run.case("a", comment="fine")
    run.case("b", "1", status="FAIL")
    run.value("a", "", "speed/mean", "5", "pass", expected="4.5", tol="1", units="s", comment="ok")
    megatest(area, "-update-meta")
    path = area.home / "out.ods"
    done = megatest(area, "-extract-ods", "out.ods", "-target", "ubuntu/%", "-runname", "%")
    assert (done.status, done.out) == (0, "")
    found = sheets(path)
    assert list(found) == ["Runs", "a"]
    assert found["Runs"][0] == [
        "Run Id", "Runname", "SYSTEM", "FS", "Testname", "Item Path", "Description", "State", "Status", "Final Log",
        "Run Duration", "When Run", "Tags", "Run Owner", "Comment", "Author", "Test Owner", "Reviewed", "Diskfree",
        "Uname", "Rundir", "Host", "Cpu Load",
    ]  # fmt: skip
    rows = [dict(zip(found["Runs"][0], row, strict=True)) for row in found["Runs"][1:]]
    assert [(row["Testname"], row["Item Path"], row["Status"]) for row in rows] == [
        ("a", "", "PASS"), ("b", "", "FAIL"), ("b", "1", "FAIL"),
    ]  # fmt: skip
    first = rows[0]
    assert (first["Run Id"], first["SYSTEM"], first["FS"], first["Run Duration"]) == ("1", "ubuntu", "nfs", "2")
    assert (first["Description"], first["Author"], first["Tags"], first["Comment"]) == ("does it", "ann", "x,y", "fine")
    assert first["When Run"] == "09/21/2026 14:13:20"
    assert found["a"] == [
        ["Run Id", "Testname", "Item Path", "Category", "Variable", "Value", "Expected", "Tol", "Units", "Status",
         "Comment"],
        ["1", "a", "", "speed", "mean", "5", "4.5", "1", "s", "pass", "ok"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prefix", "shown"),
    [
        ("/mnt/logs", f"/mnt/logs/{TARGET}/r1/b/1/logs/final.log"),
        ("L:\\logs", "L:\\logs\\ubuntu\\nfs\\r1\\b\\1\\logs\\final.log"),
    ],
)
def test_pathmod_prefixes_the_path_of_logs(area: Area, prefix: str, shown: str) -> None:
    """spec/runs.md 5.14 -pathmod: the windows form if the text has backslashes."""
    run = Recorded(area)
    run.case("b", "1")
    run.case("later", state="NOT_STARTED", status="n/a")
    megatest(area, "-extract-ods", "o.ods", "-target", TARGET, "-runname", "r1", "-pathmod", prefix)
    logs = {(row[4], row[5]): row[9] for row in sheets(area.home / "o.ods")["Runs"][1:]}
    assert logs["b", "1"] == shown
    assert logs["later", ""] == ""


def test_extract_ods_needs_target_and_run_name(area: Area) -> None:
    """spec/runs.md 1.2, 1.3."""
    assert megatest(area, "-extract-ods", "o.ods", "-target", TARGET).status == 3
    assert megatest(area, "-extract-ods", "o.ods", "-runname", "r1").status == 3
    assert megatest(area, "-extract-ods", "o.ods", "-target", TARGET, "-runname", "none").status == 0
    assert len(sheets(area.home / "o.ods")["Runs"]) == 1


# -- 5.15

DIFF = ("-diff-rep", "-src-target", TARGET, "-src-runname", "r1", "-target", TARGET, "-runname", "r2")


def test_a_difference_is_a_page_of_all_but_clean_tests(area: Area) -> None:
    """spec/runs.md 5.15."""
    two_runs(area)
    done = megatest(area, *DIFF, "-diff-html", "diff.html")
    assert (done.status, done.out) == (0, "")
    page = area.read("diff.html")
    rows = re.findall(r"<tr><td>([^<]*)<td[^>]*>([A-Z-]+)<td>([^<]*)<td>", page)
    assert rows == [
        ("worse", "WORSE", "PASS-&gt;FAIL"),
        ("worse/1", "WORSE", "PASS-&gt;FAIL"),
        ("better", "BETTER", "FAIL-&gt;PASS"),
        ("gone", "NOT-IN-DEST", "PASS-&gt;absent"),
        ("new", "NOT-IN-SRC", "absent-&gt;PASS"),
    ]
    assert dict(re.findall(r'<tr><td>([A-Z-]+)<td class="n">(\d+)</tr>', page))["CLEAN"] == "1"


def test_a_difference_needs_two_runs_and_a_place_to_go(area: Area) -> None:
    """spec/runs.md 5.15: else exit 1."""
    two_runs(area)
    assert megatest(area, *DIFF).status == 1
    assert megatest(area, *DIFF[:3], "-diff-html", "d.html").status == 1
    unknown = megatest(area, *DIFF[:-1], "r9", "-diff-html", "d.html")
    assert (unknown.status, unknown.err) == (1, f"ERROR: there is no run {TARGET}/r9\n")
    assert not (area.home / "d.html").exists()


def test_a_difference_is_mailed_by_sendmail_or_mail(area: Area) -> None:
    two_runs(area)
    area(
        {
            "one/sendmail": f'#!/bin/sh\necho "$@" > {area.home}/words; cat > {area.home}/mail\n',
            "two/sendmail": "#!/bin/sh\ncat >/dev/null; echo no route >&2; exit 75\n",
        }
    )
    usual = area.env["PATH"]
    assert megatest(area, *DIFF, "-diff-email", "ann@example.org", path=f"{area.home}/one:{usual}").status == 0
    assert area.read("words") == "-t\n"
    assert "To: ann@example.org" in area.read("mail")
    assert "WORSE        PASS->FAIL" in area.read("mail")
    refused = megatest(area, *DIFF, "-diff-email", "ann@example.org", path=f"{area.home}/two:{usual}")
    assert (refused.status, refused.err) == (
        1,
        "ERROR: cannot send the report to 'ann@example.org': no route\n",
    )


# -- 5.16


def test_pages_show_ten_runs_each_the_newest_first(area: Area) -> None:
    """spec/runs.md 5.16 -generate-html."""
    for n in range(12):
        Recorded(area, f"r{n:02}").case("a", comment="<i>x</i>")
    done = megatest(area, "-generate-html")
    assert (done.status, done.out) == (0, "")
    first, second = area.read("lt/page0.html"), area.read("lt/page1.html")
    titles = re.findall(r"<h2>([^<]*)</h2>", first)
    assert (titles[0], len(titles)) == (f"{TARGET}//r11", 10)
    assert re.findall(r"<h2>([^<]*)</h2>", second) == [f"{TARGET}//r01", f"{TARGET}//r00"]
    assert f'<a href="{TARGET}/r11/a/logs/final.log">a</a>' in first
    assert "&lt;i&gt;x&lt;/i&gt;" in first and "<i>" not in first
    assert 'href="page1.html"' in first and 'href="page0.html"' in second
    assert not (area.home / "lt" / "page2.html").exists()


def test_pages_of_runs_that_are_gone_are_removed(area: Area) -> None:
    Recorded(area).case("a")
    (area.home / "lt" / "page1.html").write_text("old")
    megatest(area, "-generate-html")
    assert not (area.home / "lt" / "page1.html").exists()


def test_the_structure_leads_from_targets_to_runs_to_logs(area: Area) -> None:
    """spec/runs.md 5.16 -generate-html-structure."""
    Recorded(area).case("b", "1", status="FAIL")
    Recorded(area, "r2", "centos/nfs").case("a")
    done = megatest(area, "-generate-html-structure")
    assert (done.status, done.out) == (0, "")
    top = area.read("lt/targets.html")
    assert re.findall(r"<h2>([^<]*)</h2>", top) == ["centos/nfs", TARGET]
    links = re.findall(r'href="([^"]*)"', top)
    assert links == ["centos/nfs/r2/run.html", f"{TARGET}/r1/run.html"]
    page = area.read(f"lt/{links[1]}")
    assert '<a href="b/1/logs/final.log">b/1</a>' in page
    assert '<td class="bad">FAIL' in page


def test_an_area_without_runs_has_empty_pages(area: Area) -> None:
    for option, name in (("-generate-html", "page0.html"), ("-generate-html-structure", "targets.html")):
        assert megatest(area, option).status == 0
        assert "<h1>" in area.read(f"lt/{name}")
