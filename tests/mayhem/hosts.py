"""Simulated hosts on one machine: processes with network, host name, process ids, /tmp and mounts of their own.

A host is one process that began in new namespaces and everything that was
started in them.  All hosts share the disk, as if each had mounted the same file
server, and a network 10.78.0.0/24 that leads nowhere else.  The same pid exists
on each, `kill` reaches nobody of another host, and /tmp differs.  What they do
not show: the caches of a network file system (see `mounts`), and clocks that
differ.  Needs root.  Killing the process of a host ends all that runs on it.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

NET = "10.78.0"
SWITCH = "switch"
_TOOLS = ("unshare", "nsenter", "setpriv", "ip", "mount", "bash")
_SPACES = ("--net", "--uts", "--ipc", "--mount", "--pid", "--fork")
_HOME = Path(__file__).resolve().parents[2]

# words: DIR NAME KEEP...; ends as the reaper of what is orphaned on this host
_BOOT = """
set -e
dir=$1 name=$2; shift 2
hostname "$name"
mount -t proc proc /proc
ip link set lo up
own=$dir/$name.tmp
mkdir -p "$own"
for path; do
    case $path in /tmp/*)
        mkdir -p "$own/${path#/tmp/}"
        mount --rbind "$path" "$own/${path#/tmp/}" ;;
    esac
done
mount --rbind "$own" /tmp
mount -t tmpfs -o size=256m shm /dev/shm
[ -p "$dir/$name.never" ] || mkfifo "$dir/$name.never"
exec 9<>"$dir/$name.never"
echo ready
exec >/dev/null
while :; do read -r _ <&9 || :; done
"""


def missing() -> str:
    """Why there can be no simulated hosts here; empty when there can."""
    if os.geteuid() != 0:
        return "simulated hosts need root"
    lacking = [tool for tool in _TOOLS if not shutil.which(tool)]
    if lacking:
        return f"simulated hosts need {', '.join(lacking)}"
    try:
        tried = subprocess.run(
            ["unshare", *_SPACES, "mount", "-t", "proc", "proc", "/proc"], capture_output=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired:
        return "making namespaces hangs here"
    return "" if tried.returncode == 0 else f"no namespaces here: {tried.stderr.decode(errors='replace').strip()}"


def parent_of(pid: int) -> int:
    """The parent of a process; 0 when it is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def send(pids: Sequence[int], number: int) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Lab:
    """Hosts whose state is kept in `home`; with `lasting` they outlive the process that started them."""

    def __init__(self, home: Path, *, lasting: bool = False) -> None:
        self.home = home
        self.lasting = lasting
        self.names: list[str] = []
        self._parents: dict[str, subprocess.Popen[bytes]] = {}
        home.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self, *names: str, keep: Sequence[Path] = ()) -> Lab:
        """Start hosts, at 10.78.0.1, .2, ... in this order; `keep` are paths below /tmp that they see as well."""
        self._register(names)
        kept = [self.home, _HOME, Path(sys.prefix), *keep]
        if self.pid(SWITCH) is None:
            self._boot(SWITCH, kept)
            self._ip(SWITCH, "link", "add", "br0", "type", "bridge")
            self._ip(SWITCH, "link", "set", "br0", "up")
        for name in names:
            self._boot(name, kept)
            self._plug(name)
            self.names.append(name)
        return self

    def _register(self, names: Sequence[str]) -> None:
        """Give new names the next addresses; one that was there before keeps its own."""
        file = self.home / "hosts"
        lines = file.read_text().splitlines() if file.exists() else ["127.0.0.1 localhost"]
        known = {line.split()[1] for line in lines}
        lines += [f"{NET}.{n} {name}" for n, name in enumerate((n for n in names if n not in known), len(lines))]
        file.write_text("\n".join(lines) + "\n")

    def _boot(self, name: str, kept: Sequence[Path]) -> None:
        tied = [] if self.lasting else ["setpriv", "--pdeathsig", "KILL"]
        spaces = [*_SPACES, "--kill-child", "--propagation", "private"]
        words = [*tied, "unshare", *spaces, "bash", "-c", _BOOT, f"host {name}", str(self.home), name, *map(str, kept)]
        with open(self.home / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert process.stdout
        with process.stdout:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"host {name} did not start: {(self.home / f'{name}.log').read_text()}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (self.home / f"{name}.pid").write_text(children[0])
        if self.lasting:
            process.returncode = 0  # not ours to wait for: it is found by its pid file, and ended through it
        else:
            self._parents[name] = process

    def _plug(self, name: str) -> None:
        ends = ["netns", str(self.pid(SWITCH)), "type", "veth", "peer", "name", "eth0", "netns", str(self.pid(name))]
        # a host that has crashed keeps its end of the cable while connections are not given up
        before = [*self.on(SWITCH), "ip", "link", "del", f"p-{name}"]
        subprocess.run(before, stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "link", "add", f"p-{name}", *ends], check=True)
        self._ip(SWITCH, "link", "set", f"p-{name}", "master", "br0", "up")
        self._ip(name, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
        self._ip(name, "link", "set", "eth0", "up")
        subprocess.run([*self.on(name), "mount", "--bind", str(self.home / "hosts"), "/etc/hosts"], check=True)

    def _ip(self, name: str, *words: str) -> None:
        subprocess.run([*self.on(name), "ip", *words], check=True)

    def pid(self, name: str) -> int | None:
        """The process of a host as the machine sees it; None when it is not up."""
        try:
            pid = int((self.home / f"{name}.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if f"host {name}".encode() in words else None

    def address(self, name: str) -> str:
        """The IP address of a host."""
        for line in (self.home / "hosts").read_text().splitlines():
            if line.split()[1] == name:
                return line.split()[0]
        raise KeyError(name)

    def on(self, name: str) -> list[str]:
        """The words before a command that make it run on a host; it dies with the process that these words begin."""
        pid = self.pid(name)
        if pid is None:
            raise RuntimeError(f"host {name} is not up")
        return ["nsenter", "-t", str(pid), "-n", "-u", "-m", "-p", "-i", "--", "setpriv", "--pdeathsig", "KILL", "--"]

    def members(self, name: str) -> list[int]:
        """All processes on a host but its first, by the machine's pids."""
        first = self.pid(name)
        if first is None:
            return []
        space = os.readlink(f"/proc/{first}/ns/pid")
        found = []
        for word in os.listdir("/proc"):
            with suppress(OSError):
                if word.isdigit() and int(word) != first and os.readlink(f"/proc/{word}/ns/pid") == space:
                    found.append(int(word))
        return found

    def ways_in(self, name: str) -> list[int]:
        """The processes outside of a host through which something was started there.

        nsenter stops itself when what it started is stopped, and must be told to go on as well.
        """
        inside = set(self.members(name))
        return sorted({parent_of(pid) for pid in inside} - inside - {self.pid(name), 0, 1, os.getpid()})

    def cut(self, name: str) -> None:
        """Pull the cable of a host."""
        self._ip(SWITCH, "link", "set", f"p-{name}", "down")

    def heal(self, name: str) -> None:
        """Plug it in again."""
        self._ip(SWITCH, "link", "set", f"p-{name}", "up")

    def pause(self, name: str) -> None:
        """Stop every process of a host, as a hung machine does."""
        send(self.members(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let them go on."""
        send(self.members(name), signal.SIGCONT)
        send(self.ways_in(name), signal.SIGCONT)

    def crash(self, name: str) -> None:
        """Power off: the cable first, so that nobody is told, then every process at once.

        They are stopped before, because the kernel ends one after the other: else
        a worker may see its step end by KILL, which no loss of power shows.
        """
        pid = self.pid(name)
        if pid is None:
            return
        self.cut(name)
        self.pause(name)
        self._end(name, pid)
        if name in self.names:
            self.names.remove(name)

    def _end(self, name: str, pid: int) -> None:
        """End the first process of a host, with which the kernel ends all others, and wait until it is gone."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            ways = self.ways_in(name)
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            for _ in range(200):  # a way in may stop itself at any time, and what it does not collect keeps the host
                send(ways, signal.SIGCONT)
                if select.select([fd], [], [], 0.1)[0]:
                    break
        finally:
            os.close(fd)
        if name in self._parents:
            self._parents.pop(name).wait(10)
        (self.home / f"{name}.pid").unlink(missing_ok=True)

    def down(self) -> None:
        """End all hosts, also those that another process started."""
        for file in sorted(self.home.glob("*.pid")):
            pid = self.pid(file.stem)
            if pid is not None:
                self._end(file.stem, pid)
            file.unlink(missing_ok=True)
        self.names = []
