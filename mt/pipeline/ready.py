"""Make the Setup: everything that all cases of a run share, once, before the first worker is forked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping

from mt import infra, team
from mt.area import Area
from mt.db import Store
from mt.disks import Chooser, free_space, script_space
from mt.environ import Env
from mt.errors import ConfigError, MtError
from mt.journal import host_name
from mt.model import RunKey
from mt.pipeline import casedir, caseenv
from mt.pipeline.aftermath import Aftermath
from mt.pipeline.case import Setup
from mt.pipeline.casevars import CaseVariables
from mt.pipeline.machine import Kills
from mt.stdio import say, write_whole
from mt.testspec import TestSpec


def setup_of(
    area: Area, store: Store, run_id: int, run: RunKey, *, contour: str = "", old: bool = False
) -> Setup:  # fmt: skip
    """The Setup of one run of an area; raises ConfigError when no disk can take it.

    A contour is one more level of directories, above the target.  `old` is the
    manner of the old command where the area does not say: the last stage of a
    pipeline counts, and every file that was there of old is written.
    """
    first = contour or run.target.partition("/")[0]
    disk = disk_of_team(area, store.group, first)
    linktree = os.path.join(area.linktree, contour) if contour else area.linktree
    stages = area.setting("setup", "pipefail")
    open_below(area.home, area.linktree, first, store.group)
    return Setup(
        run_id=run_id,
        run=run,
        db=area.db_dir,
        kill_dir=store.kill_dir(run_id),
        linktree=linktree,
        host=host_name(),
        shared=shared_env(area),
        spec=area.case_spec,
        disk=(lambda spec: os.path.join(disk(spec), contour)) if contour else disk,
        source=Sources().of,
        copy_command=area.setting("setup", "testcopycmd") or "",
        limit=limit_of(area),
        every_stage=not old if stages is None else stages != "no",
        environment_files=EnvironmentFiles(area, csh=old).write,
        old=old,
        case_values=CaseVariables(area, caseenv.shell_echo).of,
        contour=contour,
        after=Aftermath(area, store, run_id, run, linktree),
        rules=infra_rules(area),
        kills=Kills(),
    )


def infra_rules(area: Area) -> infra.Rules:
    """The rules of `[infra]`; those that cannot be used are told."""
    for problem in infra.problems(area.config):
        say(f"{problem.where}: {problem.text}")
    return infra.rules_of(area.config)


def limit_of(area: Area) -> float | None:
    """`[setup] runtimelim` in seconds, None without one."""
    return area.seconds("setup", "runtimelim")


def disk_chooser(area: Area) -> Callable[[TestSpec], str]:
    """The disk a test's cases go to: its own [disks], else the area's, else `tmp_run` in the test (M10)."""
    common = area.config.items("disks") if area.config.has("disks") else None
    script = area.setting("setup", "free-space-script")
    probe = script_space(script, area.env, area.home) if script else free_space
    chooser = Chooser(area.number("setup", "minspace", 10000), probe)
    said: set[str] = set()

    def warn(text: str) -> None:
        """Say something about disks once."""
        kind = text.partition(":")[0]
        if kind not in said:
            said.add(kind)
            say(text)

    if common is not None:
        chooser.choose(common)
        for disk in chooser.look(common):
            if disk.reason:
                warn(f"[disks] {disk.name} is not used: {disk.reason}")
    else:  # said here and not for the first case: a worker of the old command says nothing
        warn("no [disks]: run directories are in tmp_run below the directory of each test")

    def choose(spec: TestSpec) -> str:
        entries = spec.disks if spec.disks is not None else common
        if entries is None:
            return os.path.join(spec.dir, "tmp_run")
        try:
            return chooser.choose(entries).path
        except ConfigError as e:
            raise MtError(e.what) from e

    return choose


def disk_of_team(area: Area, group: int | None, first: str) -> Callable[[TestSpec], str]:
    """The choice of a disk; what runs make below it is the group's, also where the disk itself is not."""
    disk = disk_chooser(area)
    if group is None:
        return disk
    seen: set[str] = set()

    def choose(spec: TestSpec) -> str:
        path = disk(spec)
        if path not in seen:
            open_below(area.home, path, first, group)
            seen.add(path)
        return path

    return choose


def open_below(home: str, path: str, first: str, group: int | None) -> None:
    """Make a directory within a disk or the link tree, so that all that is made in it is the group's.

    A disk within the area is given to the group itself, if it is ours; others
    may hold what is no business of the team.
    """
    if group is None or first in (".", ".."):
        return
    try:
        inside = os.path.realpath(path).startswith(os.path.join(os.path.realpath(home), ""))
        if inside and not team.is_shared(path) and os.stat(path).st_uid == os.geteuid():
            team.share(path, group)
        team.make_directory(os.path.join(path, first), group)
    except OSError:
        return  # who makes the run directory says what is wrong


class Sources:
    """The files of each test, listed when its first case needs them and again when its directory changed."""

    def __init__(self) -> None:
        self.known: dict[str, casedir.Source] = {}

    def of(self, directory: str) -> casedir.Source:
        """The files of one test directory."""
        found = self.known.get(directory)
        if found is None or found.stamp != casedir.stamp_of(directory):
            found = self.known[directory] = casedir.source_of(directory)
        return found


def shared_env(area: Area) -> caseenv.Shared:
    """The variables of every case, in the order of spec/config.md 5.1 (E0 to E4)."""
    env = area.env.as_dict()
    if area.runconfigs is not None:
        pairs = [
            p for s in ("default", area.target or "") if s and area.runconfigs.has(s) for p in area.runconfigs.items(s)
        ]
        caseenv.expanded(pairs, env, caseenv.shell_echo)
    env.update(area.overrides())
    env["MT_MEGATEST"] = caseenv.callback()
    own = caseenv.own_programs()
    path = env.get("PATH", os.defpath)
    if own not in path.split(":"):
        env["PATH"] = f"{path}:{own}"
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MT_CMDINFO"):
        env.pop(name, None)
    return caseenv.Shared(env)


class EnvironmentFiles:
    """Writes megatest.sh into a run directory, and megatest.csh; what all cases share is formatted once.

    Making a file costs more than all that mt does for a case in Python, so the
    one for csh is left out where no csh is installed, unless `[setup] csh yes`
    or `csh`, for those who always had one.
    """

    def __init__(self, area: Area, *, csh: bool = False) -> None:
        self.blacklist = area.blacklist
        self.secret = area.secrets
        self.texts: dict[frozenset[str], tuple[str, str]] = {}
        self.csh = area.flag("setup", "csh", csh or any(map(shutil.which, ("csh", "tcsh"))))

    def write(self, directory: str, added: Mapping[str, str], shared: caseenv.Shared) -> None:
        """Both files; the case's own variables come last."""
        names = frozenset(added)
        if names not in self.texts:
            common = Env({k: v for k, v in shared.env.items() if k not in names})
            self.texts[names] = (common.sh(self.blacklist, self.secret), common.csh(self.blacklist, self.secret))
        own = Env(added)
        _write(os.path.join(directory, "megatest.sh"), self.texts[names][0] + own.sh(self.blacklist))
        if self.csh:
            _write(os.path.join(directory, "megatest.csh"), self.texts[names][1] + own.csh(self.blacklist))


def _write(path: str, text: str) -> None:
    fd = casedir.open_anew(path, 0o666)
    try:
        write_whole(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
