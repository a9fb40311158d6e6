"""What the language of an area accepts in silence and its writer did not mean (spec/config.md 1.2, D6; `mt check`).

The reading stays as it always was; here are only the warnings.  `of_text` looks
at the lines of the files, the others at what has been read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mt.config import Config, Problem
from mt.config.lines import HEADER, PAIR, cut_programs, numbered
from mt.durations import read_duration
from mt.errors import ConfigError
from mt.selectors import item_rule
from mt.states import STATES, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_COMMAND = re.compile(r"#\{(?:shell|sh|system|scheme|scm)\s")
_TRAIL = re.compile(r"\s#(?![{/])")
_INDENT = re.compile(r"[ \t\f\v\r]*")
_SPLIT_AT_BLANKS = frozenset(("items", "itemstable", "logpro", "requirements", "itemmap", "fields"))
_KEYS = {
    "setup": ("runscript",),
    "test_meta": ("author", "owner", "description", "reviewed", "tags", "jobgroup"),
}


# -- lines


class _Value(NamedTuple):
    """The value that continuation lines go to: where it began, and how its first continuation line is indented."""

    section: str
    key: str
    prefix: str | None = None
    told: bool = False


def of_text(path: str, text: str, config: Config) -> Iterator[Problem]:
    """Comments that still do something, and values whose lines are not what they look like."""
    shown = config.shown(path)
    text = cut_programs(text)[0]
    for number, line in enumerate(text.split("\n"), 1):
        if "#" in line:
            yield from _comment(line, f"{shown}:{number}")
    yield from _values(text, shown)


def _comment(line: str, where: str) -> Iterator[Problem]:
    """Comments are expanded before they are seen as such (G20), and joined with the next line first."""
    bare = line.lstrip()
    if not bare.startswith("#") or bare.startswith("#{"):
        return
    hit = _COMMAND.search(bare)
    if hit:
        form = _form(bare, hit.start())
        yield Problem(where, f"this comment still runs {form}", "warning", "take the '#{' out of it")
    elif bare.endswith("\\"):
        yield Problem(where, "this comment ends in '\\' and swallows the next line", "warning", "take it out")


def _form(line: str, start: int) -> str:
    """The text of a form with those inside it, as far as its braces close."""
    depth = 0
    for at in range(start + 1, len(line)):
        depth += (line[at] == "{") - (line[at] == "}")
        if not depth:
            return line[start : at + 1]
    return line[start:]


def _values(text: str, shown: str) -> Iterator[Problem]:
    """Walk through the lines as the reader does, and look at those that continue a value."""
    section = "default"
    value: _Value | None = None
    lines = list(numbered(text))
    for place, (number, line) in enumerate(lines):
        where = f"{shown}:{number}"
        indent = _INDENT.match(line)[0]  # type: ignore[index] # it matches everything
        bare = line[len(indent) :]
        if not bare:
            value = None
        elif bare[0] == "#" and not bare.startswith("#{"):
            if value is not None and indent and _goes_on(lines, place, value, bare):
                text = f"this comment ends the value of [{section}] {value.key}"
                yield Problem(where, text, "warning", "join it to the line above with a final \\")
            value = None
        elif not indent and (head := HEADER.fullmatch(line)):
            section, value = head[1], None
        elif not indent:
            value = _Value(section, PAIR.match(line)[1])  # type: ignore[index] # it begins with no blank
        elif value is not None:
            yield from _continued(value, indent, where)
            value = _indented(value, indent)


def _goes_on(lines: Sequence[tuple[int, str]], place: int, value: _Value, bare: str) -> bool:
    """Whether a comment within a value was meant as a part of it: text follows, or it is a rule's pattern."""
    after = lines[place + 1][1] if place + 1 < len(lines) else ""
    return (value.prefix is not None or value.section == "logpro") and (
        bool(after[:1].isspace() and after.strip()) or bare.startswith("#/")
    )


def _indented(value: _Value, indent: str) -> _Value:
    if value.prefix is None:
        return value._replace(prefix=indent)
    return value if indent.startswith(value.prefix) else value._replace(told=True)


def _continued(value: _Value, indent: str, where: str) -> Iterator[Problem]:
    """A continuation line that does not begin with the blanks of the first one keeps all of its own (G15)."""
    if value.prefix is None or value.told or indent.startswith(value.prefix):
        return
    level = "info" if value.section in _SPLIT_AT_BLANKS else "warning"
    name = f"[{value.section}] {value.key}"
    hint = "begin all lines of a value with the same blanks"
    if ("\t" in indent) != ("\t" in value.prefix):
        yield Problem(where, f"{name}: tabs and blanks are mixed, so none are taken away here", "warning", hint)
    else:
        text = f"{name}: less indented than the first line, so it keeps its blanks and ends up further right"
        yield Problem(where, text, level, hint)


# -- values


def trailing(config: Config, sections: Sequence[str]) -> Iterator[Problem]:
    """Values with what was meant as a comment (D6)."""
    if config.dynamic:
        sections = [s for s in sections if not any(config.is_deferred(s, k) for k in config.keys(s))]
    for section in sections:
        for key, value in config.items(section):
            hit = _TRAIL.search(value)
            if hit:
                rest = value[hit.start() :].strip()
                text = f"[{section}] {key}: '{rest}' is part of the value"
                yield Problem(config.where(section, key) or "", text, "warning", "write comments on lines of their own")


