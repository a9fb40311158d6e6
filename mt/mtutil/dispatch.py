"""Turning command packets into `megatest` commands, each exactly once (spec/runs.md 1.8, spec/architecture.md 6.4).

Under the locks of all packet directories: a packet that nobody has answered is
read again from its file and judged.  Its answer is written before its command
starts, so a processor that dies in between has at worst not started it, and
never twice.  The word of a packet about its user counts only when the file
belongs to that user; where it leads is read from `[areas]`, not from the packet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

from mt.errors import MtError, NotPermitted, why
from mt.mtutil import files, importing
from mt.mtutil.commands import HEAVY, words_for
from mt.mtutil.packets import SUFFIX, Packet, PacketError, make
from mt.team import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mt.mtutil.control import Control, Place
    from mt.mtutil.files import Found
    from mt.mtutil.store import PacketStore
    from mt.mtutil.talk import Talk

#: cards that an answer has from the command, so that answers can be found without it
_COPIED = "AGact"


class Order(NamedTuple):
    """A command that may start: its packet, where, and the words."""

    packet: Packet
    directory: str
    place: Place
    argv: list[str]

    @property
    def log(self) -> str:
        """The file that takes its output, seen from the area."""
        return os.path.join("logs", f"{self.packet.id}-run.log")


class Dispatcher:
    """One pass over the commands that nobody has answered."""

    def __init__(
        self, control: Control, store: PacketStore, talk: Talk, *, environ: Mapping[str, str], now: float
    ) -> None:
        self.control = control
        self.store = store
        self.talk = talk
        self.user = user_name(os.getuid())
        self.now = now
        # the new command is in no test and in no other area, whatever this one is in
        self.environ = {name: value for name, value in environ.items() if not name.startswith("MT_")}
        self.places = control.places()
        self.maxload = control.maxload
        self.program = _megatest(self.environ)

    def run(self) -> int:
        """Judge and start all of them; gives the number of commands started."""
        directories = self.control.packet_directories
        with self.control.held():
            importing.take_in(self.store, directories, self.talk, self.now)
            return sum(self._one(uuid, directory, directories) for uuid, directory in self.store.pending())

    def _one(self, uuid: str, directory: str, directories: tuple[str, ...]) -> bool:
        for place in dict.fromkeys((directory, *directories)):
            path = os.path.join(place, uuid + SUFFIX)
            if place in directories and os.path.lexists(path):
                try:
                    return self._judged(files.read(path), place)
                except (PacketError, OSError) as e:
                    self.talk.warn(f"packet '{path}' ignored: {e.what if isinstance(e, PacketError) else why(e)}")
        return False

    def _judged(self, found: Found, directory: str) -> bool:
        try:
            order = self._order(found, directory)
        except MtError as e:
            self._answer(found.packet, directory, "access-denied", e.what)
            self.talk.warn(f"packet {found.packet.id}: {e.what}")
            return False
        if self._is_postponed(order):
            return False
        try:
            self._start(order)
        except MtError as e:
            self.talk.failure(e)
            return False
        return True

    def _order(self, found: Found, directory: str) -> Order:
        """What a packet comes to; raises MtError with the reason for which it is denied."""
        packet = found.packet
        user, action, name = packet.get("U"), packet.get("A"), packet.get("G")
        owner = user_name(found.uid)
        if user != owner:
            raise NotPermitted(f"Access denied: the packet says it is of {user or 'nobody'}, its file is of {owner}")
        place = self.places.get(name) or self._at(packet.get("S"))
        if place is None:
            raise MtError(f"area was not found in [areas]: {name or packet.get('S') or 'none named'}")
        if not self.control.may(user, action, place.name):
            raise NotPermitted(f"Access denied for {user} to {action} area {place.name}")
        words = words_for(packet)
        if found.uid != os.getuid():
            _refuse_foreign_files(packet, place)
        return Order(packet, directory, place, [self.program, *words, "-start-dir", place.path])

    def _at(self, path: str) -> Place | None:
        """The area of that directory, for packets that name only it."""
        return next((place for place in self.places.values() if path and place.path == os.path.normpath(path)), None)

    def _is_postponed(self, order: Order) -> bool:
        if order.packet.get("A") not in HEAVY or load() <= self.maxload:
            return False
        self.talk.note(f"packet {order.packet.id} postponed: the load per processor is above {self.maxload:g}")
        return True

    def _start(self, order: Order) -> None:
        """Answer, then start; raises MtError, without an answer, when it cannot start."""
        log = _opened_log(order)
        try:
            kind = "syncstart" if order.packet.get("A") == "sync" else "runstart"
            answer = self._answer(order.packet, order.directory, kind, order.log)
            try:
                _spawn(order, log, self.environ)
            except OSError as e:
                files.forget(answer)
                raise MtError(f"packet {order.packet.id}: cannot run '{order.argv[0]}': {why(e)}") from e
            self._remember(answer)
        finally:
            os.close(log)
        self.talk.print(f"{order.packet.id} {order.place.name}: megatest {' '.join(order.argv[1:])}")

    def _answer(self, asked: Packet, directory: str, kind: str, text: str) -> str:
        """Write the answer to a command and give its path."""
        cards = [("P", asked.id), ("T", kind), ("U", self.user), ("D", str(int(self.now))), ("M", text)]
        cards += [(letter, asked.get(letter)) for letter in _COPIED if asked.get(letter)]
        path = files.write(directory, make(cards))
        if kind == "access-denied":
            self._remember(path)
        return path

    def _remember(self, path: str) -> None:
        self.store.add([(os.path.dirname(path), files.read(path).packet)])


def load() -> float:
    """The load of the last minute per processor; 0 where it is not told."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


def _megatest(environ: Mapping[str, str]) -> str:
    """The command on PATH, else the one beside ours; raises MtError."""
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "megatest")
    found = shutil.which("megatest", path=environ.get("PATH")) or (beside if os.access(beside, os.X_OK) else None)
    if found is None:
        raise MtError("no command megatest on PATH")
    return os.path.abspath(found)


def _refuse_foreign_files(packet: Packet, place: Place) -> None:
    """Config files run commands: those that another user names must lie in the area."""
    for letter in "hd":
        named = packet.get(letter)
        full = os.path.realpath(os.path.join(place.path, named))
        if named and not full.startswith(os.path.realpath(place.path) + os.sep):
            raise NotPermitted(f"Access denied: '{named}' is not in area {place.name}")


def _opened_log(order: Order) -> int:
    path = os.path.join(order.place.path, order.log)
    try:
        if not os.path.isdir(order.place.path):
            raise FileNotFoundError(2, "no such directory")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as e:
        raise MtError(
            f"packet {order.packet.id}: cannot start in area {order.place.name} '{order.place.path}': {why(e)}"
        ) from e


def _spawn(order: Order, log: int, environ: Mapping[str, str]) -> None:
    """Start the command in a session of its own; nobody waits for it. Raises OSError."""
    child = subprocess.Popen(
        order.argv, cwd=order.place.path, env=dict(environ), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip
    child.returncode = child.poll() or 0  # so that no warning is given for a child that outlives us
