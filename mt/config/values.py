"""What a file of an area says: sections, keys, values, problems, and where each came from."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Problem(NamedTuple):
    """Something about a line that its user may want to know; level is `error`, `warning` or `info`."""

    where: str
    text: str
    level: str = "error"
    hint: str | None = None


class Deferred(NamedTuple):
    """A `[system COMMAND]` that runs when its value is asked for; `line` is quoted when it fails."""

    command: str
    line: str


#: a value with the file and the line number it came from
Entry = tuple[str | Deferred, str, int]


class Config:
    """Ordered sections of ordered keys; values are text, or commands that run when asked for.

    `problems` grows when a deferred command fails.  `dynamic` means that
    something else than the files counted (a command, the environment, the
    target), so a second reading may differ.  `files` are those read, in order,
    `absent` the includes that were not there.
    """

    __slots__ = ("_defer", "_entries", "_former", "absent", "dynamic", "files", "home", "path", "problems")

    def __init__(self, path: str, home: str = "") -> None:
        self.path = path
        self.home = home
        self.problems: list[Problem] = []
        self.dynamic = False
        self.files: list[str] = []
        self.absent: list[str] = []
        self._entries: dict[str, dict[str, Entry]] = {}
        self._former: dict[tuple[str, str], list[Entry]] = {}
        self._defer: Callable[[str, Deferred, str], str] | None = None

    def sections(self) -> list[str]:
        """Names of all sections in the order of their first mention."""
        return list(self._entries)

    def has(self, section: str) -> bool:
        """Whether the section is mentioned; it may be empty."""
        return section in self._entries

    def keys(self, section: str) -> list[str]:
        """Keys of a section in the order of their last setting; none when it is not mentioned."""
        return list(self._entries.get(section, ()))

    def get(self, section: str, key: str, default: str | None = None) -> str | None:
        """The value; runs a deferred command, once."""
        entries = self._entries.get(section)
        entry = entries.get(key) if entries else None
        if entry is None:
            return default
        value = entry[0]
        return value if type(value) is str else self._resolve(section, key)

    def items(self, section: str) -> list[tuple[str, str]]:
        """Keys and values of a section; runs deferred commands."""
        entries = self._entries.get(section, {})
        return [(k, e[0] if type(e[0]) is str else self._resolve(section, k)) for k, e in list(entries.items())]

    def each(self, section: str, key: str) -> list[tuple[str, str]]:
        """All that a key was set to, in order, each with its `file:line`: for keys of which every line counts."""
        former = self._former.get((section, key), ())
        found = [(e[0], f"{self.shown(e[1])}:{e[2]}") for e in former if isinstance(e[0], str)]
        value, where = self.get(section, key), self.where(section, key)
        return found if value is None or where is None else [*found, (value, where)]

    def is_deferred(self, section: str, key: str) -> bool:
        """Whether asking for this value would run a command."""
        entry = self._entries.get(section, {}).get(key)
        return entry is not None and type(entry[0]) is not str

    def where(self, section: str, key: str) -> str | None:
        """`file:line` of a value; the file is relative to the area's home when it is inside."""
        entry = self._entries.get(section, {}).get(key)
        return None if entry is None else f"{self.shown(entry[1])}:{entry[2]}"

    def shown(self, path: str) -> str:
        """A path as messages name it: relative to the area's home when it is inside."""
        home = self.home.rstrip("/") + "/"
        return path[len(home) :] if self.home and path.startswith(home) else path

    def to_dict(self) -> dict[str, dict[str, str]]:
        """All values, in order; runs deferred commands."""
        return {section: dict(self.items(section)) for section in self._entries}

    def _resolve(self, section: str, key: str) -> str:
        value, path, line = self._entries[section][key]
        if isinstance(value, str):
            return value
        made = self._defer(section, value, f"{self.shown(path)}:{line}") if self._defer else f"[system {value.command}]"
        self._entries[section][key] = (made, path, line)
        return made
