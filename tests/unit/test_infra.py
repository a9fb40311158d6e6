"""Rules of [infra]: which failures are the machine's (spec/features.md B7)."""

from __future__ import annotations

import signal

import pytest

from mt import infra
from mt.config import Reading, parse
from mt.infra import Rules, judged_by, problems, rules_of
from mt.pipeline import verdict
from mt.pipeline.verdict import Overall


def rules(text: str) -> Rules:
    """The rules of a section that stands from line 2 on in /area/megatest.config."""
    return rules_of(parse(f"[infra]\n{text}", "/area/megatest.config", Reading("/area", env={})))


def doubts(text: str) -> list[tuple[str, str]]:
    """Where and what is wrong with the same."""
    config = parse(f"[infra]\n{text}", "/area/megatest.config", Reading("/area", env={}))
    return [(p.where, p.text) for p in problems(config)]


@pytest.mark.parametrize(
    ("exits", "fits"),
    [
        ((75,), True), ((120,), True), ((125,), True), ((126,), False), ((1,), False), ((0,), False), ((-75,), False),
        ((75, 1), True), ((0, 1), False),
    ],
)  # fmt: skip
def test_an_exit_rule_fits_codes_and_ranges_of_any_stage(exits: tuple[int, ...], fits: bool) -> None:
    assert (rules("exit 75 120-125").of_exits(exits) is not None) is fits


def test_a_signal_rule_fits_the_signal_and_what_a_shell_makes_of_it() -> None:
    found = rules("signals bus SIGXFSZ")
    for code in (-signal.SIGBUS, 128 + signal.SIGBUS, -signal.SIGXFSZ):
        assert found.of_exits((code,)) is not None, code
    assert found.of_exits((-signal.SIGSEGV, signal.SIGBUS)) is None


def test_a_rule_is_named_with_its_line() -> None:
    found = rules("# ours\nexit 1\nsignals KILL")
    assert judged_by(found, (1,), "", by_log_rules=False) == "by [infra] exit 1 (megatest.config:3)"
    assert judged_by(found, (-9,), "", by_log_rules=False) == "by [infra] signals KILL (megatest.config:4)"
    assert judged_by(found, (2,), "", by_log_rules=False) == ""


def test_every_line_of_log_counts_and_is_named_by_its_own_number() -> None:
    found = rules("log license server .* down\nlog no display\n    ^stale file\nlog third")
    assert [(r.text, r.where) for r in found.logs or ()] == [
        ("license server .* down", "megatest.config:2"),
        ("no display", "megatest.config:3"),
        ("^stale file", "megatest.config:4"),
        ("third", "megatest.config:5"),
    ]
    text = "one\n  the license server a1 is down now\nlast\n"
    assert judged_by(found, (1,), text, by_log_rules=True) == (
        "'the license server a1 is down now' in its log, by [infra] log license server .* down (megatest.config:2)"
    )
    assert judged_by(found, (1,), "x\nstale file y", by_log_rules=False).startswith("'stale file y' in its log")
    assert judged_by(found, (1,), "no stale file", by_log_rules=False) == ""


def test_where_log_rules_judged_only_log_counts() -> None:
    found = rules("exit 1\nlog gone")
    assert judged_by(found, (1,), "", by_log_rules=True) == ""
    assert "by [infra] log gone" in judged_by(found, (1,), "all gone", by_log_rules=True)


def test_the_keys_of_a_test_replace_those_of_the_area_one_by_one() -> None:
    area, own = rules("exit 1\nlog gone"), rules("exit 2\nsignals BUS")
    both = own.over(area)
    assert both.of_exits((1,)) is None and both.of_exits((2,)) and both.of_exits((-signal.SIGBUS,))
    assert both.of_log("gone")
    assert rules("exit \nlog \n").over(area) == Rules((), None, ())
    assert infra.NONE.over(area) == area


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("exit 75 abc", "megatest.config:2", "[infra] exit: 'abc' is no exit code of a failure"),
        ("exit 0", "megatest.config:2", "[infra] exit: '0' is no exit code of a failure"),
        ("exit 300", "megatest.config:2", "[infra] exit: '300' is no exit code of a failure"),
        ("exit 9-3", "megatest.config:2", "[infra] exit: '9-3' is no exit code of a failure"),
        ("signals KILL BUSS", "megatest.config:2", "[infra] signals: unknown signal 'BUSS'"),
        ("signals 9", "megatest.config:2", "[infra] signals: unknown signal '9'"),
        ("log a(", "megatest.config:2", "[infra] log: 'a(' is no regular expression: missing ), unterminated"),
        ("log good\n  b[", "megatest.config:3", "[infra] log: 'b[' is no regular expression"),
        ("log .*", "megatest.config:2", "[infra] log: '.*' fits every log, so it is not used"),
    ],
)
def test_what_cannot_be_understood_is_told_and_not_used(text: str, where: str, said: str) -> None:
    ((place, told),) = doubts(text)
    assert place == where and told.startswith(said)
    assert all(rule.text in ("75", "KILL", "good") for group in rules(text) for rule in group or ())


def test_a_file_without_the_section_has_no_rules_and_no_doubts() -> None:
    config = parse("[setup]\nx 1\n", "/area/megatest.config", Reading("/area", env={}))
    assert rules_of(config) == infra.NONE and not list(problems(config))


def test_the_machine_ends_a_case_like_a_failure_and_a_warning_does_not_hide_it() -> None:
    for before in ("PASS", "WARN"):
        after = verdict.after_step(Overall(before), "s1", "INFRA", "exit 75, by a rule")
        assert after == ("INFRA", "The machine failed at step s1: exit 75, by a rule", False)
    assert verdict.after_step(Overall("FAIL", "runscript: exit 1"), "s1", "INFRA", "x").status == "FAIL"
