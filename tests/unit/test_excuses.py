"""Waivers and quarantines with owner, ticket and last day (spec/features.md B6)."""

from __future__ import annotations

import pytest

from mt.excuses import (
    Entry,
    Excuses,
    days_left,
    entries_of,
    problems_of,
    trouble,
    understood,
    with_entry,
    with_value,
    without,
)  # fmt: skip
from mt.model import CaseKey, RunKey

TEXT = """\
# known failures
[setup]
waive nothing

[waive ubuntu/%//%//diskperf/sda%]
ticket  BUG-12
owner   mary
until   2026-12-31
reason  the new kernel
  counts in sectors
comment %sectors%

# flaky since spring
[quarantine soak]
ticket BUG-77
"""
RUN = RunKey("ubuntu/nfs", "w49")
SDA = CaseKey("diskperf", "sda/4k")


def excuses(text: str = TEXT) -> Excuses:
    return Excuses(understood(text))


def test_sections_that_are_no_excuses_are_ignored() -> None:
    """spec/config.md T36: old contents of waivers.config have no effect."""
    assert [(e.kind, e.pattern) for e in entries_of(TEXT)] == [
        ("waive", "ubuntu/%//%//diskperf/sda%"),
        ("quarantine", "soak"),
    ]
    assert entries_of("anything at all\n[waivers]\nw logpro f\n[waived x]\n") == []


def test_values_may_go_on_in_indented_lines() -> None:
    entry = entries_of(TEXT)[0]
    assert entry.reason == "the new kernel counts in sectors"
    assert (entry.first, entry.last) == (5, 11)


def test_a_waived_failure_names_ticket_owner_and_last_day() -> None:
    found = excuses().of(RUN, SDA, "FAIL", "3 sectors are bad", "2026-12-31")
    assert found is not None
    assert found.status == "WAIVED"
    assert found.comment == "waived until 2026-12-31 (BUG-12, mary): 3 sectors are bad"
    quiet = excuses("[quarantine t]\n").of(RUN, CaseKey("t"), "FAIL", "", "2026-12-31")
    assert quiet is not None and quiet.comment == "quarantined: FAIL"


@pytest.mark.parametrize(
    ("run", "key", "status", "comment"),
    [
        (RunKey("suse/nfs", "w49"), SDA, "FAIL", "sectors"),
        (RUN, CaseKey("diskperf", "sdb/4k"), "FAIL", "sectors"),
        (RUN, CaseKey("diskperf2", "sda"), "FAIL", "sectors"),
        (RUN, SDA, "ABORT", "sectors"),
        (RUN, SDA, "PASS", "sectors"),
        (RUN, SDA, "FAIL", "another reason"),
    ],
)
def test_only_what_an_entry_names_is_excused(run: RunKey, key: CaseKey, status: str, comment: str) -> None:
    assert excuses().of(run, key, status, comment, "2026-12-31") is None


def test_an_expired_entry_excuses_nothing() -> None:
    assert excuses().of(RUN, SDA, "FAIL", "sectors", "2027-01-01") is None


def test_a_quarantined_test_has_no_bad_verdict() -> None:
    for status in ("FAIL", "ABORT", "DEAD"):
        found = excuses().of(RUN, CaseKey("soak", "any"), status, "x", "2026-01-01")
        assert found is not None and found.comment == "quarantined (BUG-77): x"
    assert excuses().of(RUN, CaseKey("soak"), "PASS", "", "2026-01-01") is None
    assert excuses().of(RUN, CaseKey("soak"), "PREQ_FAIL", "", "2026-01-01") is None


def test_statuses_can_be_named_by_key_or_in_the_id() -> None:
    by_key = excuses("[waive t]\nstatus fail,killed\n")
    assert by_key.of(RUN, CaseKey("t"), "KILLED", "", "2026-01-01")
    assert not by_key.of(RUN, CaseKey("t"), "ABORT", "", "2026-01-01")
    assert excuses("[waive t:ABORT]\n").of(RUN, CaseKey("t"), "ABORT", "", "2026-01-01")


