"""The fixture `grid`, a real Grid Engine as `sgecluster.py` makes it, and areas that are used on one of its hosts.

| host | what |
|---|---|
| `m` | the qmaster |
| `s` | where people are: `mt` runs there |
| `a`, `b` | 8 slots each, for the queues all.q and short.q |

One lab serves all tests of a session; what a test has cut, ended or left in the
queue is set right after it.  All hosts see the directories of the tests, as if
each had mounted the same file server.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from mayhem.hosts import send
from onslurm import OnEngine
from sgecluster import Grid, missing
from testarea import BIN, Area, Result

MASTER, SUBMIT, RUNS = "m", "s", ("a", "b")
#: asks soon, so that what only the engine can tell is known soon
QUICK = "poll=0.5s..1s"


class FarArea(Area):
    """An area whose commands of ours run on a host of the lab."""

    def __init__(self, home: Path, grid: Grid, host: str = SUBMIT) -> None:
        super().__init__(home)
        self.grid = grid
        self.host = host
        self.env.update(grid.env)

    def far(self, prog: str, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> list[str]:
        """The words that run one of our commands there."""
        pairs = [f"{name}={value}" for name, value in {**self.env, **(env or {})}.items()]
        where = ["env", "-C", str(cwd or self.home), "-i", *pairs]
        return [*self.grid.lab.on(self.host), *where, str(BIN / prog), *words]

    def mt(
        self, *words: str, stdin: str | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None,
        timeout: float = 100, prog: str = "mt",
    ) -> Result:  # fmt: skip
        """Run the installed `mt` on the host, and wait for it."""
        done = subprocess.run(
            self.far(prog, *words, env=env, cwd=cwd), input=stdin or "", capture_output=True, timeout=timeout,
            encoding="utf-8", errors="surrogateescape", check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, env: Mapping[str, str] | None = None, prog: str = "mt") -> subprocess.Popen[str]:
        """Start `mt` on the host; it ends by KILL when this process does."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.far(prog, *words, env=env), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )


class OnGrid(OnEngine):
    """An area on the lab's Grid Engine."""

    launcher = f"sge {QUICK}"

    def __init__(self, area: FarArea, grid: Grid) -> None:
        super().__init__(area)
        self.grid = grid
        area({"note": '#!/bin/sh\necho "$1 $MT_TEST_NAME/$MT_ITEMPATH $(hostname) $JOB_ID" >> "$NOTES"\n'})

    def by(self, way: str, more: str = "") -> str:
        """The text of a launcher that hands cases over in one way."""
        return f"{self.launcher} submit={way} {more}".strip()

    def queue(self) -> list[str]:
        """The jobs that are not over."""
        return self.grid.listed()

    def job_of(self, case: str) -> str:
        """The job that a case was given, without its engine."""
        (row,) = [row for row in self.rows() if f"{row['test']}/{row['item']}".rstrip("/") == case]
        return str(row["job"]).partition(":")[2]

    def places(self, what: str = "begin") -> list[tuple[str, str]]:
        """(case, host) of all that was noted, in order."""
        lines = [line.split() for line in self.notes.read_text().splitlines()]
        return [(line[1].rstrip("/"), line[2]) for line in lines if line[0] == what]


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C for a command on a host: not for the way in, with which it would be killed."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    send([int(pid) for pid in children], signal.SIGINT)


@pytest.fixture(scope="session")
def grid_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """The lab of this session (of this worker)."""
    if why := missing():
        pytest.skip(why)
    base = tmp_path_factory.getbasetemp()
    lab = Grid(tmp_path_factory.mktemp("sge"))
    try:
        lab.start(MASTER, SUBMIT, *RUNS, runs=RUNS, keep=[base])
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def grid(grid_lab: Grid) -> Iterator[Grid]:
    """The lab, and set right afterwards."""
    yield grid_lab
    grid_lab.mend()


@pytest.fixture
def on(tmp_path: Path, grid: Grid) -> Iterator[OnGrid]:
    """An area of which nothing runs any more afterwards."""
    made = OnGrid(FarArea(tmp_path / "area", grid), grid)
    yield made
    made.go()
    for host in (SUBMIT, *RUNS):
        for pid in grid.lab.members(host):
            with suppress(OSError):
                if str(made.home).encode() in Path(f"/proc/{pid}/environ").read_bytes() and pid != os.getpid():
                    send([pid], signal.SIGKILL)
