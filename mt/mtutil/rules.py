"""Rules of runconfigs.config that make packets: `contour:ruletype:action[:optional]` (spec/runs.md 1.8).

Pure: sections in, rules out.
"""

from __future__ import annotations

from typing import NamedTuple

from mt.errors import MtError
from mt.mtutil import pairs
from mt.mtutil.commands import ACTIONS
from mt.mtutil.words import VALUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mt.mtutil.pairs import Pairs

TYPES = ("scheduled", "script", "fossil", "file", "file-or", "file-and")
#: what a rule may say about its packets -> letter of the card; more than the options have
CARDS = {
    **{name[1:]: letter for name, letter in VALUES.items() if letter and letter not in "GcM"},
    "dbdest": "k", "append": "d",
}  # fmt: skip
#: what a rule says for itself, and not to a script or a repository
OWN = frozenset((*CARDS, "cron", "runtrans", "areas", "glob", "action"))


class Rule(NamedTuple):
    """One rule: the section and the key it stands under name it."""

    runkey: str
    key: str
    contour: str
    type: str
    action: str
    said: Pairs

    @property
    def name(self) -> str:
        """How it is spoken of."""
        return f"[{self.runkey}] {self.key}"

    def inputs(self) -> list[tuple[str, str]]:
        """Its pairs that are no settings: scripts with their parameters, repositories with their branches."""
        return [(name, value or "") for name, value in self.said.items if name not in OWN]

    def cards(self) -> list[tuple[str, str]]:
        """The cards that it asks for, but target and run name."""
        wanted = ((CARDS[name], value) for name, value in self.said.items if name in CARDS and value)
        return [(letter, value) for letter, value in wanted if letter not in "tn"]


def find(runkeys: Mapping[str, Iterable[tuple[str, str]]]) -> Iterator[Rule | MtError]:
    """All rules in order, and what looks like one and is none; keys without a colon are run variables."""
    for runkey, items in runkeys.items():
        for key, value in items:
            if ":" in key:
                try:
                    yield _rule(runkey, key, value)
                except MtError as e:
                    yield e


def _rule(runkey: str, key: str, value: str) -> Rule:
    parts = key.split(":")
    where = f"rule [{runkey}] {key}"
    if len(parts) not in (3, 4):
        raise MtError(f"{where}: a rule is CONTOUR:RULETYPE:ACTION[:OPTIONAL]")
    contour, kind, action = parts[:3]
    if kind not in TYPES:
        raise MtError(f"{where}: '{kind}' is no type of rule; there are: {', '.join(TYPES)}")
    if action not in ACTIONS:
        raise MtError(f"{where}: '{action}' is no action; there are: {', '.join(ACTIONS)}")
    return Rule(runkey, key, contour, kind, action, pairs.read(value))
