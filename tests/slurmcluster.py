"""A private Slurm on one machine: a controller, several node daemons and munge, all below one directory.

Debian's slurmd can run several times on a host, each as a node of its own; a
node may claim more cores than there are.  All listen on 127.0.0.1, on a block
of ports that nobody else has.  By hand: `scripts/slurm-lab`; in tests: the
fixtures of `slurmlab.py`.

A process counts as ours only while its command line, or its environment,
names this directory: a pid that somebody else has now is never hit.  `run/lock`
is held by whoever starts or stops; the kernel frees it when that one dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

CONTROLLER, MUNGE = "controller", "munged"
PACKAGES = ("slurm-wlm", "slurm-client", "munge")
_DAEMONS = ("slurmctld", "slurmd", "munged")
_PROGRAMS = (*_DAEMONS, "munge", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_TEMPLATE = Path(__file__).resolve().parents[1] / "scripts" / "slurm.conf.in"
_BLOCK = 200  # ports of a lab: the controller, up to 99 nodes, then those of srun
_BLOCKS = range(16800, 32600, _BLOCK)  # below what the kernel gives to anybody
_SOCKET_BYTES = 107  # the longest name of a Unix socket
_LONGEST_SOCKET = "/spool/n99/n99_9999999.4294967291"
_UP = ("idle", "mixed", "allocated", "completing")


class LabError(Exception):
    """What cannot be done here, as one line."""


class Settings(NamedTuple):
    """What a cluster is like; seconds where Slurm has seconds.

    A lost node is seen to be down after about timeout / 3 + 2 to 3 msgtimeout.
    With a short timeout the controller asks the nodes so often that it takes,
    once in thousands, a job that is just being started for a forgotten one.
    """

    nodes: int = 4
    cpus: int = 4
    port: int = 0
    timeout: int = 30
    msgtimeout: int = 10
    killwait: int = 2
    minjobage: int = 600
    credexpire: int = 5
    debug: str = "info"
    sched: str = "sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1,default_queue_depth=1000"
    extra: str = ""


def search_path() -> str:
    """PATH with the directories of daemons, which an ordinary user's lacks."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def missing() -> str:
    """Why there can be no Slurm here; empty when there can."""
    lacking = [program for program in _PROGRAMS if not shutil.which(program, path=search_path())]
    if not lacking:
        return ""
    return f"no Slurm here ({', '.join(lacking)}): apt-get install --no-install-recommends {' '.join(PACKAGES)}"


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Look again and again until something is true; LabError when it is not in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise LabError(f"after {seconds:g} s still not so: {what}")
        time.sleep(0.05)


