"""The rule language: what a rules program defines, and what it says when it is wrong (spec/config.md 6.4, 6.5)."""

from __future__ import annotations

import pytest

from mt.errors import ConfigError
from mt.pipeline.logpro import RuleSet, load_rules
from mt.pipeline.logpro.hooks import shell_text


def rules(text: str) -> RuleSet:
    return load_rules(text, "x.logpro", today=(2024, 6, 15))


def test_no_rules_are_a_set_with_the_section_of_the_whole_log() -> None:
    made = rules(";; nothing\n\n")
    assert made.rules == ()
    assert [s.name for s in made.sections] == ["LogFileBody"]
    assert [t.name for t in made.triggers] == ["LogFileBodyStart"]


def test_a_rule_has_all_its_parts() -> None:
    (rule,) = rules('\n(expect:warn not-in (list "A" "B") >= 2 "d" (list #/x/i #/y/) class: "c" hook: "h")').rules
    assert (rule.number, rule.type, rule.inside, rule.sections) == (1, "warning", False, ("A", "B"))
    assert (rule.op, rule.want, rule.desc, rule.expected) == (">=", 2, "d", ">= 2")
    assert [str(p) for p in rule.patterns] == ["#/x/i", "#/y/"]
    assert (rule.css, rule.hook, rule.where) == ("c", "h", "x.logpro:2")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("expect", "error"), ("expect:error", "error"), ("expect:warning", "warning"), ("expect:warn", "warning"),
        ("expect:required", "required"), ("expect:required-warn", "required-warn"), ("expect:ignore", "ignore"),
        ("expect:note", "note"), ("expect:check", "check"), ("expect:abort", "abort"), ("expect:skip", "skip"),
        ("expect:waive", "waive"), ("expect:waived", "waive"), ("expect:waiver", "waive"),
    ],
)  # fmt: skip
def test_each_type_of_rule_has_its_word(word: str, kind: str) -> None:
    (rule,) = rules(f'({word} in "LogFileBody" = 0 "d" #/x/)').rules
    assert rule.type == kind


def test_the_type_may_be_given_apart() -> None:
    (rule,) = rules('(expect in logfile = 0 "d" #/x/ type: \'warn)').rules
    assert rule.type == "warning"


@pytest.mark.parametrize("op", ["=", ">", "<", ">=", "<="])
def test_operators_may_be_procedures_symbols_or_computed(op: str) -> None:
    ways = (op, f"'{op}", f"(if #t {op} =)")
    text = "\n".join(f'(expect in logfile {way} 0 "d" #/x/)' for way in ways)
    assert [r.op for r in rules(text).rules] == [op] * 3


def test_a_value_rule_has_a_tolerance_or_an_operator() -> None:
    text = """(expect:value in "LogFileBody" 5 0.5 "a" #/(\\d+)/)
    (expect:value in "LogFileBody" 5 > "b" #/(x)(\\d+)/ matchnum: 2)
    (expect:value in "LogFileBody" 5 0 "c" #/(x)(\\d+)/ match: 2)"""
    made = rules(text).rules
    assert [(r.want, r.tolerance, r.group, r.expected) for r in made] == [
        (5, 0.5, 1, "5 +/-0.5"),
        (5, ">", 2, "> 5"),
        (5, 0, 2, "5 +/-0"),
    ]


def test_triggers_and_sections() -> None:
    made = rules(
        '(trigger "A" #/a/ #/b/)(trigger:non-required "B" #/b/)(trigger-with-limit "C" 3 (list #/c/))'
        '(section "S" "A" "B" "C")'
    )
    assert [(t.name, len(t.patterns), t.limit, t.needed) for t in made.triggers[1:]] == [
        ("A", 2, 1, True),
        ("B", 1, 1, False),
        ("C", 1, 3, True),
    ]
    assert made.sections[1] == ("S", "A", ("B", "C"))


