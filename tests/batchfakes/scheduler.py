"""The process that starts the jobs of a site, ends them, and writes down what became of them."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from batchfakes.records import PENDING, RUNNING, Event, Job, Task
from batchfakes.site import MARK, Site

if TYPE_CHECKING:
    from batchfakes.front import Engine

#: seconds after which it looks whether its directory is still there
_LOOK = 5.0


def ensure(site: Site, engine: Engine) -> None:
    """A scheduler knows of what has just been written."""
    if site.wake() or os.fork():
        return
    try:
        os.setsid()
        _let_go()
        Scheduler(site.home, engine).work()
    finally:
        os._exit(0)


def _let_go() -> None:
    """Keep nothing of the command that started us: whoever reads its output must see the end."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.closerange(3, 256)
    os.chdir("/")


class Scheduler:
    """Runs the jobs of one site, in order of submission, at most `slots` at once."""

    def __init__(self, home: str, engine: Engine) -> None:
        self.site = Site(home)
        self.engine = engine
        self._running: dict[int, tuple[Job, Task]] = {}
        self._last_words: list[tuple[float, int, int]] = []
        self._again: set[int] = set()
        self._stopped: set[int] = set()

    def work(self) -> None:
        with open(f"{self.site.home}/scheduler.lock", "a+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            lock.truncate(0)
            lock.write(b"%d" % os.getpid())
            lock.flush()
            self._loop()

    def _loop(self) -> None:
        pipe = f"{self.site.home}/wake"
        if not os.path.exists(pipe):
            os.mkfifo(pipe)
        bell = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        ended, child_ended = os.pipe()
        os.set_blocking(ended, False)
        os.set_blocking(child_ended, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(child_ended, warn_on_full_buffer=False)
        while os.path.isdir(self.site.home):
            with self.site.held():
                self._turn()
                if not self._running and not any(job.unfinished() for job in self.site.records.jobs.values()):
                    # whoever writes next must hold the site, and finds nobody to wake
                    os.close(bell)
                    return
            for fd in select.select([bell, ended], [], [], self._pause())[0]:
                os.read(fd, 4096)

    def _pause(self) -> float:
        return max(0.0, min([when - time.monotonic() for when, _, _ in self._last_words] + [_LOOK]))

    def _turn(self) -> None:
        self._bury()
        self._interfere()
        self._suspend()
        self._end()
        self._start()

    def _bury(self) -> None:
        """Take note of the processes that have ended; nothing of their process group is left behind."""
        events: list[Event] = []
        while self._running and (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            pid = found.si_pid
            _signal(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            job, task = self._running.pop(pid)
            self._last_words = [words for words in self._last_words if words[1] != pid]
            word = self.site.knob("end_word")
            again = pid in self._again or (word in self.engine.requeues and not task.killed)
            self.engine.after(self.site, job, task, pid, status)
            events.append({
                "e": "end", "id": job.id, "task": task.number, "pid": pid, "status": status, "again": again,
                "word": word, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024,
            })  # fmt: skip
        self.site.add(events)

    def _interfere(self) -> None:
        """What tests want to go wrong with jobs: all of them, or one by its id, with `.TASK` or without."""
        for knob in ("lose", "end", "requeue"):
            if wanted := self.site.spent(knob):
                self._hit(knob, wanted)

    def _hit(self, knob: str, wanted: str) -> None:
        events: list[Event] = []
        for job, task in self.site.records.tasks():
            if task.state not in (PENDING, RUNNING) or wanted not in ("all", f"{job.id}", f"{job.id}.{task.number}"):
                continue
            if knob == "lose":
                events.append({"e": "gone", "id": job.id, "task": task.number})
            for pid in task.living:
                self._again.update([pid] if knob == "requeue" else [])
                _signal(pid, signal.SIGKILL)
        self.site.add(events)

    def _suspend(self) -> None:
        """Stop all that runs as long as the knob is turned."""
        wanted = set(self._running) if self.site.knob("suspend") else set()
        for pid in wanted ^ (self._stopped & set(self._running)):
            _signal(pid, signal.SIGSTOP if pid in wanted else signal.SIGCONT)
        self._stopped = wanted

    def _end(self) -> None:
        """Signals for jobs that shall end: the engine's first, and KILL a little later."""
        now = time.monotonic()
        announced = {pid for _, pid, _ in self._last_words}
        for pid, (job, task) in self._running.items():
            if task.killed and pid not in announced:
                for number in self.engine.signals(job, task):
                    _signal(pid, number)
                self._last_words.append((now + float(self.site.knob("grace")), pid, signal.SIGKILL))
        for when, pid, number in self._last_words:
            if when <= now:
                _signal(pid, number)
        # a process that even KILL does not end at once is looked at again when its end is known
        self._last_words = [(when if when > now else now + _LOOK, pid, sig) for when, pid, sig in self._last_words]

    def _start(self) -> None:
        if self.site.knob("pend") or self.site.knob("hold"):
            return
        room = int(self.site.knob("slots")) - sum(task.state == RUNNING for _, task in self.site.records.tasks())
        for job in list(self.site.records.jobs.values()):
            limit = job.spec["at_once"] or len(job.tasks)
            for task in job.tasks.values():
                if room <= 0:
                    return
                if task.state == PENDING and not job.spec.get("held") and job.running() < limit:
                    self._launch(job, task)
                    room -= 1

    def _launch(self, job: Job, task: Task) -> None:
        for _ in range(2 if self.site.knob("twice") and not task.pids else 1):
            pid = os.fork()
            if not pid:
                _become(self.site, self.engine, job, task)
            self._running[pid] = (job, task)
            self.site.add([{"e": "start", "id": job.id, "task": task.number, "pid": pid}])


def _signal(pid: int, number: int) -> None:
    """To all of a job: its processes are one group, unless it is just being started; `pid` has not been waited for."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)


def _become(site: Site, engine: Engine, job: Job, task: Task) -> None:
    """Turn this process into the job."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        with open(f"{site.home}/spool/{job.id}.env", encoding="utf-8") as f:
            env = json.load(f)
        env.update(engine.variables(site, job, task))
        env[MARK] = site.home
        os.chdir(engine.directory(job, task, env))
        engine.output(site, job, task, env)
        argv = engine.command(site, job, task)
        os.execve(argv[0], argv, env)
    except BaseException as e:
        os.write(2, f"{job.id}: {e}\n".encode())
    finally:
        os._exit(127)
