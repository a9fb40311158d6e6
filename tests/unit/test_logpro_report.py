"""What the log processor writes (spec/config.md P2, P30, P31)."""

from __future__ import annotations

import io
import re

from mt.pipeline.logpro import load_rules
from mt.pipeline.logpro.page import STYLE, Page, broken_page, escaped
from mt.pipeline.logpro.report import Annotated, dat, values
from mt.pipeline.logpro.scan import Scan, Verdict

RULES = """(print "reading rules")
(trigger "T" #/start/)
(expect:error in "LogFileBody" = 0 "no <b> & co" #/error/ class: "mine")
(expect:value in "LogFileBody" 5 0.5 "speed" #/v=(\\S+)/)
(expect:value in "LogFileBody" 1 > "load\nof [it] \\\\" #/w=(\\S+)/)
(expect:check in "LogFileBody" = 0 7 #/x/)
"""
LOG = b"start\nerror <1> & \x1b\nv=5\nv=9\nplain\nerror 2"


def written(rules: str, log: bytes) -> tuple[str, str, Verdict]:
    made = load_rules(rules, "r.logpro")
    scan = Scan(made)
    plain, page = io.BytesIO(), io.BytesIO()
    writers = (Annotated(plain), Page(page, "a<b>.html"))
    for writer in writers:
        writer.begin(made)
    for body, hit in scan.feed(log):
        for writer in writers:
            writer.piece(body, hit)
    verdict = scan.verdict()
    for writer in writers:
        writer.end(made, verdict)
    return plain.getvalue().decode(), page.getvalue().decode(), verdict


def test_the_annotated_log_has_every_line_and_a_remark_before_each_hit() -> None:
    text, _, _ = written(RULES, LOG)
    body, _, summary = text.partition("=" * 26 + "LOGPRO SUMMARY" + "=" * 26 + "\n")
    assert body.splitlines() == [
        "reading rules",
        "LOGPRO: hit trigger LogFileBodyStart on line 0",
        "LOGPRO: hit trigger T on line 0",
        "start",
        "LOGPRO Error: no <b> & co in section LogFileBody on line 1",
        "error <1> & \x1b",
        "LOGPRO Value: speed in section LogFileBody on line 2",
        "v=5",
        "LOGPRO Value: speed in section LogFileBody on line 3",
        "v=9",
        "plain",
        "LOGPRO Error: no <b> & co in section LogFileBody on line 5",
        "error 2",
    ]
    assert summary.splitlines() == [
        "trigger LogFileBodyStart: hit 1 of 1",
        "trigger T: hit 1 of 1",
        "FAIL error         count 2, expected = 0, in LogFileBody: no <b> & co",
        "FAIL value         count 2, expected 5 +/-0.5, measured 9, in LogFileBody: speed",
        "FAIL value         count 0, expected > 1, measured nothing, in LogFileBody: load of [it] \\",
        "MALFORMED r.logpro:7: expect:check: the description is not a string: 7",
        "EXIT CODE: 1 (FAIL) ERROR: no <b> & co",
    ]


def test_a_log_without_hits_comes_through_unchanged() -> None:
    text, _, _ = written("", b"a\r\n\xc3\xa9\n")
    assert text.startswith("LOGPRO: hit trigger LogFileBodyStart on line 0\na\r\né\n====")


def test_the_page_escapes_what_the_log_and_the_rules_say() -> None:
    _, page, _ = written(RULES, LOG)
    assert (
        '<a class="error mine" id="r1-1" href="#r1-2" title="no &lt;b&gt; &amp; co">error &lt;1&gt; &amp; .</a>' in page
    )
    assert "<title>a&lt;b&gt;.html</title>" in page
    assert '<h2 class="FAIL">EXIT CODE: 1 (FAIL)</h2>' in page
    assert 'class="value-fail" id="r2-2"' in page
    assert "r.logpro:7: expect:check" in page


def test_every_link_of_the_page_leads_somewhere() -> None:
    _, page, _ = written(RULES, LOG)
    names = re.findall(r'id="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(names)


def test_the_page_needs_nothing_beside_it() -> None:
    _, page, _ = written("", b"")
    assert STYLE in page
    assert 'href="logpro_style.css"' in page


def test_no_byte_of_a_log_breaks_a_page() -> None:
    text = escaped(bytes(range(256)))
    assert "<" not in text
    assert "\0" not in text
    assert "&amp;" in text
    assert text.count("\ufffd") == 128


def test_a_page_of_rules_that_cannot_be_read_says_so() -> None:
    page = broken_page("x.html", "Syntax error in your command file!", "x:1: <oops>").decode()
    assert "Syntax error in your command file!" in page
    assert "x:1: &lt;oops&gt;" in page


def test_the_dat_has_value_rules_and_the_outcome() -> None:
    _, _, v = written(RULES, LOG)
    assert dat(v.code, v.name, v.message, v.results).split("\n\n") == [
        "[rule-2]\noperator =\nsection LogFileBody\ndesc speed\nstatus FAIL\nexpected 5\nmeasured 9\ntype +/-0.5\n"
        "pass 1\nfail 1",
        "[rule-3]\noperator >\nsection LogFileBody\ndesc load of [it]\nstatus FAIL\nexpected 1\nmeasured n/a\ntype >\n"
        "pass 0\nfail 0",
        "[final]\nexit-code 1\nexit-status FAIL\nmessage ERROR: no <b> & co\n",
    ]


def test_nothing_in_a_dat_runs_when_it_is_read_as_an_area_file() -> None:
    text = dat(1, "FAIL", "#{shell rm} \\", ())
    assert text.endswith("message # {shell rm}\n")
    assert dat(1, "FAIL", "[system rm]", ()).endswith("message (system rm]\n")


def test_values_carry_what_a_test_records() -> None:
    _, _, v = written(RULES, LOG)
    speed, load, final = values(v.code, v.name, v.message, v.results)
    assert speed == ("rule-2", "9", "5", "0.5", "FAIL", "speed", "+/-0.5", "n/a")
    assert (load.measured, load.tol, load.type) == ("n/a", ">", ">")
    assert (final.name, final.measured, final.status, final.type) == ("final", "1", "FAIL", "logpro")
    assert final.desc == "ERROR: no <b> & co"
