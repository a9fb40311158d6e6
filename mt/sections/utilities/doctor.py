"""look whether mt can work here, and say what is wrong

One row for each thing that mt needs: Python and its packages, the area and its files, the store, locks (tried with
another process, not only asked for), the database (counted up by several processes at once), the clock, free space, and
the programs that start jobs, and, where a team owns the area, whether its members may write all of it.  `ok` is good,
`warn` can be lived with, `fail` cannot.

Outside an area only the machine is looked at, and the file system of the current directory.

With --fs only the file system of DIR (or of the area, or of the current directory) is looked at: its kind, the options
of its mount, what tries of locks and of a database show, the storage mode that follows, and the one in force. With
--hosts each host is tried against each other by ssh: one holds a flock and a fcntl lock, the other asks for them. That
needs DIR at the same place on all of them, ssh without a password, and python3.

EXAMPLES

    $ mt doctor
    Look at everything.

    $ mt doctor -f ndjson | jq -r 'select(.result != "ok") | .check + ": " + .detail'
    Only what is not good.

    $ mt doctor --fs /tmp
    What an area there could trust.

    $ mt doctor --fs --hosts n1,n2  #: needs two hosts
    Whether a lock of one host keeps the other out.

EXIT STATUS

    0  nothing fails; there may be warnings
    1  something fails

SEE ALSO

    mt-check, mt-db-mode, mt-disks, mt-lock-show, mt-db-check
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time

from mt.errors import MtError, UsageError, why
from mt.options import AreaOptions, RowOptions, flag, operand, opt
from mt.stdio import write_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mt.area import Area

COLUMNS = ("check", "result", "detail")
PACKAGES = ("filelock", "plumbum", "sh", "tabulate")

Found = tuple[str, str]


class Options(AreaOptions, RowOptions):
    """What was typed."""

    fs: bool = flag("--fs", help="only the file system, and what can be trusted there")
    hosts: str = opt("--hosts", meta="H1,H2", default="", help="with --fs: try locks between these hosts, by ssh")
    dir: str | None = operand("DIR", help="with --fs: where", need=False, complete="dirs")


def main(opts: Options) -> int:
    """Look, print, and judge."""
    if (opts.dir or opts.hosts) and not opts.fs:
        raise UsageError(f"mt doctor: '{opts.dir or opts.hosts}' needs --fs", hint="mt doctor --fs DIR")
    rows = []
    for name, (result, detail) in _of_disk(opts) if opts.fs else _checks(opts):
        rows.append({"check": name, "result": result, "detail": detail})
    shown = [row for row in rows if not opts.quiet or row["result"] != "ok"]
    write_rows(shown, opts, COLUMNS)
    return int(any(row["result"] == "fail" for row in rows))


def _checks(opts: Options) -> Iterator[tuple[str, Found]]:
    yield "python", _python()
    for name in PACKAGES:
        yield f"package {name}", _package(name)
    yield "shell", _program("bash", "fail", "steps with shell syntax need it")
    area, said = _area(opts)
    yield "area", said
    place = _place(area)
    yield "store", _store(area, place)
    yield "file system", _file_system(place)
    from mt.locks.probe import try_database, try_lock

    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place if os.access(place, os.W_OK) else None) as scratch:
        yield "locks", _tried(try_lock, scratch)
        yield "database", _tried(try_database, scratch)
        yield "clock", _tried(_clock, scratch)
    yield "home", _home()
    if area is not None:
        yield from _of_area(area)


def _python() -> Found:
    shown = ".".join(map(str, sys.version_info[:3]))
    return ("ok" if sys.version_info >= (3, 11) else "fail", f"{shown}, {sys.executable}")


def _package(name: str) -> Found:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return "ok", version(name)
    except PackageNotFoundError:
        return "fail", f"not installed; pip install {name}"


def _program(name: str, otherwise: str, need: str) -> Found:
    found = shutil.which(name)
    return ("ok", found) if found else (otherwise, f"'{name}' is not on PATH; {need}")


def _area(opts: Options) -> tuple[Area | None, Found]:
    """The area as read for no target; what its files have wrong is a warning here, mt-check says it line by line."""
    from mt.area import Area

    try:
        area = Area.open(opts.chdir)
    except MtError as e:
        inside = "no megatest.config" not in e.what
        return None, ("fail" if inside else "warn", e.lines()[0])
    wrong = [p for p in area.problems if p.level == "error"]
    if wrong:
        return area, ("warn", f"{area.home}; {len(wrong)} errors in its files, see mt check")
    return area, ("ok", area.home)


def _place(area: Area | None) -> str:
    """Where the store is or would be made."""
    if area is None:
        return os.getcwd()
    return area.db_dir if os.path.isdir(area.db_dir) else area.home


def _store(area: Area | None, place: str) -> Found:
    if area is None:
        return "ok", "none: not in an area"
    if not os.access(place, os.W_OK):
        return "fail", f"'{place}' is not writable: nothing can be run here, lists work"
    if not os.path.isdir(area.db_dir):
        return "ok", f"not made yet; '{area.home}' is writable"
    from mt.db import Store

    try:
        Store(area.home)
    except MtError as e:
        return "fail", e.lines()[0]
    return "ok", area.db_dir


def _file_system(place: str) -> Found:
    """Its kind, and how a store there is or would be kept."""
    from mt.storage import DIRECT, classify, mount_of

    mount = mount_of(place)
    fit = classify(mount)
    if fit.mode == DIRECT:
        return "ok", f"{mount.type} on {mount.point}"
    return "warn", f"{mount.type} on {mount.point}: storage mode {fit.mode}, {fit.why}"


def _of_disk(opts: Options) -> Iterator[tuple[str, Found]]:
    """What --fs says."""
    from mt.locks.probe import try_database, try_lock
    from mt.storage import SINGLE, classify, mount_of

    place = _disk_of(opts)
    mount = mount_of(place)
    fit = classify(mount)
    yield "file system", ("ok", f"{mount.type} on {mount.point or '?'}")
    yield "options", ("ok", ",".join(sorted(mount.options)))
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as scratch:
        tries = [("locks", _tried(try_lock, scratch)), ("database", _tried(try_database, scratch))]
        tries += _of_hosts(opts.hosts, scratch)
    yield from tries
    failed = next((name for name, (result, _) in tries if result == "fail"), "")
    mode, because = (SINGLE, f"the try of {failed} failed") if failed and fit.mode != SINGLE else fit
    yield "mode that fits", ("ok", f"{mode}: {because}")
    yield from _in_force(place)


def _disk_of(opts: Options) -> str:
    """The directory that --fs is about."""
    from mt.home import find

    if opts.dir is not None:
        if not os.path.isdir(opts.dir):
            raise MtError(f"cannot look at '{opts.dir}': no such directory")
        return opts.dir
    try:
        home = find(opts.chdir, os.environ)
    except MtError:
        return opts.chdir or os.getcwd()
    store = os.path.join(home, ".mtdb")
    return store if os.path.isdir(store) else home


def _of_hosts(names: str, scratch: str) -> list[tuple[str, Found]]:
    """Each host tried against each other one."""
    from functools import partial
    from itertools import permutations

    from mt.locks.probe import try_hosts

    hosts = [name.strip() for name in names.split(",") if name.strip()]
    if len(hosts) == 1:
        hosts.insert(0, "")  # this one
    found: list[tuple[str, Found]] = []
    for one, two in permutations(hosts, 2):
        check = partial(try_hosts, holder=one, other=two)
        found.append((f"{one or 'here'} against {two or 'here'}", _tried(check, scratch)))
    return found


def _in_force(place: str) -> Iterator[tuple[str, Found]]:
    """The mode of the store at a place or in it, if there is one; and what the area wishes."""
    from mt.db import Store
    from mt.storage import mismatch, mount_of

    home = next((p for p in (place, os.path.dirname(place)) if os.path.exists(os.path.join(p, ".mtdb", "AREA"))), None)
    if home is None:
        yield "mode in force", ("ok", "none: nothing is recorded here")
        return
    try:
        choice = Store(home, check=False).choice
    except MtError as e:
        yield "mode in force", ("fail", e.lines()[0])
        return
    wrong = mismatch(choice, mount_of(os.path.join(home, ".mtdb")))
    yield "mode in force", ("fail", f"{wrong.what}; {wrong.hint}") if wrong else ("ok", f"{choice.mode}: {choice.why}")


def _tried(check: Callable[[str], Found | tuple[bool, str]], scratch: str) -> Found:
    try:
        result, detail = check(scratch)
    except (OSError, MtError) as e:
        return "fail", why(e) if isinstance(e, OSError) else e.what
    return result if isinstance(result, str) else ("ok" if result else "fail"), detail


def _clock(scratch: str) -> Found:
    """Compare our clock with that of the file system, which may be another machine's."""
    path = os.path.join(scratch, "clock")
    with open(path, "w", encoding="utf-8") as out:
        out.write("x")
    ahead = os.stat(path).st_mtime - time.time()
    if abs(ahead) > 60:
        return "fail", f"the file server's clock differs by {ahead:+.0f} s from ours"
    if abs(ahead) > 2:
        return "warn", f"the file server's clock differs by {ahead:+.1f} s from ours"
    if time.time() < 1_700_000_000:
        return "fail", f"it is not {time.strftime('%Y-%m-%d')}"
    return "ok", time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _home() -> Found:
    home = os.environ.get("HOME", "")
    if home and os.access(home, os.W_OK | os.X_OK):
        return "ok", home
    return "warn", f"'{home}' is not writable" if home else "HOME is not set"


def _of_area(area: Area) -> Iterator[tuple[str, Found]]:
    yield "link tree", _link_tree(area.linktree)
    yield from _disks(area)
    yield from _team(area)
    yield from _launchers(area)
    yield "logpro", _program("logpro", "warn", "scripts that call it fail; log rules of steps work without it")


def _link_tree(path: str) -> Found:
    place = path
    while not os.path.exists(place):
        place = os.path.dirname(place)
    good = os.path.isdir(place) and os.access(place, os.W_OK)
    made = "" if place == path else ", not made yet"
    return ("ok", f"{path}{made}") if good else ("fail", f"{path}: '{place}' is not writable")


def _disks(area: Area) -> Iterator[tuple[str, Found]]:
    from mt.disks import MINSPACE, free_space, look

    least = area.number("setup", "minspace", MINSPACE)
    usable = 0
    disks = [look(name, path.strip(), free_space) for name, path in area.disks or ()]
    for disk in disks:
        enough = disk.free is not None and disk.free > least
        usable += enough
        detail = disk.reason if disk.free is None else f"{disk.free / 1048576:.1f} GiB free"
        yield f"disk {disk.name}", ("ok" if enough else "warn", f"{disk.path}: {detail}")
    if disks and not usable:
        yield "disks", ("fail", f"no disk can be used: [setup] minspace asks for {least:.0f} KiB")
    if not disks:
        yield "disks", ("warn", "no [disks]: runs go into tmp_run of each test's directory")


def _team(area: Area) -> Iterator[tuple[str, Found]]:
    """Whether a team owns the area, and what of it a member could not write."""
    from mt.teamcheck import findings

    disks = [path.strip() for _, path in area.disks or ()]
    for name, found in findings(area.home, area.linktree, disks, area.setting("db", "group")):
        yield name, ("ok" if found.good else "warn", found.text)


def _launchers(area: Area) -> Iterator[tuple[str, Found]]:
    """Every command that jobs are started with must be there."""
    named = [("launcher", area.setting("jobtools", "launcher"))]
    named += [(f"launcher {name}", value) for name, value in area.config.items("host-types")]
    for name, line in named:
        words = (line or "").split()
        if not words:
            continue
        if words[0].startswith("#"):
            yield name, ("ok", f"{words[0]}: chosen when a job starts")
        else:
            yield name, _program(words[0], "fail", "jobs cannot be started with it")
    if not named[0][1]:
        yield "launcher", ("ok", "none: cases run on this machine")
