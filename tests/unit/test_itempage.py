"""The page of a test's items (spec/config.md 5.3, spec/runs.md 5.16)."""

from __future__ import annotations

from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline.itempage import page, page_name
from mt.queries import Top

RUN = RunKey("ubuntu/nfs", "w49")
TOP = Top("sim", "COMPLETED", "FAIL", 3, True, {})
HOME = "/lt/ubuntu/nfs/w49/sim"


def row(item: str, status: str, **more: object) -> CaseRow:
    begun = {"state": "COMPLETED", "status": status, "secs": 61.0, "dir": f"{HOME}/{item}", **more}
    return CaseRow("sim", item)._replace(**begun)


def test_each_item_is_a_line_with_state_status_duration_log_and_directory() -> None:
    made = page(RUN, TOP, [row("a/1", "PASS")], {CaseKey("sim", "a/1"): "s1.html"}, HOME)
    assert "<h1>ubuntu/nfs//w49//sim</h1>" in made
    assert '<tr><td>a/1<td>COMPLETED<td class="PASS">PASS<td>1m 1s' in made
    assert '<td><a href="a/1/s1.html">s1.html</a><td><a href="a/1/">a/1</a>' in made


def test_an_item_that_told_of_no_log_links_to_the_usual_one() -> None:
    """spec/runs.md 5.9: final_logf is logs/final.log until somebody sets it."""
    assert '<a href="a/logs/final.log">' in page(RUN, TOP, [row("a", "PASS")], {}, HOME)


def test_an_item_that_has_not_begun_links_to_nothing() -> None:
    assert "href" not in page(RUN, TOP, [CaseRow("sim", "a")], {}, HOME)


def test_what_users_wrote_is_text_and_never_markup() -> None:
    odd = row('<b>"x"', "FAIL", comment="1 < 2 & <script>")
    made = page(RUN, TOP, [odd], {}, HOME)
    assert "<b>&quot;" not in made.replace("<b class", "") and "<script>" not in made
    assert "1 &lt; 2 &amp; &lt;script&gt;" in made
    assert 'href="%3Cb%3E%22x%22/logs/final.log"' in made


def test_the_page_is_named_after_its_test() -> None:
    assert page_name("sim") == "megatest-rollup-sim.html"
