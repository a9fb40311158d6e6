"""Every command that a page shows after `$ ` works, in an area in which runs have ended (spec/style.md 3.8).

Each `mt` of an example is watched: it must not call the words wrong (2), the
files of the area bad (3) or the store unusable (5), nor show a traceback.
Other statuses are answers.  Programs that an example only pipes into (jq, fzf,
gnuplot ...) need not be installed: one that swallows its input takes their
place.  An example that cannot be run here says so in the docstring, after
`  #: `.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from testarea import BIN, Area, Result

from mt import pages, verbs

#: verbs that are made for use inside a test: their examples run in the directory of a case
INSIDE = ("step", "result", "value", "rollup")
REFUSED = {2, 3, 5}

#: what the examples read
FILES = {
    "build.log": "compiling\nWARNING: old\nall done\n",
    "sim.log": "compiling\nWARNING: old\nall done\n",
    "rules.logpro": '(expect:required in "LogFileBody" > 0 "done" #/done/)\n(trigger "x" #/y/)\n',
    "sim.logpro": '(expect:required in "LogFileBody" > 0 "done" #/done/)\n',
    "values.csv": "speed,fast,12,10,5,MHz,as expected,,smoke\n",
    "Makefile": "all:\n\ttrue\n",
}

WATCHER = """\
#!/bin/sh
# {name} of this test: the real one, with its status written down
"{real}" "$@"
status=$?
printf '%s %s\\n' "$status" "{name} $*" >>"{log}"
exit $status
"""


class Shown:
    """An area with two runs that have ended, and a PATH on which each of our commands is watched."""

    def __init__(self, area: Area) -> None:
        self.area = area
        self.bin = area.home.parent / "watched"
        self.log = area.home.parent / "statuses"
        self.bin.mkdir()
        for name in ("mt", "megatest", "mtutil"):
            if (BIN / name).exists():
                self.program(name, WATCHER.format(name=name, real=BIN / name, log=self.log))
        self.program("make", "#!/bin/sh\ntrue\n")
        self.env = {"PATH": f"{self.bin}:{area.env['PATH']}", "EDITOR": "true"}
        area(FILES)
        area.test("smoke", "echo fine").test("broken", "echo ERROR: bad; false")
        area.test("diskperf", "env -0 >env.out; echo size $SIZE", items={"DISK": "sda sdb", "SIZE": "4k 8k"})
        area.test("summary", "echo $MT_TEST_NAME", waiton="diskperf")
        for name in ("before", "after", "now", "wanted"):
            area.ok("env", "save", f"{name}.json", env={**self.env, "CHANGED": name})
        for run in ("w49.1", "w49.2"):
            ended = area.mt("run", "-t", "ubuntu/nfs", "-r", run, "-q")
            assert ended.status in (0, 1), ended.err

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, command: str, *, inside: bool) -> tuple[Result, list[tuple[int, str]]]:
        """Run one example; gives what the shell gave, and each of our commands with its status."""
        for word in re.findall(r"(?:^|[|&;(]|\bxargs(?: -\S+)*) *([A-Za-z][\w.-]+)", command):
            if not shutil.which(word, path=self.env["PATH"]) and word not in ("eval", "complete", "export", "source"):
                self.program(word, "#!/bin/sh\ncat >/dev/null\n")
        self.log.unlink(missing_ok=True)
        env: dict[str, Any] = {**self.env}
        if inside:
            where = next((self.area.home / "runs").rglob("env.out"))
            pairs = (p.partition("=") for p in where.read_text().split("\0") if p)
            env = {k: v for k, _, v in pairs} | {"PATH": self.env["PATH"]}
            command = f"cd '{where.parent}'; {command}"
        result = self.area.sh(command, env=env)
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return result, [(int(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in lines]


@pytest.fixture
def shown(area: Area) -> Shown:
    return Shown(area)


@pytest.mark.parametrize("name", verbs.names())
def test_the_examples_of_a_verb_work(name: str, shown: Shown) -> None:
    wrong = []
    ran = 0
    for command, reason in pages.examples(verbs.load(name)):
        if reason:
            continue
        ran += 1
        result, statuses = shown.run(command, inside=name in INSIDE)
        if not statuses or "Traceback" in result.err or any(s in REFUSED for s, _ in statuses):
            wrong.append(f"$ {command}\n{statuses}\n{result.err}")
    assert not wrong, "\n".join(wrong)
    assert ran or all(reason for _, reason in pages.examples(verbs.load(name)))


def test_the_examples_of_the_page_of_mt_work(shown: Shown) -> None:
    from mt import sections

    for command, _ in pages.examples(sections):
        result, statuses = shown.run(command, inside=False)
        assert statuses and not any(s in REFUSED for s, _ in statuses), f"{command}\n{statuses}\n{result.err}"


def test_a_wrong_example_would_be_seen(shown: Shown) -> None:
    assert shown.run("mt tests --no-such-option | cat", inside=False)[1][0][0] == 2
    assert shown.run("no-such-program", inside=False)[1] == []


def test_no_more_than_a_few_examples_are_left_out() -> None:
    listed = [(n, c, why) for n in verbs.names() for c, why in pages.examples(verbs.load(n))]
    left_out = [f"{n}: {c}" for n, c, why in listed if why]
    assert len(left_out) * 5 <= len(listed), left_out


def test_the_watchers_do_not_hide_an_environment(shown: Shown) -> None:
    result, _ = shown.run('echo "$MT_TEST_NAME"', inside=True)
    assert result.out.strip() == "diskperf"
    assert os.path.isdir(Path(shown.area.home) / "lt")