def test_rules_made_by_loops_over_quoted_lists_with_comments() -> None:
    text = """
    (define body "LogFileBody")
    (define (no what) (expect:error in body = 0 (conc "no " what) (regexp (conc "\\\\b" what))))
    (for-each (lambda (n p) (no n) (expect:ignore in body >= 0 n p))
      '("a" ;; one
        "b") (list #/a/ #/b/i))
    (for-each (lambda (r) (apply expect:required in body (car r) 1 (cdr r))) (list (list > "c" #/c/)))
    (let ((n 3)) (expect:warning in body ((if (< n 2) - +) n 1) 0 "bad" #/x/))
    """
    made = rules(text)
    assert [(r.type, r.desc, str(r.patterns[0])) for r in made.rules] == [
        ("error", "no a", r"#/\ba/"),
        ("ignore", "a", "#/a/"),
        ("error", "no b", r"#/\bb/"),
        ("ignore", "b", "#/b/i"),
        ("required", "c", "#/c/"),
    ]
    assert made.malformed == (("x.logpro:8", "expect:warning: 4 is none of = > < >= <="),)


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ('(expect:error in 5 = 0 "d" #/x/)', "expect:error: the section is not a string: 5"),
        ('(expect:error in "A" = "0" "d" #/x/)', 'expect:error: "0" is not a number'),
        ('(expect:error in "A" + 0 "d" #/x/)', "is none of = > < >= <="),
        ("(expect:error in \"A\" = 0 'd #/x/)", None),
        ('(expect:error in "A" = 0 7 #/x/)', "the description is not a string: 7"),
        ('(expect:error in "A" = 0 "d" "x")', '"x" is not a pattern; write #/.../ or (regexp "...")'),
        ('(expect:error in "A" = 0 "d" (list #/x/ 1))', "1 is not a pattern"),
        ('(expect:error in "A" = 0 "d" #/(/)', "bad pattern #/(/: missing )"),
        ('(expect:error "in" "A" = 0 "d" #/x/)', None),
        ("(expect:error (list 1) \"A\" = 0 \"d\" #/x/)", "(1) is neither in nor not-in"),
        ('(expect:error in "A" = 0 "d" #/x/ expires: "soon")', 'expires: "soon" is not MM/DD/YYYY'),
        ('(expect:error in "A" = 0 "d" #/x/ type: 5)', "type: 5 is none of error"),
        ('(expect:value in "A" "5" 1 "d" #/(x)/)', 'expect:value: "5" is not a number'),
        ('(expect:value in "A" 5 1 "d" #/x/)', "#/x/ has no group 1"),
        ('(expect:value in "A" 5 1 "d" #/(x)/ matchnum: 2)', "#/(x)/ has no group 2"),
        ('(expect:value in "A" 5 1 "d" #/(x)/ matchnum: "1")', 'matchnum: "1" is not the number of a group'),
        ('(trigger "T" "x")', 'trigger: "x" is not a pattern'),
        ('(trigger-with-limit "T" "x" #/x/)', 'the limit "x" is not a whole number'),
        ('(section "S" 1 2)', "section: a name is not a string: 1"),
        ('(hook:add "h" 5)', "hook:add: the command is not a string: 5"),
    ],
)  # fmt: skip
def test_a_wrong_argument_makes_a_malformed_rule_with_its_place(rule: str, what: str | None) -> None:
    made = rules("\n" + rule)
    if what is None:
        assert made.malformed == ()
        return
    ((where, text),) = made.malformed
    assert where == "x.logpro:2"
    assert what in text


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('(expect:error in "A" = 0 "d" #/x/', ":1", "never closed"),
        ('\n(expect:eror in "A" = 0 "d" #/x/)', ":2", 'unknown procedure "expect:eror" in (expect:eror in "A"'),
        ('(expect:error in "A" = 0 "d")', ":1", "a rule is: in SECTION"),
        ('(expect:error in Body = 0 "d" #/x/)', ":1", 'unknown variable "Body"'),
        ('(trigger "T")', ":1", "a trigger is:"),
        ('(section "T")', ":1", "a section is:"),
        ('(hook:add "h")', ":1", "a hook is:"),
        ('(expect:value in "A" 1 "d" #/(x)/)', ":1", "a value rule is:"),
        ("(let loop () (loop))", ":1", "endless loop"),
    ],
)
def test_rules_that_cannot_run_are_a_config_error(text: str, where: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(text)
    assert caught.value.where == f"x.logpro{where}"
    assert what in caught.value.what


@pytest.mark.parametrize(("date", "kept"), [("06/14/2024", 0), ("06/15/2024", 1), ("01/01/2025", 1), ("12/31/2023", 0)])
def test_a_rule_expires_on_the_day_after_its_date(date: str, kept: int) -> None:
    made = rules(f'(expect:ignore in logfile >= 0 "d" #/x/ expires: "{date}")\n(expect:error in logfile = 0 "e" #/x/)')
    assert [r.number for r in made.rules] == list(range(1, kept + 2))
    assert len(made.remarks) == 1 - kept


def test_old_hooks_and_unknown_keywords_are_remarks() -> None:
    made = rules('(hook:first-error "mail me")\n(expect:error in logfile = 0 "d" #/x/ colour: "red")')
    assert [(where, text.split()[0]) for where, text in made.remarks] == [
        ("x.logpro:1", "hook:first-error"),
        ("x.logpro:2", "unknown"),
    ]
    assert made.malformed == ()


def test_waivers_come_first() -> None:
    made = load_rules(
        '(expect:error in logfile = 0 "e" #/x/)', "r", waivers=('(expect:waive in logfile = 0 "w" #/x/)', "w")
    )
    assert [r.type for r in made.rules] == ["waive", "error"]


def test_what_rules_print_is_kept() -> None:
    assert rules('(print "n is " (+ 1 2))').printed == "n is 3\n"


@pytest.mark.parametrize(
    ("template", "command"),
    [
        ("echo #{msg}", "echo ${LOGPRO_msg-}"),
        ('echo "got #{msg} at #{line}"', 'echo "got ${LOGPRO_msg-} at ${LOGPRO_line-}"'),
        ("echo 'got #{m1}'", "echo 'got '\"${LOGPRO_m1-}\"''"),
        ('echo "#{escaped msg}"', 'echo "${LOGPRO_msg-}"'),
        ("echo #{escaped msg}", 'echo "${LOGPRO_msg-}"'),
        ('echo \\"#{msg}', 'echo \\"${LOGPRO_msg-}'),
        ("echo #{shell ls}", "echo #{shell ls}"),
    ],
)
def test_a_hook_refers_to_what_the_log_says_and_never_contains_it(template: str, command: str) -> None:
    assert shell_text(template) == command
