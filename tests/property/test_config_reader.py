"""What always holds of reading: dumps read back, nothing but ConfigError escapes, order of expansion."""

from __future__ import annotations

import re

from fakes.effects import FakeEffects
from hypothesis import given
from hypothesis import strategies as st

from mt.config import Config, Reading, dump, parse
from mt.errors import ConfigError

WORD = st.text("abcXYZ019_/.-+%:=", min_size=1, max_size=8).filter(lambda w: not w.startswith("#"))
NAME = st.text("abcXYZ01/_ ", max_size=8).filter(lambda n: not (len(n) > 1 and n[0] == n[-1] == "/"))
TEXT = st.from_regex(r"[a-z$'\"(][ -~]{0,20}", fullmatch=True).filter(lambda t: not t.endswith("\\") and "#{" not in t)
LINE = TEXT
INDENTED = st.builds(lambda n, t: " " * n + t, st.integers(0, 4), LINE)
VALUE = st.one_of(
    st.just(""),
    TEXT,
    st.builds(lambda head, first, rest: "\n".join([head, first, *rest]), TEXT, LINE, st.lists(INDENTED, max_size=4)),
    st.builds(lambda first, rest: "\n".join(["", first, *rest]), LINE, st.lists(INDENTED, max_size=3)),
)
SECTIONS = st.dictionaries(NAME, st.dictionaries(WORD, VALUE, max_size=5), max_size=5)
MODES = st.sampled_from(["immediate", "deferred", "disabled", "target"])


def read_text(text: str, **more: object) -> Config:
    effects = FakeEffects(lambda command, env: (len(command) % 2, command[:20]))
    return parse(text, "/a/f", Reading("/a", effects=effects, **more))  # type: ignore[arg-type]


def written(sections: dict[str, dict[str, str]]) -> str:
    """A file that says these values, in the words of the grammar."""
    lines: list[str] = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        for key, value in values.items():
            head, *rest = value.split("\n")
            lines += [f"{key} {head}" if head else key, *("\t" + r for r in rest)]
    return "\n".join(lines)


def flat(config: Config) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s, config.items(s)) for s in config.sections()]


@given(SECTIONS)
def test_a_dump_reads_back_the_same_in_the_same_order(sections: dict[str, dict[str, str]]) -> None:
    first = read_text(written(sections))
    assert first.to_dict() == sections
    assert first.problems == []
    again = read_text(dump(first))
    assert flat(again) == flat(first)


@given(
    st.text("ab #{}[]\\\n\t\r%/()=\"'shelgtnvcmiprcudy", max_size=200),
    MODES,
    st.sampled_from([None, "t", "a/b"]),
)
def test_reading_never_raises_anything_but_config_error(text: str, mode: str, target: str | None) -> None:
    try:
        config = read_text(text, mode=mode, target=target, envlike="e", keep=None)
        dump(config)
    except ConfigError:
        pass


FORMS = st.lists(
    st.sampled_from(
        [
            "#{getenv A}", "#{get default k}", "#{shell x", "#{rget k}", "#{scheme (", "(conc 1 2)", "}",
            "#{scm (car 1)}",
            "#{rp /", "[include f]", "[scriptinc f]", "[system x]", "\n",
            "\n[", "]", "\nk ", "\n  ", "[/(/]", "[%]", "\\\n", "#",
        ]
    ),
    max_size=30,
)  # fmt: skip


@given(FORMS, MODES)
def test_pieces_of_the_language_in_any_order_are_read(pieces: list[str], mode: str) -> None:
    config = read_text("".join(pieces), mode=mode, target="t", env={"A": "#{get default k}"})
    assert all(re.fullmatch(r"f( \(output\))?:\d+", p.where) for p in config.problems)
    dump(config)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_text(text)
    except ConfigError as e:
        assert "\n" not in e.lines()[0]


def nested(depth: int) -> st.SearchStrategy[str]:
    """Forms around forms: every command is named once."""
    if depth == 0:
        return st.just("")
    return st.lists(nested(depth - 1), max_size=3).map(lambda inner: "".join(f"#{{sh c {i}}}" for i in inner))


@given(nested(4))
def test_forms_run_from_the_right_and_from_the_inside(text: str) -> None:
    count = iter(range(10_000))
    numbered = re.sub("c ", lambda _: f"c{next(count)} ", text)
    effects = FakeEffects(lambda command, env: (0, command.split()[0]))
    parse(f"k x{numbered}", "/a/f", Reading("/a", effects=effects))
    order = [int(command.split()[0][1:]) for command in effects.ran]
    assert order == sorted(order, reverse=True), "a form begins left of what it holds and of what follows it"
    assert len(order) == numbered.count("#{")


def naive_continuation(lines: list[str]) -> list[str]:
    """G15 said plainly: the first line's blanks are the prefix, removed once from lines that have it."""
    prefix = re.match(r"\s*", lines[0])[0]  # type: ignore[index]
    return [line[len(prefix) :] if line.startswith(prefix) else line for line in lines]


@given(st.lists(st.builds(lambda b, t: b + t, st.text(" \t", min_size=1, max_size=4), TEXT), min_size=1, max_size=6))
def test_continuation_agrees_with_its_rule_said_plainly(lines: list[str]) -> None:
    config = read_text("k v\n" + "\n".join(lines))
    assert config.get("default", "k") == "\n".join(["v", *naive_continuation(lines)])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=12))
def test_the_last_setting_of_a_key_is_its_value_and_its_place(pairs: list[tuple[str, int]]) -> None:
    config = read_text("\n".join(f"{k} {v}" for k, v in pairs))
    last = {k: (at, v) for at, (k, v) in enumerate(pairs)}
    expected = [(k, str(v)) for k, (_, v) in sorted(last.items(), key=lambda kv: kv[1][0])]
    assert config.items("default") == expected


@given(st.text("ab\\\n ", max_size=60))
def test_joining_lines_loses_nothing_but_backslashes(text: str) -> None:
    from mt.config.lines import numbered

    joined = "\n".join(line for _, line in numbered(text))
    assert joined == re.sub(r"\\(\n|\Z)", "", text) or text.endswith("\\\n")
