"""The small Scheme: what programs give, and what they say when they are wrong (spec/config.md 1.7, 6.5, X3, X20)."""

from __future__ import annotations

import pytest

from mt.scheme import UNSPECIFIED, Higher, Interpreter, Keyword, SchemeError, Symbol, listed, parse, to_text


def shown(program: str, **names: object) -> str:
    return to_text(Interpreter(names).run(program, "f"))


def wrong(program: str, **limits: int) -> str:
    with pytest.raises(SchemeError) as caught:
        Interpreter(**limits).run(program, "f")
    return f"{caught.value.where}: {caught.value.what}"


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("(+ 5 6 7)", "18"),
        ("(+)", "0"),
        ("(* 2 3 4)", "24"),
        ("(- 5)", "-5"),
        ("(- 10 1 2)", "7"),
        ("(/ 6 3)", "2"),
        ("(/ 1 2)", "0.5"),
        ("(* 1.5 2)", "3.0"),
        ("(quotient -7 2)", "-3"),
        ("(remainder -7 2)", "-1"),
        ("(modulo -7 2)", "1"),
        ("(expt 2 10)", "1024"),
        ("(max (- 4 2) 1)", "2"),
        ("(= 1 1.0)", "#t"),
        ("(< 1 2 3)", "#t"),
        ("(< 1 3 2)", "#f"),
        ("(>= 2 2)", "#t"),
        ('(conc "a" 1 #f (quote b) 1.5 (list "x" 2))', "a1#fb1.5(x 2)"),
        ("(quote (a . b))", "(a . b)"),
        ("'(1 'x \"s\")", "(1 (quote x) s)"),
        ("(if #f 1)", "#<unspecified>"),
        ("(if 0 1 2)", "1"),
        ("(if '() 1 2)", "1"),
        ('(or #f "x")', "x"),
        ("(or)", "#f"),
        ("(and 1 #f (car 5))", "#f"),
        ("(and)", "#t"),
        ("(not 0)", "#f"),
        ("(cond (#f 1) ((= 1 2) 2) (else 3))", "3"),
        ("(cond ((member 2 '(1 2 3)) => car))", "2"),
        ("(cond (5))", "5"),
        ('(case (string->symbol (conc #f)) ((none) "n") (else "e"))', "e"),
        ('(case (string->symbol "none") ((none nil) "n") (else "e"))', "n"),
        ("(case 3 ((1 2) 'a) ((3 4) 'b))", "b"),
        ("(let ((a 1) (b 2)) (+ a b))", "3"),
        ("(let* ((a 1) (b (+ a 1))) (list a b))", "(1 2)"),
        (
            "(letrec ((e? (lambda (n) (or (= n 0) (o? (- n 1))))) (o? (lambda (n) (e? (- n 1))))) (e? 10))",
            "#t",
        ),
        ("(let loop ((n 5) (a 1)) (if (= n 0) a (loop (- n 1) (* a n))))", "120"),
        ("((lambda (a . r) r) 1 2 3)", "(2 3)"),
        ("((lambda r r) 1 2)", "(1 2)"),
        ("(define x 1) (set! x (+ x 1)) x", "2"),
        ("(define (f a . r) (list a r)) (f 1 2 3)", "(1 (2 3))"),
        ("(define (f . r) r) (f 1)", "(1)"),
        ("(define (f x) (define y 2) (* x y)) (f 4)", "8"),
        ("(begin 1 2 3)", "3"),
        ("(do ((i 0 (+ i 1)) (s '() (cons i s))) ((= i 3) s))", "(2 1 0)"),
        ("(map + '(1 2) '(10 20))", "(11 22)"),
        ("(map (lambda (x) (* x x)) '(1 2 3))", "(1 4 9)"),
        ("(let ((s '())) (for-each (lambda (a b) (set! s (cons (conc a b) s))) '(1 2) '(x y)) s)", "(2y 1x)"),
        ("(apply + 1 '(2 3))", "6"),
        ("(sort '(3 1 2) <)", "(1 2 3)"),
        ('(sort \'("b" "a") string<?)', "(a b)"),
        ("(sort '(1 2 3 4) (lambda (a b) (> a b)))", "(4 3 2 1)"),
        ("(filter (lambda (x) (> x 1)) '(1 2 3))", "(2 3)"),
        ("(fold + 0 '(1 2 3))", "6"),
        ("(append '(1) '(2 3) '())", "(1 2 3)"),
        ("(reverse '(1 2 3))", "(3 2 1)"),
        ("(list (car '(1 2)) (cdr '(1 2)) (cadr '(1 2)) (caddr '(1 2 3)))", "(1 (2) 2 3)"),
        ("(length '(1 2))", "2"),
        ("(list (null? '()) (pair? '()) (list? '(1)) (list? '(1 . 2)))", "(#t #f #t #f)"),
        ('(list (equal? \'(1 "a") (list 1 "a")) (eq? \'a \'a) (equal? \'a "a") (equal? 1 #t))', "(#t #t #f #f)"),
        ('(assoc "b" \'(("a" 1) ("b" 2)))', "(b 2)"),
        ("(memq 'c '(a b))", "#f"),
        ('(string-split "a b  c")', "(a b c)"),
        ('(string-split "a:b" ":")', "(a b)"),
        ('(string-intersperse \'("a" "b") "-")', "a-b"),
        ('(string-intersperse \'("a" "b"))', "a b"),
        ('(string-append "a" "b")', "ab"),
        ('(string-substitute "a+" "<\\\\0>" "baac aa" #t)', "b<aa>c <aa>"),
        ('(string-substitute "a" "x" "aaa")', "xaa"),
        ('(string-substitute (regexp "A" #t) "x" "aaa" 2)', "axa"),
        ('(substring "hello" 1 3)', "el"),
        ('(string-length "abc")', "3"),
        ("(number->string 255 16)", "ff"),
        ('(list (string->number "12") (string->number "1e3") (string->number "x"))', "(12 1000.0 #f)"),
        ('(list (any->number "5") (any->number 5) (any->number #f))', "(5 5 #f)"),
        ("(symbol->string 'abc)", "abc"),
        ("((if (< 1 2) + -) 1 1)", "2"),
        ("`(1 ,(+ 1 1) ,@(list 3 4))", "(1 2 3 4)"),
        ("[+ 1 2]", "3"),
        ("; c\n (+ 1 ; (\n 2) #| ( |# #;(foo)", "3"),
        ('"a\\tb\\n\\\\s\\x41"', "a\tb\n\\sA"),
        ("'(1 ;; one\n 2)", "(1 2)"),
        ("(make-hash-table)", "#<hash-table (0)>"),
        ("", "#<unspecified>"),
    ],
)
def test_a_program_gives(program: str, text: str) -> None:
    assert shown(program) == text


