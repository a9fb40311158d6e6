"""Events as they are typed for `mt on` (spec/config.md T60)."""

from __future__ import annotations

import pytest

from mt.errors import UsageError
from mt.model import CaseRow
from mt.pipeline.events import Event, events_of, words_for
from mt.pipeline.triggers import Change


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("COMPLETED/FAIL", [("COMPLETED", "FAIL")]),
        ("COMPLETED/", [("COMPLETED", "")]),
        ("/FAIL", [("", "FAIL")]),
        ("FAIL", [("", "FAIL")]),
        ("RUNNING", [("RUNNING", "")]),
        ("KILLED, /ABORT", [("KILLED", ""), ("", "ABORT")]),
        ("STUCK/DEAD", [("STUCK", "DEAD")]),
    ],
)
def test_an_event_is_a_state_a_status_or_both(text: str, events: list[tuple[str, str]]) -> None:
    assert list(events_of(text)) == events


@pytest.mark.parametrize("text", ["", "/", "FAIL,,PASS"])
def test_an_event_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        events_of(text)


def test_an_event_fits_what_it_says() -> None:
    row = CaseRow("t", "", state="COMPLETED", status="FAIL")
    assert Event("COMPLETED", "").fits(row)
    assert Event("", "FAIL").fits(row)
    assert not Event("KILLED", "FAIL").fits(row)
    assert not Event("COMPLETED", "PASS").fits(row)


def test_a_command_gets_the_arguments_of_a_trigger() -> None:
    change = Change("t", "", 7, "COMPLETED", "FAIL", 12.7, "/d")
    given = ["7", "/d", "/FAIL", "t", "", "COMPLETED", "FAIL", "12"]
    assert words_for(["a", "b c"], "/FAIL", change) == ["a", "b c", *given]
    assert words_for(["echo $4; x"], "/FAIL", change) == ["/bin/sh", "-c", "echo $4; x", "mt-on", *given]
