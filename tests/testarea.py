"""A test area made from a dict, and commands run in it as a user would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: where the installed commands are: those of the Python that runs the tests
BIN = Path(sys.executable).parent

TARGET = "ubuntu/nfs"
CONFIG = """\
[fields]
SYSTEM TEXT
FS TEXT

[setup]
linktree #{getenv MT_RUN_AREA_HOME}/lt
max_concurrent_jobs 4
launch-delay 0

[disks]
disk0 #{getenv MT_RUN_AREA_HOME}/runs
"""
RUNCONFIGS = f"""\
[default]
ORIGIN default

[{TARGET}]
ORIGIN target
"""


class Result(NamedTuple):
    """What a command left behind: exit status (negative: signal), stdout, stderr."""

    status: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        """Stdout read as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def lines(self) -> list[str]:
        """Stdout as lines."""
        return self.out.splitlines()


class Area:
    """One area on disk; calling it with a dict writes more files and gives the area back."""

    def __init__(self, home: Path, files: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.env = clean_env(home.parent / "home")
        (home / "runs").mkdir(parents=True)
        self({"megatest.config": CONFIG, "runconfigs.config": RUNCONFIGS, **(files or {})})

    def __call__(self, files: Mapping[str, str]) -> Area:
        """Write {path: text}; text is dedented, and a text that begins with `#!` becomes executable."""
        for name, text in files.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
            if text.lstrip().startswith("#!"):
                path.chmod(0o755)
        return self

    def test(
        self,
        name: str,
        *steps: str,
        waiton: str = "",
        items: Mapping[str, str] | None = None,
        more: str = "",
    ) -> Area:
        """Write a test with steps s1, s2, ...; `items` is its [items] section, `more` is added as it is."""
        lines = ["[ezsteps]", *(f"s{n} {step}" for n, step in enumerate(steps or ("true",), 1))]
        lines += ["", "[requirements]", *([f"waiton {waiton}"] if waiton else [])]
        if items:
            lines += ["", "[items]", *(f"{k} {v}" for k, v in items.items())]
        path = f"tests/{name}/testconfig"
        return self({path: "\n".join(lines) + "\n\n" + textwrap.dedent(more)})

    def mt(
        self,
        *words: str,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 100,
        prog: str = "mt",
    ) -> Result:
        """Run the installed `mt` (or another command of ours) in the area and wait for it.

        Without `stdin` standard input is empty.  Bytes that are not UTF-8 come
        back as surrogates, as Python reads file names.
        """
        done = subprocess.run(
            [str(BIN / prog), *words],
            input=stdin if stdin is not None else "",
            capture_output=True,
            cwd=cwd or self.home,
            env={**self.env, **(env or {})},
            timeout=timeout,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, **more: Any) -> Result:
        """Run `mt` and insist on status 0."""
        result = self.mt(*words, **more)
        assert result.status == 0, f"mt {' '.join(words)}: status {result.status}\n{result.out}{result.err}"
        return result

    def rows(self, *words: str, **more: Any) -> list[dict[str, Any]]:
        """Run a query and give its rows."""
        return self.ok(*words, "-f", "ndjson", **more).rows()

    def start(self, *words: str, env: Mapping[str, str] | None = None, prog: str = "mt") -> subprocess.Popen[str]:
        """Start `mt` in the area with pipes; the caller waits for it (use `with`)."""
        return subprocess.Popen(
            [str(BIN / prog), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.home,
            env={**self.env, **(env or {})},
            text=True,
        )

    def sh(self, script: str, *, env: Mapping[str, str] | None = None, timeout: float = 100) -> Result:
        """Run a bash script in the area, with `mt` on PATH and pipefail set."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.home,
            env={**self.env, **(env or {})},
            timeout=timeout,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def read(self, name: str) -> str:
        """A file of the area."""
        return (self.home / name).read_text(encoding="utf-8")


def clean_env(home: Path) -> dict[str, str]:
    """The environment of a new login: nothing of the developer's own reaches a test."""
    home.mkdir(parents=True, exist_ok=True)
    path = [str(BIN), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(home),
        "USER": "tester",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }
