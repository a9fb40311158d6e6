"""Regular expressions as log rules write them, for Python's `re`, and what a match must contain.

Rules are written for a PCRE-like engine that knows a few things which `re` does
not; `translate` rewrites those.  `needles` finds strings of which at least one
is in every match: a log of a hundred megabytes is then searched for plain bytes
and only the lines that have one are looked at (spec/config.md 6.3, 6.4).
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN_ESCAPES = "AbBdDsSwWafnrtvx0123456789uU"
_ESCAPES = {
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
    "h": r"[ \t]",
    "H": r"[^ \t]",
    "R": r"(?:\r\n|\n|\r)",
    "N": r"[^\n]",
    "e": r"\x1b",
    "<": r"\b(?=\w)",
    ">": r"\b(?<=\w)",
}
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9a-fA-F",
    "word": r"\w",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
}
_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")
_NAME = re.compile(r"\(\?<([A-Za-z_]\w*)>")
_INLINE = re.compile(r"\(\?([imsx]+)\)")
_HEX = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")
_REPEAT = re.compile(r"([*+?]|\{(\d*)(?:,(\d*))?\})[?+]?")


class Regex:
    """A pattern of a rule: `error` says why it cannot be used, otherwise `search` looks for it in a line.

    A pattern that cannot be used is not an error where it is read: the rule
    that has it is malformed, and the other rules are still judged.
    """

    __slots__ = ("error", "flags", "fold", "groups", "needles", "search", "text", "where")

    def __init__(self, text: str, flags: str = "", where: str = "") -> None:
        self.text = text
        self.flags = flags
        self.where = where
        self.error = ""
        self.fold = "i" in flags
        self.needles: tuple[bytes, ...] = ()
        compiled = _NOTHING
        try:
            compiled = compile_pattern(text, flags)
        except (ValueError, OverflowError, RecursionError, re.error) as e:
            self.error = f"bad pattern {self}: {e}"
        else:
            self.needles = () if "x" in flags or ("u" in flags and self.fold) else needles(text, self.fold)
        self.search = compiled.search
        self.groups = compiled.groups

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern for `re`; raises ValueError for one that cannot be used."""
        if self.error:
            raise ValueError(self.error)
        return compile_pattern(self.text, self.flags)

    def __repr__(self) -> str:
        shown = re.sub(r"\\.|/", lambda m: r"\/" if m[0] == "/" else m[0], self.text, flags=re.S)
        return f"#/{shown}/{self.flags}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regex) and (self.text, self.flags) == (other.text, other.flags)

    def __hash__(self) -> int:
        return hash((self.text, self.flags))


_NOTHING = re.compile(r"(?!)")


def compile_pattern(text: str, flags: str = "") -> re.Pattern[str]:
    """A rule's pattern for `re`: i ignores case, x allows blanks and comments, u makes classes Unicode.

    Raises ValueError or re.error.
    """
    bits = re.RegexFlag(0) if "u" in flags else re.ASCII
    for flag in flags:
        if flag not in "ixu":
            raise ValueError(f"unknown flag '{flag}'")
        bits |= {"i": re.I, "x": re.X, "u": re.RegexFlag(0)}[flag]
    return re.compile(translate(text), bits)


def translate(text: str) -> str:
    """The same pattern in the words of `re`."""
    made: list[str] = []
    closing = [0]  # per open group: how many `(?i:` it has to close as well
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            piece, at = _escape(text, at)
        elif sign == "[":
            piece, at = _set(text, at)
        elif sign == "(":
            piece, at = _open(text, at, closing)
        elif sign == ")":
            piece, at = ")" * (1 + closing.pop() if len(closing) > 1 else 1), at + 1
        else:
            piece, at = sign, at + 1
        made.append(piece)
    return "".join(made) + ")" * closing[0]


def _open(text: str, at: int, closing: list[int]) -> tuple[str, int]:
    inline = _INLINE.match(text, at)
    if inline:
        closing[-1] += 1
        return f"(?{inline[1]}:", inline.end()
    comment = text.startswith("(?#", at)
    if comment:
        end = text.find(")", at)
        return "", end + 1 if end >= 0 else len(text)
    closing.append(0)
    name = _NAME.match(text, at)
    return (f"(?P<{name[1]}>", name.end()) if name else ("(", at + 1)


def _escape(text: str, at: int) -> tuple[str, int]:
    if at + 1 >= len(text):
        raise ValueError("a backslash at the end")
    sign = text[at + 1]
    if sign == "Q":
        end = text.find("\\E", at)
        body = text[at + 2 : end if end >= 0 else len(text)]
        return re.escape(body), end + 2 if end >= 0 else len(text)
    code = _HEX.match(text, at)
    if code:
        return re.escape(chr(int(code[1], 16))), code.end()
    if sign in _ESCAPES:
        return _ESCAPES[sign], at + 2
    if sign.isascii() and sign.isalpha() and sign not in _KNOWN_ESCAPES:
        return "" if sign == "E" else sign, at + 2
    return text[at : at + 2], at + 2


def _set(text: str, at: int) -> tuple[str, int]:
    """A `[...]`: named classes spelled out, and nothing left that `re` might one day read as a nested set."""
    made = ["["]
    at += 1
    if text.startswith("^", at):
        made.append("^")
        at += 1
    first = True
    while at < len(text) and (text[at] != "]" or first):
        piece, at = _member(text, at, first, made[-1])
        made.append(piece)
        first = False
    if at >= len(text):
        raise ValueError("a [ that is never closed")
    return "".join(made) + "]", at + 1


def _member(text: str, at: int, first: bool, before: str) -> tuple[str, int]:
    named = _CLASS.match(text, at)
    if named and named[2] in _CLASSES:
        if named[1]:
            raise ValueError(f"unknown class {named[0]}")
        return _CLASSES[named[2]], named.end()
    sign = text[at]
    if sign == "\\" and at + 1 < len(text):
        code = _HEX.match(text, at)
        if code:
            return re.escape(chr(int(code[1], 16))), code.end()
        nxt = text[at + 1]
        if nxt in "he":
            return {"h": r" \t", "e": r"\x1b"}[nxt], at + 2
        known = not (nxt.isascii() and nxt.isalpha()) or nxt in "bdDsSwWafnrtvxuU"
        return (text[at : at + 2] if known else nxt), at + 2
    if sign in "[&|~]" or (sign == "-" and (first or before == "-")):
        return "\\" + sign, at + 1
    return sign, at + 1


def needles(text: str, fold: bool) -> tuple[bytes, ...]:
    """Strings (lower case with fold) of which at least one is in every match; empty when none is known."""
    if _INLINE.search(text) or "\\Q" in text or "(?#" in text:
        return ()
    found, at = _branches(text, 0, fold)
    return tuple(sorted(found)) if found and at == len(text) else ()


Choice = frozenset[bytes] | None


def _branches(text: str, at: int, fold: bool) -> tuple[Choice, int]:
    """The needles of alternatives up to a `)` or the end, and where that is."""
    every: set[bytes] = set()
    known = True
    while True:
        best, at = _sequence(text, at, fold)
        known = known and best is not None
        every |= best or set()
        if at >= len(text) or text[at] == ")":
            return (frozenset(every) if known and len(every) < 40 else None), at
        at += 1


def _sequence(text: str, at: int, fold: bool) -> tuple[Choice, int]:
    """The best needles of one alternative: the longest of the strings and groups that it must have."""
    choices: list[frozenset[bytes]] = []
    run = ""
    while at < len(text) and text[at] not in "|)":
        char, choice, end = _item(text, at, fold)
        least, after = _repeat(text, end)
        again = after > end
        if char and not (again and least == 0):
            run += char
        if not char or again:
            choices.append(frozenset({run.encode()}))
            run = ""
        if choice and least > 0:
            choices.append(choice)
        at = after
    choices.append(frozenset({run.encode()}))
    return _best(choices), at


def _best(choices: Iterable[frozenset[bytes]]) -> Choice:
    best = max(choices, key=lambda c: min(map(len, c)))
    return best if min(map(len, best)) > 0 else None


def _item(text: str, at: int, fold: bool) -> tuple[str, Choice, int]:
    """One element: a plain character, or the needles of a group, and where it ends."""
    sign = text[at]
    if sign == "\\":
        return _escaped(text, at)
    if sign == "[":
        return "", None, _set(text, at)[1]
    if sign == "(":
        return _group(text, at, fold)
    if sign in ".^$":
        return "", None, at + 1
    return _plain(sign, fold), None, at + 1


def _plain(sign: str, fold: bool) -> str:
    if fold:
        return sign.lower() if sign.isascii() else ""
    return "" if "\ud800" <= sign <= "\udfff" else sign


def _escaped(text: str, at: int) -> tuple[str, Choice, int]:
    sign = text[at + 1 : at + 2]
    code = _HEX.match(text, at)
    if code:
        return "", None, code.end()
    if sign.isdigit():
        end = at + 2
        while text[end : end + 1].isdigit():
            end += 1
        return "", None, end
    if (sign.isascii() and sign.isalnum()) or sign in "<>":
        return "", None, at + {"x": 4, "u": 6, "U": 10}.get(sign, 2)
    return (sign if sign.isascii() else ""), None, at + 2


def _group(text: str, at: int, fold: bool) -> tuple[str, Choice, int]:
    name = _NAME.match(text, at)
    if name:
        inside = name.end()
    elif text.startswith("(?P<", at):
        inside = text.find(">", at) + 1
    else:
        inside = at + (3 if text.startswith("(?:", at) else 1)
    odd = text.startswith("(?", at) and not name and not text.startswith(("(?:", "(?P<"), at)
    if odd:
        inside = at + 2
    choice, end = _branches(text, inside, fold)
    return "", None if odd else choice, min(end + 1, len(text))


def _repeat(text: str, at: int) -> tuple[int, int]:
    """How often at least an element is repeated, and where the quantifier ends."""
    found = _REPEAT.match(text, at)
    if not found:
        return 1, at
    if found[1] in "*?":
        return 0, found.end()
    if found[1] == "+":
        return 1, found.end()
    if not found[2] and found[3] is None:
        return 1, at
    return int(found[2] or 0), found.end()