def test_the_items_of_a_big_area_are_made() -> None:
    program = """(string-intersperse (map number->string (sort (let loop ((a 0)(res '()))
      (if (<= a (or (any->number (get-environment-variable "NUMTESTS")) 2500)) (loop (+ a 1)(cons a res)) res))
      <)) " ")"""
    names = {"get-environment-variable": lambda name: False}
    assert to_text(Interpreter(names).run(program, "f")) == " ".join(str(n) for n in range(2501))


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("(foo 1 2)", 'f:1: unknown procedure "foo" in (foo 1 2)'),
        ('\n(foo "a")', 'f:2: unknown procedure "foo" in (foo "a")'),
        ("nowhere", 'f:1: unknown variable "nowhere"'),
        ("(car 5)", "f:1: 5 is not a pair in (car 5)"),
        ("(car '(1) 2)", "f:1: wrong arguments in (car (quote (1)) 2)"),
        ('(+ 1 "a")', 'f:1: "a" is not a number in (+ 1 "a")'),
        ("(+ 1 #t)", "f:1: #t is not a number in (+ 1 #t)"),
        ("(/ 1 0)", "f:1: division by zero in (/ 1 0)"),
        ("(1 2)", "f:1: 1 is not a procedure in (1 2)"),
        ("()", "f:1: there is nothing to call in ()"),
        ("(if)", "f:1: wrong syntax in (if)"),
        ("(let ((a)) a)", "f:1: wrong syntax in (let ((a)) a)"),
        ("((lambda (x) x))", "f:1: this procedure takes 1 arguments, not 0 in ((lambda (x) x))"),
        ("(define (f a . b) 1)\n(f)", "f:2: f takes at least 1 arguments, not 0 in (f)"),
        ("(set! never 1)", 'f:1: unknown variable "never" in (set! never ...)'),
        ("(+ 1\n (* 2", "f:2: this parenthesis is never closed"),
        ("(+ 1 2))", "f:1: ')' closes nothing"),
        ("(+ 1 2]", "f:1: ']' cannot close what line 1 opens"),
        ('\n"abc', "f:2: this string is never closed"),
        ("#/abc", "f:1: this pattern is never closed"),
        ("#r{a{2}", "f:1: this pattern is never closed"),
        ("#| x", "f:1: this #| comment is never closed"),
        ("'", "f:1: nothing follows a quote"),
        ("#nonsense", "f:1: unknown syntax '#nonsense'"),
        ('(error "boo" 1 "x")', 'f:1: boo 1 "x" in (error "boo" 1 "x")'),
        ("(expt 10 10000000)", "f:1: the number gets too large in (expt 10 10000000)"),
        ('(string-substitute "(" "" "a")', "f:1: bad pattern #/(/: missing )"),
    ],
)
def test_a_wrong_program_says_what_and_where(program: str, error: str) -> None:
    assert wrong(program).startswith(error)


