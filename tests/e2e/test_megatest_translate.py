"""What an old command line is called today is something that the new verb takes (spec/runs.md 1)."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testarea import Area

from mt import verbs
from mt.megatest.main import ACTIONS
from mt.megatest.translate import TABLE, shown
from mt.megatest.words import FLAGS, VALUES, read
from mt.options import parse

SHOWN = [
    ("-run -target a/b -runname r -testpatt x%", "mt run -t a/b -r r x%"),
    ("-run -target a/b -runname r -testpatt 'x/1,y z'", "mt run -t a/b -r r 'x/1,y z'"),
    ("-runtests x -target a -runname r -tagexpr slow", "mt run -t a -r r --tags slow x"),
    ("-run -target a -runname r -testpatt t -itempatt i,j", "mt run -t a -r r t/i,t/j"),
    ("-run -target a -runname r -setvars A=1,B=2=3", "mt run -t a -r r --set A=1"),
    ("-run -target a -runname r -rerun FAIL,ABORT -testpatt x", "mt rerun -t a -r r -s FAIL,ABORT x"),
    ("-run -target a -runname r -modepatt K", "mt run -t a -r r  # without -modepatt K"),
    ("-rerun-all -target a -runname r", "mt rerun -t a -r r %"),
    ("-rerun-clean -target a -runname r", "mt rerun -t a -r r"),
    ("-run -start-dir /x -target a -runname r", "mt run --chdir /x -t a -r r"),
    ("-run-wait -target a -runname r -testpatt %", "mt wait -t a -r r"),
    ("-set-state-status KILLREQ,n/a -target a -runname r -testpatt x", "mt stop -t a -r r x"),
    ("-set-state-status COMPLETED,PASS -target a -runname r -status FAIL", "mt set -t a -r r -s FAIL COMPLETED/PASS %"),
    ("-remove-runs -target a -runname r -testpatt %", "mt rm -t a -r r %"),
    ("-remove-runs -keep-records -target a -runname r -testpatt x", "mt rm --data -t a -r r x"),
    ("-lock -target a -runname r", "mt freeze -t a r"),
    ("-unlock -target a -runname r", "mt thaw -t a r"),
    ("-list-runs w% -target a/% -dumpmode json -o f", "mt tests -t a/% -r w% -f json -o f"),
    ("-list-runs % -fields runs:id", "mt tests -r %  # without -fields runs:id"),
    ("-list-targets", "mt targets"),
    ("-list-db-targets", "mt targets --db"),
    ("-show-config -section setup -var linktree", "mt config get setup linktree"),
    ("-show-runconfig -target a", "mt config show --file runconfigs -t a"),
    ("-test-files '*.log' -target a -runname r -testpatt t", "mt paths -t a -r r t '*.log'"),
    ("-testdata-csv perf/%", "mt values -f csv perf/%"),
    ("-list-run-time -run-patt w%", "mt times --by run -r w%"),
    ("-step a -state start -status running", "mt step a start running"),
    ("-step a -state end -status 3 -m 'x y' -setlog l", "mt step -m 'x y' --log l a end 3"),
    ("-runstep w -logpro w.logpro ls /", "mt step w -- ls /"),
    ("-load-test-data -test-status :state COMPLETED :status AUTO", "mt value - && mt result --state COMPLETED AUTO"),
    ("-set-values :variable v :value 3 :expected 4 :tol '<'", "mt value --expect 4 --tol '<' v=3"),
    ("-create-test t", "mt new t"),
    ("-rebuild-db", "mt db rebuild --all"),
    ("-version", "mt version"),
    ("-setvars -x -list-targets", "mt targets  # without -setvars -x"),
]


@pytest.mark.parametrize(("old", "new"), SHOWN)
def test_an_old_command_line_has_a_new_name(old: str, new: str) -> None:
    """spec/runs.md 1.4, 1.5, 1.7."""
    assert shown(read(shlex.split(old))) == new


def test_every_action_is_translated_or_says_why_not() -> None:
    """spec/runs.md 1.4, 1.5, 1.7."""
    assert {(module, function) for _, module, function in ACTIONS} == set(TABLE)


#: words that look like patterns, numbers, options and nothing at all
WORDS = st.one_of(st.sampled_from(["", "%", "-", "--", "-x", "-run", "a/b", "1", "x y", "A=b", "#", "it's"]), st.text())
OPTIONS = st.one_of(
    st.tuples(st.sampled_from(sorted(VALUES)), WORDS),
    st.tuples(st.sampled_from(sorted(FLAGS))),
)
_ASKED = sorted({option for options, _, _ in ACTIONS for option in options})
ACTION = st.sampled_from(_ASKED).flatmap(
    lambda o: st.tuples(st.just(o), WORDS) if o in VALUES else st.tuples(st.just(o))
)


def accepted(line: str) -> int:
    """How many commands a translation has, each of which its verb takes."""
    if line.startswith("# "):
        return 0
    words = shlex.split(line, comments=True)
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    for mt, *rest in commands:
        assert mt == "mt"
        found = verbs.find(rest)
        assert found, rest
        parse(verbs.load(found[0]).Options, found[1], found[0])
    return len(commands)


@pytest.mark.parametrize("option", _ASKED)
def test_each_action_by_itself_is_taken_by_the_new_verb(option: str) -> None:
    """spec/runs.md 1.4, 1.5, 1.7."""
    words = [option, "3"] if option in VALUES else [option]
    line = shown(read([*words, "-target", "a/b", "-runname", "r", ":status", "PASS", ":value", "1"]))
    assert accepted(line) or line.startswith("# ")


@given(ACTION, st.lists(OPTIONS, max_size=5))
def test_whatever_was_typed_the_new_verb_takes_what_is_shown(
    action: tuple[str, ...], more: list[tuple[str, ...]]
) -> None:
    """spec/runs.md 1.4, 1.5, 1.7: no word, however odd, spoils the new command line."""
    line = shown(read([*action, *(word for words in more for word in words)]))
    assert "\n" not in line or "'" in line
    accepted(line)


def test_the_new_name_is_printed_before_the_work_with_v(area: Area) -> None:
    """spec/runs.md A9: -v, which had no effect."""
    result = area.mt("-v", "-ping", "nobody:0", prog="megatest")
    assert result.err.splitlines()[0] == "mt: # there are no servers, and none are needed"
    listed = area.mt("-version", "-v", "-target", "x", prog="megatest")
    assert (listed.status, listed.err) == (0, "mt: mt version  # without -target x\n")
