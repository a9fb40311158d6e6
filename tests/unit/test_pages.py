"""Help and pages follow from a verb's docstring and options (spec/style.md 3.8)."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from mt import pages, verbs
from mt.options import command, declared, flag, operand, opt

DOC = """say words to somebody

It says `words`.

EXAMPLES

    $ mt say hello
    Says hello.

    $ mt say hello \\
        world
    $ mt say for-ever  #: never ends

EXIT STATUS

    0  said

SEE ALSO

    mt-other, mt-config(5)
"""


class Options:
    """What can be typed."""

    loud: bool = flag("-l", "--loud", help="say it loudly")
    times: int = opt("-n", "--a-very-long-name-of-an-option", meta="N", help="so often", default=3)
    word: str = operand("WORD", help="what to say")
    tail: tuple[str, ...] = command(help="a command")


@pytest.fixture
def module() -> ModuleType:
    made = ModuleType("say", DOC)
    made.Options = Options  # type: ignore[attr-defined] # a verb's module has one
    return made


def test_a_docstring_splits_at_its_headings(module: ModuleType) -> None:
    found = pages.parts(module)
    assert list(found) == ["DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]
    assert found["DESCRIPTION"] == "It says `words`."
    assert found["EXIT STATUS"] == "0  said"
    assert pages.summary(module) == "say words to somebody"


def test_why_an_example_cannot_be_run_is_not_shown(module: ModuleType) -> None:
    assert "#:" not in pages.short_help("say", module)
    assert list(pages.examples(module)) == [
        ("mt say hello", ""),
        ("mt say hello world", ""),
        ("mt say for-ever", "never ends"),
    ]


def test_the_synopsis_shows_operands_in_order_and_the_command_last(module: ModuleType) -> None:
    assert pages.synopsis("say", module) == "mt say [OPTIONS] WORD [-- CMD...]"


def test_short_help_has_use_options_examples_and_statuses(module: ModuleType) -> None:
    text = pages.short_help("say", module, 80)
    assert text.startswith("usage: mt say [OPTIONS] WORD [-- CMD...]\n\nSay words to somebody.\n")
    assert "  -l, --loud            say it loudly\n" in text
    assert "  -n, --a-very-long-name-of-an-option N\n                        so often (default 3)\n" in text
    assert "\nexamples:\n  $ mt say hello\n  Says hello.\n" in text
    assert "\nexit status:\n  0  said\n" in text


def test_the_whole_manual_has_every_part(module: ModuleType) -> None:
    text = pages.manual("say", module, 80)
    for piece in ("mt say - say words", "It says `words`.", "see also:\n  mt-other, mt-config(5)", "0  said"):
        assert piece in text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_text_of_ours_keeps_to_the_width(width: int) -> None:
    text = pages.entries([("label", "word " * 40), ("a label that is much too long", "word " * 40)], width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_columns_are_taken_from_the_environment_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, wanted in (("50", 50), ("10", 40), ("400", 100)):
        monkeypatch.setenv("COLUMNS", given)
        assert pages.columns() == wanted


@pytest.mark.parametrize("name", verbs.names())
def test_every_verb_has_a_manual_in_the_usual_form(name: str) -> None:
    module = verbs.load(name)
    found = pages.parts(module)
    assert re.match(r"[^A-Z\s]|[A-Z]{2}|JUnit|TeamCity", pages.summary(module)), "a summary begins in lower case"
    assert len(pages.summary(module)) < 110
    assert verbs.summary(name) == pages.summary(module)
    assert list(pages.examples(module)), "an EXAMPLE is missing"
    order = [h for h in found if h in ("DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO")]
    assert order == ["DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]
    assert list(found)[-1] == "SEE ALSO"
    assert re.search(r"^\d", found["EXIT STATUS"])


@pytest.mark.parametrize("name", verbs.names())
def test_every_option_is_explained_and_spelled_out(name: str) -> None:
    seen: set[str] = set()
    for o in declared(verbs.load(name).Options):
        assert o.help, f"{o.dest} has no help"
        assert not seen & set(o.names), f"{o.names} twice"
        seen.update(o.names)
    assert not seen & {"-h", "--help", "--version"}
