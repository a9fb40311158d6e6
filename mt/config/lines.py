"""What lines are made of: their shapes as patterns, a text cut into them, a file as text (spec/config.md 1.2)."""

from __future__ import annotations

import re

from mt.effects import Effects, decode
from mt.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAIR = re.compile(r"(\S+)(\s*)(.*)", re.ASCII | re.DOTALL)
SETTING = re.compile(r"\[configf:settings\s+(\S+)\s+(\S+)\]\s*", re.ASCII)
INCLUDE = re.compile(r"\[include\s+(.*)\]\s*", re.ASCII | re.DOTALL)
SCRIPT = re.compile(r"\[scriptinc\s+(\S+)([^\]]*)\]\s*", re.ASCII)
HEADER = re.compile(r"\[(.*)\]\s*", re.ASCII | re.DOTALL)
COMMAND = re.compile(r"\[system\s+(\S.*)\]\s*", re.ASCII | re.DOTALL)
#: an extension: a section whose lines are a program, taken as they stand (spec/architecture.md 6.9)
PROGRAM = re.compile(r"\[script[ \t]+([^\s/\]]+)\][ \t]*\r?")
#: the key under which a `[script NAME]` section keeps its text
BODY = "body"
#: values that `echo` would give back with runs of blanks made one; all others go through the shell
NO_SHELL = re.compile(r"[A-Za-z0-9_./:,@%+=][A-Za-z0-9_./:,@%+= \t-]*", re.ASCII)


def text_of(path: str, effects: Effects) -> str:
    """A file's text; raises OSError, and ConfigError for a file that is not text."""
    data = effects.read(path)
    if b"\0" in data:
        raise ConfigError(f"cannot read '{path}': it is not a text file")
    return decode(data)


def numbered(text: str) -> Iterator[tuple[int, str]]:
    r"""Lines with the number of their first physical line; a final `\` joins the next one unchanged."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    lines = text.split("\n")
    if "\\\n" not in text and not text.endswith("\\"):
        return enumerate(lines, 1)
    return _joined(lines)


def _joined(lines: list[str]) -> Iterator[tuple[int, str]]:
    whole: list[str] = []
    first = 1
    for number, line in enumerate(lines, 1):
        if line.endswith("\\"):
            whole.append(line[:-1])
            continue
        yield first, "".join([*whole, line]) if whole else line
        whole.clear()
        first = number + 1
    if whole:
        yield first, "".join(whole)


def template(section: str) -> re.Pattern[str] | None:
    """The pattern of a wildcard section (`%` in it, or `/re/`), None for a literal one (spec/config.md 1.10).

    Raises re.error.  Every `%` means `.*` (G51); other characters are those of regular expressions.
    """
    if len(section) > 1 and section[0] == section[-1] == "/":
        return re.compile(section[1:-1])
    return re.compile(section.replace("%", ".*")) if "%" in section else None


def cut_programs(text: str) -> tuple[str, dict[int, str]]:
    r"""The text with the bodies of `[script NAME]` sections blanked, and each body by the line of its header.

    A body ends before the next line that begins with `[`; one of its own that
    does is written `\[`.  It is dedented, and nothing else in it is read: `#`,
    blank lines, final backslashes and `#{...}` are the program's.
    """
    lines = text.split("\n")
    found: dict[int, str] = {}
    at = 0
    while at < len(lines):
        at += 1
        if not PROGRAM.fullmatch(lines[at - 1]) or (at > 1 and lines[at - 2].endswith("\\")):
            continue
        end = next((n for n in range(at, len(lines)) if lines[n].startswith("[")), len(lines))
        found[at] = _program(lines[at:end])
        lines[at:end] = [""] * (end - at)
        at = end
    return "\n".join(lines), found


def _program(lines: Sequence[str]) -> str:
    from textwrap import dedent

    text = dedent("\n".join([line.removesuffix("\r") for line in lines])).strip("\n")
    return re.sub(r"^\\(?=\[)", "", text, flags=re.MULTILINE) + "\n" if text.strip() else ""
