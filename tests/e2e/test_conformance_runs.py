"""The rules of spec/runs.md 2, 3 and 4.2 to 4.5, one by one (tests/e2e/CONFORMANCE.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fakes.specs import area as specs_of
from fakes.specs import spec
from testarea import CONFIG, TARGET, Area

from mt.area import Area as Read
from mt.durations import hms
from mt.pipeline.plan import Closed, Plan, Ready, Selection
from mt.selectors import grow, map_item
from mt.states import roll_items
from mt.testspec import item_lines

#: appends the name of the case to a file of the area, in the order in which cases run
NOTE = "echo $MT_TEST_NAME/$MT_ITEMPATH >> $MT_RUN_AREA_HOME/order"
N_ITEMS = {"N": "1 2 3"}
ITEMWAIT = "[requirements]\nmode itemwait\n"
TOPLEVEL = "[requirements]\nmode toplevel\n"


def ran(area: Area, *words: str, run: str = "r", env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Run and give `test/item` -> status (STATE/status where the state is not COMPLETED)."""
    area.mt("run", "-t", TARGET, "-r", run, "-q", *words, env=env)
    return recorded(area, run)


def recorded(area: Area, run: str = "r", *words: str) -> dict[str, str]:
    """What is recorded of the cases of a run."""
    found = {}
    for row in area.rows("tests", f"{TARGET}//{run}", *words):
        name = row["test"] + (f"/{row['item']}" if row.get("item") else "")
        found[name] = row["status"] if row["state"] == "COMPLETED" else f"{row['state']}/{row['status']}"
    return found


def order(area: Area) -> list[str]:
    """The cases in the order in which they ran."""
    path = area.home / "order"
    return [line.rstrip("/") for line in path.read_text().splitlines()] if path.exists() else []


def made(*specs: object, want: str = "%", tags: str | None = None) -> Plan:
    return Plan.of(*specs_of(specs), Selection(want, tags))  # type: ignore[arg-type]


# -- 2.2, 2.5: what is chosen, and what is pulled in


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("abc", ["abc", "abc/x"]), ("abc/", []), ("A%", ["abc", "abc/x"]), ("a*", ["abc", "abc/x"]),
        ("a.c", ["abc", "abc/x"]), ("(a|b)c", ["bc"]), ("~a%", ["bc", "def/a"]), ("%/,%/a", ["def/a"]),
        ("abc/~x", []), ("def/~x", ["def/a"]), ("~a%,abc", ["abc/x", "bc", "def/a"]), ("abc,,bc", ["abc/x", "bc"]),
    ],
)  # fmt: skip
def test_patterns_choose_as_the_memory_match_says(pattern: str, chosen: list[str]) -> None:
    """2.2, through the whole planning of a run; a pattern of the top record alone leaves no items (2.7)."""
    plan = made(spec("abc", items="x"), spec("bc"), spec("def", items="a"), want=pattern)
    moves = list(plan.begin())
    ready = sorted(str(plan.cases[m.case]) for m in moves if isinstance(m, Ready))
    assert ready == [c for c in chosen if c != "abc"] or (pattern == "%/,%/a" and "def/a" in ready)


def test_tags_choose_the_first_tests_only(area: Area) -> None:
    """2.1, 2.4, R12: AND-ed with the pattern; prerequisites come whatever their tags."""
    area.test("a", waiton="b", more="[test_meta]\ntags fast,net\n").test("b", more="[test_meta]\ntags slow\n")
    area.test("c", more="[test_meta]\ntags  quick , Fast\n")
    assert ran(area, "--tags", "fast%") == {"a": "PASS", "b": "PASS"}
    assert ran(area, "--tags", "qui%,x", run="q") == {"c": "PASS"}
    assert area.mt("run", "-t", TARGET, "-r", "z", "--tags", "fast", "c").status == 7


GROWN = [
    # modes, itemmap, pattern of h           grown
    ("", "", "h/2", "w,h/2"),
    ("toplevel", "", "h/2", "w,h/2"),
    ("exclusive", "", "h/2", "w,h/2"),
    ("itemwait", "", "h/2", "w/2,w/,h/2,h/"),
    ("itemmatch", "", "h/2", "w/2,w/,h/2,h/"),
    ("itemwait", "", "h", "w/%,w/,h"),
    ("itemwait", "", "h/a%", "w/a%,w/,h/a%,h/"),
    ("itemwait", "", "%", "w/%,w/,%"),
    ("itemwait", r"(\d+)/res \1/aa", "h/1/res", "w/1/aa,w/,h/1/res,h/"),
    ("itemwait", r"([^/]+)/.* 1234/%/\1", "h/t1/i", "w/1234/%/t1,w/,h/t1/i,h/"),
]


