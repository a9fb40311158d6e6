"""Cases that a launcher of the area starts: one command for each, called in the run directory of the case.

    <launcher> megatest -m AREA:TEST:ITEM -execute ORDER

The other end (`mt/megatest/child.py`) may be on any host that sees the area: it
writes its own journal, and the controller reads there how the case goes, as it
does for the workers of a controller that died (spec/config.md 2.4, spec/runs.md
4.8, 4.9).  A launcher that ends badly before the case has begun makes it INFRA:
it says nothing about the test, and the same command tries again.
"""

from __future__ import annotations

import binascii
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from mt.area import Area
from mt.errors import why
from mt.model import CaseKey, CaseRow
from mt.pipeline import casedir, caseenv, control
from mt.pipeline.case import LAUNCH_LOG, Order, Setup
from mt.pipeline.choosing import Launcher, Launchers


class Parcel(NamedTuple):
    """An order with all that its other end must know to open the same area for the same run."""

    home: str
    target: str
    run: str
    run_id: int
    order: Order
    contour: str = ""
    old: bool = False

    def packed(self) -> str:
        """The parcel as one word."""
        return binascii.b2a_base64(json.dumps(self).encode(), newline=False).decode()

    @classmethod
    def unpacked(cls, text: str) -> Parcel:
        """The parcel in a word; raises ValueError for anything else."""
        home, target, run, run_id, order, *more = json.loads(binascii.a2b_base64(text, strict_mode=True))
        number, test, item, pairs, *rest = order
        return cls(home, target, run, run_id, Order(number, test, item, tuple(map(tuple, pairs)), *rest), *more)


class Sender:
    """Starts cases by launchers, and tells which of them could not be started."""

    def __init__(
        self, setup: Setup, home: str, suite: str, launchers: Launchers, record: Callable[[str, Any], object]
    ) -> None:
        self.setup = setup
        self.home = home
        self.suite = suite
        self.launchers = launchers
        self.record = record
        self.jobs: dict[CaseKey, tuple[subprocess.Popen[bytes], CaseRow, Launcher]] = {}
        self.sent: set[CaseKey] = set()

    def send(self, order: Order) -> CaseRow | None:
        """Start a case by its launcher; gives the row that says so, None when our own workers are to run it."""
        launcher = self.launchers.of(order.test, order.item)
        if launcher.local:
            return None
        s, key = self.setup, CaseKey(order.test, order.item)
        env = {**s.shared.env, **dict(order.vars), "MT_TEST_NAME": order.test, "MT_ITEMPATH": order.item}
        spec = s.spec(order.test, env)
        where = casedir.places(s.disk(spec), s.linktree, s.run.target, s.run.name, order.test, order.item)
        casedir.make(where, clean=order.clean)
        row = CaseRow(
            order.test, order.item, order.attempt, order.gen + 1, "LAUNCHED", "LAUNCHED", start=time.time(),
            dir=where.link,
        )  # fmt: skip
        self.record("case", row)
        who = caseenv.Who(s.db, s.run_id, s.run, order.test, order.item, order.attempt, row.gen, where.link)
        env.update(caseenv.case_variables(who, order.vars, where.real, where.link))
        env.update(spec.prelaunch)
        parcel = Parcel(
            self.home, s.run.target, s.run.name, s.run_id, order._replace(gen=row.gen, clean=False), s.contour,
            s.old,
        )  # fmt: skip
        job = (caseenv.callback(), "-m", f"{self.suite}:{key.test}:{key.item}", "-execute", parcel.packed())
        self._start(key, row, launcher, launcher.argv(job), launcher.environment(env), where.real)
        return row

    def _start(
        self, key: CaseKey, row: CaseRow, launcher: Launcher, argv: tuple[str, ...], env: dict[str, str], real: str
    ) -> None:
        with open(os.path.join(real, LAUNCH_LOG), "ab") as log:
            log.write(b"LAUNCHCMD: " + os.fsencode(" ".join(argv)) + b"\n")
            log.flush()
            self.jobs[key] = (_spawn(argv, env, real, log), row, launcher)
        self.sent.add(key)

    def failed(self) -> Iterator[CaseRow]:
        """Cases whose launching command has ended badly, as rows that end them unless they began all the same."""
        for key, (job, row, launcher) in list(self.jobs.items()):
            code = job.poll()
            if code is None:
                continue
            del self.jobs[key]
            if code and launcher.wait:
                comment = f"launcher '{launcher.text.split(None, 1)[0]}' ended with {code}: see {LAUNCH_LOG}"
                yield row._replace(gen=row.gen + 1, state="COMPLETED", status="INFRA", comment=comment, end=time.time())

    def cancel(self) -> None:
        """Ask for the end of everything that was started and may still run."""
        for key in self.sent:
            control.ask_kill(self.setup.kill_dir, key, "the controller", "cancelled")


def sender_of(area: Area, setup: Setup, launchers: Launchers, record: Callable[[str, Any], object]) -> Sender | None:
    """What starts cases by the launchers of an area; None when our own workers run all of them."""
    if not launchers.any():
        return None
    return Sender(setup, area.home, area.name, launchers, record)


def _spawn(argv: tuple[str, ...], env: dict[str, str], cwd: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a launching command in a session of its own; one that cannot be started is one that ends with 127."""
    try:
        return subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except OSError as e:
        log.write(f"mt: cannot run '{argv[0]}': {why(e)}\n".encode())
        return subprocess.Popen(("/bin/sh", "-c", "exit 127"), env=env, cwd="/", stdin=subprocess.DEVNULL)