def durations(config: Config, keys: Iterable[tuple[str, str]], hint: str = "write it as 1h 30m") -> Iterator[Problem]:
    """Lengths of time whose words count nothing, or are read kindly (spec/config.md 2.2)."""
    for section, key in keys:
        value = config.get(section, key)
        if not value or "#" in value:  # what stands behind a # is told by `trailing`
            continue
        for doubt in read_duration(value).doubts:
            yield Problem(config.where(section, key) or "", f"[{section}] {key}: {doubt}", "warning", hint)


def numbers(config: Config, keys: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Numbers that are none: the default is used then (spec/config.md 2.3)."""
    for section, key in keys:
        value = (config.get(section, key) or "").replace(" ", "")
        if not value or "#" in value:
            continue
        try:
            float(value)
        except ValueError:
            where = config.where(section, key) or ""
            yield Problem(where, f"[{section}] {key}: '{value}' is not a number, so the default is used", "warning")


def triggers(config: Config) -> Iterator[Problem]:
    """Keys of `[triggers]` that no change of a test ever looks up (T60, D11)."""
    states, statuses = _known(config, "state", STATES), _known(config, "status", STATUSES)
    for key in config.keys("triggers"):
        state, slash, status = key.partition("/")
        where = config.where("triggers", key) or ""
        if not slash or key == "/":
            yield Problem(where, f"[triggers] '{key}' never fires", "warning", "write STATE/STATUS, STATE/ or /STATUS")
        elif state and state not in states:
            hint = f"write /{state}" if state in statuses and not status else f"states: {', '.join(STATES)}"
            yield Problem(where, f"[triggers] '{key}' never fires: '{state}' is no state", "warning", hint)
        elif status and status not in statuses:
            yield Problem(where, f"[triggers] '{key}': '{status}' is no status that mt gives", "warning")


def _known(config: Config, what: str, words: Iterable[str]) -> set[str]:
    return {*words, *(config.get("validvalues", what) or "").split()}


def spellings(config: Config) -> Iterator[Problem]:
    """Keys that Megatest did not read where they stand, and mt does (D8, D19)."""
    if config.has("subrun") and config.get("subrun", "runwait") is None:
        where = config.where("subrun", "run-wait") or config.shown(config.path)
        if config.get("subrun", "run-wait") is None:
            yield Problem(where, "[subrun] without the key runwait does nothing", "warning", "add: runwait yes")
        else:
            yield Problem(where, "[subrun] run-wait: Megatest reads runwait, mt reads both", "warning")
    if config.get("requirements", "jobgroup") is not None:
        where = config.where("requirements", "jobgroup") or ""
        text = "[requirements] jobgroup: Megatest reads it in [test_meta], mt in both"
        yield Problem(where, text, "warning", "move it to [test_meta]")
    kinds = [key for key in ("prevrunning", "fileexists", "rundelay") if config.get("skip", key) is not None]
    for key in kinds[1:]:
        text = f"[skip] {key} is not looked at: {kinds[0]} comes first"
        yield Problem(config.where("skip", key) or "", text, "warning", "only one of them counts")


def near_misses(config: Config) -> Iterator[Problem]:
    """Keys among the user's own that are nearly one that is read."""
    import difflib

    for section, words in _KEYS.items():
        said = config.keys(section)
        for key in said:
            near = difflib.get_close_matches(key, words, 1, 0.8)
            if near and key not in words and near[0] not in said:
                where = config.where(section, key) or ""
                yield Problem(where, f"[{section}] unknown key '{key}'", "warning", f"did you mean {near[0]}?")


def item_maps(maps: Iterable[tuple[str, str, Iterable[tuple[str, str]]]], config: Config) -> Iterator[Problem]:
    """Lines of item maps (section, key, lines) whose pattern may match nothing, which ends the mapping (2.6)."""
    for section, key, lines in maps:
        for pattern, _ in lines:
            try:
                hit = item_rule(pattern).search("\0")
            except ConfigError:
                continue  # told when the test was read
            if hit is not None and not hit.group():
                where = config.where(section, key) or ""
                yield Problem(where, f"item map '{pattern}' can match nothing", "warning", "make it match some text")


def host_types(config: Config) -> Iterator[Problem]:
    """Patterns of `[launchers]` whose host type is not there: the next pattern is tried (2.1)."""
    known = config.keys("host-types")
    for pattern, kind in config.items("launchers"):
        if kind.strip() not in known:
            where = config.where("launchers", pattern) or ""
            hint = f"there are: {', '.join(known)}" if known else "name it in [host-types]"
            yield Problem(where, f"[launchers] {pattern}: there is no host type '{kind.strip()}'", "warning", hint)


def shell_values(config: Config, sections: Iterable[str]) -> Iterator[Problem]:
    """Run variables of which a test sees less than is written: the shell expands them, and gives one line (R6)."""
    for section in sections:
        for key, value in config.items(section):
            where = config.where(section, key) or ""
            name = f"[{section}] {key}"
            if "\n" in value.strip():
                yield Problem(where, f"{name}: tests see its first line only", "warning", "write it on one line")
            elif re.search("[\"'`()&;|<>]", value) and not _readable(value):
                text = f"{name}: the shell cannot read it, so it is empty in tests"
                yield Problem(where, text, "warning", "put it between quotes")
            elif re.search(r"(?:^|\s)#", value) and not re.search("[\"']", value):
                text = f"{name}: what stands behind the # is a comment of the shell"
                yield Problem(where, text, "warning", "put it between quotes")


def _readable(value: str) -> bool:
    """Whether a shell can make sense of `echo VALUE`; nothing is run."""
    import subprocess

    words = ["/bin/bash", "-n", "-c", f"echo {value}"]
    try:
        return not subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
    except (OSError, ValueError):
        return False
