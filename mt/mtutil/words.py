"""The words of `mtutil`: an action, then options; most options are cards of the packet (spec/runs.md 1.8).

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from mt.errors import MtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: option that swallows the next word -> the letter of its card, empty where it has none
VALUES = {
    "-area": "G", "-contour": "c", "-append-config": "d", "-state": "e", "-item-patt": "i", "-sync-to": "k",
    "-new": "l", "-run-name": "n", "-mode-patt": "o", "-test-patt": "p", "-status": "s", "-target": "t",
    "-tag-expr": "x", "-msg": "M", "-set-vars": "v", "-config": "h",
    "-start-dir": "", "-debug": "", "-log": "", "-load": "",
}  # fmt: skip
#: option that stands alone -> the letter of its card
FLAGS = {
    "-immediate": "I", "-preclean": "r", "-rerun-all": "u", "-prepend-contour": "w",
    "-manual": "", "-version": "", "-repl": "",
}  # fmt: skip
#: spellings of `megatest` that are understood too
OTHER = {
    "-prepclean": "-preclean", "-runname": "-run-name", ":runname": "-run-name", "-testpatt": "-test-patt",
    "-modepatt": "-mode-patt", "--modepatt": "-mode-patt", "-tagexpr": "-tag-expr", "-itempatt": "-item-patt",
    "-setvars": "-set-vars", "-m": "-msg", "-reqtarg": "-target", ":state": "-state", ":status": "-status",
}  # fmt: skip
HELP = ("-h", "-help", "--help")


class Args(NamedTuple):
    """What was typed: the action (empty when none), its operands, options by their own names, flags."""

    action: str
    rest: tuple[str, ...]
    values: dict[str, str]
    flags: frozenset[str]
    is_help: bool

    def cards(self) -> list[tuple[str, str]]:
        """The cards that the options are."""
        given = [(VALUES[name], value) for name, value in self.values.items() if VALUES[name]]
        return given + [(FLAGS[name], "yes") for name in sorted(self.flags) if FLAGS[name]]


def read(words: Sequence[str]) -> Args:
    """Read a command line; later values win.  Raises MtError for an option that lacks its value."""
    values: dict[str, str] = {}
    flags: set[str] = set()
    rest: list[str] = []
    asks_help = False
    waiting = iter(words)
    for word in waiting:
        name = OTHER.get(word, word)
        if name in VALUES:
            value = next(waiting, None)
            if value is None:
                raise MtError(f"option {word} needs a value")
            values[name] = value
        elif name in FLAGS:
            flags.add(name)
        elif word in HELP:
            asks_help = True
        else:
            rest.append(word)
    return Args(rest[0] if rest else "", tuple(rest[1:]), values, frozenset(flags), asks_help)
