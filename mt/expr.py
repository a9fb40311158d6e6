"""`#{name args}` forms: found from right to left, evaluated, put back as text (spec/config.md 1.5 and 1.7).

The reader of a file owns an `Expander` and gives it lines.  Everything a form
can reach is in the `Reading` (environment, target, home, effects) and in the
`Source` (what the file being read has said so far, and where to report).
"""

from __future__ import annotations

import os
import re
from typing import Protocol

from mt.effects import Effects, SystemEffects
from mt.errors import MtError, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mt.memo import Memo
    from mt.scheme import Interpreter

#: blank characters of the configuration language (ASCII only: a no-break space is an ordinary character)
BLANKS = " \t\f\v\r"

#: every NAME of `#{NAME argument}`
FORM_NAMES = (
    "getenv", "gv", "get", "g", "rget", "runconfigs-get", "shell", "sh", "system", "rp", "realpath", "mtrah",
    "scheme", "scm",
)  # fmt: skip
_FORM = re.compile(r"#\{(?:(" + "|".join(FORM_NAMES) + r")[ \t\f\v\r\n]+([^{}]*)|(mtrah))\}")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

#: one line may hold or make at most so many forms, and grow to so many characters
_MOST_FORMS = 10_000
_MOST_TEXT = 1 << 24
_SLOW = 2.0  # seconds

_SHELLS = ("shell", "sh", "system")
#: forms whose value follows from the file and the area alone
_STATIC = ("get", "g", "mtrah")


class Reading:
    """Why and for whom a file is read; `env` is a private dict that reading updates.

    `mode` is one of the rows of spec/config.md 1.4: `immediate`, `deferred`,
    `disabled`, or `target`: immediate in `[default]`, in the target's section
    and in wildcard sections that match the target, disabled elsewhere.
    `keep` names the sections that survive (None: all).  `envlike` is the text
    that makes a section's name environment-like.  `bare_export` exports keys
    without a value from any section (runconfigs).  `fields` are the names of the
    target's parts; when empty they are learned from the file's `[fields]`.
    `args` answers `(args:get-arg "-run")`; `tests` lists the area's tests.
    `memo` remembers what expressions gave in earlier readings of the same area.
    """

    __slots__ = (
        "args", "bare_export", "cwd", "effects", "env", "envlike", "fields", "home", "keep", "memo", "mode", "target",
        "tests",
    )  # fmt: skip

    def __init__(
        self,
        home: str,
        *,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        target: str | None = None,
        fields: tuple[str, ...] = (),
        mode: str = "immediate",
        keep: frozenset[str] | None = None,
        envlike: str | None = None,
        bare_export: bool = False,
        args: Mapping[str, str | bool] | None = None,
        effects: Effects | None = None,
        tests: Callable[[], Sequence[str]] | None = None,
        memo: Memo | None = None,
    ) -> None:
        if mode not in ("immediate", "deferred", "disabled", "target"):
            raise ValueError(f"unknown reading mode {mode!r}")
        self.home = home
        self.cwd = cwd or home
        self.env = {} if env is None else env
        self.target = target
        self.fields = fields
        self.mode = mode
        self.keep = keep
        self.envlike = envlike
        self.bare_export = bare_export
        self.args = args or {}
        self.effects = effects or SystemEffects()
        self.tests = tests
        self.memo = memo


class Source(Protocol):
    """What a form may ask of the file that is being read."""

    def lookup(self, section: str, key: str) -> str | None:
        """The value so far, None when not set."""

    def directories(self) -> list[str]:
        """The test directories that the file has named so far."""

    def report(self, text: str, level: str, hint: str | None = None) -> None:
        """Remember a problem of the current line."""


class FormError(MtError):
    """A form that cannot be evaluated; the reader turns it into a problem of the line."""


def normal(path: str, reading: Reading) -> str:
    """An absolute path without `.` and `..`, symlinks untouched; `~` and `~user` are homes."""
    if path.startswith("~"):
        name, slash, rest = path[1:].partition("/")
        home = reading.effects.user_home(name) if name else reading.env.get("HOME")
        path = home + slash + rest if home else path
    path = os.path.normpath(os.path.join(reading.cwd, path))
    return "/" + path.lstrip("/")


def unquote(text: str) -> str:
    r"""The text as if it stood between double quotes: `\n` is a newline, `\"` a quote (spec/config.md X5)."""
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(hit: re.Match[str]) -> str:
    code = hit[1]
    if len(code) == 1:
        return _ESCAPES.get(code, code)
    return chr(int(code[1:], 16) if code[0] == "x" else int(code, 8))


