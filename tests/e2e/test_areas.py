"""The areas in tests/areas, run by the old command line and by the new one: the same verdicts, as written there.

`expected` in an area holds blocks of command lines (`$ megatest ...` and
`$ mt ...`, the first kind in one copy of the area, the second in another)
followed by what is recorded afterwards: `TEST[/ITEM] STATE STATUS`, or
`TEST/ STATE STATUS` for the top record of a test with items.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from testarea import clean_env

AREAS = Path(__file__).parents[1] / "areas"
BIN = Path(sys.executable).parent


class Block(NamedTuple):
    """Command lines and the records they lead to."""

    commands: tuple[str, ...]
    records: dict[str, str]

    def of(self, prog: str) -> list[str]:
        """The command lines of one kind."""
        return [line for line in self.commands if line.split()[0] == prog]


def blocks(area: Path) -> list[Block]:
    """The blocks of an area's `expected`."""
    found = []
    for text in re.split(r"\n\s*\n", (area / "expected").read_text().strip()):
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        commands = tuple(line[2:] for line in lines if line.startswith("$ "))
        records = {name: f"{state} {status}" for name, state, status in (x.split() for x in lines if x[:2] != "$ ")}
        found.append(Block(commands, records))
    return found


def call(line: str, home: Path) -> str:
    """Run a command line in an area; gives its standard output.  Statuses are the business of other tests."""
    words = shlex.split(line)
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:]], cwd=home, env=clean_env(home.parent / "home"), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode in (0, 1, 8), f"{line}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def option(line: str, *names: str) -> str:
    """The value of an option in a command line."""
    words = shlex.split(line)
    return next(words[words.index(n) + 1] for n in names if n in words)


def recorded_old(line: str, home: Path) -> Iterator[tuple[str, str]]:
    """What the old command lists for the run of a command line."""
    target, run = option(line, "-target", "-reqtarg"), option(line, "-runname", ":runname")
    said = json.loads(call(f"megatest -list-runs {shlex.quote(run)} -target {target} -dumpmode json", home))
    rows = list(said[target][run]["data"].values())
    iterated = {row["testname"] for row in rows if row["item_path"]}
    for row in rows:
        name, item = row["testname"], row["item_path"]
        shown = f"{name}/{item}" if name in iterated else name
        yield shown, f"{row['state']} {row['status']}"


def recorded_new(line: str, home: Path) -> Iterator[tuple[str, str]]:
    """What the new command lists for the run of a command line."""
    where = ("-t", option(line, "-t"), "-r", option(line, "-r"), "--allow-empty", "-f", "ndjson")
    for row in map(json.loads, call(shlex.join(["mt", "tests", *where]), home).splitlines()):
        yield row["id"].rpartition("//")[2], f"{row['state']} {row['status']}"
    for row in map(json.loads, call(shlex.join(["mt", "tests", "--tops", *where]), home).splitlines()):
        if row["items"]:
            yield f"{row['test']}/", f"{row['state']} {row['status']}"


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an area that can be run."""
    home = tmp_path / "copy" / request.param
    shutil.copytree(AREAS / request.param, home, symlinks=True)
    return home


NAMES = sorted(path.parent.name for path in AREAS.glob("*/expected"))


@pytest.mark.parametrize("copy", NAMES, indirect=True)
@pytest.mark.parametrize("prog", ["megatest", "mt"])
def test_an_area_ends_as_it_says(copy: Path, prog: str) -> None:
    for block in blocks(copy):
        lines = block.of(prog)
        if not lines:
            continue
        for line in lines:
            call(line, copy)
        shown = dict((recorded_old if prog == "megatest" else recorded_new)(lines[-1], copy))
        assert shown == block.records, lines


def test_there_are_areas() -> None:
    assert len(NAMES) >= 6
