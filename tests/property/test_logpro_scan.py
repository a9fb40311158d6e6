"""What always holds when a log is judged (spec/config.md 6.2, 6.3)."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mt.pipeline.logpro import RuleSet, load_rules
from mt.pipeline.logpro.scan import Scan, Verdict

WORDS = ("error", "warn", "begin", "end", "x=1", "x=22", "ok", "Error", "")
LINES = st.lists(st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join), max_size=12)
PATTERNS = ("error", "warn", "begin|ok", "end", "er?ror", "x=(?:1|2)", ".", "^$", "o[kr]", "(error|warn) ok")
SECTIONS = ("LogFileBody", "S", "T", "Never")
KINDS = ("error", "warning", "required", "ignore", "note", "check", "abort", "skip", "waive", "required-warn")
OPS = ("=", ">", "<", ">=", "<=")

RULE = st.tuples(
    st.sampled_from(KINDS),
    st.booleans(),
    st.lists(st.sampled_from(SECTIONS), min_size=1, max_size=2),
    st.sampled_from(OPS),
    st.integers(0, 2),
    st.lists(st.tuples(st.sampled_from(PATTERNS), st.booleans()), min_size=1, max_size=2),
)
TRIGGER = st.tuples(st.sampled_from(("B", "E")), st.integers(1, 2), st.sampled_from(PATTERNS), st.booleans())
SECTION = st.tuples(st.sampled_from(("S", "T")), st.sampled_from(("B", "E")), st.sampled_from(("B", "E", "none")))
PROGRAM = st.tuples(st.lists(RULE, max_size=6), st.lists(TRIGGER, max_size=3), st.lists(SECTION, max_size=2))


def text_of(program) -> str:  # type: ignore[no-untyped-def]
    """The program in the rule language."""
    rules, triggers, sections = program
    made = [f'(trigger-with-limit "{n}" {limit} #/{p}/{"i" * fold})' for n, limit, p, fold in triggers]
    made += [f'(section "{n}" "{start}" "{end}")' for n, start, end in sections]
    for kind, inside, places, op, want, patterns in rules:
        names = " ".join(f'"{s}"' for s in places)
        shown = " ".join(f"#/{p}/{'i' * fold}" for p, fold in patterns)
        made.append(f'(expect:{kind} {"in" if inside else "not-in"} (list {names}) {op} {want} "d" (list {shown}))')
    return "\n".join(made)


def naive(program, lines: list[str]) -> tuple[list[int], int]:  # type: ignore[no-untyped-def]
    """Counts and code, by the letter of the specification."""
    rules, triggers, sections = program
    left = [limit for _, limit, _, _ in triggers]
    active = {"LogFileBody": False} | {name: False for name, _, _ in sections}
    counts = [0] * len(rules)
    for number, line in enumerate(lines):
        active["LogFileBody"] |= number == 0
        for n, (name, _, pattern, fold) in enumerate(triggers):
            if left[n] and re.search(pattern, line, re.I if fold else 0):
                left[n] -= 1
                for section, start, end in sections:
                    active[section] = (active[section] or start == name) and end != name
        for n, (_, inside, places, _, _, patterns) in enumerate(rules):
            counting = any(active[s] == inside for s in places if s in active)
            if counting and any(re.search(p, line, re.I if fold else 0) for p, fold in patterns):
                counts[n] += 1
                break
    compare = {"=": int.__eq__, ">": int.__gt__, "<": int.__lt__, ">=": int.__ge__, "<=": int.__le__}
    broken = {kind for n, (kind, _, _, op, want, _) in enumerate(rules) if not compare[op](counts[n], want)}
    for code, kinds in ((6, {"skip"}), (5, {"abort"}), (3, {"check"}), (1, {"error", "required"}),
                        (2, {"warning", "required-warn"}), (4, {"waive"})):  # fmt: skip
        if broken & kinds:
            return counts, code
    return counts, 0


def judged(rules: RuleSet, parts: list[bytes]) -> tuple[Verdict, list[tuple[bytes, object]]]:
    scan = Scan(rules)
    pieces = [piece for part in parts for piece in scan.feed(part)]
    return scan.verdict(), pieces


def whole(lines: list[str]) -> list[bytes]:
    return ["".join(f"{line}\n" for line in lines).encode()] if lines else []


@given(PROGRAM, LINES)
def test_the_verdict_is_that_of_a_naive_matcher(program, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    verdict, _ = judged(load_rules(text_of(program), "x"), whole(lines))
    assert ([r.hits for r in verdict.results], verdict.code) == naive(program, lines)


@given(PROGRAM, LINES, st.data())
def test_a_log_in_blocks_is_the_log_as_a_whole(program, lines: list[str], data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    rules = load_rules(text_of(program), "x")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    edges = [0, *cuts, len(lines)]
    parts = [b"".join(f"{line}\n".encode() for line in lines[a:b]) for a, b in pairwise(edges)]
    one, pieces_of_one = judged(rules, whole(lines))
    many, pieces_of_many = judged(rules, parts)
    assert one == many
    assert [p for p in pieces_of_one if p[1]] == [p for p in pieces_of_many if p[1]]


@given(PROGRAM, LINES)
def test_no_byte_of_the_log_is_lost_on_the_way(program, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    parts = whole(lines)
    _, pieces = judged(load_rules(text_of(program), "x"), parts)
    assert b"".join(body for body, _ in pieces) == b"".join(parts)


@given(PROGRAM, LINES)
def test_ignoring_everything_first_shields_from_all_errors(program, lines: list[str]) -> None:  # type: ignore[no-untyped-def]
    shield = '(expect:ignore in "LogFileBody" >= 0 "all" #//)\n'
    verdict, _ = judged(load_rules(shield + text_of(program), "x"), whole(lines))
    assert verdict.results[0].hits == len(lines)
    assert all(r.hits == 0 for r in verdict.results[1:])


@given(st.permutations(["error", "warn", "begin", "ok"]), LINES)
def test_the_order_of_rules_for_different_lines_does_not_matter(order: list[str], lines: list[str]) -> None:
    only = [line for line in lines if len(line.split()) < 2]
    one = load_rules("".join(f'(expect:error in logfile = 0 "{w}" #/{w}/)' for w in sorted(order)), "x")
    other = load_rules("".join(f'(expect:error in logfile = 0 "{w}" #/{w}/)' for w in order), "x")
    first, second = (judged(rules, whole(only))[0] for rules in (one, other))
    assert first.code == second.code
    assert {r.rule.desc: r.hits for r in first.results} == {r.rule.desc: r.hits for r in second.results}
