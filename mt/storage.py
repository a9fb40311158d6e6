"""How the dbs of an area are kept on the file system they are on: the storage mode (spec/architecture.md 4.3).

| mode | where | how |
|---|---|---|
| direct | a local disk | WAL, flock |
| direct-nfs | a network disk whose locks work | rollback journal, flock and SQLite's own locks; never WAL |
| single-writer | locks do not work, or nobody knows | a lease, a live copy on a local disk, put back by rename |

The mode is chosen when the store of an area is made, written into `.mtdb/AREA`,
and compared with what this host sees whenever the store is opened: one process
in WAL on a network disk is enough to break a db.  What a mount is comes from
/proc/self/mountinfo; nothing here opens a db or takes a lock.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mt.errors import ConfigError, NotPermitted, StoreError, why

DIRECT, NFS, SINGLE = "direct", "direct-nfs", "single-writer"
#: all modes, from the one that asks most of a file system to the one that asks least
MODES = (DIRECT, NFS, SINGLE)

MOUNTINFO = "/proc/self/mountinfo"

#: file systems of one machine alone, whose locks and shared memory are the kernel's own
LOCAL = frozenset(
    "ext2 ext3 ext4 xfs btrfs zfs f2fs jfs nilfs2 reiserfs bcachefs tmpfs ramfs rootfs overlay overlayfs aufs".split()
)
#: file systems that other machines write too: WAL is never right on them, whatever somebody says
NETWORK = frozenset(
    "nfs nfs4 lustre cifs smb3 smbfs 9p afs ceph gpfs beegfs ocfs2 gfs2 glusterfs mfs panfs vboxsf vmhgfs virtiofs"
    " prl_fs coda ncpfs orangefs pvfs2 acfs".split()
)
_LOCAL_LOCKS = frozenset(("nolock", "nocto", "local_lock=flock", "local_lock=posix", "local_lock=all"))
_LUSTRE = frozenset(("localflock", "noflock"))


class Mount(NamedTuple):
    """A mounted file system: `nfs4`, the options of mount and superblock, where, and its device `0:47`."""

    type: str
    options: frozenset[str] = frozenset()
    point: str = ""
    device: str = ""

    @property
    def label(self) -> str:
        """Type and those options that decide about locks: `nfs4 nolock`."""
        return " ".join([self.type, *sorted(self.options & (_LOCAL_LOCKS | _LUSTRE | {"flock"}))])

    @property
    def shared(self) -> bool:
        """Whether other machines surely or probably write it too."""
        return self.type in NETWORK or self.type == "fuse" or self.type.startswith("fuse.")


class Fit(NamedTuple):
    """The most that a file system can be trusted with, and why."""

    mode: str
    why: str


class Choice(NamedTuple):
    """A mode as AREA keeps it: why it was chosen, and the label of the mount where it was."""

    mode: str
    why: str
    fs: str


UNKNOWN = Mount("unknown")


def classify(mount: Mount) -> Fit:
    """The mode that fits a mount by its type and options alone; unknown types are not trusted."""
    kind = mount.type
    if kind in LOCAL:
        return Fit(DIRECT, f"{kind} is a local disk")
    if kind in ("nfs", "nfs4"):
        bad = sorted(mount.options & _LOCAL_LOCKS)
        if bad:
            return Fit(SINGLE, f"{kind} with {bad[0]}: other hosts do not see our locks, or not in time")
        return Fit(NFS, f"{kind} with locks between hosts")
    if kind == "lustre":
        if "flock" in mount.options and not mount.options & _LUSTRE:
            return Fit(NFS, "lustre with flock")
        return Fit(SINGLE, "lustre without the mount option flock: locks are not known to other hosts")
    if mount.shared:
        return Fit(SINGLE, f"{kind}: locks between hosts are missing or not to be trusted")
    return Fit(SINGLE, f"{kind} is no file system that mt knows")


def parse_mountinfo(text: str) -> list[Mount]:
    """The lines of a mountinfo file, in their order; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        mine, dash, super_ = line.partition(" - ")
        words, rest = mine.split(" "), super_.split(" ")
        if not dash or len(words) < 6 or len(rest) < 3:
            continue
        options = frozenset(words[5].split(",")) | frozenset(rest[2].split(","))
        found.append(Mount(rest[0], options, _unescaped(words[4]), words[2]))
    return found


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def mount_at(mounts: list[Mount], real: str, device: str) -> Mount:
    """The mount that a real path is on: the longest mount point above it, of this device where one has it.

    A device settles which of several mounts at one point is seen; btrfs shows
    another one to stat than in the list.
    """
    above = [m for m in mounts if real == m.point or real.startswith(m.point.rstrip("/") + "/")]
    same = [m for m in above if m.device == device] or above or [m for m in mounts if m.device == device]
    best = UNKNOWN
    for mount in same:
        if len(mount.point) >= len(best.point):  # a later mount hides an earlier one at the same point
            best = mount
    return best


