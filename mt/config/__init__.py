"""Read any file of an area: sections, keys, values, and where each line came from (spec/config.md 1).

One grammar serves `megatest.config`, `runconfigs.config`, every `testconfig`,
what they include, and the output of scripts.  What differs (which commands run,
which sections survive) is a `Reading`.  Problems are collected, never printed:

    config = read(path, Reading(home, env=dict(environ), target="ubuntu/nfs"))
    for problem in config.problems: ...

Today's default is the reading that existing areas rely on, odd rules included.
"""

from __future__ import annotations

import os

from mt.config.lines import BODY, PROGRAM, template, text_of
from mt.config.reader import Reader
from mt.config.values import Config, Deferred, Problem
from mt.effects import Effects, SystemEffects
from mt.errors import ConfigError, why
from mt.expr import BLANKS, Reading

__all__ = [
    "Config",
    "Deferred",
    "Effects",
    "Problem",
    "Reading",
    "SystemEffects",
    "dump",
    "entry",
    "parse",
    "programs",
    "read",
    "template",
    "to_json",
]


def read(path: str, reading: Reading, *more: str) -> Config:
    """Read a file, and `more` files after it into the same Config.

    Raises ConfigError when one of these files cannot be read or is not text,
    and for includes that never end.
    """
    reader = Reader(path, reading)
    for name in (path, *more):
        full = os.path.normpath(os.path.join(reading.cwd, name))
        try:
            text = text_of(full, reading.effects)
        except OSError as e:
            raise ConfigError(f"cannot read '{name}': {why(e)}") from e
        reader.file(text, full, None)
    return reader.finish()


def parse(text: str, path: str, reading: Reading) -> Config:
    """Read text as if it stood in the file `path`; raises ConfigError as `read` does."""
    if "\0" in text:
        raise ConfigError(f"cannot read '{path}': it is not a text file")
    reader = Reader(path, reading)
    reader.file(text, os.path.normpath(os.path.join(reading.cwd, path)), None)
    return reader.finish()


def dump(config: Config) -> str:
    """The values as a file that reads back the same (as far as the grammar can say them)."""
    parts: list[str] = []
    for section in config.sections():
        said = config.items(section)
        if said and said[0][0] == BODY and PROGRAM.fullmatch(f"[{section}]"):
            parts += [f"[{section}]", "\n".join(map(_guarded, said[0][1].split("\n"))), ""]
        else:
            parts += [f"[{section}]", *(entry(key, value) for key, value in said), ""]
    return "\n".join(parts)


def _guarded(line: str) -> str:
    """A line of a `[script NAME]` section so that it opens no section of its own."""
    return "\\" + line if line.startswith("[") else line


def programs(config: Config) -> list[tuple[str, str]]:
    """Name and text of each `[script NAME]` section (an extension, spec/architecture.md 6.9)."""
    heads = ((PROGRAM.fullmatch(f"[{section}]"), config.get(section, BODY)) for section in config.sections())
    return [(head[1], body) for head, body in heads if head and body]


def entry(key: str, value: str) -> str:
    """A key and its value as they are written in a file, further lines of the value indented."""
    body = value.replace("\n", "\n  ")
    bare = not value.strip(BLANKS) or value.startswith("\n")
    return f"{key}{body}" if bare else f"{key} {body}"


def to_json(config: Config) -> str:
    """The values as one JSON object: section -> key -> value, in order."""
    import json

    return json.dumps(config.to_dict(), ensure_ascii=False, indent=2)
