"""Commands that rules run on a hit, as data: who calls the scan decides whether to run them (`hook:add`).

A log is not to be trusted with a shell.  `#{line}` in a command is therefore
never replaced by the text of the line: it becomes a reference to a variable,
quoted as its place asks, and the values travel in the environment of the
command.  `$(...)` in a log stays text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"#\{(escaped\s+)?([a-zA-Z_]\w*)\}")
_LONGEST = 60_000  # the kernel refuses an environment string of 128 KB


class Hook(NamedTuple):
    """A named command; with `once`, only the first hit runs it."""

    name: str
    command: str
    once: bool = False


class HookCall(NamedTuple):
    """A command to run for a hit, and the values that it refers to (LOGPRO_msg, LOGPRO_line, ...)."""

    name: str
    command: str
    values: dict[str, str]


def shell_text(template: str) -> str:
    """A command with `#{msg}`, `#{line}`, `#{m1}` ... as references to shell variables."""
    made: list[str] = []
    at = 0
    quote = ""
    for found in _FORM.finditer(template):
        before = template[at : found.start()]
        quote = _quote_after(before, quote)
        made += [before, _reference(found[2], quote, escaped=bool(found[1]))]
        at = found.end()
    return "".join(made) + template[at:]


def _reference(name: str, quote: str, *, escaped: bool) -> str:
    variable = f"${{LOGPRO_{name}-}}"
    if quote == '"':
        return variable
    if quote == "'":
        return f"'\"{variable}\"'"
    return f'"{variable}"' if escaped else variable


def _quote_after(text: str, quote: str) -> str:
    """The shell quote that is open after some text: `'`, `"` or none."""
    skip = False
    for sign in text:
        if skip:
            skip = False
        elif sign == "\\" and quote != "'":
            skip = True
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
    return quote


def call(hook: Hook, values: dict[str, str]) -> HookCall:
    """The call of a hook with these values, made fit for an environment."""
    fit = {f"LOGPRO_{k}": v.replace("\0", " ")[:_LONGEST] for k, v in values.items()}
    return HookCall(hook.name, hook.command, fit)


def run(wanted: HookCall) -> int:
    """Run a hook with `sh -c`, its output to stderr; gives its exit status."""
    import os
    import subprocess

    values = {os.fsencode(k): v.encode("utf-8", "surrogateescape") for k, v in wanted.values.items()}
    done = subprocess.run(
        ["/bin/sh", "-c", wanted.command],
        env={**os.environb, **values},
        stdin=subprocess.DEVNULL,
        stdout=2,
        check=False,
    )
    return done.returncode
