"""The planner against one that rescans everything after each event, by the table of spec/runs.md 4.3."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest
from fakes.specs import area, spec
from hypothesis import given
from hypothesis import strategies as st

from mt.model import CaseKey
from mt.patterns import memory_part
from mt.pipeline.plan import Closed, CycleError, Move, NeedItems, Plan, Ready, Selection
from mt.selectors import map_item

if TYPE_CHECKING:
    from mt.testspec import TestSpec

ENDS = [
    ("COMPLETED", "PASS"), ("COMPLETED", "WARN"), ("COMPLETED", "FAIL"), ("COMPLETED", "ABORT"), ("KILLED", "KILLED"),
    ("KILLED", "PASS"), ("INCOMPLETE", "KILLED"), ("LOST", "n/a"), ("COMPLETED", "INFRA"), ("INCOMPLETE", "FAIL"),
]  # fmt: skip
MEANS = {
    ("COMPLETED", "PASS"): "met", ("COMPLETED", "WARN"): "met", ("KILLED", "PASS"): "met",
    ("COMPLETED", "FAIL"): "fail", ("COMPLETED", "ABORT"): "fail", ("KILLED", "KILLED"): "fail",
    ("INCOMPLETE", "FAIL"): "fail", ("INCOMPLETE", "KILLED"): "block", ("LOST", "n/a"): "block",
    ("COMPLETED", "INFRA"): "block", ("COMPLETED", "PREQ_FAIL"): "fail", ("COMPLETED", "PREQ_DISCARDED"): "fail",
    ("NOT_STARTED", "BLOCKED"): "block", ("NOT_STARTED", "ZERO_ITEMS"): "discard",
}  # fmt: skip
CLOSES = {
    "fail": ("COMPLETED", "PREQ_FAIL"), "discard": ("COMPLETED", "PREQ_DISCARDED"), "block": ("NOT_STARTED", "BLOCKED"),
}  # fmt: skip


def combine(answers: list[str]) -> str:
    """fail at once; else wait for all; else the worst."""
    for word in ("fail", "wait", "discard", "block"):
        if word in answers:
            return word
    return "met"


class Naive:
    """Looks at every case after every event; `ends` is what has ended, `open` what waits or runs."""

    def __init__(self, specs: dict[str, TestSpec], keys: list[CaseKey]) -> None:
        self.specs = specs
        self.ends: dict[CaseKey, str] = {}
        self.started: set[CaseKey] = set()
        self.known: dict[str, list[CaseKey]] = {}
        self.asked: set[str] = set()
        self.said: set[tuple[str, ...]] = set()
        for key in keys:
            self.known.setdefault(key.test, []).append(key)

    def lax(self, test: str) -> bool:
        return "toplevel" in self.specs[test].modes

    def all_of(self, test: str, keys: list[CaseKey]) -> str:
        states = [self.ends.get(k, "wait") for k in keys]
        if self.lax(test):
            return "wait" if "wait" in states else "met"
        return combine(states)

    def iterated(self, test: str) -> bool:
        return test in self.known and any(k.item for k in self.known[test])

    def itemwise(self, test: str) -> bool:
        return bool(self.specs[test].modes & {"itemwait", "itemmatch"})

    def answer(self, key: CaseKey, other: str) -> str:
        if other not in self.known:
            return "wait"
        theirs = self.known[other]
        if not (self.itemwise(key.test) and self.iterated(other) and key.item):
            return self.all_of(key.test, theirs)
        path = map_item(self.specs[key.test].itemmaps.lines(other), key.item)
        mine = [k for k in theirs if k.item == path]
        if not mine and "%" in path:
            mine = [k for k in theirs if memory_part(path)(k.item)]
        if mine:
            return self.all_of(key.test, mine)
        if "itemwait" in self.specs[key.test].modes or self.lax(key.test):
            return self.all_of(key.test, theirs)
        states = [self.ends.get(k, "wait") for k in theirs]
        if "met" in states:
            return "met"
        return "wait" if "wait" in states else combine(states)

    def may_expand(self, test: str) -> str:
        answers = []
        for other in self.specs[test].waitons:
            if self.itemwise(test) and (other not in self.known or self.iterated(other)):
                some = any(k in self.ends for k in self.known.get(other, []))
                answers.append("met" if some else "wait")
            else:
                answers.append(self.answer(CaseKey(test), other))
        return combine(answers)

    def scan(self) -> None:
        again = True
        while again:
            again = self.scan_once()

    def scan_once(self) -> bool:
        before = len(self.said)
        for test, one in self.specs.items():
            if test not in self.known and test not in self.asked:
                word = self.may_expand(test)
                if word == "met":
                    self.asked.add(test)
                    self.said.add(("items", test))
                elif word != "wait":
                    self.known[test] = [CaseKey(test)]
                    self.close(CaseKey(test), word)
            for key in self.known.get(test, []):
                if key in self.ends or key in self.started:
                    continue
                if one.items == () and not key.item:
                    self.ends[key] = "discard"
                    self.said.add((*key, "NOT_STARTED", "ZERO_ITEMS"))
                    continue
                word = combine([self.answer(key, other) for other in one.waitons])
                if word == "met":
                    self.started.add(key)
                    self.said.add((*key, "ready"))
                elif word != "wait":
                    self.close(key, word)
        return len(self.said) > before

    def close(self, key: CaseKey, word: str) -> None:
        self.said.add((*key, *CLOSES[word]))
        self.ends[key] = MEANS[CLOSES[word]]


def words(plan: Plan, move: Move) -> tuple[str, ...]:
    if isinstance(move, Ready):
        return (*plan.cases[move.case], "ready")
    if isinstance(move, Closed):
        return (*plan.cases[move.case], move.state, move.status)
    return ("items", move.test)


ITEMS = st.sampled_from([None, None, "", "a", "a b", "b c", "a b c", "a b c d"])
MODES = st.sampled_from(
    ["", "", "normal", "toplevel", "itemwait", "itemwait", "itemmatch", "itemmatch toplevel", "itemwait toplevel"]
)
MAPS = st.sampled_from(["", "", "a b", ".* %", "b", "[ab] c", "a .%"])


@st.composite
def specs(draw: st.DrawFn) -> dict[str, TestSpec]:
    made: dict[str, TestSpec] = {}
    for n in range(draw(st.integers(1, 7))):
        name = f"t{n}"
        waits = draw(st.lists(st.sampled_from(sorted(made)), max_size=3, unique=True)) if made else []
        deferred = draw(st.booleans()) and draw(st.booleans())
        made[name] = spec(
            name, " ".join(waits), mode=draw(MODES), items=draw(ITEMS), itemmap=draw(MAPS), deferred=deferred
        )
    return made


def drive(
    table: dict[str, TestSpec], late: dict[str, str], seed: int, *, check: bool, salt: int = 0
) -> dict[CaseKey, str]:
    """Run a plan to its end in some order; with check every answer is compared with the naive planner's."""
    rng = random.Random(seed)
    plan = Plan.of(*area(table.values()), Selection())
    naive = Naive(table, plan.cases)
    verdicts: dict[CaseKey, str] = {}
    running: list[int] = []
    asked: list[str] = []
    seen: set[tuple[str, ...]] = set()

    def take(moves: list[Move]) -> None:
        for move in moves:
            said = words(plan, move)
            assert said not in seen, f"said twice: {said}"
            seen.add(said)
            if isinstance(move, Ready):
                running.append(move.case)
            elif isinstance(move, NeedItems):
                asked.append(move.test)
            else:
                verdicts[plan.cases[move.case]] = move.status
        if check:
            naive.scan()
            assert seen == naive.said

    take(list(plan.begin()))
    while running or asked:
        if asked and (not running or rng.random() < 0.5):
            test = asked.pop(rng.randrange(len(asked)))
            before = len(plan.cases)
            moves = list(plan.expanded(test, tuple((("ITEM", i),) for i in late[test].split())))
            naive.known[test] = [k for k in plan.cases[before:] if k.test == test]
            if not late[test]:
                naive.specs[test] = table[test]._replace(items=())
            take(moves)
            continue
        case = running.pop(rng.randrange(len(running)))
        key = plan.cases[case]
        end = ENDS[random.Random(f"{key}{salt}").randrange(len(ENDS))]
        naive.ends[key] = MEANS[end]
        verdicts[key] = "/".join(end)
        take(list(plan.ended(case, *end)))
    assert plan.left() == 0
    assert set(verdicts) == set(plan.cases)
    return verdicts


