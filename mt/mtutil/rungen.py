"""Making packets from rules that are due, one for each area of the rule's contour (spec/runs.md 1.8, rungen)."""

from __future__ import annotations

from mt.errors import BusyError, MtError
from mt.locks.filelock import held
from mt.mtutil import files, importing, pairs, rules, sensing
from mt.mtutil.control import target_for
from mt.mtutil.packets import make
from mt.mtutil.store import COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.mtutil.control import Control, Place
    from mt.mtutil.packets import Packet
    from mt.mtutil.rules import Rule
    from mt.mtutil.sensing import Due
    from mt.mtutil.store import PacketStore
    from mt.mtutil.talk import Talk


#: how long to wait for another process that asks the same rules, in seconds
PATIENCE = 10.0


def generate(control: Control, store: PacketStore, user: str, talk: Talk, now: float) -> int:
    """Write the packets that are due; gives their number.

    A rule that cannot be asked stops no other.  While another process asks
    the rules of this area they are left to it: a script may take long, and
    dispatching must not wait for it.
    """
    try:
        with held(f"{control.store_path}.lock", wait=PATIENCE, what="rungen"):
            importing.take_in(store, control.packet_directories, talk, now)
            return sum(_one(control, store, rule, user, talk, now) for rule in rules.find(control.runkeys()))
    except BusyError as e:
        talk.note(f"rules are not asked: {e.what}")
        return 0


def _one(control: Control, store: PacketStore, rule: Rule | MtError, user: str, talk: Talk, now: float) -> int:
    """Write the packets of one rule, or say why there can be none."""
    try:
        if isinstance(rule, MtError):
            raise rule
        made = list(_packets(control, store, rule, user, talk, now))
    except MtError as e:
        talk.failure(e)
        return 0
    directory = control.packet_directories[0]
    for packet in made:
        files.write(directory, packet)
        talk.print(f"{packet.id} {packet.get('A')} {packet.get('G')} {packet.get('t')} {packet.get('n')}")
    return store.add((directory, packet) for packet in made)


def _packets(control: Control, store: PacketStore, rule: Rule, user: str, talk: Talk, now: float) -> Iterator[Packet]:
    contour = _contour(control, rule)
    places = _places(control, rule, contour, talk)
    moment = sensing.Moment(now, store.last(rule.runkey, rule.key), control.home)
    for due in sensing.due(rule, moment) if places else ():
        for place in places:
            yield make(_cards(rule, due, place, contour, moment, user, talk))


def _contour(control: Control, rule: Rule) -> pairs.Pairs:
    value = control.config.get("contours", rule.contour)
    if value is None:
        raise MtError(f"rule {rule.name}: no contour is called '{rule.contour}' in [contours] of megatest.config")
    return pairs.read(value)


def _places(control: Control, rule: Rule, contour: pairs.Pairs, talk: Talk) -> list[Place]:
    """The areas of a rule: its own list, that of its contour, or all."""
    known = control.places()
    named = rule.said.names("areas") or contour.names("areas")
    if named is None:
        if contour.get("areafn"):
            talk.once(
                f"contour {rule.contour}: areafn={contour.get('areafn')} names a function of the user's Scheme;"
                " there are none any more, list the areas with areas=A,B"
            )
            return []
        return list(known.values())
    for name in named:
        if name not in known:
            talk.error(f"rule {rule.name}: area was not found in [areas]: {name}")
    return [known[name] for name in named if name in known]


def _cards(
    rule: Rule, due: Due, place: Place, contour: pairs.Pairs, moment: sensing.Moment, user: str, talk: Talk
) -> list[tuple[str, str]]:
    target = due.target or rule.said.get("target") or rule.runkey
    named = rule.said.get("run-name")
    run = due.run if named in (None, "auto") else named
    if rule.said.get("runtrans"):
        talk.once(
            f"rule {rule.name}: runtrans={rule.said.get('runtrans')} names a function of the user's Scheme;"
            " there are none any more, the run name is used as it is"
        )
    # the times of files have fractions; a packet without them would seem older than a file that it saw
    made = f"{moment.now:.3f}" if rule.type.startswith("file") else str(int(moment.now))
    cards = [
        ("A", rule.action), ("D", made), ("T", COMMAND), ("U", user), ("G", place.name),
        ("S", place.path), ("a", rule.runkey), ("c", rule.contour), ("t", target_for(place, target, talk)),
        ("n", run or moment.name()), ("M", f"{rule.key} {due.why}"),
    ]  # fmt: skip
    own = rule.cards()
    return cards + own + _selection(contour, {letter for letter, _ in own})


def _selection(contour: pairs.Pairs, given: set[str]) -> list[tuple[str, str]]:
    """Which tests: what the rule says, else the contour's `tagexpr/modepatt`, else all."""
    if given & set("pxo"):
        return []
    tags, _, mode = (contour.get("selector") or "").partition("/")
    chosen = [(letter, value.strip()) for letter, value in (("x", tags), ("o", mode)) if value.strip()]
    return chosen or [("p", "%")]
