"""Taking packet files into pkts.db (spec/runs.md 1.8, import)."""

from __future__ import annotations

import os

from mt.errors import why
from mt.mtutil import files
from mt.mtutil.packets import SUFFIX, PacketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mt.mtutil.packets import Packet
    from mt.mtutil.store import PacketStore
    from mt.mtutil.talk import Talk


def take_in(store: PacketStore, directories: Iterable[str], talk: Talk, now: float) -> int:
    """Import what is new in the directories; gives the number of new packets.

    A file that is no packet is set aside in `bad/` with one line, unless it
    may still be growing.
    """
    known = store.known()
    return store.add(_new(list(directories), known, talk, now))


def _new(directories: list[str], known: set[str], talk: Talk, now: float) -> Iterator[tuple[str, Packet]]:
    for directory in directories:
        for name in files.names(directory):
            if name[: -len(SUFFIX)] not in known:
                packet = _read(directory, name, talk, now)
                if packet is not None:
                    known.add(packet.id)
                    yield directory, packet


def _read(directory: str, name: str, talk: Talk, now: float) -> Packet | None:
    path = os.path.join(directory, name)
    try:
        return files.read(path).packet
    except FileNotFoundError:
        return None
    except PacketError as e:
        if e.is_partial and files.may_grow(path, now):
            talk.warn(f"packet '{path}' is not complete yet")
        else:
            done = "set aside in bad/" if files.set_aside(directory, name) else "ignored"
            talk.warn(f"packet '{path}' {done}: {e.what}")
    except OSError as e:
        talk.warn(f"packet '{path}' ignored: {_reason(e)}")
    return None


def _reason(error: OSError) -> str:
    import errno

    return "links are not followed" if error.errno == errno.ELOOP else why(error)
