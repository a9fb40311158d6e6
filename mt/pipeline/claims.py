"""Exclusive cases: in all runs of an area one at most has a case, by a lock that is held while it runs."""

from __future__ import annotations

from contextlib import ExitStack

from mt.db import Store
from mt.errors import BusyError
from mt.locks.filelock import held
from mt.model import CaseKey
from mt.pipeline import control


class Claims:
    """The exclusive cases that this run has."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.held: dict[CaseKey, ExitStack] = {}

    def take(self, case: CaseKey) -> bool:
        """Take the area-wide lock of an exclusive case, if it is free."""
        stack = ExitStack()
        path = self.store.lock_path("only." + control.control_name(case).removesuffix(".ctl"))
        try:
            stack.enter_context(held(path, wait=False, what=f"exclusive case {case}"))
        except BusyError:
            return False
        self.held[case] = stack
        return True

    def give(self, case: CaseKey) -> None:
        """Give the lock back."""
        stack = self.held.pop(case, None)
        if stack is not None:
            stack.close()