class Expander:
    """Expands the lines of one file and of what it includes; `dynamic` tells whether anything but the file counted."""

    def __init__(self, reading: Reading, source: Source) -> None:
        self.reading = reading
        self.source = source
        self.dynamic = False
        self.in_comment = False
        self.asked: set[str] = set()  # variables that the Scheme expression at hand has asked for
        self._scheme: Interpreter | None = None
        self._defines = False

    def expand(self, line: str, *, live: bool, comment: bool) -> str:
        """The line with every form replaced; `live` allows commands, `comment` makes errors mere warnings."""
        end = len(line)
        limit = end + _MOST_TEXT
        self.in_comment = comment
        for _ in range(_MOST_FORMS):
            hit = _last_form(line, end)
            if hit is None:
                return line
            made = self._form(hit, live)
            line = line[: hit.start()] + made + line[hit.end() :]
            if len(line) > limit:
                break
            # what is right of the new text held no form; one may begin in it, or with its last character
            end = hit.start() + len(made) + 1
        self.source.report("expansion does not end", "error", "does a variable name itself?")
        return line.replace("#{", "#{(endless) ")[:_MOST_FORMS]

    @property
    def level(self) -> str:
        """How bad a failure in this line is: comments are expanded too, and never an error (G20)."""
        return "warning" if self.in_comment else "error"

    def _form(self, hit: re.Match[str], live: bool) -> str:
        name, arg = (hit[1], hit[2]) if hit[1] else (hit[3], "")
        self.dynamic = self.dynamic or name not in _STATIC
        if name in _SHELLS and not live:
            return f"#{{({name}) {arg}}}"
        started = self.reading.effects.monotonic()
        try:
            made = self._evaluate(name, arg)
        except (MtError, OSError, ValueError, ArithmeticError, RecursionError) as e:
            reason = why(e) if isinstance(e, OSError) else str(e)
            made = self._inert(name, arg, reason)
        if self.reading.effects.monotonic() - started > _SLOW:
            self.source.report(f"#{{{name} {arg}}} took more than {_SLOW:.0f} s", "info")
        return made

    def _inert(self, name: str, arg: str, reason: str) -> str:
        """Report a form that failed; gives text that no later scan takes for a form (X6, X20)."""
        if name in ("scheme", "scm"):
            self.source.report(f"unsupported #{{{name}}} expression: {reason}", self.level)
            return f"#{{({name}) {arg}}}"
        self.source.report(f"cannot expand #{{{name} {arg}}}: {reason}", self.level)
        return f"#{{( {name}) {arg}}}, full expansion: {reason}"

    def _evaluate(self, name: str, arg: str) -> str:
        reading = self.reading
        if name in ("scheme", "scm"):
            return self._run_scheme(arg)
        arg = unquote(arg)
        if name in ("getenv", "gv"):
            return _text(reading.env.get(arg))
        if name in ("get", "g"):
            words = arg.split()
            if len(words) != 2:
                raise FormError("a section and a key are needed", hint="#{get SECTION KEY}")
            return _text(self.source.lookup(words[0], words[1]))
        if name in ("rget", "runconfigs-get"):
            return _text(self._for_target(arg))
        if name in ("shell", "sh"):
            return self.shell(arg)
        if name == "system":
            return str(reading.effects.run(arg, reading.env, reading.cwd))
        if name == "mtrah":
            return f"{reading.home}/{arg}" if arg else reading.home
        return normal(arg, reading)

    def _for_target(self, key: str) -> str | None:
        found = self.source.lookup(self.reading.target, key) if self.reading.target else None
        return self.source.lookup("default", key) if found is None else found

    def shell(self, command: str) -> str:
        """Standard output on one line; empty, and a problem, when the command fails."""
        status, out = self.reading.effects.shell(command, self.reading.env, self.reading.cwd)
        if status == 0:
            return out.removesuffix("\n").replace("\n", " ")
        self.source.report(f"{command} returned bad exit code {status}", self.level)
        return ""

    def _run_scheme(self, text: str) -> str:
        """The value of an expression; what a file defines itself may make each later one another than its text says."""
        memo, env = self.reading.memo, self.reading.env
        self._defines = self._defines or "define" in text or "set!" in text
        if memo is None or self._defines:
            return self._scheme_value(text)
        from mt.memo import worth_keeping

        if not worth_keeping(text):
            return self._scheme_value(text)
        found = memo.find(text, env)
        if found is None:
            self.asked = set()
            found = self._scheme_value(text)
            memo.keep(text, env, self.asked, found)
        return found

    def _scheme_value(self, text: str) -> str:
        from mt.procedures import interpreter
        from mt.scheme import to_text

        if self._scheme is None:
            self._scheme = interpreter(self)
        return to_text(self._scheme.run(text, "#{scheme}"))


def _last_form(line: str, end: int) -> re.Match[str] | None:
    """The right-most form that begins before `end`: as its text has no braces, also an innermost one (X1)."""
    at = line.rfind("#{", 0, end)
    while at >= 0:
        hit = _FORM.match(line, at)
        if hit:
            return hit
        at = line.rfind("#{", 0, at + 1)
    return None


def _text(value: str | None) -> str:
    return "#f" if value is None else value
