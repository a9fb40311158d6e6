"""Built-in procedures on pairs, lists and hash tables (spec/config.md 1.7, 6.5)."""

from __future__ import annotations

from mt.scheme.numeric import number_of, whole
from mt.scheme.values import Pair, identical, listed, same, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def pair_of(value: object) -> Pair:
    """The value, which must be a pair."""
    if not isinstance(value, Pair):
        raise ValueError(f"{to_text(value, write=True)} is not a pair")
    return value


def items_of(value: object) -> list[object]:
    """The elements of the value, which must be a list."""
    if not isinstance(value, Pair | tuple):
        raise ValueError(f"{to_text(value, write=True)} is not a list")
    return list(value)


def _reach(path: str) -> Callable[[object], object]:
    """`car`, `cadr`, `cddr` ...: the letters between c and r, applied from the right."""

    def reach(value: object) -> object:
        for step in reversed(path):
            value = pair_of(value).car if step == "a" else pair_of(value).cdr
        return value

    reach.__name__ = f"c{path}r"
    return reach


def _append(*lists: object) -> object:
    if not lists:
        return ()
    made = lists[-1]
    for one in reversed(lists[:-1]):
        made = listed(items_of(one), made)
    return made


def _is_list(value: object) -> bool:
    while isinstance(value, Pair):
        value = value.cdr
    return value == ()


def _list_tail(value: object, n: object) -> object:
    for _ in range(whole(n)):
        value = pair_of(value).cdr
    return value


def _list_ref(value: object, n: object) -> object:
    return pair_of(_list_tail(value, n)).car


def _found(test: Callable[[object, object], bool]) -> Callable[[object, object], object]:
    def find(item: object, cell: object) -> object:
        while isinstance(cell, Pair):
            if test(item, cell.car):
                return cell
            cell = cell.cdr
        return False

    return find


def _paired(test: Callable[[object, object], bool]) -> Callable[[object, object], object]:
    def find(key: object, pairs: object) -> object:
        return next((p for p in items_of(pairs) if test(key, pair_of(p).car)), False)

    return find


def _distinct(items: object) -> object:
    kept: list[object] = []
    for item in items_of(items):
        if not any(same(item, k) for k in kept):
            kept.append(item)
    return listed(kept)


def _iota(n: object, start: object = 0, step: object = 1) -> object:
    count = whole(n)
    if count > 1_000_000:
        raise ValueError("the list gets too long")
    return listed(number_of(start) + i * number_of(step) for i in range(count))


def _table_key(value: object) -> object:
    """A dict key that keeps the symbol and the string of one spelling together, as the area's own hashes do."""
    return str(value) if isinstance(value, str) else value


def _table_ref(table: object, key: object, default: object = False) -> object:
    if not isinstance(table, dict):
        raise ValueError(f"{to_text(table, write=True)} is not a hash table")
    return table.get(_table_key(key), default)


def _table_set(table: object, key: object, value: object) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{to_text(table, write=True)} is not a hash table")
    table[_table_key(key)] = value


LISTS: dict[str, object] = {
    "not": lambda v: v is False,
    "eq?": identical,
    "eqv?": identical,
    "equal?": same,
    "boolean?": lambda v: isinstance(v, bool),
    "cons": Pair,
    **{f"c{p}r": _reach(p) for p in ("a", "d", "aa", "ad", "da", "dd", "aad", "add", "dad", "ddd", "addd")},
    "list": lambda *v: listed(v),
    "append": _append,
    "reverse": lambda v: listed(items_of(v)[::-1]),
    "length": lambda v: len(items_of(v)),
    "null?": lambda v: v == (),
    "pair?": lambda v: isinstance(v, Pair),
    "list?": _is_list,
    "list-ref": _list_ref,
    "list-tail": _list_tail,
    "last": lambda v: items_of(v)[-1],
    "iota": _iota,
    "delete-duplicates": _distinct,
    "memq": _found(identical),
    "memv": _found(identical),
    "member": _found(same),
    "assq": _paired(identical),
    "assv": _paired(identical),
    "assoc": _paired(same),
    "make-hash-table": dict,
    "hash-table?": lambda v: isinstance(v, dict),
    "hash-table-keys": lambda t: listed(t.keys()),
    "hash-table-values": lambda t: listed(t.values()),
    "hash-table-ref": _table_ref,
    "hash-table-ref/default": _table_ref,
    "hash-table-set!": _table_set,
    "hash-table-exists?": lambda t, k: _table_key(k) in t,
}