@pytest.mark.parametrize(("mode", "itemmap", "pattern", "want"), GROWN)
def test_the_pattern_grows_as_its_table_says(mode: str, itemmap: str, pattern: str, want: str) -> None:
    """2.5."""
    table = {"h": spec("h", "w", mode=mode, itemmap=itemmap), "w": spec("w")}
    assert grow(pattern, ["h"], table.get).pattern.text == want


def test_a_chain_of_itemwait_tests_runs_one_item_of_each(area: Area) -> None:
    """2.5: s/1 with s, d, c, b, a all itemwait runs a/1 b/1 c/1 d/1 s/1 only, in that order."""
    for name, waits in zip("abcds", ["", *"abcd"], strict=True):
        area.test(name, NOTE, items={"N": "1 2 3"}, waiton=waits, more="[requirements]\nmode itemwait\n")
    assert ran(area, "s/1") == {f"{name}/1": "PASS" for name in "abcds"}
    assert order(area) == ["a/1", "b/1", "c/1", "d/1", "s/1"]


def test_a_circle_is_an_error_that_names_its_way(area: Area) -> None:
    """2.5 [D2]: exit status not 0, nothing runs."""
    area.test("a", NOTE, waiton="b").test("b", waiton="a")
    result = area.mt("run", "-t", TARGET, "-r", "r")
    assert result.status == 3
    assert "a -> b -> a" in result.err
    assert order(area) == []


def test_a_waitor_is_pulled_in_without_an_order(area: Area) -> None:
    """2.5, T23: nobody waits for anybody, not even when it fails."""
    area.test("c", more="[requirements]\nwaitor a b\n").test("a", "false").test("b")
    assert ran(area, "c") == {"a": "FAIL", "b": "PASS", "c": "PASS"}


MAPS = [
    ("foo/bar/baz", ".*/", "baz"), ("a123b321", "(a\\d+)(b\\d+) \\2foo\\1\nb(.*) \\1p", "321fooa123p"),
    ("foo/1234", "foo/ bar/", "bar/1234"), ("d/e/f", "d a\ne b\nf c", "a/b/c"),
    ("foo23/thud", "foo(\\d+)/ num-\\1/bar/", "num-23/bar/thud"), ("layout/ptran", "/.*", "layout"),
    ("aa", "a b", "ba"), ("testcase1/item.1", ".* %", "%"), ("bork/7", "bork blah", "blah/7"),
    ("testcase1/item.1", "([^/]+)/.* X1234/%/\\1\nX(\\d+) \\1", "1234/%/testcase1"),
    ("layout/ntran", "/.*", "layout"), ("1/aa", "(\\d+)/aa aa/\\1", "aa/1"), ("x/y/z", "/ -", "x-y/z"),
    ("case12/x", "[[:alpha:]]+([[:digit:]]+)/ \\1-", "12-x"), ("AB/x", "(?i)ab/", "x"),
    ("baz/bar/foo", "^([^/]+)/([^/]+)/([^/]+)$ \\3/\\2/\\1", "foo/bar/baz"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "text", "want"), MAPS)
def test_item_maps_as_they_are_written_give_what_the_tables_say(item: str, text: str, want: str) -> None:
    """2.6, T50: several lines are written as a continued value."""
    assert map_item(item_lines(text), item) == want


def test_item_maps_of_both_places_choose_and_order(area: Area) -> None:
    """T51, T52 FIX, D14 (QA itemmap): by waiton name in [itemmap], for all in [requirements]; also with `%`."""
    area.test("w", NOTE, items={"A": "x y z", "B": "1"}).test("v", NOTE, items={"A": "p/x p/y"})
    maps = "[itemmap]\nv (.*) p/\\1\nw (.+) \\1\n  ([xyz]) \\1/1\n% nothing\n"
    area.test("t", NOTE, waiton="w v", items={"A": "x y"}, more=ITEMWAIT + maps)
    assert ran(area, "t/x") == {"t/x": "PASS", "v/p/x": "PASS", "w/x/1": "PASS"}
    assert order(area)[-1] == "t/x"
    (area.home / "order").unlink()
    general = ITEMWAIT + "itemmap q/(.*) \\1/%\n[itemmap]\nw /never/\n"
    area.test("g", NOTE, waiton="w", items={"A": "q/x q/y"}, more=general)
    assert ran(area, "g/q/x", run="g") == {"g/q/x": "PASS", "w/x/1": "PASS"}
    assert order(area) == ["w/x/1", "g/q/x"]


