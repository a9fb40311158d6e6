"""Built-in procedures on numbers (spec/config.md 1.7).

A wrong argument raises TypeError or ValueError; the evaluator adds the call
and its place.
"""

from __future__ import annotations

import operator
from itertools import pairwise

from mt.scheme.reader import number
from mt.scheme.values import to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Number = int | float

_MOST_BITS = 100_000


def numbers_of(args: tuple[object, ...]) -> list[Number]:
    """The values, which must be numbers."""
    return [number_of(a) for a in args]


def number_of(value: object) -> Number:
    """The value, which must be a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{to_text(value, write=True)} is not a number")
    return value


def whole(value: object) -> int:
    """The value, which must be a whole number."""
    n = number_of(value)
    if n != int(n):
        raise ValueError(f"{n} is not a whole number")
    return int(n)


def _plus(*args: object) -> Number:
    return sum(numbers_of(args))


def _times(*args: object) -> Number:
    made: Number = 1
    for n in numbers_of(args):
        made = _bounded(made * n)
    return made


def _bounded(n: Number) -> Number:
    """A number that is not absurdly long: one expression must not take the machine's memory."""
    if isinstance(n, int) and n.bit_length() > _MOST_BITS:
        raise ValueError("the number gets too large")
    return n


def _minus(first: object, *args: object) -> Number:
    if not args:
        return -number_of(first)
    return number_of(first) - sum(numbers_of(args))


def _over(first: object, *args: object) -> Number:
    top, rest = (number_of(first), numbers_of(args)) if args else (1, [number_of(first)])
    for n in rest:
        if n == 0 and isinstance(n, int):
            raise ValueError("division by zero")
        exact = isinstance(top, int) and isinstance(n, int) and top % n == 0
        top = top // n if exact else top / n
    return top


def _expt(base: object, power: object) -> Number:
    b, p = number_of(base), number_of(power)
    if isinstance(b, int) and isinstance(p, int) and p > 0 and b.bit_length() * p > _MOST_BITS:
        raise ValueError("the number gets too large")
    made: Number | complex = b**p
    if isinstance(made, complex):
        raise ValueError("the result is not a real number")
    return made


def _quotient(a: object, b: object) -> int:
    x, y = whole(a), whole(b)
    if y == 0:
        raise ValueError("division by zero")
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _remainder(a: object, b: object) -> int:
    return whole(a) - whole(b) * _quotient(a, b)


def _modulo(a: object, b: object) -> int:
    if whole(b) == 0:
        raise ValueError("division by zero")
    return whole(a) % whole(b)


def _round(value: object) -> Number:
    n = number_of(value)
    return n if isinstance(n, int) else float(round(n))


def _to_whole(value: object) -> int:
    return int(number_of(value))


def _compared(name: str, test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def compare(*args: object) -> bool:
        n = numbers_of(args)
        return all(test(a, b) for a, b in pairwise(n))

    compare.__name__ = name
    return compare


def _number_to_string(value: object, radix: object = 10) -> str:
    n, base = number_of(value), whole(radix)
    if base == 10 or isinstance(n, float):
        return to_text(n)
    if base not in (2, 8, 16):
        raise ValueError(f"unknown radix {base}")
    return format(n, {2: "b", 8: "o", 16: "x"}[base])


def _any_to_number(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    found = number(to_text(value).strip()) if isinstance(value, str) else None
    return False if found is None else found


NUMERIC: dict[str, object] = {
    "+": _plus,
    "-": _minus,
    "*": _times,
    "/": _over,
    "=": _compared("=", operator.eq),
    "<": _compared("<", operator.lt),
    ">": _compared(">", operator.gt),
    "<=": _compared("<=", operator.le),
    ">=": _compared(">=", operator.ge),
    "expt": _expt,
    "quotient": _quotient,
    "remainder": _remainder,
    "modulo": _modulo,
    "abs": lambda n: abs(number_of(n)),
    "max": lambda *n: max(numbers_of(n)),
    "min": lambda *n: min(numbers_of(n)),
    "add1": lambda n: number_of(n) + 1,
    "sub1": lambda n: number_of(n) - 1,
    "floor": lambda n: n if isinstance(n, int) else float(number_of(n) // 1),
    "ceiling": lambda n: n if isinstance(n, int) else float(-(-number_of(n) // 1)),
    "round": _round,
    "truncate": lambda n: n if isinstance(n, int) else float(int(number_of(n))),
    "inexact->exact": _to_whole,
    "exact->inexact": lambda n: float(number_of(n)),
    "number?": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer?": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v == v // 1,
    "zero?": lambda n: number_of(n) == 0,
    "positive?": lambda n: number_of(n) > 0,
    "negative?": lambda n: number_of(n) < 0,
    "even?": lambda n: whole(n) % 2 == 0,
    "odd?": lambda n: whole(n) % 2 == 1,
    "number->string": _number_to_string,
    "any->number": _any_to_number,
}