@given(specs(), st.data(), st.integers(0, 10**6))
def test_a_plan_says_exactly_what_rescanning_the_decision_table_says(
    table: dict[str, TestSpec], data: st.DataObject, seed: int
) -> None:
    late = {n: data.draw(st.sampled_from(["", "a", "a b", "b c d"])) for n, s in table.items() if s.items_deferred}
    drive(dict(table), late, seed, check=True, salt=seed)


@given(specs(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_order_of_endings_changes_no_verdict(table: dict[str, TestSpec], one: int, two: int) -> None:
    late = {n: "a b" for n, s in table.items() if s.items_deferred}
    assert drive(table, late, one, check=False) == drive(table, late, two, check=False)


@given(specs(), st.integers(0, 10**6), st.data())
def test_cases_that_ended_before_count_as_if_they_ended_now(
    table: dict[str, TestSpec], seed: int, data: st.DataObject
) -> None:
    late = {n: "a b" for n, s in table.items() if s.items_deferred}
    verdicts = drive(table, late, seed, check=False)
    ran = {k: tuple(v.split("/")) for k, v in verdicts.items() if "/" in v and v != "n/a"}
    kept = {k: (v[0], "/".join(v[1:])) for k, v in ran.items() if data.draw(st.booleans())}
    plan = Plan.of(*area(table.values()), Selection())
    queue = list(plan.begin(kept))
    again: dict[CaseKey, str] = {}
    for move in queue:  # grows while it is walked
        if isinstance(move, Ready):
            key = plan.cases[move.case]
            assert key not in kept
            state, _, status = verdicts[key].partition("/")
            again[key] = verdicts[key]
            queue.extend(plan.ended(move.case, state, status))
        elif isinstance(move, NeedItems):
            queue.extend(plan.expanded(move.test, tuple((("ITEM", i),) for i in late[move.test].split())))
        else:
            again[plan.cases[move.case]] = move.status
    assert {**{k: "/".join(v) for k, v in kept.items()}, **again} == verdicts


@given(specs(), st.integers(0, 10**6))
def test_reopening_a_case_gives_what_a_fresh_plan_gives(table: dict[str, TestSpec], seed: int) -> None:
    """Everything ends, one case runs again and passes: what had been closed by it is decided as if from the start."""
    late = {n: "a b" for n, s in table.items() if s.items_deferred}
    plan = Plan.of(*area(table.values()), Selection())
    ends: dict[CaseKey, tuple[str, str]] = {}

    def follow(moves: list[Move]) -> None:
        for move in moves:  # grows while it is walked
            if isinstance(move, Ready):
                key = plan.cases[move.case]
                ends.setdefault(key, ENDS[random.Random(f"{key}{seed}").randrange(len(ENDS))])
                moves.extend(plan.ended(move.case, *ends[key]))
            elif isinstance(move, NeedItems):
                moves.extend(plan.expanded(move.test, tuple((("ITEM", i),) for i in late[move.test].split())))
            else:
                closed[plan.cases[move.case]] = move.status

    closed: dict[CaseKey, str] = {}
    follow(list(plan.begin()))
    bad = [k for k, end in ends.items() if MEANS[end] != "met"]
    if not bad or late:
        return
    key = bad[seed % len(bad)]
    ends[key] = ("COMPLETED", "PASS")
    again, moves = plan.reopen([plan.cases.index(key)])
    for case in again:
        closed.pop(plan.cases[case], None)
    follow(list(moves))
    assert plan.left() == 0
    first, closed = closed, {}
    plan = Plan.of(*area(table.values()), Selection())
    follow(list(plan.begin()))
    assert first == closed


@given(specs(), st.sampled_from(["{}", "{}/a", "{}/b", "{}/zz"]), st.integers(0, 10**6))
def test_a_second_request_is_planned_by_the_same_table(table: dict[str, TestSpec], part: str, seed: int) -> None:
    """Part of a plan runs for a while, then everything is wanted: from there on the naive planner agrees."""
    rng = random.Random(seed)
    table = {name: s._replace(items_deferred=False) for name, s in table.items()}
    plan = Plan.of(*area(table.values()), Selection(part.format(rng.choice(sorted(table)))))
    running: list[int] = []
    closed: dict[CaseKey, tuple[str, str]] = {}
    ends: dict[CaseKey, str] = {}

    def take(moves: Iterable[Move]) -> None:
        for move in moves:
            key = plan.cases[move.case]  # type: ignore[union-attr]
            if isinstance(move, Ready):
                running.append(move.case)
                assert key not in ends
            elif isinstance(move, Closed):
                closed[key] = (move.state, move.status)

    def step() -> list[Move]:
        case = running.pop(rng.randrange(len(running)))
        key = plan.cases[case]
        end = ENDS[random.Random(f"{key}{seed}").randrange(len(ENDS))]
        ends[key] = MEANS[end]
        return list(plan.ended(case, *end))

    take(plan.begin())
    for _ in range(rng.randrange(4)):
        if running:
            take(step())
    moves = list(plan.add(Selection("%")))
    items = {name: s.items for name, s in table.items()}
    naive = Naive(table, [k for k in plan.cases if k.item or not items[k.test]])
    naive.ends.update(ends)
    naive.started.update(plan.cases[c] for c in running)
    stale = {k for k, v in closed.items() if v[1] == "ZERO_ITEMS"}
    naive.ends.update({k: MEANS[v] for k, v in closed.items() if k not in stale and not below(table, stale, k.test)})
    before = dict(closed)
    take(moves)
    while True:
        naive.scan()
        verdicts = {CaseKey(*said[:2]): (said[2], said[3]) for said in naive.said if len(said) == 4}
        started = {CaseKey(*said[:2]) for said in naive.said if len(said) == 3}
        assert started <= {plan.cases[c] for c in running} | set(ends)
        assert {plan.cases[c] for c in running} <= started | naive.started
        for key, said in verdicts.items():
            assert closed[key] == said or (key in before and said[1].startswith("PREQ_"))
        if not running:
            break
        take(step())
        naive.ends.update(ends)
    assert plan.left() == 0


def below(table: dict[str, TestSpec], zeros: set[CaseKey], test: str) -> bool:
    """Whether a test waits, directly or not, for one of which no item was wanted."""
    names = {k.test for k in zeros}
    waits = table[test].waitons
    return any(w in names or below(table, zeros, w) for w in waits)


@given(st.integers(1, 12), st.data())
def test_a_circle_of_waitons_is_always_found_and_the_named_path_is_one(n: int, data: st.DataObject) -> None:
    names = [f"t{i}" for i in range(n)]
    waits = {name: data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True)) for name in names}
    table = [spec(name, " ".join(w)) for name, w in waits.items()]
    if not circular(waits):
        plan = Plan.of(*area(table), Selection())
        assert sorted(k.test for k in plan.cases) == sorted(names)
        return
    with pytest.raises(CycleError) as e:
        Plan.of(*area(table), Selection())
    path = e.value.what.removeprefix("cycle: ").split(" -> ")
    assert path[0] == path[-1]
    assert len(path) > 2
    for here, there in itertools.pairwise(path):
        assert there in waits[here]
    assert e.value.where == f"tests/{path[0]}/testconfig:2"


def circular(waits: dict[str, list[str]]) -> bool:
    left = {name: set(w) - {name} for name, w in waits.items()}
    while left:
        free = [n for n, w in left.items() if not w]
        if not free:
            return True
        for n in free:
            del left[n]
        left = {n: w - set(free) for n, w in left.items()}
    return False
