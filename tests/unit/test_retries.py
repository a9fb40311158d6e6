"""How often a case runs again, who says so, and how long it waits (spec/features.md B5, B7)."""

from __future__ import annotations

import pytest

from mt.config import Reading, parse
from mt.retries import WORDS, Retry, asked, pause, problems, read


def said(text: str) -> Retry:
    """What a section [setup] says."""
    return read(parse(f"[setup]\n{text}", "/area/megatest.config", Reading("/area", env={})), "setup")


def test_the_nearest_word_wins_each_for_itself() -> None:
    area, test, typed = said("retries 1\nretry all"), said("retry infra"), asked(3, None)
    assert typed.over(test.over(area)) == Retry(3, WORDS["infra"])
    assert asked(None, "fail").over(test.over(area)) == Retry(1, WORDS["fail"])
    assert asked(0, None).over(area).times == 0


@pytest.mark.parametrize(
    ("retry", "kind", "tried", "allowed"),
    [
        (Retry(), "bad", 0, False),
        (Retry(2), "bad", 1, True),
        (Retry(2), "unfinished", 1, True),
        (Retry(2), "bad", 2, False),
        (asked(2, "infra"), "bad", 0, False),
        (asked(2, "infra"), "unfinished", 0, True),
        (asked(2, "fail"), "unfinished", 0, False),
        (asked(None, "infra"), "unfinished", 0, True),
        (asked(None, "infra"), "unfinished", 1, False),
        (asked(0, "infra"), "unfinished", 0, False),
        (Retry(2), "good", 0, False),
    ],
)
def test_what_is_tried_again_and_how_often(retry: Retry, kind: str, tried: int, allowed: bool) -> None:
    assert retry.allows(kind, tried) is allowed


def test_the_pause_doubles_up_to_a_minute() -> None:
    assert [pause(n) for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pause(10**6) == 60


def test_what_cannot_be_understood_is_not_said_and_is_told() -> None:
    text = "retries two\nretry sometimes"
    config = parse(f"[setup]\n{text}", "/area/megatest.config", Reading("/area", env={}))
    assert read(config, "setup") == Retry()
    assert [(p.where, p.text) for p in problems(config, "setup")] == [
        ("megatest.config:2", "[setup] retries: 'two' is not a number, so nothing is tried again"),
        ("megatest.config:3", "[setup] retry: unknown word 'sometimes'"),
    ]
    assert said("retries -1") == Retry() and not said("").kinds
