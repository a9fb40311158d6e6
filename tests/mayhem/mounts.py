"""Real network file systems between simulated hosts: host `s` serves, hosts `a` and `b` mount it at one path.

| name | what | what is known of it (lab figures) |
|---|---|---|
| sshfs | sshfs to a private sshd | each mount has locks of its own only |
| glusterfs | one brick, without glusterd, default page cache | locks work, and half of the updates of a db are lost |
| moosefs | master, chunk server and two mounts | locks and rollback journals work, WAL does not |

Nothing is installed here: `lacking` says what is missing, and Debian's packages.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mayhem.hosts import Lab

CLIENTS = ("a", "b")


class Kind(NamedTuple):
    """A network file system: the programs it needs, the packages they are in, how to serve it and how to mount it."""

    name: str
    programs: tuple[str, ...]
    packages: str
    serve: Callable[[Lab, Path], list[subprocess.Popen[bytes]]]
    mount: Callable[[Lab, Path, str, Path], None]


def lacking(kind: Kind) -> str:
    """Why it cannot be tried here; empty when it can."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [p for p in kind.programs if not shutil.which(p, path=path)]
    if missing:
        return f"{kind.name} needs {', '.join(missing)}: apt-get install {kind.packages}"
    return "" if os.path.exists("/dev/fuse") else f"{kind.name} needs /dev/fuse"


class Share:
    """One network file system, served and mounted; `home` is where its own files are, `point` where it is mounted."""

    def __init__(self, kind: Kind, lab: Lab, home: Path) -> None:
        self.kind = kind
        self.lab = lab
        self.home = home
        self.point = home / "mnt"
        self.servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Share:
        self.point.mkdir(parents=True)
        try:
            self.servers = self.kind.serve(self.lab, self.home)
            for client in CLIENTS:
                self.mount(client)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for client in CLIENTS:
            run(self.lab, client, "umount", "-l", str(self.point), good=False)
        for server in self.servers:
            server.kill()
            server.wait(10)

    def mount(self, client: str) -> None:
        """Mount it on a host."""
        self.kind.mount(self.lab, self.home, client, self.point)
        wait_for(lambda: run(self.lab, client, "mountpoint", "-q", str(self.point), good=False) == 0, self.home)

    def fresh(self, client: str) -> None:
        """Mount it anew: no cache remembers anything."""
        run(self.lab, client, "umount", str(self.point), good=False)
        run(self.lab, client, "umount", "-l", str(self.point), good=False)
        wait_for(lambda: run(self.lab, client, "mountpoint", "-q", str(self.point), good=False) != 0, self.home)
        self.mount(client)

    def seen_from_outside(self, client: str) -> Path:
        """The mount as a process of the machine itself reaches it."""
        return Path(f"/proc/{self.lab.pid(client)}/root{self.point}")


