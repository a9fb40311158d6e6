"""All packets as a graph for graphviz: who asked, who answered whom (spec/runs.md 1.8, gendot).

Pure.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mt.mtutil.store import Known

_COLOURS = {"cmd": "lightblue", "runstart": "palegreen", "syncstart": "palegreen", "access-denied": "lightpink"}


def dot(packets: Iterable[Known]) -> str:
    """The text of a graph; an edge leads from a packet to what answers it."""
    return "\n".join(("digraph packets {", "  node [shape=box style=filled];", *_lines(packets), "}", ""))


def _lines(packets: Iterable[Known]) -> Iterator[str]:
    for packet in packets:
        made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(packet.time))
        words = (packet.id[:8], packet.type, packet.action, packet.area, packet.user, made)
        label = "\\n".join(_quoted(word) for word in words if word)
        yield f'  "{packet.id}" [label="{label}" fillcolor={_COLOURS.get(packet.type, "white")}];'
        if packet.parent:
            yield f'  "{_quoted(packet.parent)}" -> "{packet.id}";'


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
