"""A job of a batch engine: takes orders from a bag and runs them, one after another (DESIGN.md section 4).

    python -m mt.pipeline.pilot BAG

It is a worker whose orders come from files in place of a socket.  It claims an
order before it runs it, writes its own journal, and needs neither its
controller nor any other job: whoever reads the journals learns how the cases
went.  It leaves when nothing is left to take, when its time is nearly over or
when the controller or the engine says so.  An order that is withdrawn while it
runs is ended: somebody else has been given the case.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

if __name__ == "__main__":  # before all that takes time: a warning waits until there is somebody to hear it (`obey`)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU))

from mt.errors import MtError, StoreError, why
from mt.journal import Journal, writer_name
from mt.launchers import engine
from mt.launchers.base import Engine
from mt.locks.alive import keep_alive
from mt.model import CaseRow, RunKey
from mt.pipeline import proc
from mt.pipeline.bag import Bag, Claim, Entry, Reader, Terms, token_of
from mt.pipeline.case import Interrupt, Order, Setup
from mt.pipeline.worker import Worker

#: seconds that we wait for a signal of our own after a step was ended by one, and after one that has just failed:
#: engines send it to all of a job, and a shell or make that sees its child end first says that it failed
#: (on Slurm 22.05 at most 10 ms apart in 90 cancelled jobs, with five processes for each processor)
_DOUBT, _SLIGHT_DOUBT = 0.3, 0.05
#: what a shell says of a command that was ended by signal N: 128 + N
_SIGNALLED = range(128 + 1, 128 + 65)
#: seconds between two looks for more orders, at first and at most
_SOON, _LATE = 0.05, 0.5
#: variables that belong to the job and its host, whatever the environment of the controller says
_OWN = ("TMPDIR", "HOSTNAME", "HOST", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
_OWN_PREFIXES = ("SLURM", "LSB_", "LS_", "PBS_", "SGE_", "JOB_", "_CONDOR_", "MT_SSH_")
#: a case that is not known to fit is not begun in the last part of the time of a job
_LAST_PART = 0.1

#: signals that say that the time of a job is nearly over
_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)

TOLD = "its job was told to end"


def order_in(entry: Entry) -> Order:
    """The order that an entry of a bag holds."""
    number, test, item, pairs, *rest = entry.order
    return Order(number, test, item, tuple(map(tuple, pairs)), *rest)


def job_of(made: Engine, env: Mapping[str, str]) -> tuple[str, int]:
    """The id of the job we are, as rows show it (`slurm:123_4`), and the number of our task from 0."""
    ids = [env[name] for name in made.own_id if env.get(name)]
    base = ids[0] if ids else f"pid-{os.getpid()}"
    variable, first = made.task_number
    number = env.get(variable, "") if variable else ""
    if not number.isdigit() or int(number) < first:
        return f"{made.name}:{base}", 0
    task = int(number) - first
    return f"{made.name}:{made.task(base, task)}", task


def environment(terms: Terms, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of the run, as its controller had it, with what belongs to this job and host."""
    foreign = {k: v for k, v in terms.env.items() if not k.startswith(_OWN_PREFIXES)}
    own = {k: v for k, v in env.items() if k in _OWN or k.startswith(_OWN_PREFIXES)}
    merged = {**env, **foreign, **own}
    for name in ("MT_RUN_AREA_HOME", "MT_CMDINFO"):
        merged.pop(name, None)
    return merged