def mount_of(path: str) -> Mount:
    """The mount that a path is on, from this process's view; UNKNOWN where it cannot be told."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as f:
            text = f.read()
        dev = os.stat(path).st_dev
    except OSError:
        return UNKNOWN
    device = f"{os.major(dev)}:{os.minor(dev)}"
    ours = "\n".join(line for line in text.split("\n") if f" {device} " in line)
    return mount_at(parse_mountinfo(ours or text), os.path.realpath(path), device)


def mismatch(choice: Choice, mount: Mount) -> StoreError | None:
    """What is wrong with using a mode on this mount; None when they agree.

    A mode that asks less than the mount can do is right: the area may be on the
    local disk of the host that exports it.  A mode that somebody chose is right
    on mounts like the one where it was chosen.
    """
    fit = classify(mount)
    if MODES.index(choice.mode) >= MODES.index(fit.mode):
        return None
    if choice.fs == mount.label and not (choice.mode == DIRECT and mount.shared):
        return None
    return StoreError(
        f"the storage mode is {choice.mode}, which would break the databases here: {fit.why}",
        hint=f"mt db mode {fit.mode}",
    )


def check(choice: Choice, root: str) -> None:
    """Raise StoreError where this host sees another kind of file system at `root` than the mode is for.

    Costs one stat on a disk that is a block device, and nothing in the mode
    that trusts nobody; else the list of mounts is read.
    """
    if choice.mode == SINGLE or (choice.mode == DIRECT and os.major(os.stat(root).st_dev)):
        return
    wrong = mismatch(choice, mount_of(root))
    if wrong:
        raise wrong


def choose(root: str, wish: str | None = None) -> Choice:
    """The mode for a store that is being made at `root`: what `[db] mode` wishes, else what fits.

    A file system that is not surely local is tried as well, with other
    processes: a try can only take trust away, since it sees one host.  Raises
    ConfigError for a wish that is no mode or that would break the dbs.
    """
    mount = mount_of(root)
    if wish:
        return wished(wish, mount, "[db] mode")
    fit = classify(mount)
    if fit.mode == NFS:
        seen = tried(root)
        fit = Fit(SINGLE, seen) if seen else fit
    return Choice(fit.mode, fit.why, mount.label)


def wished(wish: str, mount: Mount, who: str) -> Choice:
    """A mode that somebody chose; raises ConfigError when it is none, or is WAL on a network disk."""
    if wish not in MODES:
        raise ConfigError(f"{who} '{wish}': must be one of {', '.join(MODES)}")
    if wish == DIRECT and mount.shared:
        raise ConfigError(f"{who} '{wish}': {mount.type} is a network disk, WAL breaks databases there", hint=NFS)
    return Choice(wish, f"{who} {wish}", mount.label)


def tried(root: str) -> str:
    """What went wrong when locks and a database were tried in a directory; empty when they work."""
    import tempfile

    from mt.locks.probe import try_database, try_lock

    with tempfile.TemporaryDirectory(prefix=".probe-", dir=root) as scratch:
        for attempt in (try_lock, try_database):
            good, seen = attempt(scratch)
            if not good:
                return seen
    return ""


# -- the local home of live copies


def live_home(area_id: str, base: str = "/tmp") -> str:  # noqa: S108 - checked below
    """`/tmp/mt-UID/AREA8`, made when missing: where this host keeps live copies of an area's dbs.

    Raises NotPermitted when somebody else made the directory, or could write in it.
    """
    home = os.path.join(base, f"mt-{os.geteuid()}")
    for path in (home, os.path.join(home, area_id.replace("-", "")[:8])):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError as e:
            raise StoreError(f"cannot make '{path}': {why(e)}") from e
        _check_own(path)
    return path


def _check_own(path: str) -> None:
    import stat

    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise NotPermitted(f"cannot use '{path}': it is not ours", hint="remove it, or ask its owner to")
    if found.st_mode & 0o077:
        raise NotPermitted(f"cannot use '{path}': others may use it too", hint=f"chmod 700 {path}")
