"""What `mtutil` does, one function for each action: `(args, talk) -> status` (spec/runs.md 1.8)."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

from mt.errors import MtError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mt.mtutil.control import Control
    from mt.mtutil.store import PacketStore
    from mt.mtutil.talk import Talk
    from mt.mtutil.words import Args

    Action = Callable[[Args, Talk], int]


def _control(args: Args, talk: Talk) -> Control:
    from mt.mtutil.control import Control

    stale = ("MT_RUN_AREA_HOME", "MT_AREA") if "-start-dir" in args.values else ()
    return Control.open({name: value for name, value in os.environ.items() if name not in stale}, talk)


def _user() -> str:
    from mt.team import user_name

    return user_name(os.getuid())


def ask(args: Args, talk: Talk) -> int:
    """Write the packet of a command; raises MtError: no area, an unknown one, no access, a command without sense."""
    from mt.mtutil import files
    from mt.mtutil.commands import words_for
    from mt.mtutil.packets import make

    name = args.values.get("-area")
    if not name:
        raise MtError("no area specified: name one with -area")
    control = _control(args, talk)
    if name not in control.places():
        raise MtError(f"area was not found in [areas] of megatest.config: {name}")
    user = _user()
    if not control.may(user, args.action, name):
        raise MtError(f"Access denied for {user} to {args.action} area {name}")
    packet = make(_cards(args, control, user, talk))
    words_for(packet)
    directory = control.packet_directories[0]
    files.write(directory, packet)
    talk.print(f"Access granted for {user} to {args.action} area {name}")
    talk.print(packet.id)
    return 0


def _cards(args: Args, control: Control, user: str, talk: Talk) -> list[tuple[str, str]]:
    from mt.mtutil.control import target_for
    from mt.mtutil.sensing import RUN_NAME
    from mt.mtutil.store import COMMAND

    place = control.places()[args.values["-area"]]
    now = time.time()
    cards = dict(args.cards())
    if args.action == "run":
        cards.setdefault("n", time.strftime(RUN_NAME, time.localtime(now)))
    if args.action == "archive" and args.rest:
        cards["l"] = args.rest[0]
    if "t" in cards:
        cards["t"] = target_for(place, cards["t"], talk)
    own = {"A": args.action, "D": str(int(now)), "T": COMMAND, "U": user, "S": place.path}
    return list({**cards, **own}.items())


@contextmanager
def _opened(args: Args, talk: Talk) -> Iterator[tuple[Control, PacketStore]]:
    """The controlling area and its open store."""
    from mt.mtutil import store

    control = _control(args, talk)
    with store.opened(control.store_path) as found:
        yield control, found


def take_in(args: Args, talk: Talk) -> int:
    """Import packet files."""
    from mt.mtutil import importing

    with _opened(args, talk) as (control, store):
        count = importing.take_in(store, control.packet_directories, talk, time.time())
        talk.note(f"{count} new packets")
    return 0


def rungen(args: Args, talk: Talk) -> int:
    """Make packets from rules that are due."""
    from mt.mtutil import rungen as making

    with _opened(args, talk) as (control, store):
        making.generate(control, store, _user(), talk, time.time())
    return 0


def dispatch(args: Args, talk: Talk) -> int:
    """Start commands for packets without an answer."""
    from mt.mtutil.dispatch import Dispatcher

    with _opened(args, talk) as (control, store):
        Dispatcher(control, store, talk, environ=os.environ, now=time.time()).run()
    return 0


def process(args: Args, talk: Talk) -> int:
    """Import, make packets, import, dispatch; both later parts begin with an import of their own."""
    rungen(args, talk)
    return dispatch(args, talk)


def show(args: Args, talk: Talk) -> int:
    """The lines of a section of megatest.config."""
    if not args.rest:
        raise MtError("show needs a section: areas, contours, setup, ...")
    control = _control(args, talk)
    for section in args.rest[:1]:
        if not control.config.has(section):
            talk.print(f'No section "{section}" found')
        for name, value in control.config.items(section):
            talk.print(f"{name}   {value}" if value else name)
    return 0


def draw(args: Args, talk: Talk) -> int:
    """Import, then write out.dot here."""
    from mt.mtutil import importing
    from mt.mtutil.drawing import dot

    with _opened(args, talk) as (control, store):
        importing.take_in(store, control.packet_directories, talk, time.time())
        text = dot(store.all())
    try:
        with open("out.dot", "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as e:
        raise MtError(f"cannot write 'out.dot': {why(e)}") from e
    return 0


def database(args: Args, talk: Talk) -> int:
    """Print a schema, with the keys of the area when there is one here."""
    from mt.mtutil.schema import KINDS, schema

    kind = KINDS.get(args.rest[0]) if args.rest else None
    if kind is None:
        raise MtError(f"db needs one of {', '.join(KINDS)}")
    try:
        keys = _control(args, talk).config.keys("fields")
    except MtError:
        keys = []
    talk.print(schema(kind, keys))
    return 0


def send(args: Args, talk: Talk) -> int:
    """Send a message to all listeners."""
    from mt.mtutil import listen

    if not args.rest:
        raise MtError("tsend needs a message")
    listeners = _control(args, talk).config.keys("listeners")
    if not listeners:
        raise MtError("nobody listens: name them with host:port in [listeners] of megatest.config")
    listen.send(listeners, " ".join(args.rest), talk)
    return 0


def hear(args: Args, talk: Talk) -> int:
    """Listen for messages."""
    from mt.mtutil import listen

    if not args.rest:
        raise MtError("tlisten needs a port")
    control = _control(args, talk)
    return listen.listen(args.rest[0], control.setting("listener", "script"), control.home, talk)
