"""How a log is judged (spec/config.md 6.2, 6.3, 6.6)."""

from __future__ import annotations

import io

import pytest

from mt.pipeline.logpro import load_rules
from mt.pipeline.logpro.scan import Scan, Verdict, blocks

ERROR = '(expect:error in "LogFileBody" = 0 "e" #/error/i)'
WARNING = '(expect:warning in "LogFileBody" = 0 "w" #/.*/)'
VALUE = '(expect:value in "LogFileBody" {} {} "v" #/v=(\\S+)/)'


def verdict(rules: str, log: str | bytes) -> Verdict:
    scan = Scan(load_rules(rules, "x"))
    for block in blocks(io.BytesIO(log.encode() if isinstance(log, str) else log)):
        for _ in scan.feed(block):
            pass
    return scan.verdict()


@pytest.mark.parametrize(
    ("rules", "log", "code", "name"),
    [
        (ERROR, "An ERROR\n", 1, "FAIL"),
        ('(expect:ignore in "LogFileBody" >= 0 "k" #/known error/)' + ERROR, "known error\n", 0, "PASS"),
        (ERROR + '(expect:ignore in "LogFileBody" >= 0 "k" #/known error/)', "known error\n", 1, "FAIL"),
        (WARNING, "anything\n", 2, "WARN"),
        (WARNING, "", 0, "PASS"),
        ('(expect:required in "LogFileBody" > 0 "r" #/never/)', "anything\n", 1, "FAIL"),
        ('(expect:required in "LogFileBody" = 1 "A" #/VAR_X/)(expect:required in "LogFileBody" = 1 "B" #/VAR/)',
         "VAR_X\nVAR\n", 0, "PASS"),
        (WARNING + '(expect:abort in "LogFileBody" > 0 "a" #/never/)', "x\n", 5, "ABORT"),
        (ERROR + '(expect:skip in "LogFileBody" = 0 "s" #/skip/)', "error\nskip\n", 6, "SKIP"),
        ('(expect:check in "LogFileBody" = 0 "c" #/c/)', "c\n", 3, "CHECK"),
        ('(expect:check in "LogFileBody" = 0 "c" #/c/)' + ERROR, "c\nerror\n", 3, "CHECK"),
        ('(expect:abort in logfile = 0 "c" #/c/)(expect:skip in logfile = 0 "s" #/s/)', "c\ns\n", 6, "SKIP"),
        ('(expect:waive in "LogFileBody" = 0 "c" #/c/)', "c\n", 4, "WAIVE"),
        ('(expect:waive in logfile = 0 "c" #/c/)(expect:warning in logfile = 0 "s" #/s/)', "c\ns\n", 2, "WARN"),
        ('(expect:required-warn in "LogFileBody" > 0 "r" #/never/)', "x\n", 2, "WARN"),
        ('(expect:note in logfile = 0 "n" #/x/)(expect:ignore in logfile = 0 "n" #/y/)', "x\ny\n", 0, "PASS"),
        (";; only comments\n", "error\n", 0, "PASS"),
        ('(trigger "T" #/never/)', "x\n", 0, "PASS"),
        ('(expect:error in "Body" = 0 "e" #/error/)', "error\n", 0, "PASS"),
        ('(expect:required in "Body" > 0 "r" #/x/)', "x\n", 1, "FAIL"),
        ('(expect:error in "LogFileBody" = "0" "e" #/x/)', "x\n", 1, "FAIL"),
        ('(expect:error in "LogFileBody" = "0" "e" #/x/)' + WARNING, "x\n", 2, "WARN"),
        ('(expect:error in "LogFileBody" <= 1 "e" #/x/)', "x\n", 0, "PASS"),
        ('(expect:error in "LogFileBody" <= 1 "e" #/x/)', "x\nx\n", 1, "FAIL"),
        ('(expect:error in "LogFileBody" < 1 "e" #/x/)', "x\n", 1, "FAIL"),
    ],
)  # fmt: skip
def test_a_log_gets_its_code(rules: str, log: str, code: int, name: str) -> None:
    found = verdict(rules, log)
    assert (found.code, found.name) == (code, name)


def test_the_message_is_of_the_rule_that_decided() -> None:
    assert verdict(WARNING + ERROR, "x\n").message == "WARNING: w"
    both = '(expect:warning in "LogFileBody" = 0 "w" #/warn/)' + ERROR
    assert verdict(both, "warn\nerror\n").message == "ERROR: e"
    assert verdict(ERROR, "fine\n").message == ""
    assert verdict("\n(expect:error in 5 = 0 5 #/x/)", "").message.startswith("malformed rule: x:2: expect:error:")


@pytest.mark.parametrize(
    ("want", "tolerance", "log", "code", "measured"),
    [
        ("5", "0.5", "v=5.5\n", 0, "5.5"),
        ("5", "0.5", "v=4.4\n", 1, "4.4"),
        ("5", "0", "v=5\n", 0, "5"),
        ("5", ">", "v=6\n", 0, "6"),
        ("5", ">", "v=5\n", 1, "5"),
        ("5", "<=", "v=5\n", 0, "5"),
        ("5", "=", "v=5.0\n", 0, "5.0"),
        ("5", "1", "", 1, ""),
        ("5", "1", "v=abc\n", 1, "abc"),
        ("5", "1", "v=1_0\n", 1, "1_0"),
        ("5", "1", "v=nan\n", 1, "nan"),
        ("500", "1", "v=5e2\n", 0, "5e2"),
        ("5", "1", "v=5\nv=6\n", 0, "6"),
        ("5", "1", "v=5\nv=9\nv=5\n", 1, "9"),
    ],
)
def test_a_value_is_measured(want: str, tolerance: str, log: str, code: int, measured: str) -> None:
    found = verdict(VALUE.format(want, tolerance), log)
    assert (found.code, found.results[0].measured) == (code, measured)


