"""What areas write in `#{scheme ...}` (spec/config.md 1.7), and the message for what cannot be done (X20)."""

from __future__ import annotations

import pytest
from fakes.effects import FakeEffects

from mt.config import Config, Reading, parse


def conf(text: str, **more: object) -> Config:
    more.setdefault("effects", FakeEffects())
    return parse(text, "/a/megatest.config", Reading("/a", **more))  # type: ignore[arg-type]


def value(expression: str, **more: object) -> str | None:
    config = conf(f"v #{{scheme {expression}}}\n", **more)
    assert config.problems == []
    return config.get("default", "v")


def numbers(prefix: str) -> str:
    return (
        f"(string-intersperse (map {prefix} (sort (let loop ((a 0)(res '())) "
        '(if (<= a (or (any->number (get-environment-variable "NUMTESTS")) 2500)) '
        '(loop (+ a 1)(cons a res)) res)) <)) " ")'
    )


CASE = (
    '(case (string->symbol (conc (getenv "datapath"))) ((none) "nbfake") ((openafs) "loadrunner") (else "nbfake loud"))'
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(+ 5 6 7)", "18"),
        ("(* 2 (common:get-num-cpus #f))", "8"),
        ("(max (- (common:get-num-cpus #f) 2) 1)", "2"),
        ('(args:get-arg "-target")', "a/b"),
        ('(args:get-arg "-run")', "#t"),
        ('(args:get-arg "-runname")', "#f"),
        ('(getenv "V")', "x"),
        ('(get-environment-variable "NOPE")', "#f"),
        ('(setenv "W" "1")', "#<unspecified>"),
        ('(conc "a" 1 #t \'s (list "b" 2))', "a1#ts(b 2)"),
        ('(if (getenv "USEHTTP") "http" "fs")', "fs"),
        ('(or (getenv "NOPE") "d")', "d"),
        ("*toppath*", "/a"),
        (CASE, "nbfake loud"),
        ("(db:dbfile-path #f)", "/a/.mtdb"),
        ("(get-host-name)", "n1"),
        ('(env:min-path "a:b" "b:c:a")', "a:b:c"),
        ('(string-append "a" "b")', "ab"),
        ("(list)", "()"),
        ('(nice-path "x/../y")', "/a/y"),
        ('(hash-table-ref/default (tests:get-all) "zz" "none")', "none"),
        ('(config-lookup ht "default" "nope")', "#f"),
        ('(current-directory)', "/a"),
    ],
)  # fmt: skip
def test_expressions_of_real_areas(expression: str, expected: str) -> None:
    assert value(expression, env={"V": "x"}, args={"-target": "a/b", "-run": True}) == expected


def test_a_string_switch_on_a_variable() -> None:
    assert value(CASE, env={"datapath": "openafs"}) == "loadrunner"


def test_numbers_up_to_a_variable() -> None:
    assert value(numbers("number->string"), env={"NUMTESTS": "4"}) == "0 1 2 3 4"
    assert value(numbers('(lambda (x) (conc "blah/" x))'), env={"NUMTESTS": "2"}) == "blah/0 blah/1 blah/2"
    assert len((value(numbers("number->string")) or "").split()) == 2501


def test_names_of_tests_that_match_a_pattern() -> None:
    text = (
        "(string-intersperse (tests:filter-test-names (hash-table-keys (tests:get-all)) "
        '(or (args:get-arg "-runtests")(args:get-arg "-testpatt") "")) " ")'
    )
    effects = FakeEffects(tests=["t1", "t2", "u"])
    assert value(text, args={"-testpatt": "t%"}, effects=effects) == "t1 t2"
    assert effects.looked == ["/a/tests"]
    assert value(text, args={"-testpatt": "%"}, tests=lambda: ["z"]) == "z"


def test_all_tests_are_looked_for_where_the_file_says() -> None:
    effects = FakeEffects(tests=["t"])
    conf("[tests-paths]\n1 /b/tests\n2 more\n[x]\nv #{scheme (tests:get-all)}\n", effects=effects)
    assert effects.looked == ["/b/tests", "/a/more", "/a/tests"]


def test_create_directory_gives_its_path() -> None:
    effects = FakeEffects()
    assert value('(create-directory "/x/y" #t)', effects=effects) == "/x/y"
    assert value('(create-directory (nice-path "../z") #t)', effects=effects) == "/z"
    assert value('(create-directory "rel")', effects=effects) == "rel"
    assert effects.made == ["/x/y", "/z", "/a/rel"]


def test_commands_in_expressions() -> None:
    effects = FakeEffects({"true": (0, ""), "echo a": (0, "a\nb\n")})
    assert value('(system "true")', effects=effects) == "0"
    assert value('(shell "echo a")', effects=effects) == "a b"


def test_setenv_is_seen_by_later_lines() -> None:
    config = conf('# #{scheme (setenv "A" "1")}\nv #{getenv A}\n')
    assert config.get("default", "v") == "1"


def test_waiting_happens_only_outside_comments() -> None:
    effects = FakeEffects()
    conf("# #{scheme (thread-sleep! 8)}\n", effects=effects)
    assert effects.slept == []
    conf("v #{scheme (thread-sleep! 8)}\n", effects=effects)
    assert effects.slept == [8]


def test_an_unknown_procedure_is_one_line_and_reading_goes_on() -> None:
    config = conf("\nv #{scheme (foo 1 2)}\nw 1\n")
    assert config.get("default", "v") == "#{(scheme) (foo 1 2)}"
    assert config.get("default", "w") == "1"
    (problem,) = config.problems
    assert problem.where == "megatest.config:2"
    assert problem.level == "error"
    assert problem.text == 'unsupported #{scheme} expression: unknown procedure "foo" in (foo 1 2)'


@pytest.mark.parametrize(
    "expression",
    ["(", ")", "(car '())", "(/ 1 0)", "(getenv)", "(getenv 1)", "(nice-path #f)", "(thread-sleep! 'x)",
     "(hash-table-keys 1)", "(tests:filter-test-names 1 \"a\")", "(create-directory 5)", '(setenv "a=b" "c")',
     "(let loop () (loop))", "(tests:filter-test-names '(1) \"a\")", "(" * 5000],
)  # fmt: skip
def test_an_expression_that_fails_is_a_problem_and_stays_as_text(expression: str) -> None:
    config = conf(f"v #{{scm {expression}}}\n")
    assert config.get("default", "v") == f"#{{(scm) {expression}}}"
    assert [p.level for p in config.problems] == ["error"]
    assert "\n" not in config.problems[0].text


def test_a_directory_that_cannot_be_made_is_a_problem() -> None:
    class Refusing(FakeEffects):
        def make_directory(self, path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

    config = conf('disk0 #{scheme (create-directory "/x" #t)}\n', effects=Refusing())
    assert "permission denied" in config.problems[0].text
