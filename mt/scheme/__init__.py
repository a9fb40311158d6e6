"""A small Scheme, enough for `#{scheme ...}` in area files and for log rules (spec/config.md 1.7, 6.5).

    interpreter = Interpreter({"getenv": look_up})
    value = interpreter.run('(conc "a" (+ 1 2))', "megatest.config:12")
    to_text(value)  # a3

The evaluator has no effects of its own but those its caller gives it.  A
program can neither hang (steps are counted) nor exhaust Python's stack (calls
are kept on a list), and whatever it does wrong is a `SchemeError` with
`file:line`.  Only `#f` is false.
"""

from __future__ import annotations

from mt.scheme.evaluate import Higher, Interpreter
from mt.scheme.reader import parse
from mt.scheme.values import UNSPECIFIED, Form, Keyword, Pair, SchemeError, Symbol, listed, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.scheme.patterns import Regex

__all__ = [
    "UNSPECIFIED",
    "Form",
    "Higher",
    "Interpreter",
    "Keyword",
    "Pair",
    "Regex",
    "SchemeError",
    "Symbol",
    "listed",
    "parse",
    "to_text",
]


def __getattr__(name: str) -> object:
    """`Regex` comes when it is asked for: most programs have none, and its module compiles a few patterns."""
    if name == "Regex":
        from mt.scheme.patterns import Regex

        return Regex
    raise AttributeError(name)
