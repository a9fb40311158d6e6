"""What a Scheme value is in Python, and how it looks as text.

Numbers are int and float, text is str, `#t` and `#f` are bool, the empty list
is `()`, a pair is a `Pair`, a hash table is a dict.  Code is made of `Form`s,
which know the file and line they were read from.
"""

from __future__ import annotations

from mt.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class SchemeError(ConfigError):
    """An expression cannot be read or evaluated; `where` is `file:line`."""


class Symbol(str):
    """A name; never equal to a string in `equal?`, though it is one in Python."""

    __slots__ = ()


class Keyword(str):
    """A `name:` argument, without the colon; evaluates to itself."""

    __slots__ = ()


class Form(list[object]):
    """A parenthesised piece of program, as read; `where` says from which file and line."""

    __slots__ = ("line", "source")

    def __init__(self, items: Iterable[object] = (), source: str = "", line: int = 0) -> None:
        super().__init__(items)
        self.source = source
        self.line = line

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.source}:{self.line}"


class Pair:
    """A cons cell; iterating gives the elements of the list it begins."""

    __slots__ = ("car", "cdr")

    def __init__(self, car: object, cdr: object) -> None:
        self.car = car
        self.cdr = cdr

    def __iter__(self) -> Iterator[object]:
        """The elements; raises SchemeError at the end of an improper list."""
        cell: object = self
        while isinstance(cell, Pair):
            yield cell.car
            cell = cell.cdr
        if cell != ():
            raise SchemeError(f"not a list: {to_text(self, write=True)}")


class Unspecified:
    """The value of forms that have none."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "#<unspecified>"


UNSPECIFIED = Unspecified()


def listed(items: Iterable[object], tail: object = ()) -> object:
    """A Scheme list of the items, ending in tail."""
    made = tail
    for item in reversed(list(items)):
        made = Pair(item, made)
    return made


def datum(form: object) -> object:
    """What `(quote form)` means: code as data, forms turned into lists."""
    if not isinstance(form, Form):
        return form
    if len(form) > 2 and form[-2] == "." and isinstance(form[-2], Symbol):
        return listed((datum(f) for f in form[:-2]), datum(form[-1]))
    return listed(datum(f) for f in form)


def is_true(value: object) -> bool:
    """Everything but `#f` is true."""
    return value is not False


def same(a: object, b: object) -> bool:
    """`equal?`: same kind and same content."""
    while isinstance(a, Pair) and isinstance(b, Pair):
        if not same(a.car, b.car):
            return False
        a, b = a.cdr, b.cdr
    if isinstance(a, Pair) or isinstance(b, Pair):
        return False
    return type(a) is type(b) and bool(a == b)


def identical(a: object, b: object) -> bool:
    """`eq?` and `eqv?`: the same object, or equal numbers or symbols."""
    if isinstance(a, int | float | Symbol | Keyword | tuple):
        return same(a, b)
    return a is b


def to_text(value: object, *, write: bool = False) -> str:
    """A value as text, as `conc` and expansions show it (spec/config.md X3); with write, strings are quoted."""
    if isinstance(value, bool):
        return "#t" if value else "#f"
    if isinstance(value, Keyword):
        return f"{value}:"
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, str):
        return _quoted(value) if write else value
    if isinstance(value, int | float):
        return repr(value)
    if value is None:
        return repr(UNSPECIFIED)
    if isinstance(value, Pair | Form | list | tuple):
        return _list_text(value, write)
    if isinstance(value, dict):
        return f"#<hash-table ({len(value)})>"
    if callable(value):
        return f"#<procedure {getattr(value, '__name__', '')}>"
    return repr(value)


def _quoted(text: str) -> str:
    shown = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{shown}"'


def _list_text(value: object, write: bool) -> str:
    parts: list[str] = []
    cell = value
    if isinstance(value, list | tuple):
        parts = [to_text(v, write=write) for v in value]
        cell = ()
    while isinstance(cell, Pair):
        parts.append(to_text(cell.car, write=write))
        cell = cell.cdr
    if cell != ():
        parts += [".", to_text(cell, write=write)]
    return f"({' '.join(parts)})"