def test_the_first_entry_that_has_not_expired_counts() -> None:
    two = excuses("[waive t]\nticket A\nuntil 2026-01-01\n[waive t]\nticket B\n")
    first, second = (two.of(RUN, CaseKey("t"), "FAIL", "", day) for day in ("2026-01-01", "2026-01-02"))
    assert first is not None and first.entry.ticket == "A"
    assert second is not None and second.entry.ticket == "B"


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("[waive t]\nuntil soon\n", "waivers.config:2", "until: 'soon' is no day as 2026-12-31, so nothing is excused"),
        ("\n[waive t]\nticket 1\nuntil 2026-02-30", "waivers.config:4", "until: '2026-02-30' is no day"),
        ("[waive ]\n", "waivers.config:1", "[waive] names no cases"),
        ("[quarantine]\n", "waivers.config:1", "[quarantine] names no cases"),
        ("[waive t]\ntikcet 5\n", "waivers.config:2", "unknown key 'tikcet'"),
        ("[waive t]\n[waive t]\n", "waivers.config:2", "stands here a second time"),
    ],
)
def test_what_cannot_be_understood_is_one_line_with_its_place(text: str, where: str, said: str) -> None:
    found = list(problems_of(text))
    assert [p.where for p in found] == [where]
    assert said in found[0].text


def test_what_cannot_be_understood_excuses_nothing_and_breaks_nothing() -> None:
    assert understood("[waive t]\nuntil soon\n[waive]\n") == []
    assert not excuses("[waive t]\nuntil 2026-1-1\n").of(RUN, CaseKey("t"), "FAIL", "", "2026-01-01")
    assert list(problems_of(TEXT)) == []


def test_an_entry_can_be_without_an_end() -> None:
    assert [e.until for e in understood("[waive t]\nuntil never\n[waive u]\nuntil -\n")] == ["", ""]
    assert days_left("", "2026-01-01") is None
    assert (days_left("2026-01-03", "2026-01-01"), days_left("2025-12-31", "2026-01-01")) == (2, -1)


# -- changing the text


def test_an_added_entry_reads_back_and_the_rest_stays() -> None:
    new = Entry("waive", "a/b", "T 1", "me", "2026-05-05", "two\nlines", "FAIL", "%x%", "2026-01-01")
    for before in ("", "x", "x\n", "x\n\n", TEXT):
        after = with_entry(before, new)
        assert after.startswith(before)
        read = entries_of(after)[-1]
        assert read._replace(first=0, last=0) == new._replace(reason="two lines")
    assert with_entry("", new).startswith("[waive a/b]\n")


def test_a_removed_entry_takes_its_own_lines_only() -> None:
    first, second = entries_of(TEXT)
    assert without(TEXT, [first]) == TEXT[: TEXT.index("[waive ubuntu")] + TEXT[TEXT.index("# flaky") :]
    assert without(TEXT, [second]) == TEXT[: TEXT.index("[quarantine")]
    assert "[setup]\nwaive nothing\n" in without(TEXT, [second, first])


def test_a_value_is_set_in_its_place_or_at_the_end_of_its_section() -> None:
    first, second = entries_of(TEXT)
    renewed = with_value(TEXT, first, "until", "2027-06-30")
    assert renewed == TEXT.replace("until   2026-12-31", "until   2027-06-30")
    assert with_value(TEXT, second, "until", "2027-06-30") == TEXT + "until   2027-06-30\n"
    bare = "[waive t]"
    assert with_value(bare, entries_of(bare)[0], "until", "2027-06-30") == "[waive t]\nuntil   2027-06-30\n"


def test_trouble_is_none_for_a_good_entry() -> None:
    assert trouble(Entry("waive", "t", until="2028-02-29")) == ""
