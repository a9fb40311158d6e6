"""A real Grid Engine on simulated hosts: a qmaster, execution hosts and hosts to submit from, all below one directory.

Hosts are those of `mayhem/hosts.py`, so a cable that is cut is cut, and nothing
listens where the machine itself could be reached.  The cell is ours, written
from nothing into `sge/`: that of the packages, if they have set one up, is never
looked at.  All that runs ends with the hosts.  By hand: `scripts/sge-lab`; in
tests: the fixtures of `sgelab.py`.

The first host has the qmaster; all may submit; those named as `runs`, or all
but the first, run jobs.  Jobs of root may run, lost hosts are noticed soon.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mayhem import hosts
from mayhem.hosts import Lab

PACKAGES = ("gridengine-master", "gridengine-exec", "gridengine-client")
QUEUES = ("all.q", "short.q")
SLOTS = 8
#: where Debian has what belongs to any cell
_ROOT, _PROGRAMS, _SHARE = (Path(p) for p in ("/var/lib/gridengine", "/usr/lib/gridengine", "/usr/share/gridengine"))
_FOREVER = tuple(f"{hard}_{what}" for hard in "sh" for what in
                 ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem"))  # fmt: skip
#: what is otherwise than in the packages: root may run jobs; a lost host is soon seen
_GLOBAL = {
    "mailer": "none", "min_uid": "0", "min_gid": "0", "load_report_time": "00:00:02", "max_unheard": "00:00:08",
    "reschedule_unknown": "00:00:03", "loglevel": "log_info",
}  # fmt: skip
#: jobs begin at once, and a host that is busy with our own tests is as good as any
_SCHEDULER = {
    "schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1", "job_load_adjustments": "NONE",
    "load_adjustment_decay_time": "0:0:0",
}  # fmt: skip
_QUEUE = {
    "seq_no": "0", "load_thresholds": "NONE", "suspend_thresholds": "NONE", "nsuspend": "1",
    "suspend_interval": "00:05:00", "priority": "0", "min_cpu_interval": "00:05:00", "processors": "UNDEFINED",
    "qtype": "BATCH INTERACTIVE", "ckpt_list": "NONE", "pe_list": "smp", "rerun": "TRUE", "slots": str(SLOTS),
    "tmpdir": "/tmp", "shell": "/bin/sh", "prolog": "NONE", "epilog": "NONE", "shell_start_mode": "posix_compliant",
    "starter_method": "NONE", "suspend_method": "NONE", "resume_method": "NONE", "terminate_method": "NONE",
    "notify": "00:00:05", "owner_list": "NONE", "user_lists": "NONE", "xuser_lists": "NONE",
    "subordinate_list": "NONE", "complex_values": "NONE", "projects": "NONE", "xprojects": "NONE",
    "calendar": "NONE", "initial_state": "default", **dict.fromkeys(_FOREVER, "INFINITY"),
}  # fmt: skip
_SMP = {
    "pe_name": "smp", "slots": "999", "user_lists": "NONE", "xuser_lists": "NONE", "start_proc_args": "NONE",
    "stop_proc_args": "NONE", "allocation_rule": "$pe_slots", "control_slaves": "FALSE", "job_is_first_task": "TRUE",
    "urgency_slots": "min", "accounting_summary": "FALSE", "qsort_args": "NONE",
}  # fmt: skip
_NO_LISTS = dict.fromkeys(("user_lists", "xuser_lists", "projects", "xprojects"), "NONE")
_HOST = {
    "load_scaling": "NONE", "complex_values": f"slots={SLOTS}", **_NO_LISTS, "usage_scaling": "NONE",
    "report_variables": "NONE",
}  # fmt: skip


class LabError(Exception):
    """What cannot be done here, as one line."""


def missing() -> str:
    """Why there can be no Grid Engine on simulated hosts here; empty when there can."""
    lacking = [name for name in ("sge_qmaster", "sge_execd", "qsub", "qstat") if not (_PROGRAMS / name).exists()]
    if lacking:
        return f"no Grid Engine here: apt-get install --no-install-recommends {' '.join(PACKAGES)}"
    return hosts.missing()


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Look again and again until something is true; LabError when it is not in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise LabError(f"after {seconds:g} s still not so: {what}")
        time.sleep(0.1)


class Grid:
    """The Grid Engine below `home`; with `lasting` it outlives the process that started it."""

    def __init__(self, home: Path, *, lasting: bool = False) -> None:
        self.home = home.resolve()
        self.lab = Lab(self.home / "hosts", lasting=lasting)
        self.root = self.home / "sge"
        self.spool = self.home / "spool"
        self.names: Sequence[str] = ()
        self.keep: Sequence[Path] = ()

    # -- what it is

    @property
    def env(self) -> dict[str, str]:
        """The variables by which the commands of Grid Engine find this one."""
        ports = {"SGE_QMASTER_PORT": "6444", "SGE_EXECD_PORT": "6445"}
        return {"SGE_ROOT": str(self.root), "SGE_CELL": "default", **ports}

    @property
    def master(self) -> str:
        """The host of the qmaster."""
        return (self.root / "default" / "common" / "act_qmaster").read_text().strip()

    def on(self, host: str) -> list[str]:
        """The words before a command that make it run on a host, where it finds Grid Engine."""
        return [*self.lab.on(host), "env", *(f"{name}={value}" for name, value in self.env.items())]

    def tried(self, host: str, *words: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end, however it ends."""
        try:
            return subprocess.run(
                [*self.on(host), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{words[0]} on {host} gives no answer within {timeout:g} s") from None

    def run(self, *words: str, host: str = "", timeout: float = 30) -> str:
        """Run a command on a host (default: the master) and give what it printed; LabError when it fails."""
        done = self.tried(host or self.master, *words, timeout=timeout)
        if done.returncode:
            raise LabError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def instances(self) -> dict[str, str]:
        """{queue@host: its state}, such as `u` (unheard of); empty when all is well."""
        lines = [line.split() for line in self.run("qstat", "-f", "-u", "*").splitlines() if "@" in line]
        return {words[0]: words[5] if len(words) > 5 else "" for words in lines}

    # -- start and stop

    def start(self, *names: str, runs: Sequence[str] = (), keep: Sequence[Path] = ()) -> None:
        """Start hosts, qmaster and execution daemons, and wait until jobs can run; `keep` as in `Lab.up`.

        When that fails nothing is left running.
        """
        why = missing()
        if why:
            raise LabError(why)
        if any(map(self.lab.pid, names)):
            raise LabError(f"'{self.home}': runs already: stop it first")
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.spool, ignore_errors=True)
        runs = runs or names[1:] or names
        self.names, self.keep = names, [self.home, *keep]
        try:
            self.lab.up(*names, keep=self.keep)
            self._write(names, runs)
            self.start_master()
            self.start_execds(*runs)
            self._tell_master(runs)
            until(lambda: self._ready(runs), 30, f"all hosts can run jobs (see {self.spool})")
        except BaseException:
            self.stop()
            raise

    def _ready(self, runs: Sequence[str]) -> bool:
        try:
            found = self.instances()
        except LabError:
            return False
        return len(found) == len(runs) * len(QUEUES) and not any(found.values())

    def _write(self, names: Sequence[str], runs: Sequence[str]) -> None:
        """A cell from nothing, as the packages do it, with everything in it that jobs need."""
        common, qmaster = self.root / "default" / "common", self.spool / "qmaster"
        for path in (common, qmaster / "job_scripts", self.spool / "exec"):
            path.mkdir(parents=True)
        for name in ("bin", "utilbin", "lib", "util"):
            (self.root / name).symlink_to(_ROOT / name)
        (common / "act_qmaster").write_text(f"{names[0]}\n")
        kept = f"{common};{qmaster}"
        bootstrap = {
            "admin_user": "none", "default_domain": "none", "ignore_fqdn": "false", "spooling_method": "classic",
            "spooling_lib": "libspoolc", "spooling_params": kept, "binary_path": "/usr/sbin",
            "qmaster_spool_dir": str(qmaster), "security_mode": "none", "listener_threads": "2",
            "worker_threads": "2", "scheduler_threads": "1",
        }  # fmt: skip
        _file(common / "bootstrap", bootstrap)
        given = _read((_SHARE / "default-configuration").read_text())
        _file(self.home / "global", {**given, **_GLOBAL, "execd_spool_dir": str(self.spool / "exec")})
        self.run(str(_PROGRAMS / "spoolinit"), "classic", "libspoolc", kept, "init")
        resources = _SHARE / "util" / "resources"
        self._defaults("configuration", self.home / "global")
        self._defaults("complexes", resources / "centry")
        self._defaults("usersets", resources / "usersets")
        self._defaults("managers", "root")
        self._defaults("exechosts", self._files("exec", {name: {"hostname": name, **_HOST} for name in runs}))
        for kind in ("adminhosts", "submithosts"):
            self._defaults(kind, self._files(kind, {name: {"hostname": name} for name in names}))
        self._defaults("pes", self._files("pe", {"smp": _SMP}))

    def _tell_master(self, runs: Sequence[str]) -> None:
        """What only the qmaster itself can do: give queues an instance on each host, change the scheduler."""
        _file(self.home / "scheduler", {**_read(self.run("qconf", "-ssconf")), **_SCHEDULER})
        self.run("qconf", "-Msconf", str(self.home / "scheduler"))
        queues = {name: {"qname": name, "hostlist": " ".join(runs), **_QUEUE} for name in QUEUES}
        folder = self._files("queue", queues)
        for name in queues:
            self.run("qconf", "-Aq", str(folder / name))

    def _defaults(self, what: str, *words: object) -> None:
        self.run(str(_PROGRAMS.parent / "gridengine" / "spooldefaults"), what, *map(str, words))

    def _files(self, kind: str, many: Mapping[str, Mapping[str, str]]) -> Path:
        folder = self.home / "templates" / kind
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, fields in many.items():
            _file(folder / name, fields)
        return folder

    def stop(self) -> None:
        """End all hosts, with everything that runs on them."""
        self.lab.down()

    # -- trouble

    def start_master(self) -> None:
        """Start the qmaster and wait until it answers."""
        self.run("sge_qmaster")
        until(lambda: self.tried(self.master, "qconf", "-sh").returncode == 0, 20, "the qmaster answers")

    def kill_master(self) -> None:
        """End the qmaster by KILL: no command works; jobs go on."""
        self.run("pkill", "-KILL", "sge_qmaster")

    def start_execds(self, *names: str) -> None:
        """Start the daemons of execution hosts, each of which takes two seconds."""
        daemons = [subprocess.Popen([*self.on(name), "sge_execd"], stdin=subprocess.DEVNULL) for name in names]
        if any([daemon.wait(30) for daemon in daemons]):
            raise LabError(f"an execution daemon does not start (see {self.spool})")

    def cut(self, host: str) -> None:
        """Pull the cable of a host."""
        self.lab.cut(host)

    def crash(self, host: str) -> None:
        """Power off."""
        self.lab.crash(host)

    def mend(self) -> None:
        """Plug in all cables, have every daemon run, and leave no job in the queue."""
        for name in [name for name in self.names if not self.lab.pid(name)]:
            self.lab.up(name, keep=self.keep)
            self.start_execds(name)
        for name in self.names:
            self.lab.heal(name)
        if self.tried(self.master, "pgrep", "sge_qmaster").returncode:
            self.start_master()
        if self.listed():
            self.tried(self.master, "qdel", "-f", "-u", "*")
        until(lambda: not any(self.instances().values()) and not self.listed(), 120, "all is well again")

    def heal(self, host: str) -> None:
        """Plug it in, and wait until every host runs jobs again."""
        self.lab.heal(host)
        until(lambda: not any(self.instances().values()), 120, "all hosts are heard of again")

    # -- jobs

    def listed(self) -> list[str]:
        """The jobs that are not over, of whoever: `ID STATE QUEUE`."""
        words = [line.split() for line in self.run("qstat", "-u", "*").splitlines()[2:]]
        return [f"{w[0]} {w[4]} {next((x for x in w if '@' in x), '-')}" for w in words]

    def qsub(self, *words: str, host: str = "") -> str:
        """Submit, and give the id."""
        said = self.run("qsub", *words, host=host)
        found = re.search(r"Your job(?:-array)? (\d+)", said)
        if found is None:
            raise LabError(f"qsub says: {said.strip()}")
        return found[1]


def _file(path: Path, fields: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name:<32} {value}\n" for name, value in fields.items()))


def _read(text: str) -> dict[str, str]:
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name: value.strip() for name, value in lines}