def test_an_endless_loop_ends() -> None:
    assert "more than 1000 steps" in wrong("(let loop () (loop))", steps=1000)
    assert "more than 1000 steps" in wrong("(define (f) (map f '()) (f)) (f)", steps=1000)
    assert "more than 1000 steps" in wrong("(do ((i 0 (+ i 1))) (#f) i)", steps=1000)


def test_endless_recursion_ends_without_a_traceback() -> None:
    assert wrong("(define (f n) (+ 1 (f n)))\n(f 1)") == "f:1: calls are nested more than 10000 deep"
    assert "deep" in wrong("(define (f x) (map f (list x)))\n(f 1)", depth=500)


def test_deep_recursion_is_no_matter() -> None:
    program = "(define (f n) (if (= n 0) '() (cons n (f (- n 1))))) (length (f 4000))"
    assert shown(program) == "4000"


def test_a_loop_takes_no_stack() -> None:
    assert shown("(let loop ((n 0)) (if (< n 20000) (loop (+ n 1)) n))") == "20000"


def test_thousands_of_open_parentheses_are_an_error_and_no_overflow() -> None:
    assert "never closed" in wrong("(" * 50_000)
    assert "deep" in wrong("(+ 1 " * 20_000 + "1" + ")" * 20_000)


def test_python_procedures_and_values_can_be_given() -> None:
    it = Interpreter({"twice": lambda x: x * 2, "pair": lambda: ["a", ["b"]], "nothing": lambda: None, "n": 4})
    it.define("m", 5)
    assert it.run("(+ (twice n) m)", "f") == 13
    assert to_text(it.run("(pair)", "f")) == "(a (b))"
    assert it.run("(nothing)", "f") is UNSPECIFIED


def test_python_can_call_a_closure() -> None:
    it = Interpreter()
    assert it.call(it.run("(lambda (a b) (- a b))", "f"), 5, 3) == 2


def test_a_builtin_may_call_procedures() -> None:
    def twice(it, procedure, value):  # type: ignore[no-untyped-def]
        first = yield it.apply(procedure, [value])
        return (yield it.apply(procedure, [first]))

    assert shown("(twice (lambda (x) (* x 3)) 2)", twice=Higher(twice, "twice")) == "18"


def test_a_builtin_knows_the_line_of_its_call() -> None:
    seen: list[str] = []
    it = Interpreter()
    it.define("note", lambda *args: seen.append(it.where))
    it.run("(note)\n(for-each note '(1))\n(define (f)\n  (note))\n(f)", "rules")
    assert seen == ["rules:1", "rules:2", "rules:4"]


def test_printing_goes_where_the_caller_says() -> None:
    out: list[str] = []
    Interpreter(show=out.append).run('(print "a" 1 #f) (display "x") (newline)', "f")
    assert "".join(out) == "a1#f\nx\n"


def test_a_loaded_file_defines_names_and_errors_name_it() -> None:
    it = Interpreter(load={"a": "(define x 3)", "b": "\n(oops)"}.__getitem__)
    assert it.run('(load "a") x', "f") == 3
    with pytest.raises(SchemeError) as caught:
        it.run('(load "b")', "f")
    assert caught.value.where == "b:2"


def test_a_file_that_cannot_be_loaded_is_an_error_of_the_program() -> None:
    assert wrong('(load "/nowhere/at/all")') == (
        "f:1: cannot load '/nowhere/at/all': no such file or directory in (load \"/nowhere/at/all\")"
    )


def test_forms_know_their_lines() -> None:
    forms = parse("(a)\n\n(b (c))\nd", "x.logpro")
    assert [getattr(f, "where", None) for f in forms] == ["x.logpro:1", "x.logpro:3", None]


def test_keywords_and_symbols_are_told_from_strings() -> None:
    (form,) = parse('(a key: "key:" :x)', "f")
    assert [type(i) for i in form] == [Symbol, Keyword, str, Symbol]  # type: ignore[attr-defined]


def test_patterns_are_read_with_flags_slashes_and_braces() -> None:
    slashed, braced = parse(r"#/a\/b\d{2}/ix #r{x{2,3}\}}i", "f")
    assert (slashed.text, slashed.flags) == (r"a/b\d{2}", "ix")  # type: ignore[attr-defined]
    assert (braced.text, braced.flags) == (r"x{2,3}\}", "i")  # type: ignore[attr-defined]
    assert repr(slashed) == r"#/a\/b\d{2}/ix"


def test_a_list_in_python_is_a_list_in_scheme() -> None:
    assert to_text(listed(["a", 1, True])) == "(a 1 #t)"
    assert to_text(["a", ("b",)], write=True) == '("a" ("b"))'
