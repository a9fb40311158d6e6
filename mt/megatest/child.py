"""`megatest -execute ORDER`: the other end of a launcher, on whatever host it chose (spec/runs.md 4.9)."""

from __future__ import annotations

import json
import os
import signal
import socket

from mt.megatest.talk import Refused, Talk
from mt.megatest.words import Args


def execute(args: Args, talk: Talk) -> int:
    """Run the one case of an order, in a worker of its own; 1 when it was interrupted."""
    from mt.area import Area
    from mt.db import Store
    from mt.journal import Journal, writer_name
    from mt.locks.alive import keep_alive
    from mt.model import RunKey
    from mt.pipeline.proc import become_subreaper
    from mt.pipeline.ready import setup_of
    from mt.pipeline.sending import Parcel
    from mt.pipeline.worker import RELEASE, Worker

    try:
        parcel = Parcel.unpacked(args.value("-execute") or "")
    except (ValueError, TypeError) as e:
        raise Refused(1, f"cannot read the order of -execute: {e}") from e
    variables = {k: v for k, v in os.environ.items() if k not in ("MT_RUN_AREA_HOME", "MT_CMDINFO")}
    area = Area.open(parcel.home, target=parcel.target, run=parcel.run, environ=variables)
    store = Store(area.home, create=True)
    run = RunKey(parcel.target, parcel.run)
    setup = setup_of(area, store, parcel.run_id, run, contour=parcel.contour, old=parcel.old)
    ours, theirs = socket.socketpair()
    ours.sendall(json.dumps(parcel.order).encode() + b"\n" + RELEASE + b"\n")
    directory = store.journal_dir(parcel.run_id)
    writer = writer_name()
    keep_alive(os.path.join(directory, f"{writer}.ndjson"))
    become_subreaper()
    with Journal(directory, writer, buffered=True) as journal:
        worker = Worker(theirs, journal, setup, os.getppid())
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, lambda *_: worker.cancel("its worker was told to end"))
        worker.serve()
    return 1 if worker.cancelled else 0