def run(lab: Lab, host: str, *words: str, good: bool = True) -> int:
    """Run a command on a host; `good`: it must succeed."""
    done = subprocess.run([*lab.on(host), *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if good and done.returncode:
        raise RuntimeError(f"{' '.join(words)} on {host}: {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.returncode


def serve(lab: Lab, log: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a server on host s that stays in the foreground."""
    with open(log, "ab") as out:
        return subprocess.Popen([*lab.on("s"), *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def wait_for(true: Callable[[], bool], logs: Path, patience: float = 30) -> None:
    """Wait until something is so; when it never is, say what the logs say."""
    until = time.monotonic() + patience
    while not true():
        if time.monotonic() > until:
            said = "".join(f"{p.name}: {p.read_text(errors='replace')[-1500:]}\n" for p in sorted(logs.glob("*.log")))
            raise RuntimeError(f"it did not come up:\n{said}")
        select.select([], [], [], 0.05)


def answers(lab: Lab, address: str, port: int) -> Callable[[], bool]:
    """Whether somebody listens."""
    return lambda: run(lab, "a", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}", good=False) == 0


# --- sshfs ------------------------------------------------------------------

_SSHD = """\
Port 22
ListenAddress {address}
HostKey {home}/host_key
PidFile none
AuthorizedKeysFile {home}/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
_SSH = """\
Host *
  IdentityFile {home}/id
  IdentitiesOnly yes
  UserKnownHostsFile {home}/known_hosts
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


def serve_sshfs(lab: Lab, home: Path) -> list[subprocess.Popen[bytes]]:
    """A private sshd with keys of its own."""
    (home / "src").mkdir()
    for key in ("host_key", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / key], check=True)
    facts = {"home": home, "address": lab.address("s")}
    (home / "sshd_config").write_text(_SSHD.format(**facts))
    (home / "ssh_config").write_text(_SSH.format(**facts))
    Path("/run/sshd").mkdir(exist_ok=True)
    server = serve(lab, home / "sshd.log", "/usr/sbin/sshd", "-D", "-e", "-f", str(home / "sshd_config"))
    wait_for(answers(lab, lab.address("s"), 22), home)
    return [server]


def mount_sshfs(lab: Lab, home: Path, client: str, point: Path) -> None:
    """Attributes are cached for 2 s in place of 20: the leases of a storm are short.

    Newer sshfs (those of CVE-2026-47187) refuses to read absolute links unless told: a link tree has such.
    """
    options = "dcache_timeout=2,dcache_stat_timeout=2,dcache_dir_timeout=2"
    if b"no_contain_symlinks" in subprocess.run(["sshfs", "--help"], capture_output=True).stdout:
        options += ",no_contain_symlinks"
    run(lab, client, "sshfs", "-F", f"{home}/ssh_config", f"{lab.address('s')}:{home}/src", str(point), "-o", options)


# --- GlusterFS --------------------------------------------------------------

_BRICK = """\
volume posix
  type storage/posix
  option directory {home}/brick
end-volume
volume locks
  type features/locks
  subvolumes posix
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.socket.bind-address {address}
  option transport.socket.listen-port 24007
  option auth.addr.locks.allow *
  subvolumes locks
end-volume
"""
_CLIENT = """\
volume client
  type protocol/client
  option transport-type tcp
  option remote-host {address}
  option remote-port 24007
  option remote-subvolume locks
end-volume
"""


def serve_glusterfs(lab: Lab, home: Path) -> list[subprocess.Popen[bytes]]:
    """One brick without glusterd: two files say all."""
    (home / "brick").mkdir()
    facts = {"home": home, "address": lab.address("s")}
    (home / "brick.vol").write_text(_BRICK.format(**facts))
    (home / "client.vol").write_text(_CLIENT.format(**facts))
    words = ["glusterfsd", "-N", "-f", f"{home}/brick.vol", "-l", f"{home}/brick.log", "-p", f"{home}/brick.pid"]
    server = serve(lab, home / "glusterfsd.log", *words)
    wait_for(answers(lab, lab.address("s"), 24007), home)
    return [server]


def mount_glusterfs(lab: Lab, home: Path, client: str, point: Path) -> None:
    """With the defaults, so with the page cache that loses updates of databases."""
    run(lab, client, "glusterfs", "-f", f"{home}/client.vol", "-l", f"{home}/{client}.log", str(point))


# --- MooseFS ----------------------------------------------------------------

_MASTER = """\
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = {home}/master
EXPORTS_FILENAME = {home}/exports.cfg
TOPOLOGY_FILENAME = {home}/none.cfg
LOCK_MEMORY = 0
NICE_LEVEL = 0
MATOML_LISTEN_HOST = {address}
MATOCS_LISTEN_HOST = {address}
MATOCL_LISTEN_HOST = {address}
"""
_CHUNKS = """\
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = {home}/chunks
HDD_CONF_FILENAME = {home}/hdd.cfg
MASTER_HOST = {address}
CSSERV_LISTEN_HOST = {address}
LOCK_MEMORY = 0
NICE_LEVEL = 0
HDD_LEAVE_SPACE_DEFAULT = 64MiB
"""


def serve_moosefs(lab: Lab, home: Path) -> list[subprocess.Popen[bytes]]:
    """A master and one chunk server."""
    for name in ("master", "chunks", "hdd"):
        (home / name).mkdir()
    facts = {"home": home, "address": lab.address("s")}
    (home / "master" / "metadata.mfs").write_text("MFSM NEW")
    (home / "exports.cfg").write_text("* / rw,alldirs,admin,maproot=0:0\n")
    (home / "hdd.cfg").write_text(f"{home}/hdd\n")
    (home / "master.cfg").write_text(_MASTER.format(**facts))
    (home / "chunks.cfg").write_text(_CHUNKS.format(**facts))
    master = serve(lab, home / "master.log", "mfsmaster", "-f", "-c", f"{home}/master.cfg", "start")
    wait_for(answers(lab, lab.address("s"), 9420), home)
    chunks = serve(lab, home / "chunks.log", "mfschunkserver", "-f", "-c", f"{home}/chunks.cfg", "start")
    wait_for(answers(lab, lab.address("s"), 9422), home)
    return [master, chunks]


def mount_moosefs(lab: Lab, home: Path, client: str, point: Path) -> None:
    """A mount is of use when the chunk server has told the master of its space."""
    run(lab, client, "mfsmount", str(point), "-H", lab.address("s"))
    writes = ["bash", "-c", f"echo {client} >{point}/.try-{client} && [ -s {point}/.try-{client} ]"]
    wait_for(lambda: run(lab, client, "timeout", "5", *writes, good=False) == 0, home, 60)


KINDS = {
    "sshfs": Kind("sshfs", ("sshfs", "sshd", "ssh-keygen"), "sshfs openssh-server", serve_sshfs, mount_sshfs),
    "glusterfs": Kind(
        "glusterfs", ("glusterfsd", "glusterfs"), "glusterfs-server glusterfs-client", serve_glusterfs, mount_glusterfs
    ),
    "moosefs": Kind(
        "moosefs",
        ("mfsmaster", "mfschunkserver", "mfsmount"),
        "moosefs-master moosefs-chunkserver moosefs-client",
        serve_moosefs,
        mount_moosefs,
    ),
}
