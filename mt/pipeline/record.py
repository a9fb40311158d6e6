"""What ended becomes recorded, folded and shown, in this order: stored first, shown after.

Each stage takes beats and gives them on, so `run.py` can join them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mt.fold import Folder
from mt.journal import Journal
from mt.model import RunKey, case_id
from mt.pipeline.aftermath import Aftermath
from mt.pipeline.contract import Beat
from mt.pipeline.progress import Shown

#: seconds between two folds while a run is driven
FOLD_EVERY = 0.5

Beats = Iterator[Beat]


def record(beats: Beats, journal: Journal) -> Beats:
    """Append what the controller itself decided; workers have recorded their own."""
    for beat in beats:
        if beat.decided:
            with journal.batch():
                for row in beat.decided:
                    journal.emit_row("case", row)
        yield beat


def fold(beats: Beats, folder: Folder) -> Beats:
    """Fold the journals now and then, so that queries find the db fresh and need not do it."""
    last = time.monotonic()
    for beat in beats:
        now = time.monotonic()
        if now - last >= FOLD_EVERY:
            folder.fold(wait=False)
            last = time.monotonic()
        yield beat


def follow(beats: Beats, after: Aftermath, folder: Folder) -> Beats:
    """Let what follows from the end of items happen now and then, when it has been folded."""
    for beat in beats:
        after.ended(beat.ran)
        after.ended(beat.decided)
        if after.is_due():
            folder.fold()
            after.follow()
        yield beat


def show(beats: Beats, progress: Shown, run: RunKey, each: Callable[[Beat], None]) -> Beats:
    """Tell the user, and whoever wants every beat."""
    for beat in beats:
        for row in (*beat.ran, *beat.decided):
            if row.state != "NOT_STARTED" or row.status != "n/a":
                progress.ended(row, case_id(run, row.key))
        if beat.said:
            progress.note(beat.said)
        progress.tick(beat.running, beat.queued)
        each(beat)
        yield beat
