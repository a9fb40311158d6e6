r"""Packets: what one process asks of another, as a small text file named after its own hash (spec/runs.md 1.8).

    A run
    D 1700000000
    G quick
    T cmd
    U ann
    n w49.1
    Z 7f0c...

One card a line, a letter and its value, sorted; the last card `Z` is the SHA-1
of the cards before it, and the name of the file is `HASH.pkt`.  In values a
blank is `\s`, a newline `\n`, a backslash `\\`.

Pure: texts in, packets out.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from mt.errors import MtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: letter -> what it means, for people who look at packets
LETTERS = {
    "A": "action", "D": "time", "T": "type", "U": "user", "P": "parent", "Z": "checksum", "G": "area", "M": "message",
    "S": "start-dir", "I": "immediate", "a": "runkey", "b": "branch", "c": "contour", "d": "append-config",
    "e": "state", "f": "url", "g": "clone", "h": "config", "i": "item-patt", "k": "sync-to", "l": "new",
    "n": "run-name", "o": "mode-patt", "p": "test-patt", "r": "preclean", "s": "status", "t": "target",
    "u": "rerun-all", "v": "set-vars", "w": "prepend-contour", "x": "tag-expr",
}  # fmt: skip

#: a packet file is smaller than this, in bytes
LIMIT = 65536
SUFFIX = ".pkt"

_ESCAPES = {"\\": "\\\\", " ": "\\s", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MEANT = {code[1]: char for char, code in _ESCAPES.items()}
_PLAIN = re.compile(r"[\\ \n\t\r]")
_CODE = re.compile(r"\\(.)", re.DOTALL)
_CARD = re.compile(r"([A-Za-z])(?: (.*))?")
_TIME = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_SUM = re.compile(r"[0-9a-f]{40}")


class PacketError(MtError):
    """A file that is no packet; `is_partial` when the rest of it may still come."""

    def __init__(self, what: str, *, is_partial: bool = False) -> None:
        super().__init__(what)
        self.is_partial = is_partial


class Packet(NamedTuple):
    """The SHA-1 that names it, and its cards in order, values as they are meant, without the Z card."""

    id: str
    cards: tuple[tuple[str, str], ...]

    def get(self, letter: str, default: str = "") -> str:
        """The value of the first card of that letter."""
        return next((value for key, value in self.cards if key == letter), default)

    @property
    def time(self) -> float:
        """When it was made, in seconds since 1970; 0 when it does not say."""
        text = self.get("D")
        return float(text) if _TIME.fullmatch(text) else 0.0

    @property
    def type(self) -> str:
        """`cmd`, or the kind of an answer."""
        return self.get("T")


def escape(value: str) -> str:
    """A value without blanks and newlines."""
    return _PLAIN.sub(lambda found: _ESCAPES[found[0]], value)


def unescape(text: str) -> str:
    """What `escape` was given; a code that nobody writes stands for its letter."""
    return _CODE.sub(lambda found: _MEANT.get(found[1], found[1]), text)


def make(cards: Iterable[tuple[str, str]]) -> Packet:
    """The packet of some cards; raises PacketError for letters that are none, NULs, and too much text."""
    kept = tuple(cards)
    for letter, value in kept:
        if letter not in LETTERS or letter == "Z":
            raise PacketError(f"no card is called '{letter}'")
        if "\0" in value:
            raise PacketError(f"the {LETTERS[letter]} holds a NUL character")
    ordered = tuple(sorted(kept, key=lambda card: f"{card[0]} {escape(card[1])}"))
    packet = Packet(_sum(_body(ordered)), ordered)
    if len(text_of(packet)) >= LIMIT:
        raise PacketError(f"the packet would have {len(text_of(packet))} bytes, at most {LIMIT - 1} are allowed")
    return packet


def text_of(packet: Packet) -> bytes:
    """The bytes of its file."""
    return _body(packet.cards) + f"\nZ {packet.id}\n".encode("ascii")


def parse(data: bytes) -> Packet:
    """The packet that a file holds; raises PacketError when it is none or its hash is not that of its cards.

    Both customs of hashing are taken: with and without the newline before Z.
    """
    if len(data) >= LIMIT:
        raise PacketError(f"larger than {LIMIT - 1} bytes")
    if b"\0" in data:
        raise PacketError("not a text")
    body, found, last = data.removesuffix(b"\n").rpartition(b"\nZ ")
    if not found or b"\n" in last:
        raise PacketError("no checksum at its end", is_partial=not found)
    stated = last.strip().decode("ascii", "replace")
    if not _SUM.fullmatch(stated):
        raise PacketError("its checksum is no SHA-1", is_partial=len(stated) < 40)
    if stated not in (_sum(body), _sum(body + b"\n")):
        raise PacketError("its checksum is not that of its cards")
    return Packet(stated, tuple(_cards(body.decode("utf-8", "surrogateescape"))))


def _cards(text: str) -> Iterable[tuple[str, str]]:
    for line in text.split("\n"):
        card = _CARD.fullmatch(line)
        if card is None:
            raise PacketError(f"not a card: '{line[:40]}'")
        yield card[1], unescape(card[2] or "")


def _body(cards: Iterable[tuple[str, str]]) -> bytes:
    return "\n".join(f"{letter} {escape(value)}" for letter, value in cards).encode("utf-8", "surrogateescape")


def _sum(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