def test_a_map_to_a_pattern_waits_for_all_that_it_matches(area: Area) -> None:
    """T52, 2.6: `1234/%/testcase1` is a pattern for the waiton's items; one bad one fails mine alone."""
    area.test("w", "test $B$C != btestcase2", items={"A": "1234", "B": "a b", "C": "testcase1 testcase2"})
    maps = "itemmap ([^/]+)/.* X1234/%/\\1\n  X(\\d+) \\1\n"
    area.test("t", NOTE, waiton="w", items={"C": "testcase1 testcase2", "I": "item.1"}, more=ITEMWAIT + maps)
    got = ran(area, "t")
    assert (got["t/testcase1/item.1"], got["t/testcase2/item.1"]) == ("PASS", "PREQ_FAIL")
    assert ran(area, "t/testcase1/%", run="s").keys() == {
        "t/testcase1/item.1", "w/1234/a/testcase1", "w/1234/b/testcase1",
    }  # fmt: skip


# -- 2.7: items


@pytest.mark.parametrize(
    ("want", "test"),
    [("b/9", spec("b")), ("b/", spec("b", items="1")), ("b/9", spec("b", items="1")), ("b", spec("b", items=""))],
)  # fmt: skip
def test_nothing_that_matches_is_zero_items(want: str, test: object) -> None:
    """2.7, T41, T47."""
    plan = made(test, want=want)
    (move,) = plan.begin()
    assert isinstance(move, Closed)
    assert (move.state, move.status) == ("NOT_STARTED", "ZERO_ITEMS")
    assert move.comment == "This test has no items which match test pattern."


def test_items_that_do_not_match_are_not_registered(area: Area) -> None:
    """T47 (QA testpatt): runfirst/%2 takes b/2 alone; the pattern crosses `/`."""
    area.test("runfirst", items={"S": "winter summer"}, more="[itemstable]\nA a b\nB 1 2\n")
    assert ran(area, "runfirst/%2") == {"runfirst/b/2": "PASS"}
    assert ran(area, "runfirst", run="all").keys() == {f"runfirst/{i}" for i in ("winter", "summer", "a/1", "b/2")}
    assert recorded(area, "all", "--tops") == {"runfirst": "PASS"}


# -- 3.3: roll-up

ROLLED = [
    ("C/PASS C/PASS", "C/PASS"), ("C/PASS C/WARN", "C/WARN"), ("C/PASS C/SKIP", "C/SKIP"),
    ("C/WARN C/WAIVED", "C/WAIVED"), ("C/WAIVED C/CHECK", "C/CHECK"), ("C/FAIL C/CHECK", "C/FAIL"),
    ("C/FAIL C/ABORT", "C/ABORT"), ("C/FAIL C/DEAD", "C/FAIL"), ("C/PASS C/DEAD", "C/DEAD"),
    ("C/PASS C/n/a", "C/PASS"), ("C/PASS C/AUTO", "C/PASS"), ("C/PASS C/KILLED", "C/PASS"),
    ("C/PASS C/PREQ_FAIL", "N/PREQ_FAIL"), ("C/FAIL C/PREQ_DISCARDED", "C/PREQ_DISCARDED"),
    ("DELETED/n/a C/PASS", "C/PASS"), ("DELETED/n/a REMOVING/LOCKED", None), ("N/n/a C/PASS", "N/STARTED"),
    ("N/FAIL C/PASS", "N/STARTED"), ("N/INCOMPLETE C/PASS", "C/STARTED"), ("N/BLOCKED C/PASS", "C/STARTED"),
    ("N/TEN_STRIKES C/PASS", "C/STARTED"), ("KILLED/KILLED C/PASS", "KILLED/PASS"),
    ("KILLED/KILLED INCOMPLETE/FAIL", "KILLED/FAIL"), ("KILLREQ/n/a C/PASS", "KILLREQ/PASS"),
    ("STUCK/n/a C/PASS", "STUCK/PASS"), ("INCOMPLETE/FAIL C/PASS", "INCOMPLETE/FAIL"),
    ("RUNNING/n/a C/FAIL", "RUNNING/FAIL"), ("LAUNCHED/n/a C/PASS", "RUNNING/PASS"),
    ("REMOTEHOSTSTART/n/a C/PASS", "RUNNING/PASS"), ("RUNNING/n/a C/PREQ_FAIL", "RUNNING/PREQ_FAIL"),
    ("ARCHIVED/PASS ARCHIVED/FAIL", "ARCHIVED/FAIL"), ("REMOVING/LOCKED C/PASS C/FAIL", "C/FAIL"),
    ("N/n/a C/FAIL C/PASS", "N/STARTED"),
]  # fmt: skip
_SHORT = {"C": "COMPLETED", "N": "NOT_STARTED"}


