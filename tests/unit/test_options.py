"""Options as data: what is typed becomes typed attributes (spec/features.md 3)."""

from __future__ import annotations

import pytest

from mt.errors import UsageError
from mt.options import AreaOptions, RowOptions, RunOptions, command, declared, flag, operand, opt, parse, rest


class Mixed(RunOptions):
    """A bit of everything."""

    jobs: int = opt("-j", "--jobs", meta="N", help="at most N jobs", default=4)
    wait: float | None = opt("--wait", meta="S", help="seconds")
    sets: tuple[str, ...] = opt("-s", "--set", meta="K=V", help="may be repeated")
    how: str = opt("--how", help="way", choices=("fast", "slow"), default="fast")
    keep: bool = flag("-k", "--keep-going", help="go on")
    tests: tuple[str, ...] = rest("PATT", help="tests")


class Wrapper:
    """An operand and a command."""

    loud: bool = flag("-l", "--loud", help="loud")
    count: int | None = opt("-n", help="count")
    name: str = operand("NAME", help="name")
    words: tuple[str, ...] = command(help="what to run")


class Needy:
    """A command that must be there."""

    other: str | None = operand("OTHER", help="perhaps", need=False)
    words: tuple[str, ...] = command(help="what to run", need=True)


class Sorted(RowOptions):
    """Rows."""


def mixed(*words: str) -> Mixed:
    return parse(Mixed, list(words), "mt mixed")


def error(cls: type, *words: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(cls, list(words), "mt x")
    return caught.value


def test_defaults_hold_when_nothing_is_typed() -> None:
    made = mixed()
    assert (made.jobs, made.wait, made.sets, made.how, made.keep, made.tests) == (4, None, (), "fast", False, ())
    assert (made.target, made.run, made.quiet, made.verbose, made.chdir) == (None, None, False, False, None)


def test_options_may_follow_operands_and_keep_their_types() -> None:
    made = mixed("a", "-j", "2", "b", "--wait=1.5", "-k", "c", "--how", "slow")
    assert made.tests == ("a", "b", "c")
    assert (made.jobs, made.wait, made.keep, made.how) == (2, 1.5, True, "slow")


@pytest.mark.parametrize("words", [("-j8",), ("-j", "8"), ("--jobs=8",), ("--jobs", "8"), ("-kj8",), ("-kj", "8")])
def test_a_value_may_be_joined_or_the_next_word(words: tuple[str, ...]) -> None:
    assert mixed(*words).jobs == 8


def test_flags_may_be_joined() -> None:
    made = mixed("-qvk")
    assert made.quiet and made.verbose and made.keep


def test_the_last_of_a_repeated_option_wins_unless_it_may_be_repeated() -> None:
    made = mixed("-j1", "-s", "A=1", "-j2", "--set=B=2")
    assert made.jobs == 2
    assert made.sets == ("A=1", "B=2")


def test_two_parses_share_nothing() -> None:
    assert mixed("-s", "A=1", "x").sets == ("A=1",)
    assert mixed().sets == ()


def test_a_double_dash_ends_the_options() -> None:
    assert mixed("-k", "--", "a", "-j", "--", "-x").tests == ("a", "-j", "--", "-x")
    assert mixed("--", "-k").keep is False


def test_a_single_dash_and_a_negative_number_are_operands() -> None:
    assert mixed("-", "-5", "-.5").tests == ("-", "-5", "-.5")


def test_an_empty_word_is_an_operand_and_an_empty_value_is_a_value() -> None:
    made = mixed("", "-t", "")
    assert made.tests == ("",)
    assert made.target == ""


def test_what_follows_a_double_dash_is_the_command_word_by_word() -> None:
    made = parse(Wrapper, ["-l", "n", "--", "ls", "-l", "--", "x"], "mt x")
    assert made.loud and made.name == "n"
    assert made.words == ("ls", "-l", "--", "x")


def test_a_value_may_begin_with_a_dash_unless_it_is_an_option_of_the_verb() -> None:
    assert parse(Sorted, ["--sort", "-secs"], "mt x").sort == "-secs"
    assert parse(Sorted, ["-o", "-"], "mt x").output == "-"
    assert parse(Sorted, ["--sort=--json"], "mt x").sort == "--json"
    assert "--sort needs a value (FIELD)" in error(Sorted, "--sort", "--json").what


def test_options_are_never_abbreviated_and_the_nearest_is_named() -> None:
    wrong = error(Mixed, "--keep")
    assert wrong.what == "mt x: unknown option '--keep'"
    assert wrong.hint == "did you mean --keep-going?"
    assert wrong.status == 2
    assert error(Mixed, "--jbos=3").hint == "did you mean --jobs?"
    assert error(Mixed, "-jobs").what == "mt x: -j: 'obs' is not a whole number"
    assert error(Wrapper, "-loud", "n").hint == "did you mean --loud?"


def test_an_option_like_no_other_gets_the_short_help_as_a_hint() -> None:
    assert error(Mixed, "--zzz").hint == "mt x -h"
    assert error(Mixed, "-Z").what == "mt x: unknown option '-Z'"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("-j", "many"), "-j: 'many' is not a whole number"),
        (("--wait", "soon"), "--wait: 'soon' is not a number"),
        (("--how", "odd"), "--how: 'odd' is none of fast, slow"),
        (("--keep-going=yes",), "--keep-going takes no value"),
        (("-t",), "-t needs a value (TARGET)"),
        (("-t", "--"), "-t needs a value (TARGET)"),
        (("-t", "-r", "x"), "-t needs a value (TARGET)"),
    ],
)
def test_a_bad_value_is_named_in_one_line(words: tuple[str, ...], what: str) -> None:
    assert error(Mixed, *words).what == f"mt x: {what}"


def test_a_missing_operand_and_one_too_many_are_named() -> None:
    assert error(Wrapper).what == "mt x: NAME is missing"
    assert error(Wrapper, "a", "b").what == "mt x: 'b' is one word too many"
    assert error(Needy, "a").what == "mt x: CMD is missing"
    assert parse(Needy, ["--", "true"], "mt x").other is None


def test_declared_gives_own_options_first_and_each_once() -> None:
    fields = [o.dest for o in declared(Mixed)]
    assert fields[0] == "jobs"
    assert fields[-3:] == [o.dest for o in declared(AreaOptions)]
    assert len(fields) == len(set(fields))


def test_a_subclass_may_say_an_option_anew() -> None:
    class Own(AreaOptions):
        quiet: bool = flag("-q", help="own")

    assert [o.help for o in declared(Own) if o.dest == "quiet"] == ["own"]


def test_the_same_letter_means_the_same_in_every_shared_class() -> None:
    letters = {o.names[0]: o.dest for cls in (RunOptions, RowOptions) for o in declared(cls)}
    assert letters["-t"] == "target" and letters["-f"] == "format" and letters["-o"] == "output"
