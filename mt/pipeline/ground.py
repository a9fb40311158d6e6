"""What one controlled run stands on."""

from __future__ import annotations

from typing import NamedTuple

from mt.area import Area
from mt.db import Store
from mt.fold import Folder
from mt.journal import Journal
from mt.model import RunKey


class Ground(NamedTuple):
    """The area, the store, which run of it this is, the controller's journal, and who folds all journals."""

    area: Area
    store: Store
    run_id: int
    run: RunKey
    journal: Journal
    folder: Folder