def _pair(word: str) -> tuple[str, str]:
    state, _, status = word.partition("/")
    return _SHORT.get(state, state), status


@pytest.mark.parametrize(("items", "top"), ROLLED)
def test_items_roll_up_as_their_table_says(items: str, top: str | None) -> None:
    """3.3."""
    counts = {pair: 1 for pair in map(_pair, items.split())}
    assert roll_items(counts) == (None if top is None else _pair(top))


def test_a_rolled_up_record_is_what_queries_show(area: Area) -> None:
    """3.3, end to end: PASS and FAIL give FAIL; SKIP beside PASS gives SKIP."""
    area.test("mixed", "test $N != 2", items={"N": "1 2 3"})
    area.test("skips", items={"N": "1 2"}, more="[skip]\nfileexists #{getenv N}\n")
    area({"tests/skips/1": ""})
    ran(area)
    assert recorded(area, "r", "--tops") == {"mixed": "FAIL", "skips": "SKIP"}


# -- 3.5: script and steps


def test_script_and_steps_add_up(area: Area) -> None:
    """3.5: a bad script stays bad though its steps run and pass; the second of three steps fails and ends it."""
    area({"tests/bad/testconfig": "[setup]\nrunscript false\n[ezsteps]\na true\nb echo b\n"})
    area({"tests/warn/testconfig": "[setup]\nrunscript sh -c 'exit 2'\n[ezsteps]\na true\n"})
    area.test("three", "true", "false", "true")
    assert ran(area) == {"bad": "FAIL", "warn": "WARN", "three": "FAIL"}
    assert [row["step"] for row in area.rows("steps", f"{TARGET}//r//three")] == ["s1", "s2"]
    assert [row["step"] for row in area.rows("steps", f"{TARGET}//r//bad")] == ["a", "b"]


def test_variables_of_a_step_prefix_are_set_for_it_alone(area: Area) -> None:
    """3.5, T11."""
    area.test("a", "{X=1;Y=two words} echo $X $Y", 'echo "[$X]"')
    ran(area)
    assert area.read(f"lt/{TARGET}/r/a/s1.log") == "1 two words\n"
    assert area.read(f"lt/{TARGET}/r/a/s2.log") == "[]\n"


# -- 4.2, 4.3: prerequisites


def test_what_fails_fails_what_waits_for_it(area: Area) -> None:
    """4.3 chains, row 1: neither is launched; row 6: a toplevel test runs over a PREQ_FAIL."""
    area.test("a", "false").test("b", NOTE, waiton="a").test("c", NOTE, waiton="b")
    area.test("t", NOTE, waiton="b", more=TOPLEVEL)
    assert ran(area) == {"a": "FAIL", "b": "PREQ_FAIL", "c": "PREQ_FAIL", "t": "PASS"}
    assert order(area) == ["t"]
    comments = {row["test"]: row["comment"] for row in area.rows("tests", f"{TARGET}//r")}
    assert comments["b"] == "Failed to run due to failed prerequisites"


def test_what_has_no_items_discards_what_waits_for_it(area: Area) -> None:
    """4.3 chains, row 2; 9.2 D5: toplevel over it starts."""
    area.test("n", more="[items]\nX\n").test("w1", waiton="n").test("w2", waiton="w1").test("w3", waiton="w2")
    area.test("t", waiton="n", more=TOPLEVEL)
    assert ran(area) == {
        "n": "NOT_STARTED/ZERO_ITEMS", "w1": "PREQ_DISCARDED", "w2": "PREQ_FAIL", "w3": "PREQ_FAIL", "t": "PASS",
    }  # fmt: skip


