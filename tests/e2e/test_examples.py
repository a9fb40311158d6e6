"""The example areas do what they say, from a copy, from any directory."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testarea import BIN, clean_env

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Copy:
    """A copy of one example, as a fresh clone has it."""

    def __init__(self, name: str, to: Path) -> None:
        self.home = to / name
        keep_out = shutil.ignore_patterns(".mtdb", "links", "lt", "logs")
        shutil.copytree(EXAMPLES / name, self.home, ignore=keep_out, symlinks=True)
        self.away = to / "away"
        self.away.mkdir()
        self.env = clean_env(to / "home")

    def mt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run mt from another directory."""
        return subprocess.run(
            [str(BIN / "mt"), words[0], "-C", str(self.home), *words[1:]],
            cwd=self.away, env=self.env, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        return [json.loads(line) for line in self.mt(*words, "-f", "ndjson").stdout.splitlines()]


def test_the_tutorial_runs_and_its_log_rules_and_values_count(tmp_path: Path) -> None:
    hello = Copy("hello", tmp_path)
    done = hello.mt("run", "-t", "linux/short", "-r", "first")
    assert done.returncode == 0, done.stderr
    found = {row["id"].split("//")[2]: (row["state"], row["status"]) for row in hello.rows("tests", "-r", "first")}
    names = ("count/english", "count/french", "count/german", "greet", "summary")
    assert found == dict.fromkeys(names, ("COMPLETED", "PASS"))
    values = {row["item"]: (row["value"], row["status"]) for row in hello.rows("values", "numbers", "-r", "first")}
    assert values == dict.fromkeys(("english", "french", "german"), ("3", "pass"))
    assert hello.mt("log", "greet", "-r", "first").stdout == "hello from a test called greet\n"
    collected = hello.home / "links/linux/short/first/summary/collected.txt"
    assert collected.read_text().count("done: 3 numbers") == 3


def test_the_tutorial_has_a_second_target(tmp_path: Path) -> None:
    hello = Copy("hello", tmp_path)
    assert hello.mt("run", "-t", "linux/long", "-r", "first", "count/german").returncode == 0
    (row,) = hello.rows("values", "numbers", "-r", "first")
    assert (row["item"], row["value"]) == ("german", "1000")


@pytest.mark.parametrize("name", ["hello", "compressors"])
def test_an_example_checks_clean(tmp_path: Path, name: str) -> None:
    done = Copy(name, tmp_path).mt("check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_compressors_are_measured_and_reported(tmp_path: Path) -> None:
    area = Copy("compressors", tmp_path)
    done = area.mt("run", "-t", "local/quick", "-r", "first")
    assert done.returncode == 0, done.stderr
    tools = [tool for tool in ("gzip", "bzip2", "xz", "zstd") if shutil.which(tool, path=area.env["PATH"])]
    rows = area.rows("tests", "-r", "first")
    for test in ("compress", "decompress", "compare"):
        assert len([row for row in rows if row["test"] == test]) == len(tools) * 2 * 3
    assert {row["status"] for row in rows} == {"PASS"}
    ratios = area.rows("values", "pack/ratio", "-r", "first")
    assert len(ratios) == len(tools) * 2 * 3
    assert all(float(row["value"]) > 1.5 and row["status"] == "pass" for row in ratios)
    report = area.home / "links/local/quick/first/report"
    table = (report / "report.md").read_text().splitlines()
    assert len([line for line in table if line.startswith("| ")]) == 1 + len(ratios)
    assert f"Verdicts: {len(rows) - 1} PASS." in table
    assert "<table>" in (report / "report.html").read_text()
