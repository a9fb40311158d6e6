"""Text into forms: the syntax of area files' expressions and of log rules (spec/config.md 6.4, 6.5).

No recursion: nesting is a list, so that a file of ten thousand open
parentheses gives a message and not an overflow.
"""

from __future__ import annotations

import re

from mt.scheme.values import Form, Keyword, SchemeError, Symbol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.scheme.patterns import Regex

_BLANK = re.compile(r"(?:\s+|;[^\n]*)+")
_ATOM = re.compile(r"""[^\s()\[\]"';`,]+""")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
#: these are compiled when they are first needed: a program of one line must not pay for all of them
_ESCAPE = r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
_SLASHED = r"#/((?:[^/\\]|\\.)*)/([a-z]*)"
_FLAGS = r"[a-z]*"
_CHARACTER = r"#\\([a-z]{2,}|.)"
_INT = r"[+-]?\d+"
_FLOAT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RATIO = r"([+-]?\d+)/(\d+)"
_NUMERIC = frozenset("+-.0123456789")
_CLOSES = {"(": ")", "[": "]"}
_PREFIXES = {"'": "quote", "`": "quasiquote", ",": "unquote"}
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "v": "\v", "f": "\f", "0": "\0"}
_CHARACTERS = {"space": " ", "newline": "\n", "tab": "\t", "return": "\r", "nul": "\0"}
_WORDS = {"#t": True, "#f": False, "#true": True, "#false": False}
_SKIP = Symbol("#;")


def parse(text: str, source: str) -> list[object]:
    """All forms of a text, in order; lists are `Form`s.

    Raises SchemeError with `source:line` for what cannot be read.
    """
    return _Reader(text, source).read()


def number(text: str, radix: int = 10) -> int | float | None:
    """The number that a text is, or None."""
    if radix != 10:
        try:
            return int(text, radix)
        except ValueError:
            return None
    if text[:1] not in _NUMERIC:
        return None
    if re.fullmatch(_INT, text):
        return int(text) if len(text) < 4000 else None
    if re.fullmatch(_FLOAT, text):
        return float(text)
    ratio = re.fullmatch(_RATIO, text)
    if not ratio or int(ratio[2]) == 0:
        return None
    top, bottom = int(ratio[1]), int(ratio[2])
    return top // bottom if top % bottom == 0 else top / bottom


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.at = 0
        self.line = 1
        self.counted = 0
        #: open forms with the sign that closes each; "" closes after one datum
        self.open: list[tuple[Form, str]] = [(Form((), source, 1), "end")]

    def read(self) -> list[object]:
        while self._step():
            pass
        form, closer = self.open[-1]
        if closer == "":
            raise self.wrong("nothing follows a quote")
        if closer != "end":
            raise SchemeError("this parenthesis is never closed", where=form.where)
        return form

    def wrong(self, what: str) -> SchemeError:
        return SchemeError(what, where=f"{self.source}:{self._line()}")

    def _line(self) -> int:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def _step(self) -> bool:
        blank = _BLANK.match(self.text, self.at)
        if blank:
            self.at = blank.end()
        if self.at >= len(self.text):
            return False
        sign = self.text[self.at]
        if sign in _CLOSES:
            self._begin(Form((), self.source, self._line()), _CLOSES[sign], 1)
        elif sign in ")]":
            self._end(sign)
        elif sign in _PREFIXES:
            self._prefix(sign)
        elif sign == '"':
            self._put(self._string())
        elif sign == "#":
            self._hash()
        else:
            self._put(self._atom())
        return True

    def _begin(self, form: Form, closer: str, width: int) -> None:
        self.at += width
        self.open.append((form, closer))

    def _end(self, sign: str) -> None:
        form, closer = self.open[-1]
        if closer == "end":
            raise self.wrong(f"'{sign}' closes nothing")
        if closer != sign:
            raise self.wrong(f"'{sign}' cannot close what line {form.line} opens")
        self.at += 1
        self.open.pop()
        self._put(form)

    def _prefix(self, sign: str) -> None:
        name, width = _PREFIXES[sign], 1
        if self.text.startswith(",@", self.at):
            name, width = "unquote-splicing", 2
        self._begin(Form((Symbol(name),), self.source, self._line()), "", width)

    def _put(self, item: object) -> None:
        while True:
            form, closer = self.open[-1]
            form.append(item)
            if closer != "":
                return
            self.open.pop()
            if form[0] is _SKIP:
                return
            item = form

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise self.wrong("this string is never closed")
        self.at = found.end()
        return re.sub(_ESCAPE, _unescape, found[1], flags=re.S) if "\\" in found[1] else found[1]

    def _hash(self) -> None:
        rest = self.text[self.at : self.at + 3]
        if rest.startswith("#/"):
            self._put(self._slashed())
        elif rest == "#r{":
            self._put(self._braced())
        elif rest.startswith("#|"):
            self._block()
        elif rest.startswith("#;"):
            self._begin(Form((_SKIP,), self.source, self._line()), "", 2)
        elif rest.startswith("#\\"):
            self._put(self._character())
        else:
            self._put(self._atom())

    def _slashed(self) -> Regex:
        found = re.compile(_SLASHED, re.S).match(self.text, self.at)
        if not found:
            raise self.wrong("this pattern is never closed")
        where = f"{self.source}:{self._line()}"
        self.at = found.end()
        body = re.sub(r"\\(.)", lambda m: "/" if m[1] == "/" else m[0], found[1], flags=re.S)
        return _regex(body, found[2], where)

    def _braced(self) -> Regex:
        where = f"{self.source}:{self._line()}"
        at, depth = self.at + 3, 1
        while depth and at < len(self.text):
            sign = self.text[at]
            at += 2 if sign == "\\" else 1
            depth += (sign == "{") - (sign == "}")
        if depth:
            raise self.wrong("this pattern is never closed")
        body = self.text[self.at + 3 : at - 1]
        flags = re.compile(_FLAGS).match(self.text, at)
        assert flags is not None
        self.at = flags.end()
        return _regex(body, flags[0], where)

    def _block(self) -> None:
        end = self.text.find("|#", self.at)
        if end < 0:
            raise self.wrong("this #| comment is never closed")
        self.at = end + 2

    def _character(self) -> str:
        found = re.compile(_CHARACTER, re.S).match(self.text, self.at)
        if not found or (len(found[1]) > 1 and found[1] not in _CHARACTERS):
            raise self.wrong("unknown character name")
        self.at = found.end()
        return _CHARACTERS.get(found[1], found[1])

    def _atom(self) -> object:
        found = _ATOM.match(self.text, self.at)
        assert found is not None
        word = found[0]
        if word in _WORDS:
            self.at = found.end()
            return _WORDS[word]
        if word.startswith("#"):
            raise self.wrong(f"unknown syntax '{word}'")
        self.at = found.end()
        value = number(word)
        if value is not None:
            return value
        return Keyword(word[:-1]) if word.endswith(":") and len(word) > 1 else Symbol(word)


def _regex(text: str, flags: str, where: str) -> Regex:
    from mt.scheme.patterns import Regex

    return Regex(text, flags, where)


def _unescape(found: re.Match[str]) -> str:
    body = found[1]
    if len(body) > 1:
        return chr(int(body[1:], 16))
    return _NAMED.get(body, body)
