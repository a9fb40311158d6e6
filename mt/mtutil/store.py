"""`pkts.db`: what the packet files say, in a form that can be asked (SQLite).

The files are the truth.  The database may be deleted at any time and the next
import makes it again; one that cannot be read is moved out of the way.
Packets whose files are gone stay in it: the time of the last packet of a rule
and the answers to commands must outlive a tidying of the directories.

Columns of `pkts`: uuid (the hash), type, action, time (seconds since 1970),
user, parent, area, contour, runkey, rule (the rule that made it), directory
(where it was seen first), pkt (the text of the file).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mt import team
from mt.errors import MtError
from mt.mtutil.packets import Packet, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: types of packets that ask for something, and of those that answer
COMMAND = "cmd"
ANSWERS = ("runstart", "syncstart", "access-denied")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pkts (
    uuid TEXT PRIMARY KEY NOT NULL,
    type TEXT NOT NULL,
    action TEXT NOT NULL,
    time REAL NOT NULL,
    user TEXT NOT NULL,
    parent TEXT NOT NULL,
    area TEXT NOT NULL,
    contour TEXT NOT NULL,
    runkey TEXT NOT NULL,
    rule TEXT NOT NULL,
    directory TEXT NOT NULL,
    pkt BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS pkts_parent ON pkts (parent);
CREATE INDEX IF NOT EXISTS pkts_type ON pkts (type, time);
CREATE INDEX IF NOT EXISTS pkts_rule ON pkts (runkey, rule);
"""
_ADD = "INSERT OR IGNORE INTO pkts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PENDING = """
SELECT uuid, directory FROM pkts AS asked
WHERE type = ? AND NOT EXISTS (SELECT 1 FROM pkts WHERE parent = asked.uuid AND type IN (?, ?, ?))
ORDER BY time, uuid
"""
_PATIENCE = 60.0  # seconds to wait for another writer


class Known(NamedTuple):
    """A packet as the drawing of all packets needs it."""

    id: str
    type: str
    action: str
    time: float
    user: str
    parent: str
    area: str


class PacketStore:
    """An open pkts.db; every failure of SQLite is one MtError."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    def known(self) -> set[str]:
        """The hashes of all packets in it."""
        with self._told():
            return {row[0] for row in self._db.execute("SELECT uuid FROM pkts")}

    def add(self, packets: Iterable[tuple[str, Packet]]) -> int:
        """Take in packets with the directory each was found in, all at once; gives the number of new ones."""
        with self._told():
            before = self._db.total_changes
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_ADD, (_row(directory, packet) for directory, packet in packets))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            return self._db.total_changes - before

    def pending(self) -> list[tuple[str, str]]:
        """Hash and directory of the commands that nobody has answered, oldest first."""
        with self._told():
            return self._db.execute(_PENDING, (COMMAND, *ANSWERS)).fetchall()

    def last(self, runkey: str, rule: str) -> float:
        """When the last packet of a rule was made, in seconds since 1970; 0 when there is none."""
        asked = "SELECT MAX(time) FROM pkts WHERE runkey = ? AND rule = ? AND type = ?"
        with self._told():
            return float(self._db.execute(asked, (_text(runkey), _text(rule), COMMAND)).fetchone()[0] or 0)

    def all(self) -> list[Known]:
        """Every packet, by time."""
        asked = "SELECT uuid, type, action, time, user, parent, area FROM pkts ORDER BY time, uuid"
        with self._told():
            return [Known(*row) for row in self._db.execute(asked)]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise MtError(f"cannot use '{self.path}': {e}") from e


@contextmanager
def opened(path: str) -> Iterator[PacketStore]:
    """Open pkts.db, making it when it is not there or is no database; raises MtError."""
    connection = _connected(path)
    try:
        yield PacketStore(path, connection)
    finally:
        connection.close()


def _connected(path: str) -> sqlite3.Connection:
    try:
        return _prepared(path)
    except sqlite3.DatabaseError as e:
        if "not a database" not in str(e) and "malformed" not in str(e):
            raise MtError(f"cannot use '{path}': {e}") from e
    try:
        os.replace(path, f"{path}.bad")
        return _prepared(path)
    except (OSError, sqlite3.Error) as e:
        raise MtError(f"cannot make '{path}' anew: {e}") from e


def _prepared(path: str) -> sqlite3.Connection:
    team.make_file(path)
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pkts_rule'").fetchone()
        if not has_table:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _row(directory: str, packet: Packet) -> tuple[object, ...]:
    rule = packet.get("M").partition(" ")[0]
    words = (packet.get("U"), packet.get("P"), packet.get("G"), packet.get("c"), packet.get("a"), rule)
    texts = tuple(_text(word) for word in words)
    kind = (_text(packet.type), _text(packet.get("A")))
    return (packet.id, *kind, packet.time, *texts, _text(directory), text_of(packet))


def _text(value: str) -> str:
    """A value that SQLite takes: bytes that are no UTF-8 become a replacement mark."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
