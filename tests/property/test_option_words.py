"""Whatever is typed, options are read as getopt reads them or refused with a usage error."""

from __future__ import annotations

import getopt

from hypothesis import given
from hypothesis import strategies as st

from mt.errors import UsageError
from mt.options import flag, opt, parse, rest


class Options:
    """Two flags, two values, any operands."""

    all: bool = flag("-a", "--all", help="flag")
    both: bool = flag("-b", "--both", help="flag")
    count: str | None = opt("-c", "--count", help="value")
    dir: str | None = opt("-d", "--dir", help="value")
    names: tuple[str, ...] = rest("NAME", help="operands")


_DEST = {"-a": "all", "--all": "all", "-b": "both", "--both": "both"}
_DEST |= {"-c": "count", "--count": "count", "-d": "dir", "--dir": "dir"}
_WORDS = st.one_of(
    st.sampled_from(["-a", "-b", "-ab", "-c", "--count", "--count=", "--dir=x", "-dx", "-abc", "--", "-", "--all", ""]),
    st.text(alphabet="abcdxyz-=", max_size=5),
)


def by_getopt(words: list[str]) -> tuple[dict[str, object], tuple[str, ...]] | None:
    """The standard library's reading, or None when it refuses."""
    longs = ["all", "both", "count=", "dir="]
    try:
        options, operands = getopt.gnu_getopt(words, "abc:d:", longs)
    except getopt.GetoptError:
        return None
    seen: dict[str, object] = {"all": False, "both": False, "count": None, "dir": None}
    for name, value in options:
        seen[_DEST[name]] = True if _DEST[name] in ("all", "both") else value
    return seen, tuple(operands)


@given(st.lists(_WORDS, max_size=6))
def test_words_are_read_as_getopt_reads_them(words: list[str]) -> None:
    try:
        made = parse(Options, words, "mt x")
    except UsageError as e:
        stricter = "unknown option '--" in e.what or "needs a value" in e.what  # no abbreviations; a forgotten value
        assert stricter or by_getopt(words) is None
        return
    expected = by_getopt(words)
    assert expected is not None
    assert {k: getattr(made, k) for k in expected[0]} == expected[0]
    assert made.names == expected[1]
