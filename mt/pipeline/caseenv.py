"""The environment of a case, as a value: what all cases of a run share, and what each adds (spec/config.md 5.1).

The shared part is made once, before the first worker; a case adds its names,
its items and the token by which `mt step`, `mt result` and `mt value` find
their way home.  `os.environ` is never written.
"""

from __future__ import annotations

import binascii
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mt.model import RunKey
from mt.testspec import Item, item_info


class Shared(NamedTuple):
    """The variables that every case of a run has in common."""

    env: Mapping[str, str]


class Who(NamedTuple):
    """Which attempt of which case of which run this is; travels as MT_CMDINFO."""

    db: str
    id: int
    run: RunKey
    test: str
    item: str
    attempt: int
    gen: int
    dir: str


def cmdinfo(who: Who) -> str:
    """MT_CMDINFO: opaque to tests, base64 of JSON to mt's own verbs."""
    body = {
        "db": who.db, "id": who.id, "target": who.run.target, "run": who.run.name, "test": who.test,
        "item": who.item, "attempt": who.attempt, "gen": who.gen, "dir": who.dir,
    }  # fmt: skip
    return binascii.b2a_base64(json.dumps(body).encode(), newline=False).decode()


def own_programs() -> str:
    """The directory of mt's own commands, for the end of PATH."""
    typed = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    if os.path.basename(typed) in ("mt", "megatest", "mtutil"):
        return os.path.dirname(os.path.realpath(typed))
    return os.path.dirname(sys.executable)


def callback() -> str:
    """MT_MEGATEST: the program that tests call back."""
    here = own_programs()
    for name in ("megatest", "mt"):
        path = os.path.join(here, name)
        if os.access(path, os.X_OK):
            return path
    return "mt"


def expanded(
    pairs: Iterable[tuple[str, str]], env: dict[str, str], echo: Callable[[str, Mapping[str, str]], str]
) -> None:
    """Export runconfig values the way the shell would print them (R6): each sees those before it."""
    for name, value in pairs:
        env[name] = echo(value, env) if any(c in _SHELLY for c in value) or "  " in value else value.strip()


_SHELLY = "$`\"'\\*?[~;|&<>(){}#\n"


def shell_echo(value: str, env: Mapping[str, str]) -> str:
    """The first line that `echo VALUE` prints in a shell that stands in the area."""
    import subprocess

    here = env.get("MT_RUN_AREA_HOME")
    done = subprocess.run(
        ["/bin/bash", "-c", f"echo {value}"],
        env=dict(env),
        cwd=here if here and os.path.isdir(here) else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\n", 1)[0]


def case_variables(who: Who, item: Item, real: str, link: str) -> dict[str, str]:
    """What one case adds to the shared environment; PWD is the physical directory (spec/config.md L6)."""
    added = {
        "MT_TEST_NAME": who.test,
        "MT_ITEMPATH": who.item,
        "MT_ITEM_INFO": item_info(item),
        "MT_TEST_RUN_DIR": link,
        "MT_CMDINFO": cmdinfo(who),
        "PWD": real,
    }
    added.update(item)
    return added


def mark(who: Who) -> bytes:
    """What the environment of every process of this attempt contains."""
    return b"MT_CMDINFO=" + cmdinfo(who).encode()
