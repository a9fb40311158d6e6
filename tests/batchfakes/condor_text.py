"""Submit descriptions of HTCondor: their lines, macros, and the two ways to write arguments and environments."""

from __future__ import annotations

import re
from collections.abc import Mapping


class Wrong(Exception):
    """A description that cannot be understood."""


def read_description(text: str, given: str, queue: str | None) -> tuple[dict[str, str], int, bool]:
    """Keys in small letters with their values, how many processes, and whether a number was said."""
    said: dict[str, str] = {}
    count: str | None = queue
    joined = re.sub(r"\\\n\s*", "", text)
    for number, line in enumerate(joined.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if re.match(r"queue\b(?!\s*=)", line, re.IGNORECASE):
            count = line[5:].strip() if count is None else count
            break
        key, equals, value = line.partition("=")
        if not equals:
            raise Wrong(f"Failed to parse command file (line {number}).")
        said[_key(key)] = value.strip()
    for line in given.splitlines():
        key, _, value = line.partition("=")
        said[_key(key)] = value.strip()
    if count is None:
        raise Wrong("No 'queue' command found in submit file")
    if count and not count.isdigit():
        raise Wrong("invalid Queue statement")
    return said, int(count or 1), bool(count)


def _key(text: str) -> str:
    """Keys do not care for case; `+Attr` and `My.Attr` are the same."""
    key = text.strip().lower()
    return f"+{key[3:]}" if key.startswith("my.") else key


def expand(text: str, said: Mapping[str, str], cluster: int, process: int) -> str:
    """All macros put in: $(Cluster), $(Process), $(DOLLAR), and keys of the description."""
    own = {"cluster": str(cluster), "clusterid": str(cluster), "process": str(process), "procid": str(process)}

    def value(found: re.Match[str]) -> str:
        name, _, default = found[1].partition(":")
        name = name.lower()
        if name == "dollar":
            return "$"
        return own[name] if name in own else expand(said.get(name, default), said, cluster, process)

    return re.sub(r"\$\(([^)]*)\)", value, text)


def arguments(text: str) -> list[str]:
    """The new way has double quotes around all of it: `"one 'two words' it''s"`; the old one has none."""
    if not text.startswith('"'):
        return text.split()
    if len(text) < 2 or not text.endswith('"') or '"' in text[1:-1].replace('""', ""):
        raise Wrong(
            f"Failed to parse arguments: Unterminated double-quote. The full arguments you specified were: {text}"
        )
    words: list[str] = []
    rest = text[1:-1].replace('""', '"').strip()
    while rest:
        found = re.match(r"(?:[^\s']|'(?:[^']|'')*')+", rest)
        if not found:
            raise Wrong(f"Failed to parse arguments: Unbalanced quote starting here: {rest}")
        words.append(re.sub(r"'((?:[^']|'')*)'", lambda m: m[1].replace("''", "'"), found[0]))
        rest = rest[found.end() :].lstrip()
    return words


def environment(text: str) -> dict[str, str]:
    """The same two ways; the old one has semicolons between."""
    pairs = arguments(text) if text.startswith('"') else [part for part in text.split(";") if part]
    return {name.strip(): value for name, _, value in (pair.partition("=") for pair in pairs)}
