"""Asking the world whether a rule is due: the clock, a script, a repository, the times of files (spec/runs.md 1.8)."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
import time
from typing import NamedTuple

from mt.errors import MtError, why
from mt.mtutil import cron

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mt.mtutil.rules import Rule

#: default names of runs, as strftime reads them
RUN_NAME = "%Yw%V.%w-%H%M"
SCHEDULED_NAME = "sched%M%H%d"

_BRACES = re.compile(r"([^{}]*)\{([^{}]*)\}(.*)", re.DOTALL)


class Due(NamedTuple):
    """Why a rule wants a packet now; target and run name when the asked one names them."""

    why: str
    target: str = ""
    run: str = ""


class Moment(NamedTuple):
    """When and where a rule is asked; `last` is the time of its last packet, 0 for none."""

    now: float
    last: float
    home: str

    def name(self, form: str = RUN_NAME) -> str:
        """A run name made of the time."""
        return time.strftime(form, time.localtime(self.now))


def due(rule: Rule, moment: Moment) -> list[Due]:
    """What a rule wants now; raises MtError when it cannot be asked."""
    try:
        if rule.type == "scheduled":
            return list(_scheduled(rule, moment))
        if rule.type == "script":
            return [found for script, words in rule.inputs() for found in _script(rule, script, words, moment)]
        if rule.type == "fossil":
            return list(_fossil(rule, moment))
        return list(_files(rule, moment))
    except MtError as e:
        raise MtError(f"rule {rule.name}: {e.what}") from e


def _scheduled(rule: Rule, moment: Moment) -> Iterator[Due]:
    line = rule.said.get("cron")
    if line is None:
        raise MtError("a scheduled rule needs cron=MINUTE HOUR DAY MONTH WEEKDAY")
    found = cron.last_due(cron.parse(line), moment.now)
    if found is not None and found > moment.last:
        yield Due("-".join(line.split()).replace("*", "X"), run=moment.name(SCHEDULED_NAME))


def _script(rule: Rule, script: str, words: str, moment: Moment) -> Iterator[Due]:
    """A script prints `epoch [target [run name]]`, and in further lines why."""
    given = [rule.contour, rule.runkey, moment.name(), rule.action, *_split(words)]
    lines = _output([*_program(script, moment.home), *given], moment.home).splitlines()
    first = lines[0].split() if lines else []
    if not first:
        return
    try:
        changed = float(first[0])
    except ValueError:
        raise MtError(f"script '{script}' printed '{first[0]}', which is no time in seconds since 1970") from None
    if changed > moment.last:
        target, run = (*first[1:3], "", "")[:2]
        yield Due("-".join(lines[1:]) or " ".join([script, *given]), target, run)


def _program(line: str, home: str) -> list[str]:
    """A script with its own words; one that lies in the area is found there."""
    words = _split(line)
    if not words:
        raise MtError("no script is named")
    inside = os.path.join(home, os.path.expanduser(words[0]))
    return [inside if os.path.isfile(inside) else words[0], *words[1:]]


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as e:
        raise MtError(f"'{line}' cannot be split into words: {str(e).lower()}") from e


def _output(argv: list[str], cwd: str) -> str:
    try:
        done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    except OSError as e:
        raise MtError(f"cannot run '{argv[0]}': {why(e)}") from e
    except ValueError as e:
        raise MtError(f"cannot run '{argv[0]}': {e}") from e
    if done.returncode:
        raise MtError(f"'{argv[0]}' ended with status {done.returncode}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _fossil(rule: Rule, moment: Moment) -> Iterator[Due]:
    """Repositories and branches: due when a branch has a check-in that is newer than the last packet."""
    import shutil

    if shutil.which("fossil") is None:
        raise MtError("the program fossil is not installed, so its repositories cannot be watched")
    for url, branch in rule.inputs():
        name = branch or "trunk"
        changed, node = _newest(_repository(url, moment.home), name, moment.home)
        if changed > moment.last:
            yield Due(f"fossil:{name}-{node}")


def _repository(url: str, home: str) -> str:
    """The file of a repository; one that is elsewhere is cloned, and brought up to date."""
    import hashlib

    path = url.removeprefix("file://").removeprefix("file:")
    if path != url or "://" not in url:
        return os.path.join(home, os.path.expanduser(path))
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = os.path.join(root, "mt", "fossil")
    try:
        os.makedirs(cache, mode=0o700, exist_ok=True)
    except OSError as e:
        raise MtError(f"cannot make '{cache}': {why(e)}") from e
    clone = os.path.join(cache, hashlib.sha256(url.encode()).hexdigest()[:20] + ".fossil")
    if os.path.exists(clone):
        _output(["fossil", "pull", url, "-R", clone, "--once"], home)
    else:
        _output(["fossil", "clone", url, clone], home)
    return clone


def _newest(repository: str, branch: str, home: str) -> tuple[float, str]:
    """Time in seconds since 1970 and hash of the newest check-in of a branch."""
    import calendar

    said = _output(["fossil", "info", branch, "-R", repository], home)
    found = re.search(
        r"^(?:hash|uuid):\s+([0-9a-f]{10})[0-9a-f]*\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", said, re.MULTILINE
    )
    if found is None:
        raise MtError(f"fossil tells no time of branch '{branch}' of '{repository}'")
    return float(calendar.timegm(time.strptime(found[2], "%Y-%m-%d %H:%M:%S"))), found[1]


def _files(rule: Rule, moment: Moment) -> Iterator[Due]:
    """Files by patterns: due when one of them, or with file-and each of them, is newer than the last packet."""
    bare = [name for name, value in rule.said.items if value is None]
    patterns = (rule.said.get("glob") or " ".join(bare)).split()
    if not patterns:
        raise MtError("a file rule needs glob=PATTERN")
    times = sorted((_changed(path), path) for pattern in patterns for path in matching(pattern, moment.home))
    if not times:
        return
    deciding = times[0] if rule.type == "file-and" else times[-1]
    if deciding[0] > moment.last:
        yield Due(f"{rule.type}:{times[-1][1]}")


def matching(pattern: str, home: str) -> list[str]:
    """The files that a shell pattern names, seen from the area; `{a,b}` and `~` are understood."""
    found = _BRACES.fullmatch(pattern)
    if found and "," in found[2]:
        return [path for middle in found[2].split(",") for path in matching(f"{found[1]}{middle}{found[3]}", home)]
    return glob.glob(os.path.join(glob.escape(home), os.path.expanduser(pattern)))


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
