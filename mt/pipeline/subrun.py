"""A run within a case: `[subrun]` of a testconfig, and what follows the parent (spec/config.md T65, spec/runs.md 4.12).

After its own steps such a case has one more, called `subrun`, which runs tests
in another area (or another run of this one) and waits for them:

    sub = subrun_of(spec, RunKey(target, run), area.home)
    if sub: sub.prepare(run_directory); run_step(..., sub.step, rules=sub.rules)

**Deviations.**  The step fails when tests of the sub-run fail, unless log rules
judge it: the original looked at the exit status of a command that ends with 0
whatever its tests did.  `run-wait` counts like `runwait` (D8).  The log of the
step is `subrun.log` like that of every step; the name that the original gave it
is a link to it.

What is in `testconfig.subrun` is what was run, so that removing the parent or
setting its state finds the sub-run even when the testconfig has changed since.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mt.config import Reading, entry, read
from mt.errors import ConfigError, LaunchError, MtError, why
from mt.model import RunKey
from mt.testspec import StepSpec, TestSpec

#: the step's name
NAME = "subrun"
#: in the run directory of the parent: a link to the area, what was run, and a note of its removal
LINK, RECORD, REMOVED = "subrun-area", "testconfig.subrun", "subrun.removed"
#: keys that ask for the sub-run: [C] the code's name, then the manual's
ASKING = ("runwait", "run-wait")
#: variables of ours that are about how we work, not about a test
_KEPT = ("MT_TRACE", "MT_FORMAT", "MT_PAGER")


def without_own(env: Mapping[str, str]) -> dict[str, str]:
    """An environment for a nested command: the MT_ variables of the test are gone (T65)."""
    return {name: value for name, value in env.items() if not name.startswith("MT_") or name in _KEPT}


class SubRun(NamedTuple):
    """The sub-run of one case; `area` is absolute, empty texts are "not said"."""

    area: str
    target: str
    run: str
    tests: str = ""
    key: str = ""
    tags: str = ""
    contour: str = ""
    message: str = ""
    log: str = ""
    rules: str | None = None
    where: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """`mt subrun ...`, after `mt`."""
        said = (
            ("--chdir", self.area), ("-t", self.target), ("-r", self.run), ("--key", self.key), ("--tags", self.tags),
            ("--contour", self.contour), ("-m", self.message),
        )  # fmt: skip
        options = [f"{name}={value}" if name.startswith("--") else name + value for name, value in said if value]
        return ("subrun", "--again", *options, *(["--", *self.tests.split()] if self.tests else []))

    @property
    def step(self) -> StepSpec:
        """The step that does it."""
        from shlex import join

        return StepSpec(NAME, join((*own_command(), *self.words)), (), self.where)

    @property
    def log_name(self) -> str:
        """The name that the original gave the log: `run-TARGET-RUN-PATT.log`."""
        return self.log or log_name("run", self)

    def prepare(self, directory: str) -> None:
        """Write what shows the sub-run in the run directory of its parent; raises MtError."""
        log = os.path.join(directory, self.log_name)
        try:
            for path, to in ((os.path.join(directory, LINK), self.area), (log, f"{NAME}.log")):
                if os.path.lexists(path):
                    os.unlink(path)
                if os.path.basename(path) != to:
                    os.symlink(to, path)
            if os.path.lexists(os.path.join(directory, REMOVED)):
                os.unlink(os.path.join(directory, REMOVED))
            with open(os.path.join(directory, RECORD), "w", encoding="utf-8", errors="surrogateescape") as out:
                out.write(f"[{NAME}]\n" + "".join(f"{entry(k, v)}\n" for k, v in self.record().items()))
        except OSError as e:
            raise MtError(f"cannot write '{e.filename}': {why(e)}") from e

    def record(self) -> dict[str, str]:
        """What `testconfig.subrun` keeps: the keys of [subrun], all of them worked out."""
        said = {
            "run-area": self.area, "target": self.target, "run-name": self.run, "test-patt": self.tests,
            "mode-patt": self.key, "tag-expr": self.tags, "contour": self.contour, "msg": self.message,
        }  # fmt: skip
        return {"runwait": "yes", **{key: value for key, value in said.items() if value}}


def subrun_of(spec: TestSpec, run: RunKey, home: str) -> SubRun | None:
    """The sub-run that a test asks for, None when it asks for none; `run` is the parent's, `home` its area.

    A `run-area` that is no absolute path is one below the parent's area.
    """
    said = {key: value.strip() for key, value in spec.subrun}
    if not any(key in said for key in ASKING):
        return None
    where = spec.config.where(NAME, next(key for key in ASKING if key in said)) or spec.where
    return _made(said, run, home, where)._replace(rules=said.get("logpro") or spec.logpro.get(NAME))


def _made(said: Mapping[str, str], run: RunKey, home: str, where: str = "") -> SubRun:
    area = said.get("run-area") or said.get("start-dir") or home
    return SubRun(
        area=os.path.normpath(os.path.join(home, area)),
        target=said.get("target") or run.target,
        run=said.get("run-name") or run.name,
        tests=said.get("test-patt", ""),
        key=said.get("mode-patt", ""),
        tags=said.get("tag-expr", ""),
        contour=said.get("contour", ""),
        message=said.get("msg", ""),
        log=os.path.basename(said.get("log", "")),
        where=where,
    )


def log_name(what: str, sub: SubRun) -> str:
    """`WHAT-TARGET-RUN-PATT.log` with odd characters as `_`."""
    stem = "-".join((sub.target, sub.run, sub.tests or sub.key or sub.tags or "%"))
    return f"{what}-{re.sub(r'[^A-Za-z0-9._%+=@-]', '_', stem)}.log"


def own_command(name: str = "mt") -> tuple[str, ...]:
    """The words that start one of our own commands, whatever is on PATH."""
    from mt.pipeline.caseenv import own_programs

    path = os.path.join(own_programs(), name)
    if os.access(path, os.X_OK):
        return (path,)
    module = "mt" if name == "mt" else "mt.megatest.main"
    return (sys.executable, "-P", "-m", module)


# -- what is done to the parent


def below(directory: str) -> SubRun | None:
    """The sub-run of the case in this run directory: None when it has none, or none any more."""
    path = os.path.join(directory, RECORD)
    if not os.path.isfile(path) or os.path.lexists(os.path.join(directory, REMOVED)):
        return None
    try:
        said = dict(read(path, Reading(directory, env={})).items(NAME))
    except ConfigError:
        return None
    return _made(said, RunKey("", ""), directory) if said.get("run-area") else None


def pass_removal(directory: str, env: Mapping[str, str]) -> bool:
    """Remove the tests of a sub-run before its parent goes; gives whether there was anything to do.

    Raises LaunchError when the sub-run could not be removed: the parent then
    stays, or nobody would find the rest any more.
    """
    sub = below(directory)
    if sub is None:
        return False
    _megatest(directory, sub, "remove", ["-remove-runs"], env)
    with open(os.path.join(directory, REMOVED), "w", encoding="utf-8") as out:
        out.write(f"{sub.target}//{sub.run}\n")
    return True


def pass_setting(directory: str, state: str, status: str, env: Mapping[str, str]) -> bool:
    """Give the tests of a sub-run the state and status that their parent got; gives whether there were any."""
    sub = below(directory)
    if sub is None:
        return False
    _megatest(directory, sub, "set-state-status", ["-set-state-status", f"{state},{status}"], env)
    return True


def _megatest(directory: str, sub: SubRun, what: str, action: Sequence[str], env: Mapping[str, str]) -> None:
    """Run the old command on a sub-run, its output in a log beside the record; raises LaunchError."""
    import subprocess

    which = ["-target", sub.target, "-runname", sub.run, "-testpatt", sub.tests or "%"]
    words = [*own_command("megatest"), "-start-dir", sub.area, *action, *which]
    log = os.path.join(directory, log_name(what, sub))
    try:
        with open(log, "ab") as out:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=without_own(env), check=False
            )
    except OSError as e:
        raise LaunchError(f"cannot pass '{what}' on to sub-run '{sub.target}//{sub.run}': {why(e)}") from e
    if done.returncode:
        raise LaunchError(
            f"cannot pass '{what}' on to sub-run '{sub.target}//{sub.run}': exit {done.returncode}", hint=f"see {log}"
        )
