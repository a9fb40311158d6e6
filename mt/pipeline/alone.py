"""What is left to do when a case has ended whose controller had left.

`python -m mt.pipeline.alone HOME TARGET RUN TEST ITEM`
"""

from __future__ import annotations

import sys

from mt.area import Area
from mt.db import Store
from mt.errors import MtError
from mt.fold import Folder
from mt.model import CaseRow, RunKey
from mt.pipeline import mirror
from mt.pipeline.aftermath import Aftermath
from mt.stdio import say


def main(home: str, target: str, run: str, test: str, item: str) -> int:
    """Fold the run, follow the test of the case, and let megatest.db follow where there is one."""
    try:
        area = Area.open(home, target=target or None, run=run)
        store = Store(area.home)
        run_id = store.run_id(RunKey(target, run))
        if run_id is None:
            return 0
        with Folder(store, run_id) as folder:
            folder.settle()
        after = Aftermath(area, store, run_id, RunKey(target, run))
        after.ended([CaseRow(test, item)])
        after.follow()
        if mirror.follows(area.home):
            mirror.renew(store, area.home, area.keys)
    except MtError as e:
        say(e.what)
        return e.status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
