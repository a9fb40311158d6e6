"""Hosts for ssh on this machine: a private sshd on 127.0.0.1 for each name, with its own keys, config and port.

They are what `mt` sees of hosts: they answer, refuse or cut connections each by
itself, but have the same processes and the same disk.  A program `ssh` that
comes first on PATH knows them and nobody else.  By hand: `scripts/ssh-lab`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import NamedTuple

NAMES = ("a", "b", "c")
#: a command that stands between sshd and what was asked of it, as a login shell does whose start files print
LOUD = 'echo "Welcome to this host!"; printf "No newline here"; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'

#: with SHLVL a bash takes itself for an inner shell and reads no start files of the user: they cost time, and a
#: connection that is cut would end them midway, with the locks that they hold
_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
PidFile {home}/{name}.pid
AuthorizedKeysFile {home}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
MaxStartups 200:30:300
MaxSessions 200
SetEnv SSH_LAB={home} SHLVL=1
"""
_CLIENT = """\
Host {name}
  HostName 127.0.0.1
  HostKeyAlias {name}
  Port {port}
"""
_EVERY = """\
Host *
  IdentityFile {home}/id
  IdentityAgent none
  IdentitiesOnly yes
  UserKnownHostsFile {home}/known_hosts
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


def missing() -> str:
    """Why there can be no such hosts here; empty when there can."""
    for program in ("ssh", "ssh-keygen"):
        if not shutil.which(program):
            return f"'{program}' is not installed"
    return "" if _sshd() else "'sshd' is not installed (package openssh-server)"


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin:/usr/local/sbin")


class Host(NamedTuple):
    """A name, its port, and the command that gets what was asked, if any."""

    name: str
    port: int
    forced: str = ""


class SshLab:
    """Hosts below one directory; raises RuntimeError with one clear line."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.config = self.home / "ssh_config"

    # -- begin and end ------------------------------------------------------------------------------

    def start(self, *names: str, forced: Mapping[str, str] | None = None) -> SshLab:
        """Start hosts, and those of an earlier start that do not run; `forced` are more, with their commands."""
        why = missing()
        if why:
            raise RuntimeError(why)
        self._prepare()
        known = {host.name: host for host in self.hosts()}
        for name, command in {**dict.fromkeys(names, ""), **(forced or {})}.items():
            known.setdefault(name, Host(name, _free_port(), command))
        (self.home / "hosts.json").write_text(json.dumps([*known.values()]))
        self.config.write_text("".join(_CLIENT.format(**h._asdict()) for h in known.values()) + self._fill(_EVERY))
        for host in known.values():
            self._listen(host)
        return self

    def stop(self) -> None:
        """End the servers, their connections and what jobs have left."""
        for host in self.hosts():
            self.cut(host.name)
        for pid in _marked(f"SSH_LAB={self.home}"):
            _kill(pid, signal.SIGKILL)

    def hosts(self) -> list[Host]:
        """What was started here."""
        try:
            return [Host(*row) for row in json.loads((self.home / "hosts.json").read_text())]
        except FileNotFoundError:
            return []

    @property
    def env(self) -> dict[str, str]:
        """Variables with which a plain `ssh` reaches these hosts."""
        return {"PATH": f"{self.home}/bin:{os.environ.get('PATH', os.defpath)}"}

    def _prepare(self) -> None:
        (self.home / "bin").mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        for key in ("host_key", "id"):
            if not (self.home / key).exists():
                make_key(self.home / key)
        shutil.copy(self.home / "id.pub", self.home / "authorized_keys")
        wrapper = self.home / "bin" / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {quote(str(self.config))} "$@"\n')
        wrapper.chmod(0o755)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where Debian's sshd locks itself in

    def _fill(self, text: str, **more: object) -> str:
        return text.format(home=self.home, **more)

    def _listen(self, host: Host) -> None:
        if self.server(host.name):
            return
        config = self.home / f"{host.name}.sshd_config"
        forced = f"ForceCommand {host.forced}\n" if host.forced else ""
        config.write_text(self._fill(_SERVER, **host._asdict()) + forced)
        log = self.home / f"{host.name}.log"
        done = subprocess.run([str(_sshd()), "-f", config, "-E", log], check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            last = log.read_text().strip().rpartition("\n")[2] if log.exists() else f"status {done.returncode}"
            raise RuntimeError(f"sshd did not start: {last}")
        wait_until(lambda: self.server(host.name) > 0, f"the pid of sshd '{host.name}'")

    # -- what happens to hosts ------------------------------------------------------------------------

    def server(self, name: str) -> int:
        """The pid of the sshd of a host, 0 when it does not run."""
        try:
            pid = int((self.home / f"{name}.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        return pid if f"{self.home}/{name}.sshd_config".encode() in words else 0

    def cut(self, name: str) -> None:
        """Nobody gets to a host any more, and connections to it end; what was started there goes on."""
        pid = self.server(name)
        if not pid:
            return
        for one in [pid, *(p for p in _below(pid) if _comm(p).startswith("sshd"))]:
            _kill(one, signal.SIGKILL)
        wait_until(lambda: not self.server(name), f"the end of sshd '{name}'")

    def heal(self, name: str) -> None:
        """The host answers again."""
        self._listen(next(host for host in self.hosts() if host.name == name))

    def change_key(self) -> None:
        """From now on a key is shown that no host knows."""
        for path in (self.home / "id", self.home / "id.pub"):
            path.unlink()
        make_key(self.home / "id")


def as_login(shell: str) -> str:
    """The command that hands on what was asked to this program, as sshd does where it is the login shell."""
    return f'exec {quote(shell)} -c "$SSH_ORIGINAL_COMMAND"'


def make_key(path: Path) -> None:
    """A new pair of keys without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, stdin=subprocess.DEVNULL)


def wait_until(true: object, what: str, seconds: float = 20.0) -> None:
    """Look again and again until a condition holds; raises RuntimeError after some seconds."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _kill(pid: int, sig: int) -> None:
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        return


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _below(pid: int) -> Iterator[int]:
    """The living descendants of a process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _below(child)


def _marked(setting: str) -> Iterator[int]:
    """Processes that have a setting in their environment."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                given = Path(entry.path, "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if setting.encode() in given:
                yield int(entry.name)
