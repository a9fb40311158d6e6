"""What a new area and a new test look like: {path: text}, and the one effect that writes them.

Nothing that exists is ever overwritten.
"""

from __future__ import annotations

import os
import re

from mt import team
from mt.errors import MtError, UsageError, why
from mt.targets import reserved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CONFIG = """\
# The area's own settings; `man 5 mt-config` has all of them, `mt check` reads this file critically.

# A target has one value for each key: {target} means {meaning}.
[fields]
{fields}

[setup]
# every run directory can be reached as lt/TARGET/RUN/TEST/ITEM
linktree {linktree}
max_concurrent_jobs #{{scheme (common:get-num-cpus #f)}}

# Where run directories really are; with several disks the one with most space is taken.
[disks]
here #{{scheme (create-directory "{disk}" #t)}}
"""

_RUNCONFIGS = """\
# Variables for the tests: [default] for every target, then those of the target itself.
[default]
GREETING hello

[{target}]
GREETING hello from {target}
"""

_FIRST = """\
# One test: a directory with this file. Steps run in this order, each in a fresh copy of the directory.
[ezsteps]
greet echo "$GREETING"
check test -n "$GREETING"

# What the log of a step must and must not say; without rules its exit status counts.
[logpro]
greet ;; rules
  (expect:required in "LogFileBody" > 0 "a greeting" #/hello/)
  (expect:error in "LogFileBody" = 0 "no error" #/error/i)

[requirements]
# waiton OTHER_TEST

# [items]
# ANIMAL cat dog

[test_meta]
description Says hello
"""

_IGNORE = "/lt\n/runs/\n/.mtdb/\n/logs/\n"


def area(keys: tuple[str, ...], *, demo: int = 0, linktree: str = "lt", disk: str = "runs") -> dict[str, str]:
    """The files of a new area: one target, one test, or `demo` trivial ones; paths are below the area or absolute."""
    _check_keys(keys)
    target = "/".join("local" for _ in keys)
    meaning = ", ".join(f"{key}=local" for key in keys)
    fields = "\n".join(f"{key} TEXT" for key in keys)
    files = {
        "megatest.config": _CONFIG.format(
            target=target, meaning=meaning, fields=fields, linktree=_below(linktree), disk=_below(disk)
        ),
        "runconfigs.config": _RUNCONFIGS.format(target=target),
        ".gitignore": _IGNORE,
    }
    if not demo:
        return {**files, "tests/first/testconfig": _FIRST}
    digits = len(str(demo))
    for n in range(1, demo + 1):
        name = f"demo-{n:0{digits}}"
        files[f"tests/{name}/testconfig"] = f"[ezsteps]\nsay echo {name}\n\n[test_meta]\ntags demo\n"
    return files


def _below(path: str) -> str:
    if not path or set(path) & set('"#{}\\\n'):
        raise UsageError(f"'{path}' is no path for an area", hint="without quotes, braces, # and backslashes")
    return path if os.path.isabs(path) else f"#{{getenv MT_RUN_AREA_HOME}}/{path}"


def _check_keys(keys: tuple[str, ...]) -> None:
    for key in keys:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise UsageError(f"'{key}' is no name for a key", hint="letters, digits and _ only; it becomes a variable")
    if not keys or len(set(keys)) < len(keys):
        raise UsageError("keys must be named, and each once", hint="--keys SYSTEM,RELEASE")
    for key in reserved(keys):
        raise UsageError(f"'{key}' is a reserved name", hint="call the key something else")


def test(
    name: str,
    steps: tuple[str, ...],
    *,
    waiton: tuple[str, ...] = (),
    items: tuple[str, ...] = (),
    description: str = "",
) -> dict[str, str]:
    """The files of a new test below its directory: a testconfig, and a script for each step."""
    _check_name(name, "a test")
    lines = ["[ezsteps]"]
    files: dict[str, str] = {}
    for step in steps:
        _check_name(step, "a step")
        lines.append(f"{step} ./{step}.sh")
        files[f"{step}.sh"] = f'#!/bin/sh\n# the step {step} of the test {name}\nset -e\necho "$MT_TEST_NAME: {step}"\n'
    if waiton:
        lines += ["", "[requirements]", "waiton " + " ".join(waiton)]
    if items:
        lines += ["", "[items]", *map(_item_line, items)]
    lines += ["", "[test_meta]", f"description {description or name}", ""]
    return {"testconfig": "\n".join(lines), **files}


def _check_name(name: str, what: str) -> None:
    if not re.fullmatch(r"\w[\w.+@=-]*", name):
        raise UsageError(f"'{name}' is no name for {what}", hint="letters, digits and _ . + @ = - only")


def _item_line(text: str) -> str:
    name, equals, values = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"'{text}' is no list of items", hint="--items 'ANIMAL=cat dog'")
    return f"{name} {' '.join(values.replace(',', ' ').split())}".rstrip()


def write(directory: str, files: Mapping[str, str]) -> list[str]:
    """Write the files below a directory and give their paths; those that exist stay as they are and are left out.

    A text that begins with `#!` becomes an executable file.
    """
    made = []
    team.join(team.group_above(directory))
    for name, text in files.items():
        path = os.path.join(directory, name)
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "x", encoding="utf-8") as out:
                out.write(text)
            if text.startswith("#!"):
                os.chmod(path, os.stat(path).st_mode | 0o111)  # noqa: S103 - a script of the user's own
        except FileExistsError:
            if not os.path.isfile(path):
                raise MtError(f"cannot write '{path}': something else is there") from None
            continue
        except OSError as e:
            raise MtError(f"cannot write '{path}': {why(e)}") from e
        made.append(path)
    return made


def missing(directory: str, files: Iterable[str]) -> list[str]:
    """The paths that `write` would make."""
    paths = [os.path.join(directory, name) for name in files]
    return [path for path in paths if not os.path.lexists(path)]