def test_itemwait_fails_only_the_item_of_the_bad_counterpart(area: Area) -> None:
    """4.3 chains, rows 3 to 5; D5: the toplevel test starts when all is over."""
    area.test("b", "test $N != 2", items=N_ITEMS).test("a", NOTE, items=N_ITEMS, waiton="b", more=ITEMWAIT)
    area.test("t", NOTE, waiton="a").test("u", NOTE, waiton="a", more=TOPLEVEL)
    assert ran(area) == {
        "b/1": "PASS", "b/2": "FAIL", "b/3": "PASS", "a/1": "PASS", "a/2": "PREQ_FAIL", "a/3": "PASS",
        "t": "PREQ_FAIL", "u": "PASS",
    }  # fmt: skip
    assert recorded(area, "r", "--tops")["a"] == "NOT_STARTED/PREQ_FAIL"
    assert set(order(area)) == {"a/1", "a/3", "u"}


def test_what_failed_for_a_prerequisite_stays_so_until_it_is_asked_for(area: Area) -> None:
    """4.3 last paragraph: final for later runs; `mt rerun` (`-rerun PREQ_FAIL`) resets the prerequisite first (D4)."""
    area.test("b", "test -e $MT_RUN_AREA_HOME/flag").test("a", NOTE, waiton="b")
    assert ran(area) == {"b": "FAIL", "a": "PREQ_FAIL"}
    area({"flag": ""})
    assert ran(area) == {"b": "FAIL", "a": "PREQ_FAIL"}
    area.mt("rerun", f"{TARGET}//r")
    assert recorded(area) == {"b": "PASS", "a": "PASS"}


#: state and status of a waiton set by hand -> what becomes of what waits for it, by mode (4.3, table)
BY_HAND = [
    ("COMPLETED", "WARN", "met met"), ("COMPLETED", "CHECK", "met met"), ("COMPLETED", "WAIVED", "met met"),
    ("COMPLETED", "SKIP", "met met"), ("KILLED", "PASS", "met met"), ("COMPLETED", "FAIL", "fail met"),
    ("COMPLETED", "ABORT", "fail met"), ("COMPLETED", "DEAD", "fail met"), ("KILLED", "KILLED", "fail met"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "status", "answers"), BY_HAND)
def test_a_waiton_that_ended_so_counts_so(area: Area, state: str, status: str, answers: str) -> None:
    """4.3: records of an earlier command decide as those of this one; KILLED fails (9.2 D1)."""
    area.test("w", "false").test("normal", waiton="w").test("toplevel", waiton="w", more=TOPLEVEL)
    ran(area, "w")
    area.ok("set", f"{state}/{status}", f"{TARGET}//r//w")
    got = ran(area, "normal", "toplevel")
    words = {"met": "PASS", "fail": "PREQ_FAIL"}
    assert [got["normal"], got["toplevel"]] == [words[a] for a in answers.split()]


# -- 4.4: order and limits


def test_priorities_and_prerequisites_order_the_starts(area: Area) -> None:
    """4.4: higher first, no number counts as 0, a waiton before its waitor."""
    for name, priority in {"p1": "1", "p10": "10", "p5": "5", "p0": "none", "m": "-1"}.items():
        area.test(name, NOTE, more=f"[requirements]\npriority {priority}\n")
    area.test("after", NOTE, waiton="m", more="[requirements]\npriority 99\n")
    area({"megatest.config": CONFIG.replace("max_concurrent_jobs 4", "max_concurrent_jobs 1")})
    ran(area)
    assert order(area) == ["p10", "p5", "p1", "p0", "m", "after"]


#: a case that is there for a while, and how many of its test it finds there
BUSY = (
    "mkdir $MT_RUN_AREA_HOME/{0}.$MT_RUNNAME.$N; ls $MT_RUN_AREA_HOME | grep -c ^{0}[.]; sleep 0.2;"
    " rmdir $MT_RUN_AREA_HOME/{0}.$MT_RUNNAME.$N"
)


def busiest(area: Area, test: str, run: str = "r") -> int:
    """How many cases of a test ran at once at most, as each of them saw it."""
    path = area.home / "lt" / TARGET / run / test
    return max(int((path / item / "s1.log").read_text()) for item in os.listdir(path) if (path / item).is_dir())


