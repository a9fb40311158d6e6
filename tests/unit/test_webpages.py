"""Pages stand alone and hold nothing of what users wrote as markup (spec/runs.md 5.15, 5.16)."""

from __future__ import annotations

from email import message_from_bytes, policy
from html.parser import HTMLParser

import pytest

from mt.comparing import Difference
from mt.diffreport import Report, message, send
from mt.errors import AnswerNo
from mt.model import CaseKey, RunKey
from mt.webpages import Line, Section, page, section, url

NASTY = '<script>x & "y"</script>'


class Reader(HTMLParser):
    """The elements, links and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_what_users_wrote_is_text() -> None:
    line = Line(NASTY, NASTY, NASTY, 0.0, 1.6, NASTY, url(f"a b/{NASTY}.html"))
    made = Section(NASTY, "", [("owner", NASTY), ("comment", "")], [line])
    found = Reader("".join(page(NASTY, section(made))))
    assert "script" not in found.tags
    assert found.words.count(NASTY) >= 6
    assert found.links == ["a%20b/%3Cscript%3Ex%20%26%20%22y%22%3C/script%3E.html"]
    assert "2" in found.words and "comment " not in found.words


def test_a_path_becomes_a_relative_or_a_file_url() -> None:
    assert url("a/b c%.html") == "a/b%20c%25.html"
    assert url("/x/ü") == "file:///x/%C3%BC"


REPORT = Report(
    RunKey("u/n", "r1"),
    RunKey("u/n", "r2"),
    [
        Difference(CaseKey("a"), "CLEAN", ("COMPLETED", "PASS"), ("COMPLETED", "PASS")),
        Difference(CaseKey("b"), "BETTER", ("COMPLETED", "FAIL"), ("COMPLETED", "PASS")),
        Difference(CaseKey("c", NASTY), "WORSE", ("COMPLETED", "PASS"), ("COMPLETED", "FAIL")),
    ],
)


def test_a_report_lists_all_but_clean_the_worst_first_with_a_summary() -> None:
    words = Reader("".join(REPORT.html())).words
    assert words.index("PASS->FAIL") < words.index("FAIL->PASS")
    assert f"c/{NASTY}" in words
    assert "PASS->PASS" not in words
    assert words[words.index("CLEAN") + 1] == "1"
    assert REPORT.text().splitlines()[-2:] == [
        f"WORSE        PASS->FAIL               c/{NASTY}",
        "BETTER       FAIL->PASS               b",
    ]


def test_a_mail_has_the_text_and_the_page() -> None:
    mail = message_from_bytes(message(REPORT, "ann@example.org", "diff\nBcc: x"), policy=policy.default)
    assert (mail["To"], mail["Subject"], mail["Bcc"]) == ("ann@example.org", "diff Bcc: x", None)
    assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]
    with pytest.raises(AnswerNo, match="no address"):
        message(REPORT, "a@b\nBcc: x", "diff")


def test_without_a_program_that_mails_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mt.diffreport.which", lambda name, path: None)
    with pytest.raises(AnswerNo, match="neither sendmail nor mail is installed"):
        send(REPORT, "ann@example.org", {})
