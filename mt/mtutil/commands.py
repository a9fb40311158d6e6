"""From a packet to the words of a `megatest` command (spec/runs.md 1.8, dispatch).

Only what is listed here is ever passed on, and every value is one word after
its option, whatever is in it.

Pure.
"""

from __future__ import annotations

from mt.errors import MtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.mtutil.packets import Packet

#: what a packet may ask for
ACTIONS = ("run", "remove", "rerun", "set-ss", "archive", "kill", "list", "sync")
#: those that wait while the machine is busy
HEAVY = frozenset(("run", "rerun", "archive"))

#: cards with a value -> option of megatest
_VALUES = {
    "t": "-target", "n": "-runname", "p": "-testpatt", "i": "-itempatt", "o": "-modepatt", "x": "-tagexpr",
    "e": "-state", "s": "-status", "c": "-contour", "k": "-sync-to", "v": "-setvars", "h": "-config",
    "d": "-append-config", "M": "-m",
}  # fmt: skip
_FLAGS = {"r": "-preclean", "u": "-rerun-all", "w": "-prepend-contour"}
#: statuses that run again where a rerun names none
_AGAIN = "FAIL,ABORT,CHECK,DEAD,INCOMPLETE,KILLED,PREQ_FAIL,PREQ_DISCARDED"
#: a kill is for what lives; what has ended keeps its result
_LIVING = "RUNNING,LAUNCHED,REMOTEHOSTSTART"
_ARCHIVES = ("save", "save-remove", "keep-html", "restore")


def words_for(packet: Packet) -> list[str]:
    """The words after `megatest`; raises MtError for what has no meaning."""
    action = packet.get("A")
    if action not in ACTIONS:
        raise MtError(f"no action is called '{action}'")
    cards = {letter: value for letter, value in reversed(packet.cards) if value}
    words = _action(action, cards)
    for letter, option in _VALUES.items():
        if letter in cards:
            words += [option, cards[letter]]
    words += [option for letter, option in _FLAGS.items() if letter in cards and option not in words]
    return words


def _action(action: str, cards: dict[str, str]) -> list[str]:
    """The words of the action itself; takes away, or adds, the cards that it needs otherwise."""
    if action == "run":
        return ["-run", "-preclean", "-rerun-all"]
    if action == "rerun":
        return ["-run", "-rerun", cards.pop("s", "") or _AGAIN]
    if action == "remove":
        return ["-remove-runs"]
    if action == "set-ss":
        return ["-set-state-status", _state_status(cards.get("l", ""))]
    if action == "kill":
        cards.setdefault("p", "%")
        cards.setdefault("e", _LIVING)
        return ["-set-state-status", "KILLREQ,n/a"]
    if action == "archive":
        return ["-archive", _archive(cards.get("l", "save"))]
    if action == "list":
        return ["-list-runs", cards.pop("n", "%")]
    return []


def _state_status(text: str) -> str:
    """`COMPLETED/FAIL` or `COMPLETED,FAIL` as megatest takes it; a status may hold a slash of its own."""
    state, sign, status = text.partition("," if "," in text else "/")
    if not (state and sign and status):
        raise MtError("set-ss needs -new STATE/STATUS")
    return f"{state},{status}"


def _archive(text: str) -> str:
    if text not in _ARCHIVES:
        raise MtError(f"archive '{text}' is none of {', '.join(_ARCHIVES)}")
    return text