SECTION = '(trigger "B" #/begin/)(trigger "E" #/end/)(section "S" "B" "E")'


def counted(rules: str, log: str) -> list[int]:
    return [r.hits for r in verdict(rules, log).results]


def test_a_section_has_its_first_line_and_not_its_last() -> None:
    rules = SECTION + '(expect:error in "S" = 0 "x" #/x/)'
    assert counted(rules, "x\nx begin\nx\nx end\nx\n") == [2]


def test_a_trigger_fires_once_unless_it_has_a_limit() -> None:
    log = "begin\nx\nend\nbegin\nx\nend\n"
    assert counted(SECTION + '(expect:error in "S" = 0 "x" #/x/)', log) == [1]
    twice = '(trigger-with-limit "B" 2 #/begin/)(trigger-with-limit "E" 2 #/end/)(section "S" "B" "E")'
    assert counted(twice + '(expect:error in "S" = 0 "x" #/x/)', log) == [2]
    never = '(trigger-with-limit "B" 0 #/begin/)(section "S" "B" "E")(expect:error in "S" = 0 "x" #/x/)'
    assert counted(never, log) == [0]


def test_not_in_counts_outside_of_a_declared_section() -> None:
    rules = SECTION + '(expect:error not-in "S" = 0 "x" #/x/)'
    assert counted(rules, "x\nbegin\nx\nend\nx\n") == [2]
    assert counted('(expect:error not-in "Undeclared" = 0 "x" #/x/)', "x\n") == [0]


def test_a_rule_may_be_in_several_sections() -> None:
    rules = SECTION + '(trigger "F" #/final/)(section "T" "F" "none")(expect:error in (list "S" "T") = 0 "x" #/x/)'
    assert counted(rules, "x\nbegin\nx\nend\nx\nfinal\nx\n") == [2]


def test_any_of_several_patterns_counts_a_line_once() -> None:
    assert counted('(expect:error in "LogFileBody" = 0 "x" (list #/a/ #/b/i))', "ab\nB\nc\n") == [2]


def test_a_hit_says_line_section_and_triggers() -> None:
    scan = Scan(load_rules(SECTION + '(expect:error in "S" = 0 "x" #/x/)', "x"))
    hits = [(body, hit) for body, hit in scan.feed(b"1\n2\nbegin x\n3\nend\n4") if hit]
    assert [(b, h.line, h.triggers, h.section, h.nth) for b, h in hits] == [
        (b"1\n", 0, ("LogFileBodyStart",), "", 0),
        (b"begin x\n", 2, ("B",), "S", 1),
        (b"end\n", 4, ("E",), "", 0),
    ]


@pytest.mark.parametrize(
    "log",
    [b"foo\r\n", b"foo", b"\0 foo\n", b"\xff\xfe foo\n", b"a" * 1_000_000 + b"foo\n", "é foo\n".encode("latin-1")],
)
def test_any_bytes_are_lines(log: bytes) -> None:
    assert verdict('(expect:required in "LogFileBody" = 1 "f" #/foo$/)', log).code == 0
    assert verdict('(expect:required in "LogFileBody" = 1 "f" #/[f]oo$/)', log).code == 0


def test_lines_end_at_newlines_only() -> None:
    assert counted('(expect:required in "LogFileBody" = 1 "f" #/^b/)', "a\rb\x0bb\x85b\nb\n") == [1]


def test_a_hook_is_data_with_what_the_line_said() -> None:
    rules = """(hook:add "h" "mail '#{msg}'" one-time: #t)(hook:add "v" "x #{measured}")
    (expect:error in "LogFileBody" = 0 "bad" #/error (\\w+)/ hook: "h")
    (expect:value in "LogFileBody" 5 1 "v" #/v=(\\d+)/ hook: "v")
    (expect:note in "LogFileBody" = 0 "n" #/n/ hook: "no")"""
    scan = Scan(load_rules(rules, "x"))
    calls = [hit.hook for _, hit in scan.feed(b"error $(rm)\nerror E5 \0\nerror E6\nv=7\nn\n") if hit and hit.rule]
    first, second, value, unknown = calls
    assert first is not None
    assert value is not None
    assert (second, unknown) == (None, None)
    assert first.values == {
        "LOGPRO_msg": "bad", "LOGPRO_message": "bad", "LOGPRO_line": "error E5  ", "LOGPRO_number": "1",
        "LOGPRO_m0": "error E5", "LOGPRO_m1": "E5",
    }  # fmt: skip
    assert first.command == "mail ''\"${LOGPRO_msg-}\"''"
    assert (value.values["LOGPRO_expected"], value.values["LOGPRO_measured"]) == ("5", "7")


def test_blocks_are_whole_lines_however_the_stream_comes() -> None:
    class Dribble(io.RawIOBase):
        def __init__(self, parts: list[bytes]) -> None:
            self.parts = parts

        def read(self, size: int = -1) -> bytes:
            return self.parts.pop(0) if self.parts else b""

    assert list(blocks(Dribble([b"a", b"b\nc", b"d\ne\n", b"f"]))) == [b"ab\n", b"cd\ne\n", b"f"]  # type: ignore[arg-type]