def running(pid: int) -> bool:
    """Is there such a process?  One that only waits to be collected counts as gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _words(path: str) -> list[str]:
    with suppress(OSError):
        return Path(path).read_bytes().decode(errors="replace").split("\0")
    return []


def _name(pid: int) -> str:
    return "".join(_words(f"/proc/{pid}/comm")).strip()


def _open_files(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


class Cluster:
    """The Slurm below `home`, whoever started it."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.conf = self.home / "slurm.conf"

    @property
    def env(self) -> dict[str, str]:
        """An environment in which the commands of Slurm mean this cluster, and nothing else tells them what to do."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH", "SQUEUE", "SINFO"))}
        return {**kept, "PATH": search_path(), "SLURM_CONF": str(self.conf), "LC_ALL": "C.UTF-8"}

    # -- what it is

    @property
    def settings(self) -> Settings | None:
        """What the cluster was started with; None when it never was."""
        with suppress(OSError, ValueError, TypeError):
            return Settings(**json.loads((self.home / "settings.json").read_text()))
        return None

    @property
    def names(self) -> list[str]:
        """The daemons of Slurm: the controller and n1, n2, ..."""
        settings = self.settings
        return [CONTROLLER, *(f"n{n}" for n in range(1, settings.nodes + 1))] if settings else []

    def pid(self, name: str) -> int | None:
        """The process of a daemon; None when it does not run."""
        with suppress(OSError, ValueError):
            pid = int((self.home / "run" / f"{name}.pid").read_text())
            return pid if self.is_daemon(pid) and running(pid) else None
        return None

    def is_daemon(self, pid: int) -> bool:
        """Is this a daemon that was told to use our configuration, or our munge?"""
        ours = {str(self.conf), f"--socket={self.home}/munge/munge.sock"}
        return not ours.isdisjoint(_words(f"/proc/{pid}/cmdline")) and _name(pid) in _DAEMONS

    def is_job(self, pid: int, node: str = "") -> bool:
        """Is this process inside a job (on this node) of ours, or does it watch over one?"""
        env = _words(f"/proc/{pid}/environ")
        if f"SLURM_CONF={self.conf}" not in env:
            return False
        if _name(pid) == "slurmstepd":  # its environment does not say which node it belongs to
            return not node or str(self.home / "log" / f"{node}.log") in _open_files(pid)
        return any(v.startswith("SLURM_JOB_ID=") for v in env) and (not node or f"SLURMD_NODENAME={node}" in env)

    def jobs(self, node: str = "") -> list[int]:
        """The processes of jobs (on this node), those that watch over them included."""
        pids = [int(word) for word in os.listdir("/proc") if word.isdigit()]
        return [pid for pid in pids if pid != os.getpid() and self.is_job(pid, node) and running(pid)]

    def run(self, *words: str, timeout: float = 30) -> str:
        """Run a command of Slurm and give what it printed; LabError with what it said when it failed."""
        try:
            done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{words[0]} gives no answer within {timeout:g} s") from None
        if done.returncode:
            raise LabError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def states(self) -> dict[str, str]:
        """{node: what the controller thinks of it}, such as `idle`, `down`, `mixed*`; `*`: it does not answer."""
        return dict(
            line.split()[:2] for line in self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").splitlines()
        )

    # -- start and stop

    def start(self, asked: Mapping[str, int | str] | None = None) -> None:
        """Start what does not run, and wait until the nodes that were started can be used.

        `asked` are those Settings that matter to the caller; for all others
        what was asked before, else the default, counts.  When a cluster that
        was not there does not come up, nothing is left running.
        """
        why = missing() or self._too_long() or _not_on_loopback()
        if why:
            raise LabError(why)
        for name in ("munge", "run", "log", "state", "spool"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        with self._alone():
            before = any(map(self.pid, self.names))
            settings = self._wanted(asked or {}, before)
            with _claimed(settings, sure=before or "port" in (asked or {})) as settings:
                known = self.settings
                self._write(settings)
                try:
                    self._start()
                except BaseException:
                    if not before:
                        self._stop()
                        self._remember(known)
                    raise

    def _too_long(self) -> str:
        spare = _SOCKET_BYTES - len(os.fsencode(f"{self.home}{_LONGEST_SOCKET}"))
        return f"'{self.home}': {-spare} bytes too long, since sockets have names of at most 107" if spare < 0 else ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with open(self.home / "run" / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _wanted(self, asked: Mapping[str, int | str], runs: bool) -> Settings:
        before = self.settings or Settings()
        settings = before._replace(**asked)  # type: ignore[arg-type]
        if runs and settings != before:
            changed = [f"{k}={v}" for k, v in settings._asdict().items() if v != getattr(before, k)]
            raise LabError(f"'{self.home}': runs with other settings than {' '.join(changed)}: stop it first")
        if not 1 <= settings.nodes <= 99:
            raise LabError(f"'{settings.nodes}' nodes: there can be 1 to 99")
        if settings.credexpire < 5:  # Slurm would take its default then, two minutes
            raise LabError(f"credexpire '{settings.credexpire}': at least 5 seconds")
        return settings

    def _write(self, settings: Settings) -> None:
        self.conf.write_text(_conf(self.home, settings))
        self._remember(settings)
        key = self.home / "munge" / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(secrets.token_bytes(1024))
        (self.home / "state").chmod(0o700)

    def _remember(self, settings: Settings | None) -> None:
        file = self.home / "settings.json"
        if settings is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(json.dumps(settings._asdict()))

    def _start(self) -> None:
        if not self.pid(MUNGE):
            self._start_munge()
        nodes = [name for name in self.start_daemons() if name != CONTROLLER]
        until(lambda: self._settled(nodes), 20, f"'{self.home}': nodes are up: {' '.join(nodes)} (see {self.home}/log)")

    def _start_munge(self) -> None:
        munge = self.home / "munge"
        munge.joinpath("munge.sock").unlink(missing_ok=True)
        self._daemon(
            "munged", "munged", "--force", "--num-threads=2", f"--key-file={munge}/munge.key",
            f"--socket={munge}/munge.sock", f"--pid-file={self.home}/run/munged.pid",
            f"--seed-file={munge}/seed", f"--log-file={self.home}/log/munged.log",
        )  # fmt: skip
        until(munge.joinpath("munge.sock").is_socket, 5, f"munge listens (see {self.home}/log)")

    def start_daemons(self) -> list[str]:
        """Start those daemons of Slurm that do not run, and give their names."""
        started = [name for name in self.names if not self.pid(name)]
        for name in started:
            if name == CONTROLLER:
                self._daemon(name, "slurmctld", "-f", str(self.conf))
            else:
                (self.home / "spool" / name).mkdir(exist_ok=True)
                self._daemon(name, "slurmd", "-f", str(self.conf), "-N", name)
        until(lambda: all(map(self.pid, started)), 5, f"'{self.home}': daemons run (see {self.home}/log)")
        return started

    def _daemon(self, name: str, *words: str) -> None:
        said = self.home / "log" / f"{name}.out"
        with open(said, "wb") as out:
            done = subprocess.run([*_renamed(), *words], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if done.returncode:
            first = said.read_text(errors="replace").strip().partition("\n")[0]
            raise LabError(f"{words[0]} does not start: {first or done.returncode} (see {self.home}/log)")

    def _settled(self, started: Iterable[str]) -> bool:
        """Does the controller answer, and can the nodes that were started be used?"""
        with suppress(LabError):
            states = self.states()
            return all(states.get(name) in _UP for name in started)
        return False

    def stop(self) -> None:
        """End all jobs and all daemons, also what was started by another process."""
        if (self.home / "run").is_dir():
            with self._alone():
                self._stop()

    def _stop(self) -> None:
        everyone = [pid for name in self.names if (pid := self.pid(name))]
        for pid in everyone:
            self.hit(pid, signal.SIGCONT)
        if self.pid(CONTROLLER):
            self._empty_queue()
        self._end(self.jobs(), 0.5)
        self._end(everyone, 3)
        self._end(self.jobs(), 0)  # what was just being started
        self._end([pid for pid in [self.pid(MUNGE)] if pid], 2)
        for file in (*(self.home / "run").glob("*.pid"), *(self.home / "munge").glob("munge.sock*")):
            file.unlink(missing_ok=True)

    def _empty_queue(self) -> None:
        """Jobs first, and none may begin meanwhile: what watches over a job stays when it cannot tell of its end."""
        with suppress(LabError):
            for partition in ("main", "short"):
                self.run("scontrol", "update", f"PartitionName={partition}", "State=DOWN", timeout=5)
            known = sorted(set(self.run("squeue", "-h", "-o", "%F", timeout=5).split()))
            if known:
                self.run("scancel", "--quiet", *known, timeout=10)
            active = ("squeue", "-h", "-o", "%A", "-t", "RUNNING,COMPLETING,SUSPENDED")
            until(lambda: not self.run(*active, timeout=5).strip(), 2, "all jobs are over")

    def _end(self, pids: Sequence[int], patience: float) -> None:
        for pid in pids:
            self.hit(pid, signal.SIGCONT)
            self.hit(pid, signal.SIGTERM)
        with suppress(LabError):
            until(lambda: not any(map(running, pids)), patience, "they end when asked")
        for pid in pids:
            self.hit(pid, signal.SIGKILL)
        with suppress(LabError):
            until(lambda: not any(map(running, pids)), 5, "they end when killed")

    # -- trouble

    def hit(self, pid: int, number: int) -> None:
        """Send a signal, if this process is there and ours."""
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                if self.is_daemon(pid) or self.is_job(pid):
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def kill(self, name: str, *, jobs: bool = False) -> None:
        """End a daemon by KILL; its jobs live on, unless `jobs`: then the whole node is lost at once."""
        pids = [self._live(name), *(self.jobs(name) if jobs else ())]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none sees another one end
            for pid in pids:
                self.hit(pid, number)
        until(lambda: not any(map(running, pids)), 5, f"{name} is gone")

    def freeze(self, name: str) -> None:
        """Stop a daemon, which then answers nobody; its jobs go on."""
        self.hit(self._live(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self.hit(self._live(name), signal.SIGCONT)

    def _live(self, name: str) -> int:
        if name not in (*self.names, MUNGE):
            raise LabError(f"no daemon '{name}': it has {' '.join((*self.names, MUNGE))}")
        pid = self.pid(name)
        if pid is None:
            raise LabError(f"'{name}' does not run")
        return pid


def _conf(home: Path, settings: Settings) -> str:
    """The text of slurm.conf; a line without a value is left out, so that Slurm's own default counts."""
    nodes, port = settings.nodes, settings.port
    many = nodes > 1  # for one node Slurm wants no brackets
    text = _TEMPLATE.read_text(encoding="utf-8").format(
        **settings._asdict(), dir=home, host=_host(), user=pwd.getpwuid(os.geteuid()).pw_name,
        srun_ports=f"{port + 100}-{port + _BLOCK - 1}",
        nodenames=f"n[1-{nodes}]" if many else "n1",
        nodeports=f"[{port + 1}-{port + nodes}]" if many else port + 1,
    )  # fmt: skip
    return "".join(f"{line}\n" for line in text.splitlines() if not line.endswith("="))


