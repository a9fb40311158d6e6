"""The verbs that exist, found by looking: nothing registers one.

A verb is the module `mt/sections/SECTION/VERB.py` (dashes become underscores),
or for two-word verbs `mt/sections/SECTION/NOUN/VERB.py`.  What is asked most
often, its one-line summary, is read from the file's first line, so that
`mt help all` does not import every verb.
"""

from __future__ import annotations

import os

from mt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

#: folder -> the word after `mt help`
SECTIONS = {"run_control": "run-control", "queries": "queries", "utilities": "utilities"}
_HOME = os.path.join(os.path.dirname(__file__), "sections")


def find(words: list[str]) -> tuple[str, list[str]] | None:
    """The verb that words begin with and the words that are left, or None; two-word verbs by both words.

    Raises UsageError when the first word is a noun and the second is none of its verbs.
    """
    if not words:
        return None
    if _file(words[0]):
        return words[0], words[1:]
    verbs = verbs_of(words[0])
    if not verbs:
        return None
    if len(words) > 1 and words[1] in verbs:
        return f"{words[0]} {words[1]}", words[2:]
    said = f"'{words[1]}' is none of" if len(words) > 1 else "needs one of"
    raise UsageError(f"mt {words[0]}: {said} {', '.join(verbs)}", hint=f"mt {words[0]} -h")


def load(name: str) -> ModuleType:
    """The module of a verb by its name as typed."""
    from importlib import import_module

    path = os.path.relpath(source(name), os.path.dirname(_HOME))
    return import_module("mt." + path[:-3].replace(os.sep, "."))


def source(name: str) -> str:
    """The file of a verb by its name as typed; raises UsageError when there is none."""
    found = _file(*name.split(" "))
    if not found:
        raise UsageError(f"unknown verb '{name}'", hint=nearest(name))
    return found


def summary(name: str) -> str:
    """The first line of a verb's docstring, without importing it."""
    return _first_line(source(name))


def section_summary(section: str) -> str:
    """The same of a section's folder."""
    return _first_line(os.path.join(_HOME, section, "__init__.py"))


def _first_line(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.readline().strip().lstrip("r").strip('"').strip().rstrip(".")


def _file(*words: str) -> str | None:
    parts = [w.replace("-", "_") for w in words]
    if len(parts) > 2 or not all(p.isidentifier() and not p.startswith("_") for p in parts):
        return None
    for section in SECTIONS:
        path = os.path.join(_HOME, section, *parts) + ".py"
        if os.path.exists(path):
            return path
    return None


def verbs_of(noun: str) -> list[str]:
    """The second words that may follow a noun, sorted; empty when it is no noun."""
    part = noun.replace("-", "_")
    if not part.isidentifier() or part.startswith("_"):
        return []
    for section in SECTIONS:
        path = os.path.join(_HOME, section, part)
        if os.path.isdir(path):
            return sorted(_modules(path))
    return []


def _modules(path: str) -> list[str]:
    return [n[:-3].replace("_", "-") for n in os.listdir(path) if n.endswith(".py") and not n.startswith("_")]


def names(section: str | None = None) -> list[str]:
    """Every verb as typed, sorted: `run`, `db check`, ...; of one section's folder, or of all."""
    found: list[str] = []
    for folder in [section] if section else list(SECTIONS):
        home = os.path.join(_HOME, folder)
        found.extend(_modules(home))
        for entry in os.listdir(home):
            if os.path.isdir(os.path.join(home, entry)) and not entry.startswith("_"):
                noun = entry.replace("_", "-")
                found.extend(f"{noun} {m}" for m in _modules(os.path.join(home, entry)))
    return sorted(found)


def nearest(word: str) -> str:
    """A hint for a verb that is not there."""
    import difflib

    known = names()
    near = difflib.get_close_matches(word, sorted({*known, *(n.split(" ")[0] for n in known)}), 3, 0.6)
    return f"did you mean {', '.join(near)}?" if near else "mt help"
