"""Which storage mode fits which mount (spec/architecture.md 4.3)."""

from __future__ import annotations

import pytest

from mt.errors import ConfigError
from mt.storage import DIRECT, MODES, NFS, SINGLE, Choice, Mount, classify, mismatch, mount_at, parse_mountinfo, wished

NFS_OPTIONS = "rw,vers=3,rsize=1048576,hard,proto=tcp,timeo=600,sec=sys,local_lock=none,addr=10.0.0.1"


def line(kind: str, options: str = "rw", point: str = "/proj", device: str = "0:47") -> str:
    return f"41 27 {device} / {point} rw,nosuid,relatime shared:7 master:1 - {kind} srv:/export/a\\040b {options}"


@pytest.mark.parametrize(
    ("kind", "options", "mode"),
    [
        *((kind, "rw", DIRECT) for kind in ("ext4", "ext3", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs")),
        ("nfs", NFS_OPTIONS, NFS),
        ("nfs4", NFS_OPTIONS.replace("vers=3", "vers=4.2"), NFS),
        ("nfs", NFS_OPTIONS + ",nolock", SINGLE),
        ("nfs", NFS_OPTIONS.replace("local_lock=none", "local_lock=flock"), SINGLE),
        ("nfs", NFS_OPTIONS.replace("local_lock=none", "local_lock=posix"), SINGLE),
        ("nfs4", NFS_OPTIONS.replace("local_lock=none", "local_lock=all"), SINGLE),
        ("nfs4", NFS_OPTIONS + ",nocto", SINGLE),
        ("lustre", "rw,flock,lazystatfs", NFS),
        ("lustre", "rw,localflock", SINGLE),
        ("lustre", "rw,noflock", SINGLE),
        ("lustre", "rw,lazystatfs", SINGLE),
        *((f"fuse.{kind}", "rw,user_id=0", SINGLE) for kind in ("sshfs", "glusterfs", "mfs", "rclone", "ceph-fuse")),
        *((kind, "rw", SINGLE) for kind in ("9p", "cifs", "smb3", "vboxsf", "ceph", "gpfs", "beegfs", "fuseblk")),
        ("a file system of tomorrow".replace(" ", "_"), "rw", SINGLE),
    ],
)
def test_a_mount_gets_the_mode_that_its_type_and_options_allow(kind: str, options: str, mode: str) -> None:
    (mount,) = parse_mountinfo(line(kind, options))
    fit = classify(mount)
    assert fit.mode == mode
    assert kind in fit.why


def test_an_option_of_the_mount_point_counts_as_one_of_the_file_system() -> None:
    assert parse_mountinfo(line("nfs4").replace("nosuid", "nocto"))[0].options >= {"nocto", "relatime"}


def test_lines_that_are_none_are_left_out() -> None:
    text = "\n".join(["", "rubbish", "1 2 3 - ", line("ext4"), "36 35 98:0 /mnt1 /mnt2 rw - ext3"])
    assert [m.type for m in parse_mountinfo(text)] == ["ext4"]


def test_the_mount_of_a_path_is_the_nearest_above_it_and_the_last_at_one_point() -> None:
    text = "\n".join(
        [
            line("ext4", point="/", device="254:0"),
            line("autofs", point="/proj", device="0:40"),
            line("nfs4", point="/proj", device="0:47"),
            line("xfs", point="/project", device="8:1"),
            line("tmpfs", point="/with\\040blank", device="0:50"),
        ]
    )
    mounts = parse_mountinfo(text)
    assert mount_at(mounts, "/proj/x/y", "0:47").type == "nfs4"
    assert mount_at(mounts, "/proj", "9:9").type == "nfs4"
    assert mount_at(mounts, "/projects", "254:0").type == "ext4"
    assert mount_at(mounts, "/with blank/x", "0:50").type == "tmpfs"
    assert mount_at([], "/", "0:1").type == "unknown"


def test_a_device_tells_which_of_the_mounts_above_is_seen() -> None:
    """/a/b was mounted before /a was: what is seen at /a/b/c is on the later one."""
    mounts = parse_mountinfo("\n".join([line("nfs4", point="/a/b", device="0:1"), line("xfs", "rw", "/a", "8:1")]))
    assert mount_at(mounts, "/a/b/c", "8:1").type == "xfs"


def test_a_mode_may_ask_less_than_the_mount_can_do_but_not_more() -> None:
    mounts = {DIRECT: Mount("ext4"), NFS: Mount("nfs4"), SINGLE: Mount("fuse.sshfs")}
    for mode in MODES:
        for fits, mount in mounts.items():
            wrong = mismatch(Choice(mode, "", ""), mount)
            assert (wrong is None) is (MODES.index(mode) >= MODES.index(fits)), (mode, fits)
            if wrong:
                assert wrong.hint == f"mt db mode {fits}"
                assert wrong.what.startswith(f"the storage mode is {mode}, which would break the databases here: ")


def test_what_somebody_chose_counts_on_mounts_like_the_one_where_he_did() -> None:
    moose, shut = Mount("fuse.mfs"), Mount("nfs", frozenset(["rw", "nolock"]))
    chosen = wished(NFS, moose, "mt db mode")
    assert chosen == Choice(NFS, "mt db mode direct-nfs", "fuse.mfs")
    assert mismatch(chosen, moose) is None
    assert mismatch(chosen, shut) is not None
    assert mismatch(wished(NFS, shut, "x"), shut) is None
    assert mismatch(wished(NFS, Mount("nfs"), "x"), shut) is not None
    assert mismatch(wished(DIRECT, Mount("newfs"), "x"), Mount("newfs")) is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "fuse", "fuse.sshfs", "cifs", "lustre", "9p"])
def test_wal_on_a_network_disk_cannot_be_chosen(kind: str) -> None:
    with pytest.raises(ConfigError, match="network disk, WAL breaks databases there"):
        wished(DIRECT, Mount(kind), "[db] mode")
    assert mismatch(Choice(DIRECT, "by hand", kind), Mount(kind)) is not None


def test_a_mode_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError) as e:
        wished("cached", Mount("ext4"), "[db] mode")
    assert e.value.what == "[db] mode 'cached': must be one of direct, direct-nfs, single-writer"
