"""How often a case that is not good runs again by itself, and after which ends (spec/features.md B5, B7).

`retries N` and `retry infra|fail|all` are said on the command line, in
`[requirements]` of a testconfig, or in `[setup]` of megatest.config; each of
the two is looked for in this order.  `retry` alone means once more, `retries`
alone means after whatever end.  What neither passed nor failed is tried again
after a pause, for the machine to get well; a failure at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mt.config import Config, Problem

#: word -> the verdicts (`states.verdict`) that it means
WORDS: dict[str, frozenset[str]] = {
    "all": frozenset({"bad", "unfinished"}),
    "fail": frozenset({"bad"}),
    "infra": frozenset({"unfinished"}),
}
#: how often a case whose job a batch engine ended runs again by itself, where nothing is said
LOST = 3
#: seconds: the longest pause
LONGEST = 60.0


class Retry(NamedTuple):
    """How often, and after which verdicts; None where nothing was said."""

    times: int | None = None
    kinds: frozenset[str] | None = None

    def over(self, other: Retry) -> Retry:
        """This, and the other one for what was not said here."""
        times, kinds = self
        return Retry(other.times if times is None else times, other.kinds if kinds is None else kinds)

    def allows(self, kind: str, tried: int) -> bool:
        """Whether a case that ended with a verdict of this kind, and was tried again so often, may run once more."""
        times = int(self.kinds is not None) if self.times is None else self.times
        return tried < times and kind in (WORDS["all"] if self.kinds is None else self.kinds)


def asked(times: int | None, word: str | None) -> Retry:
    """What a command line says."""
    return Retry(times, None if word is None else WORDS[word])


def read(config: Config, section: str) -> Retry:
    """What a section says; what cannot be understood is not said, `problems` tells of it."""
    times, word = (config.get(section, "retries") or "").strip(), (config.get(section, "retry") or "").strip()
    return Retry(int(times) if _is_number(times) else None, WORDS.get(word))


def problems(config: Config, section: str) -> Iterator[Problem]:
    """What cannot be understood, for `mt check`."""
    times, word = (config.get(section, "retries") or "").strip(), (config.get(section, "retry") or "").strip()
    if times and not _is_number(times):
        where = config.where(section, "retries") or config.shown(config.path)
        yield Problem(where, f"[{section}] retries: '{times}' is not a number, so nothing is tried again")
    if word and word not in WORDS:
        where = config.where(section, "retry") or config.shown(config.path)
        yield Problem(where, f"[{section}] retry: unknown word '{word}'", hint="words: " + ", ".join(sorted(WORDS)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7


def pause(tried: int) -> float:
    """Seconds to wait before an unjudged case is tried again, having been tried again `tried` times: 1, 2, 4 ... 60."""
    return min(2.0 ** min(tried, 10), LONGEST)
