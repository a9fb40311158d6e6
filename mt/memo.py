"""Values of Scheme expressions that follow from their text and the environment alone, kept between readings.

A testconfig is read once per item (spec/config.md T2); one that makes a list
of thousands of items by a program must not run that program as often.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: what an expression does or asks for beyond variables of the environment
_REACHES_OUT = frozenset(
    "define set! print display newline load hash-table-set! hash-table-keys hash-table-ref/default ht *user-hash-data*"
    " create-directory current-directory nice-path shell system setenv unsetenv thread-sleep! tests:get-all"
    " tests:filter-test-names config-lookup configf:lookup".split()
)
_WORD = re.compile(r"[^\s()'\"`,;]+")
#: shorter texts are not worth it; more of them than this are forgotten
_SHORT = 60
_MOST = 500


class Memo:
    """What expressions gave, by their text; each holds for certain values of the variables that it asked for."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[dict[str, str | None], str]] = {}

    def find(self, text: str, env: Mapping[str, str]) -> str | None:
        """What the text gave in an environment like this one; None when that is not known."""
        found = self._known.get(text)
        if found is None or any(env.get(name) != value for name, value in found[0].items()):
            return None
        return found[1]

    def keep(self, text: str, env: Mapping[str, str], asked: Iterable[str], value: str) -> None:
        """Remember what a text gave that asked for these variables."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[text] = ({name: env.get(name) for name in asked}, value)


def worth_keeping(text: str) -> bool:
    """Whether an expression takes some time and neither does anything nor asks for more than variables."""
    return len(text) >= _SHORT and _REACHES_OUT.isdisjoint(_WORD.findall(text))