class Pilot(Worker):
    """A worker that takes its orders from a bag."""

    def __init__(self, reader: Reader, terms: Terms, job: str, task: int, journal: Journal, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(theirs, journal, setup, os.getppid())
        self.waker = ours
        theirs.setblocking(False)
        ours.setblocking(False)
        self.reader = reader
        self.bag = reader.bag
        self.terms = terms
        self.job = job
        self.task = task
        self.began = time.monotonic()
        self.leaving = False
        self.ended_by = 0  # the signal that told us to end
        self.number = -1
        self.entry = Entry([], 0.0, 0.0)
        self.dress = self.dressed

    # -- what to run ------------------------------------------------------------------------------

    def fly(self) -> None:
        """Run orders until there are none for us."""
        for number in self.numbers():
            self.number, self.entry = number, self.reader.entries[number]
            row = self.execute(order_in(self.entry))
            self.journal.flush()
            if row.state == "INCOMPLETE" or self.takes_no_more:
                return

    @property
    def takes_no_more(self) -> bool:
        """Whether it was told to end, or that its time is nearly over."""
        return self.cancelled is not None or self.leaving

    def numbers(self) -> Iterator[int]:
        """The orders that are ours: dealt out, or the next free ones."""
        yield from self.dealt() if self.terms.share else self.free()

    def dealt(self) -> Iterator[int]:
        """Our share of a bag that was full before we were submitted."""
        seen: set[int] = set()
        while mine := [n for n in sorted(self.reader.entries) if n % self.terms.share == self.task and n not in seen]:
            for number in mine:
                if self.takes_no_more or self.reader.over or not self.fits(self.reader.entries[number].secs):
                    return
                seen.add(number)
                if self.claimed(number):
                    yield number
            self.look()  # a network directory may have shown less at first

    def free(self) -> Iterator[int]:
        """The next order that nobody has, as long as more may come."""
        at, pause, since = 0, _SOON, time.monotonic()
        taken: set[int] = set()
        while not self.takes_no_more:
            if at >= self.reader.many:
                if self.look():
                    pause, since = _SOON, time.monotonic()
                    continue
                if self.reader.closed or time.monotonic() - since > self.terms.idle:
                    return
                self.rest(pause)
                pause = min(pause * 1.5, _LATE)
                continue
            if self.reader.over:
                return
            entry = self.reader.entries.get(at)
            if entry is None:
                at = self.reader.after(at)
            elif at in taken:
                at += 1
            elif not self.fits(entry.secs):
                return
            elif self.claimed(at):
                yield at
                at, pause, since = at + 1, _SOON, time.monotonic()
            elif not self.reader.over:  # others are ahead of us: see once how far
                taken = self.bag.taken()

    def claimed(self, number: int) -> bool:
        """Whether the order is ours from now on.

        A network client may make a claim in a directory that is not there any
        more, so whoever has won looks once more whether all is over.  Raises
        StoreError when that cannot be seen: then our end tells that nobody has it.
        """
        try:
            won = self.bag.claim(number, Claim(self.job, self.setup.host, os.getpid(), self.journal.writer))
        except StoreError:
            self.reader.look()
            if self.reader.over:
                return False
            raise
        if won:
            self.reader.look()
        return won and not self.reader.over

    def fits(self, secs: float) -> bool:
        """Whether a case that may take so long ends before the time of our job does."""
        if not self.terms.secs or self.number < 0:
            return True
        left = self.terms.secs - (time.monotonic() - self.began)
        least = min(self.terms.notice or math.inf, self.terms.secs * _LAST_PART)
        return left > max(secs * 1.5, least)

    def rest(self, seconds: float) -> None:
        """Wait for more orders, or until somebody tells us something."""
        self.beat()
        poll = select.poll()
        poll.register(self.link.fileno(), select.POLLIN)
        poll.poll(int(seconds * 1000))
        self.drain()

    # -- how a case goes --------------------------------------------------------------------------

    def dressed(self, row: CaseRow) -> CaseRow:
        """What is known of a case because we run it as a job."""
        queued = max(time.time() - self.entry.sent, 0.0) if self.entry.sent else 0.0
        return row._replace(job=self.job, token=token_of(self.bag, self.number), queued=round(queued, 3))

    def still_ours(self) -> bool:
        """Whether the case may begin: nobody has told us to end, and it is not withdrawn."""
        return self.asked() is None

    def asked(self) -> Interrupt | None:
        """Twice a second while a case runs: does the engine, or the controller, want us to end it?"""
        self.beat()
        self.drain()
        if not self.cancelled:
            self.look()
        if self.number in self.reader.revoked and not self.cancelled:
            self.cancelled = Interrupt(
                "INCOMPLETE", "DEAD", "its controller has given it up, as its job seemed to be dead"
            )
        return self.cancelled

    def doubt(self, exits: Sequence[int]) -> Interrupt | None:
        """A step has failed: an engine that ends a job sends its signal to us as well."""
        if not self.cancelled:
            self.rest(_DOUBT if any(code < 0 or code in _SIGNALLED for code in exits) else _SLIGHT_DOUBT)
        return self.cancelled

    def look(self) -> bool:
        """See what the controller has said; a disk that cannot be read now may be there again at the next look."""
        try:
            new = self.reader.look()
        except StoreError as e:
            print(f"mt: {e.what}", file=sys.stderr)
            return False
        if self.reader.stopped:
            self.cancel(self.reader.stopped)
        return new

    def drain(self) -> None:
        """Forget what woke us up."""
        try:
            while self.link.recv(64):
                pass
        except OSError:
            return

    # -- signals ------------------------------------------------------------------------------------

    def obey(self) -> None:
        """End when told to, mostly by TERM; other signals say that the time is nearly over: then take nothing new."""
        ends = {signal.SIGINT, *(signal.Signals[f"SIG{name}"] for name in engine(self.terms.engine).end_signals)}

        def told(sig: int, frame: object) -> None:
            if sig in ends:
                self.ended_by = sig
                self.cancel(TOLD)
            self.leaving = True
            try:
                self.waker.send(b"!")
            except OSError:
                pass

        for sig in (signal.SIGTERM, signal.SIGINT, *_WARNINGS):
            signal.signal(sig, told)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WARNINGS)  # one that has come already is heard now


def main(path: str, share: str = "") -> int:
    """The whole life of a job; `share` is the number of its share, when the engine has none for it."""
    from mt.area import Area
    from mt.db import Store
    from mt.pipeline.ready import setup_of

    bag = Bag(os.path.abspath(path))
    reader = Reader(bag)
    reader.look()
    if reader.over:
        return 0  # we come too late, and what we need may be gone
    terms = bag.terms()
    reader.look()
    if reader.over or not terms.env:
        return 0  # it is being tidied up at this moment, or whoever did that has died
    made = engine(terms.engine)
    job, task = job_of(made, os.environ)
    task = int(share) if share else task
    env = environment(terms, os.environ)
    pairs = [(name, value) for name, value in terms.setvars]
    area = Area.open(terms.home, target=terms.target or None, run=terms.run, environ=env, setvars=pairs)
    store = Store(area.home, create=True)
    run = RunKey(terms.target, terms.run)
    setup = setup_of(area, store, terms.run_id, run, contour=terms.contour, old=terms.old)
    directory = store.journal_dir(terms.run_id)
    writer = writer_name()
    keep_alive(os.path.join(directory, f"{writer}.ndjson"))
    proc.become_subreaper()
    os.chdir("/")
    with Journal(directory, writer, buffered=True) as journal:
        pilot = Pilot(reader, terms, job, task, journal, setup)
        pilot.obey()
        pilot.fly()
    if pilot.ended_by:  # as any job would: Grid Engine knows by nothing else that it has deleted a job
        signal.signal(pilot.ended_by, signal.SIG_DFL)
        os.kill(os.getpid(), pilot.ended_by)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:3]))
    except MtError as error:
        sys.exit(f"mt: {error.what}")
    except OSError as error:
        sys.exit(f"mt: cannot use '{error.filename}': {why(error)}")