def test_no_more_run_at_once_than_the_area_allows(area: Area) -> None:
    """4.4, 2.1: max_concurrent_jobs, and jobgroups below it (2.5)."""
    area({"megatest.config": CONFIG.replace("max_concurrent_jobs 4", "max_concurrent_jobs 3") + "[jobgroups]\ng 1\n"})
    area.test("free", BUSY.format("free"), items={"N": "1 2 3 4 5 6"})
    area.test("held", BUSY.format("held"), items={"N": "1 2 3"}, more="[test_meta]\njobgroup g\n")
    assert set(ran(area).values()) == {"PASS"}
    assert 2 <= busiest(area, "free") <= 3
    assert busiest(area, "held") == 1


def test_one_job_at_a_time_is_strictly_so(area: Area) -> None:
    """4.4: 1 means one after the other."""
    area({"megatest.config": CONFIG.replace("max_concurrent_jobs 4", "max_concurrent_jobs 1")})
    area.test("a", BUSY.format("a"), items={"N": "1 2 3"})
    ran(area)
    assert busiest(area, "a") == 1


def test_all_runs_of_an_area_share_its_limit(area: Area) -> None:
    """4.4: max_concurrent_jobs counts what runs in all runs of the area."""
    area({"megatest.config": CONFIG.replace("max_concurrent_jobs 4", "max_concurrent_jobs 1")})
    area.test("a", BUSY.format("a"), items={"N": "1 2 3"})
    with (
        area.start("run", "-t", TARGET, "-r", "one", "-q") as one,
        area.start("run", "-t", TARGET, "-r", "two", "-q") as two,
    ):
        assert (one.wait(60), two.wait(60)) == (0, 0)
    assert {busiest(area, "a", run) for run in ("one", "two")} == {1}


def test_all_runs_of_an_area_share_its_job_groups(area: Area) -> None:
    """4.4, also by the old command, whose controller leaves before its tests end."""
    area({"megatest.config": CONFIG + "[jobgroups]\ng 1\n"})
    area.test("a", BUSY.format("a"), items={"N": "1 2"}, more="[test_meta]\njobgroup g\n")
    words = ("-run", "-target", TARGET, "-testpatt", "%")
    assert area.mt(*words, "-runname", "one", prog="megatest").status == 0
    assert area.mt(*words, "-runname", "two", "-run-wait", prog="megatest").status == 0
    area.mt("wait", f"{TARGET}//one")
    assert {busiest(area, "a", run) for run in ("one", "two")} == {1}


def test_an_exclusive_test_does_not_run_twice_at_once(area: Area) -> None:
    """4.2, T24: neither in this run nor in another one."""
    area.test("x", BUSY.format("x"), items={"N": "1"}, more="[requirements]\nmode exclusive\n")
    with (
        area.start("run", "-t", TARGET, "-r", "one", "-q") as one,
        area.start("run", "-t", TARGET, "-r", "two", "-q") as two,
    ):
        assert (one.wait(60), two.wait(60)) == (0, 0)
    assert {busiest(area, "x", run) for run in ("one", "two")} == {1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25m", 1500), ("1h 2m 3s", 3723), ("1d 1h 1m 10s", 90070), ("2w", 1209600), ("1M", 2628000),
        ("1y", 31536000), ("about 5s or so", 5), ("1h # max 2h", 10800), ("1h2m", 3720), ("10", 10), ("soon", 0),
    ],
)  # fmt: skip
def test_lengths_of_time_add_up_their_words(text: str, seconds: int) -> None:
    """config 2.2, T25, T26; FIX: `1h2m` and a bare number are read."""
    assert hms(text) == seconds


# -- 4.5: what ran already, skips


def test_what_is_done_is_left_alone_and_what_is_not_is_done(area: Area) -> None:
    """4.5, table, column "no option": COMPLETED and KILLED are done, INCOMPLETE, NOT_STARTED and DELETED run."""
    set_to = {
        "done": "COMPLETED/PASS", "failed": "COMPLETED/FAIL", "waiting": "COMPLETED/PREQ_FAIL",
        "killed": "KILLED/KILLED", "stuck": "STUCK/n/a", "inc": "INCOMPLETE/FAIL", "reset": "NOT_STARTED/n/a",
        "deleted": "DELETED/n/a",
    }  # fmt: skip
    area.test("t", NOTE, items={"N": " ".join(set_to)})
    ran(area)
    for item, status in set_to.items():
        area.mt("set", status, f"{TARGET}//r//t/{item}")
    (area.home / "order").unlink()
    before = recorded(area)
    got = ran(area)
    assert sorted(order(area)) == ["t/deleted", "t/inc", "t/reset"]
    assert got == {**before, "t/inc": "PASS", "t/reset": "PASS", "t/deleted": "PASS"}


