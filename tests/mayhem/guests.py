"""NFS 4.2 for real where the kernel has none: a server and two clients, each a user-mode Linux on the switch of a lab.

A guest is a process of this machine: its root is our own file system (hostfs),
its kernel is Debian's user-mode-linux with nfs and nfsd as modules.  Guest `s`
exports a tmpfs, guests `a` and `b` mount it at /mnt/nfs and are reached by ssh.
They have clocks, caches and locks of their own: what one of them looked for in
vain stays unseen for half a minute, as on any NFS.  Below /tmp a guest sees
only `home` and the paths that are kept.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mayhem.hosts import NET, SWITCH, Lab
from mayhem.mounts import wait_for

UML, MODULES = "linux.uml", Path("/usr/lib/uml/modules")
POINT = Path("/mnt/nfs")
CLIENTS = {"a": 2, "b": 3}
_TOOLS = (UML, "rpc.nfsd", "exportfs", "rpc.mountd", "mount.nfs4", "modprobe", "depmod", "sshd", "ssh-keygen")
_HOME = Path(__file__).resolve().parents[2]

# of every guest; $home, $name, $address and $keep are written before it
_INIT = """
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/tmp /mnt/nfs /mnt/export /run/sshd
for path in $keep; do
    case $path in /tmp/*) mkdir -p "/mnt/tmp/${path#/tmp/}"; mount --bind "$path" "/mnt/tmp/${path#/tmp/}" ;; esac
done
mount --rbind /mnt/tmp /tmp
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /var/lib/nfs
hostname "$name"
ip link set lo up
ip link set vec0 up
ip addr add "$address/24" dev vec0
exec </dev/null
: >/run/empty
for file in /root/.bashrc /root/.profile; do [ ! -e $file ] || mount --bind /run/empty $file; done
"""
_SERVER = """
modprobe -d "$home/modules" nfsd
mount -t tmpfs -o size=300m tmpfs /mnt/export
mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs
echo "/mnt/export *(rw,sync,no_root_squash,no_subtree_check,fsid=0,insecure)" >/run/exports
mount --bind /run/exports /etc/exports
rpc.nfsd -N 3 4
exportfs -ra
rpc.mountd -N 3
"""
_CLIENT = """
modprobe -d "$home/modules" nfsv4
for try in 1 2 3 4 5 6 7 8; do
    timeout 20 mount -t nfs4 -o vers=4.2 "$server:/" /mnt/nfs && break
    sleep 1
done
mount | grep nfs4
/usr/sbin/sshd -f "$home/sshd_config" -o ListenAddress="$address"
"""
_LAST = """
echo "$name is up"
while [ ! -e "$home/stop" ]; do sleep 0.5; done
umount -f -l /mnt/nfs 2>/dev/null
echo o >/proc/sysrq-trigger
sleep 5
"""
_SSHD = """\
Port 22
HostKey {home}/host_key
PidFile none
AuthorizedKeysFile {home}/id.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""


def missing() -> str:
    """Why there can be no guests here; empty when there can."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    lacking = [tool for tool in _TOOLS if not shutil.which(tool, path=path)]
    if lacking:
        packages = "user-mode-linux nfs-kernel-server nfs-common kmod openssh-server"
        return f"NFS in user-mode Linux needs {', '.join(lacking)}: apt-get install {packages}"
    return "" if os.path.exists("/dev/net/tun") else "NFS in user-mode Linux needs /dev/net/tun"


class Guests:
    """The three guests for the length of a `with`."""

    def __init__(self, lab: Lab, home: Path, keep: Sequence[Path] = ()) -> None:
        self.lab = lab
        self.home = home
        self.keep = [home, _HOME, Path(sys.prefix), *keep]
        self.guests: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Guests:
        self.home.mkdir()
        try:
            self._prepare()
            self._boot("s", 1, _SERVER)
            wait_for(lambda: self._up("s"), self.home, 120)
            for name, number in CLIENTS.items():
                self._boot(name, number, _CLIENT)
            wait_for(lambda: all(map(self._answers, CLIENTS)), self.home, 180)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        (self.home / "stop").touch()
        for guest in self.guests:
            try:
                guest.wait(10)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(guest.pid, signal.SIGKILL)
                guest.wait(10)

    def _prepare(self) -> None:
        """Keys, the modules where modprobe looks for them, and the switch."""
        for key in ("host_key", "id"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.home / key], check=True)
        (self.home / "sshd_config").write_text(_SSHD.format(home=self.home))
        (version,) = (p.name for p in MODULES.iterdir())
        shutil.copytree(MODULES / version, self.home / "modules" / "lib" / "modules" / version)
        subprocess.run(["depmod", "-b", self.home / "modules", version], check=True)
        self.lab.up()
        self._switch("ip", "addr", "add", f"{NET}.250/24", "dev", "br0")

    def _plain(self) -> list[str]:
        """The words before a command that give it the network of the switch, and nothing else."""
        return ["nsenter", "-t", str(self.lab.pid(SWITCH)), "-n", "--"]

    def _switch(self, *words: str) -> None:
        subprocess.run([*self._plain(), *words], check=True)

    def _boot(self, name: str, number: int, job: str) -> None:
        port = f"t-{name}"
        self._switch("ip", "tuntap", "add", port, "mode", "tap")
        self._switch("ip", "link", "set", port, "master", "br0", "up")
        facts = {
            "home": self.home, "name": name, "address": f"{NET}.{number}", "server": f"{NET}.1",
            "keep": " ".join(map(str, self.keep)),
        }  # fmt: skip
        init = self.home / f"{name}.init"
        settings = "".join(f"{k}={shlex.quote(str(v))}\n" for k, v in facts.items())
        init.write_text(f"#!/bin/bash\n{settings}{_INIT}{job}{_LAST}")
        init.chmod(0o755)
        words = [
            UML, "mem=512M", f"umid={name}{os.getpid()}", f"uml_dir={self.home}/uml", "root=/dev/root",
            "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}", "con=null", "con0=null,fd:1", "quiet",
            f"vec0:transport=tap,ifname={port},mac=02:00:00:00:02:0{number}",
        ]  # fmt: skip
        with open(self.home / f"{name}.log", "wb") as log:
            self.guests.append(
                subprocess.Popen(
                    [*self._plain(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**os.environ, "TMPDIR": "/dev/shm"}, start_new_session=True,
                )
            )  # fmt: skip

    def _up(self, name: str) -> bool:
        return f"{name} is up" in (self.home / f"{name}.log").read_text(errors="replace")

    def _answers(self, name: str) -> bool:
        return self._up(name) and self.run(name, "mountpoint", "-q", str(POINT)).returncode == 0

    def on(self, name: str) -> list[str]:
        """The words before a command, given as one shell word, that run it on a client."""
        options = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR", "IdentitiesOnly=yes"]
        choices = [word for option in options for word in ("-o", option)]
        key = ["-i", str(self.home / "id")]
        return [*self._plain(), "ssh", "-F", "none", *key, *choices, f"root@{NET}.{CLIENTS[name]}"]

    def run(self, name: str, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command on a client and wait for it."""
        return subprocess.run(
            [*self.on(name), shlex.join(words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip
