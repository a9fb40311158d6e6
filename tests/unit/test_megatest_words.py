"""The old words are read as they always were (spec/runs.md 1.1)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mt.megatest.main import ACTIONS, action_of
from mt.megatest.words import FLAGS, VALUES, Args, comma_list, pairs, read

LISTED = (
    "-h -help --help -manual -version -run -runall -runtests -testpatt -modepatt --modepatt -tagexpr -itempatt "
    "-rerun -rerun-clean -rerun-all -preclean -force -one-pass -run-wait -remove-runs -keep-records -remove-keep "
    "-age -actions -precmd -archive -lock -unlock -rollup -mark-incompletes -set-state-status -set-run-status "
    "-get-run-status -contour -prepend-contour -area-tag -sync-to -cache-db -source-db -target-db -prefix-target "
    "-pgsync -clean-cache -no-cache -config -append-config -xterm -execute -override-timeout -server -transport "
    "-daemonize -list-servers -kill-servers -ping -step -state -status :state :status -setlog -m -test-status "
    "-set-toplog -summarize-items -load-test-data -set-values :value :category :variable :expected :tol :units "
    "-runstep -logpro -recover-test -test-files -test-paths -list-runs -target -reqtarg -runname :runname -fields "
    "-dumpmode -sort -o -list-targets -list-db-targets -list-disks -show-keys -show-config -show-runconfig "
    "-show-cmdinfo -testdata-csv -list-run-time -list-test-time -extract-ods -pathmod -diff-rep -generate-html "
    "-generate-html-structure -env2file -envcap -envdelta -refdb2dat -import-megatest.db -sync-to-megatest.db "
    "-rebuild-db -cleanup-db -update-meta -create-megatest-area -create-test -repl -load -days -rename-run -to "
    "-port -since -run-id -convert-to-norm -convert-to-old -use-db-cache -gui -v -q -section -var -start-dir "
    "-debug -log -logging -setvars -run-patt -target-patt "
).split()


def test_every_option_of_the_specification_is_known() -> None:
    """spec/runs.md 1.1, 1.4, 1.5, 1.7."""
    assert [o for o in LISTED if o not in VALUES | FLAGS] == []
    assert not VALUES & FLAGS


def test_a_value_is_the_next_word_whatever_it_looks_like() -> None:
    """spec/runs.md A1."""
    args = read(["-testpatt", "-run"])
    assert args.value("-testpatt") == "-run"
    assert action_of(args) is None


def test_a_value_that_is_missing_stops_everything() -> None:
    """spec/runs.md A2."""
    assert read(["-run", "-target"]).cut
    assert not read(["-run", "-target", "a"]).cut


def test_a_later_option_replaces_an_earlier_one() -> None:
    """spec/runs.md A3."""
    assert read(["-runname", "a", "-runname", "b"]).value("-runname", ":runname") == "b"


def test_words_that_are_no_option_are_kept_in_order() -> None:
    """spec/runs.md A4."""
    assert read(["one", "-run", "two", "-m", "x", "three"]).strangers == ("one", "two", "three")


def test_some_actions_take_such_words() -> None:
    """spec/runs.md A4."""
    for option in ("-runstep", "-envcap", "-envdelta"):
        args = read([option, "n", "ls", "/"])
        assert (args.rest, args.strangers) == (("ls", "/"), ())


def test_options_of_other_versions_are_such_words() -> None:
    """spec/runs.md A5, C13."""
    words = ["-keepgoing", ":first_err", "1", ":first_warn", "2", ":comment", "c", ":type", "t", ":sysname", "ubuntu"]
    args = read(["-run", *words])
    assert args.strangers == tuple(words)
    assert args.has("-run")


def test_pairs_with_exactly_one_equals_sign_count() -> None:
    """spec/runs.md A12."""
    assert pairs("X=1=2,Y=3") == (("Y", "3"),)
    assert pairs("A=b,C=d,,E,=f,G=") == (("A", "b"), ("C", "d"), ("G", ""))
    assert pairs(None) == ()


def test_comma_lists_have_no_empty_pieces() -> None:
    """spec/runs.md 5.1."""
    assert comma_list(",a,,b,") == ("a", "b")


@given(st.lists(st.sampled_from([*sorted(VALUES), *sorted(FLAGS), "x", "", "-unknown", "%"]), max_size=12))
def test_no_word_is_lost(words: list[str]) -> None:
    """spec/runs.md A1 to A5: each word is an option, a value, or kept."""
    args = read(words)
    assert set(args.values) <= VALUES
    assert args.flags <= FLAGS
    assert not VALUES & set(args.rest)
    assert not FLAGS & set(args.rest)
    swallowed = [w for w in args.values.values() if w is not None]
    known = set(args.values) | args.flags | set(args.rest) | set(swallowed)
    last_wins = {a for pair in pairwise(words) if pair[0] in VALUES for a in pair}
    assert set(words) - known <= last_wins | ({words[-1]} if args.cut else set())


def test_every_action_is_an_option() -> None:
    """spec/runs.md 1.4, 1.5, 1.7: what asks for something can be typed."""
    asked = [option for options, _, _ in ACTIONS for option in options]
    assert [o for o in asked if o not in VALUES | FLAGS] == []
    assert len(asked) == len(set(asked))


def test_help_beats_everything_and_a_run_is_only_waited_for_when_none_is_started() -> None:
    """spec/runs.md A11, 1.4 -run-wait."""
    assert action_of(read(["-run", "-h"])) == ("usage", "show")
    assert action_of(read(["-run", "-run-wait"])) == ("running", "run")
    assert action_of(read(["-run-wait"])) == ("running", "wait")
    assert action_of(Args({"-target": "a"})) is None
