"""Members of a team: commands run as real other users, for tests that root runs."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from testarea import Result

#: numbers that no account of this machine has
ANN, BOB, TEAM = 40001, 40002, 40100
SOURCE = Path(__file__).resolve().parents[1]
_PROGRAMS = {"mt": "mt.cli", "megatest": "mt.megatest.main", "mtutil": "mt.mtutil.main"}


def as_user(
    uid: int, words: list[str], groups: tuple[int, ...] = (), **more: object
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run a command as a user who is in these groups too."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        words, user=uid, group=uid, extra_groups=list(groups), capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=100, **more,
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def python() -> str:
    """A Python that another user can run and that has all that mt needs; empty when there is none."""
    for found in dict.fromkeys((sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin") or "")):
        try:
            done = as_user(ANN, [found, "-c", "import mt.cli, filelock, tabulate, plumbum, sqlite3"], env=_imports())
        except (OSError, subprocess.SubprocessError):
            continue
        if done.returncode == 0:
            return found
    return ""


def _imports() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join((str(SOURCE), sysconfig.get_path("purelib")))}


def cannot() -> str:
    """Why commands cannot be run as other users here; empty when they can."""
    if os.geteuid():
        return "only root can run commands as other users"
    return "" if python() else "no Python that other users can run has the packages of mt"


class Member(NamedTuple):
    """Somebody who works in an area; `umask` is his own."""

    name: str
    uid: int
    umask: int
    base: Path
    groups: tuple[int, ...]

    def mt(self, *words: str, prog: str = "mt", cwd: Path | None = None) -> Result:
        """Run a command of mt in the area."""
        return self.run([str(self.base / "bin" / prog), *words], cwd)

    def ok(self, *words: str, prog: str = "mt", cwd: Path | None = None) -> str:
        """The same, which must succeed; gives its stdout."""
        done = self.mt(*words, prog=prog, cwd=cwd)
        assert done.status == 0, f"{self.name}: {prog} {' '.join(words)}: status {done.status}\n{done.out}{done.err}"
        return done.out

    def run(self, words: list[str], cwd: Path | None = None) -> Result:
        """Run any command in the area."""
        done = as_user(
            self.uid, words, self.groups, cwd=cwd or self.base / "area", umask=self.umask, env=self.environment()
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `mt` in the area; the caller waits for it."""
        return subprocess.Popen(
            [str(self.base / "bin" / "mt"), *words],
            user=self.uid, group=self.uid, extra_groups=list(self.groups), umask=self.umask, cwd=self.base / "area",
            env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        """That of a new login."""
        path = os.pathsep.join((str(self.base / "bin"), "/usr/local/bin", "/usr/bin", "/bin"))
        named = {"HOME": str(self.base / self.name), "USER": self.name, "LANG": "C.UTF-8", "PATH": path}
        return {**named, **_imports()}


class Office(NamedTuple):
    """A place where two members work: `area` is ann's; both are in the group TEAM unless it is not shared."""

    base: Path
    ann: Member
    bob: Member

    @property
    def area(self) -> Path:
        """The area's directory."""
        return self.base / "area"

    def write(self, name: str, text: str) -> None:
        """A file of the area as its owner writes it."""
        path = self.area / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def things(self) -> dict[str, tuple[int, int, int]]:
        """{path: (mode, owner, group)} of all in the area but links."""
        found = {}
        for folder, folders, files in os.walk(self.area):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                seen = os.lstat(path)
                if not stat.S_ISLNK(seen.st_mode):
                    found[os.path.relpath(path, self.area)] = (seen.st_mode, seen.st_uid, seen.st_gid)
        return found


@contextmanager
def office(ann: int, bob: int) -> Iterator[Office]:
    """Two members with their umasks; the area is not made yet.  Not below pytest's directory, which is private."""
    with tempfile.TemporaryDirectory(prefix="mt-team-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        base.chmod(0o755)
        (base / "bin").mkdir(mode=0o755)
        for prog, module in _PROGRAMS.items():
            path = base / "bin" / prog
            path.write_text(f"#!{python()}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
            path.chmod(0o755)
        for who, uid in (("ann", ANN), ("bob", BOB)):
            (base / who).mkdir()
            os.chown(base / who, uid, uid)
        yield Office(base, Member("ann", ANN, ann, base, (TEAM,)), Member("bob", BOB, bob, base, (TEAM,)))