def test_rerunning_a_status_runs_those_items_only(area: Area) -> None:
    """4.5: PASS, FAIL, PASS with `-rerun FAIL` runs the second only."""
    area.test("t", NOTE + "; test $N != 2 -o -e $MT_RUN_AREA_HOME/flag", items=N_ITEMS)
    assert ran(area) == {"t/1": "PASS", "t/2": "FAIL", "t/3": "PASS"}
    (area.home / "order").unlink()
    area({"flag": ""})
    area.ok("rerun", "-t", TARGET, "-r", "r")
    assert order(area) == ["t/2"]
    assert set(recorded(area).values()) == {"PASS"}


def test_a_run_goes_on_after_failures_with_all_that_does_not_depend(area: Area) -> None:
    """4.5 keep-going."""
    area.test("a", "false").test("b", NOTE, waiton="a").test("c", NOTE).test("d", NOTE, waiton="c")
    assert ran(area, "-j", "1") == {"a": "FAIL", "b": "PREQ_FAIL", "c": "PASS", "d": "PASS"}


# -- through the old command


@pytest.fixture
def old(area: Area) -> Callable[..., Any]:
    """Run `megatest -run ... -run-wait` and give what is recorded."""

    def megatest(*words: str, run: str = "r") -> tuple[dict[str, str], str]:
        done = area.mt("-run", "-target", TARGET, "-runname", run, "-run-wait", *words, prog="megatest")
        return recorded(area, run), done.out + done.err

    return megatest


def test_the_old_command_says_what_failed_prerequisites_stop(area: Area, old: Callable[..., Any]) -> None:
    """4.3 chains, row 3: one line for a/2."""
    area.test("b", "test $N != 2", items=N_ITEMS).test("a", items=N_ITEMS, waiton="b", more=ITEMWAIT)
    got, said = old("-testpatt", "%")
    assert got["a/2"] == "PREQ_FAIL"
    assert (
        len([line for line in said.splitlines() if line.startswith("WARNING: test a/2 has FAILED prerequisites")]) == 1
    )


def test_the_old_command_takes_any_target_and_the_pattern_of_the_target(area: Area, old: Callable[..., Any]) -> None:
    """2.4 rows 2 and 3, R10 (QA testpatt_envvar): `-testpatt %` is replaced, another pattern is not."""
    area({"runconfigs.config": f"[{TARGET}]\nTESTPATT a,b\n"}).test("a").test("b").test("c")
    assert old("-testpatt", "%")[0].keys() == {"a", "b"}
    assert old(run="n")[0].keys() == {"a", "b"}
    assert old("-testpatt", "c", run="c")[0].keys() == {"c"}
    assert area.mt("-run", "-target", "any/thing", "-runname", "r", "-run-wait", prog="megatest").status == 0
    assert {row["test"] for row in area.rows("tests", "any/thing//r")} == {"a", "b", "c"}


def test_the_old_command_says_what_is_wrong_with_waitons_at_the_start_of_a_line(
    area: Area, old: Callable[..., Any]
) -> None:
    """T20, T22, runs A10 (QA special, dynamic_waiton): scripts look for `^ERROR:`."""
    area.test("special", waiton="#{rget X}").test("dynamic_waiton", waiton="dynamic_waiton")
    _, said = old("-testpatt", "%")
    lines = said.splitlines()
    assert "ERROR: test special has unrecognised waiton testname #f" in lines
    assert "ERROR: test dynamic_waiton has listed itself as a waiton or waitor, please correct this!" in lines


def test_the_files_of_an_area_are_read_with_the_words_of_the_command(area: Area, old: Callable[..., Any]) -> None:
    """config 1.7 (args:get-arg ...): the old options answer."""
    area({"megatest.config": CONFIG + '[env-override]\nASKED #{scheme (args:get-arg "-testpatt")}\n'})
    area.test("a", "test $ASKED = a").test("b", "false")
    assert old("-testpatt", "a")[0] == {"a": "PASS"}
    assert Read.open(str(area.home), environ={}, args={"-testpatt": "x"}).env["ASKED"] == "x"
