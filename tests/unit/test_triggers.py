"""Which triggers fire, and what they are given (spec/runs.md 4.10, spec/config.md T60)."""

from __future__ import annotations

import binascii
import json

import pytest

from mt.inside import inside
from mt.model import RunKey
from mt.pipeline import caseenv
from mt.pipeline.triggers import Change, Hit, Triggers, command_line, environment, hits, other_letters

LINES = (
    ("/FAIL", "b.sh"),
    ("COMPLETED/", "a.sh"),
    ("COMPLETED/FAIL", "c.sh"),
    ("PASS/", "d.sh"),
    ("KILLED/FAILED TO KILL", "e.sh"),
    ("RUNNING/", ""),
)
CHANGE = Change("t", "a/1", 7, "COMPLETED", "FAIL", 1790000000.9, "/lt/u/r/t/a/1")


@pytest.mark.parametrize(
    ("state", "status", "fired"),
    [
        ("COMPLETED", "FAIL", ["c.sh", "a.sh", "b.sh"]),
        ("COMPLETED", "PASS", ["a.sh"]),
        ("RUNNING", "n/a", []),
        ("RUNNING", "FAIL", ["b.sh"]),
        ("PASS", "n/a", ["d.sh"]),
    ],
)
def test_keys_are_looked_up_from_the_exact_one_to_the_status(state: str, status: str, fired: list[str]) -> None:
    """The table of spec/runs.md 4.10; `PASS/` is a state, not a status (D11 of spec/config.md 7)."""
    assert [hit.command for hit in hits(LINES, (), state, status)] == fired


def test_those_of_the_test_come_before_those_of_the_area() -> None:
    found = list(hits((("/FAIL", "own"),), (("COMPLETED/FAIL", "common"),), "COMPLETED", "FAIL"))
    assert found == [Hit("/FAIL", "own", "tconfig"), Hit("COMPLETED/FAIL", "common", "mtconfig")]


def test_the_name_of_the_log_has_neither_slashes_nor_blanks() -> None:
    assert Hit("KILLED/FAILED TO KILL", "e", "tconfig").log == "tconfig-last-trigger-KILLED-FAILED-TO-KILL.log"
    assert Hit("/FAIL", "b", "mtconfig").log == "mtconfig-last-trigger--FAIL.log"


def test_a_trigger_gets_eight_arguments_and_an_empty_item_path_is_one_of_them() -> None:
    """D11 of spec/runs.md 9.2: the original lost the empty one and shifted the others."""
    words = command_line(Hit("COMPLETED/FAIL", "c.sh -x", "tconfig"), CHANGE._replace(item=""))
    assert words[2].endswith('c.sh -x "$@"')
    assert words[4:] == ["7", CHANGE.dir, "COMPLETED/FAIL", "t", "", "COMPLETED", "FAIL", "1790000000"]


def test_nothing_is_wanted_without_triggers() -> None:
    assert not Triggers("/area").wanted()
    assert Triggers("/area").wanted((("/FAIL", "x"),))
    assert Triggers("/area", (("/FAIL", "x"),)).wanted()


def test_the_environment_names_the_test_and_is_no_mark_of_the_case() -> None:
    who = caseenv.Who("/area/.mtdb", 3, RunKey("u", "r"), "t", "a/1", 2, 5, CHANGE.dir)
    env = environment({"A": "1", "PWD": "/", "MT_CMDINFO": caseenv.cmdinfo(who)}, CHANGE)
    assert (env["A"], env["MT_TEST_NAME"], env["MT_ITEMPATH"], env["MT_TEST_RUN_DIR"]) == ("1", "t", "a/1", CHANGE.dir)
    assert "PWD" not in env
    assert caseenv.mark(who) not in f"MT_CMDINFO={env['MT_CMDINFO']}".encode()
    here = inside(env)
    assert (here.run_id, here.test, here.item, here.attempt) == (3, "t", "a/1", 2)


def test_an_unreadable_cmdinfo_stays_as_it_is() -> None:
    assert other_letters("?") == "?"
    assert other_letters(binascii.b2a_base64(json.dumps([1]).encode()).decode()) != ""
