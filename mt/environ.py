"""An environment as a value: where each variable came from, and its texts for shells (spec/architecture.md 6.12).

`os.environ` is read once at the start and handed on as an `Env`; a child is a
new value, so nothing that a test sets can reach the next one.  Sources are
words such as `inherited`, `fields`, `env-override`, `runconfigs`, `item`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

#: variables that megatest.sh and megatest.csh only show as comments ([setup] blacklistvars replaces them)
BLACKLIST = (
    "USER", "HOME", "DISPLAY", "LS_COLORS", "XKEYSYMDB", "EDITOR", "MAKEFLAGS", "MAKEF", "MAKEOVERRIDES",
)  # fmt: skip

#: names of variables whose values are nobody else's business ([setup] secretvars replaces them)
SECRETS = (
    "*TOKEN*", "*PASSWORD*", "*PASSWD*", "*PASSPHRASE*", "*SECRET*", "*CREDENTIAL*", "*APIKEY*", "*_KEY",
)  # fmt: skip
VEIL = "***"

_ASSIGNED = re.compile(r"(-*[A-Za-z_][\w-]*)=(.*?)(?=,[A-Za-z_]\w*=|$)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_:,./%-]*")
_CSH_WEAK = re.compile(r"[^\"$`!\\\n]*")


class Env(Mapping[str, str]):
    """An immutable environment that knows who set each variable.

    Children share what they do not change; making one costs a copy of a dict.
    """

    __slots__ = ("_layers", "_values")

    def __init__(self, values: Mapping[str, str] | None = None, source: str = "inherited") -> None:
        self._values: dict[str, str] = dict(values or {})
        self._layers: tuple[tuple[str, Mapping[str, str]], ...] = ((source, self._values),)

    def child(self, values: Mapping[str, str] | None = None, /, *, source: str = "", **more: str) -> Env:
        """This environment with some variables set anew."""
        fresh = {**(values or {}), **more}
        return self._made({**self._values, **fresh}, (*self._layers, (source, fresh))) if fresh else self

    def without(self, *patterns: str) -> Env:
        """This environment without the variables whose names match (`MT_*`)."""
        kept = {k: v for k, v in self._values.items() if not any(fnmatchcase(k, p) for p in patterns)}
        return self._made(kept, self._layers)

    @classmethod
    def _made(cls, values: dict[str, str], layers: tuple[tuple[str, Mapping[str, str]], ...]) -> Env:
        env = cls.__new__(cls)
        env._values = values
        env._layers = layers
        return env

    def source(self, name: str) -> str | None:
        """Who set a variable last; None when it is not set."""
        if name not in self._values:
            return None
        return next(source for source, values in reversed(self._layers) if name in values)

    def as_dict(self) -> dict[str, str]:
        """A copy to hand to a child process."""
        return dict(self._values)

    def sh(self, blacklist: tuple[str, ...] = BLACKLIST, secret: Container[str] = ()) -> str:
        """The text of megatest.sh: sourcing it gives every value back (spec/config.md 5.3) that is not secret."""
        return _script(self._values, blacklist, secret, "export {}={}", sh_quote)

    def csh(self, blacklist: tuple[str, ...] = BLACKLIST, secret: Container[str] = ()) -> str:
        """The text of megatest.csh."""
        return _script(self._values, blacklist, secret, "setenv {} {}", csh_quote)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Env({self._values!r})"


def is_secret(name: str, patterns: Iterable[str] = SECRETS) -> bool:
    """Whether a variable of that name is likely to hold a secret; none of ours does."""
    upper = name.upper()
    return not upper.startswith("MT_") and any(fnmatchcase(upper, p.upper()) for p in patterns)


def veiled(words: Iterable[str]) -> list[str]:
    """A command line as it may be written where others read it: values that look secret become `***`.

    `PASSWORD=x`, also within a comma list, `--password=x` and `--password x`.
    """
    shown: list[str] = []
    hide = False
    for word in words:
        if hide and not word.startswith("-"):
            shown.append(VEIL)
        else:
            shown.append(_ASSIGNED.sub(_veil, word))
        hide = word.startswith("-") and "=" not in word and _names_secret(word)
    return shown


def _veil(found: re.Match[str]) -> str:
    return f"{found[1]}={VEIL}" if _names_secret(found[1]) else found[0]


def _names_secret(word: str) -> bool:
    return is_secret(word.lstrip("-").replace("-", "_"))


def _script(
    values: Mapping[str, str], blacklist: tuple[str, ...], secret: Container[str], form: str,
    quote: Callable[[str], str],
) -> str:  # fmt: skip
    """One line for each variable, sorted; blacklisted and oddly named ones as comments, secret ones without value."""
    lines = []
    for name in sorted(values):
        if name in secret:
            lines.append("# " + form.format(name, "").rstrip(" "))
            continue
        line = form.format(name, quote(values[name])).rstrip(" ")
        hidden = name in blacklist or not _NAME.fullmatch(name)
        lines.append("# " + line.replace("\n", "\n# ") if hidden else line)
    return "".join(f"{line}\n" for line in lines)


def sh_quote(value: str) -> str:
    """A word for sh and bash: bare when plain, else in double quotes with what would act escaped."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def csh_quote(value: str) -> str:
    """A word for csh: bare when plain, in double quotes when harmless there, else in single quotes."""
    if _PLAIN.fullmatch(value):
        return value
    if _CSH_WEAK.fullmatch(value):
        return f'"{value}"'
    return "'" + value.replace("'", "'\\''").replace("!", "\\!").replace("\n", "\\\n") + "'"


class Change(NamedTuple):
    """One variable that differs; None means not set."""

    name: str
    old: str | None
    new: str | None


def diff(a: Mapping[str, str], b: Mapping[str, str]) -> list[Change]:
    """What must change in `a` to give `b`, sorted by name."""
    return [Change(n, a.get(n), b.get(n)) for n in sorted({*a, *b}) if a.get(n) != b.get(n)]
