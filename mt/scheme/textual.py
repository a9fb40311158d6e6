"""Built-in procedures on strings, symbols and patterns (spec/config.md 1.7, 6.5)."""

from __future__ import annotations

import operator
from itertools import pairwise

from mt.scheme.lists import items_of
from mt.scheme.numeric import whole
from mt.scheme.reader import number
from mt.scheme.values import Symbol, is_true, listed, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from mt.scheme.patterns import Regex


def string_of(value: object) -> str:
    """The value, which must be a string."""
    if not isinstance(value, str) or isinstance(value, Symbol):
        raise ValueError(f"{to_text(value, write=True)} is not a string")
    return value


def _strings(name: str, test: Callable[[str, str], bool]) -> Callable[..., bool]:
    def compare(*args: object) -> bool:
        s = [string_of(a) for a in args]
        return all(test(a, b) for a, b in pairwise(s))

    compare.__name__ = name
    return compare


def _conc(*args: object) -> str:
    return "".join(to_text(a) for a in args)


def _intersperse(items: object, between: object = " ") -> str:
    return string_of(between).join(string_of(i) for i in items_of(items))


def _split(text: object, signs: object = " \t\n", keep_empty: object = False) -> object:
    body, marks = string_of(text), set(string_of(signs))
    parts, word = [], ""
    for sign in body:
        if sign in marks:
            parts.append(word)
            word = ""
        else:
            word += sign
    parts.append(word)
    return listed(parts if is_true(keep_empty) else [p for p in parts if p])


def _substring(text: object, start: object, end: object = None) -> str:
    body = string_of(text)
    first = whole(start)
    last = len(body) if end is None else whole(end)
    if not 0 <= first <= last <= len(body):
        raise ValueError(f"{first} to {last} is outside of the string")
    return body[first:last]


def _pattern(value: object) -> re.Pattern[str]:
    from mt.scheme.patterns import Regex

    if isinstance(value, Regex):
        return value.compiled
    return Regex(string_of(value)).compiled


def _substitute(pattern: object, new: object, text: object, which: object = False) -> str:
    r"""`string-substitute`: the first match, all with #t, or the nth; \1 in the new text is a group."""
    import re

    place = whole(which) if isinstance(which, int) and not isinstance(which, bool) else 1
    count = 0

    def put(m: re.Match[str]) -> str:
        nonlocal count
        count += 1
        if which is not True and count != place:
            return m[0]
        return re.sub(r"\\(\d|.)", lambda e: (m[int(e[1])] or "") if e[1].isdigit() else e[1], string_of(new))

    return _pattern(pattern).sub(put, string_of(text))


def _string_search(pattern: object, text: object, start: object = 0) -> object:
    found = _pattern(pattern).search(string_of(text), whole(start))
    return listed(g if g is not None else False for g in (found[0], *found.groups())) if found else False


def _string_match(pattern: object, text: object) -> object:
    found = _pattern(pattern).fullmatch(string_of(text))
    return listed(g if g is not None else False for g in (found[0], *found.groups())) if found else False


def _index(what: object, text: object, start: object = 0) -> object:
    at = string_of(text).find(string_of(what), whole(start))
    return at if at >= 0 else False


def _regexp(text: object, caseless: object = False, extended: object = False, wide: object = False) -> Regex:
    from mt.scheme.patterns import Regex

    flags = ("i" if is_true(caseless) else "") + ("x" if is_true(extended) else "") + ("u" if is_true(wide) else "")
    return text if isinstance(text, Regex) else Regex(string_of(text), flags)


def _string_to_number(text: object, radix: object = 10) -> object:
    found = number(string_of(text), whole(radix))
    return False if found is None else found


TEXTUAL: dict[str, object] = {
    "string?": lambda v: isinstance(v, str) and not isinstance(v, Symbol),
    "symbol?": lambda v: isinstance(v, Symbol),
    "conc": _conc,
    "string-append": lambda *s: "".join(string_of(x) for x in s),
    "string-intersperse": _intersperse,
    "string-join": _intersperse,
    "string-split": _split,
    "string-length": lambda s: len(string_of(s)),
    "string-upcase": lambda s: string_of(s).upper(),
    "string-downcase": lambda s: string_of(s).lower(),
    "string-trim": lambda s: string_of(s).lstrip(),
    "string-trim-right": lambda s: string_of(s).rstrip(),
    "string-trim-both": lambda s: string_of(s).strip(),
    "string-chomp": lambda s: string_of(s).removesuffix("\n"),
    "string-null?": lambda s: string_of(s) == "",
    "string-prefix?": lambda p, s: string_of(s).startswith(string_of(p)),
    "string-suffix?": lambda p, s: string_of(s).endswith(string_of(p)),
    "string=?": _strings("string=?", operator.eq),
    "string<?": _strings("string<?", operator.lt),
    "string>?": _strings("string>?", operator.gt),
    "string<=?": _strings("string<=?", operator.le),
    "string>=?": _strings("string>=?", operator.ge),
    "string-ci=?": lambda a, b: string_of(a).lower() == string_of(b).lower(),
    "string-substitute": _substitute,
    "string-search": _string_search,
    "string-match": _string_match,
    "substring-index": _index,
    "substring": _substring,
    "string-contains": lambda s, what: _index(what, s),
    "string": lambda *s: "".join(string_of(x) for x in s),
    "string->number": _string_to_number,
    "regexp": _regexp,
    "regex": _regexp,
    "regexp?": lambda v: type(v).__name__ == "Regex",
    "->string": lambda v: to_text(v),
    "string->symbol": lambda s: Symbol(string_of(s)),
    "symbol->string": lambda s: str(s) if isinstance(s, Symbol) else string_of(s),
}