def _on_loopback() -> bool:
    """Does the name of this host lead to loopback?  That is where the daemons of Slurm listen."""
    with suppress(OSError):
        return socket.gethostbyname(socket.gethostname()).startswith("127.")
    return False


def _host() -> str:
    return socket.gethostname().partition(".")[0] if _on_loopback() else "localhost"


def _renamed() -> list[str]:
    """Words before a daemon that give it a host name of its own, where that of the machine leads elsewhere."""
    return [] if _on_loopback() else ["unshare", "--uts", "sh", "-c", 'hostname localhost && exec "$@"', "sh"]


def _not_on_loopback() -> str:
    """Why the daemons would listen elsewhere than on loopback; empty when they need not."""
    if _on_loopback() or subprocess.run([*_renamed(), "true"], capture_output=True).returncode == 0:
        return ""
    name = socket.gethostname()
    return f"host name '{name}' does not lead to 127.0.0.1: be root, or put '127.0.0.1 {name}' into /etc/hosts"


@contextmanager
def _claimed(settings: Settings, *, sure: bool) -> Iterator[Settings]:
    """The settings with a block of ports that is ours from now on: the one they name, if that is `sure` or still free.

    Who is about to start holds a socket of the block's name, which is gone
    with its process; afterwards the daemons themselves have the ports.
    """
    blocks = [settings.port] if sure else random.sample(_BLOCKS, len(_BLOCKS))
    if settings.port and not sure:
        blocks.insert(0, settings.port)
    for port in blocks:
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f"\0slurm-lab-{port}")
            except OSError:
                continue
            if sure or all(map(_free, range(port, port + 100))):
                yield settings._replace(port=port)
                return
    raise LabError(f"port {settings.port}: another lab is being started there" if sure else "no block of ports is free")


def _free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
